/* What clients and back ends say to one edge holds on the other: events and who is left out of them, client events, what is
 * sent to users, terminations, watchlists, cached events and counts, with the official clients on two edges of a fleet. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, event, heardOf, hears, settled, subscribe } from '../support/clients.mjs';
import { presence } from '../support/fleet.mjs';
import { openPusher } from '../support/raw.mjs';
import { RedisFleet } from '../support/redis.mjs';
import { app, startServer } from '../support/server.mjs';
import { until, within } from '../support/wait.mjs';

const redis = await new RedisFleet({ shardCount: 2, replicas: 0, sentinelCount: 0, minReplicas: 0 }).start();
const [a, b] = await Promise.all(['a', 'b'].map((name) => startServer({
    edge: { name },
    apps: [{ ...app, client_events: true, subscription_counts: true }],
    presence,
    redis: {
        cluster: 'test',
        shards: redis.shards.map(({ name: shard, user, password, instances: [{ where }] }) =>
            ({ name: shard, username: user, password, address: where })),
    },
})));
/* A dataset that has just been stamped makes departures wait. */
for (const edge of [a, b])
    await until(async () => [...await edge.metrics()].every(([name, value]) => !name.includes('removals_wait') || value === 0), 'a quiet fleet');

const [throughA, throughB] = [a, b].map((edge) => backEnd(edge));

async function both(channel) {
    const [ann, bob] = await Promise.all([connectPusher(a, { user: { user_id: 'ann' } }), connectPusher(b, { user: { user_id: 'bob' } })]);
    return { ann, bob, atAnn: await subscribe(ann, channel), atBob: await subscribe(bob, channel), end: () => [ann, bob].forEach(disconnect) };
}

async function signIn(edge, user) {
    const customHandler = ({ socketId }, answer) => answer(null, throughA.authenticateUser(socketId, user));
    const pusher = await connectPusher(edge, { options: { userAuthentication: { customHandler } } });
    pusher.signin();
    await within(pusher.user.signinDonePromise, `${user.id} to be signed in`);
    await hears(pusher, 'pusher_internal:subscription_succeeded', `#server-to-user-${user.id}`);
    return pusher;
}

test('an event reaches the clients of both, but for the one whose socket id is given', async () => {
    const { ann, bob, end } = await both('news');
    await throughB.trigger('news', 'first', { n: 1 }, { socket_id: ann.connection.socket_id });
    await throughA.trigger('news', 'second', { n: 2 }, { socket_id: bob.connection.socket_id });
    await throughA.trigger('news', 'last', {});
    await Promise.all([ann, bob].map((pusher) => hears(pusher, 'last')));
    const heard = (pusher) => ['first', 'second'].map((name) => heardOf(pusher, name).length);
    assert.deepEqual([heard(ann), heard(bob)], [[0, 1], [1, 0]]);
    end();
});

for (const channel of ['private-talk', 'presence-talk'])
    test(`what a client says on ${channel} is heard on the other edge, once, and has no echo`, async () => {
        const { ann, bob, atAnn, atBob, end } = await both(channel);
        const heard = event(atBob, 'client-word');
        atAnn.trigger('client-word', { word: 'hello' });
        const { data, metadata } = await heard;
        assert.deepEqual(data, { word: 'hello' });
        assert.equal(metadata?.user_id, channel.startsWith('presence-') ? 'ann' : undefined);
        atBob.trigger('client-answer', {});
        await hears(ann, 'client-answer');
        await Promise.all([ann, bob].map(settled));
        assert.deepEqual([heardOf(ann, 'client-word').length, heardOf(bob, 'client-word').length, heardOf(bob, 'client-answer').length], [0, 1, 0]);
        end();
    });

test('what is sent to a user arrives at each of his connections, wherever it is sent', async () => {
    const people = await Promise.all([signIn(a, { id: 'bea' }), signIn(b, { id: 'bea' }), signIn(b, { id: 'other' })]);
    await throughA.sendToUser('bea', 'invoice', { n: 1 });
    await throughB.sendToUser('bea', 'invoice', { n: 2 });
    for (const pusher of people.slice(0, 2))
        for (const n of [1, 2])
            assert.deepEqual((await hears(pusher, 'invoice')).data, { n });
    await settled(people[2]);
    assert.deepEqual(heardOf(people[2], 'invoice'), []);
    people.forEach(disconnect);
});

test('a user whose connections are terminated loses those on both edges', async () => {
    const people = await Promise.all([[a, 'cal'], [b, 'cal'], [b, 'other']].map(async ([edge, id]) => {
        const raw = await openPusher(edge);
        raw.send('pusher:signin', throughA.authenticateUser(raw.socketId, { id }));
        await raw.next('pusher:signin_success');
        return raw;
    }));
    const [one, two, other] = people;
    await throughB.terminateUserConnections('cal');
    assert.deepEqual([(await one.ended()).code, (await two.ended()).code], [4009, 4009]);
    other.send('pusher:ping', {});
    await other.next('pusher:pong');
    people.forEach((raw) => raw.destroy());
});

test('a watchlist sees who comes to the other edge, and who is on both leave only with the last', async () => {
    const watcher = await signIn(a, { id: 'watcher', watchlist: ['dee'] });
    const told = async () => (await hears(watcher, 'pusher_internal:watchlist_events')).data.events;
    assert.deepEqual(await told(), [{ name: 'offline', user_ids: ['dee'] }]);
    const there = await signIn(b, { id: 'dee' });
    assert.deepEqual(await told(), [{ name: 'online', user_ids: ['dee'] }]);
    const here = await signIn(a, { id: 'dee' });
    disconnect(there);
    const second = await signIn(b, { id: 'second', watchlist: ['dee'] });
    assert.deepEqual((await hears(second, 'pusher_internal:watchlist_events')).data.events, [{ name: 'online', user_ids: ['dee'] }]);
    assert.equal(heardOf(watcher, 'pusher_internal:watchlist_events').length, 2);
    disconnect(here);
    assert.deepEqual(await told(), [{ name: 'offline', user_ids: ['dee'] }]);
    assert.equal(heardOf(watcher, 'pusher_internal:watchlist_events').length, 3);
    [watcher, second].forEach(disconnect);
});

test('the last event of a cache channel is given by the edge that did not take it, and a miss is one for both', async () => {
    const early = await connectPusher(b);
    await event(early.subscribe('cache-prices'), 'pusher:cache_miss');
    await throughA.trigger('cache-prices', 'price', { eur: 3 });
    assert.deepEqual((await hears(early, 'price')).data, { eur: 3 });
    for (const edge of [a, b]) {
        const late = await connectPusher(edge);
        assert.deepEqual((await event(late.subscribe('cache-prices'), 'price')).data, { eur: 3 });
        assert.deepEqual(heardOf(late, 'pusher:cache_miss'), []);
        disconnect(late);
    }
    await settled(early);
    assert.equal(heardOf(early, 'price').length, 1);
    disconnect(early);
});

test('subscriptions are counted over both', async () => {
    const ann = await connectPusher(a);
    const channel = ann.subscribe('crowd');
    assert.deepEqual((await event(channel, 'pusher:subscription_count')).data, { subscription_count: 1 });
    const next = event(channel, 'pusher:subscription_count');
    const bob = await connectPusher(b);
    await subscribe(bob, 'crowd');
    assert.deepEqual((await next).data, { subscription_count: 2 });
    for (const back of [throughA, throughB]) {
        const answer = await back.get({ path: '/channels/crowd', params: { info: 'subscription_count' } });
        assert.deepEqual(await answer.json(), { occupied: true, subscription_count: 2 });
    }
    [ann, bob].forEach(disconnect);
});

test('the edges leave with 0, and no sanitizer has anything to say', async () => {
    await a.stop();
    await b.stop();
    await redis.stop();
});
