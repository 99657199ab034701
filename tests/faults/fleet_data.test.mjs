/* What can happen to all data in Redis at once: gone, old, without their stamps, or no room for more. (Keys one by one:
 * fleet_junk.test.mjs.) */

import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Fleet, H, L, MACHINE, S, sleep } from '../support/fleet.mjs';
import { storedRight } from '../support/stored.mjs';
import { until } from '../support/wait.mjs';

const D = 4 * S; /* the least that a configuration may say */
const fleet = await new Fleet({ changes: { presence: { data_ttl_ms: D } } }).populated();
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

/* Clients see nothing of a loss when nobody leaves; so it is Redis that is looked at. */
async function refilled() {
    return `what is in Redis is right after ${await storedRight(fleet, H + MACHINE, 'again')} ms (bound ${H} ms)`;
}

/* What the keys take, of each server, in bytes. */
function memory() {
    return Promise.all(fleet.redis.shards.map((shard) => fleet.redis.keyBytes(shard)));
}

/* Those stay who always stay. */
async function atRest() {
    for (const person of crowd.people.filter(({ id }) => id.startsWith('churns')))
        [...person.joined].forEach((channel) => person.leave(channel));
    await fleet.right(Date.now(), H, 'at rest');
    await storedRight(fleet, H + MACHINE, 'at rest');
}

await underLoad(() => {}, 1, H, 'before'); /* what comes and goes has left its traces */
await atRest();
const memoryBefore = await memory();

test('FLUSHALL under load', async (t) => {
    t.diagnostic(await underLoad((i) => fleet.servers[i % 2].ask('FLUSHALL', i % 4 < 2 ? 'SYNC' : 'ASYNC'), 8, WAIT, 'after eight FLUSHALLs'));
    await fleet.calm();
    await fleet.ofEachServer((server) => server.ask('FLUSHALL'));
    t.diagnostic(await fleet.right(Date.now(), H, 'after FLUSHALL of both servers, when nobody leaves'));
    t.diagnostic(await refilled());
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
    t.diagnostic(await refilled());
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

test('the memory is back where it was', async (t) => {
    await atRest();
    const began = Date.now();
    let now;
    const grown = async () => Math.max(...(now = await memory()).map((bytes, i) => Math.abs(bytes - memoryBefore[i]) / memoryBefore[i]));
    await until(async () => await grown() <= 0.05, `the memory to be back at ${memoryBefore} bytes`, D + MACHINE)
        .catch(async (error) => assert.fail(`${error.message}: ${now}, ${(await fleet.keysOf('o', 'h', 'r', 's', 'c')).map(([, key]) => key)}`));
    t.diagnostic(`keys take ${memoryBefore.join(' + ')} bytes before, ${now.join(' + ')} now, ${Date.now() - began} ms after the last left`);
});

test('no key is without a time to live, but for the fixed ones', async () => {
    for (const [server, key] of await fleet.keysOf('o', 'h', 'r', 's', 'c', 'k', 'm', 'q'))
        assert.notEqual(await server.ask('PTTL', key), -1, key);
});

test('the edges leave cleanly, and nothing was wrong', async () => {
    crowd.assertClean();
    await fleet.close();
});
