/* An edge's way to one Redis server: a TCP proxy of that edge alone, which can swallow what it carries. */

import net from 'node:net';
import { parseReply } from './redis.mjs';

export class Link {
    constructor(target) {
        Object.assign(this, { target, ways: new Set(), held: false, deaf: false, lag_ms: 0, dropped: 0, loses: null });
        this.server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => this.accept(client));
    }

    async listen() {
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.port = this.server.address().port;
        return this;
    }

    accept(client) {
        const upstream = net.connect({ port: this.target, host: '127.0.0.1', allowHalfOpen: true });
        const way = [client, upstream];
        this.ways.add(way);
        for (const [from, to] of [way, [upstream, client]]) {
            const late = []; /* what is under way, in its order, whatever becomes of lag_ms meanwhile */
            from.setNoDelay(true);
            from.on('data', (bytes) => this.carry(way, from === upstream, to, bytes, late));
            from.on('end', () => to.end());
            from.on('error', () => to.destroy());
            from.on('close', () => this.ways.delete(way));
        }
        if (!this.held)
            client.resume();
        if (this.held)
            upstream.pause();
    }

    carry(way, isReply, to, bytes, late) {
        way.isBus ||= !isReply && bytes.includes('\r\nSUBSCRIBE\r\n'); /* the other connection never says that */
        if (isReply && this.deaf)
            this.dropped += bytes.length;
        else if (isReply && way.isBus && (this.loses || way.rest?.length > 0))
            this.lose(way, to, bytes);
        else if (isReply && (this.lag_ms || late.length > 0))
            this.delay(to, bytes, late);
        else
            to.write(bytes);
    }

    /* Message by message. (They are small, and the first of these bytes begins one.) */
    lose(way, to, bytes) {
        way.rest = Buffer.concat([way.rest ?? Buffer.alloc(0), bytes]);
        for (let reply; (reply = parseReply(way.rest));) {
            const [kind, topic, text] = reply.value;
            if (kind === 'message' && this.loses?.(topic, text)) {
                this.dropped += reply.next;
                this.loses = null;
            } else {
                to.write(way.rest.subarray(0, reply.next));
            }
            way.rest = way.rest.subarray(reply.next);
        }
    }

    delay(to, bytes, late) {
        const due = Math.max(Date.now() + this.lag_ms, late.at(-1)?.due ?? 0);
        late.push({ due, bytes });
        setTimeout(() => to.write(late.shift().bytes), due - Date.now());
    }

    /* A blackhole, as a broken switch makes it: open connections stay open, nothing arrives, no end of a connection is
     * told. What was under way arrives when it is over, also from connections given up long ago. */
    hold() {
        this.held = true;
        for (const way of this.ways)
            way.forEach((socket) => socket.pause());
    }

    release() {
        this.held = false;
        for (const way of this.ways)
            way.forEach((socket) => socket.resume());
    }

    /* The connection that subscribes goes silent for ever, in both directions, as one does whose other end has gone without a
     * word. Those that are opened later are well. */
    silenceBus() {
        const silent = [...this.ways].filter(({ isBus }) => isBus);
        silent.forEach((way) => way.forEach((socket) => socket.pause()));
        return silent.length;
    }

    /* The next message for which that says so, loses(topic, text), is not carried. */
    loseMessage(loses) {
        this.loses = loses;
    }

    /* Requests arrive and replies do not, until cut(). */
    loseReplies() {
        this.deaf = true;
    }

    cut() {
        this.deaf = false;
        for (const way of this.ways)
            way.forEach((socket) => socket.destroy());
    }

    close() {
        this.cut();
        this.server.close();
    }
}
