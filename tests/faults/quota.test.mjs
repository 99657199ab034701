/* An app's limit of connections is one of the whole fleet: edges tell each other with their heartbeats, so it is right
 * within one or two. */

import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { H, L, MACHINE, presence, sleep } from '../support/fleet.mjs';
import { openPusher, openWebSocket } from '../support/raw.mjs';
import { RedisFleet } from '../support/redis.mjs';
import { endsCleanly, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const redis = await new RedisFleet({ shardCount: 1, replicas: 0, sentinelCount: 0, minReplicas: 0 }).start();
after(() => redis.stop());
const [shard] = redis.shards;
const small = { id: 'small app', key: 'small-key', secret: 'x', limits: { connections: 3 } };
const startEdge = (name) => startServer({
    edge: { name },
    apps: [small, { id: 'other', key: 'other-key', secret: 'x', limits: { connections: 3 } }, { id: 'free', key: 'free-key', secret: 'x' }],
    presence,
    redis: {
        cluster: 'test',
        shards: [{ name: shard.name, username: shard.user, password: shard.password, address: shard.instances[0].where }],
    },
});
const [a, b] = await Promise.all([startEdge('a'), startEdge('b')]);
const path = '/app/small-key?protocol=7';

async function refusal(edge, at = path) {
    const raw = await openWebSocket(edge, at);
    const { event, data } = await raw.messages.next();
    if (event === 'pusher:connection_established') {
        raw.destroy();
        return 0;
    }
    assert.equal((await raw.ended()).code, data.code);
    return data.code;
}

const isFull = (edge) => async () => await refusal(edge) === 4004;
const hasRoom = (edge) => async () => await refusal(edge) === 0;

test('connections of two edges count together, and those of other apps do not', async () => {
    const [one, two] = await Promise.all([a, a].map((edge) => openPusher(edge, path)));
    const three = await openPusher(b, path);
    await until(isFull(a), 'edge a to know of the third', 3 * H + MACHINE);
    await until(isFull(b), 'edge b to know of the first two', 3 * H + MACHINE);
    assert.equal(await refusal(b, '/app/other-key?protocol=7'), 0);
    assert.equal(await refusal(b, '/app/free-key?protocol=7'), 0);
    await sleep(2 * H);
    assert.equal(await refusal(b), 4004); /* those who are refused do not count, nor does it pass by itself */
    one.destroy();
    await until(hasRoom(b), 'edge b to have room again', 3 * H + MACHINE);
    two.destroy();
    three.destroy();
});

test('connections of an edge that died count until its lease has run out', async () => {
    const doomed = await startEdge('doomed');
    await Promise.all([1, 2, 3].map(() => openPusher(doomed, path)));
    await until(isFull(a), 'edge a to know of them', 3 * H + MACHINE);
    doomed.signal('SIGKILL');
    for (const edge of [a, b]) /* b may hear of it a heartbeat later */
        await until(hasRoom(edge), `room on edge ${edge.settings.edge.name}`, L + 4 * H + MACHINE);
});

/* Whoever stops as planned sends its clients to the others: they must find room there at once. */
test('connections of an edge that stops do not count', async () => {
    const leaving = await startEdge('leaving');
    await Promise.all([1, 2, 3].map(() => openPusher(leaving, path)));
    await until(isFull(b), 'edge b to know of them', 3 * H + MACHINE);
    leaving.signal('SIGTERM');
    await until(hasRoom(b), 'room on edge b', 3 * H + MACHINE);
    await leaving.leftCleanly();
});

endsCleanly(a);
endsCleanly(b);
