/* Asking about channels, as the official SDK does it. */
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, hears, subscribe } from '../support/clients.mjs';
import { connect, exchange, get, sign } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const server = await startServer();
const back = backEnd(server);

const ask = async (path, params) => (await back.get({ path, params })).json();

test('without channels the answer is an empty object', async () => {
    assert.deepEqual(await ask('/channels'), { channels: {} });
});

let ann, bob, bobAgain;

test('three connections of two people come', async () => {
    const join = async (user_id, ...channels) => {
        const pusher = await connectPusher(server, { user: { user_id, user_info: {} } });
        for (const channel of channels)
            await subscribe(pusher, channel);
        return pusher;
    };
    ann = await join('ann', 'presence-room', 'news');
    bob = await join('bob', 'presence-room', 'news', 'presence-hall');
    bobAgain = await join('bob', 'presence-room');
});

test('all channels, without and with info', async () => {
    assert.deepEqual(await ask('/channels'), { channels: { 'presence-room': {}, 'presence-hall': {}, news: {} } });
    assert.deepEqual(await ask('/channels', { info: 'subscription_count' }), { channels: {
        'presence-room': { subscription_count: 3 }, 'presence-hall': { subscription_count: 1 }, news: { subscription_count: 2 },
    } });
});

test('those of a prefix, with distinct users counted once', async () => {
    assert.deepEqual(await ask('/channels', { filter_by_prefix: 'presence-', info: 'user_count' }),
        { channels: { 'presence-room': { user_count: 2 }, 'presence-hall': { user_count: 1 } } });
    assert.deepEqual(await ask('/channels', { filter_by_prefix: 'presence-r', info: 'user_count,subscription_count' }),
        { channels: { 'presence-room': { user_count: 2, subscription_count: 3 } } });
    assert.deepEqual(await ask('/channels', { filter_by_prefix: 'nothing-' }), { channels: {} });
});

test('one channel, with every attribute that it has', async () => {
    assert.deepEqual(await ask('/channels/news'), { occupied: true });
    assert.deepEqual(await ask('/channels/news', { info: 'subscription_count' }), { occupied: true, subscription_count: 2 });
    assert.deepEqual(await ask('/channels/presence-room', { info: 'user_count,subscription_count' }),
        { occupied: true, user_count: 2, subscription_count: 3 });
    assert.deepEqual(await ask('/channels/nobody'), { occupied: false });
    assert.deepEqual(await ask('/channels/presence-nobody', { info: 'user_count' }), { occupied: false, user_count: 0 });
});

test('who is in a presence channel', async () => {
    const { users } = await ask('/channels/presence-room/users');
    assert.deepEqual(users.map(({ id }) => id).sort(), ['ann', 'bob']);
    assert.deepEqual(await ask('/channels/presence-nobody/users'), { users: [] });
});

/* What is refused: [path, params, status]. */
const refused = [
    ['/channels', { info: 'user_count' }, 400],
    ['/channels', { info: 'user_count', filter_by_prefix: 'news' }, 400],
    ['/channels', { info: 'weather', filter_by_prefix: 'presence-' }, 400],
    ['/channels/news', { info: 'user_count' }, 400],
    ['/channels/news', { info: 'cache' }, 400],
    ['/channels/news', { info: 'weather' }, 400],
    ['/channels/news/users', {}, 400],
    ['/channels/a b', {}, 400],
    ['/nothing', {}, 404],
    ['/channels/presence-room/users/ann', {}, 404],
];

for (const [path, params, status] of refused) {
    test(`${path} with ${JSON.stringify(params)} is answered with ${status}`, async () => {
        const error = await back.get({ path, params }).then(() => null, (problem) => problem);
        assert.equal(error?.status, status);
        assert.ok(JSON.parse(error.body).error);
    });
}

test('a method that a path does not have is answered with 405 and those it has', async () => {
    for (const [method, path, allowed] of [['DELETE', '/apps/7/channels', 'GET'], ['PUT', '/apps/7/events', 'POST']]) {
        const text = get(app, path).replace(/^GET/, method).replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n');
        const answer = await exchange(server, text);
        assert.equal(answer.status, 405);
        assert.ok(answer.headers.allow.includes(allowed), answer.headers.allow);
    }
});

test('HEAD gives the head alone', async () => {
    const raw = await connect(server);
    raw.write(`HEAD ${sign(app, 'HEAD', '/apps/7/channels')} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const head = await raw.answer({ head: true });
    assert.ok([200, 405].includes(head.status), String(head.status));
    raw.write(get(app, '/apps/7/channels/news'));
    assert.deepEqual(JSON.parse((await raw.answer()).body), { occupied: true });
    raw.destroy();
});

test('counts follow those who leave', async () => {
    disconnect(bobAgain);
    await until(async () => (await ask('/channels/presence-room', { info: 'subscription_count' })).subscription_count === 2,
        'the count to fall');
    assert.equal((await ask('/channels/presence-room', { info: 'user_count' })).user_count, 2);
    disconnect(bob);
    await hears(ann, 'pusher_internal:member_removed', 'presence-room');
    assert.equal((await ask('/channels/presence-room', { info: 'user_count' })).user_count, 1);
    disconnect(ann);
    await until(async () => Object.keys((await ask('/channels')).channels).length === 0, 'all channels to be gone');
});

endsCleanly(server);
