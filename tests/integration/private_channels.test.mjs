/* Private channels: who may listen is what the application's back end has signed. */
// threads
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { authorize, backEnd, connectPusher, disconnect, event, heardOf, hears, refusal, subscribe } from '../support/clients.mjs';
import { openPusher } from '../support/raw.mjs';
import { endsCleanly, startServer } from '../support/server.mjs';

const other = { id: '8', key: 'other-key', secret: 'other-secret', client_events: false };
const server = await startServer({ apps: [{ id: '7', key: 'test-key', secret: 'test-secret', client_events: true }, other] });
const back = backEnd(server);

test('a signed subscription succeeds and gets events', async () => {
    const pusher = await connectPusher(server);
    const heard = event(await subscribe(pusher, 'private-letters'), 'letter');
    await back.trigger('private-letters', 'letter', { n: 1 });
    assert.deepEqual((await heard).data, { n: 1 });
    disconnect(pusher);
});

test('an encrypted channel is one between its clients: the server passes on what it cannot read', async () => {
    const pusher = await connectPusher(server);
    const raw = await openPusher(server);
    const heard = event(await subscribe(pusher, 'private-encrypted-x'), 'letter');
    const { auth } = authorize(server, raw.socketId, 'private-encrypted-x');
    raw.send('pusher:subscribe', { channel: 'private-encrypted-x', auth });
    await raw.next('pusher_internal:subscription_succeeded', 'private-encrypted-x');
    await back.trigger('private-encrypted-x', 'letter', { secret: 'words' });
    assert.deepEqual((await heard).data, { secret: 'words' });
    const { data } = await raw.next('letter');
    assert.deepEqual(Object.keys(JSON.parse(data)).sort(), ['ciphertext', 'nonce']);
    raw.destroy();
    disconnect(pusher);
});

/* Each is a signature that is good for something else. */
const forgeries = {
    'another secret': (socketId, channel) => authorize(server, socketId, channel, null, { secret: 'guessed' }),
    'another channel': (socketId) => authorize(server, socketId, 'private-other'),
    'another connection': (_, channel) => authorize(server, '1.1', channel),
    'another app': (socketId, channel) => authorize(server, socketId, channel, null, other),
    'one digit changed': (socketId, channel) => {
        const { auth } = authorize(server, socketId, channel);
        return { auth: auth.slice(0, -1) + (auth.endsWith('0') ? '1' : '0') };
    },
    'upper case': (socketId, channel) => ({ auth: authorize(server, socketId, channel).auth.toUpperCase() }),
    'no colon': () => ({ auth: 'nonsense' }),
    'nothing': () => ({ auth: '' }),
};

for (const [what, forge] of Object.entries(forgeries)) {
    test(`a signature with ${what} is refused, and nothing is heard`, async () => {
        const pusher = await connectPusher(server, { sign: forge });
        const refused = await refusal(pusher, 'private-secret');
        assert.equal(refused.type, 'AuthError');
        assert.equal(refused.status, 401);
        await subscribe(pusher, 'public');
        await back.trigger('private-secret', 'secret', {});
        await back.trigger('public', 'last', {});
        await hears(pusher, 'last');
        assert.deepEqual(heardOf(pusher, 'secret'), []);
        disconnect(pusher);
    });
}

test('the refusal says what should have been signed, but never the signature', async () => {
    const raw = await openPusher(server);
    const { auth } = authorize(server, raw.socketId, 'private-x');
    raw.send('pusher:subscribe', { channel: 'private-x', auth: 'test-key:00' });
    const error = await raw.next('pusher:error');
    assert.equal(error.data.code, null);
    assert.match(error.data.message, new RegExp(`Invalid signature: Expected HMAC SHA256 hex digest of ${raw.socketId}:private-x`));
    await raw.next('pusher:subscription_error', 'private-x');
    assert.ok(!JSON.stringify(raw.messages.all).includes(auth.split(':')[1]));
    raw.destroy();
});

test('after a refusal the same connection may try again and succeed', async () => {
    const raw = await openPusher(server);
    raw.send('pusher:subscribe', { channel: 'private-x', auth: 'test-key:00' });
    await raw.next('pusher:subscription_error', 'private-x');
    raw.send('pusher:subscribe', { channel: 'private-x', ...authorize(server, raw.socketId, 'private-x') });
    await raw.next('pusher_internal:subscription_succeeded', 'private-x');
    raw.destroy();
});

test('apps do not hear each other', async () => {
    const here = await connectPusher(server);
    await subscribe(here, 'same-name');
    const there = await openPusher(server, `/app/other-key?protocol=7`);
    there.send('pusher:subscribe', { channel: 'same-name' });
    await there.next('pusher_internal:subscription_succeeded', 'same-name');
    await back.trigger('same-name', 'for-seven', {});
    await backEnd(server, other).trigger('same-name', 'for-eight', {});
    await hears(here, 'for-seven');
    await there.next('for-eight');
    assert.deepEqual(heardOf(here, 'for-eight'), []);
    assert.deepEqual(there.messages.all.filter((message) => message.event === 'for-seven'), []);
    there.destroy();
    disconnect(here);
});

endsCleanly(server);
