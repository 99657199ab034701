/* Publishing, as the official SDK does it. */
// threads
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, heardOf, hears, subscribe } from '../support/clients.mjs';
import { exchange, post } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';

const disabled = { id: '9', key: 'off-key', secret: 'off-secret', enabled: false };
const server = await startServer({ apps: [app, disabled] });
const back = backEnd(server);

async function listener(...channels) {
    const pusher = await connectPusher(server, { user: { user_id: 'l', user_info: {} } });
    for (const channel of channels)
        await subscribe(pusher, channel);
    return pusher;
}

test('an event to one channel is answered with {}', async () => {
    const pusher = await listener('one');
    const answer = await back.trigger('one', 'e', { n: 1 });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type'), /^application\/json/);
    assert.deepEqual(await answer.json(), {});
    assert.deepEqual((await hears(pusher, 'e', 'one')).data, { n: 1 });
    disconnect(pusher);
});

test('an event to a hundred channels reaches each of them', async () => {
    const names = Array.from({ length: 100 }, (_, i) => `many-${i}`);
    const pusher = await listener(names[0], names[57], names[99]);
    await back.trigger(names, 'e', {});
    for (const name of [names[0], names[57], names[99]])
        await hears(pusher, 'e', name);
    disconnect(pusher);
});

test('the connection named by socket_id hears nothing, all others do', async () => {
    const [speaker, other] = [await listener('leave-out'), await listener('leave-out')];
    await back.trigger('leave-out', 'spoken', {}, { socket_id: speaker.connection.socket_id });
    await back.trigger('leave-out', 'last', {});
    await hears(other, 'spoken');
    await hears(speaker, 'last');
    assert.deepEqual(heardOf(speaker, 'spoken'), []);
    disconnect(speaker);
    disconnect(other);
});

test('a socket_id that is nobody\'s leaves nobody out', async () => {
    const pusher = await listener('nobody');
    await back.trigger('nobody', 'e', {}, { socket_id: '123.456' });
    await hears(pusher, 'e');
    disconnect(pusher);
});

test('with info the answer holds what was asked for, of each channel, and no more', async () => {
    const pusher = await listener('presence-info', 'info');
    const both = await back.trigger(['presence-info'], 'e', {}, { info: 'user_count,subscription_count' });
    assert.deepEqual(await both.json(), { channels: { 'presence-info': { user_count: 1, subscription_count: 1 } } });
    const none = await back.trigger(['presence-info', 'info'], 'e', {}, { info: 'user_count' });
    assert.deepEqual(await none.json(), { channels: { 'presence-info': { user_count: 1 }, info: {} } });
    const one = await back.trigger(['info', 'empty'], 'e', {}, { info: 'subscription_count' });
    assert.deepEqual(await one.json(), { channels: { info: { subscription_count: 1 }, empty: { subscription_count: 0 } } });
    disconnect(pusher);
});

test('a batch arrives in its order, each event with its own exclusion', async () => {
    const [first, second] = [await listener('batch-a', 'batch-b'), await listener('batch-a', 'batch-b')];
    const answer = await back.triggerBatch([
        { channel: 'batch-a', name: 'one', data: { n: 1 } },
        { channel: 'batch-b', name: 'two', data: { n: 2 }, socket_id: first.connection.socket_id },
        { channel: 'batch-a', name: 'three', data: 'x' },
    ]);
    assert.deepEqual(await answer.json(), {});
    await hears(first, 'three');
    await hears(second, 'three');
    const order = (pusher) => pusher.heard.all.map(({ event }) => event).filter((name) => /^(one|two|three)$/.test(name));
    assert.deepEqual(order(first), ['one', 'three']);
    assert.deepEqual(order(second), ['one', 'two', 'three']);
    disconnect(first);
    disconnect(second);
});

test('a batch with info is answered by index', async () => {
    const pusher = await listener('presence-batch');
    const answer = await back.triggerBatch([
        { channel: 'presence-batch', name: 'e', data: 1, info: 'user_count' },
        { channel: 'other', name: 'e', data: 1 },
        { channel: 'other', name: 'e', data: 1, info: 'subscription_count' },
    ]);
    assert.deepEqual(await answer.json(), { batch: [{ user_count: 1 }, {}, { subscription_count: 0 }] });
    disconnect(pusher);
});

test('a batch with one bad event sends none of them', async () => {
    const pusher = await listener('all-or-nothing');
    const batch = { batch: [
        { channel: 'all-or-nothing', name: 'unwanted', data: '1' },
        { channel: 'not a channel', name: 'e', data: '1' },
    ] };
    const answer = await exchange(server, post(app, '/apps/7/batch_events', JSON.stringify(batch)));
    assert.equal(answer.status, 400);
    await back.trigger('all-or-nothing', 'last', 1);
    await hears(pusher, 'last');
    assert.deepEqual(heardOf(pusher, 'unwanted'), []);
    disconnect(pusher);
});

/* Bodies that are refused: [status, body]. */
const event = (changes) => JSON.stringify({ name: 'e', data: '{}', channel: 'c', ...changes });
const refused = {
    'no JSON': [400, '{"name"'],
    'an empty body that claims JSON': [400, ' '],
    'no object': [400, '[]'],
    'no name': [400, JSON.stringify({ data: '', channel: 'c' })],
    'a name that is a number': [400, event({ name: 5 })],
    'a name that is too long': [400, event({ name: 'n'.repeat(201) })],
    'no data': [400, JSON.stringify({ name: 'e', channel: 'c' })],
    'no channel at all': [400, JSON.stringify({ name: 'e', data: '' })],
    'no channel in the list': [400, event({ channel: undefined, channels: [] })],
    'a channel that is a number': [400, event({ channel: undefined, channels: [5] })],
    '101 channels': [400, event({ channel: undefined, channels: Array.from({ length: 101 }, (_, i) => `c${i}`) })],
    'a name that is no channel name': [400, event({ channel: 'a b' })],
    'a socket_id that is none': [400, event({ socket_id: 'x' })],
    'a socket_id that is a number': [400, event({ socket_id: 1.5 })],
    'info that does not exist': [400, event({ info: 'weather' })],
    'data over the limit': [413, event({ data: 'x'.repeat(10 * 1024 + 1) })],
    'deep nesting': [400, '['.repeat(100_000)],
    'two encrypted channels at once': [400, event({ channel: undefined, channels: ['private-encrypted-a', 'private-encrypted-b'] })],
    'a NUL in the name of the event, raw': [400, '{"name":"a\u0000b","data":"","channel":"c"}'],
    'half a UTF-8 character': [400, Buffer.concat([Buffer.from('{"name":"e","channel":"c","data":"'), Buffer.of(0xc3), Buffer.from('"}')])],
};

for (const [what, [status, body]] of Object.entries(refused)) {
    test(`an event with ${what} is answered with ${status} and a line that says why`, async () => {
        const answer = await exchange(server, post(app, '/apps/7/events', body));
        assert.equal(answer.status, status, answer.body);
        assert.equal(answer.headers['content-type'], 'application/json');
        const { error } = JSON.parse(answer.body);
        assert.ok(error.length > 10 && !error.includes('\n'), error);
    });
}

test('eleven events are no batch', async () => {
    const batch = Array.from({ length: 11 }, () => ({ channel: 'c', name: 'e', data: '1' }));
    await assert.rejects(back.triggerBatch(batch), { status: 400 });
    await back.triggerBatch(batch.slice(1));
});

test('data of exactly the limit, and fields that nobody knows, are fine', async () => {
    const pusher = await listener('c');
    const answer = await exchange(server, post(app, '/apps/7/events', event({ data: 'x'.repeat(10 * 1024), tags: { a: 1 } })));
    assert.equal(answer.status, 200, answer.body);
    assert.equal((await hears(pusher, 'e')).data.length, 10 * 1024);
    disconnect(pusher);
});

test('a Content-Type with a charset is as good as none', async () => {
    for (const type of ['application/json; charset=utf-8', 'text/plain', '']) {
        const answer = await exchange(server, post(app, '/apps/7/events', event(), { 'Content-Type': type }));
        assert.equal(answer.status, 200, type);
    }
});

test('a disabled app is refused with 403', async () => {
    await assert.rejects(backEnd(server, disabled).trigger('c', 'e', 1), { status: 403 });
});

test('publishing at the same time from many sides loses nothing', async () => {
    const pushers = await Promise.all(Array.from({ length: 4 }, () => listener('busy')));
    await Promise.all(Array.from({ length: 100 }, (_, i) => back.trigger('busy', 'n', i)));
    for (const pusher of pushers) {
        const heard = new Set();
        while (heard.size < 100)
            heard.add((await hears(pusher, 'n')).data);
        disconnect(pusher);
    }
});

endsCleanly(server);
