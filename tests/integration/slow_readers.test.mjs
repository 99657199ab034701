/* Readers that do not read: they are let go, with a reason in the metrics, and cost the others nothing. */
// threads
// tls

import assert from 'node:assert/strict';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, hears, subscribe } from '../support/clients.mjs';
import { openPusher } from '../support/raw.mjs';
import { app, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const EVENT_BYTES = 64 * 1024;
const data = 'x'.repeat(EVENT_BYTES - 10);
const generous = { apps: [{ ...app, limits: { event_bytes: EVENT_BYTES } }] };

/* A subscriber that stops reading at once. */
async function sleeper(server, channel) {
    const raw = await openPusher(server);
    raw.send('pusher:subscribe', { channel });
    await raw.next('pusher_internal:subscription_succeeded', channel);
    raw.socket.pause();
    return raw;
}

async function subscriptions(back, channel) {
    const answer = await back.get({ path: `/channels/${channel}`, params: { info: 'subscription_count' } });
    return (await answer.json()).subscription_count ?? 0;
}

/* Publishes until only `left` subscribers are there; how many events that took. */
async function publishUntil(back, channel, left, most) {
    for (let n = 0; n < most; n++) {
        await back.trigger(channel, 'e', `${n}${data}`);
        if (await subscriptions(back, channel) === left)
            return n + 1;
    }
    return until(async () => await subscriptions(back, channel) === left && most, 'the sleepers to be let go');
}

async function hearsAll(pusher, channel, count) {
    for (let n = 0; n < count; n++)
        assert.ok((await hears(pusher, 'e', channel)).data.startsWith(`${n}x`), `event ${n} in its order`);
}

test('one whose outbox is full is let go; another on the same channel misses nothing', async () => {
    const server = await startServer({ ...generous, edge: { outbox_bytes: 256 * 1024, outbox_stall_ms: 600_000, ping_after_ms: 600_000 } });
    const back = backEnd(server);
    const fast = await connectPusher(server);
    await subscribe(fast, 'full');
    const slow = await sleeper(server, 'full');
    const published = await publishUntil(back, 'full', 1, 400);
    assert.ok(published >= 4, 'not before its outbox was full');
    await hearsAll(fast, 'full', published);
    slow.socket.resume();
    const { code } = await slow.ended(); /* (a reset behind data looks like an end to Node) */
    assert.ok(code === null || code === 4100, String(code));
    await server.logged(/outbox grow too large/);
    const metrics = await server.metrics();
    assert.ok([...metrics].some(([name, value]) => /slow/.test(name) && value === 1), [...metrics.keys()].join('\n'));
    disconnect(fast);
    await server.stop();
});

test('kernel buffers swallow little before the outbox counts', async () => {
    const server = await startServer({ ...generous, edge: { outbox_bytes: 64 * 1024, outbox_stall_ms: 600_000 } });
    const back = backEnd(server);
    const slow = await sleeper(server, 'small');
    const published = await publishUntil(back, 'small', 0, 400);
    assert.ok(published * EVENT_BYTES < 3_000_000, `${published * EVENT_BYTES} bytes went before it was noticed`);
    slow.destroy();
    await server.stop();
});

test('one that takes nothing for a while is let go, though its outbox has room', async () => {
    const server = await startServer({ ...generous, edge: { outbox_bytes: 64 * 1024 * 1024, outbox_stall_ms: 500, ping_after_ms: 600_000 } });
    const back = backEnd(server);
    const fast = await connectPusher(server);
    await subscribe(fast, 'stall');
    const slow = await sleeper(server, 'stall');
    for (let n = 0; n < 60; n++)
        await back.trigger('stall', 'e', `${n}${data}`);
    await until(async () => await subscriptions(back, 'stall') === 1, 'the sleeper to be let go');
    await hearsAll(fast, 'stall', 60);
    slow.destroy();
    disconnect(fast);
    await server.stop();
});

test('one that reads slowly but reads is not let go', async () => {
    const server = await startServer({ ...generous, edge: { outbox_bytes: 64 * 1024 * 1024, outbox_stall_ms: 1500 } });
    const back = backEnd(server);
    const slow = await sleeper(server, 'sips');
    for (let n = 0; n < 60; n++)
        await back.trigger('sips', 'e', `${n}${data}`);
    const sip = setInterval(() => {
        slow.socket.resume();
        slow.socket.once('data', () => slow.socket.pause());
    }, 20);
    for (let n = 0; n < 60; n++)
        assert.ok((await slow.next('e', 'sips')).data.startsWith(`${n}x`));
    clearInterval(sip);
    slow.socket.resume();
    await slow.settled();
    slow.destroy();
    await server.stop();
});

test('all outboxes of a worker together have a limit, too', async () => {
    const server = await startServer({ ...generous, edge: {
        workers: 1, outbox_bytes: 2 * 1024 * 1024, outbox_worker_bytes: 2 * 1024 * 1024, outbox_stall_ms: 600_000, ping_after_ms: 600_000,
    } });
    const back = backEnd(server);
    const fast = await connectPusher(server);
    await subscribe(fast, 'together');
    const slow = await Promise.all(Array.from({ length: 12 }, () => sleeper(server, 'together')));
    let published = 0;
    while (await subscriptions(back, 'together') === 13 && published < 200)
        await back.trigger('together', 'e', `${published++}${data}`);
    assert.ok(published * EVENT_BYTES < 1_000_000 * 2, 'before any of them had filled its own');
    assert.ok(await subscriptions(back, 'together') < 13, 'some of them were let go');
    await hearsAll(fast, 'together', published);
    slow.forEach((raw) => raw.destroy());
    disconnect(fast);
    await server.stop();
});

test('one frame that is larger than the outbox may pass', async () => {
    const server = await startServer({ ...generous, edge: { outbox_bytes: 4096 } });
    const back = backEnd(server);
    const fast = await connectPusher(server);
    await subscribe(fast, 'large');
    for (let n = 0; n < 5; n++) {
        await back.trigger('large', 'e', `${n}${data}`);
        assert.ok((await hears(fast, 'e')).data.startsWith(`${n}x`));
    }
    disconnect(fast);
    await server.stop();
});
