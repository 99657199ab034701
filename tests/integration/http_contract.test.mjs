/* What else back ends rely on: counts and caches in answers, names that are reserved, quotas, clocks. */
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, heardOf, hears, settled, subscribe } from '../support/clients.mjs';
import { exchange, post, sign } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';

const small = { id: '8', key: 'small-key', secret: 'small-secret', limits: {
    event_bytes: 100, event_name_chars: 5, channel_name_chars: 20, channels_per_publish: 2, batch_events: 2,
    publishes_per_second: 3, cache_ttl_s: 60,
} };
const server = await startServer({ apps: [app, small] });
const back = backEnd(server);

const ask = async (path, params, one = back) => (await one.get({ path, params })).json();
const send = (one, path, body) => exchange(server, post(one, `/apps/${one.id}${path}`, JSON.stringify(body)));

/* ---- publishing ---- */

test('a channel that is named twice gets the event once', async () => {
    const pusher = await connectPusher(server);
    await subscribe(pusher, 'twice');
    const answer = await back.trigger(['twice', 'other', 'twice'], 'e', 1, { info: 'subscription_count' });
    assert.deepEqual(await answer.json(), { channels: { twice: { subscription_count: 1 }, other: { subscription_count: 0 } } });
    await hears(pusher, 'e');
    await settled(pusher);
    assert.equal(heardOf(pusher, 'e').length, 1);
    disconnect(pusher);
});

test('info that a channel does not have is left out, and the channel keeps its place', async () => {
    const pusher = await connectPusher(server, { user: { user_id: 'ann' } });
    await subscribe(pusher, 'presence-mixed');
    const mixed = await back.trigger(['presence-mixed', 'plain'], 'e', 1, { info: 'user_count' });
    assert.deepEqual(await mixed.json(), { channels: { 'presence-mixed': { user_count: 1 }, plain: {} } });
    const plain = await back.trigger('plain', 'e', 1, { info: 'user_count' });
    assert.deepEqual(await plain.json(), { channels: { plain: {} } });
    const batch = await back.triggerBatch([{ channel: 'plain', name: 'e', data: 1, info: 'user_count' }]);
    assert.deepEqual(await batch.json(), { batch: [{}] });
    disconnect(pusher);
});

test('names of the protocol\'s own events are not for back ends; names that only look like them are', async () => {
    for (const name of ['pusher:error', 'pusher:', 'pusher_internal:member_added'])
        await assert.rejects(back.trigger('c', name, 1), { status: 400 });
    await assert.rejects(back.triggerBatch([{ channel: 'c', name: 'pusher:error', data: 1 }]), { status: 400 });
    for (const name of ['pusher-notification', 'pusher', 'client-like'])
        await back.trigger('c', name, 1);
});

test('one bad event of a batch, of whatever kind, and none is sent', async () => {
    const pusher = await connectPusher(server);
    await subscribe(pusher, 'whole');
    const good = { channel: 'whole', name: 'unwanted', data: '1' };
    const bad = [
        { channel: 'whole', name: 'pusher:error', data: '1' },
        { channel: 'whole', name: 'n' },
        { channel: 'whole', name: 'n', data: 'x'.repeat(10 * 1024 + 1) },
        { channel: 'whole', name: 'n', data: '1', info: 'weather' },
        { channel: 'whole', name: 'n', data: '1', socket_id: 'x' },
        { name: 'n', data: '1' },
        null,
    ];
    for (const event of bad) {
        const { status } = await send(app, '/batch_events', { batch: [good, event] });
        assert.equal(status, event?.data?.length > 1 ? 413 : 400, JSON.stringify(event));
    }
    await settled(pusher);
    assert.deepEqual(heardOf(pusher, 'unwanted'), []);
    disconnect(pusher);
});

/* ---- limits ---- */

const event = (changes) => ({ name: 'n', data: '1', channel: 'c', ...changes });
const overLimits = {
    'data over event_bytes': ['/events', event({ data: 'x'.repeat(101) }), 413],
    'a name over event_name_chars': ['/events', event({ name: 'sixsix' }), 400],
    'a channel over channel_name_chars': ['/events', event({ channel: 'c'.repeat(21) }), 400],
    'channels over channels_per_publish': ['/events', event({ channel: undefined, channels: ['a', 'b', 'c'] }), 400],
    'a batch over batch_events': ['/batch_events', { batch: [event(), event(), event()] }, 400],
};

for (const [what, [path, body, expected]] of Object.entries(overLimits)) {
    test(`${what} is refused with ${expected}, and counts for nothing`, async () => {
        const { status, body: text } = await send(small, path, body);
        assert.equal(status, expected, text);
        assert.match(JSON.parse(text).error, /at most \d+/);
    });
}

test('publishes over publishes_per_second get 429 and a time; one of more channels counts as many', async () => {
    const answers = [];
    for (let i = 0; i < 4; i++)
        answers.push(await send(small, '/events', event({ channel: undefined, channels: ['a', 'b'] })));
    const refused = answers.find(({ status }) => status === 429);
    assert.ok(refused, answers.map(({ status }) => status).join());
    assert.match(refused.headers['retry-after'], /^[1-9]\d*$/);
    assert.ok(JSON.parse(refused.body).error);
    assert.equal((await send(app, '/events', event())).status, 200);
});

/* ---- caches ---- */

test('the cached event of a cache channel, and for how long it will be there', async () => {
    for (const channel of ['cache-c', 'private-cache-c', 'private-encrypted-cache-c', 'presence-cache-c']) {
        assert.deepEqual(await ask(`/channels/${channel}`, { info: 'cache' }), { occupied: false, cache: null });
        await send(app, '/events', { name: 'n', data: '{"a":"ä"}', channel });
        await send(app, '/events', { name: 'n', data: '{"a":"ö"}', channel });
        const { occupied, cache: { data, ttl } } = await ask(`/channels/${channel}`, { info: 'cache' });
        assert.deepEqual([occupied, data], [false, '{"a":"ö"}']);
        assert.ok(ttl > 1700 && ttl <= 1800, String(ttl));
    }
    const both = await ask('/channels/presence-cache-c', { info: 'cache,user_count,subscription_count' });
    assert.deepEqual(Object.keys(both).sort(), ['cache', 'occupied', 'subscription_count', 'user_count']);
});

test('the cache lasts as long as the app says', async () => {
    const other = backEnd(server, small);
    let answer;
    do { /* an earlier test may have used this second's publishes */
        answer = await send(small, '/events', event({ channel: 'cache-c' }));
    } while (answer.status === 429);
    assert.equal(answer.status, 200);
    const { cache } = await ask('/channels/cache-c', { info: 'cache' }, other);
    assert.ok(cache.ttl > 30 && cache.ttl <= 60, String(cache.ttl));
});

/* ---- clocks ---- */

const asked = (offset_s) => exchange(server, `GET ${sign(app, 'GET', '/apps/7/channels', '', {}, Date.now() + offset_s * 1000)} HTTP/1.1\r\nHost: x\r\n\r\n`);

async function skew() {
    const samples = [...await server.metrics()].filter(([name]) => name.startsWith('rollcall_publisher_clock_skew_seconds'));
    assert.ok(samples.length > 0);
    return Math.max(...samples.map(([, value]) => value));
}

test('a publisher whose clock is off shows in the metrics and the log, before and after it is refused', async () => {
    assert.ok(await skew() < 10);
    assert.equal((await asked(-300)).status, 200);
    await server.logged(/"api\.clock_skew".*app 7.* 30\d seconds behind ours; over 600/);
    const seen = await skew();
    assert.ok(seen >= 300 && seen < 330, String(seen));
    const refused = await asked(1000);
    assert.equal(refused.status, 401);
    assert.match(JSON.parse(refused.body).error, /seconds ahead/);
    await server.logged(/"api\.clock_skew".*app 7.* \d+ seconds ahead of ours, so it was refused/);
    assert.ok(await skew() > 900);
});

test('what strangers say about the time does not', async () => {
    const before = await skew();
    const target = sign({ ...app, secret: 'guessed' }, 'GET', '/apps/7/channels', '', {}, 0);
    assert.equal((await exchange(server, `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`)).status, 401);
    assert.equal(await skew(), before);
});

endsCleanly(server);
