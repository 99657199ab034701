/* Endpoints that are slow, broken, hostile or somewhere else than they should be: each harms only itself. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { authorize } from '../support/clients.mjs';
import { caFile, hook, receiver } from '../support/hooks.mjs';
import { appPath, openPusher } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* One byte every 100 ms, the first of a head that would be good. */
const byteByByte = async (response) => {
    const { socket } = response;
    for (const byte of `HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n${'x'.repeat(200)}`) {
        if (socket.destroyed)
            return;
        socket.write(byte);
        await pause(100);
    }
};

const fails = { now: false };
const good = await receiver();
const neighbours = await receiver();
const hangs = await receiver({ answer: () => {} });
const flaky = await receiver({ answer: (response) => {
    response.statusCode = fails.now ? 500 : 200;
    response.end();
} });
const dribbles = await receiver({ answer: byteByByte });
const endless = await receiver({ answer: async (response) => {
    response.write('x'.repeat(1000));
    while (!response.destroyed && response.writable && response.socket && !response.socket.destroyed) {
        response.write('x'.repeat(100_000));
        await pause(10);
    }
} });
const elsewhere = await receiver();
const redirects = await receiver({ answer: (response) => response.writeHead(307, { location: elsewhere.url() }).end() });
const trusted = await receiver({ tls: true });
const untrusted = await receiver({ tls: true });
const misnamed = await receiver({ tls: true, host: '127.0.0.2' }); /* the certificate is for 127.0.0.1 */
const secret = await receiver(); /* on loopback, and not allowed to be */

const apps = Object.fromEntries(Object.entries({
    good: [hook(good)],
    mixed: [hook(hangs), hook(neighbours)],
    flaky: [hook(flaky)],
    dribbles: [hook(dribbles)],
    endless: [hook(endless)],
    redirects: [hook(redirects)],
    trusted: [hook(trusted, { ca_file: caFile })],
    untrusted: [hook(untrusted)],
    misnamed: [hook(misnamed, { ca_file: caFile })],
    secret: [{ url: secret.url() }, { url: `http://localhost:${secret.port}/` }, { url: `http://[::ffff:127.0.0.1]:${secret.port}/` }],
    nobody: [{ url: 'http://127.0.0.1:1/', allow_private_addresses: true }],
}).map(([name, webhooks]) => [name, {
    ...app, id: name, key: `${name}-key`, limits: { channels_per_connection: 0, client_events_per_second: 0 }, webhooks,
}]));
const server = await startServer({ edge: { messages_per_second: 0 }, apps: Object.values(apps) });

const metric = async (name, of, reason) =>
    (await server.metrics()).get(`rollcall_webhook_${name}{app="${of}"${reason ? `,reason="${reason}"` : ''}}`);

async function connect(of) {
    const raw = await openPusher(server, appPath(server, undefined, apps[of].key));
    raw.join = async (channel) => {
        raw.send('pusher:subscribe', { channel, ...authorize({ app: apps[of], host: server.host, port: server.port }, raw.socketId, channel) });
        await raw.next('pusher_internal:subscription_succeeded', channel);
    };
    return raw;
}

/* Until that app's attempts have failed so often for that reason. */
const failed = (of, reason, times = 1) =>
    until(async () => await metric('failures_total', of, reason) >= times, `${of} to fail with ${reason}`);

const rss = () => Number(readFileSync(`/proc/${server.pid}/status`, 'latin1').match(/VmRSS:\s+(\d+)/)[1]) * 1024;

test('ten thousand transitions behind an endpoint that hangs: bounded, and all others on time', async () => {
    const raws = await Promise.all(['mixed', 'good', 'dribbles', 'untrusted', 'flaky'].map(connect));
    const [many, quick] = raws;
    await many.join('first');
    await hangs.deliveries.next();
    const before = rss();
    for (let i = 0; i < 5000; i++)
        many.send('pusher:subscribe', { channel: `queue-${i}` });
    await many.settled();
    /* Each channel is occupied and counted; the other endpoint of the same app has them all. */
    await until(async () => await metric('queue_events', 'mixed') >= 10_000, 'the queue to be full');
    await neighbours.event('channel_occupied', 'queue-4999');
    await neighbours.event('subscription_count', 'queue-4999');
    assert.equal(neighbours.events.all.filter(({ name }) => name === 'channel_occupied').length, 5001);
    assert.ok(rss() - before < 64 << 20, `memory grew by ${(rss() - before) >> 20} MiB`);
    assert.ok(await metric('queue_age_seconds', 'mixed') > 0);
    for (let i = 0; i < 5; i++) {
        const began = Date.now();
        await quick.join(`on-time-${i}`);
        const { at } = await good.event('channel_occupied', `on-time-${i}`);
        assert.ok(at - began < 2000, `another app was told after ${at - began} ms`);
    }
    await many.join('on-time');
    await neighbours.event('channel_occupied', 'on-time');
    await failed('mixed', 'timed_out');
    raws.forEach((raw) => raw.destroy());
});

test('an endpoint that answers 500 for a while gets everything later: same ids, in order, signed anew', async () => {
    fails.now = true;
    const raw = await connect('flaky');
    await raw.join('private-later');
    await failed('flaky', 'status', 3);
    for (let i = 0; i < 10; i++)
        raw.send('pusher:subscribe', { channel: `later-${i}` });
    await raw.settled();
    fails.now = false;
    await flaky.event('channel_occupied', 'later-9');
    const attempts = flaky.deliveries.all.filter(({ body }) => body.events[0].channel === 'private-later' && body.events[0].name === 'channel_occupied');
    assert.ok(attempts.length >= 4);
    assert.equal(new Set(attempts.map(({ body }) => body.events[0].id)).size, 1);
    assert.equal(new Set(attempts.map(({ body }) => body.time_ms)).size, attempts.length);
    assert.equal(new Set(attempts.map(({ headers }) => headers['x-pusher-signature'])).size, attempts.length);
    assert.ok(attempts.slice(1).every(({ at }, i) => at - attempts[i].at >= 300), 'with pauses');
    flaky.assertValid({ app: apps.flaky, host: server.host, port: server.port });
    const told = flaky.events.all.filter(({ name }) => name === 'channel_occupied').map(({ channel }) => channel);
    assert.deepEqual(told.slice(-11), ['private-later', ...Array.from({ length: 10 }, (_, i) => `later-${i}`)]);
    assert.ok((await server.log.next(({ line }) => /webhook\.recovered/.test(line), 'that it recovered')).line.includes('flaky'));
    raw.destroy();
});

test('an answer byte by byte ends at ten seconds and is a failure; one without end is what its first line says', async () => {
    const [slow, long] = [await connect('dribbles'), await connect('endless')];
    await Promise.all([slow.join('x'), long.join('x')]);
    await until(async () => await metric('events_total', 'endless') >= 2, 'the endless answer to be taken');
    await failed('dribbles', 'timed_out');
    slow.destroy();
    long.destroy();
});

test('certificates are checked: the authority, and the name', async () => {
    const raws = await Promise.all(['trusted', 'untrusted', 'misnamed'].map(connect));
    await Promise.all(raws.map((raw) => raw.join('x')));
    await trusted.event('channel_occupied', 'x');
    await failed('untrusted', 'tls');
    await failed('misnamed', 'tls');
    assert.equal(untrusted.deliveries.all.length + misnamed.deliveries.all.length, 0);
    assert.ok(trusted.deliveries.all.every(({ headers }) => headers['x-pusher-key'] === 'trusted-key'));
    raws.forEach((raw) => raw.destroy());
});

test('redirects are not followed', async () => {
    const raw = await connect('redirects');
    await raw.join('x');
    await failed('redirects', 'status', 2);
    assert.equal(elsewhere.connections, 0);
    raw.destroy();
});

test('a private address is refused, whatever it is called; nobody there: tried again', async () => {
    const raws = await Promise.all(['secret', 'nobody'].map(connect));
    await Promise.all(raws.map((raw) => raw.join('x')));
    await failed('secret', 'address_refused', 3);
    await failed('nobody', 'unreachable', 2);
    assert.equal(secret.connections, 0);
    const reasons = [...(await server.metrics())].filter(([name, value]) => /failures_total\{app="secret"/.test(name) && value > 0);
    assert.equal(reasons.length, 1, JSON.stringify(reasons));
    raws.forEach((raw) => raw.destroy());
});

endsCleanly(server);
