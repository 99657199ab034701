/* An edge's way to one Redis server: a TCP proxy of that edge alone, which can swallow what it carries. */

import net from 'node:net';

export class Link {
    constructor(target) {
        Object.assign(this, { target, ways: new Set(), held: false, deaf: false, lag_ms: 0, dropped: 0 });
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
            from.on('data', (bytes) => this.carry(from === upstream, to, bytes, late));
            from.on('end', () => to.end());
            from.on('error', () => to.destroy());
            from.on('close', () => this.ways.delete(way));
        }
        if (!this.held)
            client.resume();
        if (this.held)
            upstream.pause();
    }

    carry(isReply, to, bytes, late) {
        if (isReply && this.deaf)
            this.dropped += bytes.length;
        else if (isReply && (this.lag_ms || late.length > 0))
            this.delay(to, bytes, late);
        else
            to.write(bytes);
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
