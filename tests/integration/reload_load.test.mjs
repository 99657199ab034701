/* A thousand reloads while clients talk, come and go: nobody is dropped, nothing is lost, nothing is left behind. */
// threads

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { authorize, backEnd, connectPusher, disconnect, subscribe } from '../support/clients.mjs';
import { hook, receiver } from '../support/hooks.mjs';
import { openPusher } from '../support/raw.mjs';
import { app, config, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const RELOADS = Number(process.env.ROLLCALL_RELOADS ?? 1000);
const LISTENERS = 12, MEMBERS = 30;

const hooks = await receiver();
const extra = Array.from({ length: 20 }, (_, i) => ({ id: `extra-${i}`, key: `extra-key-${i}`, secret: 's', limits: { connections: 5 } }));

/* Each one differs from the one before in apps, pairs, limits, origins and webhooks; ours is there in all of them. */
function variant(i) {
    const ours = {
        ...app,
        keys: [{ key: `pair-${i % 7}`, secret: `secret-${i % 7}` }],
        allowed_origins: i % 2 ? ['https://a.example'] : [],
        subscription_counts: i % 3 === 0,
        limits: { event_bytes: 10_240 + i % 5, connections: i % 2 ? 1000 : 0, publishes_per_second: 0, client_events_per_second: 0 },
        webhooks: [hook(hooks, { events: ['member_added'], prefix: 'presence-', headers: [{ name: 'X-Variant', value: `v${i}` }] })],
    };
    return config({ edge: { messages_per_second: 0, outbox_bytes: 1 << 20, ping_after_ms: 30_000 + i % 9 },
        apps: [ours, ...extra.slice(i % 20)] });
}

const server = await startServer(variant(0));
const back = backEnd(server);

const resident_kb = () => Number(readFileSync(`/proc/${server.pid}/status`, 'latin1').match(/VmRSS:\s+(\d+)/)[1]);

async function reload(i) {
    const { status, text } = await server.reload(variant(i));
    assert.equal(status, 200, text);
}

let reloading = true;
const counted = { published: 0, said: 0, joined: 0 };
const clients = [];

/* Those who only listen, on channels that the back end publishes to: each must hear every event, in order. */
async function listener(i) {
    const pusher = await connectPusher(server, { user: { user_id: `listener-${i}`, user_info: {} } });
    const heard = [];
    (await subscribe(pusher, 'news')).bind('n', (n) => heard.push(n));
    await subscribe(pusher, 'private-talk');
    const talk = [];
    pusher.channel('private-talk').bind('client-n', (n) => talk.push(n));
    const states = [];
    pusher.connection.bind('state_change', ({ current }) => states.push(current));
    clients.push({ pusher, heard, talk, states });
}

async function publish() {
    while (reloading)
        await back.trigger('news', 'n', counted.published++);
}

async function talk(raw) {
    while (reloading) {
        raw.send('client-n', counted.said++, 'private-talk');
        await raw.settled();
    }
}

/* People who come into a room, and leave. */
async function comeAndGo(name) {
    while (reloading) {
        const raw = await openPusher(server);
        const channel = `presence-${name}-${counted.joined++}`;
        raw.send('pusher:subscribe', { channel, ...authorize(server, raw.socketId, channel, { user_id: name }) });
        await raw.next('pusher_internal:subscription_succeeded', channel);
        raw.destroy();
    }
}

async function readApi() {
    while (reloading)
        assert.equal((await back.get({ path: '/channels/news' })).status, 200);
}

test(`${RELOADS} reloads under load drop nobody and lose nothing`, async (t) => {
    for (let i = 0; i < LISTENERS; i++)
        await listener(i);
    const members = [];
    for (let i = 0; i < MEMBERS; i++) {
        const raw = await openPusher(server);
        raw.send('pusher:subscribe', { channel: 'presence-room', ...authorize(server, raw.socketId, 'presence-room', { user_id: `m${i}` }) });
        await raw.next('pusher_internal:subscription_succeeded');
        members.push(raw);
    }
    const speaker = await openPusher(server);
    speaker.send('pusher:subscribe', { channel: 'private-talk', ...authorize(server, speaker.socketId, 'private-talk') });
    await speaker.next('pusher_internal:subscription_succeeded');

    const load = [publish(), talk(speaker), comeAndGo('x'), comeAndGo('y'), readApi()];
    const started = Date.now(), sizes = [];
    for (let i = 1; i <= RELOADS; i++) {
        await reload(i);
        if (i % (RELOADS / 20) === 0)
            sizes.push(resident_kb());
    }
    reloading = false;
    await Promise.all(load);
    t.diagnostic(`${RELOADS} reloads in ${Date.now() - started} ms; meanwhile ${counted.published} publishes, ${counted.said} client `
        + `events, ${counted.joined} people came and went; resident kB at each twentieth: ${sizes.join(' ')}`);

    await back.trigger('news', 'n', 'end');
    speaker.send('client-n', 'end', 'private-talk');
    for (const { pusher, heard, talk: said, states } of clients) {
        await pusher.heard.next(({ event, data }) => event === 'n' && data === 'end', 'the end of the news');
        await pusher.heard.next(({ event, data }) => event === 'client-n' && data === 'end', 'the end of the talk');
        assert.deepEqual(states, [], 'no state has changed');
        assert.deepEqual(heard, [...Array(counted.published).keys(), 'end']);
        assert.deepEqual(said, [...Array(counted.said).keys(), 'end']);
    }
    for (const raw of members) {
        await raw.settled();
        assert.equal(raw.messages.all.filter(({ event }) => event === 'pusher_internal:member_removed').length, 0);
    }

    const metrics = await server.metrics();
    assert.equal(metrics.get('rollcall_config_generation'), RELOADS + 1);
    assert.equal(metrics.get('rollcall_config_reloads_total{result="refused"}'), 0);
    await until(async () => (await server.metrics()).get('rollcall_config_in_use') === 1, 'all others to be freed');

    [...members, speaker].forEach((raw) => raw.destroy());
    clients.forEach(({ pusher }) => disconnect(pusher));
});

test('the webhook of every join has come, whatever its headers were then', async () => {
    for (let i = 0; i < MEMBERS; i++)
        await hooks.event('member_added', 'presence-room', `m${i}`);
    assert.ok(new Set(hooks.deliveries.all.map(({ headers }) => headers['x-variant'])).size > 1);
});

test('nothing of the configurations before is left, and the server ends cleanly', () => server.stop());
