/* Three edges, two shards, a few hundred people, and faults drawn by lot, several at once. After each round everything is
 * right within the bound of what happened in it, also in Redis itself. The seed is printed; ROLLCALL_SEED=… draws the same faults again,
 * ROLLCALL_FAULTS=flush,junk only of these. ROLLCALL_SOAK_MINUTES=… goes on for so long. */

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Fleet, H, isLong, L as SHORT, MACHINE, S, sleep } from '../support/fleet.mjs';
import { Leases } from '../support/leases.mjs';
import { storedRight } from '../support/stored.mjs';

const MINUTES = Number(process.env.ROLLCALL_SOAK_MINUTES ?? 2);
const SEED = Number(process.env.ROLLCALL_SEED ?? Date.now() % 1_000_000);
const DEADLINE = 2000; /* of a command: silence for so long, and the connection is made anew */
/* An edge that is not answered needs that deadline to find it, whatever the scale; a lease has to outlast it, or whoever was
 * answered sooner is right to condemn the edge. */
const L = isLong ? SHORT : SHORT + DEADLINE;
const RESTART = L + 3 * H; /* a heartbeat to connect again, and what a loss takes */
const REFUSED = 1000; /* a join that was refused for want of memory waits so long */

/* Mulberry32: small, and the same everywhere. */
function randomOf(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = Math.imul(state ^ (state >>> 15), 1 | state);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}

/* Each fault draws from a lot of its own: what one draws does not depend on when others do. */
function lotOf(seed) {
    const random = randomOf(seed);
    const below = (n) => Math.floor(random() * n);
    return { random, below, oneOf: (list) => list[below(list.length)] };
}

const lot = lotOf(SEED);

const fleet = await new Fleet({ rooms: 40, churners: 100, changes: { presence: { lease_ms: L } } }).populated();
const { crowd } = fleet;
const leases = new Leases(fleet, L);

let junkAt; /* until scrub has found that, people may be shown wrongly */

/* Unless another fault is doing it. */
async function restart(server, meanwhile = () => {}) {
    if (server.isRestarting)
        return 0;
    server.isRestarting = true;
    await server.kill();
    await meanwhile(server);
    await server.start({ keep: true });
    server.isRestarting = false;
    return RESTART;
}

/* Each does its harm and takes it back, and gives its bound: how long after that it may still be seen. Who may be missed
 * meanwhile, of edges that cannot speak to a server, is for the leases to say. */
const faults = {
    async flush({ oneOf }) {
        await oneOf(fleet.servers).ask('FLUSHALL');
        return L + 2 * H;
    },
    async restartEmpty({ below, oneOf }) {
        return restart(oneOf(fleet.servers), async (server) => {
            await sleep(below(2 * H));
            rmSync(join(server.folder, 'dump.rdb'), { force: true });
        });
    },
    async restartOld({ below, oneOf }) {
        const server = oneOf(fleet.servers);
        await server.ask('SAVE');
        await sleep(below(3 * H));
        return restart(server);
    },
    /* With the dump of an earlier restart, if there is one. */
    async restartOlder(draw) {
        const server = draw.oneOf(fleet.servers);
        return existsSync(join(server.folder, 'dump.rdb')) ? restart(server) : faults.restartOld(draw);
    },
    async killClients({ oneOf }) {
        await oneOf(fleet.servers).ask('CLIENT', 'KILL', 'TYPE', oneOf(['normal', 'pubsub']), 'SKIPME', 'yes');
        return 2 * H;
    },
    async pauseClients({ below, oneOf }) {
        const ms = below(L + DEADLINE);
        await oneOf(fleet.servers).ask('CLIENT', 'PAUSE', ms, oneOf(['ALL', 'WRITE']));
        await sleep(ms);
        return 2 * H;
    },
    async forgetScripts({ oneOf }) {
        await oneOf(fleet.servers).ask('SCRIPT', 'FLUSH');
        return 2 * H;
    },
    async noMemory({ below, oneOf }) {
        const server = oneOf(fleet.servers);
        await server.ask('CONFIG', 'SET', 'maxmemory', '1');
        await sleep(below(4 * H));
        await server.ask('CONFIG', 'SET', 'maxmemory', '0');
        return REFUSED + 2 * H;
    },
    async standStill({ below, oneOf }) {
        const edge = oneOf(fleet.edges);
        if (edge.still || edge.gone)
            return 0;
        fleet.stopEdge(edge);
        await sleep(below(2 * L));
        fleet.continueEdge(edge);
        return L + 2 * H;
    },
    async killEdge({ oneOf }) {
        const edge = oneOf(fleet.edges);
        if (edge.still || edge.gone)
            return 0;
        await fleet.killEdge(edge);
        await fleet.replaceEdge(edge);
        return L + 2 * H;
    },
    /* Of all from everything, of one from everything, or of each from a server of its lot. */
    async blackhole({ below, oneOf }) {
        const all = fleet.running.flatMap((edge) => fleet.links.get(edge));
        const links = oneOf([all, fleet.links.get(oneOf(fleet.running)), fleet.running.map((edge) => oneOf(fleet.links.get(edge)))]);
        const ms = below(2 * L);
        links.forEach((link) => link.hold());
        await sleep(ms);
        links.forEach((link) => link.release());
        return L + 2 * H;
    },
    async loseReplies({ below, oneOf }) {
        const link = oneOf(fleet.links.get(oneOf(fleet.running)));
        link.loseReplies();
        await sleep(below(H));
        link.cut();
        return 2 * H;
    },
    async delay({ below, oneOf }) {
        const links = fleet.links.get(oneOf(fleet.running));
        links.forEach((link) => Object.assign(link, { lag_ms: 1 + below(100) }));
        await sleep(below(2 * H));
        links.forEach((link) => Object.assign(link, { lag_ms: 0 }));
        return 2 * H;
    },
    async junk({ below, oneOf }) {
        junkAt = Date.now();
        const kind = oneOf(['r', 'l', 'o', 'h', 'c']);
        for (const [server, key] of (await fleet.keysOf(kind)).filter(() => below(3) === 0))
            await server.ask(...oneOf([['DEL', key], ['SET', key, 'junk', 'KEEPTTL']]));
        return S + L + 2 * H;
    },
};

/* While one of these goes on, what others did does not heal, or the lease clock stands for which it waits. */
const DELAYING = ['restartEmpty', 'restartOld', 'restartOlder', 'killClients', 'pauseClients', 'noMemory', 'standStill', 'blackhole', 'loseReplies', 'delay'];

const FAULTS = process.env.ROLLCALL_FAULTS?.split(',') ?? Object.keys(faults);

/* Gives when everything has to be right: each has its bound from its own end, or from that of the last that delayed it. */
async function round(names, pending) {
    const ends = await Promise.allSettled(names.map((name) => [name, lotOf(lot.below(2 ** 31))]).map(async ([name, own]) => {
        await sleep(own.below(2 * H));
        const bound = await faults[name](own).catch((error) => {
            if (!/closed|ECONN|LOADING|OOM/.test(error.message)) /* the server is in the hands of another fault, too */
                throw error;
            return L + 2 * H;
        });
        return { name, end: Date.now(), bound };
    }));
    for (const { reason } of ends.filter(({ status }) => status === 'rejected'))
        throw reason;
    const done = ends.map(({ value }) => value);
    const delayed = Math.max(...done.filter(({ name }) => DELAYING.includes(name)).map(({ end }) => end));
    return Math.max(...[pending, ...done].map(({ end, bound }) => Math.max(end, delayed) + bound));
}

test(`faults by lot, for ${MINUTES} minutes, seed ${SEED}`, { timeout: MINUTES * 60_000 + 120_000 }, async (t) => {
    console.log(`ROLLCALL_SEED=${SEED}`);
    const end = Date.now() + MINUTES * 60_000;
    for (let i = 0; Date.now() < end; i++) {
        const names = Array.from({ length: 1 + lot.below(3) }, () => lot.oneOf(FAULTS));
        junkAt = null;
        crowd.ghosts = names.some((name) => name.startsWith('restartOld'));
        /* What an earlier round has lost makes removals wait on the lease clock, and a pause of this one stops that clock. */
        const pending = { end: Date.now(), bound: await fleet.holdsBack() ? L + 2 * H : 0 };
        const churn = fleet.churn(300, randomOf(SEED + i));
        const due = await round(names, pending).finally(() => churn.stop());
        const began = Date.now();
        const what = `in round ${i} after ${names.join(' + ')}`;
        t.diagnostic(await fleet.right(began, Math.max(0, due - began), what, { lenient: junkAt !== null }));
        if (junkAt !== null) { /* what nobody has asked for yet is found by scrub */
            await sleep(Math.max(0, junkAt + S + H - Date.now()));
            t.diagnostic(await fleet.right(Date.now(), Math.max(0, due - Date.now()), `${what}, and a scrub`, { lenient: true }));
        }
        await storedRight(fleet, Math.max(0, due - Date.now()) + MACHINE, what);
    }
    leases.stop();
});

test('the edges leave cleanly', () => fleet.close());
