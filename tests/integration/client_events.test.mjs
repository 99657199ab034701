/* Client events: subscribers of private and presence channels speak to each other, where the app allows it. */
// threads
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { authorize, connectPusher, disconnect, event, heardOf, hears, settled, subscribe } from '../support/clients.mjs';
import { openPusher, TEXT, frame } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';

const silent = { id: '8', key: 'silent-key', secret: 'silent-secret', client_events: false };
const server = await startServer({ apps: [{ ...app, limits: { client_events_per_second: 10 } }, silent] });

async function pair(channel) {
    const ann = await connectPusher(server, { user: { user_id: 'ann', user_info: {} } });
    const bob = await connectPusher(server, { user: { user_id: 'bob', user_info: {} } });
    const channels = [await subscribe(ann, channel), await subscribe(bob, channel)];
    return { ann, bob, fromAnn: channels[0], atBob: channels[1], end: () => [ann, bob].forEach(disconnect) };
}

async function joinRaw(channel) {
    const raw = await openPusher(server);
    raw.send('pusher:subscribe', { channel, ...authorize(server, raw.socketId, channel, channel.startsWith('presence-') ? { user_id: 'raw' } : null) });
    await raw.next('pusher_internal:subscription_succeeded', channel);
    return raw;
}

test('one speaks, the others hear, the speaker hears no echo', async () => {
    const { ann, bob, fromAnn, atBob, end } = await pair('private-talk');
    const heard = event(atBob, 'client-word');
    assert.equal(fromAnn.trigger('client-word', { word: 'hello' }), true);
    assert.deepEqual((await heard).data, { word: 'hello' });
    atBob.trigger('client-answer', {});
    await hears(ann, 'client-answer');
    assert.deepEqual(heardOf(ann, 'client-word'), []);
    assert.deepEqual(heardOf(bob, 'client-answer'), []);
    end();
});

test('on a presence channel the speaker is named, by the server', async () => {
    const { fromAnn, atBob, end } = await pair('presence-talk');
    const heard = event(atBob, 'client-word');
    fromAnn.trigger('client-word', {});
    assert.equal((await heard).metadata.user_id, 'ann');
    end();
});

test('who claims to be somebody else is named all the same', async () => {
    const bob = await connectPusher(server, { user: { user_id: 'bob', user_info: {} } });
    await subscribe(bob, 'presence-claims');
    const raw = await joinRaw('presence-claims');
    raw.sendBytes(frame(TEXT, JSON.stringify({ event: 'client-x', channel: 'presence-claims', data: {}, user_id: 'boss' })));
    assert.equal((await hears(bob, 'client-x')).user_id, 'raw');
    raw.destroy();
    disconnect(bob);
});

test('data is passed on as it came: an object as an object, a string as a string', async () => {
    const listener = await joinRaw('private-forms');
    const speaker = await joinRaw('private-forms');
    for (const data of [{ a: [1.50, 'x'] }, '{"a":1}', 'words', [], null, 12]) {
        speaker.send('client-form', data, 'private-forms');
        assert.deepEqual((await listener.next('client-form')).data, data);
    }
    listener.destroy();
    speaker.destroy();
});

/* What must not be passed on: [the words, by whom]. Each is followed by one that must. */
const refused = {
    'on a public channel': (raw) => raw.send('client-bad', {}, 'open'),
    'on a channel that was not joined': (raw) => raw.send('client-bad', {}, 'private-elsewhere'),
    'without a channel': (raw) => raw.send('client-bad', {}),
    'with a name that is the server\'s': (raw) => raw.send('pusher_internal:member_added', {}, 'private-good'),
    'with a name that does not begin with client-': (raw) => raw.send('clientbad', {}, 'private-good'),
    'with a name that is too long': (raw) => raw.send(`client-${'x'.repeat(200)}`, {}, 'private-good'),
    'with data that is too large': (raw) => raw.send('client-bad', 'x'.repeat(10 * 1024 + 1), 'private-good'),
};

for (const [what, speak] of Object.entries(refused)) {
    test(`an event ${what} is not passed on, the connection stays`, async () => {
        const listener = await joinRaw('private-good');
        for (const channel of ['open', 'private-elsewhere']) {
            listener.send('pusher:subscribe', { channel, ...authorize(server, listener.socketId, channel) });
            await listener.next('pusher_internal:subscription_succeeded', channel);
        }
        const speaker = await joinRaw('private-good');
        speaker.send('pusher:subscribe', { channel: 'open' });
        await speaker.next('pusher_internal:subscription_succeeded', 'open');
        speak(speaker);
        await speaker.settled();
        speaker.send('client-good', {}, 'private-good');
        await listener.next('client-good');
        const unwanted = listener.messages.all.filter(({ event: name }) => /bad|x{50}|^client-x|added/.test(name));
        assert.deepEqual(unwanted, []);
        listener.destroy();
        speaker.destroy();
    });
}

test('an event that is not UTF-8 is not passed on, and ends the connection of its speaker', async () => {
    const [listener, speaker, other] = [await joinRaw('private-utf8'), await joinRaw('private-utf8'), await joinRaw('private-utf8')];
    speaker.sendBytes(frame(TEXT, Buffer.from('{"event":"client-bad","channel":"private-utf8","data":"\xc3("}', 'latin1')));
    assert.equal((await speaker.ended()).code, 1007);
    other.send('client-good', {}, 'private-utf8');
    await listener.next('client-good');
    assert.deepEqual(listener.messages.all.filter(({ event: name }) => name === 'client-bad'), []);
    listener.destroy();
    other.destroy();
});

test('on encrypted channels clients do not speak', async () => {
    const listener = await joinRaw('private-encrypted-e');
    const speaker = await joinRaw('private-encrypted-e');
    speaker.send('client-bad', {}, 'private-encrypted-e');
    await speaker.next('pusher:error');
    await listener.settled();
    assert.deepEqual(listener.messages.all.filter(({ event: name }) => name === 'client-bad'), []);
    listener.destroy();
    speaker.destroy();
});

test('an app that does not allow them passes none on', async () => {
    const quiet = { ...server, app: silent, host: server.host, port: server.port, prefix: '' };
    const join = async () => {
        const raw = await openPusher(server, '/app/silent-key?protocol=7');
        raw.send('pusher:subscribe', { channel: 'private-x', ...authorize(quiet, raw.socketId, 'private-x') });
        await raw.next('pusher_internal:subscription_succeeded', 'private-x');
        return raw;
    };
    const [listener, speaker] = [await join(), await join()];
    speaker.send('client-bad', {}, 'private-x');
    await speaker.next('pusher:error');
    await speaker.settled();
    await listener.settled();
    assert.deepEqual(listener.messages.all.filter(({ event: name }) => name === 'client-bad'), []);
    listener.destroy();
    speaker.destroy();
});

test('over the rate an event is dropped with 4301, the connection stays and others are free', async () => {
    const { ann, bob, fromAnn, atBob, end } = await pair('private-flood');
    for (let i = 0; i < 40; i++)
        fromAnn.trigger('client-flood', { i });
    const error = await hears(ann, 'pusher:error');
    assert.equal(error.data.code, 4301);
    atBob.trigger('client-calm', {});
    await hears(ann, 'client-calm');
    await settled(ann);
    await settled(bob);
    const passed = heardOf(bob, 'client-flood').length;
    assert.ok(passed >= 10 && passed < 40, `${passed} of 40 were passed on`);
    assert.equal(ann.connection.state, 'connected');
    end();
});

endsCleanly(server);
