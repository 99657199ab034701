/* A fleet whose Redis servers and Sentinels speak nothing but TLS, and know their clients by certificates. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { Authority } from '../support/certificates.mjs';
import { connectPusher, disconnect, heardOf, hears, subscribe } from '../support/clients.mjs';
import { RedisFleet } from '../support/redis.mjs';
import { config, runServer, startServer, temporaryFolder } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const authority = new Authority();
const ca = authority.file;
const redis = new RedisFleet({ shardCount: 1, replicas: 1, tls: { ...authority.issue(['IP:127.0.0.1', 'redis.example']), ca } });
after(() => redis.stop());
await redis.start();
const [shard] = redis.shards;
const ours = authority.issue(['edge.example']);
const encryption = { enabled: true, ca_file: ca, certificate: ours.certificate, key: ours.key };
const presence = { store: 'redis', heartbeat_ms: 500, lease_ms: 2000, scrub_ms: 1000, data_ttl_ms: 60_000, partitions: 4 };
const changes = (name, tls = encryption) => ({ edge: { name }, presence, redis: { ...redis.redisConfig(), tls } });
const edges = await Promise.all(['a', 'b'].map((name) => startServer(changes(name))));

/* What a tool says of the fleet. */
async function run(tool, tls, ...more) {
    const path = join(temporaryFolder(), 'fleet.json');
    const settings = config(changes('tool', tls));
    settings.edge.admin = { enabled: false };
    writeFileSync(path, JSON.stringify(settings));
    const { code, stdout, stderr } = await runServer([tool, '--config', path, ...more]);
    assert.equal(stderr, '');
    return { code, text: stdout };
}

const ask = (edge) => `--edge=127.0.0.1:${edge.adminPort}`;
const people = [];

test('members of both edges see each other', async () => {
    for (const [i, edge] of edges.entries())
        people.push(await connectPusher(edge, { user: { user_id: `u${i}` } }));
    const rooms = [];
    for (const person of people)
        rooms.push(await subscribe(person, 'presence-room'));
    await until(() => rooms.every((room) => room.members.count === 2), 'both to see both');
});

test('doctor and verify look through it, too', async () => {
    await until(async () => (await run('doctor', encryption)).code === 0, 'a healthy fleet');
    const { code, text } = await run('verify', encryption, ...edges.map(ask));
    assert.equal(code, 0, text);
    assert.match(text, /2 facts, 0 differences/);
});

const mistakes = {
    'another authority': [() => ({ ...encryption, ca_file: new Authority('another').file }),
        /TLS: its certificate is not good \(self-signed certificate in certificate chain|unable to get local issuer certificate\)/],
    'a certificate for somebody else': [() => ({ ...encryption, server_name: 'other.example' }), /its certificate is not good \(hostname mismatch\)/],
    'no certificate of our own': [() => ({ enabled: true, ca_file: ca }), /TLS: .*alert/],
    'one of our own that they do not trust': [() => ({ ...encryption, ...new Authority('another').issue(['edge.example']) }), /TLS: .*alert/],
    'no TLS at all': [() => ({}), /closed by the other side|connection reset/],
};

for (const [what, [tls, words]] of Object.entries(mistakes)) {
    test(`${what}: nobody is spoken to, and doctor says why`, async () => {
        const { code, text } = await run('doctor', tls());
        assert.equal(code, 1);
        assert.match(text, words);
        assert.match(text, /Sentinel .*cannot be reached/);
        assert.equal((await run('verify', tls(), ...edges.map(ask))).code, 1);
    });
}

test('an expired certificate of ours is refused by them, a name of theirs is good for all', async () => {
    const { code, text } = await run('doctor', { ...encryption, ...authority.issue(['edge.example'], { days: -1 }) });
    assert.equal(code, 1, text);
    assert.equal((await run('doctor', { ...encryption, server_name: 'redis.example' })).code, 0);
});

test('--check says what is wrong with the files', async () => {
    const refused = async (tls, words) => {
        const path = join(temporaryFolder(), 'fleet.json');
        writeFileSync(path, JSON.stringify(config(changes('x', { ...encryption, ...tls })), null, 1));
        const { code, stderr } = await runServer(['--config', path, '--check']);
        assert.equal(code, 78);
        assert.match(stderr, words);
    };
    await refused({ ca_file: '/nowhere.pem' }, /fleet\.json:\d+: redis\.tls\.ca_file: \/nowhere\.pem cannot be read/);
    await refused({ ca_file: ours.key }, /redis\.tls\.ca_file: .* holds no certificate in PEM/);
    await refused({ key: authority.key }, /redis\.tls\.key: .* holds the key of another certificate/);
    await refused({ key: undefined }, /redis\.tls\.certificate: needs "key" beside it/);
    await refused({ server_name: 'not a name' }, /redis\.tls\.server_name: must be/);
});

test('a failover, and the edges follow; nobody is told of anyone', async () => {
    const before = await shard.master();
    await redis.sentinels[0].ask('SENTINEL', 'FAILOVER', shard.name);
    await until(async () => {
        const master = await shard.master();
        return master && master !== before;
    }, 'another master', 40_000);
    const third = await connectPusher(edges[0], { user: { user_id: 'u2' } });
    await subscribe(third, 'presence-room');
    for (const person of people)
        await hears(person, 'pusher_internal:member_added');
    assert.equal(people.flatMap((person) => heardOf(person, 'pusher_internal:member_removed')).length, 0);
    [...people, third].forEach(disconnect);
});

test('the edges leave cleanly', async () => {
    for (const edge of edges)
        await edge.stop();
});
