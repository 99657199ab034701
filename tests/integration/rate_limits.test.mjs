/* Floods cost those who make them. */
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, hears, settled, subscribe } from '../support/clients.mjs';
import { TEXT, exchange, frame, openPusher, post } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';

const limited = { id: '8', key: 'limited-key', secret: 'limited-secret', limits: { publishes_per_second: 5, channels_per_connection: 3 } };
const server = await startServer({ edge: { messages_per_second: 10, messages_burst: 20 }, apps: [app, limited] });
const bystander = await connectPusher(server);
await subscribe(bystander, 'calm');

test('a flood of subscriptions ends its connection, and nobody else\'s', async () => {
    const raw = await openPusher(server);
    const flood = Array.from({ length: 500 }, (_, i) =>
        frame(TEXT, JSON.stringify({ event: 'pusher:subscribe', data: { channel: `flood-${i}` } })));
    raw.sendBytes(Buffer.concat(flood));
    const { code } = await raw.ended();
    assert.ok(code === null || (code >= 4000 && code < 4300), `closed with ${code}`);
    const granted = raw.messages.all.filter(({ event }) => event === 'pusher_internal:subscription_succeeded').length;
    assert.ok(granted <= 21, `${granted} of 500 were granted`);
    await settled(bystander);
});

test('a flood of nonsense ends its connection, too', async () => {
    const raw = await openPusher(server);
    raw.sendBytes(Buffer.concat(Array.from({ length: 500 }, () => frame(TEXT, 'nonsense'))));
    await raw.ended();
    const complaints = raw.messages.all.filter(({ event }) => event === 'pusher:error').length;
    assert.ok(complaints <= 22, `${complaints} complaints`);
});

test('a burst within the limit is fine', async () => {
    const raw = await openPusher(server);
    for (let i = 0; i < 15; i++)
        raw.send('pusher:subscribe', { channel: `burst-${i}` });
    for (let i = 0; i < 15; i++)
        await raw.next('pusher_internal:subscription_succeeded', `burst-${i}`);
    raw.destroy();
});

test('over its publish rate an app is told 429 and when to come back; another app is free', async () => {
    const publish = (one) => exchange(server, post(one, `/apps/${one.id}/events`, '{"name":"e","data":"","channel":"calm"}'));
    const answers = await Promise.all(Array.from({ length: 40 }, () => publish(limited)));
    const refused = answers.filter(({ status }) => status === 429);
    assert.ok(answers.some(({ status }) => status === 200));
    assert.ok(refused.length >= 20, `${refused.length} of 40 refused`);
    assert.ok(Number(refused[0].headers['retry-after']) >= 1);
    assert.ok(JSON.parse(refused[0].body).error);
    assert.equal((await publish(app)).status, 200);
    await hears(bystander, 'e');
});

test('the SDK reports the 429', async () => {
    const back = backEnd(server, limited);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () =>
        back.trigger('c', 'e', 1).then(() => 200, (error) => error.status)));
    assert.ok(outcomes.includes(429));
    assert.ok(outcomes.every((status) => status === 200 || status === 429));
});

test('a connection has so many channels and no more; leaving one makes room', async () => {
    const raw = await openPusher(server, '/app/limited-key?protocol=7');
    for (const channel of ['a', 'b', 'c']) {
        raw.send('pusher:subscribe', { channel });
        await raw.next('pusher_internal:subscription_succeeded', channel);
    }
    raw.send('pusher:subscribe', { channel: 'd' });
    await raw.messages.next(({ event }) => /error$/.test(event), 'a refusal');
    raw.send('pusher:unsubscribe', { channel: 'a' });
    raw.send('pusher:subscribe', { channel: 'e' });
    await raw.next('pusher_internal:subscription_succeeded', 'e');
    raw.destroy();
});

test('nobody else noticed', async () => {
    await settled(bystander);
    disconnect(bystander);
});

endsCleanly(server);
