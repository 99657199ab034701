/* Webhooks: a back end with the official SDK is told of who comes and goes. */
// threads

import assert from 'node:assert/strict';
import test from 'node:test';
import { authorize, backEnd, connectPusher, disconnect, subscribe } from '../support/clients.mjs';
import { hook, receiver } from '../support/hooks.mjs';
import { appPath, frame, openPusher, TEXT } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const [all, rooms, filtered, others] = [await receiver(), await receiver(), await receiver(), await receiver()];
const unwanted = await receiver();
const neighbour = { id: '8', key: 'other-key', secret: 'other-secret', client_events: true };
const server = await startServer({
    edge: { messages_per_second: 0, ping_after_ms: 1000, pong_timeout_ms: 1000 },
    apps: [
        { ...app, limits: { client_events_per_second: 0, presence_members: 0 }, webhooks: [
            hook(all),
            hook(rooms, { prefix: 'presence-filtered', headers: [{ name: 'Authorization', value: 'Bearer x' }, { name: 'X-Room', value: 'a b' }] }),
            hook(filtered, { url: filtered.url('/path?with=query'), events: ['member_added', 'cache_miss'] }),
            hook(unwanted, { enabled: false }),
        ] },
        { ...neighbour, webhooks: [hook(others)] },
    ],
});

const named = (id) => ({ user: { user_id: id, user_info: {} } });

/* The same server as an app of its own sees it. */
const seenBy = (of) => ({ app: of, host: server.host, port: server.port });

async function joinRaw(channel, userId, of = app) {
    const raw = await openPusher(server, appPath(server, undefined, of.key));
    const user = channel.startsWith('presence-') ? { user_id: userId } : null;
    raw.send('pusher:subscribe', { channel, ...authorize(seenBy(of), raw.socketId, channel, user) });
    await raw.next('pusher_internal:subscription_succeeded', channel);
    return raw;
}

test('who comes and who goes, with ids and reasons', async () => {
    const ann = await connectPusher(server, named('ann'));
    await subscribe(ann, 'presence-first');
    const occupied = await all.event('channel_occupied', 'presence-first');
    const added = await all.event('member_added', 'presence-first');
    assert.deepEqual({ ...added, at: 0 }, { name: 'member_added', channel: 'presence-first', user_id: 'ann', id: added.id, at: 0 });
    assert.equal(typeof added.id, 'string');
    assert.notEqual(added.id, occupied.id);
    const left = Date.now();
    ann.unsubscribe('presence-first');
    const removed = await all.event('member_removed', 'presence-first');
    assert.equal(removed.user_id, 'ann');
    assert.equal(removed.reason, 'unsubscribed');
    assert.ok(removed.at - left >= 2900, 'it waits, because he may come back');
    assert.equal((await all.event('channel_vacated', 'presence-first')).reason, 'unsubscribed');
    assert.deepEqual(all.history('presence-first'),
        ['channel_occupied', 'member_added ann', 'member_removed ann', 'channel_vacated']);
    disconnect(ann);
});

test('reasons: closed, timed_out, terminated', async () => {
    const [closed, silent, ended] = [await joinRaw('presence-reasons', 'closed'), await joinRaw('presence-reasons', 'silent'), await openPusher(server)];
    ended.send('pusher:signin', backEnd(server).authenticateUser(ended.socketId, { id: 'ended' }));
    await ended.next('pusher:signin_success');
    ended.send('pusher:subscribe', { channel: 'presence-reasons', ...authorize(server, ended.socketId, 'presence-reasons', { user_id: 'ended' }) });
    await ended.next('pusher_internal:subscription_succeeded', 'presence-reasons');
    closed.destroy();
    await backEnd(server).terminateUserConnections('ended');
    silent.answersPings = false;
    for (const [user, reason] of [['closed', 'closed'], ['ended', 'terminated'], ['silent', 'timed_out']])
        assert.equal((await all.event('member_removed', 'presence-reasons', user)).reason, reason);
    assert.equal((await all.event('channel_vacated', 'presence-reasons')).reason, 'timed_out');
    silent.destroy();
    ended.destroy();
});

test('a reload of a page makes no event at all', async () => {
    const visit = async (id) => {
        const pusher = await connectPusher(server, named(id));
        await Promise.all([subscribe(pusher, 'presence-reload'), subscribe(pusher, 'private-reload')]);
        return pusher;
    };
    let page = await visit('reloader');
    await all.event('member_added', 'presence-reload');
    await all.event('subscription_count', 'private-reload');
    for (let i = 0; i < 3; i++) {
        disconnect(page);
        page = await visit('reloader');
    }
    /* Somebody who left after that has been told: so everything of before has, too. */
    const witness = await visit('witness');
    await all.event('subscription_count', 'private-reload');
    disconnect(witness);
    await all.event('member_removed', 'presence-reload', 'witness');
    await all.event('subscription_count', 'private-reload');
    assert.deepEqual(all.history('presence-reload'),
        ['channel_occupied', 'member_added reloader', 'member_added witness', 'member_removed witness']);
    assert.deepEqual(all.events.all.filter(({ channel }) => channel === 'private-reload').map(({ name, subscription_count: n }) => n ?? name),
        ['channel_occupied', 1, 2, 1]);
    disconnect(page);
});

test('client events: data is a string, whatever was sent; the sender is named', async () => {
    const raw = await joinRaw('presence-talk', 'ann');
    const forms = [[{ a: [1, 'x"'] }, '{"a":[1,"x\\""]}'], ['words "quoted" ü', 'words "quoted" ü'], ['{"a":1}', '{"a":1}'], [12, '12'], [null, 'null']];
    for (const [data, expected] of forms) {
        raw.send('client-word', data, 'presence-talk');
        const event = await all.event('client_event', 'presence-talk');
        assert.deepEqual({ ...event, at: 0 }, { name: 'client_event', channel: 'presence-talk', event: 'client-word', data: expected,
            socket_id: raw.socketId, user_id: 'ann', id: event.id, at: 0 });
    }
    const nobody = await joinRaw('private-talk');
    nobody.send('client-word', 'x', 'private-talk');
    assert.ok(!('user_id' in await all.event('client_event', 'private-talk')));
    raw.destroy();
    nobody.destroy();
});

test('half a surrogate pair from a client makes no body that receivers refuse', async () => {
    const raw = await joinRaw('private-surrogates');
    for (const [sent, told] of [['"\\ud800"', '\ufffd'], ['"a\\udc00b"', 'a\ufffdb'], ['"\\ud83d\\ude00"', '\u{1f600}'],
        ['"\\ud800\\ud83d\\ude00"', '\ufffd\u{1f600}'], ['"\\\\ud800"', '\\ud800']]) {
        raw.sendBytes(frame(TEXT, `{"event":"client-s","channel":"private-surrogates","data":${sent}}`));
        assert.equal((await all.event('client_event', 'private-surrogates')).data, told);
    }
    raw.destroy();
});

test('a cache miss is told once for many; an event in the cache is none', async () => {
    const clients = await Promise.all(Array.from({ length: 5 }, () => joinRaw('cache-empty')));
    await all.event('cache_miss', 'cache-empty');
    await filtered.event('cache_miss', 'cache-empty');
    await backEnd(server).trigger('cache-full', 'word', {});
    clients.push(await joinRaw('cache-full'));
    await all.event('channel_occupied', 'cache-full');
    clients.forEach((raw) => raw.destroy());
    await all.event('channel_vacated', 'cache-full');
    assert.equal(all.history('cache-empty').filter((name) => name === 'cache_miss').length, 1);
    assert.ok(!all.history('cache-full').includes('cache_miss'));
});

test('each endpoint gets what it asked for: events, prefix, headers, path, on and off', async () => {
    const [inside, outside] = [await joinRaw('presence-filtered-1', 'ann'), await joinRaw('presence-elsewhere', 'ann')];
    await rooms.event('member_added', 'presence-filtered-1');
    await filtered.event('member_added', 'presence-filtered-1');
    await filtered.event('member_added', 'presence-elsewhere');
    inside.destroy();
    outside.destroy();
    await rooms.event('channel_vacated', 'presence-filtered-1');
    await all.event('channel_vacated', 'presence-elsewhere');
    assert.ok(rooms.events.all.every(({ channel }) => channel.startsWith('presence-filtered')));
    assert.ok(filtered.events.all.every(({ name }) => name === 'member_added' || name === 'cache_miss'));
    for (const { headers } of rooms.deliveries.all) {
        assert.equal(headers.authorization, 'Bearer x');
        assert.equal(headers['x-room'], 'a b');
    }
    assert.ok(filtered.deliveries.all.every(({ method, url }) => method === 'POST' && url === '/path?with=query'));
    assert.equal(unwanted.connections, 0);
});

test('apps are never mixed', async () => {
    const other = await joinRaw('presence-mixed', 'stranger', neighbour);
    const own = await joinRaw('presence-mixed', 'friend');
    await others.event('member_added', 'presence-mixed');
    await all.event('member_added', 'presence-mixed');
    assert.deepEqual(others.history('presence-mixed'), ['channel_occupied', 'member_added stranger']);
    assert.deepEqual(all.history('presence-mixed'), ['channel_occupied', 'member_added friend']);
    other.destroy();
    own.destroy();
    others.assertValid(seenBy(neighbour));
});

test('many at once: batches, in order per channel, each once', async () => {
    const seen = all.deliveries.all.length;
    const people = await Promise.all(Array.from({ length: 40 }, (_, i) => joinRaw('presence-crowd', `p${i}`)));
    for (let n = 0; n < 25; n++)
        people.forEach((raw, i) => raw.send('client-n', `${i}:${n}`, 'presence-crowd'));
    await until(() => all.history('presence-crowd').length >= 1 + 40 + 1000, 'all events of the crowd');
    people.forEach((raw) => raw.destroy());
    await all.event('channel_vacated', 'presence-crowd');
    const events = all.events.all.filter(({ channel }) => channel === 'presence-crowd');
    assert.equal(events.length, 1 + 40 + 1000 + 40 + 1);
    assert.equal(new Set(events.map(({ id }) => id)).size, events.length);
    for (let i = 0; i < 40; i++) {
        const own = events.filter(({ user_id: user }) => user === `p${i}`).map(({ name, data }) => data ?? name);
        assert.deepEqual(own, ['member_added', ...Array.from({ length: 25 }, (_, n) => `${i}:${n}`), 'member_removed']);
    }
    const batches = all.deliveries.all.slice(seen);
    assert.ok(batches.some(({ body }) => body.events.length > 10), 'many in one delivery');
    assert.ok(batches.every(({ body }) => body.events.length <= 100));
    assert.ok(all.connections <= 2, `kept alive: ${all.connections} connections`);
});

test('what some SDKs choke on never shares a delivery with anything else', async () => {
    const raws = await Promise.all(['private-encrypted-e', 'private-plain', 'presence-plain'].map((name) => joinRaw(name, 'ann')));
    raws[1].send('client-x', {}, 'private-plain');
    await Promise.all([all.event('channel_occupied', 'private-encrypted-e'), all.event('subscription_count', 'private-encrypted-e'),
        all.event('client_event', 'private-plain'), all.event('member_added', 'presence-plain')]);
    for (const { body } of all.deliveries.all) {
        const forms = new Set(body.events.map(({ name, channel }) =>
            `${['subscription_count', 'client_event'].find((apart) => apart === name)} ${channel.startsWith('private-encrypted-')}`));
        assert.equal(forms.size, 1, JSON.stringify(body));
    }
    raws.forEach((raw) => raw.destroy());
});

test('the SDK accepts every delivery, and nothing that was changed', () => {
    for (const of of [all, rooms, filtered])
        of.assertValid(seenBy(app));
    for (const { rawHeaders, headers, body, at } of all.deliveries.all) {
        assert.equal(headers['content-type'], 'application/json');
        assert.ok(rawHeaders.includes('X-Pusher-Key') && rawHeaders.includes('X-Pusher-Signature'));
        assert.ok(Math.abs(at - body.time_ms) < 5000);
        assert.ok(body.events.every(({ id, channel }) => typeof id === 'string' && !channel.startsWith('#')));
    }
});

test('the metrics count them, app by app', async () => {
    const metrics = await server.metrics();
    const of = (name, more = '') => metrics.get(`rollcall_webhook_${name}{app="7"${more}}`);
    assert.ok(of('attempts_total') >= all.deliveries.all.length);
    assert.ok(of('events_total') >= all.events.all.length);
    assert.equal(of('dead_letters_total', ',reason="gave_up"'), 0);
    assert.equal(of('failures_total', ',reason="status"'), 0);
    assert.ok(metrics.get('rollcall_webhook_events_total{app="8"}') > 0);
});

endsCleanly(server);
