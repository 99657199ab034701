/* Ten edges, ten thousand connections from ten processes and as many groups of addresses, a hundred members in each
 * channel, ten from each edge. One edge is killed: the clients of all others see exactly its ten leave, each once, and
 * nobody else. ROLLCALL_FLEET_SCALE multiplies the number; `./dev soak` has ten times as many. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { Driver } from '../bench/lib/driver.mjs';
import { exchange, get } from '../support/raw.mjs';
import { RedisFleet } from '../support/redis.mjs';
import { root, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const scale = Number(process.env.ROLLCALL_FLEET_SCALE ?? 1);
const build = process.env.ROLLCALL_BUILD ?? join(root, 'build/asan');
const release = process.env.ROLLCALL_RELEASE ?? join(root, 'build/release/rollcall');

const EDGES = 10, MEMBERS = 10; /* of each edge in each channel */
const EACH = Math.round(1000 * scale);
const CHANNELS = EACH / MEMBERS;
const AT_ONCE = 1000; /* connections that each of the loaders opens at a time */
const [H, L] = scale > 1 ? [2500, 10_000] : [1000, 4000]; /* the defaults, where two cores have that much more to carry */
const FACT_US = 15; /* to drain one (presence.md) */
const REMOVALS = (EDGES - 1) * EACH * MEMBERS;
/* What one machine may add that has two cores for all edges, all clients and whatever else runs: a second, as everywhere, and what
 * it takes to write and to read so many events. An optimised build under a load of 10 needed nothing of it: the last was told
 * after 5.1 s of 6.0 with 10,000 connections, after 12.6 s of 15.0 with 30,000. */
const MACHINE = 1000 + REMOVALS * 0.005;
const BOUND = L + 2 * H + EACH * FACT_US / 1000;

const app = { id: '7', key: 'test-key', secret: 'test-secret', limits: { presence_members: 100 } };
const redis = new RedisFleet({ shardCount: 2, replicas: 0, sentinelCount: 0, minReplicas: 0 });
const drivers = [];
after(() => drivers.forEach((driver) => driver.signal('SIGKILL')));

/* The optimised build: ten with sanitizers would measure these. */
function startEdge(i) {
    return startServer({
        edge: { name: `edge-${i}`, workers: 1 },
        apps: [app],
        presence: { store: 'redis', heartbeat_ms: H, lease_ms: L, scrub_ms: 60_000, retire_grace_ms: 0 },
        redis: {
            cluster: 'scale',
            shards: redis.shards.map(({ name, user, password, instances }) =>
                ({ name, username: user, password, address: instances[0].where })),
        },
    }, { program: release });
}

function startDriver(edge, i) {
    const { id, key, secret } = app;
    const driver = new Driver(build, { port: edge.port, clients: EACH, source: `127.${20 + i}.0.1`, first: i * EACH, app: id, key, secret });
    drivers.push(driver);
    return driver;
}

/* How many members an edge's API counts, over all channels. */
async function countedBy(edge) {
    const answer = await exchange(edge, get(app, '/apps/7/channels', { filter_by_prefix: 'presence-', info: 'user_count' }));
    const counts = Object.values(JSON.parse(answer.body).channels).map(({ user_count }) => user_count);
    return { channels: counts.length, least: Math.min(...counts), most: Math.max(...counts), stale: answer.headers['rollcall-stale'] };
}

const exact = (members) => ({ channels: CHANNELS, least: members, most: members, stale: undefined });
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

test(`one of ${EDGES} edges with ${EDGES * EACH} connections is killed`, { timeout: 600_000 }, async (t) => {
    assert.ok(existsSync(release), `${release} is missing: ./dev build release`);
    await redis.start();
    const edges = await Promise.all(Array.from({ length: EDGES }, (_, i) => startEdge(i)));
    edges.forEach(startDriver);
    let began = Date.now();
    for (let from = 0; from < EACH; from += AT_ONCE)
        await Promise.all(drivers.map((driver) => driver.run('open',
            { n: Math.min(AT_ONCE, EACH - from), from, channel: 'presence-scale', members: MEMBERS, info: 20, timeout: 300 })));
    t.diagnostic(`all in after ${Date.now() - began} ms`);
    for (const edge of edges)
        await until(async () => same(await countedBy(edge), exact(EDGES * MEMBERS)), 'the API to count all', BOUND + MACHINE);
    const calm = await Promise.all(drivers.map((driver) => driver.run('wait', { ms: 2 * H })));
    assert.deepEqual(calm.map(({ removed }) => removed), drivers.map(() => 0), 'nobody was told that anyone left');

    const [dead, ...others] = edges;
    const [orphaned, ...watching] = drivers;
    const waits = watching.map((driver) => driver.ask('removals', { first: 0, users: EACH, each: MEMBERS, timeout: Math.ceil((BOUND + MACHINE) / 1000) }));
    began = Date.now();
    dead.signal('SIGKILL');
    const counts = Promise.all(others.map((edge) =>
        until(async () => same(await countedBy(edge), exact((EDGES - 1) * MEMBERS)), 'the API to miss them', BOUND + MACHINE)))
        .then(() => Date.now() - began);
    const answers = await Promise.all(waits);
    const last = Math.max(...answers.map(({ latency_us }) => latency_us.max)) / 1000;
    t.diagnostic(`${REMOVALS} removals told, the last after ${last.toFixed()} ms, the API exact after ${await counts} ms (bound ${BOUND} ms, and ${MACHINE} ms for the machine)`);
    for (const { ok, violations, failed, errors, remaining, error } of answers)
        assert.deepEqual({ ok, violations, failed, errors, remaining, error }, { ok: true, violations: 0, failed: 0, errors: 0, remaining: 0, error: undefined });

    /* A second look: nothing is told twice afterwards, nobody else has left. */
    const later = await Promise.all(watching.map((driver) => driver.run('wait', { ms: L })));
    assert.deepEqual(later.map(({ removed }) => removed), answers.map(({ removed }) => removed));
    assert.deepEqual(answers.map(({ removed }) => removed), watching.map(() => EACH * MEMBERS));
    orphaned.signal('SIGKILL');
    await Promise.all(watching.map((driver) => driver.stop()));
    for (const edge of others)
        await edge.stop();
    await redis.stop();
});
