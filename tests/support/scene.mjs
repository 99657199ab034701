/* A fleet in a fault: Redis under Sentinel, three edges, people who come and go, and the oracle that knows who is where.
 * Time is scaled: H is half a second. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Crowd } from './crowd.mjs';
import { RedisFleet } from './redis.mjs';
import { runServer, startServer, temporaryFolder } from './server.mjs';
import { Timeline } from './timeline.mjs';
import { until } from './wait.mjs';

export const H = 500, L = 2000, S = 3000;
export const POLL = H * 4 / 5;
export const BOUND = L + 2 * H + 1000; /* removals after a loss wait L + H on the lease clock; the rest is the machine's */
const RATE = 200;
const ASK_AGAIN_MS = 15_000; /* a Sentinel gives a failover up after its failover-timeout, 6 s, twice */
export const channels = Array.from({ length: 12 }, (_, i) => `presence-room-${i}`);
export const presence = {
    store: 'redis', heartbeat_ms: H, lease_ms: L, scrub_ms: S, data_ttl_ms: 60_000, partitions: 8, retire_grace_ms: 0,
};

export const app = { id: '7', key: 'test-key', secret: 'test-secret', limits: { presence_members: 0 } };

async function takesWrites(instance) {
    return await instance.role() === 'master'
        && instance.ask('SET', 'rollcall:test', '1', 'PX', '100').then(() => true, () => false);
}

/* The fleet, its edges and their people, and what is the same in both variants. */
export class Scene {
    constructor(title, options = {}) {
        this.timeline = new Timeline(title);
        this.fleet = new RedisFleet({ downAfter: 3 * H, ...options });
        this.crowd = new Crowd();
        this.stateDir = temporaryFolder();
        this.edges = [];
        this.stray = [];
    }

    presence = presence;

    startEdge(name, sentinels, edge = {}) {
        return startServer({
            edge: { name, workers: 1, state_dir: this.stateDir, messages_per_second: 0, ...edge }, apps: [app], presence: this.presence,
            redis: this.redisConfig?.() ?? this.fleet.redisConfig({ sentinels }),
        });
    }

    /* What `rollcall doctor` finds wrong, with these Sentinels in the configuration: {code, wrong}, a line each, with our names
     * for addresses; `others` has those that are not of the fleet. With `remembers` it knows the last good addresses. */
    async doctor({ sentinels, others = [], remembers = true } = {}) {
        const path = join(temporaryFolder(), 'doctor.json');
        writeFileSync(path, JSON.stringify({ edge: { state_dir: remembers ? this.stateDir : '' }, apps: [app], presence: this.presence,
            redis: this.redisConfig?.() ?? this.fleet.redisConfig({ sentinels }) }));
        const { code, stdout } = await runServer(['doctor', '--config', path]);
        const known = [...this.fleet.sentinels, ...this.fleet.shards.flatMap(({ instances }) => instances), ...others];
        const named = (text) => text.replace(/127\.0\.0\.1:\d+/g, (where) => known.find((one) => one.where === where)?.name ?? where);
        return { code, wrong: stdout.split('\n').filter((line) => line.startsWith('  WRONG  ')).map((line) => named(line.slice(9))) };
    }

    /* prepare: what has to be there before the edges start. */
    async begin(prepare = () => {}) {
        await this.fleet.start();
        await prepare();
        [this.first, this.second] = this.fleet.shards;
        [this.broken] = this.fleet.sentinels;
        this.edges = await Promise.all(['a', 'b', 'c'].map((name) => this.startEdge(name)));
        await Promise.all(this.edges.map((edge, i) => this.populate(edge, i)));
        await this.crowd.exact(5000);
        await this.crowd.apiExact(this.edges, 2000);
        await this.calm();
        this.bytes = await this.bytesAtRest();
        this.watchKeys();
        this.startChurn();
        this.timeline.add('presence state lives in Redis, over several shards, each with replicas; Sentinel does failover',
            `2 shards with 2 replicas each, 3 Sentinels, 3 edges, ${this.crowd.people.length} clients in ${channels.length} rooms, `
            + `${RATE} joins and leaves a second`);
    }

    /* A dataset that has just been stamped makes removals wait like one that has lost something. */
    calm() {
        return until(async () => {
            const samples = await Promise.all(this.edges.map((edge) => edge.metrics()));
            return samples.every((all) => [...all].every(([name, value]) => !name.includes('removals_wait') || value === 0));
        }, 'removals not to wait any more');
    }

    async populate(edge, i) {
        const stayer = await this.crowd.add(edge, `stays-${i}`);
        const both = await this.crowd.add(edge, 'is-on-every-edge');
        await Promise.all(channels.flatMap((channel) => [stayer.join(channel), both.join(channel)]));
        for (let k = 0; k < 10; k++)
            await this.crowd.add(edge, `churns-${i}-${k}`);
    }

    startChurn() {
        this.running = this.crowd.churn(this.crowd.people.filter((person) => person.id.startsWith('churns')), channels, RATE);
    }

    /* While all this goes on, the masters' keys are looked at. */
    watchKeys() {
        this.watch = setInterval(async () => {
            for (const shard of this.fleet.shards)
                this.stray.push(...await this.fleet.strayKeys(shard).catch(() => []));
        }, 300);
    }

    /* Stops the churn for a moment, and says how long it took until every client and every edge's API was right. */
    async rightWithin(ms, what) {
        this.running.stop();
        const clients = await this.crowd.exact(ms, `the rosters to be right ${what}`);
        const api = await this.crowd.apiExact(this.edges, ms);
        this.crowd.assertClean();
        this.startChurn();
        return `every roster of every client right after ${clients} ms, the API of every edge after ${api} ms`;
    }

    /* The same crowd, everyone at rest: churners out of all rooms. What emptied rooms leave behind stays for 2 S. */
    async bytesAtRest() {
        for (const person of this.crowd.people.filter(({ id }) => id.startsWith('churns')))
            [...person.joined].forEach((channel) => person.leave(channel));
        await this.crowd.exact(BOUND);
        return Promise.all(this.fleet.shards.map((shard) => this.fleet.keyBytes(shard)));
    }

    /* An edge is stopped and started again with the broken Sentinel first in its list; its people come back. */
    async restart(i) {
        this.running.stop();
        const edge = this.edges[i];
        const people = this.crowd.people.filter((person) => person.edge === edge);
        const back = people.map(({ id, joined }) => ({ id, rooms: id.startsWith('churns') ? [] : [...joined] }));
        people.forEach((person) => person.close());
        this.crowd.people = this.crowd.people.filter((person) => person.edge !== edge);
        await edge.stop();
        this.edges[i] = await this.startEdge('abc'[i], [this.broken, ...this.fleet.sentinels.filter((one) => one !== this.broken)]);
        for (const { id, rooms } of back) {
            const person = await this.crowd.add(this.edges[i], id);
            await Promise.all(rooms.map((channel) => person.join(channel)));
        }
        this.startChurn();
    }

    /* Does something bad to the first shard while people come and go, until its new master takes writes; then everything
     * has to be right within the bound. Gives how long that took. */
    async through(what, fault) {
        await fault();
        const began = Date.now();
        const shard = this.first;
        let heir, writable, took;
        do {
            heir = await until(() => this.writable(shard), `a master of ${shard.name} that takes writes, after ${what}`, 40_000);
            writable = Date.now() - began;
            this.running.stop();
            took = await this.crowd.exact(BOUND, `the rosters to be right after ${what}`).catch(async (error) => {
                if (await takesWrites(heir))
                    throw new Error(`${error.message}\n${this.complaints()}`);
                return null; /* a Sentinel has made it a replica again meanwhile */
            });
        } while (took === null);
        await this.crowd.apiExact(this.edges, BOUND);
        this.crowd.assertClean();
        this.startChurn();
        return { words: `${what}: writes again after ${writable} ms, exact ${took} ms later` };
    }

    /* What the edges said last. */
    complaints() {
        return this.edges.map((edge) => `${edge.settings.edge.name}:\n${edge.tail()}`).join('\n');
    }

    /* Whom that Sentinel takes for the master of the first shard. */
    async namedBy(sentinel) {
        const [, port] = await sentinel.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.first.name);
        return this.first.at(port);
    }

    async isNamedByMost(instance) {
        const named = await Promise.all(this.fleet.sentinels.map((sentinel) => this.namedBy(sentinel)));
        return named.filter((one) => one === instance).length > named.length / 2;
    }

    /* A failover that is asked for, again when the Sentinel has given it up. Gives the new master, which takes writes; while the
     * old one says that it is one, too, edges follow when most Sentinels have heard. (Until that Sentinel has heard of the
     * failover before it may name somebody else than `old`, who is master no more.) */
    async failover(sentinel, old) {
        let asked = 0;
        return until(async () => {
            const named = await this.namedBy(sentinel);
            if (named !== old)
                return (asked > 0 || await old.role() !== 'master') && await takesWrites(named) && await this.isNamedByMost(named) && named;
            if (Date.now() - asked > ASK_AGAIN_MS && await sentinel.ask('SENTINEL', 'FAILOVER', this.first.name).catch(() => null))
                asked = Date.now();
            return null;
        }, `another master than ${old.name} that takes writes`, 90_000);
    }

    async writable(shard) {
        for (const instance of shard.instances)
            if (await takesWrites(instance))
                return instance;
        return null;
    }

    /* All edges say so, in their logs, in words that fit. */
    async alarm(pattern) {
        const began = Date.now();
        await Promise.all(this.edges.map((edge) => edge.logged(pattern)));
        return Date.now() - began;
    }

    async end() {
        this.running.stop();
        clearInterval(this.watch);
        const bytes = await this.bytesAtRest();
        await until(async () => (await this.grown()) <= 0.05, `the memory to be back (${this.bytes} bytes before)`, 2 * S + 5000);
        const now = await Promise.all(this.fleet.shards.map((shard) => this.fleet.keyBytes(shard)));
        this.timeline.add('14:25 all Redis processes move to machines with more memory',
            `keys take ${this.bytes.join(' + ')} bytes before, ${bytes.join(' + ')} right after, ${now.join(' + ')} at rest`);
        this.crowd.assertClean();
    }

    async grown() {
        const now = await Promise.all(this.fleet.shards.map((shard) => this.fleet.keyBytes(shard)));
        return Math.max(...now.map((bytes, i) => Math.abs(bytes - this.bytes[i]) / this.bytes[i]));
    }

    async close() {
        this.running?.stop();
        clearInterval(this.watch);
        this.crowd.close();
        for (const edge of this.edges)
            await edge.stop();
        await this.fleet.stop();
    }
}
