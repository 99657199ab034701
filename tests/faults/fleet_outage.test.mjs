/* Redis is out of reach for long: dead, not there from the start, or cut off until its data have expired. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { Fleet, H, L, MACHINE, S, app, isLong, sleep } from '../support/fleet.mjs';
import { exchange, get } from '../support/raw.mjs';
import { storedRight } from '../support/stored.mjs';
import { until } from '../support/wait.mjs';

const OUTAGE_MS = isLong ? 2 * 60_000 * Number(process.env.ROLLCALL_SOAK_MINUTES) : 2 * L; /* an hour in a soak of the usual length */
const DEGRADED = 1000; /* who subscribes waits so long for Redis */
const D = 4 * S; /* the least that a configuration may say */

/* What is freed has to be free: a sanitizer keeps it for a while otherwise. */
const fleet = await new Fleet({ sanitizer: 'quarantine_size_mb=1', changes: { presence: { data_ttl_ms: D } } }).populated();
const { crowd } = fleet;
const links = fleet.edges.flatMap((edge) => fleet.links.get(edge));

const MEMORY_NOISE_KIB = 8 << 10;
const memoryOf = ({ pid }) => Number(readFileSync(`/proc/${pid}/status`, 'latin1').match(/VmRSS:\s+(\d+)/)[1]);

/* What an edge says of its shards: rollcall_redis_up of each. */
async function shardsUp(edge) {
    return [...await edge.metrics()].filter(([name]) => name.startsWith('rollcall_redis_up')).map(([, value]) => value);
}

/* What an edge remembers of an outage is where its own people are, so in an hour its memory is the same after a tenth of it and at
 * its end. It says that its shards are lost, and does not go on saying so. */
test(`Redis is gone for ${OUTAGE_MS} ms, and people come and go; then it is there again`, async (t) => {
    const from = fleet.edges.map((edge) => edge.log.all.length);
    const churn = fleet.churn();
    await fleet.ofEachServer((server) => server.kill());
    await sleep(OUTAGE_MS / 10);
    const early = fleet.edges.map(memoryOf);
    await sleep(OUTAGE_MS * 0.9);
    const late = fleet.edges.map(memoryOf);
    crowd.assertClean();
    for (const [i, edge] of fleet.edges.entries()) {
        const lines = edge.log.all.slice(from[i]).map(({ line }) => line);
        for (const { name } of fleet.redis.shards)
            assert.equal(lines.filter((line) => line.includes(`"redis.lost","message":"shard ${name}: `)).length, 1, lines.join('\n'));
        assert.ok(lines.length <= 2 * fleet.servers.length, `the two connections to each, and no more: ${lines.join('\n')}`);
        assert.deepEqual(await shardsUp(edge), fleet.servers.map(() => 0));
    }
    churn.stop();
    t.diagnostic(`memory of the edges after a tenth of it ${early} KiB, at the end ${late} KiB`);
    if (isLong) /* a short one ends while they still grow to what they need */
        late.forEach((kib, i) => assert.ok(kib - early[i] < MEMORY_NOISE_KIB, `an edge has grown by ${kib - early[i]} KiB`));
    await fleet.ofEachServer((server) => server.start({ keep: true }));
    t.diagnostic(await fleet.right(Date.now(), L + 2 * H, 'after it was there again'));
    await fleet.calm();
});

/* Leases, records and rosters have expired when the edges are back: that is a loss, for which removals wait. */
test('all edges are cut off until their data have expired', async (t) => {
    const churn = fleet.churn(50);
    links.forEach((link) => link.hold());
    await sleep(D);
    await until(async () => (await fleet.keysOf('o', 'h', 'r', 's', 'c')).length === 0, 'all that is mortal to be gone', S);
    churn.stop();
    crowd.assertClean();
    links.forEach((link) => link.release());
    const began = Date.now();
    t.diagnostic(await fleet.right(began, L + 2 * H, 'after they were back'));
    t.diagnostic(`what is in Redis is right after ${await storedRight(fleet, began + L + 2 * H + MACHINE - Date.now(), 'again') && Date.now() - began} ms`);
});

test('the edges leave cleanly, and nothing was wrong', async () => {
    crowd.assertClean();
    await fleet.close();
});

test('Redis is gone from the start', async (t) => {
    const late = new Fleet({ names: ['d', 'e'], links: false });
    await late.redis.start();
    await late.ofEachServer((server) => server.kill());
    late.edges = await Promise.all(late.names.map((name) => late.startEdge(name)));
    const began = Date.now();
    await Promise.all(late.edges.map((edge) => late.populate(edge)));
    assert.ok(Date.now() - began < DEGRADED + MACHINE, 'everyone is answered');
    for (const edge of late.edges)
        for (const person of late.crowd.peopleOf(edge))
            for (const room of late.rooms.filter((name) => person.rosters.has(name)))
                assert.deepEqual([...person.rosters.get(room)].sort(), [...new Set(late.crowd.peopleOf(edge).filter(({ joined }) => joined.has(room)).map(({ id }) => id))].sort());
    assert.equal((await late.edges[0].admin('/readyz')).status, 200, 'an edge without Redis serves its own');
    const answer = await exchange(late.edges[0], get(app, `/apps/7/channels/${late.rooms[0]}/users`));
    assert.ok(Number(answer.headers['rollcall-stale']) >= 0, 'and says that it does not know the rest');
    const churn = late.churn();
    await sleep(L);
    churn.stop();
    late.crowd.assertClean();
    await late.ofEachServer((server) => server.start({ keep: true }));
    t.diagnostic(await late.right(Date.now(), 2 * H, 'after Redis was there'));
    await until(async () => (await late.edges[0].metrics()).get('rollcall_presence_degraded_answers_total') > 0, 'the metric');
    await late.close();
});
