/* `rollcall doctor` and `rollcall verify`, on the fleet that conf/ sets up: what they say of each fault is written here,
 * word for word, with the addresses as S0 … (Sentinels) and 1a 1b 1c 2a … (servers of the shards). */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { Crowd } from '../support/crowd.mjs';
import { RedisFleet } from '../support/redis.mjs';
import { root, runServer, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const H = 500, L = 2000;
const fleet = await new RedisFleet({ downAfter: 3 * H }).startFromConf();
const [one, two] = fleet.shards;
const [s0] = fleet.sentinels;
const names = new Map([...fleet.sentinels.map((sentinel, i) => [sentinel.where, `S${i}`]),
    ...fleet.shards.flatMap((shard, i) => shard.instances.map((instance, k) => [instance.where, `${i + 1}${'abc'[k]}`]))]);

process.env.ROLLCALL_SHARD_1_PASSWORD = 'demo-edge-1';
process.env.ROLLCALL_SHARD_2_PASSWORD = 'demo-edge-2';
process.env.ROLLCALL_SENTINEL_PASSWORD = 'demo-edge';
process.env.ROLLCALL_APP_SECRET = 'test-secret';
const environment = { ...process.env, ASAN_OPTIONS: 'detect_leaks=1' };

/* conf/fleet-sentinel.json, on our ports. */
const settings = JSON.parse(readFileSync(join(root, 'conf/fleet-sentinel.json'), 'utf8').replace(/^\s*\/\/.*$/gm, ''));
delete settings.$schema;
settings.edge.admin = { enabled: false }; /* which edges are asked is said with --edge */
settings.redis.shards.forEach((shard) => {
    shard.sentinel.addresses = fleet.sentinels.map(({ where }) => where);
});
Object.assign(settings.presence, { heartbeat_ms: H, lease_ms: L, scrub_ms: 1000, partitions: 4 });

/* Runs a tool with that configuration, changed; {code, text} with names for addresses. */
async function run(tool, change = () => {}, more = []) {
    const changed = structuredClone(settings);
    change(changed);
    const path = join(mkdtempSync(join(tmpdir(), 'rollcall-test-')), 'fleet.json');
    writeFileSync(path, JSON.stringify(changed));
    const { code, stdout, stderr } = await runServer([tool, '--config', path, ...more], { env: environment });
    assert.equal(stderr, '');
    return { code, text: stdout.replace(/127\.0\.0\.1:\d+/g, (where) => names.get(where) ?? where) };
}

const wrongs = ({ text }) => text.split('\n').filter((line) => line.startsWith('  WRONG  ')).map((line) => line.trim().replace(/^WRONG +/, ''));

async function says(...expected) {
    const report = await run('doctor');
    assert.deepEqual({ code: report.code, wrong: wrongs(report) }, { code: 1, wrong: expected }, report.text);
    return report.text;
}

const healthy = () => until(async () => (await run('doctor')).code === 0, 'a healthy fleet again', 60_000);

const edge = await startServer({ edge: { name: 'edge-1' }, presence: settings.presence, redis: { ...settings.redis,
    shards: settings.redis.shards.map((shard, i) => ({ ...shard, password: `demo-edge-${i + 1}`,
        sentinel: { ...shard.sentinel, password: 'demo-edge' } })) } });
const ready = async () => [...await edge.metrics()].filter(([name]) => name.includes('partition_ready')).every(([, value]) => value === 1);
await until(ready, 'the edge to be ready');

test('conf/ as it stands: nothing is wrong, and who is what is said', async () => {
    const { code, text } = await run('doctor');
    assert.equal(code, 0, text);
    assert.match(text, /^cluster example, keys rollcall:…, 2 shards\n\nshard shard-1, under Sentinel as shard-1\n/);
    for (const sentinel of ['S0', 'S1', 'S2'])
        assert.match(text, new RegExp(`  Sentinel ${sentinel} names 1a, at config epoch 0\n`));
    assert.match(text, /  1a proves to be a master of this shard, timeline \d+, named by 3 of 3 Sentinels; edges use it\n/);
    assert.match(text, /  1b is a replica of 1a\n/);
    assert.match(text, /\nnothing is wrong\n$/);
});

test('a Sentinel monitors a replica', async () => {
    await fleet.monitor(s0, one, one.instances[1].port);
    const text = await says('shard shard-1: Sentinel S0 names 1b as its master, but that is a replica of 1a');
    assert.match(text, new RegExp(`Do: on S0: SENTINEL REMOVE shard-1; SENTINEL MONITOR shard-1 127.0.0.1 ${one.instances[0].port} 2; then `));
});

test('a Sentinel monitors the other shard\'s master', async () => {
    await fleet.monitor(s0, one, two.instances[0].port);
    await says('shard shard-1: Sentinel S0 names 2a as its master, but that does not accept this shard\'s user and password '
        + '(WRONGPASS invalid username-password pair or user is disabled.)');
});

test('a Sentinel does not know the shard, or is not there', async () => {
    await s0.ask('SENTINEL', 'REMOVE', one.name);
    await says('shard shard-1: Sentinel S0 does not know the master "shard-1"');
    await s0.kill();
    const refused = 'cannot be reached (connection refused)';
    await says(`shard shard-1: Sentinel S0 ${refused}`, `shard shard-2: Sentinel S0 ${refused}`);
    await s0.start();
    await fleet.settled();
    await healthy();
});

test('settings of a server that lose data', async () => {
    await one.instances[0].ask('CONFIG', 'SET', 'min-replicas-to-write', '0');
    await two.instances[1].ask('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    await says('shard shard-1: 1a has no min-replicas-to-write: cut off from its replicas it goes on accepting writes, which the '
        + 'failover throws away. Say min-replicas-to-write 1 and min-replicas-max-lag 2.',
    'shard shard-2: 2b has maxmemory-policy allkeys-lru: when memory is short, Redis throws presence away. Say maxmemory-policy '
        + 'noeviction.');

    /* An edge that starts says the same of the masters that it finds, and what its configuration alone shows. */
    await two.instances[0].ask('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    const starting = await startServer({ presence: settings.presence, redis: { ...edge.settings.redis,
        shards: edge.settings.redis.shards.map((shard, i) => ({ ...shard,
            sentinel: { ...shard.sentinel, addresses: shard.sentinel.addresses.slice(0, i + 1) } })) } });
    await starting.logged(/"warn".*"redis\.setup".*shard shard-1: \S+ has no min-replicas-to-write: cut off/);
    await starting.logged(/"warn".*"redis\.setup".*shard shard-2: \S+ has maxmemory-policy allkeys-lru: /);
    await starting.logged(/"warn".*"redis\.setup".*shard shard-1 has one Sentinel: /);
    await starting.logged(/"warn".*"redis\.setup".*shard shard-2 has 2 Sentinels: an even number/);
    await starting.stop();
    assert.deepEqual(edge.log.all.filter(({ line }) => line.includes('redis.setup')), [], 'the right setup has no warnings');
    await two.instances[0].ask('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await one.instances[0].ask('CONFIG', 'SET', 'min-replicas-to-write', '1');
    await two.instances[1].ask('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
});

test('one Sentinel, two of them, a quorum of one, and a time that is too short', async () => {
    const few = (count) => (changed) => changed.redis.shards[0].sentinel.addresses.splice(count);
    assert.ok(wrongs(await run('doctor', few(1))).includes('shard shard-1 has one Sentinel: without it nothing is failed over, and '
        + 'nobody can outvote it when it is wrong. Use three, on three machines.'));
    assert.ok(wrongs(await run('doctor', few(2))).includes('shard shard-1 has 2 Sentinels: an even number bears no more failures than '
        + 'one less, and can be split in halves. Use 3.'));
    await s0.ask('SENTINEL', 'SET', one.name, 'quorum', '1', 'down-after-milliseconds', '1000');
    await says('shard shard-1: Sentinel S0 has down-after-milliseconds 1000: it may name another master before edges that are cut off '
        + 'with the old one have stopped judging others. Say at least 1500 (three times presence.heartbeat_ms).',
    'shard shard-1: Sentinel S0 has quorum 1: fewer than a majority can then begin a failover. Say 2.');
    await s0.ask('SENTINEL', 'SET', one.name, 'quorum', '2', 'down-after-milliseconds', String(3 * H));
});

test('two shards with one password, and a password that is wrong', async () => {
    const same = await run('doctor', ({ redis: { shards: [first, second] } }) => {
        second.username = first.username;
        second.password = first.password;
    });
    assert.equal(same.code, 1);
    assert.ok(wrongs(same).includes('shards shard-1 and shard-2 have the same user and password: a mistake in a Sentinel can then make '
        + 'the servers of one copy the data of the other. Give each shard a user and a password of its own.'));
    assert.ok(wrongs(same).includes('shard shard-2: nobody proves to be its master; its rosters are frozen. Start an instance, or make '
        + 'one a master: REPLICAOF NO ONE.'));
});

test('two masters: someone promoted a replica by hand', async () => {
    const [, promoted] = two.instances;
    await promoted.ask('REPLICAOF', 'NO', 'ONE');
    const { code, text } = await run('doctor');
    assert.equal(code, 1);
    assert.match(text, new RegExp(`WRONG  shard shard-2: 2 instances say that they are its master. Edges use 2a. Do: on each other one: `
        + `REPLICAOF 127.0.0.1 ${two.instances[0].port}.\n`));
    await promoted.ask('REPLICAOF', '127.0.0.1', two.instances[0].port);
    await healthy();
});

test('verify: what live edges hold is no difference; what a dead one held is named, and goes', async () => {
    const crowd = new Crowd();
    const channels = ['presence-a', 'presence-b', 'presence-c', 'presence-d'];
    const other = await startServer({ edge: { name: 'edge-2' }, presence: settings.presence, redis: edge.settings.redis });
    const stays = await crowd.add(edge, 'ann');
    const dies = await crowd.add(other, 'bob');
    await Promise.all(channels.flatMap((channel) => [stays.join(channel), dies.join(channel)]));
    const asking = [edge, other].flatMap(({ adminPort }) => ['--edge', `127.0.0.1:${adminPort}`]);
    const before = await until(async () => {
        const report = await run('verify', undefined, asking);
        return report.code === 0 && report;
    }, 'nothing on its way');
    assert.match(before.text, /, 0 differences\n[^]*\nno differences\n$/);
    assert.equal(before.code, 0);

    /* With a majority of the Sentinels the next heartbeat removes it, in the same moment as it is found out. */
    const [, s1, s2] = fleet.sentinels;
    await Promise.all([s1.kill(), s2.kill()]);
    await edge.logged(/no majority of its Sentinels names it/);
    other.signal('SIGKILL');
    const found = await until(async () => {
        const { code, text } = await run('verify');
        return code === 1 && text;
    }, 'verify to see the dead edge', 3 * L);
    assert.match(found, /partition \d: 7:presence-[a-d], user bob of owner \d+ \(edge edge-2\), whose lease ran out \d+\.\d s ago: gone with the next heartbeat \(0\.5 s\) of an edge that a majority of Sentinels vouches for\n/);
    assert.doesNotMatch(found, /user ann/);
    await Promise.all([s1.start({ keep: true }), s2.start({ keep: true })]);
    await until(async () => (await run('verify')).code === 0, 'what it held to be gone', 3 * L);
    crowd.close();
});

test('verify: a fact that Redis has and its living edge has not, and the reverse', async () => {
    const crowd = new Crowd();
    const strange = 'ännchen 100%\t';
    const stays = await crowd.add(edge, strange);
    await stays.join('presence-a');
    const asking = ['--edge', `127.0.0.1:${edge.adminPort}`];
    const report = () => run('verify', undefined, asking);
    await until(async () => (await report()).code === 0, 'nothing on its way');
    edge.signal('SIGSTOP'); /* or its next scrub would put it right while we look */
    const shards = await Promise.all(fleet.shards.map(async (shard) => [shard, (await (await shard.master()).keys()).find((key) => key.endsWith(':r:7:presence-a'))]));
    const [shard, key] = shards.find(([, found]) => found);
    const master = await shard.master();
    const value = await master.ask('HGET', key, `u${strange}`);
    await master.ask('HDEL', key, `u${strange}`);
    await master.ask('HSET', key, 'ughost', value);
    edge.signal('SIGCONT');
    const text = await until(async () => {
        const { code, text: found } = await report();
        return code === 1 && found;
    }, 'the differences');
    assert.match(text, /partition \d: 7:presence-a, user ghost of owner \d+, whose edge lives and does not hold it: gone when that edge asserts again/);
    assert.match(text, /partition \d: 7:presence-a, user ännchen 100%\t of owner \d+ is missing, and its edge holds it: back with its next scrub \(1 s\)\n/);
    await until(async () => (await report()).code === 0, 'it to heal', 10_000);
    crowd.close();
});

test('verify: an edge that cannot be asked', async () => {
    const { code, text } = await run('verify', undefined, ['--edge', '127.0.0.1:1']);
    assert.equal(code, 0);
    assert.match(text, /edge 127\.0\.0\.1:1 does not say what it holds \(GET \/facts\): it is not compared\n/);
});

test('verify: nobody is there', async () => {
    edge.signal('SIGSTOP');
    const text = await until(async () => {
        const report = await run('verify');
        return report.code === 1 && report.text;
    }, 'verify to see that nobody speaks', 6 * H);
    edge.signal('SIGCONT');
    assert.match(text, /partition \d: no edge has said anything here for \d\.\d s, so its lease clock stands, and whom its facts belong to is not known; they go 2 s after an edge comes back, else when no one has touched them for 600 s\n/);
    await until(async () => (await run('verify')).code === 0, 'the edge to speak again', 6 * H);
});

test('verify: keys that do not belong there', async () => {
    const master = await one.master();
    await master.ask('SET', 'rollcall:junk', '1');
    await master.ask('SET', 'rollcall:{1}:k:7:cache-x', '1', 'PX', '60000');
    await master.ask('SET', 'rollcall:{0}:k:7:cache-x', '1');
    await master.ask('SET', 'rollcall:{0}:m:7:cache-x', '1', 'PX', '60000'); /* this one may be there */
    const { code, text } = await run('verify');
    assert.equal(code, 1);
    assert.match(text, /  rollcall:junk is no key of ours: no edge reads or removes it\n/);
    assert.match(text, /  rollcall:\{1\}:k:7:cache-x is of a partition that lies on another shard: no edge reads it, gone when its TTL is over\n/);
    assert.match(text, /  rollcall:\{0\}:k:7:cache-x has no TTL: /);
    assert.match(text, /, 3 differences\n/);
    await master.ask('DEL', 'rollcall:junk', 'rollcall:{1}:k:7:cache-x', 'rollcall:{0}:k:7:cache-x', 'rollcall:{0}:m:7:cache-x');
});

test('neither without a Redis to look at', async () => {
    const path = join(root, 'conf/rollcall.json');
    for (const tool of ['doctor', 'verify']) {
        const { code, stderr } = await runServer([tool, '--config', path]);
        assert.equal(code, 78);
        assert.match(stderr, /presence\.store is "memory": there is no Redis to look at/);
    }
    assert.equal((await runServer(['heal', '--config', path])).code, 64);
});

test('everything ends', async () => {
    await edge.stop();
    await fleet.stop();
});
