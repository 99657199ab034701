/* Somebody writes into the data in Redis, or deletes from them: every kind of key that edges have there. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { Fleet, H, L, MACHINE, S, app, sleep } from '../support/fleet.mjs';
import { hook, receiver } from '../support/hooks.mjs';
import { exchange, openPusher, post } from '../support/raw.mjs';
import { lacking, storedRight } from '../support/stored.mjs';
import { until, within } from '../support/wait.mjs';

const D = 4 * S; /* the least that a configuration may say */
const told = await receiver();
const fleet = await new Fleet({ changes: { app: { webhooks: [hook(told)] }, presence: { data_ttl_ms: D } } }).populated();
const { crowd, rooms } = fleet;
const CACHE = 'cache-news';

/* What nobody asks for is found by scrub. An owner whose record is lost is another from then on; what is there in his former
 * name goes when that one's lease has run out. */
const FOUND = S, LEFT = L + H;

const kinds = {
    'partition stamps': undefined, leases: 'l', owners: 'o', 'held channels': 'h', rosters: 'r', subscriptions: 's', 'channel lists': 'c',
    'cached events': 'k', 'waiting departures': 'due', 'outboxes': 'out',
};
const IMMORTAL = [undefined, 'l', 'due', 'out'];

const publish = (text) => exchange(fleet.edges[0], post(app, '/apps/7/events', JSON.stringify({ name: 'e', channel: CACHE, data: text })));

/* The keys of those kinds, when there are some of each: departures wait, webhooks are on their way, an event is cached. Without
 * those of former owners, which nobody but their time to live cares for. */
async function keysThatLive(names) {
    assert.equal((await publish('news')).status, 200);
    const keys = async () => (await Promise.all(names.map((name) => fleet.keysOf(kinds[name])))).map(({ length }) => length);
    await until(async () => (await keys()).every((count) => count > 0), `keys of all kinds: ${names}`);
    const leases = await Promise.all((await fleet.keysOf('l')).map(([server, key]) => server.ask('ZRANGE', key, 0, -1)));
    return (await fleet.keysOf(...names.map((name) => kinds[name]))).filter(([, key]) => {
        const [, owner] = key.match(/:[oh]:(\d+)$/) ?? [];
        return !owner || leases.flat().includes(owner);
    });
}

/* Whoever comes and goes from now on is told to the back end, and an event that is published is cached. */
async function worksOn() {
    const visitor = await crowd.add(fleet.edges[1], `visits-${Date.now()}`);
    const heard = (name) => within(Promise.all(rooms.map((room) => told.event(name, room, visitor.id))), `${name} of ${visitor.id} in all rooms`);
    await visitor.joinAll(rooms);
    await heard('member_added');
    rooms.forEach((room) => visitor.leave(room));
    await heard('member_removed');
    crowd.dismiss([visitor]);
    assert.equal((await publish('later')).status, 200);
    const late = await openPusher(fleet.edges[2]);
    late.send('pusher:subscribe', { channel: CACHE });
    assert.equal((await late.next('e', CACHE)).data, 'later');
    late.destroy();
}

for (const name of Object.keys(kinds))
    test(`${name} are deleted`, async (t) => {
        const churn = fleet.churn(50);
        const keys = await keysThatLive([name]);
        for (const [server, key] of keys)
            await server.ask('DEL', key);
        const began = Date.now();
        await sleep(H);
        churn.stop();
        t.diagnostic(await fleet.right(began, FOUND + LEFT, `after ${keys.length} ${name} were deleted`));
        t.diagnostic(`what is in Redis is right after another ${await storedRight(fleet, began + FOUND + LEFT + MACHINE - Date.now(), name)} ms`);
        await fleet.calm();
    });

/* Those who are there are in Redis again when it is found, and whoever watches sees them; ghosts go later. Wrong removals may be
 * seen until then, so only the end is judged, and that each client's events alternate. */
async function repaired(t, began, what) {
    const left = (bound) => began + bound + MACHINE - Date.now();
    const found = await storedRight(fleet, left(FOUND), what, lacking).then(() => Date.now() - began);
    const gone = await storedRight(fleet, left(FOUND + LEFT), what).then(() => Date.now() - began);
    t.diagnostic(`${what}: in Redis all are there after ${found} ms (bound ${FOUND} ms), and nothing else after ${gone} ms`);
    t.diagnostic(await fleet.right(began, FOUND + LEFT, what, { lenient: true }));
    await fleet.calm();
    await worksOn();
}

/* (Without its stamp or its owners a partition is asserted anew at once; of the rest each has to be found.) */
const FOUND_BY_SCRUB = Object.keys(kinds).filter((name) => name !== 'partition stamps' && name !== 'owners');
for (const [what, names, mode] of [['every key', Object.keys(kinds), []], ['what scrub has to find', FOUND_BY_SCRUB, []],
    ['what scrub has to find', FOUND_BY_SCRUB, ['KEEPTTL']]])
    test(`${what} becomes a text, ${mode[0] ?? 'without a time to live'}`, async (t) => {
        const churn = fleet.churn(50);
        const keys = await keysThatLive(names);
        churn.stop();
        const began = Date.now();
        await Promise.all(keys.map(([server, key]) => server.ask('SET', key, 'junk', ...mode)));
        await repaired(t, began, `after ${keys.length} keys became a text`);
        for (const [server, key] of (await fleet.keysOf(undefined, 'l', 'r', 's', 'c', 'due', 'out')))
            assert.notEqual(await server.ask('TYPE', key), 'string', key);
    });

test('junk in hashes, sets and streams', async (t) => {
    const words = {
        o: ['HSET', 's', 'junk', 'e', 'junk'], h: ['SADD', 'junk', '7:presence-nowhere'],
        r: ['HSET', 'uno-one', '123456,9|', 'ustays-0', 'junk', 'u', '', 'v', 'junk'], s: ['HSET', 'junk', 'junk', '123456', '9'],
        l: ['ZADD', 1, 'junk', 1, '123456'], c: ['SADD', 'presence-nowhere'],
        due: ['ZADD', 1, 'junk', 1, 'member_removed 99 7:x', 1, 'member_removed 20 7:presence-room-0stays-0'], out: ['XADD', '*', 'junk', 'junk'],
    };
    const churn = fleet.churn(50);
    await keysThatLive(Object.keys(kinds));
    churn.stop();
    const began = Date.now();
    await Promise.all(Object.entries(words).map(async ([kind, [command, ...values]]) =>
        Promise.all((await fleet.keysOf(kind)).map(([server, key]) => server.ask(command, key, ...values)
            .catch((error) => assert.match(error.message, /WRONGTYPE/)))))); /* those of former owners may be texts still */
    await repaired(t, began, 'after junk in hashes, sets and streams');
});

/* Garbage has gone with the scrubs: what is there is what the people need. */
test('no key is without a time to live, but for the fixed ones', async () => {
    for (const server of fleet.servers)
        for (const key of await server.keys()) {
            const [, kind] = key.match(/^rollcall:(?:\{\d+\}(?::(\w+))?|shard)/);
            if (!IMMORTAL.includes(kind))
                await until(async () => (await server.ask('PTTL', key)) !== -1, `${key} to be mortal`, S);
        }
    for (const [, key] of await fleet.keysOf('r', 's'))
        assert.ok(!key.includes('nowhere'), key);
});

test('the edges leave cleanly, and nothing was wrong', async () => {
    crowd.assertClean();
    await fleet.close();
});
