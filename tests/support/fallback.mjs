/* A client of the HTTP fallback, as pusher-js is one: a session, requests that receive for it, requests that send.
 * Each request opens a connection of its own, so over time they come in at all workers. */

import crypto from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { PROTOCOL } from './raw.mjs';
import { Inbox, within } from './wait.mjs';

const protocolOf = (server) => (server.secure ? https : http);

/* One request; resolves with the whole answer. */
export function request(server, path, { method = 'POST', body = '', headers = {}, agent = false } = {}) {
    return within(new Promise((resolve, reject) => {
        const sent = protocolOf(server).request({ host: server.host, port: server.port, path, method, headers, agent }, async (answer) => {
            let text = '';
            answer.setEncoding('utf8');
            for await (const piece of answer)
                text += piece;
            resolve({ status: answer.statusCode, headers: answer.headers, body: text });
        });
        sent.on('error', reject);
        sent.end(body);
    }), `an answer to ${method} ${path}`);
}

/* A receiving request: .lines holds its lines, .ended says how it ended. */
class Receiver {
    constructor(session, action) {
        this.lines = new Inbox(`${action} of ${session.name}`);
        this.text = '';
        let rest = '';
        this.ended = new Promise((resolve) => {
            const end = (how) => {
                this.lines.end(how);
                resolve(how);
            };
            this.sent = protocolOf(session.server).request({
                host: session.server.host, port: session.server.port, method: 'POST', agent: false,
                path: `${session.base}/${action}?${session.query}`, headers: session.headers,
            }, (answer) => {
                this.answer = answer;
                answer.setEncoding('utf8');
                answer.on('data', (text) => {
                    this.text += text;
                    const lines = (rest + text).split('\n');
                    rest = lines.pop();
                    lines.forEach((line) => {
                        session.take(line);
                        this.lines.push(line);
                    });
                });
                answer.on('end', () => end(rest ? 'in the middle of a line' : 'whole'));
                answer.on('error', () => end('broken'));
                answer.on('close', () => end('broken'));
            });
            this.sent.on('error', () => end('broken'));
            this.sent.end();
        });
    }

    whole() {
        return within(this.ended, () => `the end of a response; it had ${this.text.slice(-300)}`);
    }

    leave() {
        this.sent.destroy();
    }
}

const open = new Set();

/* A session; `polls` as xhr_polling, otherwise as xhr_streaming. .messages holds what it was told. */
export class FallbackSession {
    constructor(server, { polls = false, query = PROTOCOL, key = server.app.key, headers = {}, auto = true } = {}) {
        const name = `${crypto.randomInt(1000)}/${crypto.randomBytes(5).toString('hex').slice(0, 8)}`;
        Object.assign(this, { server, polls, query, name, headers, auto });
        this.base = `${server.prefix}/pusher/app/${key}/${name}`;
        this.messages = new Inbox(`session ${name}`);
        this.opens = []; /* each `o` line */
        this.heartbeats = 0;
        this.empties = 0; /* a[] */
        this.closed = new Promise((resolve) => {
            this.onClosed = resolve;
        });
        open.add(this);
    }

    take(line) {
        const payload = line.slice(1);
        if (line[0] === 'o')
            this.opens.push(payload);
        else if (line[0] === 'h')
            this.heartbeats++;
        else if (line[0] === 'c')
            this.close(JSON.parse(payload));
        else if (line[0] === 'a') {
            const texts = JSON.parse(payload);
            this.empties += texts.length === 0 ? 1 : 0;
            texts.forEach((text) => this.messages.push(JSON.parse(text)));
        } else
            throw new Error(`a line that pusher-js does not know: ${line}`);
    }

    close([code, reason]) {
        this.close = () => {};
        this.messages.end(`closed with ${code}`);
        this.onClosed({ code, reason });
        open.delete(this);
    }

    /* The next receiving request. With .auto the one after it is made as pusher-js would: after each poll, and when a
     * stream ended past the length that pusher-js reads. */
    receive() {
        const receiver = new Receiver(this, this.polls ? 'xhr' : 'xhr_streaming');
        this.receiver = receiver;
        receiver.ended.then((how) => {
            const goesOn = how === 'whole' && (this.polls || receiver.text.length > 256 * 1024);
            if (this.auto && goesOn && open.has(this) && this.receiver === receiver)
                this.receive();
        });
        return receiver;
    }

    /* Opens it; .socketId is what it was told. */
    async connect() {
        this.receive();
        const established = JSON.parse((await this.next('pusher:connection_established')).data);
        this.socketId = established.socket_id;
        return this;
    }

    next(event, channel) {
        return this.messages.next((message) => message.event === event && (!channel || message.channel === channel),
            `${event} ${channel ?? ''}`);
    }

    sendBody(body, options) {
        return request(this.server, `${this.base}/xhr_send`, { body, headers: this.headers, ...options });
    }

    async send(event, data, channel) {
        const { status, body } = await this.sendBody(JSON.stringify([JSON.stringify({ event, channel, data })]));
        if (status !== 204)
            throw new Error(`xhr_send: ${status} ${body}`);
    }

    async subscribe(channel, auth = {}) {
        await this.send('pusher:subscribe', { channel, ...auth });
        return this.next('pusher_internal:subscription_succeeded', channel);
    }

    async settled() {
        await this.send('pusher:ping', {});
        await this.next('pusher:pong');
    }

    end() {
        return within(this.closed, () => `the end of a session; it heard ${JSON.stringify(this.messages.all).slice(-500)}`);
    }

    /* A request of it waits at the server for what comes next. A poll with a line has ended there, also while its end is
     * still on the way: one who leaves then is between two polls. */
    isReceiving() {
        const { answer, text } = this.receiver ?? {};
        return Boolean(answer && !answer.complete && !(this.polls && text));
    }

    leave() {
        open.delete(this);
        this.receiver?.leave();
    }
}

export function openFallback(server, options) {
    return new FallbackSession(server, options).connect();
}
