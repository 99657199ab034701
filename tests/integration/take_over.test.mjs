/* One process takes the place of another, and nobody who connects in between is refused or reset. */
// threads

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Driver } from '../bench/lib/driver.mjs';
import { openPusher } from '../support/raw.mjs';
import { freePorts } from '../support/redis.mjs';
import { accepts, app, config, queuedAt, runServerWith, startServer, temporaryFolder } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const TIMES = Number(process.env.ROLLCALL_TAKE_OVERS ?? 50);
const WORKERS = [3, 1, 4, 2]; /* in turn: more sockets than workers, and fewer */
const RATE = 300; /* newcomers a second */

const place = () => join(temporaryFolder(), 'hand-over');
const takesOver = { args: ['--take-over'] };

/* The next one, with the same settings; the old one has left when it is given. */
async function succeed(old, changes = {}) {
    old.mayEnd = true;
    const { edge, apps } = old.settings;
    const next = await startServer({ apps, edge: { ...edge, ...changes } }, takesOver);
    await old.leftCleanly();
    return next;
}

test(`${TIMES} times under ${RATE} new connections a second: none is refused, none reset`, { timeout: 280_000 }, async () => {
    let server = await startServer({ edge: { hand_over: place(), drain_ms: 100, workers: WORKERS[0] } });
    const driver = new Driver(process.env.ROLLCALL_BUILD, { port: server.port, clients: 2000, key: app.key, app: app.id, secret: app.secret });
    let over = false, served = 0, sentAway = 0;
    const knocking = (async () => {
        while (!over) {
            const answer = await driver.run('knock', { ms: 1000, rate: RATE });
            served = answer.opened;
            sentAway = answer.sent_away;
        }
    })();
    const path = server.settings.edge.hand_over;
    let missed = 0; /* looks at the path that found nobody there: who comes then starts beside the others */
    const looking = setInterval(() => {
        const end = performance.now() + 2;
        while (performance.now() < end)
            missed += existsSync(path) ? 0 : 1;
    }, 3);
    const began = Date.now();
    try {
        for (let i = 0; i < TIMES; i++) {
            const next = await Promise.race([succeed(server, { workers: WORKERS[(i + 1) % WORKERS.length] }), knocking]);
            server = next;
        }
    } finally {
        over = true;
        clearInterval(looking);
        await knocking;
    }
    assert.equal(missed, 0, 'at every moment somebody is at the path');
    const seconds = (Date.now() - began) / 1000;
    await driver.stop();
    await server.stop();
    console.log(`${TIMES} hand-overs in ${seconds.toFixed(1)} s: ${served} served, ${sentAway} of them sent on with 4200`);
    assert.ok(served > seconds * RATE * 0.8, `${served} connections in ${seconds} s`);
});

test('whoever waits in the queues of the old one is served by the new one, also when it has fewer workers', async () => {
    const old = await startServer({ edge: { hand_over: place(), workers: 4 } });
    const path = old.settings.edge.hand_over;
    old.signal('SIGSTOP');
    const waiting = Promise.all(Array.from({ length: 60 }, () => openPusher(old)));
    await until(() => queuedAt(old.port) === 60, 'all to stand in the queues');
    const starting = startServer({ edge: { ...old.settings.edge, workers: 1 } }, takesOver); /* it waits for the sockets */
    old.signal('SIGCONT');
    const [next, clients] = await Promise.all([starting, waiting]);
    await old.leftCleanly();
    assert.equal(next.port, old.port);
    assert.equal(next.settings.edge.hand_over, path);
    await Promise.all(clients.map((client) => client.destroy()));
    const late = await openPusher(next);
    await late.settled();
    late.destroy();
    await next.stop();
});

test('the admin listener goes along, unix sockets too, and clients of the old one are sent to the new one', async () => {
    const socket = join(temporaryFolder(), 'edge.sock');
    const old = await startServer({ edge: { hand_over: place(), drain_ms: 300, listen: [{ address: `unix:${socket}` }, { address: '127.0.0.1', port: 0 }] } });
    const clients = await Promise.all(old.where.map((where) => openPusher(old, undefined, { where })));
    const next = await succeed(old);
    for (const client of clients)
        assert.equal((await client.ended()).code, 4200);
    assert.equal(next.adminPort, old.adminPort);
    assert.equal((await next.admin('/readyz')).status, 200);
    for (const where of next.where)
        (await openPusher(next, undefined, { where })).destroy();
    await next.stop();
});

test('a new listener is opened, and one that nobody wants any more is closed', async () => {
    const old = await startServer({ edge: { hand_over: place(), listen: [{ address: '127.0.0.1', port: 0 }, { address: '127.0.0.2', port: 0 }] } });
    const [kept, left] = old.where;
    const next = await succeed(old, { listen: [{ address: '127.0.0.1', port: kept.port }, { address: '127.0.0.3', port: 0 }] });
    await next.logged(/inherit\.unwanted.*127\.0\.0\.2 port/);
    assert.deepEqual([next.where[0], next.where[1].host], [kept, '127.0.0.3']);
    assert.equal(await accepts(left.port, left.host), false);
    assert.equal(await accepts(next.where[1].port, next.where[1].host), true);
    await next.stop();
});

test('nobody is there: --take-over just starts, and so does the one after a kill', async () => {
    const hand_over = place();
    const first = await startServer({ edge: { hand_over } }, takesOver);
    await first.logged(/hand_over\.nobody/);
    first.signal('SIGKILL');
    await first.exited;
    const second = await startServer({ edge: { hand_over } });
    const third = await succeed(second);
    await third.stop();
});

test('a second process that was not told to take over is refused, in words, and without a path to ask at so is --take-over', async () => {
    const first = await startServer({ edge: { hand_over: place() } });
    const second = await runServerWith(JSON.stringify(first.settings));
    assert.equal(second.code, 1);
    assert.match(second.stderr, /another process listens at edge\.hand_over, .*: start with --take-over to take its place/);
    const client = await openPusher(first);
    client.destroy();
    await first.stop();
    const without = await runServerWith(JSON.stringify(config()), ['--take-over']);
    assert.equal(without.code, 1);
    assert.match(without.stderr, /--take-over needs edge\.hand_over/);
});

test('a port at which somebody listens already is not shared by mistake', async () => {
    const first = await startServer({ edge: { workers: 2 } });
    const { edge, apps } = first.settings;
    const listen = [{ address: '127.0.0.1', port: first.port }];
    const second = await runServerWith(JSON.stringify({ apps, edge: { ...edge, listen } }));
    assert.equal(second.code, 1);
    assert.match(second.stderr, /cannot listen on 127\.0\.0\.1 port \d+: Address already in use \(--take-over/);
    await first.stop();
});

test('one that takes the sockets and then fails to start changes nothing', async () => {
    const first = await startServer({ edge: { hand_over: place() } });
    const { edge, apps } = first.settings;
    const broken = { apps, edge: { ...edge, listen: [{ address: '127.0.0.1', port: first.port }, { address: '192.0.2.1', port: 1 }] } };
    const failed = await runServerWith(JSON.stringify(broken), ['--take-over']);
    assert.equal(failed.code, 1);
    await first.logged(/hand_over\.given_up/);
    const client = await openPusher(first);
    await client.settled();
    client.destroy();
    const next = await succeed(first);
    await next.stop();
});

test('SIGUSR2: it starts its successor itself, once, and goes on when that fails', { timeout: 60_000 }, async () => {
    const none = await startServer();
    none.signal('SIGUSR2');
    none.mayEnd = false;
    await none.logged(/successor\.impossible/);
    await none.stop();

    const first = await startServer({ edge: { hand_over: place(), drain_ms: 300 } });
    const path = first.process.spawnargs[first.process.spawnargs.indexOf('--config') + 1];
    const good = readFileSync(path, 'utf8');
    writeFileSync(path, '{ broken');
    first.signal('SIGUSR2');
    first.mayEnd = false;
    await first.logged(/successor\.started/);
    await first.logged(/successor\.ended/);
    assert.match(first.errors.splice(0).join('\n'), /rollcall\.json:1/);
    const client = await openPusher(first);
    writeFileSync(path, good);
    first.signal('SIGUSR2');
    first.signal('SIGUSR2');
    const [, pid] = await first.logged(/successor\.started.* as (\d+), to take our place/);
    assert.equal((await client.ended()).code, 4200);
    const { code } = await new Promise((resolve) => first.process.on('exit', (status) => resolve({ code: status })));
    assert.equal(code, 0);
    process.on('exit', () => { /* should a check fail */
        try {
            process.kill(Number(pid), 'SIGKILL');
        } catch { /* it has left */ }
    });
    const next = await openPusher(first);
    await next.settled();
    /* nothing of the old one's came along but what was handed over: each socket is the successor's own */
    assert.ok(readdirSync(`/proc/${pid}/fd`).length < 60, readdirSync(`/proc/${pid}/fd`).join());
    process.kill(Number(pid), 'SIGTERM');
    assert.equal((await next.ended()).code, 4200);
    await first.exited; /* its standard error was the successor's, too */
});

test('a socket that systemd passes on is the listener, and who came first waits in it', async () => {
    const [port] = await freePorts(1);
    const edge = { listen: [{ address: '127.0.0.1', port }] };
    const starting = startServer({ edge }, { wrap: ['env', 'SYSTEMD_LOG_LEVEL=err', 'systemd-socket-activate', '-l', `127.0.0.1:${port}`, '--'] });
    await until(() => accepts(port), 'systemd to listen'); /* it starts the server with the first connection */
    const server = await starting;
    assert.match(server.tail(), /listening on .* \(taken over\)/);
    const client = await openPusher(server);
    await client.settled();
    server.signal('SIGTERM');
    assert.equal((await client.ended()).code, 4200);
    await server.leftCleanly();
});
