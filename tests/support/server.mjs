/* A server of a test's own: started on free ports, stopped by its process id, and looked at when it ends. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import net from 'node:net';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { after } from 'node:test';
import { startChild } from './child.mjs';
import { ourCertificate } from './certificates.mjs';
import { temporaryFolder } from './folder.mjs';
import { Inbox, within } from './wait.mjs';

export { temporaryFolder };

export const root = resolve(fileURLToPath(import.meta.url), '../../..');
export const binary = process.env.ROLLCALL_BIN ?? join(root, 'build/asan/rollcall');

export const app = { id: '7', key: 'test-key', secret: 'test-secret', client_events: true };

const SANITIZER = /ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer/;

const environment = {
    ...process.env,
    ASAN_OPTIONS: 'detect_leaks=1:detect_stack_use_after_return=1',
    UBSAN_OPTIONS: 'print_stacktrace=1',
    TSAN_OPTIONS: `suppressions=${join(root, 'tests/support/tsan.supp')}:second_deadlock_stack=1`,
};

/* With ROLLCALL_TLS every TCP listener speaks TLS, and so do all clients: what holds without must hold with it. */
function maybeTls(listen) {
    if (!process.env.ROLLCALL_TLS)
        return listen;
    const { certificate, key } = ourCertificate();
    const stays = ({ address, proxy_protocol }) => address?.startsWith('unix:') || proxy_protocol;
    return listen.map((one) => (stays(one) ? one : { tls: { certificates: [{ certificate, key }] }, ...one }));
}

/* A configuration for tests: two workers unless ROLLCALL_WORKERS says otherwise, free ports, one app, quick to leave. */
export function config(changes = {}) {
    const settings = plainConfig(changes);
    settings.edge.listen = maybeTls(settings.edge.listen);
    return settings;
}

function plainConfig(changes) {
    return {
        edge: {
            workers: Number(process.env.ROLLCALL_WORKERS ?? 2),
            listen: [{ address: '127.0.0.1', port: 0 }],
            admin: { address: '127.0.0.1', port: 0 },
            drain_ms: 0,
            ...changes.edge,
        },
        apps: changes.apps ?? [app],
        ...(changes.presence && { presence: changes.presence }),
        ...(changes.redis && { redis: changes.redis }),
        log: { level: 'info', format: 'json', ...changes.log },
    };
}

/* Runs the server's binary to its end (--check, --explain, a configuration it must refuse). */
export function runServer(args, options = {}) {
    return new Promise((done) => {
        execFile(binary, args, { timeout: 30_000, env: environment, ...options }, (error, stdout, stderr) =>
            done({ code: error ? error.code ?? error.signal : 0, stdout, stderr }));
    });
}

/* The same with a configuration given as text. */
export function runServerWith(text, args = [], options = {}) {
    const path = join(temporaryFolder(), 'rollcall.json');
    writeFileSync(path, text);
    return runServer(['--config', path, ...args], options);
}

function hostAndPort(where) {
    const [, host, port] = where.match(/^\[?(.*?)\]?:(\d+)$/);
    return { host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host, port: Number(port) };
}

class Server {
    constructor(child, settings) {
        this.process = child;
        this.settings = settings;
        this.app = settings.apps[0];
        this.log = new Inbox('the log');
        this.errors = []; /* lines on standard error that are no log lines */
        this.mayEnd = true;
        this.exited = new Promise((resolve) => child.on('close', (code, signal) => {
            resolve({ code, signal });
            this.onEnd(code ?? signal);
        }));
        this.read();
    }

    /* A crash: nothing that follows in this file could say more than the server's last words. */
    onEnd(how) {
        if (this.mayEnd)
            return;
        writeSync(2, `\nthe server ended by itself with ${how}:\n${this.tail()}\n`);
        process.exit(1);
    }

    get pid() {
        return this.process.pid;
    }

    read() {
        let rest = '';
        this.process.stderr.setEncoding('utf8');
        this.process.stderr.on('data', (text) => {
            const lines = (rest + text).split('\n');
            rest = lines.pop();
            lines.forEach((line) => this.readLine(line));
        });
        this.process.stderr.on('close', () => {
            if (rest)
                this.errors.push(rest);
            this.log.end(`the server has ended\n${this.tail()}`);
        });
    }

    readLine(line) {
        let entry = null;
        try {
            entry = JSON.parse(line);
        } catch {
            /* not ours, such as a sanitizer's report */
        }
        if (entry && typeof entry === 'object')
            this.log.push({ ...entry, line });
        else if (line)
            this.errors.push(line);
    }

    tail() {
        return [...this.log.all.slice(-15).map((entry) => entry.line), ...this.errors.slice(-60)].join('\n');
    }

    /* A log line whose text fits; its match. */
    async logged(pattern) {
        const entry = await this.log.next((candidate) => pattern.test(candidate.line), `a log line like ${pattern}`);
        return entry.line.match(pattern);
    }

    /* .where holds an address of each listener, .port the first one's port. */
    async findPorts() {
        this.prefix = this.settings.edge.path_prefix ?? '';
        this.where = [];
        for (const { tls } of this.settings.edge.listen) {
            const { where } = (await this.logged(/listening on (?<where>[^" ]+)/)).groups;
            const at = where.startsWith('unix:') ? { path: where.slice(5) } : hostAndPort(where);
            this.where.push(tls ? { ...at, tls: {} } : at);
        }
        this.secure = Boolean(this.settings.edge.listen[0].tls);
        if (this.settings.edge.admin.enabled !== false)
            this.adminPort = Number((await this.logged(/"admin\.listen".*[: ](\d+)"/))[1]);
        ({ host: this.host, port: this.port } = this.where[0]);
        this.mayEnd = false;
    }

    url(path) {
        return `${this.secure ? 'https' : 'http'}://${this.host}:${this.port}${this.prefix}${path}`;
    }

    admin(path) {
        return fetch(`http://127.0.0.1:${this.adminPort}${path}`);
    }

    /* Another file in place of its own, at once, as whoever deploys one does. */
    rewrite(settings) {
        writeFileSync(`${this.path}.new`, typeof settings === 'string' ? settings : JSON.stringify(settings, null, 1));
        renameSync(`${this.path}.new`, this.path);
    }

    /* Has it read its file again. `settings` as of config(); a text is written as it is; nothing: as it stands there.
     * What it answered, and its status. */
    async reload(settings) {
        if (settings !== undefined)
            this.rewrite(settings);
        const answer = await fetch(`http://127.0.0.1:${this.adminPort}/reload`, { method: 'POST' });
        return { status: answer.status, text: await answer.text() };
    }

    /* Every sample of /metrics, by its name with labels. */
    async metrics() {
        const text = await (await this.admin('/metrics')).text();
        const samples = new Map();
        for (const line of text.split('\n')) {
            const found = line.match(/^([a-z_:]+(?:\{.*\})?) (\S+)$/);
            if (found)
                samples.set(found[1], Number(found[2]));
        }
        return samples;
    }

    /* Processor time that the server has used so far, in ms. */
    cpu_ms() {
        const fields = readFileSync(`/proc/${this.pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ');
        return (Number(fields[11]) + Number(fields[12])) * 10; /* in ticks of 10 ms */
    }

    descriptors() {
        return readdirSync(`/proc/${this.pid}/fd`).length;
    }

    signal(name) {
        this.mayEnd = true;
        process.kill(this.pid, name);
    }

    /* What is asked of every server in the end: SIGTERM, exit code 0, nothing for a sanitizer to say. */
    async stop() {
        this.signal('SIGTERM');
        await this.leftCleanly();
    }

    async leftCleanly() {
        const { code, signal } = await within(this.exited, () => `the server to end\n${this.tail()}`, 40_000);
        const report = this.errors.join('\n');
        assert.ok(!SANITIZER.test(report), report);
        assert.equal(report, '', 'nothing but log lines on standard error');
        assert.deepEqual({ code, signal }, { code: 0, signal: null }, this.tail());
    }
}

/* Those of a test that failed before it stopped its server. */
const running = new Set();
if (!process.env.ROLLCALL_BENCH) /* whose output node:test would begin with words of its own */
    after(() => running.forEach((child) => child.kill('SIGKILL')));

/* settings: see config(); `wrap` is a command in front of the server's, such as one that lowers a limit; `program` another
 * build of it; `args` follow it; `sanitizer` are options for the address sanitizer. */
export async function startServer(changes = {}, { wrap = [], program = binary, args: more = [], sanitizer = '' } = {}) {
    const settings = config(changes);
    const path = join(temporaryFolder(), 'rollcall.json');
    writeFileSync(path, JSON.stringify(settings, null, 1));
    const [command, ...args] = [...wrap, program, '--config', path, ...more];
    const env = { ...environment, ASAN_OPTIONS: [environment.ASAN_OPTIONS, sanitizer].filter(Boolean).join(':') };
    const child = startChild(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
    running.add(child);
    child.on('exit', () => running.delete(child));
    const server = new Server(child, settings);
    server.path = path;
    await within(Promise.race([server.findPorts(), server.exited.then(({ code }) => {
        throw new Error(`the server ended at once with ${code}\n${server.tail()}`);
    })]), () => `the server to listen\n${server.tail()}`);
    return server;
}

/* The last test of each file. (A hook's failure is easily overlooked by older runners; a test's is not.) */
export function endsCleanly(server) {
    test('the server leaves with 0, and no sanitizer has anything to say', () => server.stop());
}

/* Whether something accepts connections there. */
export function accepts(port, host = '127.0.0.1') {
    return new Promise((resolve) => {
        const socket = net.connect({ port, host });
        socket.on('connect', () => {
            socket.destroy();
            resolve(true);
        });
        socket.on('error', () => resolve(false));
    });
}

/* How many connections stand in the queues of the listeners of a port of 127.0.0.1, not accepted yet. */
export function queuedAt(port) {
    const where = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    return readFileSync('/proc/net/tcp', 'latin1').split('\n').map((line) => line.trim().split(/\s+/))
        .filter(([, local, , state]) => local === where && state === '0A') /* LISTEN */
        .reduce((sum, fields) => sum + parseInt(fields[4].split(':')[1], 16), 0);
}
