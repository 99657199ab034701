/* Each fault that has an alert, injected into real edges that a real Prometheus watches: its alert fires within a minute, and
 * what its paragraph says to do clears it. All faults at once, each on edges of its own or on one that others do not touch.
 *
 * Time is scaled: Prometheus scrapes every 0.3 s instead of 15, and all durations in the rules are 1/50; thresholds in seconds
 * are as they are. A loop that hangs or is late has its tests in tests/prometheus/rules.test.yml. */

import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Authority } from '../support/certificates.mjs';
import { backEnd, connectPusher, disconnect, subscribe } from '../support/clients.mjs';
import { Crowd } from '../support/crowd.mjs';
import { app, presence, sleep } from '../support/fleet.mjs';
import { hook, receiver } from '../support/hooks.mjs';
import { Prometheus } from '../support/prometheus.mjs';
import { connect, openPusher, sign } from '../support/raw.mjs';
import { RedisFleet, freePorts } from '../support/redis.mjs';
import { startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const FIRES_MS = 60_000, CLEARS_MS = 60_000;

/* ---- the edges ---- */

const slow = await receiver(), refusing = await receiver();
const plain = { id: '8', key: 'plain', secret: 'plain-secret' };
const late = { id: 'late', key: 'late', secret: 'late-secret', webhooks: [hook(slow)] };
const big = {
    id: 'big', key: 'big', secret: 'big-secret', client_events: true, webhooks: [hook(refusing, { events: ['client_event'] })],
    limits: { event_bytes: 300_000, client_events_per_second: 0 },
};

/* On an admin port that it has again when it is started again. */
async function memoryEdge(name, { edge = {}, apps = [plain], port, limit } = {}) {
    const [free] = await freePorts(1);
    return startServer({ edge: { name, workers: 1, admin: { address: '127.0.0.1', port: port ?? free }, messages_per_second: 0, ...edge }, apps },
        limit ? { wrap: ['bash', '-c', `ulimit -n ${limit}; exec "$@"`, 'bash'] } : {});
}

const oneShard = { shardCount: 1, replicas: 0, sentinelCount: 0, minReplicas: 0 };

/* A Redis and an edge. */
async function fleetEdge(name, options = oneShard) {
    const fleet = await new RedisFleet({ downAfter: 1500, ...options }).start();
    const [shard] = fleet.shards;
    const where = options.sentinelCount ? fleet.redisConfig()
        : { cluster: 'test', shards: [{ name: shard.name, username: shard.user, password: shard.password, address: shard.instances[0].where }] };
    const edge = await startServer({ edge: { name, workers: 1, messages_per_second: 0 }, apps: [app], presence, redis: where });
    return { fleet, shard, redis: shard.instances[0], edge };
}

/* Certificates in files of its own, which are renewed in place. */
const authority = new Authority();
const certificate = { certificate: join(authority.folder, 'edge.pem'), key: join(authority.folder, 'edge.key') };
function renew(days) {
    const issued = authority.issue(['IP:127.0.0.1'], { days });
    copyFileSync(issued.certificate, certificate.certificate);
    copyFileSync(issued.key, certificate.key);
}
renew(90);

let down = await memoryEdge('down');
const tls = await memoryEdge('tls', { edge: { listen: [{ address: '127.0.0.1', port: 0, tls: { certificates: [certificate] } }] } });
const narrow = await memoryEdge('narrow', { edge: { head_timeout_ms: 60_000, connections: 20 }, limit: 300 });
let drains = await memoryEdge('drains', { edge: { drain_ms: 600_000 } });
const busy = await memoryEdge('busy', { apps: [plain, late, big], edge: { outbox_bytes: 65_536, outbox_stall_ms: 1000 } });
const [out, data, flushed, elected] = await Promise.all([
    fleetEdge('out'), fleetEdge('data'), fleetEdge('flushed'),
    fleetEdge('elected', { shardCount: 1, replicas: 1, sentinelCount: 3, minReplicas: 0 }),
]);
const crowd = new Crowd();

const prometheus = await new Prometheus().start({
    down: down.adminPort, tls: tls.adminPort, narrow: narrow.adminPort, drains: drains.adminPort, busy: busy.adminPort,
    out: out.edge.adminPort, data: data.edge.adminPort, flushed: flushed.edge.adminPort, elected: elected.edge.adminPort,
});

/* ---- faults and their ends ---- */

const seen = new Set(); /* alerts that a fault of the list made */

const fires = (alert, on) => until(async () => (await prometheus.firing()).get(`${alert} ${on}`), `${alert} of ${on}`, FIRES_MS);
const clears = (alert, on) => until(async () => !(await prometheus.firing()).has(`${alert} ${on}`), `${alert} of ${on} to end`, CLEARS_MS);

const seconds = (from, to = Date.now()) => `${((to - from) / 1000).toFixed(1)} s`;

/* inject() the fault, and its alerts fire; mend() it as the paragraph says. The result's `cleared` is the end of it all: who
 * injects the next fault into the same edge does not wait for that. */
async function fault(t, on, alerts, inject, mend) {
    const began = Date.now();
    await inject();
    for (const alert of alerts) {
        const { summary, what_to_do: steps } = await fires(alert, on);
        assert.ok(summary.includes(on) && steps.length > 100, `${alert} says which edge, and what to do`);
        seen.add(alert);
    }
    const fired = Date.now();
    await mend();
    const cleared = Promise.all(alerts.map((alert) => clears(alert, on))).then(() =>
        t.diagnostic(`${on}: ${alerts.join(', ')} fired after ${seconds(began, fired)}, cleared ${seconds(fired)} later`));
    cleared.catch(() => {}); /* whoever awaits it is told */
    return { cleared };
}

/* Publishes as a back end whose clock is so far off. */
async function publishAt(server, skew_s) {
    const body = JSON.stringify({ name: 'e', channel: 'c', data: '1' });
    const target = sign(plain, 'POST', `/apps/${plain.id}/events`, body, {}, Date.now() + skew_s * 1000);
    const answer = await fetch(server.url(target), { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
    return answer.status;
}

/* ---- the faults ---- */

async function edgeDown(t) {
    const { cleared } = await fault(t, 'down', ['RollcallEdgeDown'], () => down.signal('SIGKILL'), async () => {
        down = await memoryEdge('down', { port: down.adminPort });
    });
    await cleared;
}

async function drainsTooLong(t) {
    const clients = await Promise.all(Array.from({ length: 3 }, () => openPusher(drains)));
    const { cleared } = await fault(t, 'drains', ['RollcallDrainsTooLong'], () => drains.signal('SIGTERM'), async () => {
        drains.signal('SIGTERM');
        await Promise.all(clients.map((client) => client.ended()));
        await drains.leftCleanly();
        drains = await memoryEdge('drains', { port: drains.adminPort });
    });
    await cleared;
}

async function webhooksLate(t) {
    slow.answer = (response) => response.writeHead(500).end();
    const { cleared } = await fault(t, 'busy', ['RollcallWebhooksLate'], async () => {
        const pusher = await connectPusher({ ...busy, app: late, prefix: '' });
        await subscribe(pusher, 'late');
        disconnect(pusher);
    }, () => {
        slow.answer = (response) => response.end('thanks');
    });
    await cleared;
}

/* More waits than an endpoint's queue may hold: 32 MiB. */
async function webhooksLost(t) {
    refusing.answer = (response) => response.writeHead(503).end();
    const { cleared } = await fault(t, 'busy', ['RollcallWebhooksLost'], async () => {
        const pusher = await connectPusher({ ...busy, app: big, prefix: '' });
        const channel = await subscribe(pusher, 'private-big');
        for (let i = 0; i < 150; i++)
            channel.trigger('client-big', 'x'.repeat(250_000));
        await until(async () => [...await busy.metrics()].some(([name, value]) =>
            name.startsWith('rollcall_webhook_dead_letters_total{app="big",reason="queue_full"') && value > 0), 'the queue to be full');
        disconnect(pusher);
    }, () => {
        refusing.answer = (response) => response.end('thanks');
    });
    await cleared;
}

async function slowReaders(t) {
    const { cleared } = await fault(t, 'busy', ['RollcallSlowReaders'], async () => {
        for (let i = 0; i < 30; i++) {
            const reader = await openPusher({ ...busy, app: big, prefix: '' });
            reader.send('pusher:subscribe', { channel: 'flood' });
            await reader.next('pusher_internal:subscription_succeeded', 'flood');
            reader.socket.pause();
        }
        await Promise.all(Array.from({ length: 20 }, () => backEnd(busy, big).trigger('flood', 'e', 'x'.repeat(250_000))));
    }, () => {});
    await cleared;
}

async function publisherClocks(t) {
    const { cleared } = await fault(t, 'busy', ['RollcallPublisherClocks'],
        async () => assert.equal(await publishAt(busy, -120), 200),
        async () => assert.equal(await publishAt(busy, 0), 200));
    await cleared;
}

/* With as many clients as it may have; then without a descriptor left. */
async function overloaded(t) {
    const clients = [];
    const full = await fault(t, 'narrow', ['RollcallOverloaded'], async () => {
        for (let i = 0; i < 20; i++)
            clients.push(await openPusher(narrow));
    }, () => clients.forEach((client) => client.destroy()));
    await full.cleared;
    const crowd = Array.from({ length: 350 }, () => connect(narrow).catch(() => null));
    const { cleared } = await fault(t, 'narrow', ['RollcallOverloaded'], () => {}, async () => {
        for (const raw of await Promise.all(crowd))
            raw?.destroy();
    });
    await cleared;
}

async function certificateExpires(t) {
    const { cleared } = await fault(t, 'tls', ['RollcallCertificateExpires'], async () => {
        renew(10);
        assert.equal((await tls.reload()).status, 200);
    }, async () => {
        renew(90);
        assert.equal((await tls.reload()).status, 200);
    });
    await cleared;
}

async function configuration(t) {
    const { settings } = busy;
    const { cleared } = await fault(t, 'busy', ['RollcallReloadRefused'],
        async () => assert.equal((await busy.reload({ ...settings, edge: { ...settings.edge, connections: -1 } })).status, 422),
        async () => assert.equal((await busy.reload(settings)).status, 200));
    await cleared;
}

async function redisOut(t) {
    const { cleared } = await fault(t, 'out', ['RollcallRedisUnreachable', 'RollcallRostersFrozen'],
        () => out.redis.kill(), () => out.redis.start({ keep: true }));
    await cleared;
}

/* One Sentinel is told of a wrong master; then most of them are away. */
async function sentinels(t) {
    const { fleet, shard } = elected;
    const wrong = await fault(t, 'elected', ['RollcallRedisAlarms'],
        () => fleet.monitor(fleet.sentinels[0], shard, out.redis.port),
        () => fleet.monitor(fleet.sentinels[0], shard, elected.redis.port));
    await wrong.cleared;
    const away = await fault(t, 'elected', ['RollcallMasterUnconfirmed'],
        () => Promise.all(fleet.sentinels.slice(1).map((sentinel) => sentinel.kill())),
        () => Promise.all(fleet.sentinels.slice(1).map((sentinel) => sentinel.start({ keep: true }))));
    await away.cleared;
}

/* Comes back with what it had when it last saved. */
async function restart(redis) {
    await redis.kill();
    await redis.start({ keep: true });
}

async function joins(edge, id) {
    await (await crowd.add(edge, id)).joinAll(['presence-room']);
}

async function dataFaults(t) {
    const { redis, edge } = data;
    await joins(edge, 'first');
    const stalls = await fault(t, 'data', ['RollcallRedisClockStepsBack'], async () => {
        await redis.ask('SAVE');
        redis.setClock(-60);
        await restart(redis);
    }, () => {});
    const memory = await fault(t, 'data', ['RollcallRedisOutOfMemory'], async () => {
        await redis.ask('CONFIG', 'SET', 'maxmemory', 1);
        await joins(edge, 'second');
    }, () => redis.ask('CONFIG', 'SET', 'maxmemory', 0));
    const lost = await fault(t, 'data', ['RollcallWritesLost'], async () => {
        const keys = await redis.keys();
        const [partition] = keys.find((key) => key.endsWith(':presence-room')).match(/^.*?\}/);
        const owner = keys.find((key) => key.startsWith(`${partition}:o:`));
        const before = await redis.ask('HGET', owner, 's');
        await joins(edge, 'third');
        await until(async () => await redis.ask('HGET', owner, 's') !== before, 'the join to be written');
        await redis.ask('HSET', owner, 's', before);
    }, () => {});
    await Promise.all([stalls.cleared, memory.cleared, lost.cleared]);
}

async function flushes(t) {
    const { redis, edge } = flushed;
    for (let i = 0; i < 4; i++)
        await (await crowd.add(edge, `user-${i}`)).joinAll(Array.from({ length: 16 }, (_, n) => `presence-room-${n}`));
    const scrubbed = await fault(t, 'flushed', ['RollcallScrubRepairs'], async () => {
        const [roster] = (await redis.keys()).filter((key) => key.includes(':r:'));
        assert.equal(await redis.ask('HDEL', roster, 'uuser-1'), 1);
    }, () => {});
    const again = await fault(t, 'flushed', ['RollcallAssertsAgain', 'RollcallRemovalsWait'], async () => {
        for (let i = 0; i < 4; i++) {
            await redis.ask('FLUSHALL');
            await sleep(2 * presence.heartbeat_ms);
        }
    }, () => {});
    await Promise.all([scrubbed.cleared, again.cleared]);
}

/* ---- all at once ---- */

test('nothing fires while nothing is wrong', async () => {
    await until(async () => (await prometheus.query('sum(up{job="rollcall"})'))[0]?.value === 9, 'all edges to be scraped');
    await until(async () => (await prometheus.firing()).size === 0, 'a calm fleet', 30_000);
});

test('each fault fires its alert, and what to do clears it', { concurrency: true }, async (t) => {
    const faults = [edgeDown, drainsTooLong, webhooksLate, webhooksLost, slowReaders, publisherClocks, overloaded, certificateExpires, configuration, redisOut, sentinels, dataFaults, flushes];
    await Promise.all(faults.map((inject) => t.test(inject.name, inject)));
});

/* What cannot be injected from outside has its tests in tests/prometheus/rules.test.yml. */
const ELSEWHERE = ['RollcallLoopHangs', 'RollcallLoopsLate'];

test('no alert was left out, and in the end nothing fires', async () => {
    const { data: { groups } } = await (await fetch(`http://127.0.0.1:${prometheus.port}/api/v1/rules`)).json();
    const names = groups.flatMap(({ rules }) => rules.map(({ name }) => name));
    assert.deepEqual(names.filter((name) => !seen.has(name) && !ELSEWHERE.includes(name)), []);
    for (const { rules } of groups)
        for (const { name, health, lastError } of rules)
            assert.equal(health, 'ok', `${name}: ${lastError}`);
    await until(async () => (await prometheus.firing()).size === 0, 'a calm fleet', 30_000);
});

test('all leave with 0', async () => {
    await prometheus.stop();
    await Promise.all([down, drains, tls, narrow, busy, out.edge, data.edge, flushed.edge, elected.edge].map((edge) => edge.stop()));
    await Promise.all([out, data, flushed, elected].map(({ fleet }) => fleet.stop()));
});
