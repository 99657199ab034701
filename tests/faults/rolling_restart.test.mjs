/* What a deploy looks like from outside: HAProxy with conf/haproxy.cfg in front of three edges and a real Redis, clients that
 * stay, events all the time, and every edge is restarted, one after the other.
 *
 * 900 clients in a test, 9,000 in a soak (or ROLLCALL_RESIDENTS): then the server must be the release build, since each of them is
 * a handshake on a core that everything shares. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import test, { after as finally_ } from 'node:test';
import { fileURLToPath } from 'node:url';

const RESIDENTS = Number(process.env.ROLLCALL_RESIDENTS ?? (process.env.ROLLCALL_SOAK_MINUTES ? 9000 : 900));
const release = fileURLToPath(new URL('../../build/release', import.meta.url));
if (RESIDENTS > 1000 && existsSync(`${release}/rollcall`))
    Object.assign(process.env, { ROLLCALL_BIN: `${release}/rollcall`, ROLLCALL_BUILD: release });
const { Driver } = await import('../bench/lib/driver.mjs');
const { startHaproxy } = await import('../support/balancer.mjs');
const { RedisFleet } = await import('../support/redis.mjs');
const { startServer } = await import('../support/server.mjs');

const ROOM = 30; /* members of a channel */
const EVENTS = 100; /* a second, each to one channel: 3,000 deliveries a second */
const DRAIN_MS = RESIDENTS > 1000 ? 20_000 : 2000;
/* With sanitizers, and another test beside, what a core is busy with otherwise is larger than what is measured. */
const NOISE_MS = RESIDENTS > 1000 ? 0 : 50;
const LOOK_S = RESIDENTS > 1000 ? 20 : 5; /* how long latencies are measured before anything happens, and afterwards */

const redis = new RedisFleet({ shardCount: 2, replicas: 0, sentinelCount: 0, minReplicas: 0 });
finally_(() => redis.stop());
await redis.start();

const app = { id: '7', key: 'test-key', secret: 'test-secret', limits: { presence_members: 0 } };
const settings = (name, port = 0) => ({
    edge: { name, workers: 1, listen: [{ address: '127.0.0.1', port, proxy_protocol: true }], drain_ms: DRAIN_MS },
    apps: [app],
    presence: { store: 'redis', partitions: 8 },
    redis: {
        cluster: 'test',
        shards: redis.shards.map(({ name: shard, user, password, instances: [instance] }) =>
            ({ name: shard, username: user, password, address: `127.0.0.1:${instance.port}` })),
    },
});

/* They stay, second after second, until that has come to pass and all are back. Gives the figures of the time. */
async function live(driver, toPass) {
    let over = false;
    const passed = toPass.finally(() => {
        over = true;
    });
    passed.catch(() => {});
    for (let fresh = 1; !over; fresh = 0)
        await driver.run('reside', { ms: 1000, rate: EVENTS, fresh });
    await passed;
    return driver.run('reside', { ms: 0, settle: 1 });
}

test(`a rolling restart under ${RESIDENTS} clients: no error, no member event, deliveries as quick as before`, { timeout: 280_000 + RESIDENTS * 20 }, async () => {
    const edges = await Promise.all(['a', 'b', 'c'].map((name) => startServer(settings(name))));
    const balancer = await startHaproxy(edges);
    const driver = new Driver(process.env.ROLLCALL_BUILD, { port: balancer.plain.port, clients: RESIDENTS, app: app.id, key: app.key, secret: app.secret });
    await driver.run('open', { n: RESIDENTS, channel: 'presence-room', members: ROOM, window: 64, timeout: 200 });
    const before = await live(driver, new Promise((resolve) => setTimeout(resolve, LOOK_S * 1000)));

    const restartAll = async () => {
        for (const [i, edge] of edges.entries()) {
            const told = balancer.output.length;
            await edge.stop();
            edges[i] = await startServer(settings(edge.settings.edge.name, edge.port));
            await balancer.hasBack(i, told);
        }
    };
    const after = await live(driver, restartAll());
    const afterwards = await live(driver, new Promise((resolve) => setTimeout(resolve, LOOK_S * 1000)));
    const p99 = ({ latency_us }) => latency_us.p99 / 1000;
    const [calm, busy] = [Math.max(p99(before), p99(afterwards)), p99(after)];
    const counted = (name) => after[name] - before[name];
    const p50 = ({ latency_us }) => (latency_us.p50 / 1000).toFixed(2);
    console.log(`${RESIDENTS} residents, ${counted('sent_away')} sent away and back, the longest away ${after.away_ms.toFixed(0)} ms; `
        + `${counted('published')} events, ${after.latency_us.count} deliveries; p99 ${p99(before).toFixed(2)} ms before, ${busy.toFixed(2)} ms during, `
        + `${p99(afterwards).toFixed(2)} ms afterwards (p50 ${[before, after, afterwards].map(p50).join(', ')} ms)`);
    assert.ok(counted('sent_away') >= RESIDENTS, `${counted('sent_away')} were sent away`);
    assert.equal(counted('subscribed'), counted('sent_away'), 'all came back to where they were');
    assert.deepEqual([counted('added'), counted('removed')], [0, 0], 'member events');
    assert.deepEqual([counted('failed'), counted('errors'), counted('violations'), counted('publish_failed')], [0, 0, 0, 0]);
    assert.ok(busy < 2 * Math.max(calm, NOISE_MS), `p99 of deliveries: ${busy} ms during the restart, ${calm} ms without`);
    await driver.stop();
    await Promise.all(edges.map((edge) => edge.stop()));
    await balancer.stop();
});
