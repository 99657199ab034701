/* Other endpoints in a running server: nothing that waits is lost, and where there were none, some begin. */
// threads

import assert from 'node:assert/strict';
import test from 'node:test';
import { connectPusher, disconnect, subscribe } from '../support/clients.mjs';
import { hook, receiver } from '../support/hooks.mjs';
import { app, config, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const [bad, good] = [await receiver({ answer: (response) => response.writeHead(500).end() }), await receiver()];
const server = await startServer({ apps: [app] });
const quick = (...webhooks) => config({ apps: [{ ...app, webhooks }] });
const someone = (id) => connectPusher(server, { user: { user_id: id, user_info: {} } });

async function take(settings) {
    const { status, text } = await server.reload(settings);
    assert.equal(status, 200, text);
}

test('endpoints of a server that had none are told of what happens from then on', async () => {
    const ann = await someone('ann');
    await subscribe(ann, 'presence-before');
    await take(quick(hook(bad)));
    await subscribe(ann, 'presence-after');
    await bad.deliveries.next(({ body }) => body.events.some(({ channel }) => channel === 'presence-after'));
    disconnect(ann);
});

test('an endpoint that has moved gets what the old one did not take, in order, and only once', async () => {
    const bob = await someone('bob');
    for (let i = 0; i < 5; i++)
        await subscribe(bob, `presence-moved-${i}`);
    await until(async () => (await server.metrics()).get('rollcall_webhook_queue_events{app="7"}') >= 10, 'events to wait');
    await take(quick(hook(good)));
    for (let i = 0; i < 5; i++)
        await good.event('member_added', `presence-moved-${i}`);
    await good.event('member_added', 'presence-after');
    assert.equal(good.history('presence-before').filter((words) => words.includes('added')).length, 0);
    for (let i = 0; i < 5; i++)
        assert.deepEqual(good.history(`presence-moved-${i}`), ['channel_occupied', 'member_added bob']);
    disconnect(bob);
    good.assertValid(server);
});

test('another secret signs from then on', async () => {
    const rotated = { ...app, secret: 'rotated-secret' };
    await take(config({ apps: [{ ...rotated, webhooks: [hook(good)] }] }));
    const seen = good.deliveries.all.length;
    const there = { app: rotated, host: server.host, port: server.port, prefix: '' };
    const carl = await connectPusher(there, { user: { user_id: 'carl', user_info: {} } });
    await subscribe(carl, 'presence-rotated');
    await good.event('member_added', 'presence-rotated');
    disconnect(carl);
    good.deliveries.all.splice(0, seen); /* signed with the other one */
    good.assertValid(there);
});

test('a reload in the middle of a stream of events loses none of them', async () => {
    const both = [quick(hook(good), hook(bad)), quick(hook(bad), hook(good)), quick(hook(good))];
    await take(both[2]);
    const dora = await someone('dora');
    const names = Array.from({ length: 60 }, (_, i) => `presence-stream-${i}`);
    const reloads = (async () => {
        for (let i = 0; i < 60; i++)
            await take(both[i % 3]);
    })();
    for (const name of names)
        await subscribe(dora, name);
    await reloads;
    for (const name of names)
        await good.event('member_added', name, 'dora');
    disconnect(dora);
});

test('the server leaves with 0, and no sanitizer has anything to say', () => server.stop());
