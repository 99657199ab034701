/* `./dev run fleet`, with and without --sentinel: whoever types it sees a fleet, and after Ctrl-C nothing of it is left. Each
 * runs on a loopback address of its own, where its ports are free. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { authorize, backEnd, connectPusher, disconnect, event, hears, subscribe } from '../support/clients.mjs';
import { openFallback } from '../support/fallback.mjs';
import { accepts, root } from '../support/server.mjs';
import { until, within } from '../support/wait.mjs';

const MINUTE_MS = 60_000;
const app = { id: 'app-id', key: 'app-key', secret: 'app-secret' };
const EDGES = ['edge-1', 'edge-2', 'edge-3'];
const SERVERS = {
    '': ['redis-1', 'redis-2', ...EDGES, 'haproxy'],
    '--sentinel': ['redis-1', 'redis-1b', 'redis-1c', 'redis-2', 'redis-2b', 'redis-2c', 'sentinel-1', 'sentinel-2', 'sentinel-3',
        ...EDGES, 'haproxy'],
};

const isAlive = (pid) => {
    try {
        return process.kill(pid, 0);
    } catch {
        return false;
    }
};

/* Those of a test that failed before it ended them. */
const running = new Set();
after(() => Promise.all([...running].map((command) => command.ctrlC())));

/* The command, as a terminal starts it: in a process group that Ctrl-C is for. */
class Command {
    constructor(option) {
        this.host = `127.${crypto.randomInt(64, 255)}.${crypto.randomInt(255)}.${crypto.randomInt(1, 255)}`;
        this.temporary = mkdtempSync(join(tmpdir(), 'rollcall-test-')); /* where it may write */
        this.text = '';
        this.process = spawn('./dev', ['run', 'fleet', '--host', this.host, ...option ? [option] : []],
            { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TMPDIR: this.temporary } });
        const child = this.process;
        for (const stream of [child.stdout, child.stderr])
            stream.setEncoding('utf8').on('data', (text) => {
                this.text += text;
            });
        running.add(this);
        this.ended = new Promise((resolve) => child.on('close', (code) => resolve(code)));
        this.ended.then(() => running.delete(this));
        process.on('exit', () => this.parts?.forEach(({ pid }) => isAlive(pid) && process.kill(pid, 'SIGKILL')));
    }

    /* What it says in the end: [{name, pid, log}]. (It builds the server first, if that is not done yet.) */
    async ready() {
        await Promise.race([until(() => /Ctrl-C ends all of it/.test(this.text), 'where to look', 4 * MINUTE_MS),
            this.ended.then((code) => assert.fail(`it ended with ${code}`))])
            .catch((error) => assert.fail(`${error.message}\n${this.text}`));
        this.parts = [...this.text.matchAll(/^ +(\S+) +PID (\d+) +(\S+)$/gm)].map(([, name, pid, log]) => ({ name, pid: Number(pid), log }));
    }

    ctrlC() {
        process.kill(-this.process.pid, 'SIGINT');
        return within(this.ended, () => `its end\n${this.text}`, MINUTE_MS);
    }

    /* As the tests' clients know a server. */
    get balancer() {
        return { host: this.host, port: 6001, prefix: '', app };
    }

    /* So many connections each edge has. */
    connections() {
        return Promise.all(EDGES.map(async (_, i) => {
            const text = await (await fetch(`http://${this.host}:${9611 + i}/metrics`)).text();
            return [...text.matchAll(/^rollcall_connections(?:\{.*\})? (\d+)$/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
        }));
    }
}

/* Two clients of pusher-js who are on different edges. */
async function onTwoEdges(command) {
    const people = [];
    for (let i = 0; i < 12; i++) {
        const before = await command.connections();
        const pusher = await connectPusher(command.balancer, { user: { user_id: `user-${i}` } });
        const edge = await until(async () => 1 + (await command.connections()).findIndex((count, k) => count > before[k]), 'an edge to count it');
        people.push({ pusher, edge, id: `user-${i}` });
        const other = people.find((one) => one.edge !== edge);
        if (other) {
            people.filter((one) => one !== other && one.pusher !== pusher).forEach((one) => disconnect(one.pusher));
            return [other, people.at(-1)];
        }
    }
    return assert.fail('HAProxy gives everyone to one edge');
}

async function seesTheOther(command) {
    const [ann, bob] = await onTwoEdges(command);
    const room = await subscribe(ann.pusher, 'presence-lobby');
    assert.equal(room.members.count, 1);
    const theirs = await subscribe(bob.pusher, 'presence-lobby');
    /* A write that a master refused for want of its replicas is repeated: then she comes a little later. */
    await until(() => Object.keys(theirs.members.members).sort().join() === [ann.id, bob.id].sort().join(), 'both to be seen');
    await hears(ann.pusher, 'pusher_internal:member_added', 'presence-lobby');
    assert.equal(room.members.count, 2);
    const told = [room, theirs].map((channel) => event(channel, 'news'));
    await backEnd(command.balancer).trigger('presence-lobby', 'news', { text: 'hello' });
    assert.deepEqual((await Promise.all(told)).map(({ data }) => data), [{ text: 'hello' }, { text: 'hello' }]);
    disconnect(ann.pusher); /* (Departures wait for L + H after the start: what is empty may have been emptied.) */
    disconnect(bob.pusher);
}

/* The requests of a session go to one edge: four sessions, of a dozen requests each, would not all find theirs by chance. */
async function fallsBack(command) {
    for (const polls of [false, true, false, true]) {
        const session = await openFallback(command.balancer, { polls });
        await session.subscribe('presence-lobby', authorize(command.balancer, session.socketId, 'presence-lobby', { user_id: session.name }));
        for (let i = 0; i < 5; i++)
            await session.settled();
        assert.deepEqual(session.opens, ['']);
        session.leave();
    }
}

for (const [option, servers] of Object.entries(SERVERS))
    test(`./dev run fleet ${option}`.trim(), { timeout: 5 * MINUTE_MS }, async (t) => {
        const began = Date.now();
        const command = new Command(option);
        await command.ready();
        t.diagnostic(`ready after ${Date.now() - began} ms`);
        assert.deepEqual(command.parts.map(({ name }) => name), servers);
        assert.deepEqual(command.parts.filter(({ pid }) => !isAlive(pid)), []);
        const page = await (await fetch(`http://${command.host}:6001/`)).text();
        assert.match(page, /<title>Who is here/);
        await seesTheOther(command);
        await fallsBack(command);

        /* Who dies is named, and the others go on. */
        const edge = command.parts.find(({ name }) => name === 'edge-2');
        process.kill(edge.pid, 'SIGKILL');
        await until(() => command.text.includes('fleet: edge-2 has ended with 137\n'), 'the dead edge to be named');

        assert.equal(await command.ctrlC(), 130);
        assert.deepEqual(command.parts.filter(({ pid }) => isAlive(pid)), [], 'no process is left');
        assert.deepEqual(readdirSync(command.temporary), [], 'no file is left');
        assert.deepEqual([await accepts(6001, command.host), await accepts(6381, command.host)], [false, false]);
        rmSync(command.temporary, { recursive: true });
    });

/* What must not be: a fleet whose passwords everyone knows, for the world. */
test('it listens to this machine only', async () => {
    const child = spawn('conf/fleet.sh', ['/bin/true', '--host', '0.0.0.0'], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (more) => {
        text += more;
    });
    assert.equal(await new Promise((resolve) => child.on('close', resolve)), 1);
    assert.match(text, /--host must be of 127\.0\.0\.0\/8/);
});
