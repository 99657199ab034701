/* Ten thousand connections from several processes; half of these are stopped, so that their kernels still take
 * what is sent but nobody answers a ping, and half are killed. Within the deadlines none of them is left in a
 * roster, in a counter or as a descriptor, and those who answer are not disturbed.
 *
 * Once with the build under test. Then twice with the release build, whose memory means something (sanitizers keep
 * what is freed): the second time it needs no more than the first. ROLLCALL_SCALE multiplies the number. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { addedAmong, Driver, metricSum } from '../bench/lib/driver.mjs';
import { descriptors, memory, quiet } from '../bench/lib/processes.mjs';
import { backEnd } from '../support/clients.mjs';
import { root, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const scale = Number(process.env.ROLLCALL_SCALE ?? 1);
const build = process.env.ROLLCALL_BUILD ?? join(root, 'build/asan');
const release = process.env.ROLLCALL_RELEASE ?? join(root, 'build/release/rollcall');

const DRIVERS = 4;
const EACH = Math.round(2500 * scale);
const SHARED = 50; /* so many of each are in the survivors' channel, the others ten to a channel */
const MEMBERS = 10;
const SURVIVORS = 20;
const SURVIVORS_FIRST = 1_000_000;
const survivorIds = Array.from({ length: SURVIVORS }, (_, i) => `u${SURVIVORS_FIRST + i}`);

/* A silent connection is pinged after 2 s and gone 2 s later; the rest is what a loaded machine may add. */
const PING_AFTER_MS = 2000, PONG_TIMEOUT_MS = 2000, GONE_MS = PING_AFTER_MS + PONG_TIMEOUT_MS + 8000;

/* A connection with its subscription takes some 3,000; what is left over is the allocator's untidiness. */
const GROWTH_BYTES_MAX = 400;

const app = {
    id: '7', key: 'test-key', secret: 'test-secret', client_events: true, limits: { presence_members: 0 },
};

const started = [];
after(() => started.forEach((driver) => driver.signal('SIGKILL'))); /* those that a failure has left */

class Stage {
    static async open(options) {
        const stage = new Stage();
        stage.server = await startServer({
            edge: { workers: 2, ping_after_ms: PING_AFTER_MS, pong_timeout_ms: PONG_TIMEOUT_MS },
            apps: [app],
        }, options);
        stage.survivors = stage.driver('127.3.0.1', SURVIVORS, SURVIVORS_FIRST);
        await stage.survivors.run('open', { n: SURVIVORS, channel: 'presence-shared', added: addedAmong(SURVIVORS) });
        return stage;
    }

    driver(source, clients, first) {
        const { id, key, secret } = app;
        const driver = new Driver(build, { port: this.server.port, clients, source, first, app: id, key, secret });
        started.push(driver);
        return driver;
    }

    async ask(path) {
        const answer = await backEnd(this.server).get({ path });
        assert.equal(answer.status, 200);
        return answer.json();
    }

    async roster(channel) {
        return (await this.ask(`/channels/${channel}/users`)).users.map(({ id }) => id).sort();
    }

    async channels() {
        return Object.keys((await this.ask('/channels')).channels).sort();
    }

    async metric(name) {
        return metricSum(await this.server.metrics(), name);
    }

    async gather(round) {
        const drivers = Array.from({ length: DRIVERS }, (_, i) => this.driver(`127.3.${i + 1}.1`, EACH, i * EACH));
        await Promise.all(drivers.map((driver, i) => driver.run('open',
            { n: EACH - SHARED, channel: `presence-r${round}d${i}`, members: MEMBERS, timeout: 100 })));
        await Promise.all(drivers.map((driver) =>
            driver.run('open', { n: SHARED, channel: 'presence-shared', timeout: 100 })));
        assert.equal(await this.metric('rollcall_connections'), DRIVERS * EACH + SURVIVORS);
        assert.equal((await this.roster('presence-shared')).length, DRIVERS * SHARED + SURVIVORS);
        assert.equal((await this.channels()).length, DRIVERS * Math.ceil((EACH - SHARED) / MEMBERS) + 1);
        return drivers;
    }

    /* They come, half of them stop, half of them die. */
    async round(number) {
        const drivers = await this.gather(number);
        const timeouts = await this.metric('rollcall_pong_timeouts_total');
        const stopped = drivers.filter((_, i) => i % 2);
        drivers.forEach((driver) => driver.signal(stopped.includes(driver) ? 'SIGSTOP' : 'SIGKILL'));
        await until(async () => (await this.metric('rollcall_connections')) === SURVIVORS, 'the dead to be found', GONE_MS);
        /* The stopped are still there, for their kernels; nobody but the server's own deadline has found them. */
        assert.equal(await this.metric('rollcall_pong_timeouts_total') - timeouts, stopped.length * EACH);
        assert.deepEqual(await this.channels(), ['presence-shared']);
        assert.deepEqual(await this.roster('presence-shared'), survivorIds);
        assert.equal(await this.metric('rollcall_subscriptions'), SURVIVORS);
        stopped.forEach((driver) => driver.signal('SIGKILL'));
        await Promise.all(drivers.map((driver) => driver.ended));
    }

    /* Descriptors and memory, when nothing is left to be done. */
    async rest() {
        const { pid } = this.server;
        await until(() => descriptors(pid) < SURVIVORS + 60, 'the descriptors to be given back');
        await quiet(pid);
        return { descriptors: descriptors(pid), rss: memory(pid).rss };
    }

    /* Nobody has left or was disturbed, and they heard of everybody who came and went. */
    async survived(rounds) {
        const gone = rounds * DRIVERS * SHARED * SURVIVORS;
        await until(async () => (await this.survivors.run('wait', { ms: 1 })).removed === gone, 'the farewells');
        const { ended, subscriptions, added } = await this.survivors.run('members');
        assert.equal(ended, 0);
        assert.equal(subscriptions.length, SURVIVORS);
        assert.equal(added, gone + addedAmong(SURVIVORS));
        await this.survivors.stop();
    }
}

test('the stopped and the killed are found within the deadlines; whoever answers stays', async () => {
    const stage = await Stage.open();
    const before = await stage.rest();
    await stage.round(1);
    const behind = await stage.rest();
    assert.ok(behind.descriptors <= before.descriptors + 4, `${before.descriptors} descriptors, then ${behind.descriptors}`);
    await stage.survived(1);
    await stage.server.stop();
});

test('a second time takes no more memory and no more descriptors than the first', async () => {
    assert.ok(existsSync(release), `${release} is missing: ./dev build release`);
    const stage = await Stage.open({ wrap: ['sh', '-c', 'shift; exec "$0" "$@"', release] });
    await stage.round(1);
    const first = await stage.rest();
    await stage.round(2);
    const second = await stage.rest();
    assert.ok(second.descriptors <= first.descriptors + 4, `${first.descriptors} descriptors, then ${second.descriptors}`);
    const grown = Math.round((second.rss - first.rss) / (DRIVERS * EACH));
    assert.ok(grown < GROWTH_BYTES_MAX, `${grown} bytes a connection more than after the first time`);
    await stage.survived(2);
    await stage.server.stop();
});
