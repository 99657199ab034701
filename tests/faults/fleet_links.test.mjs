/* What can happen between edges and Redis: connections killed, replies lost, silence. (For how long: fleet_outage.test.mjs.) */

import assert from 'node:assert/strict';
import test from 'node:test';
import { Fleet, H, L, LATE, MACHINE, app, isLong, sleep } from '../support/fleet.mjs';
import { exchange, get, post } from '../support/raw.mjs';
import { until } from '../support/wait.mjs';

const BLACKHOLE_MS = isLong ? 60_000 : 3 * L;
const DEADLINE = 2000; /* of a command: a connection that is silent for so long is given up */
const DEGRADED = 1000; /* who subscribes waits so long for Redis */

/* Data that outlive the blackhole: when they do not, that is a loss, and removals wait. */
const fleet = await new Fleet({ changes: { presence: { data_ttl_ms: 2 * BLACKHOLE_MS + 60_000 } } }).populated();
const { crowd, rooms } = fleet;
const links = fleet.edges.flatMap((edge) => fleet.links.get(edge));

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
            let killed = 0;
            for (const { id } of await edgeClients(server))
                killed += await server.ask('CLIENT', 'KILL', 'ID', id);
            return killed;
        },
        'ADDR of one': async (server) => server.ask('CLIENT', 'KILL', 'ADDR', (await edgeClients(server))[0].addr),
        LADDR: (server) => server.ask('CLIENT', 'KILL', 'LADDR', (server.where), 'SKIPME', 'yes'),
    };
    for (const [name, kill] of Object.entries(kinds)) {
        let killed = 0;
        await underLoad(async () => {
            for (let i = 0; i < 3; i++) {
                const counts = await fleet.ofEachServer(kill);
                killed += counts.reduce((sum, count) => sum + count, 0);
                await sleep(100 * i);
            }
        });
        assert.ok(killed >= fleet.servers.length, `${killed} connections were killed`);
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
    crowd.dismiss([newcomer]);
});

/* The others see them leave, when their lease has run out, and nobody else; they see nobody leave. */
test('half of the edges are cut off from Redis, while people come and go on the others', async (t) => {
    const [edge, ...others] = fleet.edges;
    await fleet.right(Date.now(), H, 'before');
    const rosters = () => crowd.peopleOf(edge).map((person) => JSON.stringify([...person.rosters].map(([room, users]) => [room, [...users].sort()])));
    const frozen = rosters();
    const elsewhere = others.flatMap((other) => crowd.peopleOf(other));
    let churn = fleet.churn(100, Math.random, elsewhere);
    const began = Date.now();
    fleet.links.get(edge).forEach((link) => link.hold());
    edge.cut = true;
    await sleep(L - LATE);
    crowd.assertClean();
    crowd.away(edge);
    await sleep(LATE);
    churn.stop();
    t.diagnostic(await fleet.right(began, L + 2 * H, 'to the others'));
    churn = fleet.churn(100, Math.random, elsewhere);
    await sleep(L);
    assert.deepEqual(rosters(), frozen, 'they freeze');
    fleet.links.get(edge).forEach((link) => link.release());
    edge.cut = false;
    crowd.back(edge);
    await sleep(H);
    churn.stop();
    t.diagnostic(await fleet.right(Date.now(), H, 'after it was back for a heartbeat')); /* 2 H in all */
});

test('the edges leave cleanly, and nothing was wrong', async () => {
    crowd.assertClean();
    await fleet.close();
});
