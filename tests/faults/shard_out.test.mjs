/* One shard does not answer at all, for longer than any lease: who is on the other notices nothing; its own rosters
 * freeze, and what cannot be known or done is said. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { isLong } from '../support/fleet.mjs';
import { exchange, get, post } from '../support/raw.mjs';
import { BOUND, L, Scene, channels } from '../support/scene.mjs';
import { until } from '../support/wait.mjs';

const OUT_MS = isLong ? 60_000 : 5 * L;

const scene = new Scene('A shard is out');
await scene.begin();
const { crowd, edges, fleet, second } = scene;
const [edge] = edges;

/* Where each room is: its roster's key says so. */
const keys = (await (await second.master()).keys()).join('\n');
const lost = channels.filter((channel) => keys.includes(`:r:7:${channel}\n`) || keys.endsWith(`:r:7:${channel}`));
const well = channels.filter((channel) => !lost.includes(channel));

const publish = (channel) => exchange(edge, post(edge.app, '/apps/7/events', JSON.stringify({ name: 'e', channel, data: '{}' })));

test('the rooms are on both shards', () => {
    assert.ok(lost.length > 0 && well.length > 0, `${lost} / ${well}`);
});

test('a shard is out', { timeout: 120_000 }, async (t) => {
    scene.running.stop();
    await crowd.exact(BOUND, 'a quiet start');
    const churn = crowd.churn(crowd.people.filter(({ id }) => id.startsWith('churns')), well, 100);
    const frozen = new Map(crowd.people.filter(({ id }) => id.startsWith('stays'))
        .map((person) => [person, new Map(lost.map((channel) => [channel, [...person.rosters.get(channel)].sort().join()]))]));
    second.instances.forEach((instance) => instance.signal('SIGSTOP'));
    let slowest = 0;
    const end = Date.now() + OUT_MS;
    try {
        while (Date.now() < end) {
            const began = Date.now();
            assert.equal((await publish(well[0])).status, 200);
            const answer = await exchange(edge, get(edge.app, `/apps/7/channels/${well[0]}/users`));
            assert.equal(answer.status, 200);
            slowest = Math.max(slowest, Date.now() - began);
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
        await until(async () => (await publish(lost[0])).status === 503, 'a publish to say that it cannot be done');
        const stale = await exchange(edge, get(edge.app, `/apps/7/channels/${lost[0]}/users`));
        const { code, wrong } = await scene.doctor();
        assert.equal(code, 1);
        const silent = 'cannot be reached (it does not answer in time)';
        assert.deepEqual(wrong.sort(), [
            ...[0, 1, 2].map((i) => `shard shard-1: Sentinel sentinel-${i} names shard-1-0 as its master, but that ${silent}`),
            'shard shard-1: nobody proves to be its master; its rosters are frozen. Start an instance, or make one a master: REPLICAOF NO ONE.',
            ...[0, 1, 2].map((i) => `shard shard-1: shard-1-${i} ${silent}`)].sort());
        t.diagnostic(`a roster that cannot be checked: ${stale.status} ${JSON.stringify(stale.headers)}`);
        assert.ok(stale.status === 503 || Object.keys(stale.headers).some((name) => /stale/.test(name)), 'it is marked');
        churn.stop();
        await until(() => crowd.differences().every((text) => lost.some((channel) => text.includes(`in ${channel},`))),
            'the other shard\'s rooms to be right', BOUND);
        for (const [person, rosters] of frozen)
            for (const [channel, before] of rosters)
                assert.equal([...person.rosters.get(channel)].sort().join(), before, `${channel} has not frozen`);
    } finally {
        second.instances.forEach((instance) => instance.signal('SIGCONT'));
        churn.stop();
    }
    t.diagnostic(`for ${OUT_MS} ms; on the other shard a publish and a read took at most ${slowest} ms together`);
    assert.ok(slowest < 1000, `a publish and a read took ${slowest} ms`);
    await fleet.settled([second]);
    t.diagnostic(`back: exact after ${await crowd.exact(BOUND, 'all to be right again')} ms`);
    await crowd.apiExact(edges, BOUND);
    crowd.assertClean();
});

test('nothing remains', async () => {
    await scene.end();
    assert.deepEqual(scene.stray, []);
    await scene.close();
});
