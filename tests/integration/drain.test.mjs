/* SIGTERM: nobody new comes in, everybody is sent away with 4200 over a while, and the server leaves with 0. */
// threads

import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { authorize, connectPusher, disconnect } from '../support/clients.mjs';
import { connect, get, openPusher, post } from '../support/raw.mjs';
import { accepts, app, queuedAt, startServer } from '../support/server.mjs';
import { until, within } from '../support/wait.mjs';

const many = (server, n) => Promise.all(Array.from({ length: n }, () => openPusher(server)));

test('every client gets 4200, spread over the configured time', async () => {
    const server = await startServer({ edge: { drain_ms: 2000 } });
    const clients = await many(server, 40);
    const presence = clients[0];
    presence.send('pusher:subscribe',
        { channel: 'presence-x', ...authorize(server, presence.socketId, 'presence-x', { user_id: 'a' }) });
    await presence.next('pusher_internal:subscription_succeeded');
    const times = clients.map((client) => client.ended().then(({ code }) => {
        assert.equal(code, 4200);
        return Date.now();
    }));
    server.signal('SIGTERM');
    const ended = (await Promise.all(times)).sort((a, b) => a - b);
    assert.ok(ended[39] - ended[0] >= 1000, `all within ${ended[39] - ended[0]} ms`);
    const widest = Math.max(...ended.slice(1).map((time, i) => time - ended[i]));
    assert.ok(widest < 1000, `${widest} ms without any close: not in one heap, nor in two`);
    await server.leftCleanly();
});

test('nobody new is accepted while it drains, and /readyz says so', async () => {
    const server = await startServer({ edge: { drain_ms: 3000 } });
    const clients = await many(server, 20);
    assert.equal((await server.admin('/readyz')).status, 200);
    server.signal('SIGTERM');
    await until(async () => !await accepts(server.port), 'the listeners to be closed');
    assert.equal((await server.admin('/readyz')).status, 503);
    assert.equal((await server.admin('/healthz')).status, 200);
    await Promise.all(clients.map((client) => client.ended()));
    await server.leftCleanly();
});

test('with no time to spread over, all are closed at once', async () => {
    const server = await startServer({ edge: { drain_ms: 0 } });
    const clients = await many(server, 100);
    server.signal('SIGTERM');
    for (const { code } of await Promise.all(clients.map((client) => client.ended())))
        assert.equal(code, 4200);
    await server.leftCleanly();
});

test('a server without connections leaves at once', async () => {
    const server = await startServer({ edge: { drain_ms: 600_000 } });
    await server.stop();
});

test('SIGINT is as good', async () => {
    const server = await startServer();
    const [client] = await many(server, 1);
    server.signal('SIGINT');
    assert.equal((await client.ended()).code, 4200);
    await server.leftCleanly();
});

test('a second signal ends a drain at once', async () => {
    const server = await startServer({ edge: { drain_ms: 600_000 } });
    const clients = await many(server, 10);
    server.signal('SIGTERM');
    await server.logged(/process.draining/);
    server.signal('SIGTERM');
    for (const { code } of await Promise.all(clients.map((client) => client.ended())))
        assert.equal(code, 4200);
    await server.leftCleanly();
});

test('before anything else the balancer is told, and meanwhile everything goes on', async () => {
    const server = await startServer({ edge: { balancer_wait_ms: 1500 } });
    const [early] = await many(server, 1);
    server.signal('SIGTERM');
    await server.logged(/process.unready/);
    const answer = await server.admin('/readyz');
    assert.equal(answer.status, 503);
    assert.equal((await answer.json()).reasons[0].reason, 'draining');
    const ownDoor = await fetch(server.url('/readyz'));
    assert.equal(ownDoor.status, 503);
    const [late] = await many(server, 1);
    await late.settled();
    await early.settled();
    assert.equal((await early.ended()).code, 4200);
    assert.equal((await late.ended()).code, 4200);
    await server.leftCleanly();
});

test('a second signal ends that wait, and one from a terminal does not begin it', async () => {
    for (const signals of [['SIGTERM', 'SIGTERM'], ['SIGTERM', 'SIGINT'], ['SIGINT']]) {
        const server = await startServer({ edge: { balancer_wait_ms: 600_000 } });
        const [client] = await many(server, 1);
        for (const signal of signals) {
            server.signal(signal);
            await server.logged(/process.(stopping|hurried)/);
        }
        assert.equal((await client.ended()).code, 4200);
        await server.leftCleanly();
    }
});

test('whoever waits in the queues of the listeners is accepted before they are closed', async () => {
    const server = await startServer();
    server.signal('SIGSTOP');
    const queued = many(server, 300);
    await until(() => queuedAt(server.port) === 300, 'all to stand in the queue');
    server.signal('SIGTERM');
    server.signal('SIGCONT');
    for (const { code } of await Promise.all((await queued).map((client) => client.ended())))
        assert.equal(code, 4200);
    await server.leftCleanly();
});

test('a connection that has not asked for anything yet may do so while the server leaves', async () => {
    const server = await startServer();
    const raw = await connect(server);
    await until(async () => (await server.metrics()).get('rollcall_sockets_accepted_total{worker="0"}')
        + ((await server.metrics()).get('rollcall_sockets_accepted_total{worker="1"}') ?? 0) === 1, 'it to be accepted');
    server.signal('SIGTERM');
    /* Who connects in the moment of the end is dropped and asks again after a second; so long nobody waits here. */
    await until(async () => await Promise.race([accepts(server.port), sleep(50, false)]) === false, 'the listeners to be closed');
    raw.write(get(app, '/apps/7/channels'));
    assert.equal((await raw.answer()).status, 200);
    await server.leftCleanly();
});

test('those who are sent away are not told of to those who stay a little; whoever leaves by himself is', async () => {
    const server = await startServer({ edge: { drain_ms: 2000 } });
    const clients = await many(server, 20);
    const member = (client, i) => ({ channel: 'presence-x', ...authorize(server, client.socketId, 'presence-x', { user_id: `u${i}` }) });
    for (const [i, client] of clients.entries()) {
        client.send('pusher:subscribe', member(client, i));
        await client.next('pusher_internal:subscription_succeeded');
    }
    server.signal('SIGTERM');
    const first = await Promise.race(clients.map((client, i) => client.ended().then(() => i)));
    const leaver = clients.findIndex((client, i) => i !== first && !client.close);
    clients[leaver].send('pusher:unsubscribe', { channel: 'presence-x' });
    await Promise.all(clients.map((client) => client.ended()));
    const removed = new Set(clients.flatMap((client) => client.messages.all)
        .filter(({ event }) => event === 'pusher_internal:member_removed').map(({ data }) => JSON.parse(data).user_id));
    assert.deepEqual([...removed], [`u${leaver}`]);
    await server.leftCleanly();
});

test('clients that do not read or answer do not hold it up', async () => {
    const server = await startServer({ edge: { drain_ms: 200 } });
    const clients = await many(server, 5);
    clients.forEach((client) => {
        client.socket.removeAllListeners('data');
        client.socket.pause();
    });
    const idle = await connect(server);
    await server.stop();
    clients.forEach((client) => client.destroy());
    idle.destroy();
});

test('a request that comes on an open connection while it drains is answered, and the connection closed', async () => {
    const server = await startServer({ edge: { drain_ms: 2000 } });
    const clients = await many(server, 10);
    const raw = await connect(server);
    raw.write(get(app, '/apps/7/channels'));
    await raw.answer();
    server.signal('SIGTERM');
    await until(async () => !await accepts(server.port), 'the listeners to be closed');
    raw.write(post(app, '/apps/7/events', '{"name":"e","data":"","channel":"c"}'));
    const answer = await raw.answer().catch(() => null);
    if (answer) { /* it may also have been closed, idle as it was */
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.connection, 'close');
    }
    raw.destroy();
    clients.forEach((client) => client.destroy());
    await server.leftCleanly();
});

test('pusher-js comes back by itself to the server that follows', async () => {
    const first = await startServer();
    const pusher = await connectPusher(first);
    const again = within(new Promise((resolve) => pusher.connection.bind('connected', resolve)), 'pusher-js to come back');
    await first.stop();
    const second = await startServer({ edge: { listen: [{ address: '127.0.0.1', port: first.port }] } });
    await again;
    disconnect(pusher);
    await second.stop();
});
