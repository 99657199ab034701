/* Measures the server against a floor: a bare epoll loop with canned answers that does the same work.
 *
 *   tests/bench/run BUILD_FOLDER [--quick] [--json] [--strict] [--only fanout,connect,…]
 *
 * CPU is that of all threads of the server, user and system, with one worker ("workers": 1) and the node; the
 * load comes from a process of its own. Floor and server take turns within one run, five times (--quick: three,
 * and less of everything), and each figure is the median: so a noisy machine disturbs both alike, and the ratios
 * mean more than the times. Memory is that of the process; the kernel's socket buffers come on top. What a fleet costs has
 * floors of its own: see lib/fleet.mjs.
 * --strict ends with 1 when a target was missed. */

import { join, resolve } from 'node:path';
import { startChild } from '../support/child.mjs';
import { addedAmong, Driver, metricSum } from './lib/driver.mjs';
import { encrypted } from './lib/encrypted.mjs';
import { cpuNs, memory, quiet } from './lib/processes.mjs';
import { machine, paired, single, table } from './lib/report.mjs';

const words = process.argv.slice(2);
const has = (flag) => words.includes(flag);
const only = has('--only') ? words[words.indexOf('--only') + 1].split(',') : null;
if (!words[0] || words[0].startsWith('--')) {
    console.error('usage: tests/bench/run BUILD_FOLDER [--quick] [--json] [--strict] [--only name,name]');
    process.exit(2);
}
const build = resolve(words[0]);
const quick = has('--quick');
const pairsWanted = quick ? 3 : 5;

process.env.ROLLCALL_BIN = join(build, 'rollcall');
process.env.ROLLCALL_BENCH = '1';
const { startServer } = await import('../support/server.mjs');
const { acrossEdges, redisCosts } = await import('./lib/fleet.mjs'); /* it starts servers, too */

const APP = { id: 'app-id', key: 'app-key', secret: 'app-secret', client_events: true };
const SUBSCRIBERS = 1000;
const MEMBERS = 10;
const INFO_BYTES = 100;

function say(text) {
    console.error(`bench: ${text}`);
}

/* ---- floor and rollcall, each with a driver of its own ---- */

async function startFloor() {
    const child = startChild(join(build, 'tests/bench_floor'), ['--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const port = await new Promise((done, fail) => {
        child.stdout.once('data', (text) => done(Number(text)));
        child.once('error', fail);
        child.once('exit', (code) => fail(new Error(`the floor ended with ${code}`)));
    });
    return { port, pid: child.pid, stop: async () => child.kill('SIGKILL') };
}

function startRollcall() {
    return startServer({
        edge: { workers: 1, drain_ms: 0 },
        apps: [{ ...APP, limits: { presence_members: 0 } }],
    });
}

async function open(kind, clients) {
    const server = kind === 'floor' ? await startFloor() : await startRollcall();
    const driver = new Driver(build, { port: server.port, clients });
    await quiet(server.pid);
    return { kind, server, pid: server.pid, driver };
}

async function close({ server, driver }) {
    await driver.stop();
    await server.stop();
}

/* The server's CPU for that work, in µs per unit. */
async function cpuPer(units, target, verb, options) {
    const before = cpuNs(target.pid);
    await target.driver.run(verb, options);
    await quiet(target.pid);
    return (cpuNs(target.pid) - before) / 1000 / units;
}

async function withBoth(clients, work) {
    const both = [await open('floor', clients), await open('rollcall', clients)];
    try {
        return await work(both);
    } finally {
        for (const target of both)
            await close(target);
    }
}

/* [floor, rollcall] of each pair; who begins changes. A pair may be cut into slices in which they take turns, so
 * that what else the machine does falls on both. */
async function inPairs(both, measure, count = pairsWanted, slices = 1) {
    const pairs = [];
    for (let i = 0; i < count; i++) {
        const pair = [0, 0];
        for (let slice = 0; slice < slices; slice++)
            for (const which of (i + slice) % 2 ? [1, 0] : [0, 1])
                pair[which] += (await measure(both[which])) / slices;
        pairs.push(pair);
    }
    return pairs;
}

function presence(n, from = 0) {
    return { n, from, channel: 'presence-bench', members: MEMBERS, info: INFO_BYTES, added: (n / MEMBERS) * addedAmong(MEMBERS), timeout: 120 };
}

/* ---- what is measured ---- */

async function fanout() {
    const events = 60, slices = quick ? 2 : 6;
    return withBoth(SUBSCRIBERS, async (both) => {
        const subscribed = { n: SUBSCRIBERS, channel: 'bench-fanout' };
        for (const target of both)
            await target.driver.run('open', subscribed);
        const run = (target) => cpuPer(events * SUBSCRIBERS, target, 'fanout',
            { events, subscribers: SUBSCRIBERS, verify: target.kind === 'rollcall' ? 1 : 0 });
        await inPairs(both, run, 1); /* warm */
        return [paired(`CPU per delivered message, ${SUBSCRIBERS} subscribers`, 'us', await inPairs(both, run, pairsWanted, slices), 1.2)];
    });
}

async function connect() {
    const n = 1000;
    return withBoth(n, async (both) => {
        const run = async (target) => {
            const cost = await cpuPer(n, target, 'open', presence(n));
            await target.driver.run('leave', { how: 'reset' });
            await quiet(target.pid);
            return cost;
        };
        await inPairs(both, run, 1);
        return [paired('CPU per connection with presence, 1,000', 'us', await inPairs(both, run), 6)];
    });
}

/* The first thousand, and the thousand that makes it 18,000. */
async function flat() {
    const n = 18_000, step = 1000;
    const first = [], last = [], memories = [];
    for (let i = 0; i < (quick ? 1 : pairsWanted); i++) {
        await withBoth(n, async (both) => {
            const thousandAt = (from) => inPairs(both, (target) =>
                cpuPer(step, target, 'open', presence(step, from)), 1);
            const before = memory(both[1].pid).rss;
            first.push(...await thousandAt(0));
            for (const { driver, pid } of both) {
                await driver.run('open', presence(n - 2 * step, step));
                await quiet(pid);
            }
            last.push(...await thousandAt(n - step));
            memories.push((memory(both[1].pid).rss - before) / n);
        });
    }
    return [
        paired('the same, the first 1,000 of 18,000', 'us', first),
        paired('the same, the last 1,000 of 18,000', 'us', last, 6),
        single('flatness: the last 1,000 to the first', 'ratio', last.map((pair, i) => pair[1] / first[i][1]), 1.25),
        single('memory per connection with presence, 18,000', 'bytes', memories, 4096),
    ];
}

async function idle() {
    const n = 10_000;
    const rss = [], pss = [];
    for (let i = 0; i < (quick ? 1 : 3); i++) {
        const target = await open('rollcall', n);
        const before = memory(target.pid);
        await target.driver.run('open', { n, timeout: 120 });
        await quiet(target.pid);
        const after = memory(target.pid);
        rss.push((after.rss - before.rss) / n);
        pss.push((after.pss - before.pss) / n);
        await close(target);
    }
    return [
        single('memory per idle connection, 10,000 (RSS)', 'bytes', rss),
        single('memory per idle connection, 10,000 (PSS)', 'bytes', pss),
    ];
}

async function publish() {
    const n = 5000, slices = quick ? 2 : 4;
    return withBoth(1, async (both) => {
        const run = (target) => cpuPer(n, target, 'publish', { n, connections: 16 });
        await inPairs(both, run, 1);
        return [paired('CPU per signed publish, 16 connections', 'us', await inPairs(both, run, pairsWanted, slices), 7)];
    });
}

/* From before the publish is sent to when a subscriber has read it; the last of 1,000 waits for all others. */
async function latency() {
    const rate = 20, events = rate * (quick ? 3 : 10);
    return withBoth(SUBSCRIBERS, async (both) => {
        const found = [];
        for (const { driver, kind } of both) {
            await driver.run('open', { n: SUBSCRIBERS, channel: 'bench-fanout' });
            const answer = await driver.run('fanout',
                { events, rate, subscribers: SUBSCRIBERS, verify: kind === 'rollcall' ? 1 : 0 });
            found.push(answer.latency_us);
        }
        return [['p50', 'p50'], ['p99', 'p99'], ['p99.9', 'p999']].map(([name, key]) =>
            single(`delivery to ${SUBSCRIBERS} at ${rate} a second, ${name}`, 'us', [found[1][key]], null, found[0][key]));
    });
}

async function burst() {
    const n = 500, members = 500;
    const events = n * members + addedAmong(n);
    const target = await open('rollcall', n + members);
    const { driver, server } = target;
    await driver.run('open', { n: members, channel: 'presence-burst', info: INFO_BYTES, added: addedAmong(members) });
    await driver.run('open', { n });
    await quiet(target.pid);
    const before = await server.metrics();
    const cost = await cpuPer(n, target, 'subscribe',
        { n, channel: 'presence-burst', info: INFO_BYTES, added: events, timeout: 120 });
    const after = await server.metrics();
    await close(target);
    const grown = (name) => metricSum(after, name) - metricSum(before, name);
    const writes = grown('rollcall_socket_writes_total');
    say(`burst: ${writes} writes for ${grown('rollcall_frames_sent_total')} frames`);
    return [
        single(`writes per member event, ${n} join ${members}`, 'ratio', [writes / events], 0.25),
        single('CPU per client that joins then', 'us', [cost]),
    ];
}

/* ---- with and without TLS, instead of a floor ---- */

const tls = () => encrypted({ build, app: APP, startServer, inPairs, cpuPer, quick });

/* ---- a fleet ---- */

const redis = () => redisCosts(build);

function across() {
    const rate = 100;
    return acrossEdges({ build, app: APP, subscribers: 100, rate, events: rate * (quick ? 2 : 5), pairsWanted, startServer });
}

/* ---- all of it ---- */

const measures = [];
for (const [name, work] of Object.entries({ fanout, connect, flat, publish, idle, latency, burst, tls, redis, across })) {
    if (only && !only.includes(name))
        continue;
    say(name);
    measures.push(...await work());
}

if (has('--json')) {
    console.log(JSON.stringify({ machine: machine(), workers: 1, quick, measures }, null, 1));
} else {
    const { cpu, cores, kernel } = machine();
    console.log(`\n${table(measures)}\n`);
    console.log(`With "workers": 1; medians of ${pairsWanted} pairs; ${cores} cores of ${cpu}, Linux ${kernel}.`);
    const missed = measures.filter(({ reached }) => reached === false).length;
    console.log(missed ? `${missed} targets missed.` : 'All targets reached.');
}
process.exit(has('--strict') && measures.some(({ reached }) => reached === false) ? 1 : 0);
