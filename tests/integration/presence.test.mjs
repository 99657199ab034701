/* Presence channels: who is here, and who comes and goes, each person once however many connections they have. */
// threads
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { authorize, backEnd, connectPusher, disconnect, event, heardOf, hears, refusal, subscribe } from '../support/clients.mjs';
import { openPusher } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const server = await startServer({ apps: [{ ...app, limits: { presence_members: 5, user_info_bytes: 1024, user_id_chars: 128 } }] });
const back = backEnd(server);

const person = (id, info = { name: id }) => ({ user: { user_id: id, user_info: info } });

async function join(channel, id, info) {
    const pusher = await connectPusher(server, person(id, info));
    return { pusher, channel: await subscribe(pusher, channel) };
}

/* The number of connections that the server counts in a channel. */
async function subscriptions(channel) {
    const answer = await back.get({ path: `/channels/${channel}`, params: { info: 'subscription_count' } });
    return (await answer.json()).subscription_count ?? 0;
}

const ids = (channel) => Object.keys(channel.members.members).sort();

test('the roster has everyone, with their info, and says who I am', async () => {
    const ann = await join('presence-roster', 'ann', { name: 'Ann', age: 41 });
    const bob = await join('presence-roster', 'bob');
    assert.deepEqual(ids(bob.channel), ['ann', 'bob']);
    assert.equal(bob.channel.members.count, 2);
    assert.deepEqual(bob.channel.members.get('ann').info, { name: 'Ann', age: 41 });
    assert.deepEqual(bob.channel.members.me, { id: 'bob', info: { name: 'bob' } });
    disconnect(ann.pusher);
    disconnect(bob.pusher);
});

test('those who are there are told who comes and who goes', async () => {
    const ann = await join('presence-doors', 'ann');
    const added = event(ann.channel, 'pusher:member_added');
    const bob = await join('presence-doors', 'bob', { name: 'Bob' });
    assert.deepEqual((await added).data, { id: 'bob', info: { name: 'Bob' } });
    assert.equal(ann.channel.members.count, 2);
    const removed = event(ann.channel, 'pusher:member_removed');
    bob.pusher.unsubscribe('presence-doors');
    assert.equal((await removed).data.id, 'bob');
    assert.deepEqual(ids(ann.channel), ['ann']);
    disconnect(ann.pusher);
    disconnect(bob.pusher);
});

test('one whose connection ends without a word has gone, too', async () => {
    const ann = await join('presence-lost', 'ann');
    const raw = await openPusher(server);
    raw.send('pusher:subscribe',
        { channel: 'presence-lost', ...authorize(server, raw.socketId, 'presence-lost', { user_id: 'bob' }) });
    await hears(ann.pusher, 'pusher_internal:member_added');
    raw.socket.resetAndDestroy?.() ?? raw.destroy();
    assert.equal((await hears(ann.pusher, 'pusher_internal:member_removed')).data.user_id, 'bob');
    disconnect(ann.pusher);
});

test('nobody hears of their own coming', async () => {
    const ann = await join('presence-self', 'ann');
    const bob = await join('presence-self', 'bob');
    await hears(ann.pusher, 'pusher_internal:member_added');
    assert.deepEqual(heardOf(bob.pusher, 'pusher_internal:member_added'), []);
    assert.equal(heardOf(ann.pusher, 'pusher_internal:member_added').length, 1);
    disconnect(ann.pusher);
    disconnect(bob.pusher);
});

test('several connections of one person are one member, who leaves with the last', async () => {
    const name = 'presence-many';
    const ann = await join(name, 'ann');
    const first = await join(name, 'bob', { tab: 1 });
    const second = await join(name, 'bob', { tab: 2 });
    assert.equal(second.channel.members.count, 2);
    assert.deepEqual(second.channel.members.me.info, { tab: 1 }, 'info does not change until the last has left');
    disconnect(first.pusher);
    await until(async () => await subscriptions(name) === 2, 'the first connection to be gone');
    const carol = await join(name, 'carol');
    await hears(ann.pusher, 'pusher_internal:member_added', name);
    assert.equal((await hears(ann.pusher, 'pusher_internal:member_added', name)).data.user_id, 'carol');
    assert.deepEqual(heardOf(ann.pusher, 'pusher_internal:member_removed'), []);
    disconnect(second.pusher);
    assert.equal((await hears(ann.pusher, 'pusher_internal:member_removed', name)).data.user_id, 'bob');
    const back = await join(name, 'bob', { tab: 3 });
    assert.deepEqual((await hears(ann.pusher, 'pusher_internal:member_added', name)).data.user_info, { tab: 3 });
    for (const { pusher } of [ann, carol, back])
        disconnect(pusher);
});

test('a number as user id becomes its string; a person without info has null', async () => {
    const ann = await join('presence-number', 'ann');
    const raw = await openPusher(server);
    raw.send('pusher:subscribe',
        { channel: 'presence-number', ...authorize(server, raw.socketId, 'presence-number', { user_id: 17 }) });
    const { presence } = JSON.parse((await raw.next('pusher_internal:subscription_succeeded')).data);
    assert.deepEqual(presence.ids.slice().sort(), ['17', 'ann']);
    assert.equal(presence.count, 2);
    assert.equal(presence.hash['17'], null);
    assert.ok(Object.hasOwn(presence.hash, '17'));
    assert.equal((await hears(ann.pusher, 'pusher_internal:member_added')).data.user_id, '17');
    raw.destroy();
    disconnect(ann.pusher);
});

test('an id with every kind of character goes through whole', async () => {
    const id = 'auth0|1/"ä\\😀\u0001 {}';
    const ann = await join('presence-odd', 'ann');
    const odd = await join('presence-odd', id);
    assert.deepEqual(odd.channel.members.me.id, id);
    assert.equal((await hears(ann.pusher, 'pusher_internal:member_added')).data.user_id, id);
    const users = await (await back.get({ path: '/channels/presence-odd/users' })).json();
    assert.deepEqual(users.users.map((user) => user.id).sort(), ['ann', id].sort());
    disconnect(ann.pusher);
    disconnect(odd.pusher);
});

test('a full channel takes no further person, but further connections of those in it', async () => {
    const people = [];
    for (const id of ['a', 'b', 'c', 'd', 'e'])
        people.push(await join('presence-full', id));
    const late = await connectPusher(server, person('late'));
    assert.ok(await refusal(late, 'presence-full'));
    const again = await join('presence-full', 'a');
    assert.equal(again.channel.members.count, 5);
    disconnect(people[1].pusher);
    await hears(people[0].pusher, 'pusher_internal:member_removed');
    const next = await join('presence-full', 'next');
    assert.equal(next.channel.members.count, 5);
    for (const { pusher } of [...people, { pusher: late }, again, next])
        disconnect(pusher);
});

const badData = {
    'no channel_data': undefined,
    'no JSON': '{"user_id"',
    'no object': '["ann"]',
    'no user_id': '{"user_info":{}}',
    'an empty user_id': '{"user_id":""}',
    'a user_id that is an object': '{"user_id":{}}',
    'a user_id of null': '{"user_id":null}',
    'a long user_id': JSON.stringify({ user_id: 'x'.repeat(129) }),
    'a large user_info': JSON.stringify({ user_id: 'x', user_info: 'y'.repeat(1100) }),
    'an open bracket a thousand times': `{"user_id":"x","user_info":${'['.repeat(1000)}`,
    'a NUL in the user_id': '{"user_id":"a\\u0000b"}',
};

for (const [what, channel_data] of Object.entries(badData)) {
    test(`${what}, correctly signed, is refused`, async () => {
        const raw = await openPusher(server);
        const channel = 'presence-bad';
        const signed = channel_data === undefined ? `${raw.socketId}:${channel}` : `${raw.socketId}:${channel}:${channel_data}`;
        const { createHmac } = await import('node:crypto');
        const auth = `${app.key}:${createHmac('sha256', app.secret).update(signed).digest('hex')}`;
        raw.send('pusher:subscribe', { channel, auth, channel_data });
        await raw.next('pusher:subscription_error', channel);
        await raw.settled();
        raw.destroy();
    });
}

test('channel_data that was changed after signing is refused', async () => {
    const raw = await openPusher(server);
    const signed = authorize(server, raw.socketId, 'presence-x', { user_id: 'ann' });
    raw.send('pusher:subscribe',
        { channel: 'presence-x', auth: signed.auth, channel_data: signed.channel_data.replace('ann', 'bob') });
    await raw.next('pusher:subscription_error', 'presence-x');
    raw.destroy();
});

test('a roster is exactly what the comings and goings since add up to', async () => {
    const watcher = await join('presence-churn', 'watcher');
    for (let round = 0; round < 6; round++) {
        const guests = await Promise.all(['p', 'q', 'r'].map((id) => join('presence-churn', id)));
        await Promise.all(guests.map(({ pusher }, i) => {
            if (i !== round % 3)
                disconnect(pusher);
            return null;
        }));
        await until(() => ids(watcher.channel).length === 2, 'two to have gone');
        disconnect(guests[round % 3].pusher);
        await until(() => ids(watcher.channel).length === 1, 'all to have gone');
    }
    assert.equal(watcher.channel.members.count, 1);
    assert.deepEqual((await (await back.get({ path: '/channels/presence-churn/users' })).json()), { users: [{ id: 'watcher' }] });
    disconnect(watcher.pusher);
});

endsCleanly(server);
