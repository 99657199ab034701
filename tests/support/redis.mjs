/* Redis servers and Sentinels of a test's own, and a client that speaks to them. Everything listens on free ports of
 * 127.0.0.1, keeps its files in a temporary folder, and is stopped by its process id. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { join } from 'node:path';
import { startChild } from './child.mjs';
import { root, temporaryFolder } from './server.mjs';
import { HANG_MS, until, within } from './wait.mjs';

/* ---- the client ---- */

function parseLine(bytes, at) {
    const end = bytes.indexOf('\r\n', at);
    return end < 0 ? null : { text: bytes.toString('utf8', at, end), next: end + 2 };
}

/* {value, next}, or null while the reply is not whole. Errors are values. */
export function parseReply(bytes, at = 0) {
    const line = parseLine(bytes, at);
    if (!line)
        return null;
    const [kind, rest] = [line.text[0], line.text.slice(1)];
    if (kind === '+')
        return { value: rest, next: line.next };
    if (kind === '-')
        return { value: new Error(rest), next: line.next };
    if (kind === ':')
        return { value: Number(rest), next: line.next };
    const length = Number(rest);
    if (length < 0)
        return { value: null, next: line.next };
    if (kind === '$')
        return bytes.length < line.next + length + 2 ? null
            : { value: bytes.toString('utf8', line.next, line.next + length), next: line.next + length + 2 };
    const value = [];
    let next = line.next;
    for (let i = 0; i < length; i++) {
        const element = parseReply(bytes, next);
        if (!element)
            return null;
        value.push(element.value);
        next = element.next;
    }
    return { value, next };
}

export class RedisClient {
    constructor(port, encryption = null) {
        this.waiting = [];
        this.bytes = Buffer.alloc(0);
        this.socket = encryption ? tls.connect({ port, host: '127.0.0.1', ...encryption }) : net.connect({ port, host: '127.0.0.1' });
        this.socket.setNoDelay(true);
        this.socket.on('data', (bytes) => this.take(bytes));
        this.socket.on('error', () => {});
        this.socket.on('close', () => this.waiting.splice(0).forEach(({ reject }) => reject(new Error('closed'))));
    }

    take(bytes) {
        this.bytes = Buffer.concat([this.bytes, bytes]);
        for (let reply; (reply = parseReply(this.bytes));) {
            this.bytes = this.bytes.subarray(reply.next);
            const waiter = this.waiting.shift();
            if (reply.value instanceof Error)
                waiter.reject(reply.value);
            else
                waiter.resolve(reply.value);
        }
    }

    call(...words) {
        const text = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`).join('');
        const reply = new Promise((resolve, reject) => {
            if (this.socket.destroyed)
                reject(new Error('closed'));
            this.waiting.push({ resolve, reject });
        });
        this.socket.write(`*${words.length}\r\n${text}`);
        return within(reply, () => `the reply to ${words.join(' ')}`, HANG_MS / 2);
    }

    close() {
        this.socket.destroy();
    }
}

export const fields = (list) => Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i], list[2 * i + 1]]);
export const pairs = (list) => Object.fromEntries(fields(list));

/* ---- processes ---- */

/* The ports just below those that the kernel gives to connections and to listeners that do not care. */
const EPHEMERAL_FROM = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/)[0]);
const FREE_FROM = Math.max(1024, EPHEMERAL_FROM - 20_000);
const FREE_TO = EPHEMERAL_FROM > FREE_FROM + 1000 ? EPHEMERAL_FROM : 65_536;

const isFree = (port) => new Promise((resolve) => {
    const listener = net.createServer().on('error', () => resolve(false))
        .listen(port, '127.0.0.1', () => listener.close(() => resolve(true)));
});

/* So many ports that nobody uses just now, all different. Some are used much later (a server that is not there yet, or that is
 * started again), and must not be taken by a connection meanwhile. */
export async function freePorts(count) {
    const ports = new Set();
    while (ports.size < count) {
        const port = FREE_FROM + Math.floor(Math.random() * (FREE_TO - FREE_FROM));
        if (await isFree(port))
            ports.add(port);
    }
    return [...ports];
}

/* tests/support/shifted_clock.c, as a library to be preloaded; made when it is first wanted. */
let shiftedClock = null;
function shiftedClockLibrary() {
    if (!shiftedClock) {
        shiftedClock = join(temporaryFolder(), 'shifted_clock.so');
        execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', shiftedClock, join(root, 'tests/support/shifted_clock.c')]);
    }
    return shiftedClock;
}

export const ADMIN_PASSWORD = 'the-tests-own';

/* What a server speaks TLS with: `files` are those of a certificate and of the authority of the others. */
function tlsLines({ certificate, key, ca }) {
    return [`tls-cert-file ${certificate}`, `tls-key-file ${key}`, `tls-ca-cert-file ${ca}`, 'tls-replication yes'];
}

/* One redis-server, or with `sentinel` one Sentinel. `lines` is its configuration; `tls` has the paths of certificate, key
 * and ca, and nothing is spoken without TLS then. */
export class RedisProcess {
    constructor(folder, name, port, lines, { sentinel = false, tls: files = null, login = sentinel ? [ADMIN_PASSWORD] : ['admin', ADMIN_PASSWORD] } = {}) {
        Object.assign(this, { folder: join(folder, name), name, port, lines, sentinel, files, login });
        mkdirSync(this.folder);
    }

    get isRunning() {
        return this.process !== undefined && this.process.exitCode === null && this.process.signalCode === null;
    }

    get where() {
        return `127.0.0.1:${this.port}`;
    }

    /* Starts it, for the first time or again; its configuration is written anew unless `keep`. */
    async start({ keep = false } = {}) {
        const path = join(this.folder, 'redis.conf');
        if (!keep)
            writeFileSync(path, [...(this.files ? ['port 0', `tls-port ${this.port}`, ...tlsLines(this.files)] : [`port ${this.port}`]), 'bind 127.0.0.1', `dir ${this.folder}`, `logfile ${this.folder}/log`,
                ...this.lines, ''].join('\n'));
        this.process = startChild('redis-server', [path, ...(this.sentinel ? ['--sentinel'] : [])],
            { stdio: 'ignore', env: { ...process.env, ...this.environment } });
        const child = this.process;
        this.exited = new Promise((resolve) => child.on('exit', resolve));
        await until(() => this.ask('PING').then(() => true, (error) => {
            if (child.exitCode !== null)
                throw new Error(`${this.name} ended at once; see ${this.folder}/log`);
            return /LOADING|MASTERDOWN/.test(error.message);
        }), `${this.name} to answer`);
        return this;
    }

    /* From its next start on its clock is so far ahead (or, below 0, behind). */
    setClock(seconds) {
        this.environment = { LD_PRELOAD: shiftedClockLibrary(), CLOCK_SHIFT_S: String(seconds) };
    }

    /* A connection of the test's own user, who may do everything. */
    async control() {
        if (this.client && !this.client.socket.destroyed)
            return this.client;
        this.client = new RedisClient(this.port, this.files && {
            cert: readFileSync(this.files.certificate), key: readFileSync(this.files.key), ca: readFileSync(this.files.ca),
        });
        await this.client.call('AUTH', ...this.login);
        return this.client;
    }

    /* A second time on a new connection when the first is closed: at a failover a server throws everyone out. So only what may
     * be asked twice. */
    async ask(...words) {
        try {
            return await (await this.control()).call(...words);
        } catch (error) {
            if (error.message !== 'closed' || !this.isRunning)
                throw error;
        }
        return (await this.control()).call(...words);
    }

    /* null while it does not answer. */
    role() {
        return this.ask('ROLE').then(([role]) => role, () => null);
    }

    async info(section) {
        const text = await this.ask('INFO', section);
        return Object.fromEntries(text.split('\r\n').filter((line) => line.includes(':')).map((line) => line.split(/:(.*)/s)));
    }

    async keys() {
        return (await this.ask('KEYS', '*')).sort();
    }

    signal(name) {
        process.kill(this.process.pid, name);
    }

    async kill() {
        this.client?.close();
        if (this.isRunning)
            this.signal('SIGKILL');
        await this.exited;
    }
}

/* ---- a fleet's Redis ---- */

/* What conf/redis/ lets an edge do, and no more: every test of a fleet runs with it. */
export const EDGE_RULES = readFileSync(join(root, 'conf/redis/shard-1.conf'), 'utf8').match(/^user rollcall-1 on >\S+ (.*)$/m)[1];

/* What conf/redis.conf says, with passwords that a test may know. */
function redisLines(shard, port, masterPort) {
    const { user, password } = shard;
    return [
        'save ""', 'appendonly no', 'enable-debug-command local', /* for DEBUG SLEEP */ 'hash-max-listpack-value 1024', 'repl-diskless-sync-delay 0', 'repl-ping-replica-period 1',
        `min-replicas-to-write ${shard.minReplicas}`, 'min-replicas-max-lag 2',
        `user default off`,
        `user admin on >${ADMIN_PASSWORD} ~* &* +@all`,
        `user ${user} on >${password} ${EDGE_RULES}`,
        `user replica on >replica-${password} -@all +psync +replconf +ping`,
        `user sentinel on >sentinel-${shard.sentinelPassword} allchannels -@all +multi +slaveof +ping +exec +subscribe `
            + '+config|rewrite +role +publish +info +client|setname +client|kill +script|kill',
        'masteruser replica', `masterauth replica-${password}`,
        ...(masterPort ? [`replicaof 127.0.0.1 ${masterPort}`] : []),
        `replica-announce-ip 127.0.0.1`, `replica-announce-port ${port}`,
    ];
}

function monitorLines(shard, master, downAfter) {
    return [
        `sentinel monitor ${shard.name} 127.0.0.1 ${master.port} 2`,
        `sentinel auth-user ${shard.name} sentinel`,
        `sentinel auth-pass ${shard.name} sentinel-${shard.sentinelPassword}`,
        `sentinel down-after-milliseconds ${shard.name} ${downAfter}`,
        `sentinel failover-timeout ${shard.name} 6000`,
    ];
}

class Shard {
    constructor(name, settings) {
        Object.assign(this, { name, ...settings, instances: [] });
    }

    /* The instance that the Sentinels should name. */
    async master() {
        for (const instance of this.instances) {
            const role = await instance.role();
            if (role === 'master')
                return instance;
        }
        return null;
    }

    at(port) {
        return this.instances.find((instance) => instance.port === Number(port));
    }
}

/* The lines of a file in conf/, without remarks, and without those that a test has to say itself. */
function confLines(name, without) {
    return readFileSync(join(root, 'conf', name), 'utf8').split('\n')
        .filter((line) => line && !line.startsWith('#') && !without.test(line));
}

/* The Redis of a fleet: shards of a master and its replicas, under Sentinels. One password for all shards, or each its
 * own, as it should be. */
export class RedisFleet {
    constructor(options = {}) {
        Object.assign(this, { shards: [], sentinels: [], shardCount: 2, replicas: 2, sentinelCount: 3, downAfter: 1500,
            sharedPassword: false, minReplicas: 1, tls: null, folder: temporaryFolder(), ...options });
    }

    async start() {
        const ports = await freePorts(this.shardCount * (1 + this.replicas) + this.sentinelCount);
        for (let i = 0; i < this.shardCount; i++)
            await this.startShard(i, ports);
        for (let i = 0; i < this.sentinelCount; i++) {
            const lines = [`requirepass ${ADMIN_PASSWORD}`, `sentinel sentinel-pass ${ADMIN_PASSWORD}`,
                ...this.shards.flatMap((shard) => monitorLines(shard, shard.instances[0], this.downAfter))];
            this.sentinels.push(new RedisProcess(this.folder, `sentinel-${i}`, ports.pop(), lines, { sentinel: true, tls: this.tls }));
        }
        await Promise.all(this.sentinels.map((sentinel) => sentinel.start()));
        await this.settled();
        return this;
    }

    /* The same from the files in conf/, as an operator would start them: only ports, folders and times are ours. */
    async startFromConf() {
        const login = ['admin', 'demo-admin'];
        const ports = await freePorts(2 * 3 + 3);
        for (const n of [1, 2]) {
            const shard = new Shard(`shard-${n}`, { user: `rollcall-${n}`, password: `demo-edge-${n}`, sentinelPassword: `demo-${n}` });
            const masterPort = ports[ports.length - 1];
            for (let k = 0; k < 3; k++)
                shard.instances.push(new RedisProcess(this.folder, `${shard.name}-${k}`, ports.pop(),
                    [...confLines(`redis/shard-${n}.conf`, /^bind/), ...(k ? [`replicaof 127.0.0.1 ${masterPort}`] : [])], { login }));
            await Promise.all(shard.instances.map((instance) => instance.start()));
            this.shards.push(shard);
        }
        const lines = confLines('redis/sentinel.conf', /^(port|bind|dir) /).map((line) => line
            .replace('127.0.0.1 6381', `127.0.0.1 ${this.shards[0].instances[0].port}`)
            .replace('127.0.0.1 6382', `127.0.0.1 ${this.shards[1].instances[0].port}`)
            .replace(/7500$/, String(this.downAfter)));
        for (let i = 0; i < 3; i++)
            this.sentinels.push(new RedisProcess(this.folder, `sentinel-${i}`, ports.pop(), lines, { sentinel: true, login }));
        await Promise.all(this.sentinels.map((sentinel) => sentinel.start()));
        await this.settled();
        return this;
    }

    async startShard(i, ports) {
        const password = this.sharedPassword ? 'shared' : `secret-${i}`;
        const shard = new Shard(`shard-${i}`, {
            user: this.sharedPassword ? 'rollcall' : `rollcall-${i}`, password, sentinelPassword: password,
            minReplicas: this.minReplicas,
        });
        const masterPort = ports[ports.length - 1];
        for (let k = 0; k <= this.replicas; k++) {
            const port = ports.pop();
            shard.instances.push(new RedisProcess(this.folder, `${shard.name}-${k}`, port, redisLines(shard, port, k && masterPort), { tls: this.tls }));
        }
        await Promise.all(shard.instances.map((instance) => instance.start()));
        this.shards.push(shard);
    }

    /* Every Sentinel knows the others and all replicas and names the master that there is, and the replicas are in
     * step with it: what a failover needs. */
    async settled(shards = this.shards) {
        for (const shard of shards) {
            const master = await until(() => this.isSettled(shard), `${shard.name} to be complete`, 90_000);
            for (const sentinel of this.sentinels.filter((one) => one.isRunning))
                await until(async () => {
                    const state = pairs(await sentinel.ask('SENTINEL', 'MASTER', shard.name).catch(() => []));
                    return state.flags === 'master' && Number(state.port) === master.port
                        && Number(state['num-other-sentinels']) >= this.sentinelCount - 1
                        && Number(state['num-slaves']) >= this.replicas;
                }, `${sentinel.name} to know all of ${shard.name}`, 90_000);
        }
    }

    /* Its master, if all others follow it. */
    async isSettled(shard) {
        const master = await shard.master();
        const info = master ? await master.info('replication') : {};
        const online = Object.values(info).filter((value) => /state=online/.test(value)).length;
        return online === shard.instances.length - 1 && master;
    }

    sentinelPassword(shard) {
        return shard.password.startsWith('demo-') ? shard.password.replace('edge', 'sentinel') : `sentinel-${shard.sentinelPassword}`;
    }

    /* A Sentinel is told, by an operator, that the master of that shard is there. */
    async monitor(sentinel, shard, port) {
        await sentinel.ask('SENTINEL', 'REMOVE', shard.name).catch(() => {});
        await sentinel.ask('SENTINEL', 'MONITOR', shard.name, '127.0.0.1', port, 2);
        await sentinel.ask('SENTINEL', 'SET', shard.name, 'auth-user', 'sentinel', 'auth-pass', this.sentinelPassword(shard),
            'down-after-milliseconds', this.downAfter, 'failover-timeout', 6000);
    }

    /* Keys in a shard's master that belong to partitions of other shards, or are no one's. */
    async strayKeys(shard) {
        const index = this.shards.indexOf(shard);
        const instance = await shard.master();
        return (await instance.keys()).filter((key) => {
            const partition = key.match(/^rollcall:\{(\d+)\}/);
            return partition ? Number(partition[1]) % this.shards.length !== index : key !== 'rollcall:shard' && key !== 'rollcall:test';
        });
    }

    /* What the keys of a shard's master take, in bytes. */
    async keyBytes(shard) {
        const instance = await shard.master();
        const sizes = await Promise.all((await instance.keys()).map((key) => instance.ask('MEMORY', 'USAGE', key, 'SAMPLES', 0)));
        return sizes.reduce((sum, size) => sum + (size ?? 0), 0);
    }

    /* What an edge's configuration says of it. */
    redisConfig({ cluster = 'test', sentinels = this.sentinels } = {}) {
        return {
            cluster,
            shards: this.shards.map((shard) => ({
                name: shard.name,
                username: shard.user,
                password: shard.password,
                sentinel: { master: shard.name, addresses: sentinels.map((one) => one.where), password: ADMIN_PASSWORD },
            })),
        };
    }

    async stop() {
        await Promise.all([...this.sentinels, ...this.shards.flatMap((shard) => shard.instances)].map((one) => one.process && one.kill()));
    }
}
