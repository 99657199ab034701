/* Webhooks of a fleet, from the outbox in Redis: edges die at any moment, endpoints hang, nothing is missing.
 * ROLLCALL_KILLS says how often an edge is killed (20). */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { authorize } from '../support/clients.mjs';
import { hook, receiver } from '../support/hooks.mjs';
import { appPath, openPusher } from '../support/raw.mjs';
import { RedisFleet } from '../support/redis.mjs';
import { app, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const KILLS = Number(process.env.ROLLCALL_KILLS ?? 20);
const presence = { store: 'redis', heartbeat_ms: 500, lease_ms: 2000, scrub_ms: 3000, data_ttl_ms: 60_000, partitions: 2, retire_grace_ms: 0 };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const fleet = new RedisFleet({});
await fleet.start();
after(() => fleet.stop());
const [all, beside] = [await receiver(), await receiver()];
const hangs = await receiver({ answer: () => {} });
const free = { ...app, limits: { presence_members: 0 } };
const mixed = { ...app, id: 'mixed', key: 'mixed-key' };

const startEdge = () => startServer({
    edge: { workers: 1, messages_per_second: 0 }, presence, redis: fleet.redisConfig(),
    apps: [{ ...free, webhooks: [hook(all)] }, { ...mixed, webhooks: [hook(hangs), hook(beside)] }],
});
const edges = await Promise.all([startEdge(), startEdge(), startEdge()]);

async function join(edge, of, channel, user) {
    const raw = await openPusher(edge, appPath(edge, undefined, of.key));
    raw.send('pusher:subscribe', { channel, ...authorize({ app: of, host: edge.host, port: edge.port }, raw.socketId, channel, { user_id: user }) });
    await raw.next('pusher_internal:subscription_succeeded', channel);
    return raw;
}

test('each transition is told once, whichever edge saw it; client events and reasons, too', async () => {
    const [ann, bob] = [await join(edges[0], app, 'presence-x', 'ann'), await join(edges[1], app, 'presence-x', 'bob')];
    ann.send('client-word', { a: 1 }, 'presence-x');
    const { data, user_id: user } = await all.event('client_event', 'presence-x');
    assert.deepEqual({ data, user }, { data: '{"a":1}', user: 'ann' });
    ann.destroy();
    assert.equal((await all.event('member_removed', 'presence-x', 'ann')).reason, 'closed');
    bob.send('pusher:unsubscribe', { channel: 'presence-x' });
    assert.equal((await all.event('member_removed', 'presence-x', 'bob')).reason, 'unsubscribed');
    await all.event('channel_vacated', 'presence-x');
    assert.deepEqual(all.history('presence-x'), ['channel_occupied', 'member_added ann', 'member_added bob', 'client_event ann',
        'member_removed ann', 'member_removed bob', 'channel_vacated']);
    bob.destroy();
});

test('an endpoint that hangs holds up neither the other one of its app nor other apps', async () => {
    const stuck = await join(edges[0], mixed, 'presence-stuck', 'ann');
    await hangs.deliveries.next();
    for (let i = 0; i < 4; i++) {
        const began = Date.now();
        const raws = await Promise.all([join(edges[i % 3], app, `presence-free-${i}`, 'ann'), join(edges[i % 3], mixed, `presence-beside-${i}`, 'ann')]);
        const told = await Promise.all([all.event('member_added', `presence-free-${i}`), beside.event('member_added', `presence-beside-${i}`)]);
        for (const { at } of told)
            assert.ok(at - began < 5000, `told after ${at - began} ms`);
        raws.forEach((raw) => raw.destroy());
    }
    stuck.destroy();
});

/* Every visit has a user of its own: one arrival and one departure, in this order, whatever happens. */
test(`${KILLS} times an edge is killed: no event missing, order kept, repeats have the same id`, async () => {
    const visits = [];
    const visit = async (edge, user) => {
        const raw = await join(edge, app, `presence-churn-${user % 4}`, `v${user}`).catch(() => null);
        if (raw)
            visits.push({ user: `v${user}`, raw }); /* answered: Redis has it */
    };
    for (let kill = 0, user = 0; kill < KILLS; kill++) {
        const round = [];
        for (let i = 0; i < 9; i++)
            round.push(visit(edges[i % 3], user++));
        await pause(Math.random() * 300);
        const dies = Math.floor(Math.random() * 3);
        edges[dies].signal('SIGKILL');
        edges[dies] = await startEdge();
        await Promise.all(round);
        visits.filter(() => Math.random() < 0.3).forEach(({ raw }) => raw.destroy());
    }
    assert.ok(visits.length >= KILLS * 4, `${visits.length} visits`);
    visits.forEach(({ raw }) => raw.destroy());
    const has = (name, user) => all.events.all.some((event) => event.name === name && event.user_id === user);
    const missing = () => visits.filter(({ user }) => !has('member_added', user) || !has('member_removed', user)).map(({ user }) => user);
    await until(() => missing().length === 0, 'every arrival and departure', 30_000).catch((error) => {
        throw new Error(`${error.message}; missing: ${missing().slice(0, 10)} of ${visits.length}`);
    });
    const byId = new Map();
    for (const { at, ...event } of all.events.all) {
        const before = byId.get(event.id);
        assert.ok(!before || JSON.stringify(before) === JSON.stringify(event), 'a repeat is the same event');
        byId.set(event.id, before ?? event);
    }
    for (const { user } of visits) {
        const own = [...byId.values()].filter((event) => event.user_id === user).map(({ name }) => name);
        assert.deepEqual(own, ['member_added', 'member_removed'], user);
    }
    all.assertValid({ app, host: '127.0.0.1', port: 1 });
});

test('the edges leave with 0, and no sanitizer has anything to say', async () => {
    for (const edge of edges)
        await edge.stop();
});
