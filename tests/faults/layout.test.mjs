/* A shard more, and then one less, under people who come and go: the edges are restarted one after the other with another list
 * of shards. Whoever stays is never told to have left, nothing is written where a partition no longer lives, and webhooks
 * that their endpoint did not take meanwhile come all the same. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Fleet, H, L, presence, sleep } from '../support/fleet.mjs';
import { hook, receiver } from '../support/hooks.mjs';
import { pairs } from '../support/redis.mjs';
import { runServer, temporaryFolder } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const endpoint = await receiver();
const refuse = (response) => {
    response.statusCode = 503;
    response.end();
};
const accept = endpoint.answer;
const fleet = await new Fleet({
    shards: 3, links: false, list: [{ shard: 0 }, { shard: 1 }],
    changes: { app: { webhooks: [hook(endpoint)] }, presence: { data_ttl_ms: 4 * presence.scrub_ms } },
}).populated();
const { crowd } = fleet;

/* On which server each partition is, as the stamps have it: of two entries the higher version is right. */
async function places() {
    const found = new Map();
    await fleet.ofEachServer(async (server) => {
        for (const [field, entry] of Object.entries(pairs(await server.ask('HGETALL', 'rollcall:shard')))) {
            const [version, name] = [parseInt(entry, 10), entry.slice(entry.indexOf(' ') + 1)];
            if (/^l\d+$/.test(field) && version > (found.get(field)?.version ?? 0))
                found.set(field, { version, name });
        }
    });
    return [...found].sort().map(([, { name }]) => fleet.redis.shards.findIndex((shard) => shard.name === name));
}

const wanted = (staying) => Array.from({ length: presence.partitions }, (_, p) => staying[p % staying.length]);

/* Restarts the edges one after the other, with that list. Gives when the last one was back, with its people. */
async function roll(list, before) {
    fleet.list = list;
    for (const edge of [...fleet.edges]) {
        const churn = fleet.churn();
        assert.deepEqual(await places(), before, 'nothing moves before all edges know it');
        edge.signal('SIGTERM');
        edge.gone = true;
        crowd.lose(edge);
        await edge.leftCleanly();
        churn.stop();
        await fleet.replaceEdge(edge);
    }
    return Date.now();
}

async function moved(staying, since) {
    const churn = fleet.churn();
    await until(async () => (await places()).join() === wanted(staying).join(), 'the partitions to move', 20 * H);
    const took = Date.now() - since;
    await sleep(2 * H);
    churn.stop();
    return `moved ${took} ms after the last edge was back`;
}

/* What `rollcall verify` says of it all. */
async function verified() {
    const path = join(temporaryFolder(), 'fleet.json');
    writeFileSync(path, JSON.stringify(fleet.edges[0].settings));
    const { code, stdout } = await runServer(['verify', '--config', path]);
    assert.equal(code, 0, stdout);
    return stdout;
}

/* Keys of partitions, stamps apart. */
async function keysIn(shard) {
    return (await fleet.servers[shard].keys()).filter((key) => key.startsWith('rollcall:{'));
}

test('a third shard', async (t) => {
    assert.deepEqual(await places(), wanted([0, 1]));
    endpoint.answer = refuse; /* so that there is something to tell in the copies that are left */
    const known = await roll([{ shard: 0 }, { shard: 1 }, { shard: 2 }], wanted([0, 1]));
    t.diagnostic(await moved([0, 1, 2], known));
    t.diagnostic(await fleet.right(Date.now(), L + 3 * H, 'on three shards'));
    assert.ok((await keysIn(2)).length > 0);
    endpoint.answer = accept;
    await fleet.calm();
    assert.match(await verified(), /\d+ of the keys are of partitions that have moved away/);
});

test('one less: first it is leaving, then it is out of the list', async (t) => {
    const known = await roll([{ shard: 0, leaving: true }, { shard: 1 }, { shard: 2 }], wanted([0, 1, 2]));
    t.diagnostic(await moved([1, 2], known));
    t.diagnostic(await fleet.right(Date.now(), L + 3 * H, 'on the two others'));
    await fleet.calm();
    await roll([{ shard: 1 }, { shard: 2 }], wanted([1, 2]));
    t.diagnostic(await fleet.right(Date.now(), L + 3 * H, 'without it'));
    await until(async () => (await keysIn(0)).length === 0, 'the old keys to go with their TTL', 4 * presence.scrub_ms + 5000);
    for (const [server, key] of await fleet.keysOf('none'))
        assert.ok(/^rollcall:(shard|\{\d+\}(\.\d+)?)$/.test(key), `${server.port} has ${key}`);
});

/* What was told last of everyone in every room is so. */
test('webhooks have missed nothing', async (t) => {
    const last = () => {
        const said = new Map();
        for (const { name, channel, user_id: user } of endpoint.events.all)
            if (/^member_/.test(name))
                said.set(`${channel} ${user}`, name);
        return said;
    };
    const differences = () => [...last()].filter(([key, name]) => {
        const [channel, user] = key.split(' ');
        return (name === 'member_added') !== crowd.members(channel).includes(user);
    }).concat(fleet.rooms.flatMap((room) => crowd.members(room).filter((user) => !last().has(`${room} ${user}`)).map((user) => [room, user])));
    await until(() => differences().length === 0, 'the webhooks to say what is so', 20_000).catch((error) => {
        throw new Error(`${error.message}: ${differences().slice(0, 5).join('; ')}`);
    });
    t.diagnostic(`${endpoint.events.all.length} events`);
});

test('the edges leave cleanly, and nothing was wrong', async () => {
    crowd.assertClean();
    await fleet.close();
});
