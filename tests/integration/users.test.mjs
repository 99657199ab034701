/* Users: pusher-js signs in, hears what is sent to it, sees its watchlist come and go, and is told to leave. */
// threads
// workers

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, heardOf, hears, settled } from '../support/clients.mjs';
import { openPusher } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';
import { until, within } from '../support/wait.mjs';

const strangers = { id: '8', key: 'strange-key', secret: 'strange-secret', user_authentication: false };
const server = await startServer({ apps: [app, strangers] });
const back = backEnd(server);

/* pusher-js of a user whose back end vouches for him. */
function arrive(user, { vouch = (socketId) => back.authenticateUser(socketId, user) } = {}) {
    const customHandler = ({ socketId }, answer) => answer(null, vouch(socketId));
    return connectPusher(server, { options: { userAuthentication: { customHandler } } });
}

async function signIn(user, options) {
    const pusher = await arrive(user, options);
    pusher.signin();
    await within(pusher.user.signinDonePromise, `${user.id} to be signed in`);
    return pusher;
}

/* The next such event that pusher-js gives to whoever has bound it. */
function once(emitter, name) {
    return within(new Promise((resolve) => {
        const callback = (data) => {
            emitter.unbind(name, callback);
            resolve(data);
        };
        emitter.bind(name, callback);
    }), name);
}

/* A raw connection, signed in with exactly these words. */
async function sayWho(user_data, sign = (socketId) => back.authenticateUser(socketId, { id: 'x' }), words = {}) {
    const raw = await openPusher(server);
    raw.send('pusher:signin', { ...sign(raw.socketId), ...(user_data !== null && { user_data }), ...words });
    return raw;
}

function signedWith(text) {
    return (socketId) => ({
        auth: `${app.key}:${createHmac('sha256', app.secret).update(`${socketId}::user::${text}`).digest('hex')}`,
    });
}

test('pusher-js signs in, and knows who it is', async () => {
    const ann = await signIn({ id: 'ann', user_info: { name: 'Ann' } });
    assert.deepEqual(ann.user.user_data, { id: 'ann', user_info: { name: 'Ann' } });
    const [success] = heardOf(ann, 'pusher:signin_success');
    assert.deepEqual(success.data, { user_data: '{"id":"ann","user_info":{"name":"Ann"}}' });
    disconnect(ann);
});

test('what is sent to a user arrives at pusher.user, on each of his connections and nowhere else', async () => {
    const [one, two, other] = [await signIn({ id: 'bea' }), await signIn({ id: 'bea' }), await signIn({ id: 'other' })];
    for (const pusher of [one, two, other])
        await hears(pusher, 'pusher_internal:subscription_succeeded');
    const both = [one, two].map((pusher) => once(pusher.user, 'invoice'));
    await back.sendToUser('bea', 'invoice', { n: 7 });
    assert.deepEqual(await Promise.all(both), [{ n: 7 }, { n: 7 }]);
    await settled(other);
    assert.deepEqual(heardOf(other, 'invoice'), []);
    [one, two, other].forEach(disconnect);
});

test('the channel of a user is nobody else\'s, signed in or not', async () => {
    const nobody = await openPusher(server);
    const somebody = await sayWho('{"id":"cal"}', signedWith('{"id":"cal"}'));
    await somebody.next('pusher:signin_success');
    for (const raw of [nobody, somebody]) {
        for (const channel of ['#server-to-user-ann', '#server-to-user-', '#server-to-user-ca', '#other', '#user-cal', '#user-ann']) {
            raw.send('pusher:subscribe', { channel, auth: 'test-key:00' });
            await raw.next('pusher:subscription_error', channel);
        }
    }
    somebody.send('pusher:subscribe', { channel: '#server-to-user-cal' });
    assert.equal((await somebody.next('pusher_internal:subscription_succeeded')).data, '{}');
    [nobody, somebody].forEach((raw) => raw.destroy());
});

test('a user id may hold any character', async () => {
    const id = 'auth0|1/ü?#%😀 "x"';
    const odd = await signIn({ id });
    await hears(odd, 'pusher_internal:subscription_succeeded', `#server-to-user-${id}`);
    const word = once(odd.user, 'word');
    await back.sendToUser(id, 'word', 'yes');
    assert.equal(await word, 'yes');
    disconnect(odd);
});

test('a watchlist says who is there at first, and then who comes and goes', async () => {
    const there = await signIn({ id: 'eve' });
    const watcher = await arrive({ id: 'watcher', watchlist: ['eve', 'fay'] });
    const first = [once(watcher.user.watchlist, 'online'), once(watcher.user.watchlist, 'offline')];
    watcher.signin();
    assert.deepEqual(await Promise.all(first), [{ name: 'online', user_ids: ['eve'] }, { name: 'offline', user_ids: ['fay'] }]);
    const comes = once(watcher.user.watchlist, 'online');
    const fay = await signIn({ id: 'fay' });
    assert.deepEqual(await comes, { name: 'online', user_ids: ['fay'] });
    const goes = once(watcher.user.watchlist, 'offline');
    disconnect(there);
    assert.deepEqual(await goes, { name: 'offline', user_ids: ['eve'] });
    [watcher, fay].forEach(disconnect);
});

test('a user is online while one connection of his is signed in, whatever the others do', async () => {
    const watcher = await signIn({ id: 'watching', watchlist: ['gus', 'end'] });
    await hears(watcher, 'pusher_internal:watchlist_events');
    const [one, two] = [await signIn({ id: 'gus' }), await signIn({ id: 'gus' })];
    await hears(watcher, 'pusher_internal:watchlist_events');
    disconnect(one);
    const end = await signIn({ id: 'end' });
    assert.deepEqual((await hears(watcher, 'pusher_internal:watchlist_events')).data, { events: [{ name: 'online', user_ids: ['end'] }] });
    disconnect(two);
    assert.deepEqual((await hears(watcher, 'pusher_internal:watchlist_events')).data, { events: [{ name: 'offline', user_ids: ['gus'] }] });
    assert.equal(heardOf(watcher, 'pusher_internal:watchlist_events').length, 4);
    [watcher, end].forEach(disconnect);
});

test('a connection that is not signed in makes nobody online', async () => {
    const bystander = await arrive({ id: 'hal' });
    const watcher = await arrive({ id: 'looks', watchlist: ['hal'] });
    watcher.signin();
    assert.deepEqual((await hears(watcher, 'pusher_internal:watchlist_events')).data, { events: [{ name: 'offline', user_ids: ['hal'] }] });
    [bystander, watcher].forEach(disconnect);
});

test('a watchlist of a hundred is watched whole; of more, the first hundred, and 4302 says so', async () => {
    const ids = Array.from({ length: 103 }, (_, i) => `friend-${i}`);
    const exact = await signIn({ id: 'ivy', watchlist: ids.slice(0, 100) });
    assert.equal((await hears(exact, 'pusher_internal:watchlist_events')).data.events[0].user_ids.length, 100);
    assert.deepEqual(heardOf(exact, 'pusher:error'), []);
    const over = await arrive({ id: 'jim', watchlist: ids });
    const told = within(new Promise((resolve) => over.connection.bind('error', resolve)), 'an error');
    over.signin();
    assert.equal((await told).data.code, 4302);
    const { events } = (await hears(over, 'pusher_internal:watchlist_events')).data;
    assert.deepEqual(events[0].user_ids.slice().sort(), ids.slice(0, 100).sort());
    assert.equal(over.user.user_data.id, 'jim');
    const late = await signIn({ id: 'friend-102' });
    const seen = await signIn({ id: 'friend-99' });
    assert.deepEqual((await hears(over, 'pusher_internal:watchlist_events')).data.events, [{ name: 'online', user_ids: ['friend-99'] }]);
    assert.deepEqual(over.heard.all.map(({ event }) => event).filter((event) => /signin|error|watch/.test(event)).slice(0, 3),
        ['pusher:signin_success', 'pusher:error', 'pusher_internal:watchlist_events']);
    [exact, over, late, seen].forEach(disconnect);
});

test('signing in again as oneself is fine, as somebody else it is refused', async () => {
    const data = '{"id":"kim"}';
    const raw = await sayWho(data, signedWith(data));
    await raw.next('pusher:signin_success');
    raw.send('pusher:signin', { user_data: data, ...signedWith(data)(raw.socketId) });
    assert.deepEqual((await raw.next('pusher:signin_success')).data, { user_data: data });
    raw.send('pusher:signin', { user_data: '{"id":"lea"}', ...signedWith('{"id":"lea"}')(raw.socketId) });
    assert.equal((await raw.next('pusher:error')).data.code, null);
    const watcher = await arrive({ id: 'sees', watchlist: ['kim', 'lea'] });
    watcher.signin();
    assert.deepEqual((await hears(watcher, 'pusher_internal:watchlist_events')).data,
        { events: [{ name: 'online', user_ids: ['kim'] }, { name: 'offline', user_ids: ['lea'] }] });
    disconnect(watcher);
    raw.destroy();
});

const wrong = {
    'another socket\'s signature': ['{"id":"mia"}', () => back.authenticateUser('1.1', { id: 'mia' })],
    'a channel\'s signature': ['{"id":"mia"}', (socketId) => back.authorizeChannel(socketId, 'private-mia')],
    'another user\'s signature': ['{"id":"mia"}', (socketId) => back.authenticateUser(socketId, { id: 'max' })],
    'no signature': ['{"id":"mia"}', () => ({ auth: '' })],
    'no user_data': [null, () => ({ auth: 'test-key:00' })],
    'no id': ['{"name":"mia"}'],
    'an id that is a number': ['{"id":7}'],
    'an empty id': ['{"id":""}'],
    'an id of 129 characters': [JSON.stringify({ id: 'x'.repeat(129) })],
    'a user of more than 1 KiB': [JSON.stringify({ id: 'x', user_info: { text: 'y'.repeat(1024) } })],
    'a user_info that is no object': ['{"id":"x","user_info":"text"}'],
    'a watchlist that is no list': ['{"id":"x","watchlist":"ann"}'],
    'a watchlist of numbers': ['{"id":"x","watchlist":[1]}'],
    'no JSON': ['ann'],
};

for (const [what, [user_data, sign]] of Object.entries(wrong)) {
    test(`signing in with ${what} is refused, the connection stays`, async () => {
        const raw = await sayWho(user_data, sign ?? signedWith(user_data));
        const { data } = await raw.next('pusher:error');
        assert.equal(data.code, null);
        assert.ok(data.message.length > 10);
        await raw.settled();
        assert.ok(!raw.messages.all.some(({ event }) => event === 'pusher:signin_success'));
        raw.destroy();
    });
}

test('an id of 128 characters, and a user of 1 KiB beside a hundred others, are fine', async () => {
    const watchlist = Array.from({ length: 100 }, (_, i) => `${'w'.repeat(100)}${i}`);
    const user = { id: 'ü'.repeat(128), user_info: { text: 'y'.repeat(600) }, watchlist };
    const pusher = await signIn(user);
    assert.deepEqual(pusher.user.user_data, user);
    disconnect(pusher);
});

test('an app without users refuses to sign anybody in', async () => {
    const raw = await openPusher(server, '/app/strange-key?protocol=7');
    raw.send('pusher:signin', backEnd(server, strangers).authenticateUser(raw.socketId, { id: 'ann' }));
    assert.equal((await raw.next('pusher:error')).data.code, null);
    raw.destroy();
});

test('pusher-js is signed in again when it has come back', async () => {
    const watcher = await signIn({ id: 'stays', watchlist: ['noa'] });
    await hears(watcher, 'pusher_internal:watchlist_events');
    const noa = await signIn({ id: 'noa' });
    assert.equal((await hears(watcher, 'pusher_internal:watchlist_events')).data.events[0].name, 'online');
    noa.disconnect();
    noa.connection.stopActivityCheck();
    assert.equal((await hears(watcher, 'pusher_internal:watchlist_events')).data.events[0].name, 'offline');
    noa.connect();
    assert.equal((await hears(watcher, 'pusher_internal:watchlist_events')).data.events[0].name, 'online');
    await until(() => noa.user.user_data?.id === 'noa', 'noa to be signed in again');
    [watcher, noa].forEach(disconnect);
});

test('signed in, one joins a presence channel without channel_data, as who one is', async () => {
    const data = '{"id":"oli","user_info":{"name":"Oli"}}';
    const raw = await sayWho(data, signedWith(data));
    await raw.next('pusher:signin_success');
    const channel = 'presence-lobby';
    const watcher = await connectPusher(server, { user: { user_id: 'watcher' } });
    watcher.subscribe(channel);
    await hears(watcher, 'pusher_internal:subscription_succeeded');
    raw.send('pusher:subscribe', { channel, auth: back.authorizeChannel(raw.socketId, channel).auth });
    const { presence } = JSON.parse((await raw.next('pusher_internal:subscription_succeeded')).data);
    assert.deepEqual(presence.hash, { oli: { name: 'Oli' }, watcher: null });
    assert.deepEqual((await hears(watcher, 'pusher_internal:member_added')).data, { user_id: 'oli', user_info: { name: 'Oli' } });
    const stranger = await openPusher(server);
    stranger.send('pusher:subscribe', { channel, auth: back.authorizeChannel(stranger.socketId, channel).auth });
    assert.equal((await stranger.next('pusher:subscription_error', channel)).data.status, 401);
    disconnect(watcher);
    [raw, stranger].forEach((connection) => connection.destroy());
});

endsCleanly(server);
