/* Public channels, as pusher-js uses them: anyone may listen, and only back ends speak. */
// threads
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, event, heardOf, hears, settled, subscribe } from '../support/clients.mjs';
import { openPusher } from '../support/raw.mjs';
import { endsCleanly, startServer } from '../support/server.mjs';

const server = await startServer();
const back = backEnd(server);

test('the connection gets a socket id and an activity timeout', async () => {
    const pusher = await connectPusher(server);
    assert.match(pusher.connection.socket_id, /^\d+\.\d+$/);
    disconnect(pusher);
    const raw = await openPusher(server);
    assert.equal(raw.activityTimeout, 120);
    raw.destroy();
});

test('socket ids are all different', async () => {
    const pushers = await Promise.all(Array.from({ length: 20 }, () => connectPusher(server)));
    assert.equal(new Set(pushers.map((pusher) => pusher.connection.socket_id)).size, 20);
    pushers.forEach(disconnect);
});

test('an event reaches every subscriber, with its data as published', async () => {
    const pushers = await Promise.all(Array.from({ length: 8 }, () => connectPusher(server)));
    const channels = await Promise.all(pushers.map((pusher) => subscribe(pusher, 'news')));
    const heard = channels.map((channel) => event(channel, 'published'));
    await back.trigger('news', 'published', { text: 'ä "quoted" \\ \u2028 😀', list: [1, null] });
    for (const { data } of await Promise.all(heard))
        assert.deepEqual(data, { text: 'ä "quoted" \\ \u2028 😀', list: [1, null] });
    pushers.forEach(disconnect);
});

test('data that is no JSON arrives as the string it is', async () => {
    const pusher = await connectPusher(server);
    const heard = event(await subscribe(pusher, 'plain'), 'words');
    await back.trigger('plain', 'words', 'not {json');
    assert.equal((await heard).data, 'not {json');
    disconnect(pusher);
});

test('an event of another channel, or of an unsubscribed one, does not arrive', async () => {
    const pusher = await connectPusher(server);
    await subscribe(pusher, 'mine');
    await subscribe(pusher, 'left');
    pusher.unsubscribe('left');
    await settled(pusher);
    await back.trigger(['left', 'never-joined'], 'unwanted', {});
    await back.trigger('mine', 'last', {});
    await hears(pusher, 'last', 'mine');
    assert.deepEqual(heardOf(pusher, 'unwanted'), []);
    disconnect(pusher);
});

test('one can come back to a channel', async () => {
    const pusher = await connectPusher(server);
    await subscribe(pusher, 'again');
    pusher.unsubscribe('again');
    const heard = event(await subscribe(pusher, 'again'), 'hello');
    await back.trigger('again', 'hello', 1);
    assert.equal((await heard).data, 1);
    disconnect(pusher);
});

test('events of one back end arrive in their order', async () => {
    const pusher = await connectPusher(server);
    await subscribe(pusher, 'ordered');
    for (let i = 0; i < 50; i++)
        await back.trigger('ordered', 'count', i);
    for (let i = 0; i < 50; i++)
        assert.equal((await hears(pusher, 'count')).data, i);
    disconnect(pusher);
});

test('subscribing twice and leaving what was not joined are errors that leave the connection alone', async () => {
    const raw = await openPusher(server);
    raw.send('pusher:subscribe', { channel: 'twice', auth: '' });
    assert.equal((await raw.next('pusher_internal:subscription_succeeded', 'twice')).data, '{}');
    raw.send('pusher:subscribe', { channel: 'twice', auth: '' });
    assert.deepEqual((await raw.next('pusher:error')).data,
        { code: null, message: 'Existing subscription to channel twice' });
    raw.send('pusher:unsubscribe', { channel: 'nowhere' });
    assert.deepEqual((await raw.next('pusher:error')).data,
        { code: null, message: 'No current subscription to channel nowhere' });
    await raw.settled();
    raw.destroy();
});

test('a name that is no channel name is refused, the connection stays', async () => {
    const raw = await openPusher(server);
    for (const channel of ['', 'with space', 'ünï', 'a/b', '#reserved', 'x'.repeat(201), 'private-encrypted- ']) {
        raw.send('pusher:subscribe', { channel, auth: '' });
        const refused = await raw.messages.next((message) => /error$/.test(message.event), `a refusal of '${channel}'`);
        assert.ok(refused, channel);
    }
    raw.send('pusher:subscribe', { channel: 'x'.repeat(200) });
    await raw.next('pusher_internal:subscription_succeeded', 'x'.repeat(200));
    raw.destroy();
});

test('a client\'s ping is answered', async () => {
    const pusher = await connectPusher(server);
    await settled(pusher);
    disconnect(pusher);
});

endsCleanly(server);
