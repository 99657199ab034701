/* A TCP proxy whose other end can be changed: for new connections only, for those that are open as well (the client's
 * socket stays as it is), or to nowhere. */

import net from 'node:net';

export class Proxy {
    constructor(target) {
        this.target = target;
        this.pairs = new Set();
        this.server = net.createServer((client) => this.accept(client));
    }

    async listen() {
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.port = this.server.address().port;
        return this;
    }

    accept(client) {
        const pair = { client, upstream: null };
        this.pairs.add(pair);
        client.on('data', (bytes) => pair.upstream?.write(bytes));
        client.on('error', () => {});
        client.on('close', () => {
            pair.upstream?.destroy();
            this.pairs.delete(pair);
        });
        this.join(pair);
    }

    join(pair) {
        const upstream = net.connect({ port: this.target, host: '127.0.0.1' });
        pair.upstream = upstream;
        upstream.on('data', (bytes) => pair.upstream === upstream && pair.client.write(bytes));
        upstream.on('error', () => {});
        upstream.on('close', () => pair.upstream === upstream && pair.client.destroy());
    }

    /* From now on the other end is there; open connections go on, and do not know it. */
    swap(target) {
        this.target = target;
        for (const pair of this.pairs) {
            const old = pair.upstream;
            this.join(pair);
            old.destroy();
        }
    }

    /* The same, and open connections are cut. */
    move(target) {
        this.target = target;
        for (const { client } of this.pairs)
            client.destroy();
    }

    close() {
        this.move(this.target);
        this.server.close();
    }
}
