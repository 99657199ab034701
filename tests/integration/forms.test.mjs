/* The form of every message of the protocol's own, to the letter: its keys, and whether data is an object or a string that
 * holds JSON. (Clients differ in which of the two they can bear; protocol.md has a table.) */
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { authorize, backEnd } from '../support/clients.mjs';
import { appPath, frame, openPusher, openWebSocket, TEXT } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';

const server = await startServer({ edge: { activity_timeout_s: 77 }, apps: [{ ...app, subscription_counts: true }] });
const back = backEnd(server);

const error = (message) => ({ event: 'pusher:error', data: { code: null, message } });

/* A message whose string of data has been read; {S: …} says that it was one. */
const opened = (message) => ({ ...message, data: { S: JSON.parse(message.data) } });

async function join(channel, user) {
    const raw = await openPusher(server);
    raw.send('pusher:subscribe', { channel, ...authorize(server, raw.socketId, channel, user) });
    return { raw, answer: await raw.next('pusher_internal:subscription_succeeded', channel) };
}

test('connection_established: a string with socket_id and activity_timeout', async () => {
    const raw = await openWebSocket(server);
    const first = await raw.messages.next();
    assert.deepEqual(Object.keys(first).sort(), ['data', 'event']);
    const { socket_id, ...rest } = JSON.parse(first.data);
    assert.match(socket_id, /^\d+\.\d+$/);
    assert.deepEqual(rest, { activity_timeout: 77 });
    raw.destroy();
});

test('pong: an empty object', async () => {
    const raw = await openPusher(server);
    raw.send('pusher:ping', {});
    assert.deepEqual(await raw.next('pusher:pong'), { event: 'pusher:pong', data: {} });
    raw.destroy();
});

test('subscription_succeeded: a string, {} where there is no roster', async () => {
    for (const channel of ['news', 'private-news', 'private-encrypted-news', 'cache-news']) {
        const { raw, answer } = await join(channel);
        assert.deepEqual(answer, { event: 'pusher_internal:subscription_succeeded', channel, data: '{}' });
        raw.destroy();
    }
});

test('subscription_succeeded of a presence channel: ids, hash with a key for each id, count', async () => {
    const first = await join('presence-form', { user_id: 'ann', user_info: { name: 'Ann' } });
    const { raw, answer } = await join('presence-form', { user_id: 'bob' });
    const { presence, ...rest } = JSON.parse(answer.data);
    assert.deepEqual(rest, {});
    assert.deepEqual({ ...presence, ids: presence.ids.slice().sort() },
        { ids: ['ann', 'bob'], hash: { ann: { name: 'Ann' }, bob: null }, count: 2 });
    first.raw.destroy();
    raw.destroy();
});

test('member_added and member_removed: strings, user_info only where there is one', async () => {
    const channel = 'presence-doors';
    const { raw } = await join(channel, { user_id: 'watcher' });
    const ann = await join(channel, { user_id: 'ann', user_info: { name: 'Ann' } });
    assert.deepEqual(opened(await raw.next('pusher_internal:member_added')),
        { event: 'pusher_internal:member_added', channel, data: { S: { user_id: 'ann', user_info: { name: 'Ann' } } } });
    const bob = await join(channel, { user_id: 'bob' });
    assert.deepEqual(opened(await raw.next('pusher_internal:member_added')),
        { event: 'pusher_internal:member_added', channel, data: { S: { user_id: 'bob' } } });
    ann.raw.destroy();
    assert.deepEqual(opened(await raw.next('pusher_internal:member_removed')),
        { event: 'pusher_internal:member_removed', channel, data: { S: { user_id: 'ann' } } });
    bob.raw.destroy();
    raw.destroy();
});

test('subscription_count: a string with the number', async () => {
    const { raw } = await join('counted');
    assert.deepEqual(opened(await raw.next('pusher_internal:subscription_count')),
        { event: 'pusher_internal:subscription_count', channel: 'counted', data: { S: { subscription_count: 1 } } });
    raw.destroy();
});

test('signin_success and watchlist_events: objects, without a channel', async () => {
    const raw = await openPusher(server);
    const signed = back.authenticateUser(raw.socketId, { id: 'ann', watchlist: ['bob'] });
    raw.send('pusher:signin', signed);
    assert.deepEqual(await raw.next('pusher:signin_success'), { event: 'pusher:signin_success', data: { user_data: signed.user_data } });
    assert.deepEqual(await raw.next('pusher_internal:watchlist_events'), { event: 'pusher_internal:watchlist_events',
        data: { events: [{ name: 'offline', user_ids: ['bob'] }] } });
    raw.destroy();
});

test('any other event: the string as published, with its channel and nothing else', async () => {
    const { raw } = await join('private-plain');
    for (const data of ['{"a": 1}', 'no JSON', '"', 'ä😀\u2028']) {
        await back.post({ path: '/events', body: { name: 'App\\Events\\X', channels: ['private-plain'], data } });
        assert.deepEqual(await raw.next('App\\Events\\X'), { event: 'App\\Events\\X', channel: 'private-plain', data });
    }
    raw.destroy();
});

test('a client event has user_id on presence channels, and on others has not', async () => {
    for (const [channel, more] of [['private-said', {}], ['presence-said', { user_id: 'ann' }]]) {
        const [ann, bob] = [await join(channel, more.user_id && { user_id: 'ann' }), await join(channel, more.user_id && { user_id: 'bob' })];
        ann.raw.sendBytes(frame(TEXT, JSON.stringify({ event: 'client-x', channel, data: { a: 1 }, user_id: 'boss', more: 1 })));
        assert.deepEqual(await bob.raw.next('client-x'), { event: 'client-x', channel, data: { a: 1 }, ...more });
        ann.raw.destroy();
        bob.raw.destroy();
    }
});

test('what does not end a connection has code null, and the words that clients know', async () => {
    const { raw } = await join('private-words');
    const { socketId } = raw;
    raw.send('pusher:subscribe', { channel: 'private-words', ...authorize(server, socketId, 'private-words') });
    assert.deepEqual(await raw.next('pusher:error'), error('Existing subscription to channel private-words'));
    raw.send('pusher:unsubscribe', { channel: 'elsewhere' });
    assert.deepEqual(await raw.next('pusher:error'), error('No current subscription to channel elsewhere'));
    raw.send('pusher:subscribe', { channel: 'private-other', auth: 'test-key:0123' });
    const words = `Invalid signature: Expected HMAC SHA256 hex digest of ${socketId}:private-other, but got test-key:0123`;
    assert.deepEqual(await raw.next('pusher:error'), error(words));
    assert.deepEqual(await raw.next('pusher:subscription_error'),
        { event: 'pusher:subscription_error', channel: 'private-other', data: { type: 'AuthError', error: words, status: 401 } });
    raw.destroy();
});

test('an existing subscription goes on, and there is no subscription_error about it', async () => {
    const { raw } = await join('twice');
    raw.send('pusher:subscribe', { channel: 'twice' });
    await raw.next('pusher:error');
    await back.trigger('twice', 'word', 1);
    await raw.next('word');
    assert.ok(!raw.messages.all.some(({ event }) => event === 'pusher:subscription_error'));
    raw.destroy();
});

test('an error that ends a connection: an object with its code, then the close with the same', async () => {
    const raw = await openWebSocket(server, appPath(server, 'protocol=99'));
    const { event, data } = await raw.messages.next();
    assert.equal(event, 'pusher:error');
    assert.deepEqual(Object.keys(data).sort(), ['code', 'message']);
    assert.equal(data.code, 4007);
    assert.equal((await raw.ended()).code, 4007);
    assert.equal(raw.messages.all.length, 1);
});

endsCleanly(server);
