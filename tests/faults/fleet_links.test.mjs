/* What can happen between edges and Redis: connections killed, replies lost, silence, and Redis not there at all. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { Fleet, H, L, MACHINE, app, isLong, sleep } from '../support/fleet.mjs';
import { exchange, get, post } from '../support/raw.mjs';
import { until } from '../support/wait.mjs';

const BLACKHOLE_MS = isLong ? 60_000 : 3 * L;
const OUTAGE_MS = isLong ? 2 * 60_000 * Number(process.env.ROLLCALL_SOAK_MINUTES) : L; /* an hour in a soak of the usual length */
const DEADLINE = 2000; /* of a command: a connection that is silent for so long is given up */
const DEGRADED = 1000; /* who subscribes waits so long for Redis */

/* Data that outlive the blackhole: when they do not, that is a loss, and removals wait. */
const fleet = await new Fleet({ changes: { presence: { data_ttl_ms: 2 * BLACKHOLE_MS + 60_000 } } }).populated();
const { crowd, rooms } = fleet;
const links = fleet.edges.flatMap((edge) => fleet.links.get(edge));

const MEMORY_NOISE_KIB = 32 << 10;
const memoryOf = ({ pid }) => Number(readFileSync(`/proc/${pid}/status`, 'latin1').match(/VmRSS:\s+(\d+)/)[1]);

async function underLoad(work) {
    const churn = fleet.churn();
    try {
        await work();
    } finally {
        churn.stop();
    }
}

test('CLIENT KILL of every kind, under load', async (t) => {
    const edgeClients = async (server) => (await server.ask('CLIENT', 'LIST')).split('\n').filter((line) => /user=rollcall/.test(line))
        .map((line) => Object.fromEntries(line.split(' ').map((field) => field.split('='))));
    const kinds = {
        'TYPE normal': (server) => server.ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
        'TYPE pubsub': (server) => server.ask('CLIENT', 'KILL', 'TYPE', 'pubsub'),
        USER: (server) => server.ask('CLIENT', 'KILL', 'USER', server.lines.find((line) => /^user rollcall/.test(line)).split(' ')[1]),
        'ID, one after the other': async (server) => {
            for (const { id } of await edgeClients(server))
                await server.ask('CLIENT', 'KILL', 'ID', id);
        },
        'ADDR of one': async (server) => server.ask('CLIENT', 'KILL', 'ADDR', (await edgeClients(server))[0].addr),
        LADDR: (server) => server.ask('CLIENT', 'KILL', 'LADDR', (server.where), 'SKIPME', 'yes'),
    };
    for (const [name, kill] of Object.entries(kinds)) {
        let killed = 0;
        await underLoad(async () => {
            for (let i = 0; i < 3; i++) {
                const counts = await fleet.ofEachServer(kill);
                killed += counts.reduce((sum, count) => sum + (Number(count) || 1), 0);
                await sleep(100 * i);
            }
        });
        assert.ok(killed > 0);
        t.diagnostic(await fleet.right(Date.now(), 2 * H, `after CLIENT KILL ${name} (${killed})`));
    }
});

test('SCRIPT FLUSH under load', async (t) => {
    await underLoad(async () => {
        for (let i = 0; i < 10; i++) {
            await fleet.ofEachServer((server) => server.ask('SCRIPT', 'FLUSH', i % 2 ? 'SYNC' : 'ASYNC'));
            await sleep(H / 5);
        }
    });
    t.diagnostic(await fleet.right(Date.now(), 2 * H, 'after ten SCRIPT FLUSHes'));
});

for (const [mode, ms] of [['WRITE', L / 2], ['ALL', L / 2], ['ALL', L + DEADLINE]])
    test(`CLIENT PAUSE ${ms} ${mode}`, async (t) => {
        const began = Date.now();
        await underLoad(async () => {
            await fleet.ofEachServer((server) => server.ask('CLIENT', 'PAUSE', ms, mode));
            await sleep(ms / 2);
        });
        t.diagnostic(await fleet.right(began, ms + 2 * H, `after the pause began`));
    });

test('replies are lost after they were applied', async (t) => {
    const before = await fleet.count('replays');
    await underLoad(async () => {
        for (let i = 0; i < 15; i++) {
            const link = links[i % links.length];
            link.loseReplies();
            await sleep(H / 5);
            link.cut();
        }
    });
    const began = Date.now();
    const dropped = links.reduce((sum, link) => sum + link.dropped, 0);
    t.diagnostic(await fleet.right(began, 2 * H, `after ${dropped} bytes of replies were lost`));
    const replays = await fleet.count('replays') - before;
    t.diagnostic(`${replays} batches were seen by Redis before`);
    assert.ok(replays > 0, 'a batch was sent again that had been applied');
});

/* Everyone's rosters freeze, nobody is missed, what people do is shown on their own edge; nothing grows meanwhile. */
test(`a blackhole of ${BLACKHOLE_MS} ms between all edges and Redis`, async (t) => {
    const [edge, other] = fleet.edges;
    const local = crowd.peopleOf(edge).filter(({ id }) => id.startsWith('churns'));
    links.forEach((link) => link.hold());
    await sleep(DEADLINE + H);
    const [room] = rooms;
    const asked = Date.now();
    const newcomer = await crowd.add(edge, 'came-in-the-dark');
    await newcomer.joinAll([room]);
    t.diagnostic(`who joins is answered after ${Date.now() - asked} ms`);
    assert.ok(Date.now() - asked < DEGRADED + MACHINE);
    await until(() => crowd.peopleOf(edge).every(({ rosters }) => !rosters.has(room) || rosters.get(room).has(newcomer.id)),
        'his own edge to show him');
    const stale = await exchange(edge, get(app, `/apps/7/channels/${room}/users`));
    assert.equal(stale.status, 200);
    assert.ok(Number(stale.headers['rollcall-stale']) >= 1, 'the answer says how old it is');
    assert.ok(JSON.parse(stale.body).users.some(({ id }) => id === newcomer.id));
    const list = await exchange(other, get(app, '/apps/7/channels'));
    assert.ok(Number(list.headers['rollcall-stale']) >= 1, 'so does the list');
    assert.equal((await exchange(edge, get(app, '/apps/7/channels/presence-unknown/users'))).status, 503);
    assert.equal((await exchange(edge, post(app, '/apps/7/events', JSON.stringify({ name: 'e', channel: room, data: '{}' })))).status, 503);
    const churn = crowd.churn(local, rooms, 1000);
    const frozen = crowd.peopleOf(other).map((person) => [person, JSON.stringify([...person.rosters].map(([channel, users]) => [channel, [...users]]))]);
    await sleep(BLACKHOLE_MS - DEADLINE - H);
    churn.stop();
    for (const [person, rosters] of frozen)
        assert.equal(JSON.stringify([...person.rosters].map(([channel, users]) => [channel, [...users]])), rosters, `${person.id}'s rosters have not frozen`);
    const metrics = await edge.metrics();
    for (const [name, value] of metrics)
        assert.ok(!name.includes('_unacknowledged') || value <= 8, `${name} ${value}`);
    crowd.assertClean();
    links.forEach((link) => link.release());
    t.diagnostic(await fleet.right(Date.now(), 2 * H, 'after the blackhole'));
    const fresh = await exchange(edge, get(app, `/apps/7/channels/${room}/users`));
    assert.equal(fresh.headers['rollcall-stale'], undefined);
    newcomer.close();
    crowd.people = crowd.people.filter((person) => person !== newcomer);
});

/* The others see them leave, and nobody else; they see nobody leave. */
test('half of the edges are cut off from Redis', async (t) => {
    const [edge, ...others] = fleet.edges;
    await fleet.right(Date.now(), H, 'before');
    const rosters = () => crowd.peopleOf(edge).map((person) => JSON.stringify([...person.rosters].map(([room, users]) => [room, [...users].sort()])));
    const frozen = rosters();
    const began = Date.now();
    fleet.links.get(edge).forEach((link) => link.hold());
    edge.cut = true;
    crowd.away(edge);
    t.diagnostic(await fleet.right(began, L + 2 * H, 'to the others'));
    const churn = crowd.churn(others.flatMap((other) => crowd.peopleOf(other)).filter(({ id }) => id.startsWith('churns')), rooms, 100);
    await sleep(L);
    churn.stop();
    assert.deepEqual(rosters(), frozen, 'they freeze');
    fleet.links.get(edge).forEach((link) => link.release());
    edge.cut = false;
    crowd.back(edge);
    t.diagnostic(await fleet.right(Date.now(), 2 * H, 'after it was back'));
});

/* What an edge remembers of an outage is where its own people are, so its memory is the same after a tenth of it and at its end. */
test(`Redis is gone for ${OUTAGE_MS} ms, and people come and go; then it is there again`, async (t) => {
    await fleet.ofEachServer((server) => server.kill());
    let early, late, lines;
    await underLoad(async () => {
        await sleep(OUTAGE_MS / 10);
        [early, lines] = [fleet.edges.map(memoryOf), fleet.edges.map((edge) => edge.log.all.length)];
        await sleep(OUTAGE_MS * 0.9);
        late = fleet.edges.map(memoryOf);
    });
    crowd.assertClean();
    const grown = late.map((kib, i) => kib - early[i]);
    const said = fleet.edges.map((edge, i) => edge.log.all.length - lines[i]);
    t.diagnostic(`memory of the edges after a tenth of it ${early} KiB, at the end ${late} KiB; lines in their logs meanwhile: ${said}`);
    grown.forEach((kib) => assert.ok(kib < MEMORY_NOISE_KIB, `an edge has grown by ${kib} KiB`));
    await fleet.ofEachServer((server) => server.start({ keep: true }));
    t.diagnostic(await fleet.right(Date.now(), L + 2 * H, 'after it was there again'));
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
