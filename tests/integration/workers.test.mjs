/* Several workers, one room: who is where makes no difference. */
// threads

import assert from 'node:assert/strict';
import test from 'node:test';
import { authorize, backEnd } from '../support/clients.mjs';
import { openPusher } from '../support/raw.mjs';
import { endsCleanly, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const PEOPLE = 60;
const server = await startServer({ edge: { workers: 4 } });
const back = backEnd(server);

async function join(channel, user_id) {
    const raw = await openPusher(server);
    raw.send('pusher:subscribe', { channel, ...authorize(server, raw.socketId, channel, { user_id, user_info: { n: user_id } }) });
    const { presence } = JSON.parse((await raw.next('pusher_internal:subscription_succeeded', channel)).data);
    raw.roster = new Set(presence.ids);
    return raw;
}

/* The roster as the client knows it: what it got, and all changes since. */
function rosterOf(raw) {
    const roster = new Set(raw.roster);
    for (const { event, data } of raw.messages.all) {
        if (event === 'pusher_internal:member_added')
            roster.add(JSON.parse(data).user_id);
        if (event === 'pusher_internal:member_removed')
            roster.delete(JSON.parse(data).user_id);
    }
    return roster;
}

test('all see all, wherever they were accepted', async () => {
    const people = await Promise.all(Array.from({ length: PEOPLE }, (_, i) => join('presence-all', `u${i}`)));
    await until(() => people.every((raw) => rosterOf(raw).size === PEOPLE), 'everyone to see everyone');
    for (const raw of people) {
        const repeated = raw.messages.all.filter(({ event }) => event === 'pusher_internal:member_added')
            .map(({ data }) => JSON.parse(data).user_id);
        assert.equal(new Set(repeated).size, repeated.length, 'nobody is announced twice');
        assert.ok(repeated.every((id) => !raw.roster.has(id)), 'nor after he was in the roster');
    }
    people.slice(PEOPLE / 2).forEach((raw) => raw.destroy());
    await until(() => people.slice(0, PEOPLE / 2).every((raw) => rosterOf(raw).size === PEOPLE / 2), 'half of them to have gone');
    people.slice(0, PEOPLE / 2).forEach((raw) => raw.destroy());
});

test('an event reaches each subscriber once, and not the one left out', async () => {
    const people = await Promise.all(Array.from({ length: PEOPLE }, async (_, i) => {
        const raw = await openPusher(server);
        raw.send('pusher:subscribe', { channel: 'events' });
        await raw.next('pusher_internal:subscription_succeeded', 'events');
        return raw;
    }));
    await Promise.all(Array.from({ length: 50 }, (_, i) =>
        back.trigger('events', 'n', i, { socket_id: people[i].socketId })));
    await back.trigger('events', 'last', {});
    for (const [k, raw] of people.entries()) {
        await raw.next('last');
        const heard = raw.messages.all.filter(({ event }) => event === 'n').map(({ data }) => Number(data)).sort((a, b) => a - b);
        assert.deepEqual(heard, Array.from({ length: 50 }, (_, i) => i).filter((i) => i !== k));
        raw.destroy();
    }
});

test('coming, going and speaking at once, from all sides', async () => {
    const watcher = await join('presence-rush', 'watcher');
    const life = async (i) => {
        for (let round = 0; round < 5; round++) {
            const raw = await join('presence-rush', `u${i % 10}`);
            raw.send('client-word', { i, round }, 'presence-rush');
            if (round % 2)
                raw.send('pusher:unsubscribe', { channel: 'presence-rush' });
            if (round % 3)
                await raw.settled();
            raw.destroy();
        }
    };
    const publishing = (async () => {
        for (let i = 0; i < 100; i++)
            await back.trigger('presence-rush', 'n', i);
    })();
    await Promise.all([publishing, ...Array.from({ length: 20 }, (_, i) => life(i))]);
    await until(() => rosterOf(watcher).size === 1, 'all but the watcher to have gone');
    await watcher.messages.next(({ event, data }) => event === 'n' && data === '99', 'the last event');
    const order = watcher.messages.all.filter(({ event }) => event === 'n').map(({ data }) => Number(data));
    assert.deepEqual(order, Array.from({ length: 100 }, (_, i) => i));
    const { users } = await (await back.get({ path: '/channels/presence-rush/users' })).json();
    assert.deepEqual(users, [{ id: 'watcher' }]);
    watcher.destroy();
});

test('subscribing and leaving faster than the answers come', async () => {
    const raw = await openPusher(server);
    const { auth, channel_data } = authorize(server, raw.socketId, 'presence-fast', { user_id: 'f' });
    for (let i = 0; i < 50; i++) {
        raw.send('pusher:subscribe', { channel: 'presence-fast', auth, channel_data });
        raw.send('pusher:unsubscribe', { channel: 'presence-fast' });
    }
    raw.send('pusher:subscribe', { channel: 'presence-fast', auth, channel_data });
    await raw.settled();
    await until(async () => {
        const answer = await back.get({ path: '/channels/presence-fast', params: { info: 'user_count,subscription_count' } });
        const { user_count, subscription_count } = await answer.json();
        return user_count === 1 && subscription_count === 1;
    }, 'one subscription to be left');
    /* The node knows of it before the client has heard. */
    const said = () => raw.messages.all.filter(({ channel }) => channel === 'presence-fast');
    await until(() => said().length > 0, 'the answer to the last one');
    assert.equal(said().at(-1).event, 'pusher_internal:subscription_succeeded');
    raw.destroy();
});

test('nothing is left when all have gone', async () => {
    await until(async () => {
        const { channels } = await (await back.get({ path: '/channels' })).json();
        return Object.keys(channels).length === 0;
    }, 'all channels to be gone');
});

endsCleanly(server);
