/* Metrics: their form, as Prometheus' own tool sees it; soketi's names, by app; histograms that count what happened. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, hears, subscribe } from '../support/clients.mjs';
import { app as fleetApp, presence } from '../support/fleet.mjs';
import { promtool } from '../support/prometheus.mjs';
import { openWebSocket } from '../support/raw.mjs';
import { RedisFleet } from '../support/redis.mjs';
import { app, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const other = { id: '8', key: 'other-key', secret: 'other-secret' };
const server = await startServer({ apps: [app, other] });
const fleet = new RedisFleet({ shardCount: 2, replicas: 0, sentinelCount: 0, minReplicas: 0 });
await fleet.start();
const edge = await startServer({
    apps: [fleetApp], presence,
    redis: {
        cluster: 'test',
        shards: fleet.shards.map(({ name, user, password, instances: [redis] }) =>
            ({ name, username: user, password, address: `127.0.0.1:${redis.port}` })),
    },
});

/* soketi's counters of bytes have no _total, and the names are its own; there is nothing else to complain of. */
const SOKETI = /^soketi_(socket|http)_(received|transmitted)_bytes counter metrics should have "_total" suffix$/;

for (const [name, of] of [['memory', server], ['Redis', edge]])
    test(`promtool has nothing to say of the metrics with ${name}, but of soketi's names`, async () => {
        const text = await (await of.admin('/metrics')).text();
        const { output } = await promtool(['check', 'metrics'], text);
        assert.deepEqual(output.split('\n').filter((line) => line && !SOKETI.test(line)), []);
        assert.match((await promtool(['check', 'metrics'], `${text}broken{ 1\n`)).output, /error/i, 'it would have said');
    });

const soketi = (metrics, name, id = app.id) => metrics.get(`soketi_${name}{app_id="${id}",port="${server.port}"}`);

/* The sum over all workers, or shards. */
const counted = (metrics, name) => [...metrics].filter(([sample]) => sample.startsWith(`${name}_count{`)).reduce((sum, [, n]) => sum + n, 0);

test('an app is counted by itself, under soketi\'s names', async () => {
    const before = await server.metrics();
    const pushers = await Promise.all(Array.from({ length: 5 }, () => connectPusher(server)));
    await Promise.all(pushers.map((pusher) => subscribe(pusher, 'counted')));
    const call = await backEnd(server).trigger('counted', 'e', 'x'.repeat(1000));
    const answer = await call.text();
    await Promise.all(pushers.map((pusher) => hears(pusher, 'e')));
    const after = await server.metrics();
    const rose = (name, id) => soketi(after, name, id) - soketi(before, name, id);
    assert.equal(soketi(after, 'connected'), 5);
    assert.equal(rose('new_connections_total'), 5);
    assert.equal(rose('new_disconnections_total'), 0);
    assert.equal(rose('ws_messages_received_total'), 5, 'the subscriptions');
    assert.equal(rose('ws_messages_sent_total'), 15, 'established, subscribed, the event');
    assert.ok(rose('socket_received_bytes') >= 5 * '{"event":"pusher:subscribe","data":{"channel":"counted"}}'.length);
    assert.ok(rose('socket_transmitted_bytes') >= 5 * 1000 && rose('socket_transmitted_bytes') < 5 * 3000);
    assert.equal(rose('http_calls_received_total'), 1);
    assert.ok(rose('http_received_bytes') > 1000 && rose('http_received_bytes') < 2000);
    assert.equal(rose('http_transmitted_bytes'), answer.length);
    for (const name of ['connected', 'new_connections_total', 'ws_messages_sent_total', 'http_calls_received_total'])
        assert.equal(soketi(after, name, other.id), 0, `the other app has no ${name}`);
    pushers.forEach(disconnect);
    await until(async () => soketi(await server.metrics(), 'connected') === 0, 'nobody');
    assert.equal(soketi(await server.metrics(), 'new_disconnections_total') - soketi(before, 'new_disconnections_total'), 5);
});

test('who is refused before he has an app is no app\'s, and a request without a right signature neither', async () => {
    const before = await server.metrics();
    const stranger = await openWebSocket(server, '/app/nobody?protocol=7');
    assert.equal((await stranger.ended()).code, 4001);
    await backEnd(server, { secret: 'wrong' }).trigger('c', 'e', 1).catch(() => {});
    const after = await server.metrics();
    for (const [sample, value] of before)
        if (sample.startsWith('soketi_'))
            assert.equal(after.get(sample), value, sample);
});

test('histograms count what happened, and their buckets go up', async () => {
    const before = await server.metrics();
    const pusher = await connectPusher(server);
    await subscribe(pusher, 'timed');
    for (let i = 0; i < 3; i++) {
        await backEnd(server).trigger('timed', 'e', i);
        await hears(pusher, 'e');
    }
    await backEnd(server).get({ path: '/channels' });
    const after = await server.metrics();
    const rose = (name) => counted(after, name) - counted(before, name);
    assert.equal(rose('rollcall_publish_seconds'), 3, 'a question is no publish');
    assert.equal(rose('rollcall_delivery_seconds'), 3);
    assert.equal(rose('rollcall_join_seconds'), 1);
    assert.ok(counted(after, 'rollcall_loop_lag_seconds') > 0);
    let last = 0;
    for (const [sample, value] of after) {
        const bucket = sample.match(/^rollcall_publish_seconds_bucket\{worker="0",le="(.*)"\}$/);
        if (bucket) {
            assert.ok(value >= last);
            last = value;
        }
    }
    assert.equal(last, after.get('rollcall_publish_seconds_count{worker="0"}'));
    disconnect(pusher);
});

test('Redis\' answers and its bus are timed, shard by shard', async () => {
    await until(async () => {
        const metrics = await edge.metrics();
        return fleet.shards.every(({ name }) => metrics.get(`rollcall_redis_command_seconds_count{shard="${name}"}`) > 0
            && metrics.get(`rollcall_redis_bus_seconds_count{shard="${name}"}`) > 0);
    }, 'both shards to be timed');
    const metrics = await edge.metrics();
    for (const { name } of fleet.shards) {
        assert.equal(metrics.get(`rollcall_redis_up{shard="${name}"}`), 1);
        assert.equal(metrics.get(`rollcall_redis_confirmed{shard="${name}"}`), 1, 'a fixed address needs no Sentinel');
        assert.ok(metrics.get(`rollcall_redis_command_seconds_sum{shard="${name}"}`) / metrics.get(`rollcall_redis_command_seconds_count{shard="${name}"}`) < 0.5);
    }
});

test('the servers leave with 0', async () => {
    await Promise.all([server.stop(), edge.stop()]);
    await fleet.stop();
});
