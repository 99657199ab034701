/* Every limit of an app, from both sides: what is just within it is fine, what is just over it is refused in words. */
// workers

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import test from 'node:test';
import { backEnd } from '../support/clients.mjs';
import { openPusher } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const wide = { id: '8', key: 'wide-key', secret: 'wide-secret', client_events: true, limits: {
    presence_members: 0, client_events_per_second: 0, event_bytes: 0, event_name_chars: 0, channel_name_chars: 0, user_id_chars: 0,
    user_info_bytes: 0, channels_per_connection: 0, watchlist_users: 0 } };
const small = { id: '9', key: 'small-key', secret: 'small-secret', client_events: true, limits: {
    presence_members: 2, client_events_per_second: 3, event_bytes: 20, event_name_chars: 12, channel_name_chars: 20, user_id_chars: 5,
    user_info_bytes: 30, channels_per_connection: 3, watchlist_users: 2 } };
const server = await startServer({ edge: { messages_per_second: 0 }, apps: [app, wide, small] });

const wordy = (n) => 'x'.repeat(n);
const of = (which) => Object.assign(Object.create(server), { app: which });
const open = (which) => openPusher(server, `/app/${which.key}?protocol=7`);

/* Asks for it, rightly signed, and gives the error's words, or null. */
async function ask(raw, which, channel, user = null) {
    const data = user === null ? {} : { channel_data: JSON.stringify(user) };
    const text = [raw.socketId, channel, ...Object.values(data)].join(':');
    const auth = `${which.key}:${createHmac('sha256', which.secret).update(text).digest('hex')}`;
    raw.send('pusher:subscribe', { channel, auth, ...data });
    const { event, data: answer } = await raw.messages.next((message) => message.channel === channel
        && /subscription_(succeeded|error)$/.test(message.event), `an answer about ${channel.slice(0, 40)}`);
    return event === 'pusher:subscription_error' ? answer.error : null;
}

/* What a client says, and whether another one hears it; the sender's error otherwise. */
async function says(which, event, data) {
    const [raw, other] = [await open(which), await open(which)];
    for (const connection of [raw, other])
        assert.equal(await ask(connection, which, 'private-talk'), null);
    raw.send(event, data, 'private-talk');
    const told = await Promise.race([other.next(event).then(() => null), raw.next('pusher:error').then((error) => error.data.message)]);
    raw.destroy();
    other.destroy();
    return told;
}

const cases = [
    ['a channel name', app, 200, (n) => (raw) => ask(raw, app, `c${wordy(n - 1)}`)],
    ['a channel name where 20 is the limit', small, 20, (n) => (raw) => ask(raw, small, wordy(n))],
    ['a user id', app, 128, (n) => (raw) => ask(raw, app, 'presence-x', { user_id: 'ü'.repeat(n) })],
    ['a user id where 5 is the limit', small, 5, (n) => (raw) => ask(raw, small, 'presence-y', { user_id: wordy(n) })],
    ['a user_info', app, 1024, (n) => (raw) => ask(raw, app, 'presence-z', { user_id: 'x', user_info: wordy(n - 2) })],
    ['a user_info where 30 is the limit', small, 30, (n) => (raw) => ask(raw, small, 'presence-z', { user_id: 'x', user_info: wordy(n - 2) })],
];

for (const [what, which, limit, make] of cases) {
    test(`${what}: ${limit} is fine, ${limit + 1} is refused in words`, async () => {
        const [within, over] = [await open(which), await open(which)];
        assert.equal(await make(limit)(within), null);
        assert.match(await make(limit + 1)(over), new RegExp(String(limit)));
        within.destroy();
        over.destroy();
    });
}

for (const [which, name, limit, make] of [
    [app, 'event name', 200, (n) => [`client-${wordy(n - 7)}`, {}]], [small, 'event name', 12, (n) => [`client-${wordy(n - 7)}`, {}]],
    [app, 'event data', 10240, (n) => ['client-x', wordy(n - 2)]], [small, 'event data', 20, (n) => ['client-x', wordy(n - 2)]],
]) {
    test(`a client event's ${name}: ${limit} is fine, ${limit + 1} is refused in words (app ${which.id})`, async () => {
        assert.equal(await says(which, ...make(limit)), null);
        assert.match(await says(which, ...make(limit + 1)), new RegExp(String(limit)));
    });
}

test('members: a hundred by default, as many as configured, any number with 0', async () => {
    const fill = async (which, limit, tries) => {
        const raws = await Promise.all(Array.from({ length: tries }, () => open(which)));
        let refused = 0;
        for (const [i, raw] of raws.entries())
            refused += await ask(raw, which, 'presence-full', { user_id: `u${i}` }) === null ? 0 : 1;
        raws.forEach((raw) => raw.destroy());
        assert.equal(refused, tries - limit);
    };
    await fill(app, 100, 102);
    await fill(small, 2, 4);
    await fill(wide, 150, 150);
});

test('channels of a connection: as many as configured, and one that was left makes room', async () => {
    const raw = await open(small);
    for (const channel of ['a', 'b', 'c'])
        assert.equal(await ask(raw, small, channel), null);
    assert.match(await ask(raw, small, 'd'), /3/);
    raw.send('pusher:unsubscribe', { channel: 'b' });
    assert.equal(await ask(raw, small, 'd'), null);
    raw.destroy();
});

test('a watchlist: the first so many, and 4302', async () => {
    const raw = await open(small);
    raw.send('pusher:signin', backEnd(of(small)).authenticateUser(raw.socketId, { id: 'me', watchlist: ['a', 'b', 'c'] }));
    assert.equal((await raw.next('pusher:error')).data.code, 4302);
    assert.deepEqual((await raw.next('pusher_internal:watchlist_events')).data.events[0].user_ids.slice().sort(), ['a', 'b']);
    raw.destroy();
});

test('client events of a second: as many as configured, then 4301, and not for those who sent none', async () => {
    const [raw, other] = [await open(small), await open(small)];
    for (const connection of [raw, other])
        assert.equal(await ask(connection, small, 'private-rate'), null);
    for (let i = 0; i < 10; i++)
        raw.send('client-x', {}, 'private-rate');
    assert.equal((await raw.next('pusher:error')).data.code, 4301);
    other.send('client-x', {}, 'private-rate');
    await raw.next('client-x');
    const number = (connection, name) => connection.messages.all.filter(({ event }) => event === name).length;
    await until(() => number(raw, 'pusher:error') + number(other, 'client-x') === 10, 'each to be passed on or dropped');
    assert.ok(number(other, 'client-x') >= 3 && number(raw, 'pusher:error') >= 5);
    raw.destroy();
    other.destroy();
});

test('with 0 nothing of this is limited, but by the size of a message', async () => {
    const [raw, other] = [await open(wide), await open(wide)];
    const name = `presence-${wordy(300)}`;
    const info = wordy(2000);
    assert.equal(await ask(raw, wide, name, { user_id: 'y'.repeat(500), user_info: info }), null);
    assert.equal(await ask(other, wide, name, { user_id: 'o' }), null);
    const event = `client-${wordy(400)}`;
    other.send(event, 'z'.repeat(20_000), name);
    assert.equal((await raw.next(event)).data.length, 20_000);
    for (let i = 0; i < 30; i++)
        other.send('client-many', i, name);
    for (let i = 0; i < 30; i++)
        assert.equal((await raw.next('client-many')).data, i);
    const watchlist = Array.from({ length: 150 }, (_, i) => `w${i}`);
    raw.send('pusher:signin', backEnd(of(wide)).authenticateUser(raw.socketId, { id: 'me', watchlist }));
    assert.equal((await raw.next('pusher_internal:watchlist_events')).data.events[0].user_ids.length, 150);
    raw.destroy();
    other.destroy();
});

test('an app\'s limits are its own', async () => {
    const raw = await open(app);
    for (const channel of ['a', 'b', 'c', 'd', wordy(100)])
        assert.equal(await ask(raw, app, channel), null);
    raw.destroy();
});

endsCleanly(server);
