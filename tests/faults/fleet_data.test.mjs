/* What can happen to the data in Redis: gone, old, deleted, damaged, or no room for more. */

import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Fleet, H, L, MACHINE, S, sleep } from '../support/fleet.mjs';
import { until } from '../support/wait.mjs';

const fleet = await new Fleet().populated();
const { crowd, rooms } = fleet;
const [visitor] = crowd.people.filter(({ id }) => id.startsWith('churns'));

/* After a loss removals wait until L + H on the lease clock. Who left just before or after it may be seen so long. */
const WAIT = L + 2 * H;
const REFUSED = 1000; /* a join that found no memory is tried again after that */

/* Does that `times` times while people come and go. Then everything is right within the bound, and in all that time
 * nobody was told of anybody leaving who had not. */
async function underLoad(fault, times, bound, what) {
    const churn = fleet.churn();
    let began;
    for (let i = 0; i < times; i++) {
        await sleep(H / 2 + Math.random() * H);
        await fault(i);
        began = Date.now();
    }
    churn.stop();
    return fleet.right(began, bound, what);
}

test('FLUSHALL under load', async (t) => {
    t.diagnostic(await underLoad((i) => fleet.servers[i % 2].ask('FLUSHALL', i % 4 < 2 ? 'SYNC' : 'ASYNC'), 8, WAIT, 'after eight FLUSHALLs'));
    await fleet.calm();
    await fleet.ofEachServer((server) => server.ask('FLUSHALL'));
    t.diagnostic(await fleet.right(Date.now(), H, 'after FLUSHALL of both servers, when nobody leaves'));
    await fleet.calm();
});

test('a server restarts empty', async (t) => {
    t.diagnostic(await underLoad(async (i) => {
        await fleet.servers[i].kill();
        await fleet.servers[i].start({ keep: true });
    }, 2, WAIT, 'after empty restarts under load'));
    await fleet.calm();
    await fleet.servers[0].kill();
    await fleet.servers[0].start({ keep: true });
    t.diagnostic(await fleet.right(Date.now(), H, 'after an empty restart, when nobody leaves'));
    await fleet.calm();
});

test('a server restarts from an old dump', async (t) => {
    const [server] = fleet.servers;
    const dump = join(server.folder, 'dump.rdb');
    t.diagnostic(await underLoad(async (i) => {
        if (i === 0)
            await server.ask('SAVE');
        if (i !== 2)
            return;
        copyFileSync(dump, `${dump}.old`);
        await server.kill();
        copyFileSync(`${dump}.old`, dump);
        await server.start({ keep: true });
    }, 3, WAIT, 'after a restart from an old dump'));
    rmSync(dump);
    await fleet.calm();
});

/* Someone does this to every key of that kind. Where it cannot be found at once it is found by scrub. */
for (const [kind, name] of [[undefined, 'partition stamps'], ['l', 'leases'], ['o', 'owners'], ['h', 'held channels'], ['r', 'rosters'], ['c', 'channel lists']])
    test(`${name} are deleted`, async (t) => {
        const keys = await fleet.keysOf(kind);
        assert.ok(keys.length > 0, 'there are some');
        const churn = fleet.churn(50);
        for (const [server, key] of keys)
            await server.ask('DEL', key);
        const began = Date.now();
        await sleep(H);
        churn.stop();
        t.diagnostic(await fleet.right(began, S + WAIT, `after ${keys.length} ${name} were deleted`));
        await fleet.calm();
    });

test('the shards\' stamps are deleted, and damaged', async (t) => {
    for (const damage of [['DEL', 'rollcall:shard'], ['HSET', 'rollcall:shard', 't', 'junk'], ['HDEL', 'rollcall:shard', 'r']]) {
        await fleet.ofEachServer((server) => server.ask(...damage));
        await fleet.ofEachServer((server, i) => until(async () => {
            const [cluster, shard, replication, timeline] = await server.ask('HMGET', 'rollcall:shard', 'c', 'n', 'r', 't');
            return cluster === 'test' && shard === fleet.redis.shards[i].name && replication && /^\d+-/.test(timeline);
        }, `the stamp to be whole after ${damage.join(' ')}`, 2 * H + MACHINE));
        t.diagnostic(await fleet.right(Date.now(), WAIT, `after ${damage.join(' ')}`));
    }
    await fleet.calm();
});

/* Wrong removals may be seen until it is found, so only the end is judged, and that each client's events alternate. */
test('junk is written into keys', async (t) => {
    for (const kind of [undefined, 'l', 'o', 'h', 'r', 'c'])
        for (const [server, key] of await fleet.keysOf(kind))
            await server.ask('SET', key, 'junk', 'KEEPTTL');
    const lenient = { lenient: true };
    for (const [server, key] of (await Promise.all([undefined, 'l', 'o', 'r', 'c'].map((kind) => fleet.keysOf(kind)))).flat())
        await until(async () => (await server.ask('TYPE', key)) !== 'string', `${key} not to be a text any more`, S + WAIT + MACHINE);
    t.diagnostic(await fleet.right(Date.now(), S + WAIT, 'after every key became a text', lenient));
    await fleet.calm();
    for (const [server, key] of await fleet.keysOf('r'))
        await server.ask('HSET', key, 'uno-one', '123456,9|', 'ustays-0', 'junk', 'u', '', 'v', 'junk');
    for (const [server, key] of await fleet.keysOf('h')) /* those of former owners may still be texts, until they expire */
        await server.ask('SADD', key, 'junk', '7:presence-nowhere').catch((error) => assert.match(error.message, /WRONGTYPE/));
    for (const [server, key] of await fleet.keysOf('l'))
        await server.ask('ZADD', key, 1, 'junk', 1, '123456');
    for (const [server, key] of await fleet.keysOf('c'))
        await server.ask('SADD', key, 'presence-nowhere');
    t.diagnostic(await fleet.right(Date.now(), S + WAIT, 'after junk in hashes and sets', lenient));
    await fleet.calm();
});

test('a server is out of memory, and has some again', async (t) => {
    const [room] = rooms;
    await visitor.joinAll([room].filter((name) => !visitor.joined.has(name)));
    await fleet.right(Date.now(), H, 'before');
    await fleet.ofEachServer((server) => server.ask('CONFIG', 'SET', 'maxmemory', '1'));
    visitor.leave(room);
    t.diagnostic(await fleet.right(Date.now(), H, 'after a leave without memory'));
    const asked = Date.now();
    await visitor.joinAll([room]);
    t.diagnostic(`a join is answered after ${Date.now() - asked} ms`);
    assert.ok(Date.now() - asked < 1000 + MACHINE, 'who joins gets what his edge knows');
    await sleep(L + 2 * H); /* heartbeats are let through: no one is missed */
    crowd.assertClean();
    await fleet.ofEachServer((server) => server.ask('CONFIG', 'SET', 'maxmemory', '0'));
    t.diagnostic(await fleet.right(Date.now(), REFUSED + H, 'with memory again'));
    t.diagnostic(await underLoad((i) => fleet.servers[i % 2].ask('CONFIG', 'SET', 'maxmemory', i % 4 < 2 ? '1' : '0'), 8, REFUSED + H, 'after memory came and went'));
});

/* Garbage has gone with the scrubs: what is there is what the people need. */
test('no key is without a time to live, but for the fixed ones', async () => {
    const mortal = /^rollcall:\{\d+\}:(o|h|r|s|c|k|m)(:|$)/;
    for (const server of fleet.servers)
        for (const key of (await server.keys()).filter((name) => mortal.test(name)))
            assert.ok(await until(async () => (await server.ask('PTTL', key)) !== -1, `${key} to be mortal`, S), key);
    for (const kind of ['r', 's'])
        for (const [, key] of await fleet.keysOf(kind))
            assert.ok(!key.includes('nowhere'), key);
});

test('the edges leave cleanly, and nothing was wrong', async () => {
    crowd.assertClean();
    await fleet.close();
});
