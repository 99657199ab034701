/* Cache channels: whoever subscribes is given the last event at once, or told that there is none. */
// threads
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { authorize, backEnd, connectPusher, disconnect, event, heardOf, hears, settled, subscribe } from '../support/clients.mjs';
import { openPusher } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const brief = { id: '8', key: 'brief-key', secret: 'brief-secret', limits: { cache_ttl_s: 1 } };
const server = await startServer({ apps: [app, brief] });
const back = backEnd(server);
const user = { user_id: 'ann', user_info: { name: 'Ann' } };

for (const prefix of ['cache-', 'private-cache-', 'presence-cache-']) {
    test(`${prefix}: a miss at first, then the last event, for each who comes`, async () => {
        const name = `${prefix}prices`;
        const early = await connectPusher(server, { user });
        const miss = event(early.subscribe(name), 'pusher:cache_miss');
        assert.deepEqual((await miss).data, {});
        assert.deepEqual(early.heard.all.filter(({ channel }) => channel === name).map((message) => message.event),
            ['pusher_internal:subscription_succeeded', 'pusher:cache_miss']);
        await back.trigger(name, 'price', { eur: 1 });
        await back.trigger(name, 'price', { eur: 2 });
        for (let i = 0; i < 2; i++) {
            const late = await connectPusher(server, { user });
            assert.deepEqual((await event(late.subscribe(name), 'price')).data, { eur: 2 });
            assert.deepEqual(late.heard.all.filter(({ channel }) => channel === name).map((message) => message.event),
                ['pusher_internal:subscription_succeeded', 'price']);
            disconnect(late);
        }
        await settled(early);
        assert.deepEqual(heardOf(early, 'price').map(({ data }) => data.eur), [1, 2], 'those who are there hear each once');
        disconnect(early);
    });
}

test('the miss is {} in a string, exactly', async () => {
    const raw = await openPusher(server);
    raw.send('pusher:subscribe', { channel: 'cache-exactly' });
    assert.deepEqual(await raw.next('pusher:cache_miss'), { event: 'pusher:cache_miss', channel: 'cache-exactly', data: '{}' });
    raw.destroy();
});

test('the event is kept though nobody is subscribed, and though its first audience has left', async () => {
    await back.trigger('cache-alone', 'word', 'kept');
    const first = await connectPusher(server);
    assert.equal((await event(first.subscribe('cache-alone'), 'word')).data, 'kept');
    disconnect(first);
    await until(async () => !(await (await back.get({ path: '/channels/cache-alone' })).json()).occupied, 'the channel to be empty');
    const second = await connectPusher(server);
    assert.equal((await event(second.subscribe('cache-alone'), 'word')).data, 'kept');
    disconnect(second);
});

test('what clients say is not kept', async () => {
    const name = 'private-cache-talk';
    const [ann, bob] = [await connectPusher(server), await connectPusher(server)];
    const [said] = [await subscribe(ann, name), await subscribe(bob, name)];
    said.trigger('client-word', { n: 1 });
    await hears(bob, 'client-word');
    const late = await connectPusher(server);
    assert.deepEqual((await event(late.subscribe(name), 'pusher:cache_miss')).data, {});
    [ann, bob, late].forEach(disconnect);
});

test('a channel that only looks like one keeps nothing, and misses nothing', async () => {
    for (const name of ['cached-x', 'my-cache-x', 'private-x-cache-', 'presence-x']) {
        await back.trigger(name, 'word', 1);
        const pusher = await connectPusher(server, { user });
        await subscribe(pusher, name);
        await settled(pusher);
        assert.deepEqual(pusher.heard.all.map((message) => message.event).filter((word) => /miss|word/.test(word)), [], name);
        disconnect(pusher);
    }
});

test('an event is kept as long as the app says, and not longer', async () => {
    const other = backEnd(server, brief);
    const late = async () => {
        const raw = await openPusher(server, '/app/brief-key?protocol=7');
        raw.send('pusher:subscribe', { channel: 'cache-brief' });
        const next = await raw.messages.next(({ event: name }) => /word|miss/.test(name), 'the word or a miss');
        raw.destroy();
        return next.event;
    };
    await other.trigger('cache-brief', 'word', 1);
    assert.equal(await late(), 'word');
    await until(async () => await late() === 'pusher:cache_miss', 'its time to be over');
});

test('both apps have a channel of that name, and each its own last event', async () => {
    await back.trigger('cache-shared', 'word', 1);
    const raw = await openPusher(server, '/app/brief-key?protocol=7');
    raw.send('pusher:subscribe', { channel: 'cache-shared' });
    await raw.next('pusher:cache_miss');
    raw.destroy();
});

test('on a presence cache channel the roster comes first, and one is a member like any other', async () => {
    const name = 'presence-cache-room';
    await back.trigger(name, 'topic', 'tea');
    const raw = await openPusher(server);
    raw.send('pusher:subscribe', { channel: name, ...authorize(server, raw.socketId, name, user) });
    const { presence } = JSON.parse((await raw.next('pusher_internal:subscription_succeeded')).data);
    assert.deepEqual(presence, { ids: ['ann'], hash: { ann: { name: 'Ann' } }, count: 1 });
    assert.equal((await raw.next('topic')).data, 'tea');
    raw.destroy();
});

endsCleanly(server);
