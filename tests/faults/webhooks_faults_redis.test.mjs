/* Webhooks of a fleet whose Redis fails over or loses everything, and whose edges are restarted one by one: what a receiver
 * that drops known ids was told last is what the sockets say, and who never left makes no event. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Crowd } from '../support/crowd.mjs';
import { hook, receiver } from '../support/hooks.mjs';
import { RedisFleet } from '../support/redis.mjs';
import { openPusher } from '../support/raw.mjs';
import { BOUND, H, presence } from '../support/scene.mjs';
import { app, startServer, temporaryFolder } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const WAITS_MS = 3000; /* so long a departure waits (http-api.md) */
const rooms = Array.from({ length: 6 }, (_, i) => `presence-room-${i}`);

/* Edges with a crowd on them and a receiver that hears of its members. */
class Told {
    constructor(redis, changes) {
        Object.assign(this, { redis, changes, crowd: new Crowd(), seen: [], stateDir: temporaryFolder() });
        this.crowd.told = (kind, person, channel, user) => {
            this.seen.push(`${person.id} saw ${kind} ${user} in ${channel}`);
            Crowd.prototype.told.call(this.crowd, kind, person, channel, user);
        };
    }

    async start() {
        this.receiver = await receiver();
        this.edges = await Promise.all(['a', 'b', 'c'].map((name) => this.startEdge(name)));
        return this;
    }

    startEdge(name) {
        return startServer({
            edge: { name, workers: 1, state_dir: this.stateDir, messages_per_second: 0, ...this.changes?.edge },
            apps: [{ ...app, limits: { presence_members: 0, channels_per_connection: 0 }, webhooks: [hook(this.receiver)] }],
            presence: { ...presence, partitions: 4, ...this.changes?.presence },
            redis: this.redis.redisConfig(),
        });
    }

    async people(kind, count, channels) {
        const all = await Promise.all(this.edges.flatMap((edge, e) => Array.from({ length: count }, (_, i) => this.crowd.add(edge, `${kind}-${e}-${i}`))));
        await Promise.all(all.map((person) => person.joinAll(channels)));
        return all;
    }

    /* What came, repeats of an id left out. */
    events() {
        const ids = new Set();
        return this.receiver.events.all.filter(({ id }) => !ids.has(id) && ids.add(id));
    }

    memberEvents(from = 0) {
        return this.events().slice(from).filter(({ name }) => name.startsWith('member_'));
    }

    /* Where a receiver that believes the last word is wrong. */
    differences() {
        const last = new Map();
        for (const { name, channel, user_id: user } of this.memberEvents())
            last.set(`${user} in ${channel}`, name === 'member_added');
        const there = new Set(rooms.flatMap((channel) => this.crowd.members(channel).map((user) => `${user} in ${channel}`)));
        const differs = [...new Set([...last.keys(), ...there])].filter((one) => (last.get(one) ?? false) !== there.has(one));
        return differs.map((one) => `${one}: told ${last.get(one)}, is ${there.has(one)}`);
    }

    async right(what) {
        const exact = await this.crowd.exact(2 * BOUND, `the rosters to be right ${what}`);
        const began = Date.now();
        await until(() => this.differences().length === 0, `what was told to be right ${what}`).catch((error) => {
            throw new Error(`${error.message}: ${this.differences().slice(0, 10).join('; ')}`);
        });
        this.crowd.assertClean();
        this.crowd.forget();
        return `clients exact after ${exact} ms, webhooks ${Date.now() - began} ms later`;
    }

    /* Added and removed take turns for every user of a channel, but for his first event on a new timeline, which may say
     * again what was said, or that someone has left whose coming was lost: presence.md, restate. An id is
     * "partition-timeline-number". */
    assertTurns() {
        const last = new Map(), first = new Map();
        for (const { name, channel, user_id: user, id } of this.memberEvents()) {
            const [partition, ...rest] = id.split('-'), timeline = rest.slice(0, 2).join('-');
            if (!first.has(partition))
                first.set(partition, timeline);
            const before = last.get(`${user} ${channel}`) ?? { name: 'member_removed', timeline: first.get(partition) };
            assert.ok(before.name !== name || before.timeline !== timeline,
                `${user} in ${channel}: ${JSON.stringify(this.memberEvents().filter((one) => one.user_id === user && one.channel === channel))}`);
            last.set(`${user} ${channel}`, { name, timeline });
        }
        assert.ok(last.size > 0);
    }

    async stop() {
        this.crowd.close();
        for (const edge of this.edges)
            await edge.stop();
        this.receiver.assertValid(this.edges[0]);
        await this.redis.stop();
    }
}

/* ---- losses ---- */

const told = new Told(new RedisFleet({ shardCount: 1, downAfter: 3 * H }));
await told.redis.start();
after(() => told.redis.stop());
await told.start();
const [shard] = told.redis.shards;
const stayers = await told.people('stays', 2, rooms);
const churners = await told.people('churns', 8, []);
const leavers = await told.people('leaves', 4, rooms);

/* Public channels: one whose subscribers stay, on all edges, and one whose last will leave just before a loss. */
async function listener(edge, channel) {
    const raw = await openPusher(edge);
    raw.send('pusher:subscribe', { channel });
    await raw.next('pusher_internal:subscription_succeeded', channel);
    return raw;
}
const listeners = await Promise.all(told.edges.flatMap((edge) => [listener(edge, 'news'), listener(edge, 'news')]));
const last = await listener(told.edges[0], 'over');
const staying = new Set(stayers.map(({ id }) => id));

/* Does something to Redis while people come and go; some leave just before, some just after, some while it lasts. */
async function through(what, leaving, fault) {
    const churn = told.crowd.churn(churners, rooms, 60);
    await until(() => told.memberEvents().length > told.before + 30, 'webhooks to flow');
    leaving.slice(0, 2).forEach((person) => rooms.forEach((room) => person.leave(room)));
    const ended = fault();
    leaving.slice(2, 4).forEach((person) => rooms.forEach((room) => person.leave(room)));
    await ended;
    leaving.slice(4).forEach((person) => rooms.forEach((room) => person.leave(room)));
    await until(() => told.memberEvents().length > told.before + 100, 'webhooks to flow again');
    churn.stop();
    return told.right(what);
}

test('nothing happens: each member is told once', async (t) => {
    t.diagnostic(await told.right('at the start'));
    told.assertTurns();
    told.before = told.memberEvents().length;
    assert.equal(told.before, (stayers.length + leavers.length) * rooms.length);
});

test('the master is killed while webhooks flow', async (t) => {
    const old = await shard.master();
    t.diagnostic(await through('after a failover', leavers.slice(0, 6), async () => {
        await old.kill();
        await until(async () => {
            const heir = await shard.master();
            return heir && heir !== old && heir.ask('SET', 'rollcall:test', '1', 'PX', '100').then(() => true, () => false);
        }, 'a master that takes writes', 40_000);
    }));
    told.assertTurns();
    await old.start({ keep: true });
    await told.redis.settled();
});

/* ---- a planned stop ---- */

test('a rolling restart whose clients come back: not one member event, at clients or webhooks', { timeout: 120_000 }, async () => {
    const rolling = new Told(new RedisFleet({ shardCount: 1, replicas: 0, sentinelCount: 0, minReplicas: 0 }),
        { edge: { drain_ms: 500 }, presence: { retire_grace_ms: 4000 } });
    const [server] = (await rolling.redis.start()).shards[0].instances;
    after(() => rolling.redis.stop());
    rolling.redis.redisConfig = () => ({ cluster: 'test', shards: rolling.redis.shards.map(({ name, user, password }) =>
        ({ name, username: user, password, address: server.where })) });
    await rolling.start();
    await rolling.people('stays', 5, rooms);
    await rolling.right('at the start');
    const before = rolling.memberEvents().length;
    rolling.seen.length = 0;
    let moved = 0;
    rolling.crowd.problem = (text) => /"code":4200/.test(text) || rolling.crowd.problems.push(text);

    /* What pusher-js does, with an address that leads to another edge. */
    const comesBack = async (person, to) => {
        assert.equal((await person.socket.ended()).code, 4200);
        const next = await rolling.crowd.add(to, person.id);
        await next.joinAll(rooms);
        rolling.crowd.people.splice(rolling.crowd.people.indexOf(person), 1);
        person.close();
        moved++;
    };
    for (let i = 0; i < 3; i++) {
        const others = rolling.edges.filter((_, k) => k !== i);
        const people = rolling.crowd.peopleOf(rolling.edges[i]);
        assert.ok(people.length > 0);
        rolling.edges[i].signal('SIGTERM');
        await Promise.all(people.map((person, k) => comesBack(person, others[k % 2])));
        await rolling.edges[i].leftCleanly();
        rolling.edges[i] = await rolling.startEdge('abc'[i]);
    }
    assert.ok(moved > 15, `${moved} came back`);
    const leases = async () => Promise.all([0, 1, 2, 3].map((p) => server.ask('ZCARD', `rollcall:{${p}}:l`)));
    await until(async () => (await leases()).every((count) => count === 3), 'the graces to be over', 20_000);
    assert.deepEqual(rolling.seen, []);

    /* What a stop might have left to be told would be told before this. */
    const [leaver] = rolling.crowd.people;
    rooms.forEach((room) => leaver.leave(room));
    await rolling.right('after a departure');
    assert.deepEqual(rolling.memberEvents().slice(before).map(({ name, user_id: user }) => `${name} ${user}`),
        rooms.map(() => `member_removed ${leaver.id}`));
    assert.equal(rolling.seen.length, rooms.length * (rolling.crowd.people.length - 1), rolling.seen.slice(0, 5).join('; '));
    await rolling.stop();
});

/* Nothing waits in an outbox, also not for its time, and every edge has asked since: what it knows to be told need not be told
 * again after a loss. */
async function allDelivered() {
    const master = await shard.master();
    await until(async () => {
        const waiting = await Promise.all([0, 1, 2, 3].flatMap((p) => [master.ask('XLEN', `rollcall:{${p}}:out`), master.ask('ZCARD', `rollcall:{${p}}:due`)]));
        return waiting.every((count) => count === 0);
    }, 'everything to be delivered', 20_000);
    await new Promise((resolve) => setTimeout(resolve, WAITS_MS + 3 * H));
}

test('FLUSHALL while webhooks flow: those who left are told, those who never did are not', { timeout: 120_000 }, async (t) => {
    await allDelivered();
    const from = told.events().length;
    told.before = told.memberEvents().length;
    t.diagnostic(await through('after FLUSHALL', leavers.slice(6), async () => {
        last.send('pusher:unsubscribe', { channel: 'over' });
        await last.settled();
        await (await shard.master()).ask('FLUSHALL');
    }));
    told.assertTurns();
    const of = (users) => told.memberEvents(from).filter(({ user_id: user }) => users.has(user)).map(({ name, channel, user_id: user }) => `${name} ${user} ${channel}`);
    assert.deepEqual(of(staying), []);
    const left = of(new Set(leavers.slice(6).map(({ id }) => id)));
    assert.equal(new Set(left.filter((line) => line.startsWith('member_removed'))).size, 6 * rooms.length);
    const ofChannel = (channel) => told.events().slice(from).filter((event) => event.channel === channel).map(({ name }) => name);
    await until(() => ofChannel('over').includes('channel_vacated'), 'the public channel to be told as vacated');
    assert.ok(!ofChannel('over').includes('channel_occupied'));
    assert.deepEqual(ofChannel('news'), [], 'nobody came to news, and nobody left');

    /* And once more, a few seconds later: now nobody comes or goes. */
    await allDelivered();
    const calm = told.events().length;
    await (await shard.master()).ask('FLUSHALL');
    t.diagnostic(await told.right('after another FLUSHALL'));
    await allDelivered();
    assert.deepEqual(told.events().slice(calm).map(({ name, channel, user_id: user }) => `${name} ${channel} ${user ?? ''}`), []);
    listeners.forEach((raw) => raw.destroy());
});

test('the edges leave with 0, and no sanitizer has anything to say', () => told.stop());
