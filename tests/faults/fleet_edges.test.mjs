/* Edges that come, stand still and die, and people who leave two of them at once. Two of the three edges have one name:
 * a name is only a label. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { Fleet, H, L, LATE, MACHINE, isLong, sleep } from '../support/fleet.mjs';
import { until } from '../support/wait.mjs';

const fleet = await new Fleet({ names: ['a', 'twin', 'twin'] }).populated();
const { crowd, rooms } = fleet;

test('a join and a leave, to the clients of every edge', async (t) => {
    const took = [];
    for (let i = 0; i < 30; i++) {
        const person = await crowd.add(fleet.edges[i % 3], `visits-${i}`);
        for (const act of ['join', 'leave']) {
            const began = Date.now();
            person[act](rooms[i % rooms.length]);
            await crowd.exact(H + MACHINE, `the ${act} to be seen everywhere`);
            took.push(Date.now() - began);
        }
        crowd.dismiss([person]);
    }
    took.sort((x, y) => x - y);
    t.diagnostic(`joins and leaves seen by all clients: half within ${took[30]} ms, all within ${took.at(-1)} ms (looked at every 20 ms)`);
    assert.ok(took[30] < 100, `half of them took ${took[30]} ms`);
    t.diagnostic(await fleet.right(Date.now(), H, 'after visits'));
});

/* Every watcher is told once that he left: a second word, or none, would show in his roster. */
test('a user on two edges leaves both at the same moment, thousands of times', async (t) => {
    const rounds = isLong ? 200 : 20, users = 100;
    const sides = await Promise.all([0, 1].map((i) => Promise.all(
        Array.from({ length: users }, (_, k) => crowd.add(fleet.edges[(i + 1) % 3], `pair-${k}`)))));
    const began = Date.now();
    for (let round = 0; round < rounds; round++) {
        const room = rooms[round % rooms.length];
        await Promise.all(sides.flat().map((person) => person.joinAll([room])));
        await crowd.exact(H + MACHINE, `the joins of round ${round}`);
        for (let k = 0; k < users; k++)
            for (const side of round % 2 ? [0, 1] : [1, 0])
                sides[side][k].leave(room);
        await crowd.exact(H + MACHINE, `the leaves of round ${round}`);
    }
    t.diagnostic(`${rounds * users} times, ${Date.now() - began} ms`);
    t.diagnostic(await fleet.right(Date.now(), H, 'after the leaves'));
    crowd.dismiss(sides.flat());
});

/* While people come and go on the others. */
function churnElsewhere(edge) {
    return fleet.churn(50, Math.random, crowd.people.filter((person) => person.edge !== edge));
}

test('an edge stands still for less than its lease: nothing that anyone can see', async (t) => {
    for (const edge of fleet.edges) {
        const churn = churnElsewhere(edge);
        fleet.stopEdge(edge);
        await sleep(L - LATE);
        fleet.continueEdge(edge);
        await sleep(2 * H); /* whoever was missed would be reaped now */
        churn.stop();
        t.diagnostic(await fleet.right(Date.now(), 0, 'after a pause'));
    }
    assert.equal(await fleet.count('reaps'), 0);
});

test('an edge stands still for longer, and goes on', async (t) => {
    const [edge] = fleet.edges;
    let churn = churnElsewhere(edge);
    const began = Date.now();
    fleet.stopEdge(edge);
    await sleep(L - LATE);
    crowd.assertClean();
    crowd.away(edge);
    await sleep(LATE);
    churn.stop();
    t.diagnostic(await fleet.right(began, L + 2 * H, 'while it stands still'));
    churn = churnElsewhere(edge);
    await sleep(H);
    fleet.continueEdge(edge);
    crowd.back(edge);
    await sleep(H);
    churn.stop();
    t.diagnostic(await fleet.right(Date.now(), H, 'after it went on for a heartbeat')); /* 2 H in all */
});

/* The others' replies are late, so that the drain takes a while; the edge goes on in the midst of it. Its own are late when it
 * stops, so that most of its heartbeats are out: where nobody has condemned it yet, nobody does once it is back. */
test('an edge goes on while it is being drained', async (t) => {
    const [edge] = fleet.edges;
    const many = await crowd.add(edge, 'is-in-many-rooms');
    await many.joinAll(Array.from({ length: 1000 }, (_, i) => `presence-drain-${i}`));
    await fleet.right(Date.now(), H, 'before the drain');
    const others = fleet.edges.slice(1).flatMap((one) => fleet.links.get(one));
    others.forEach((link) => Object.assign(link, { lag_ms: 50 }));
    const held = async () => {
        const sizes = await Promise.all((await fleet.keysOf('h')).map(([server, key]) => server.ask('SCARD', key)));
        return sizes.reduce((sum, size) => sum + size, 0);
    };
    const before = await held();
    const own = fleet.links.get(edge);
    own.forEach((link) => Object.assign(link, { lag_ms: 300 }));
    await sleep(2 * H);
    fleet.stopEdge(edge);
    own.forEach((link) => Object.assign(link, { lag_ms: 0 }));
    crowd.away(edge);
    let left;
    await until(async () => (left = await held()) < before - 100, 'the drain to begin', 2 * L);
    fleet.continueEdge(edge);
    crowd.back(edge);
    const began = Date.now();
    others.forEach((link) => Object.assign(link, { lag_ms: 0 }));
    t.diagnostic(`went on when ${before - left} of its facts were drained`);
    assert.ok(left > before - 1000, `the drain was over: ${left} of ${before} facts are left`);
    t.diagnostic(await fleet.right(began, 2 * H, 'after it went on'));
    await sleep(2 * H);
    crowd.assertClean();
    crowd.dismiss([many]);
});

test('an edge is killed under load', async (t) => {
    const edge = fleet.edges[1];
    const churn = fleet.churn();
    await sleep(H);
    const began = Date.now();
    await fleet.killEdge(edge);
    await sleep(L);
    churn.stop();
    t.diagnostic(await fleet.right(began, L + 2 * H, 'after kill -9'));
    await fleet.replaceEdge(edge);
    t.diagnostic(await fleet.right(Date.now(), H, 'with a new edge of that name'));
});

test('an edge is stopped as planned: its members leave at once', async (t) => {
    const edge = fleet.edges[2];
    edge.signal('SIGTERM');
    edge.gone = true;
    crowd.lose(edge);
    t.diagnostic(await fleet.right(Date.now(), 2 * H, 'after SIGTERM'));
    await edge.leftCleanly();
});

test('the edges leave cleanly, and nothing was wrong', async () => {
    crowd.assertClean();
    await fleet.close();
});
