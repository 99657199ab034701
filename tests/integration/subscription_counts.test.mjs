/* Subscription counts, for apps that ask for them: at once while they are small, now and then when they are large. */
// threads
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, event, heardOf, settled, subscribe } from '../support/clients.mjs';
import { openPusher } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';

const COUNT = 'pusher_internal:subscription_count';
const quiet = { id: '8', key: 'quiet-key', secret: 'quiet-secret' };
const server = await startServer({ apps: [{ ...app, subscription_counts: true }, quiet] });
const back = backEnd(server);

const countIn = ({ data }) => JSON.parse(data).subscription_count;

async function join(channel) {
    const raw = await openPusher(server);
    raw.send('pusher:subscribe', { channel });
    await raw.next('pusher_internal:subscription_succeeded', channel);
    return raw;
}

test('pusher-js is told how many there are, whenever that changes', async () => {
    const first = await connectPusher(server);
    const channel = first.subscribe('crowd');
    assert.deepEqual((await event(channel, 'pusher:subscription_count')).data, { subscription_count: 1 });
    let next = event(channel, 'pusher:subscription_count');
    const second = await connectPusher(server);
    await subscribe(second, 'crowd');
    assert.deepEqual((await next).data, { subscription_count: 2 });
    assert.equal(channel.subscriptionCount, 2);
    next = event(channel, 'pusher:subscription_count');
    disconnect(second);
    assert.deepEqual((await next).data, { subscription_count: 1 });
    disconnect(first);
});

test('private channels are counted, presence channels are not', async () => {
    const pusher = await connectPusher(server, { user: { user_id: 'ann' } });
    const heard = event(pusher.subscribe('private-crowd'), 'pusher:subscription_count');
    await subscribe(pusher, 'presence-crowd');
    assert.deepEqual((await heard).data, { subscription_count: 1 });
    await back.trigger('presence-crowd', 'last', 1);
    await settled(pusher);
    assert.deepEqual(heardOf(pusher, COUNT).map(({ channel }) => channel), ['private-crowd']);
    disconnect(pusher);
});

test('an app that did not ask is told nothing', async () => {
    const raw = await openPusher(server, '/app/quiet-key?protocol=7');
    raw.send('pusher:subscribe', { channel: 'crowd' });
    await raw.next('pusher_internal:subscription_succeeded');
    await backEnd(server, quiet).trigger('crowd', 'last', 1);
    await raw.next('last');
    assert.deepEqual(raw.messages.all.map(({ event: name }) => name),
        ['pusher:connection_established', 'pusher_internal:subscription_succeeded', 'last']);
    raw.destroy();
});

test('up to a hundred every change is told, above that only every five seconds, and the last one for certain', async () => {
    const first = await join('throng');
    const others = [];
    for (let i = 2; i <= 100; i++)
        others.push(await join('throng'));
    const hundred = await first.messages.next((message) => message.event === COUNT && countIn(message) === 100, 'the hundredth');
    assert.ok(hundred);
    assert.deepEqual(first.messages.all.filter(({ event: name }) => name === COUNT).map(countIn), Array.from({ length: 100 }, (_, i) => i + 1));
    const began = performance.now();
    for (let i = 101; i <= 120; i++)
        others.push(await join('throng'));
    const last = await first.messages.next((message) => message.event === COUNT && countIn(message) === 120, 'the number of all');
    const took_ms = performance.now() - began;
    assert.ok(last);
    const told = first.messages.all.filter(({ event: name }) => name === COUNT).map(countIn).slice(100);
    assert.ok(told.length <= 2 + took_ms / 5000, `${told} within ${took_ms} ms`);
    assert.ok(took_ms > 3000, `told after ${took_ms} ms: that was not held back`);
    [first, ...others].forEach((raw) => raw.destroy());
});

endsCleanly(server);
