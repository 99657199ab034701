/* Servers whose clocks are a minute ahead and a minute behind, and failovers between them: time goes back and forth by two
 * minutes for the edges, and nobody is missed or seen twice. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { Scene, presence } from '../support/scene.mjs';
import { until } from '../support/wait.mjs';

const scene = new Scene('Clocks');
scene.presence = { ...presence, data_ttl_ms: 600_000 }; /* more than twice what clocks may differ */
await scene.begin();
const { fleet, first } = scene;
const time = async (instance) => Number((await instance.ask('TIME'))[0]);

/* The replicas go away and come back with other clocks, one after the other. */
test('the replicas of a shard have clocks of their own', async () => {
    const [master, ...replicas] = first.instances;
    for (const [i, replica] of replicas.entries()) {
        await replica.kill();
        replica.setClock(i ? -60 : 60);
        await replica.start({ keep: true });
        await until(() => fleet.isSettled(first), 'the replica to follow', 40_000);
    }
    await fleet.settled([first]);
    const here = await time(master);
    for (const [i, replica] of replicas.entries())
        assert.ok(Math.abs(await time(replica) - here - (i ? -60 : 60)) <= 2, 'the clock is as it should be wrong');
    const { code, wrong } = await scene.doctor();
    assert.equal(code, 1);
    assert.deepEqual(wrong.map((line) => line.replace(/\b(59|60)\b/, '60')).sort(), [1, 2].map((i) => `shard shard-0: the clock of shard-0-${i} `
        + 'is 60 s off this machine\'s. Up to 300 s do no harm (half of presence.data_ttl_ms), but let NTP set it.'));
});

test('failovers to a clock that is ahead, behind, and right', { timeout: 200_000 }, async (t) => {
    const seen = [];
    let old = first.instances[0];
    for (let i = 0; i < 4; i++) {
        let heir;
        const { words } = await scene.through(`failover ${i + 1}`, async () => {
            heir = await scene.failover(fleet.sentinels[i % 3], old);
        });
        const off = Math.round(await time(heir) - Date.now() / 1000);
        seen.push(off);
        t.diagnostic(`${words}; its clock is ${off} s off`);
        old = heir;
    }
    assert.ok(new Set(seen.map((off) => Math.sign(Math.round(off / 60)))).size >= 2, `clocks seen: ${seen}`);
    await until(() => fleet.isSettled(first), 'all to follow the last one', 60_000);
});

test('no key of one shard was ever in the other', async () => {
    scene.running.stop();
    scene.crowd.assertClean();
    assert.deepEqual(scene.stray, []);
    await scene.close();
});
