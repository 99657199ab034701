/* A server that is carried into another shard and back, in a fleet with one password for all (with one for each it would
 * not get in). It holds the other shard's data and stamp there, and an old state of its own when it returns. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { BOUND, H, L, Scene } from '../support/scene.mjs';
import { until } from '../support/wait.mjs';

const scene = new Scene('A server between shards', { sharedPassword: true });
await scene.begin();
const { crowd, fleet, first, second } = scene;
const [, traveller] = first.instances;

test('a replica of one shard is made the master of another', { timeout: 100_000 }, async (t) => {
    const [old, ...rest] = second.instances;
    for (const sentinel of fleet.sentinels) /* the operators take the Sentinels out of it while they work */
        for (const shard of [first, second])
            await sentinel.ask('SENTINEL', 'REMOVE', shard.name);
    await traveller.ask('REPLICAOF', '127.0.0.1', old.port);
    await until(async () => await traveller.ask('HGET', 'rollcall:shard', 'n') === second.name
        && (await traveller.info('replication')).master_link_status === 'up', 'the copy');
    await until(() => old.ask('FAILOVER', 'TO', '127.0.0.1', traveller.port).catch(() => null), 'its replication to be online');
    await until(async () => await traveller.role() === 'master' && await old.role() === 'slave', 'the failover');
    for (const replica of rest)
        await replica.ask('REPLICAOF', '127.0.0.1', traveller.port);
    for (const sentinel of fleet.sentinels) {
        await fleet.monitor(sentinel, first, first.instances[0].port);
        await fleet.monitor(sentinel, second, traveller.port);
    }
    t.diagnostic(await scene.rightWithin(BOUND + 2000, 'with a master from another shard'));
    assert.equal(await first.instances[0].ask('HGET', 'rollcall:shard', 'n'), first.name);
});

test('and back, at once a master of its old shard with the other\'s data: it is not taken', { timeout: 100_000 }, async (t) => {
    const [old, ...rest] = second.instances;
    for (const sentinel of fleet.sentinels)
        await sentinel.ask('SENTINEL', 'REMOVE', second.name);
    await until(() => traveller.ask('FAILOVER', 'TO', '127.0.0.1', old.port).catch(() => null), 'its replication to be online');
    await until(async () => await old.role() === 'master' && await traveller.role() === 'slave', 'the failover');
    for (const replica of rest)
        await replica.ask('REPLICAOF', '127.0.0.1', old.port);
    await traveller.ask('REPLICAOF', 'NO', 'ONE');
    for (const sentinel of fleet.sentinels) {
        await fleet.monitor(sentinel, second, old.port);
        await fleet.monitor(sentinel, first, traveller.port); /* all of them are wrong, and agree */
    }
    await scene.alarm(/names \S+ as its master, but that is stamped as shard shard-1 of cluster test/);
    const held = (await traveller.keys()).length;
    await new Promise((resolve) => setTimeout(resolve, L + 2 * H));
    assert.equal(await traveller.ask('HGET', 'rollcall:shard', 'n'), second.name);
    const { code, wrong } = await scene.doctor();
    assert.equal(code, 1);
    const foreign = 'is stamped as shard shard-1 of cluster test';
    assert.deepEqual(wrong.slice(0, -1), [
        ...[0, 1, 2].map((i) => `shard shard-0: Sentinel sentinel-${i} names shard-0-1 as its master, but that ${foreign}`),
        'shard shard-0: no majority of the Sentinels names shard-0-0 (0 of 3 do): it is used, but members of dead edges stay and webhooks wait.',
        `shard shard-0: shard-0-1 ${foreign}`]);
    assert.match(wrong.at(-1), /^shards shard-0 and shard-1 have the same user and password: /);
    t.diagnostic(`it keeps its ${held} keys, of which no edge has touched one; ${await scene.rightWithin(BOUND + 2000,
        'with the last good master, which no Sentinel names')}`);

    await traveller.ask('REPLICAOF', '127.0.0.1', first.instances[0].port);
    for (const sentinel of fleet.sentinels)
        await fleet.monitor(sentinel, first, first.instances[0].port);
    await until(() => fleet.isSettled(first), 'it to follow', 40_000);
    t.diagnostic(await scene.rightWithin(BOUND, 'when all is as it was'));
});

test('nothing remains', async () => {
    scene.running.stop();
    crowd.assertClean();
    await scene.close();
});
