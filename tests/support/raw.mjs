/* Bytes as a stranger sends them: a plain socket for HTTP, and a WebSocket that can do what no client would. */

import crypto from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { Inbox, within } from './wait.mjs';

/* ---- HTTP ---- */

/* A socket to there, through TLS if `where` says so; its reset is then that of the connection below. */
function open(where) {
    const carrier = net.connect(where);
    carrier.setNoDelay(true);
    if (!where.tls)
        return carrier;
    const socket = tls.connect({ host: where.host, ...where.tls, socket: carrier });
    socket.resetAndDestroy = () => carrier.resetAndDestroy();
    return socket;
}

export class RawSocket {
    constructor(where) {
        this.received = Buffer.alloc(0);
        this.ended = false;
        this.reset = false;
        this.wake = [];
        this.socket = open(where);
        this.connected = new Promise((resolve, reject) => {
            this.socket.once(where.tls ? 'secureConnect' : 'connect', resolve);
            this.socket.once('error', reject);
        });
        this.connected.catch(() => {});
        this.socket.on('data', (bytes) => {
            this.received = Buffer.concat([this.received, bytes]);
            this.changed();
        });
        this.socket.on('error', () => {
            this.reset = true;
        });
        this.socket.on('close', () => {
            this.ended = true;
            this.changed();
        });
        this.socket.on('end', () => {
            this.ended = true;
            this.changed();
        });
    }

    changed() {
        for (const wake of this.wake.splice(0))
            wake();
    }

    write(bytes) {
        this.socket.write(bytes);
        return this;
    }

    /* One byte a packet, as far as the kernel lets us: each write is given to it by itself. */
    async writeBytewise(text) {
        for (const byte of Buffer.from(text))
            await new Promise((done) => this.socket.write(Buffer.of(byte), done));
    }

    async wait(ready, what) {
        while (!ready() && !this.ended)
            await within(new Promise((resolve) => this.wake.push(resolve)),
                () => `${what}; received: ${this.received.toString('latin1').slice(0, 600)}`);
    }

    /* The next whole answer (with Content-Length, chunked, or without a body), taken off what was received. */
    async answer({ head = false } = {}) {
        let parsed = null;
        await this.wait(() => (parsed = parseAnswer(this.received, head)), 'an answer');
        parsed ??= parseAnswer(this.received, head);
        if (!parsed)
            throw new Error(`no whole answer before the end: ${this.received.toString('latin1').slice(0, 600)}`);
        this.received = this.received.subarray(parsed.length);
        return parsed;
    }

    /* All that comes until the server closes. */
    async rest() {
        await this.wait(() => false, 'the end of the connection');
        return this.received.toString('latin1');
    }

    destroy() {
        this.socket.destroy();
    }
}

function parseChunked(text) {
    let body = '', at = 0;
    for (;;) {
        const line = text.indexOf('\r\n', at);
        if (line < 0)
            return null;
        const size = parseInt(text.slice(at, line), 16);
        if (text.length < line + 2 + size + 2)
            return null;
        body += text.slice(line + 2, line + 2 + size);
        at = line + 2 + size + 2;
        if (size === 0)
            return { body, length: at };
    }
}

function parseAnswer(bytes, head) {
    const text = bytes.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end < 0)
        return null;
    const [first, ...lines] = text.slice(0, end).split('\r\n');
    const status = Number(first.match(/^HTTP\/1\.1 (\d{3}) /)?.[1]);
    const headers = Object.fromEntries(lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    const rest = text.slice(end + 4);
    if (headers['transfer-encoding'] === 'chunked') {
        const chunked = parseChunked(rest);
        return chunked && { status, headers, body: chunked.body, length: end + 4 + chunked.length };
    }
    const length = head || status < 200 ? 0 : Number(headers['content-length'] ?? 0);
    if (rest.length < length)
        return null;
    return { status, headers, body: rest.slice(0, length), length: end + 4 + length };
}

export async function connect(server, where) {
    const raw = new RawSocket(where ?? server.where?.[0] ?? { port: server.port, host: server.host });
    await within(raw.connected, 'a connection');
    return raw;
}

/* Sends a head as it stands and gives the answer, and whether the server ended the connection after it. */
export async function exchange(server, text) {
    const raw = await connect(server);
    raw.write(text);
    const answer = await raw.answer();
    const closes = answer.headers.connection === 'close';
    if (closes)
        await raw.rest();
    raw.destroy();
    return { ...answer, closes };
}

/* ---- The signature of the HTTP API, for what the SDK would never send ---- */

export function sign(app, method, path, body = '', params = {}, now = Date.now()) {
    const query = {
        auth_key: app.key,
        auth_timestamp: String(Math.floor(now / 1000)),
        auth_version: '1.0',
        ...(body.length > 0 && { body_md5: crypto.createHash('md5').update(body).digest('hex') }),
        ...params,
    };
    const words = Object.keys(query).sort().map((key) => `${key}=${query[key]}`).join('&');
    const signature = crypto.createHmac('sha256', app.secret).update(`${method}\n${path}\n${words}`).digest('hex');
    return `${path}?${new URLSearchParams({ ...query, auth_signature: signature })}`;
}

export function post(app, path, body, headers = {}) {
    const lines = { Host: 'x', 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body), ...headers };
    const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`).join('');
    return Buffer.concat([
        Buffer.from(`POST ${sign(app, 'POST', path, body)} HTTP/1.1\r\n${head}\r\n`), Buffer.from(body),
    ]);
}

export function get(app, path, params = {}, headers = '') {
    return `GET ${sign(app, 'GET', path, '', params)} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
}

/* ---- WebSocket ---- */

export const TEXT = 1, BINARY = 2, CONTINUATION = 0, CLOSE = 8, PING = 9, PONG = 10;

export function upgradeHead(path, changes = {}) {
    const headers = {
        Host: 'x',
        Upgrade: 'websocket',
        Connection: 'Upgrade',
        'Sec-WebSocket-Key': crypto.randomBytes(16).toString('base64'),
        'Sec-WebSocket-Version': '13',
        ...changes,
    };
    const lines = Object.entries(headers).filter(([, value]) => value !== undefined);
    return `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

export function frame(opcode, payload = '', { fin = true, mask = true, rsv = 0, claim = null } = {}) {
    const body = Buffer.from(payload);
    const length = claim ?? body.length;
    const size = length < 126 ? 0 : length < 65536 ? 2 : 8;
    const head = Buffer.alloc(2 + size);
    head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
    head[1] = (mask ? 0x80 : 0) | (size === 0 ? length : size === 2 ? 126 : 127);
    if (size === 2)
        head.writeUInt16BE(length, 2);
    if (size === 8)
        head.writeBigUInt64BE(BigInt(length), 2);
    if (!mask)
        return Buffer.concat([head, body]);
    const key = crypto.randomBytes(4);
    return Buffer.concat([head, key, body.map((byte, i) => byte ^ key[i & 3])]);
}

export class RawWebSocket {
    constructor(socket, early) {
        this.socket = socket;
        this.bytes = early;
        this.messages = new Inbox('a raw WebSocket');
        this.controls = new Inbox('the control frames of a raw WebSocket');
        this.answersPings = true;
        this.close = null; /* what the server's Close frame said */
        this.reset = false;
        this.closed = new Promise((resolve) => socket.on('close', () => {
            this.messages.end(`closed with ${this.close?.code ?? 'no code'}`);
            this.controls.end('closed');
            resolve({ code: this.close?.code ?? null, reason: this.close?.reason ?? '', reset: this.reset });
        }));
        socket.on('data', (bytes) => this.take(bytes));
        socket.on('error', (error) => {
            this.reset = this.reset || error.code === 'ECONNRESET' || error.code === 'EPIPE';
        });
        this.take(Buffer.alloc(0));
    }

    take(bytes) {
        this.bytes = Buffer.concat([this.bytes, bytes]);
        for (let parsed; (parsed = parseFrame(this.bytes));) {
            this.bytes = this.bytes.subarray(parsed.length);
            this.onFrame(parsed);
        }
    }

    onFrame({ opcode, payload }) {
        if (opcode === TEXT)
            this.messages.push(JSON.parse(payload.toString()));
        else
            this.controls.push({ opcode, payload });
        if (opcode === PING && this.answersPings)
            this.socket.write(frame(PONG, payload));
        if (opcode === CLOSE) {
            this.close = { code: payload.length >= 2 ? payload.readUInt16BE(0) : null, reason: payload.subarray(2).toString() };
            this.socket.end(frame(CLOSE, payload));
        }
    }

    sendBytes(bytes) {
        this.socket.write(bytes);
        return this;
    }

    send(event, data, channel) {
        return this.sendBytes(frame(TEXT, JSON.stringify({ event, channel, data })));
    }

    next(event, channel) {
        return this.messages.next((message) => message.event === event && (!channel || message.channel === channel),
            `${event} ${channel ?? ''}`);
    }

    /* Everything sent before has been handled, and everything said before has come. */
    async settled() {
        this.send('pusher:ping', {});
        await this.next('pusher:pong');
    }

    ended() {
        return within(this.closed, () => `the end of a raw WebSocket; it heard ${JSON.stringify(this.messages.all).slice(-500)}`);
    }

    destroy() {
        this.socket.destroy();
    }
}

function parseFrame(bytes) {
    if (bytes.length < 2)
        return null;
    const short = bytes[1] & 0x7f;
    const size = short < 126 ? 0 : short === 126 ? 2 : 8;
    if (bytes.length < 2 + size)
        return null;
    const length = size === 0 ? short : size === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < 2 + size + length)
        return null;
    return { opcode: bytes[0] & 15, payload: bytes.subarray(2 + size, 2 + size + length), length: 2 + size + length };
}

export const PROTOCOL = 'protocol=7&client=js&version=8.6.0&flash=false';

export function appPath(server, query = PROTOCOL, key = server.app.key) {
    return `${server.prefix}/app/${key}${query ? `?${query}` : ''}`;
}

/* A WebSocket after its handshake, whatever the server says next. */
export async function openWebSocket(server, path = appPath(server), { headers, preface, where } = {}) {
    const raw = await connect(server, where);
    raw.write((preface ?? '') + upgradeHead(path, headers));
    const answer = await raw.answer();
    if (answer.status !== 101)
        throw new Error(`no upgrade but ${answer.status} ${answer.body}`);
    raw.socket.removeAllListeners('data');
    const websocket = new RawWebSocket(raw.socket, raw.received);
    if (raw.ended)
        raw.socket.destroy();
    return websocket;
}

/* One that is connected in the protocol's words; .socketId and .activityTimeout are what it was told. */
export async function openPusher(server, path, options) {
    const websocket = await openWebSocket(server, path, options);
    const established = JSON.parse((await websocket.next('pusher:connection_established')).data);
    websocket.socketId = established.socket_id;
    websocket.activityTimeout = established.activity_timeout;
    return websocket;
}
