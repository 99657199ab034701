/* Failovers of every kind, with people coming and going: exact within the bound, counted from when an instance may be
 * written to again. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { Scene } from '../support/scene.mjs';
import { until } from '../support/wait.mjs';

const scene = new Scene('Failovers');
await scene.begin();
const { fleet, first } = scene;

async function again(instance) {
    await instance.start({ keep: true });
    await fleet.settled([first]);
}

/* Another than `old` is master: the Sentinels have acted. */
const succeeded = (old) => until(async () => {
    const heir = await first.master();
    return heir !== old && heir;
}, `a successor of ${old.name}`, 40_000);

test('the master is killed', async (t) => {
    const old = await first.master();
    const { words } = await scene.through('kill -9 of the master', () => old.kill());
    t.diagnostic(words);
    await again(old);
});

test('FAILOVER TO a replica, behind the back of the Sentinels', async (t) => {
    const old = await first.master();
    const heir = first.instances.find((instance) => instance !== old);
    const { words } = await scene.through('FAILOVER TO', async () => {
        await old.ask('FAILOVER', 'TO', '127.0.0.1', heir.port);
        await until(async () => await heir.role() === 'master' && await old.role() === 'slave', 'the failover');
    });
    t.diagnostic(words);
    await fleet.settled([first]);
});

/* Long enough for the Sentinels to act. Then it wakes, and takes itself for the master, until they tell it otherwise. */
const SLEEP_S = 6;

for (const minReplicas of [1, 0])
    test(`DEBUG SLEEP of the master, with min-replicas-to-write ${minReplicas}`, async (t) => {
        const old = await first.master();
        await old.ask('CONFIG', 'SET', 'min-replicas-to-write', minReplicas);
        const { words } = await scene.through(`DEBUG SLEEP with min-replicas-to-write ${minReplicas}`, async () => {
            const slept = old.ask('DEBUG', 'SLEEP', SLEEP_S);
            await until(async () => await scene.namedBy(fleet.sentinels[0]) !== old, 'the Sentinels to act', 30_000);
            assert.equal(await slept, 'OK');
        });
        t.diagnostic(words);
        await until(async () => await old.role() === 'slave', 'the old master to follow', 30_000);
        await old.ask('CONFIG', 'SET', 'min-replicas-to-write', 1);
        await fleet.settled([first]);
    });

test('acknowledged writes are lost: replication is cut, then the master is killed', async (t) => {
    const old = await first.master();
    const replicas = first.instances.filter((instance) => instance !== old);
    await old.ask('CONFIG', 'SET', 'min-replicas-to-write', 0); /* or it would refuse to lose them */
    const { words } = await scene.through('loss of acknowledged writes', async () => {
        for (const replica of replicas)
            await replica.ask('CONFIG', 'SET', 'masterauth', 'wrong');
        await old.ask('CLIENT', 'KILL', 'TYPE', 'replica');
        const before = (await old.info('replication')).master_repl_offset;
        await until(async () => (await old.info('replication')).master_repl_offset - before > 20_000, 'writes to lose');
        const lost = (await old.info('replication')).master_repl_offset - before;
        await old.kill();
        t.diagnostic(`${lost} bytes of writes are lost`);
        for (const replica of replicas)
            await replica.ask('CONFIG', 'SET', 'masterauth', `replica-${first.password}`);
    });
    t.diagnostic(words);
    await again(old);
});

test('the next master is killed as soon as it is one', async (t) => {
    const old = await first.master();
    const { words } = await scene.through('kill of two masters', async () => {
        await old.kill();
        const next = await succeeded(old);
        await next.kill();
        await old.start({ keep: true });
        await succeeded(next);
        await next.start({ keep: true });
    });
    t.diagnostic(words);
    await fleet.settled([first]);
});

/* A Sentinel takes ten seconds to make the old master follow; the next failover does not wait for that. */
test('ten failovers in a row', { timeout: 200_000 }, async (t) => {
    let old = await first.master();
    for (let i = 0; i < 10; i++) {
        let heir;
        const { words } = await scene.through(`failover ${i + 1}`, async () => {
            heir = await scene.failover(fleet.sentinels[i % 3], old);
        });
        old = heir;
        t.diagnostic(words);
    }
    await until(() => fleet.isSettled(first), 'all to follow the last one', 60_000);
});

test('no key of one shard was ever in the other, and memory is back', async () => {
    await scene.end();
    assert.deepEqual(scene.stray, []);
    await scene.close();
});
