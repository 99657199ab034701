/* An edge whose Redis is out of reach calls itself blind after a lease; whether it is still ready is the operator's choice. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { app, presence } from '../support/fleet.mjs';
import { RedisFleet } from '../support/redis.mjs';
import { startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const fleet = new RedisFleet({ shardCount: 1, replicas: 0, sentinelCount: 0, minReplicas: 0 });
await fleet.start();
const [{ name, user, password, instances: [redis] }] = fleet.shards;

const start = (edge, changes) => startServer({
    edge: { name: edge },
    apps: [app],
    presence: { ...presence, ...changes },
    redis: { cluster: 'test', shards: [{ name, username: user, password, address: `127.0.0.1:${redis.port}` }] },
});

const tolerant = await start('tolerant', {});
const strict = await start('strict', { ready_when_blind: false });
const edges = [tolerant, strict];

/* On both listeners, which must agree. */
async function readiness(edge) {
    const answers = await Promise.all([edge.admin('/readyz'), fetch(edge.url('/readyz'))]);
    const told = await Promise.all(answers.map((answer) => answer.json()));
    return JSON.stringify(told[0]) === JSON.stringify(told[1]) && { status: answers[0].status, ...told[0] };
}

const isReady = async (edge) => JSON.stringify(await readiness(edge)) === '{"status":200,"ready":true,"reasons":[]}';

test('with Redis both are ready', async () => {
    for (const edge of edges)
        await until(() => isReady(edge), 'the edge to be ready');
});

test('without it one says so and stays ready, the other does not; both are alive', async () => {
    await redis.kill();
    const blind = async (edge, list) => {
        const answer = await readiness(edge);
        return answer[list]?.[0]?.reason === 'blind' && answer;
    };
    const told = await until(() => blind(tolerant, 'tolerated'), 'the tolerant one to be blind');
    assert.equal(told.status, 200);
    assert.deepEqual(told.reasons, []);
    const refused = await until(() => blind(strict, 'reasons'), 'the strict one to be blind');
    assert.equal(refused.status, 503);
    assert.equal(refused.ready, false);
    assert.match(refused.reasons[0].why, new RegExp(`shard ${name} `));
    for (const edge of edges)
        for (const answer of [await edge.admin('/healthz'), await fetch(edge.url('/healthz'))])
            assert.equal(answer.status, 200, 'health does not depend on Redis');
});

test('and with Redis again both are ready again', async () => {
    await redis.start({ keep: true });
    for (const edge of edges)
        await until(() => isReady(edge), 'the edge to be ready');
    for (const edge of edges)
        await edge.stop();
    await fleet.stop();
});
