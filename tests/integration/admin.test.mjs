/* What operators ask: health, readiness, metrics that add up. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, hears, subscribe } from '../support/clients.mjs';
import { endsCleanly, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const server = await startServer();
const back = backEnd(server);

test('health and readiness, on the admin port; health on the main port', async () => {
    for (const path of ['/healthz', '/readyz'])
        assert.equal((await server.admin(path)).status, 200);
    assert.equal((await fetch(server.url('/healthz'))).status, 200);
    assert.equal((await server.admin('/nothing')).status, 404);
});

test('metrics are not to be had on the main port', async () => {
    assert.equal((await fetch(server.url('/metrics'))).status, 404);
});

test('metrics are in the form that Prometheus reads', async () => {
    const answer = await server.admin('/metrics');
    assert.match(answer.headers.get('content-type'), /^text\/plain/);
    const lines = (await answer.text()).split('\n');
    assert.equal(lines.pop(), '');
    const typed = new Set();
    for (const line of lines) {
        const type = line.match(/^# TYPE (\S+) (counter|gauge|histogram)$/);
        if (type) {
            assert.ok(!typed.has(type[1]), `${type[1]} is declared once`);
            typed.add(type[1]);
            continue;
        }
        if (/^# HELP \S+ \S/.test(line))
            continue;
        const sample = line.match(/^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-z_]+="(\\.|[^"\\\n])*",?)*\})? (-?[0-9.e+]+|\+Inf|NaN)$/);
        assert.ok(sample, `no sample: ${line}`);
        const family = sample[1].replace(/_(bucket|sum|count)$/, '');
        assert.ok(typed.has(sample[1]) || typed.has(family), `${sample[1]} has a type`);
    }
    assert.ok(typed.size >= 5);
});

const total = (metrics, pattern) => [...metrics].filter(([name]) => pattern.test(name)).reduce((sum, [, value]) => sum + value, 0);

test('the number of connections is the number of connections', async () => {
    const pushers = await Promise.all(Array.from({ length: 7 }, () => connectPusher(server)));
    await until(async () => total(await server.metrics(), /^rollcall_connections(\{|$)/) === 7, 'seven connections');
    pushers.forEach(disconnect);
    await until(async () => total(await server.metrics(), /^rollcall_connections(\{|$)/) === 0, 'no connection');
});

test('what is published counts, and only upwards', async () => {
    const pusher = await connectPusher(server);
    await subscribe(pusher, 'counted');
    const before = await server.metrics();
    for (let i = 0; i < 5; i++)
        await back.trigger('counted', 'e', i);
    await hears(pusher, 'e');
    const after = await server.metrics();
    for (const [name, value] of before) {
        if (/_total(\{|$)/.test(name))
            assert.ok(after.get(name) >= value, name);
    }
    assert.ok([...after].some(([name, value]) => /_total/.test(name) && value - (before.get(name) ?? 0) === 5), 'something counted five');
    disconnect(pusher);
});

endsCleanly(server);
