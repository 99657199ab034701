/* Plays a sequence of steps over real sockets, next to the model, and says where the two part.
 *
 * Everybody joins a channel for the sake of the playing. Who has said something then says a word there, and when that has
 * come to an observer, an event is published there. A server hands everything on in one order, so once everybody has heard
 * that event there is nothing of the step still to come: what came until then is compared, all of it, with what the model
 * expects. The observer also hears when others have left. */

import { createHmac } from 'node:crypto';
import { connect, frame, get, openPusher, openWebSocket, post, TEXT } from '../raw.mjs';
import { Model } from './model.mjs';
import { BARRIER, mark, OBSERVER } from './steps.mjs';

export const pairs = [{ key: 'test-key', secret: 'test-secret' }, { key: 'new-key', secret: 'new-secret' }];

const digest = (secret, text) => createHmac('sha256', secret).update(text).digest('hex');

/* ---- comparing ---- */

const ORDERED_BY_NOBODY = { ids: true, user_ids: true };

/* Lists whose order means nothing are sorted; a string of the protocol's own that holds JSON becomes {S: value}. */
function plain(value, key) {
    if (Array.isArray(value)) {
        const list = value.map((entry) => plain(entry));
        return ORDERED_BY_NOBODY[key] ? list.sort() : list;
    }
    if (value !== null && typeof value === 'object')
        return Object.fromEntries(Object.keys(value).sort().map((name) => [name, plain(value[name], name)]));
    return value;
}

const holdsJson = ({ event, data }) => typeof data === 'string' && /^pusher(_internal)?:/.test(event);

function read(message) {
    return plain(holdsJson(message) ? { ...message, data: { S: JSON.parse(message.data) } } : message);
}

function fits(expected, actual) {
    if (expected?.any)
        return typeof actual === 'string' && actual.length > 0;
    if (expected?.oneOf)
        return expected.oneOf.includes(actual);
    if (expected === null || typeof expected !== 'object')
        return expected === actual;
    if (actual === null || typeof actual !== 'object' || Array.isArray(expected) !== Array.isArray(actual))
        return false;
    const keys = Object.keys(expected);
    return keys.length === Object.keys(actual).length && keys.every((key) => Object.hasOwn(actual, key) && fits(expected[key], actual[key]));
}

const sorted = (list) => [...list].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

function sameFrames(expected, actual, ordered) {
    const [a, b] = ordered ? [expected, actual] : [sorted(expected.map((frame) => plain(frame))), sorted(actual)];
    return a.length === b.length && a.every((frame, i) => fits(frame, b[i]));
}

export class Difference extends Error {}

/* ---- playing ---- */

export class Player {
    constructor(server, word) {
        this.server = server;
        this.word = word;
        this.model = new Model();
        this.sockets = new Map();
        this.seen = new Map(); /* connection -> how many of its messages were compared */
        this.names = new Map(); /* socket id -> the connection's name in the transcript */
        this.barriers = 0;
        this.transcript = [];
        this.kinds = new Map(); /* event -> how often it was expected, and came */
    }

    async start() {
        this.barrier = BARRIER.replace('~', this.word);
        this.http = await connect(this.server);
        await this.step({ do: 'open', c: OBSERVER, path: '/app/test-key?protocol=7' });
        return this;
    }

    /* Plays one step on both, and compares. */
    async step(written) {
        const op = mark(written, this.word);
        const before = this.model.atBarrier();
        const expected = this.model.step(op);
        if (op.c !== undefined && op.do !== 'open' && !this.sockets.has(op.c))
            return;
        if (op.do === 'open' && this.sockets.has(op.c))
            return;
        for (const { messages } of this.sockets.values())
            messages.items.length = 0; /* what waits in them has been compared */
        const answer = await this.perform(op, expected);
        if (this.model.atBarrier() < before)
            await this.toldOfLeaving();
        await this.settle(expected);
        this.compare(written, expected, answer);
        this.forgetClosed(expected);
        if (op.do === 'open' && !op.code)
            await this.step({ do: 'subscribe', c: op.c, channel: BARRIER, auth: 'good', pair: 0 });
    }

    async perform(op, expected) {
        if (['open', 'leave'].includes(op.do))
            return this[op.do](op);
        if (op.c !== undefined)
            return this.say(op);
        const answer = await this.ask(op);
        await Promise.all([...expected.closes.keys()].map((c) => this.sockets.get(c).ended()));
        return answer;
    }

    /* ---- connections ---- */

    async open({ c, path, code }) {
        if (code) {
            const socket = await openWebSocket(this.server, path);
            this.sockets.set(c, socket);
            await socket.ended();
            return;
        }
        const socket = await openPusher(this.server, path);
        this.sockets.set(c, socket);
        this.seen.set(c, 0);
        this.names.set(socket.socketId, `socket-${this.names.size}`);
    }

    async leave({ c, how }) {
        const socket = this.sockets.get(c);
        this.sockets.delete(c);
        this.seen.delete(c);
        if (how === 'reset')
            socket.socket.resetAndDestroy();
        else
            socket.sendBytes(frame(8, Buffer.from([0x03, 0xe8])));
    }

    /* The observer is told how many are left in the barrier's channel when the last of those that leave has left it. */
    async toldOfLeaving() {
        const left = this.model.atBarrier();
        await this.sockets.get(OBSERVER).messages.next(({ event, channel, data }) => event === 'pusher_internal:subscription_count'
            && channel === this.barrier && JSON.parse(data).subscription_count === left, `${left} being left`);
    }

    forgetClosed({ closes }) {
        for (const c of closes.keys()) {
            this.sockets.delete(c);
            this.seen.delete(c);
        }
    }

    /* ---- what clients say ---- */

    async say(op) {
        const socket = this.sockets.get(op.c);
        socket.sendBytes(frame(TEXT, this.words(op, socket)));
        if (op.channel === this.barrier) {
            await socket.next('pusher_internal:subscription_succeeded', this.barrier);
            return;
        }
        socket.send('client-said', '', this.barrier);
        await this.sockets.get(OBSERVER).next('client-said');
    }

    words(op, { socketId }) {
        const said = {
            subscribe: () => ({ event: 'pusher:subscribe', data: {
                channel: op.channel, channel_data: op.channel_data, auth: this.channelAuth(op, socketId) } }),
            unsubscribe: () => ({ event: 'pusher:unsubscribe', data: { channel: op.channel } }),
            signin: () => ({ event: 'pusher:signin', data: { user_data: op.user_data, auth: this.sign(op, socketId, `::user::${op.user_data}`) } }),
            client: () => ({ event: op.event, channel: op.channel, data: op.data }),
            ping: () => ({ event: 'pusher:ping', data: op.data }),
            pong: () => ({ event: 'pusher:pong', data: {} }),
        };
        return op.do === 'nonsense' ? op.text : JSON.stringify(said[op.do]());
    }

    channelAuth(op, socketId) {
        const needed = /^(private|presence)-/.test(op.channel);
        return needed ? this.sign(op, socketId, `:${op.channel}${op.channel_data === undefined ? '' : `:${op.channel_data}`}`) : '';
    }

    sign({ auth, pair }, socketId, text) {
        const { key, secret } = pairs[pair];
        const good = digest(secret, socketId + text);
        return {
            good: `${key}:${good}`,
            none: '',
            'other text': `${key}:${digest(secret, `${socketId}${text}x`)}`,
            'other connection': `${key}:${digest(secret, `1.1${text}`)}`,
            'other secret': `${key}:${digest('guessed', socketId + text)}`,
            'other app': `off-key:${digest('x', socketId + text)}`,
            'upper case': `${key}:${good.toUpperCase()}`,
            'no colon': `${key}${good}`,
        }[auth];
    }

    /* ---- what back ends ask ---- */

    async ask(op) {
        const { app } = this.server;
        const base = `/apps/${app.id}`;
        const requests = {
            publish: () => post(app, `${base}/${op.batch ? 'batch_events' : 'events'}`, JSON.stringify(this.events(op))),
            terminate: () => post(app, `${base}/users/${encodeURIComponent(op.user)}/terminate_connections`, '{}'),
            askChannels: () => get(app, `${base}/channels`, { filter_by_prefix: op.prefix,
                info: op.prefix.startsWith('presence-') ? 'subscription_count,user_count' : 'subscription_count' }),
            askUsers: () => get(app, `${base}/channels/${op.channel}/users`),
        };
        this.http.write(requests[op.do]());
        const { status, body } = await this.http.answer();
        return { status, body: plain(sortUsers(JSON.parse(Buffer.from(body, 'latin1').toString()))) };
    }

    events({ batch, items }) {
        const excluded = ({ except }) => (this.sockets.has(except) ? { socket_id: this.sockets.get(except).socketId } : {});
        if (batch)
            return { batch: items.map(({ channel, name, data, ...item }) => ({ channel, name, data, ...excluded(item) })) };
        const [{ name, data, ...item }] = items;
        return { name, data, channels: items.map(({ channel }) => channel), ...excluded(item) };
    }

    /* ---- comparing ---- */

    /* Nothing of this step is still to come. */
    async settle({ closes }) {
        const listening = [...this.model.connections].filter(([c, { channels }]) => !closes.has(c) && channels.has(this.barrier));
        if (listening.length === 0)
            return;
        const name = `barrier ${++this.barriers}`;
        this.http.write(post(this.server.app, `/apps/${this.server.app.id}/events`, JSON.stringify({ name, data: '', channel: this.barrier })));
        const { status, body } = await this.http.answer();
        if (status !== 200)
            throw new Error(`the barrier was answered with ${status} ${body}`);
        await Promise.all(listening.map(([c]) => this.sockets.get(c).next(name)));
    }

    /* What a connection heard since it was asked last, without what the playing itself needs. */
    heard(c) {
        const { all } = this.sockets.get(c).messages;
        const fresh = all.slice(this.seen.get(c) ?? 0);
        this.seen.set(c, all.length);
        return fresh.filter(({ event }) => event !== 'client-said' && !event.startsWith('barrier ')).map(read);
    }

    compare(written, expected, answer) {
        const entry = { op: written, heard: {}, answer };
        for (const c of this.sockets.keys()) {
            const frames = this.heard(c);
            const wanted = expected.heard.get(c) ?? [];
            entry.heard[c] = expected.ordered ? frames : sorted(frames);
            if (!sameFrames(wanted, frames, expected.ordered))
                throw new Difference(`${c} should have heard\n${show(wanted)}\nbut heard\n${show(frames)}`);
            for (const { event } of wanted)
                this.kinds.set(event, (this.kinds.get(event) ?? 0) + 1);
            const close = expected.closes.get(c);
            if (close !== undefined && this.sockets.get(c).close?.code !== close)
                throw new Difference(`${c} should have been closed with ${close}, but was with ${this.sockets.get(c).close?.code}`);
        }
        if (expected.answer && !fits(expected.answer, answer))
            throw new Difference(`HTTP should have answered\n${show([expected.answer])}\nbut answered\n${show([answer])}`);
        this.transcript.push(this.nameless(entry));
    }

    /* The same words whichever server said them: without socket ids, signatures and the word of this playing. */
    nameless(entry) {
        return JSON.stringify(entry).replaceAll(this.word, '~').replaceAll(/[0-9a-f]{64}/gi, 'digest')
            .replaceAll(/\d+\.\d+/g, (id) => this.names.get(id) ?? id);
    }

    end() {
        for (const socket of this.sockets.values())
            socket.destroy();
        this.http?.destroy();
    }
}

function sortUsers(body) {
    return Array.isArray(body.users) ? { users: body.users.sort((a, b) => (a.id < b.id ? -1 : 1)) } : body;
}

const show = (frames) => frames.map((frame) => `    ${JSON.stringify(frame)}`).join('\n') || '    nothing';
