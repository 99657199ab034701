/* The real balancers, with the files of conf/, in front of two edges. */

import assert from 'node:assert/strict';
import https from 'node:https';
import test, { after } from 'node:test';
import Pusher from 'pusher-js';
import PusherServer from 'pusher';
import { startHaproxy, startNginx } from '../support/balancer.mjs';
import { authorize, connectPusher, disconnect, event, pusherOptions, subscribe } from '../support/clients.mjs';
import { FallbackSession } from '../support/fallback.mjs';
import { openWebSocket, sign } from '../support/raw.mjs';
import { app, startServer } from '../support/server.mjs';
import { until, within } from '../support/wait.mjs';

const LIMIT = 40; /* connections an edge takes */
const settings = ({ listen, edge }) => ({
    edge: { workers: 1, listen: [{ address: '127.0.0.1', port: 0, ...listen }], connections: LIMIT, drain_ms: 500, ...edge }, apps: [app],
});

/* Two edges that start anew at their old addresses. */
async function startEdges(changes) {
    const edges = await Promise.all([0, 1].map(() => startServer(changes)));
    const restart = async (i) => {
        await edges[i].stop();
        const { edge, ...rest } = edges[i].settings;
        edges[i] = await startServer({ ...rest, edge: { ...edge, listen: [{ ...edge.listen[0], port: edges[i].port }] } });
    };
    return { edges, restart, stop: () => Promise.all(edges.map((edge) => edge.stop())) };
}

const backEnd = ({ host, port, secure, app: { id, key, secret } }) => new PusherServer({ appId: id, key, secret, host, port: String(port), useTLS: secure });

/* A request whose time is wrong is the one of which the log says where it came from. */
function askWithWrongClock(at, localAddress) {
    const path = sign(app, 'GET', '/apps/7/channels', '', {}, Date.now() - 3_600_000);
    return within(new Promise((resolve, reject) => {
        https.get({ host: at.host, port: at.port, path, localAddress, agent: false }, (answer) => {
            answer.resume();
            resolve(answer.statusCode);
        }).on('error', reject);
    }), 'an answer through the balancer');
}

async function testAll(name, start, changes) {
    const fleet = await startEdges(settings(changes));
    const balancer = await start(fleet.edges);
    const at = balancer.secure;
    const connect = (options) => connectPusher(at, { ...options, options: at.options });

    test(`${name}: pusher-js and a back end, over TLS`, async () => {
        /* With presence in memory the two edges do not know each other, so both clients and the publish may meet different ones. */
        const clients = await Promise.all(Array.from({ length: 6 }, (_, i) => connect({ user: { user_id: `u${i}` } })));
        const channels = await Promise.all(clients.map((client) => subscribe(client, 'presence-x')));
        assert.ok(channels.every((channel) => channel.members.count >= 1));
        const heard = channels.map((channel) => Promise.race([event(channel, 'news'), new Promise(() => {})]));
        await until(async () => {
            await backEnd(at).trigger('presence-x', 'news', 'hello');
            return Promise.race([Promise.all(heard), new Promise((resolve) => setTimeout(resolve, 50, null))]);
        }, 'both edges to have been given an event');
        clients.forEach(disconnect);
    });

    test(`${name}: the client's address arrives`, async () => {
        assert.equal(await askWithWrongClock(at, '127.8.7.6'), 401);
        await Promise.race(fleet.edges.map((edge) => edge.logged(/the time in a request from 127\.8\.7\.6 is/)));
    });

    test(`${name}: sessions of the HTTP fallback stay on their edge`, async () => {
        const sessions = await Promise.all(Array.from({ length: 16 }, (_, i) =>
            new FallbackSession(balancer.plain, { polls: i % 2 === 0 }).connect()));
        for (let round = 0; round < 3; round++)
            await Promise.all(sessions.map((session) => session.settled()));
        const counts = await until(async () => {
            const all = await Promise.all(fleet.edges.map(async (edge) => (await edge.metrics()).get('rollcall_connections{worker="0"}')));
            return all[0] + all[1] === 16 && all;
        }, 'just these to be there');
        assert.ok(counts.every((count) => count >= 2), `they are spread: ${counts}`);
        sessions.forEach((session) => session.leave());
    });

    test(`${name}: a restart of all edges, one after the other: clients come back, and nobody sees an error`, async () => {
        const clients = await Promise.all(Array.from({ length: 12 }, (_, i) => connect({ user: { user_id: `u${i}` } })));
        const problems = [];
        let publishing = true, published = 0, sentAway = 0;
        for (const client of clients) {
            client.connection.bind('error', (error) => {
                if ((error.error ?? error).data?.code === 4200)
                    sentAway++;
                else
                    problems.push(JSON.stringify(error));
            });
            await subscribe(client, 'presence-y');
        }
        const publisher = (async () => {
            while (publishing) {
                await backEnd(at).trigger('presence-y', 'tick', published).then(() => published++, (error) => problems.push(`a publish: ${error}`));
                await new Promise((resolve) => setTimeout(resolve, 20));
            }
        })();
        for (const i of [0, 1]) {
            const before = balancer.output.length;
            await fleet.restart(i);
            await balancer.hasBack(i, before);
        }
        await until(() => clients.every((client) => client.connection.state === 'connected'), 'all to be back').finally(() => {
            publishing = false;
            clients.forEach(disconnect);
        });
        await publisher;
        assert.deepEqual(problems, []);
        assert.ok(sentAway >= 12, `${sentAway} were sent away`);
        assert.ok(published > 20, `${published} were published`);
    });

    return { fleet, balancer };
}

const { fleet, balancer } = await testAll('HAProxy', startHaproxy, { listen: { proxy_protocol: true } });

test('HAProxy: when all edges are full, clients are told so in their own words', async () => {
    const clients = await Promise.all(Array.from({ length: 2 * LIMIT }, () => openWebSocket(balancer.plain)));
    const late = await openWebSocket(balancer.plain);
    assert.equal((await late.ended()).code, 4100);
    clients.forEach((client) => client.destroy());
});

test('HAProxy: what comes without TLS is sent to TLS', async () => {
    const strict = await startHaproxy(fleet.edges, { redirect: true });
    const answer = await fetch(`http://127.0.0.1:${strict.plain.port}/apps/7/channels`, { redirect: 'manual' });
    assert.equal(answer.status, 308);
    assert.equal(new URL(answer.headers.get('location')).protocol, 'https:');
    await strict.stop();
});

test('HAProxy and its edges end', async () => {
    await fleet.stop();
    await balancer.stop();
});

const nginx = await testAll('nginx', startNginx, { edge: { trusted_proxies: ['127.0.0.1'], balancer_wait_ms: 1 } });

test('nginx: what comes without TLS is sent to TLS', async () => {
    const strict = await startNginx(nginx.fleet.edges, { redirect: true });
    const answer = await fetch(`http://127.0.0.1:${strict.plain.port}/apps/7/channels`, { redirect: 'manual' });
    assert.equal(answer.status, 308);
    assert.equal(new URL(answer.headers.get('location')).protocol, 'https:');
    await strict.stop();
});

test('nginx and its edges end', async () => {
    await nginx.fleet.stop();
    await nginx.balancer.stop();
});
