// threads
/* Thousands of connections that come, subscribe, talk and leave at random while back ends publish, on several
 * workers: what a sanitizer can see of the threads, it sees here. Afterwards every roster is right, and when all
 * have left nothing of them remains. ROLLCALL_SCALE multiplies the load. */

import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { Driver, metricSum } from '../bench/lib/driver.mjs';
import { descriptors } from '../bench/lib/processes.mjs';
import { backEnd } from '../support/clients.mjs';
import { endsCleanly, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const scale = Number(process.env.ROLLCALL_SCALE ?? 1);
const build = process.env.ROLLCALL_BUILD ?? new URL('../../build/asan', import.meta.url).pathname;
const DRIVERS = 2;
const CLIENTS = Math.round(400 * scale);
const CHURN_MS = 15_000;

const app = {
    id: '7', key: 'test-key', secret: 'test-secret', client_events: true,
    limits: { presence_members: 0, client_events_per_second: 0 },
};
const server = await startServer({ edge: { workers: 4, messages_per_second: 0 }, apps: [app] });

function startDriver(i) {
    return new Driver(build, {
        port: server.port, clients: CLIENTS, source: `127.2.${i}.1`, app: app.id, key: app.key, secret: app.secret,
        first: i * CLIENTS, users: Math.ceil(CLIENTS * 0.7), /* so some users are there several times */
    });
}

const drivers = Array.from({ length: DRIVERS }, (_, i) => startDriver(i));
after(() => drivers.forEach((driver) => driver.signal('SIGKILL'))); /* those that a failure has left */

const everyDriver = (verb, options = () => ({})) =>
    Promise.all(drivers.map((driver, i) => driver.run(verb, options(i))));

/* channel -> the users that are subscribed to it, as the drivers know it */
async function expectedRosters() {
    const rosters = new Map();
    for (const { subscriptions } of await everyDriver('members'))
        for (const [channel, user] of subscriptions.filter(([name]) => name.startsWith('presence-')))
            rosters.set(channel, (rosters.get(channel) ?? new Set()).add(user));
    return rosters;
}

async function json(path, params) {
    const answer = await backEnd(server).get({ path, params });
    assert.equal(answer.status, 200);
    return answer.json();
}

async function rosterOf(channel) {
    const { users } = await json(`/channels/${channel}/users`);
    return users.map(({ id }) => id).sort();
}

async function openConnections() {
    return metricSum(await server.metrics(), 'rollcall_connections');
}

let descriptorsAtRest;

test('the server takes connections', async () => {
    descriptorsAtRest = descriptors(server.pid);
    const n = 20;
    const [answer] = await everyDriver('open', (i) => ({ n, channel: `presence-first-${i}` }));
    assert.equal(answer.subscribed, n);
    await everyDriver('leave', () => ({ how: 'close' }));
});

test('thousands of connections come and go while events flow, and nothing goes wrong', async () => {
    const answers = await everyDriver('churn', (i) =>
        ({ ms: CHURN_MS, channels: 20, rate: Math.round(1500 * scale), publishes: 100, seed: i + 1, timeout: 120 }));
    const sum = (name) => answers.reduce((total, answer) => total + answer[name], 0);
    assert.ok(sum('opened') >= 1000 * scale, `only ${sum('opened')} connections`);
    assert.ok(sum('subscribed') >= 1000 * scale, `only ${sum('subscribed')} subscriptions`);
    assert.ok(sum('published') >= 100, `only ${sum('published')} publishes`);
    assert.ok(sum('events') >= sum('published'), `only ${sum('events')} events came`);
});

test('each roster is who is there, counted once', async () => {
    const rosters = await expectedRosters();
    assert.ok(rosters.size > 0);
    for (const [channel, users] of rosters)
        await until(async () => (await rosterOf(channel)).join() === [...users].sort().join(), `the roster of ${channel}`);
    const { channels } = await json('/channels', { filter_by_prefix: 'presence-', info: 'user_count' });
    const counts = Object.fromEntries(Object.entries(channels).map(([name, { user_count: count }]) => [name, count]));
    assert.deepEqual(counts, Object.fromEntries([...rosters].map(([name, users]) => [name, users.size])));
});

test('when all have left, nothing of them remains', async () => {
    await everyDriver('leave', (i) => ({ how: ['close', 'reset'][i % 2] }));
    await Promise.all(drivers.map((driver) => driver.stop()));
    await until(async () => (await openConnections()) === 0, 'the last connection to go');
    await until(async () => Object.keys((await json('/channels')).channels).length === 0, 'the last channel to go');
    const metrics = await server.metrics();
    for (const name of ['rollcall_subscriptions', 'rollcall_channels', 'rollcall_outbox_bytes'])
        assert.equal(metricSum(metrics, name), 0, name);
    /* The questions above hold keep-alive connections of their own. */
    await until(() => descriptors(server.pid) <= descriptorsAtRest + 4, 'the descriptors to be given back');
});

endsCleanly(server);
