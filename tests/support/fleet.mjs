/* A fleet in a fault, with Redis servers at fixed addresses: edges, each with a way of its own to each server, people on
 * them, and the oracle that knows every open socket. Time is scaled (H is half a second), and bounds are in those
 * terms; in a soak H and L are what they are by default, and what the machine may add is little beside them. */

import assert from 'node:assert/strict';
import { Crowd } from './crowd.mjs';
import { Link } from './link.mjs';
import { sign } from './raw.mjs';
import { RedisFleet } from './redis.mjs';
import { startServer, temporaryFolder } from './server.mjs';
import { until } from './wait.mjs';

export const isLong = process.env.ROLLCALL_SOAK_MINUTES !== undefined;
export const [H, L, S] = isLong ? [2500, 10_000, 15_000] : [500, 2000, 3000];
export const MACHINE = 1000; /* what two tests at a time, sanitizers and two cores may add to any bound */
export const LATE = 200; /* a heartbeat may be so late for want of a processor */
export const presence = {
    store: 'redis', heartbeat_ms: H, lease_ms: L, scrub_ms: S, data_ttl_ms: 60_000, partitions: 8, retire_grace_ms: 0,
};
export const app = { id: '7', key: 'test-key', secret: 'test-secret', limits: { presence_members: 0, channels_per_connection: 0 } };

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function ask(edge, path, params) {
    const answer = await fetch(`http://${edge.host}:${edge.port}${sign(app, 'GET', `/apps/7${path}`, '', params)}`);
    return { status: answer.status, stale: answer.headers.get('rollcall-stale'), body: answer.status === 200 ? await answer.json() : null };
}

export class Fleet {
    /* names: one edge for each. churners: people of each edge who come and go when told to. list: redis.shards of the edges
     * that start, as [{ shard, leaving }…] by their numbers; null: all. sanitizer: options of theirs. */
    constructor({ names = ['a', 'b', 'c'], shards = 2, rooms = 12, churners = 10, links = true, list = null, changes = {}, sanitizer = '' } = {}) {
        Object.assign(this, { names, churners, hasLinks: links, list, changes, sanitizer, edges: [], links: new Map(), serial: 0 });
        this.rooms = Array.from({ length: rooms }, (_, i) => `presence-room-${i}`);
        this.hall = 'hall'; /* a public channel */
        this.redis = new RedisFleet({ shardCount: shards, replicas: 0, sentinelCount: 0, minReplicas: 0 });
        this.crowd = new Crowd();
        this.stateDir = temporaryFolder();
    }

    /* The servers, shard by shard. */
    get servers() {
        return this.redis.shards.map((shard) => shard.instances[0]);
    }

    /* The edges that run. */
    get running() {
        return this.edges.filter((edge) => edge && !edge.gone);
    }

    async start() {
        await this.redis.start();
        this.edges = await Promise.all(this.names.map((name) => this.startEdge(name)));
        return this;
    }

    /* The same, with people on all edges, and no wait for removals going on any more: a dataset that has just been stamped
     * makes them wait like one that has lost something. */
    async populated() {
        await this.start();
        await Promise.all(this.edges.map((edge) => this.populate(edge)));
        await this.right(Date.now(), 10_000, 'at the start');
        await this.calm();
        this.homes = new Map((await this.keysOf('r', 's')).map(([server, key]) => [key.replace(/^.*?:[rs]:7:/, ''), this.servers.indexOf(server)]));
        return this;
    }

    /* The number of the server that has that channel. */
    homeOf(channel) {
        return this.homes.get(channel);
    }

    async startEdge(name) {
        const ways = await Promise.all(this.servers.map((server) => this.hasLinks && new Link(server.port).listen()));
        const edge = await startServer({
            edge: { name, workers: 1, state_dir: this.stateDir, messages_per_second: 0, ...this.changes.edge },
            apps: [{ ...app, ...this.changes.app }],
            presence: { ...presence, ...this.changes.presence },
            redis: {
                cluster: 'test',
                shards: (this.list ?? this.redis.shards.map((_, shard) => ({ shard }))).map(({ shard, leaving = false }) => {
                    const { name: label, user, password, instances } = this.redis.shards[shard];
                    return { name: label, username: user, password, leaving,
                        address: `127.0.0.1:${ways[shard] ? ways[shard].port : instances[0].port}` };
                }),
            },
        }, { sanitizer: this.sanitizer });
        this.links.set(edge, ways);
        return edge;
    }

    /* Somebody who stays, somebody who is on every edge, somebody with two tabs, and those who will come and go, of whom one
     * has two tabs as well. */
    async populate(edge) {
        const n = this.serial++;
        const all = [this.hall, ...this.rooms];
        const people = await Promise.all([`stays-${n}`, 'is-on-every-edge', `has-two-tabs-${n}`, `has-two-tabs-${n}`].map((id) => this.crowd.add(edge, id)));
        await Promise.all(people.map((person) => person.joinAll(person.id.startsWith('has') ? all.slice(0, 4) : all)));
        for (let k = 0; k < this.churners; k++)
            await this.crowd.add(edge, `churns-${n}-${k}`);
        if (this.churners > 0)
            await this.crowd.add(edge, `churns-${n}-0`);
    }

    /* Those of these people who are there to come and go do so. */
    churn(rate = 200, random = Math.random, people = this.crowd.people) {
        return this.crowd.churn(people.filter(({ id }) => id.startsWith('churns')), [this.hall, ...this.rooms], rate, random);
    }

    /* Whether a loss still makes removals wait, on any edge. */
    async holdsBack() {
        const samples = await Promise.all(this.running.map((edge) => edge.metrics()));
        return samples.some((all) => [...all].some(([name, value]) => name.includes('removals_wait') && value > 0));
    }

    calm() {
        return until(async () => !await this.holdsBack(), 'removals not to wait any more');
    }

    /* The sum of a counter over the edges that run. */
    async count(name) {
        const samples = await Promise.all(this.running.filter(({ still }) => !still).map((edge) => edge.metrics()));
        return samples.reduce((sum, all) => sum + (all.get(`rollcall_presence_${name}_total`) ?? 0), 0);
    }

    /* ---- what is asked of everyone ---- */

    /* Every client sees, and the API of every edge says, exactly who is there, `bound` ms after `since` at the latest; and
     * until then nobody was told anything wrong (with `lenient` a wrong removal may have been seen: presence.md allows it
     * after some faults). Gives how long it took. */
    async right(since, bound, what, { lenient = false } = {}) {
        const left = () => Math.max(0, since + bound + MACHINE - Date.now());
        this.leases?.look(); /* an edge may have come back only just now */
        const unjudged = this.crowd.people.filter(({ edge, away }) => away && !edge.still && !edge.cut);
        assert.deepEqual(unjudged.map(({ id }) => id), [], 'whoever is with an edge that can speak is judged');
        const [clients, api] = await Promise.all([
            this.crowd.exact(left(), `the rosters to be right ${what}, ${bound} ms after it at most`).then(() => Date.now() - since),
            this.apiRight(left(), what).then(() => Date.now() - since),
        ]).catch(async (error) => {
            throw new Error(`${error.message}\n${await this.restless()}\n${this.complaints()}`);
        });
        if (lenient)
            this.crowd.wrong = [];
        const { problems, wrong } = this.crowd;
        if (problems.length + wrong.length > 0)
            throw new Error(`${what}: ${[...problems, ...wrong.map(({ at, text }) => `${new Date(at).toISOString()} ${text}`)].slice(0, 5).join('\n')}\n`
                + `(${problems.length} and ${wrong.length} such)\n${this.complaints()}`);
        this.crowd.forget();
        this.seen = this.edges.map((edge) => edge.log.all.length);
        return `${what}: clients exact after ${clients} ms, the API after ${api} ms (bound ${bound} ms)`;
    }

    /* What keeps an edge from showing what it knows: partitions that are not ready, removals that wait. And its counters. */
    async restless() {
        const edges = this.running.filter(({ still }) => !still);
        const lines = await Promise.all(edges.map(async (edge) => [...await edge.metrics()]
            .filter(([name, value]) => name.startsWith('rollcall_presence_') && (name.includes('partition_ready') ? value === 0
                : (name.includes('removals_wait') || name.endsWith('_total')) && value > 0))
            .map(([name, value]) => `${edge.settings.edge.name}: ${name} ${value}`)));
        return lines.flat().join('\n');
    }

    /* What the edges said of it in their logs since all was right last. */
    complaints() {
        return this.edges.map((edge, i) => `${edge.settings.edge.name}:\n${edge.log.all.slice(this.seen?.[i] ?? 0)
            .slice(-12).map(({ line }) => `  ${line}`).join('\n')}`).join('\n');
    }

    async apiRight(ms, what) {
        let last = [];
        const edges = this.running.filter(({ still, cut }) => !still && !cut);
        await Promise.all(edges.map((edge) => until(async () => (last = await this.apiDifferences(edge)).length === 0, `the API ${what}`, ms)
            .catch((error) => {
                throw new Error(`${error.message}: ${last.slice(0, 3).join('; ')}`);
            })));
    }

    /* What that edge's API says of the fleet, against the truth: the lists with their counts, and each roster. */
    async apiDifferences(edge) {
        const truth = this.crowd.channels().filter((channel) => this.crowd.members(channel).length > 0);
        for (const [prefix, info] of [['presence-', 'user_count,subscription_count'], [this.hall, 'subscription_count']]) {
            const list = await ask(edge, '/channels', { filter_by_prefix: prefix, info });
            if (list.status !== 200 || list.stale !== null)
                return [`the list of channels: status ${list.status}, stale ${list.stale}`];
            const says = Object.entries(list.body.channels).map(([channel, { user_count: users = '-', subscription_count: sockets }]) =>
                `${channel} ${users} ${sockets}`).sort();
            const is = truth.filter((channel) => channel.startsWith(prefix)).map((channel) =>
                `${channel} ${channel === this.hall ? '-' : this.crowd.members(channel).length} ${this.crowd.subscriptions(channel)}`).sort();
            if (says.join() !== is.join())
                return [`the list of channels, users, sockets: ${says.filter((one) => !is.includes(one))} instead of ${is.filter((one) => !says.includes(one))}`];
        }
        const rosters = await Promise.all(this.rooms.map(async (channel) => {
            const { status, stale, body } = await ask(edge, `/channels/${channel}/users`);
            const has = status === 200 ? body.users.map(({ id }) => id).sort().join() : `status ${status}`;
            const should = this.crowd.members(channel).join();
            return has === should && stale === null ? null : `${channel}: ${has} (stale ${stale}) instead of ${should}`;
        }));
        return rosters.filter(Boolean);
    }

    /* ---- what is done to them ---- */

    async killEdge(edge) {
        edge.signal('SIGKILL');
        edge.gone = true;
        this.crowd.lose(edge);
        await edge.exited;
        this.links.get(edge).forEach((link) => link && link.close());
    }

    stopEdge(edge) {
        edge.signal('SIGSTOP');
        edge.still = true;
    }

    continueEdge(edge) {
        edge.signal('SIGCONT');
        Object.assign(edge, { still: false, mayEnd: false });
    }

    /* Another in the place of one that was killed. */
    async replaceEdge(edge, name = edge.settings.edge.name) {
        const next = await this.startEdge(name);
        await this.populate(next);
        this.edges[this.edges.indexOf(edge)] = next;
        return next;
    }

    async ofEachServer(work) {
        return Promise.all(this.servers.map(work));
    }

    /* Keys of those kinds (what stands behind the partition's base, undefined: nothing), of all servers, as [server, key]. */
    async keysOf(...kinds) {
        const found = await this.ofEachServer(async (server) => (await server.keys()).map((key) => [server, key]));
        return found.flat().filter(([, key]) => kinds.includes((key.match(/^rollcall:\{\d+\}(?::(\w+))?/) ?? ['', 'none'])[1]));
    }

    async close() {
        this.crowd.close();
        for (const edge of this.running) {
            if (edge.still)
                this.continueEdge(edge);
            await edge.stop();
        }
        [...this.links.values()].flat().forEach((link) => link && link.close());
        await this.redis.stop();
    }
}
