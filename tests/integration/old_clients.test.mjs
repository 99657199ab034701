/* What other clients than pusher-js send and cannot bear, frame by frame (protocol.md, the columns "why" and "notes"). */
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { authorize, backEnd } from '../support/clients.mjs';
import { frame, openPusher, openWebSocket, PING, PONG, TEXT } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';

const server = await startServer({ edge: { ping_after_ms: 1000, pong_timeout_ms: 800 }, apps: [{ ...app, subscription_counts: true }] });
const back = backEnd(server);

const java = '/app/test-key?client=java-client&protocol=5&version=2.4.4';
const pysher = '/app/test-key?client=Pysher&version=0.6.0&protocol=6';
const clients = { 'Java, protocol 5': java, 'pysher, protocol 6': pysher };

const say = (raw, message) => raw.sendBytes(frame(TEXT, typeof message === 'string' ? message : JSON.stringify(message)));

async function join(raw, channel, user) {
    say(raw, { event: 'pusher:subscribe', data: { channel, ...authorize(server, raw.socketId, channel, user) } });
    return raw.next('pusher_internal:subscription_succeeded', channel);
}

for (const [name, path] of Object.entries(clients)) {
    test(`${name}: subscribes, hears, speaks, leaves`, async () => {
        const raw = await openPusher(server, path);
        const other = await openPusher(server);
        say(raw, { event: 'pusher:subscribe', data: { channel: 'news' } });
        await raw.next('pusher_internal:subscription_succeeded', 'news');
        await join(raw, 'private-talk');
        await join(other, 'private-talk');
        const roster = JSON.parse((await join(raw, 'presence-talk', { user_id: 'ann', user_info: { name: 'Ann' } })).data);
        assert.deepEqual(roster.presence, { ids: ['ann'], hash: { ann: { name: 'Ann' } }, count: 1 });
        await back.trigger('news', 'headline', { n: 1 });
        assert.equal((await raw.next('headline')).data, '{"n":1}');
        say(raw, { event: 'client-word', channel: 'private-talk', data: '{"text":"as a string"}' });
        assert.equal((await other.next('client-word')).data, '{"text":"as a string"}');
        say(raw, { event: 'pusher:unsubscribe', data: { channel: 'news' } });
        await raw.settled(); /* a publish comes in at another connection, and may overtake it */
        await back.trigger(['news', 'private-talk'], 'last', 1);
        assert.equal((await raw.next('last')).channel, 'private-talk');
        raw.destroy();
        other.destroy();
    });

    test(`${name}: a refusal is a pusher:error with words, and the connection stays`, async () => {
        const raw = await openPusher(server, path);
        say(raw, { event: 'pusher:subscribe', data: { channel: 'private-talk', auth: 'test-key:00' } });
        assert.equal((await raw.next('pusher:error')).data.code, null);
        await raw.settled();
        raw.destroy();
    });
}

/* Java: {"event":"pusher:ping"}; others "" or {}. Java's subscription has the channel's name in no other place. */
for (const ping of ['{"event":"pusher:ping"}', '{"event":"pusher:ping","data":""}', '{"event":"pusher:ping","data":{}}',
    '{"event":"pusher:ping","data":"{}"}', '{"data":{},"event":"pusher:ping"}']) {
    test(`the ping ${ping} is answered`, async () => {
        const raw = await openPusher(server, java);
        say(raw, ping);
        assert.deepEqual(await raw.next('pusher:pong'), { event: 'pusher:pong', data: {} });
        raw.destroy();
    });
}

test('Java never answers pusher:ping: the server asks with a WebSocket ping, and whoever answers that is alive', async () => {
    const raw = await openPusher(server, java);
    for (let i = 0; i < 2; i++)
        await raw.controls.next(({ opcode }) => opcode === PING, 'a ping');
    await raw.settled();
    assert.ok(!raw.messages.all.some(({ event }) => event === 'pusher:ping'));
    raw.destroy();
});

test('a WebSocket ping, as Java\'s library sends it, is answered with its payload', async () => {
    const raw = await openPusher(server, java);
    raw.sendBytes(frame(PING, 'are you there'));
    const pong = await raw.controls.next(({ opcode }) => opcode === PONG, 'a pong');
    assert.equal(pong.payload.toString(), 'are you there');
    raw.destroy();
});

test('a key without a value is left out, and data is always there', async () => {
    const raw = await openPusher(server, java);
    const other = await openPusher(server, java);
    await join(raw, 'presence-nulls', { user_id: 'ann' });
    await join(other, 'presence-nulls', { user_id: 'bob' });
    await join(raw, 'private-nulls');
    await join(other, 'private-nulls');
    say(other, { event: 'client-bare', channel: 'private-nulls' });
    await raw.next('client-bare');
    say(raw, { event: 'pusher:subscribe', data: { channel: 'private-nulls' } });
    say(raw, { event: 'pusher:subscribe', data: { channel: 'private-refused' } });
    await raw.next('pusher:subscription_error');
    other.destroy();
    await raw.next('pusher_internal:member_removed');
    await back.trigger('private-nulls', 'last', null);
    await raw.next('last');
    await raw.settled();
    const seen = new Set();
    for (const message of raw.messages.all) {
        seen.add(message.event);
        assert.ok(Object.hasOwn(message, 'data'), `${message.event} has data`);
        for (const key of ['channel', 'user_id', 'data', 'event'])
            assert.notEqual(message[key], null, `${message.event} has no ${key} of null`);
        const { data } = message;
        const inner = typeof data === 'string' && message.event.startsWith('pusher') ? JSON.parse(data) : data;
        assert.ok(inner.user_info !== null && inner.user_id !== null, `${message.event}: ${JSON.stringify(data)}`);
    }
    assert.ok(seen.size >= 8, [...seen].join());
    raw.destroy();
});

test('an error is an object, and comes before the close', async () => {
    const raw = await openWebSocket(server, '/app/nobody?protocol=7&client=pusher-dotnet-client');
    const { event, data } = await raw.messages.next();
    assert.equal(event, 'pusher:error');
    assert.deepEqual(Object.keys(data).sort(), ['code', 'message']);
    assert.equal(data.code, (await raw.ended()).code);
});

test('a message may have its keys in any order, white space between them, and keys that nobody knows', async () => {
    const raw = await openPusher(server, pysher);
    say(raw, ' {"data" : { "auth":"", "later":[{"x":null}], "channel" : "spaced" },\n\t"id":7, "event":"pusher:subscribe" } ');
    await raw.next('pusher_internal:subscription_succeeded', 'spaced');
    say(raw, '{"event":"pusher\\u003asubscribe","data":{"channel":"\\u0065scaped","auth":null,"channel_data":null}}');
    await raw.next('pusher_internal:subscription_succeeded', 'escaped');
    raw.destroy();
});

test('a binary close or none at all, without a word, is a leaving like any other', async () => {
    const watcher = await openPusher(server);
    await join(watcher, 'presence-abrupt', { user_id: 'watcher' });
    for (const how of [(raw) => raw.sendBytes(frame(8)), (raw) => raw.socket.end(), (raw) => raw.socket.resetAndDestroy()]) {
        const raw = await openPusher(server, java);
        await join(raw, 'presence-abrupt', { user_id: 'ann' });
        await watcher.next('pusher_internal:member_added');
        how(raw);
        await watcher.next('pusher_internal:member_removed');
    }
    watcher.destroy();
});

endsCleanly(server);
