/* Reloading in a fleet: shards get other passwords, and another shard, while people stay. */

import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { authorize } from '../support/clients.mjs';
import { L, presence } from '../support/fleet.mjs';
import { openPusher } from '../support/raw.mjs';
import { RedisFleet } from '../support/redis.mjs';
import { app, config, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const redis = await new RedisFleet({ shardCount: 3, replicas: 0, sentinelCount: 0, minReplicas: 0 }).start();
after(() => redis.stop());
const [first, second, third] = redis.shards.map(({ name, user, password, instances }) =>
    ({ name, username: user, password, address: instances[0].where, server: instances[0] }));
const settings = (name, ...shards) => ({
    edge: { name, workers: 1 }, apps: [app], presence,
    redis: { cluster: 'test', shards: shards.map(({ server: _, ...shard }) => shard) },
});
const [a, b] = await Promise.all(['a', 'b'].map((name) => startServer(settings(name, first, second))));
const rooms = Array.from({ length: 12 }, (_, i) => `presence-room-${i}`);

async function enter(edge, user, room) {
    const raw = await openPusher(edge);
    raw.send('pusher:subscribe', { channel: room, ...authorize(edge, raw.socketId, room, { user_id: user }) });
    const { data } = await raw.next('pusher_internal:subscription_succeeded', room);
    return { raw, ids: JSON.parse(data).presence.ids };
}

async function take(edge, name, ...shards) {
    const { status, text } = await edge.reload(config(settings(name, ...shards)));
    assert.equal(status, 200, text);
    return text;
}

/* How many partitions of an edge are ready on that shard. */
async function ready(edge, shard) {
    let count = 0;
    for (const [name, value] of await edge.metrics())
        count += value === 1 && name.startsWith('rollcall_presence_partition_ready') && name.includes(`shard="${shard}"`);
    return count;
}

const half = presence.partitions / 2;
const people = [];

test('people are in, on both edges', async () => {
    await until(async () => await ready(a, first.name) === half && await ready(b, second.name) === half, 'the shards to be ready');
    for (const room of rooms)
        people.push(await enter(a, 'ann', room), await enter(b, 'bob', room));
});

test('a password is changed in the server and then on the edges, which nobody notices', async () => {
    const fresh = { ...first, password: 'another-password' };
    await first.server.ask('ACL', 'SETUSER', first.username, `>${fresh.password}`);
    assert.match(await take(a, 'a', fresh, second), /changed: redis\.shards/);
    await take(b, 'b', fresh, second);
    await first.server.ask('ACL', 'SETUSER', first.username, `<${first.password}`);
    await first.server.ask('CLIENT', 'KILL', 'USER', first.username);
    await until(async () => await ready(a, first.name) === half && await ready(b, first.name) === half, 'the edges to be back');
    first.password = fresh.password;
});

test('one more shard: the partitions move to it when both edges know of it, and are used there', async () => {
    await take(a, 'a', first, second, third);
    await take(b, 'b', first, second, third);
    await until(async () => await ready(a, third.name) > 0 && await ready(b, third.name) > 0, 'partitions to be on the third');
    await until(async () => (await Promise.all([first, second, third].map(({ name }) => ready(b, name)))).reduce((x, y) => x + y) === presence.partitions,
        'all to be ready');
    for (const [i, room] of rooms.entries()) {
        const { raw, ids } = await enter(i % 2 ? a : b, 'carl', room);
        assert.deepEqual(ids.sort(), ['ann', 'bob', 'carl'], room);
        raw.destroy();
    }
});

test('a list that cannot be is refused, and everything stays', async () => {
    const { status, text } = await a.reload(config(settings('a', first, { ...second, name: first.name })));
    assert.equal(status, 422, text);
    assert.match(text, /redis\.shards\[1\]/);
    assert.ok(await ready(a, third.name) > 0);
});

test('nobody who stayed has been told that anyone who stayed has left', async () => {
    await new Promise((resolve) => setTimeout(resolve, 2 * L)); /* by then who was taken for dead would be removed */
    for (const { raw } of people) {
        await raw.settled();
        const left = raw.messages.all.filter(({ event }) => event === 'pusher_internal:member_removed').map(({ data }) => JSON.parse(data).user_id);
        assert.deepEqual(left.filter((user) => user !== 'carl'), []);
    }
    people.forEach(({ raw }) => raw.destroy());
});

test('both leave with 0', async () => {
    await Promise.all([a.stop(), b.stop()]);
});
