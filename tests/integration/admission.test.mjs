/* Who may connect, and stay: authorization in time, origins of pages, pairs of keys, a limit on all connections. */
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import Pusher from 'pusher-js';
import { backEnd, connectPusher, disconnect, event, pusherOptions, subscribe } from '../support/clients.mjs';
import { appPath, openPusher, openWebSocket } from '../support/raw.mjs';
import { app, startServer } from '../support/server.mjs';
import { until, within } from '../support/wait.mjs';

const pairs = [{ key: 'old-key', secret: 'old-secret' }, { key: 'new-key', secret: 'new-secret' }];
const strict = { id: '8', key: 'strict-key', secret: 'strict-secret', require_authorization: true, authorization_timeout_ms: 600 };
const patient = { ...strict, id: '9', key: 'patient-key', secret: 'patient-secret', authorization_timeout_ms: 60_000 };
const local = { id: '10', key: 'local-key', secret: 'x', allowed_origins: ['https://example.com', 'https://*.example.org', 'localhost:*'] };
const rotating = { id: '11', keys: pairs, client_events: true };
const server = await startServer({ apps: [app, strict, patient, local, rotating] });

/* The server as a client of that app sees it. */
const asSeenBy = (seen) => Object.assign(Object.create(server), { app: seen });

/* ---- authorization in time ---- */

const open = (key) => openPusher(server, `/app/${key}?protocol=7`);

async function until4009(raw) {
    await raw.messages.next(({ event: name, data }) => name === 'pusher:error' && data.code === 4009, 'a 4009');
    assert.equal((await raw.ended()).code, 4009);
}

test('who says nothing, or only joins public channels, is closed with 4009 when the time is over', async () => {
    const began = performance.now();
    const [silent, open1] = [await open('strict-key'), await open('strict-key')];
    open1.send('pusher:subscribe', { channel: 'public' });
    await open1.next('pusher_internal:subscription_succeeded');
    open1.send('pusher:subscribe', { channel: 'private-x', auth: 'strict-key:00' });
    await open1.next('pusher:subscription_error');
    await Promise.all([until4009(silent), until4009(open1)]);
    const took_ms = performance.now() - began;
    assert.ok(took_ms > 550, `closed after ${took_ms} ms of 600`);
});

test('who signs in or joins an authorised channel in time stays, also when that is left again', async () => {
    const back = backEnd(asSeenBy(strict));
    const [user, member, visitor, control] = await Promise.all([1, 2, 3, 4].map(() => open('strict-key')));
    user.send('pusher:signin', back.authenticateUser(user.socketId, { id: 'ann' }));
    await user.next('pusher:signin_success');
    member.send('pusher:subscribe', { channel: 'presence-x', ...back.authorizeChannel(member.socketId, 'presence-x', { user_id: 'ann' }) });
    await member.next('pusher_internal:subscription_succeeded');
    visitor.send('pusher:subscribe', { channel: 'private-x', ...back.authorizeChannel(visitor.socketId, 'private-x') });
    await visitor.next('pusher_internal:subscription_succeeded');
    visitor.send('pusher:unsubscribe', { channel: 'private-x' });
    await until4009(control);
    for (const raw of [user, member, visitor]) {
        await raw.settled();
        assert.equal(raw.close, null);
        raw.destroy();
    }
});

test('an app that does not require it, and one with more patience, keep the silent', async () => {
    const [free, waiting, control] = [await open(app.key), await open('patient-key'), await open('strict-key')];
    await until4009(control);
    for (const raw of [free, waiting]) {
        await raw.settled();
        raw.destroy();
    }
});

/* ---- origins ---- */

const origins = {
    'https://example.com': true, 'https://a.example.org': true, 'https://a.b.example.org': true, 'http://localhost:3000': true,
    'https://localhost': true, 'http://example.com': false, 'https://example.org': false, 'https://example.com.evil.net': false,
    'https://evil.net/https://example.com': false, 'https://evilexample.org': false, null: false, '': false,
};

for (const [origin, welcome] of Object.entries(origins)) {
    test(`a page of "${origin}" is ${welcome ? 'let in' : 'refused with 4009'}`, async () => {
        const raw = await openWebSocket(server, '/app/local-key?protocol=7', { headers: { Origin: origin } });
        const first = await raw.messages.next();
        assert.equal(first.event, welcome ? 'pusher:connection_established' : 'pusher:error');
        if (!welcome) {
            assert.equal(first.data.code, 4009);
            assert.equal((await raw.ended()).code, 4009);
        }
        raw.destroy();
    });
}

test('a client that is no page has no origin, and is let in; an app without a list lets every page in', async () => {
    (await openPusher(server, '/app/local-key?protocol=7')).destroy();
    (await openPusher(server, appPath(server), { headers: { Origin: 'https://anywhere.example' } })).destroy();
});

/* ---- pairs of keys ---- */

for (const [connects, signs] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
    test(`connected with the ${pairs[connects].key}, authorised and signed in with the ${pairs[signs].key}`, async () => {
        const back = backEnd(asSeenBy({ ...rotating, ...pairs[signs] }));
        const pusher = await connectPusher(asSeenBy({ ...rotating, ...pairs[connects] }), {
            sign: (socketId, channel) => back.authorizeChannel(socketId, channel, channel.startsWith('presence-') ? { user_id: 'ann' } : undefined),
            options: { userAuthentication: { customHandler: ({ socketId }, answer) => answer(null, back.authenticateUser(socketId, { id: 'ann' })) } },
        });
        const channel = await subscribe(pusher, 'private-x');
        await subscribe(pusher, 'presence-x');
        pusher.signin();
        await within(pusher.user.signinDonePromise, 'signing in');
        assert.equal(pusher.user.user_data.id, 'ann');
        const word = event(channel, 'word');
        await back.trigger('private-x', 'word', signs);
        assert.equal((await word).data, signs);
        disconnect(pusher);
    });
}

test('the secret of one pair does not go with the key of the other', async () => {
    const mixed = backEnd(asSeenBy({ ...rotating, key: 'old-key', secret: 'new-secret' }));
    const raw = await open('old-key');
    raw.send('pusher:subscribe', { channel: 'private-x', ...mixed.authorizeChannel(raw.socketId, 'private-x') });
    assert.equal((await raw.next('pusher:subscription_error')).data.status, 401);
    raw.send('pusher:signin', mixed.authenticateUser(raw.socketId, { id: 'ann' }));
    assert.equal((await raw.next('pusher:error')).data.code, null);
    raw.destroy();
});

test('the pairs of another app are no pairs', async () => {
    const raw = await open('old-key');
    raw.send('pusher:subscribe', { channel: 'private-x', ...backEnd(server).authorizeChannel(raw.socketId, 'private-x') });
    await raw.next('pusher:subscription_error');
    raw.destroy();
});

test('the server leaves with 0, and no sanitizer has anything to say', () => server.stop());

/* ---- all connections ---- */

test('over the limit of all connections: 4100, whatever the app; pusher-js waits and comes in when one has left', async () => {
    const small = await startServer({ edge: { connections: 2 }, apps: [app, { id: '8', key: 'other-key', secret: 'x' }] });
    const first = await openPusher(small);
    const second = await openPusher(small, '/app/other-key?protocol=7');
    const third = await openWebSocket(small, '/app/other-key?protocol=7');
    assert.equal((await third.next('pusher:error')).data.code, 4100);
    assert.equal((await third.ended()).code, 4100);
    const pusher = new Pusher(app.key, pusherOptions(small));
    const refused = await within(new Promise((resolve) => pusher.connection.bind('error', resolve)), 'an error');
    assert.equal(refused.error.data.code, 4100);
    const connected = within(new Promise((resolve) => pusher.connection.bind('connected', resolve)), 'pusher-js to come in');
    first.destroy();
    await connected;
    const readyIs = (wanted) => until(async () => (await small.admin('/readyz')).status === wanted, `/readyz to answer ${wanted}`);
    await readyIs(503); /* it is at its limit again: whoever has a balancer is sent elsewhere */
    disconnect(pusher);
    await readyIs(200);
    second.destroy();
    await until(async () => {
        const raw = await openWebSocket(small, appPath(small));
        const { event: name } = await raw.messages.next();
        raw.destroy();
        return name === 'pusher:connection_established';
    }, 'room again');
    await small.stop();
});
