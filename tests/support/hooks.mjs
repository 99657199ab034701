/* An endpoint of a back end, that takes webhooks: what came, in order, and how it answers. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { backEnd } from './clients.mjs';
import { Inbox } from './wait.mjs';

const tlsFile = (name) => fileURLToPath(new URL(`tls/${name}`, import.meta.url));

/* The authority that signed the certificate of endpoints with `tls`, for 127.0.0.1 and localhost. */
export const caFile = tlsFile('ca.pem');

const open = new Set();
after(() => open.forEach((receiver) => receiver.close()));

class Receiver {
    constructor({ tls = false, host = '127.0.0.1', answer = (response) => response.end('thanks') }) {
        this.answer = answer; /* (response, delivery) */
        this.deliveries = new Inbox('deliveries');
        this.events = new Inbox('events');
        this.connections = 0;
        this.host = host;
        this.scheme = tls ? 'https' : 'http';
        const options = tls ? { key: readFileSync(tlsFile('server.key')), cert: readFileSync(tlsFile('server.pem')) } : {};
        this.server = (tls ? https : http).createServer(options, (request, response) => this.take(request, response));
        this.server.on('connection', () => this.connections++);
    }

    async listen() {
        await new Promise((resolve) => this.server.listen(0, this.host, resolve));
        this.port = this.server.address().port;
        open.add(this);
        return this;
    }

    url(path = '/hook') {
        return `${this.scheme}://${this.host}:${this.port}${path}`;
    }

    async take(request, response) {
        const chunks = [];
        for await (const chunk of request)
            chunks.push(chunk);
        const rawBody = Buffer.concat(chunks).toString();
        const { headers, rawHeaders, method, url } = request;
        const delivery = { at: Date.now(), method, url, headers, rawHeaders, rawBody, body: JSON.parse(rawBody) };
        this.deliveries.push(delivery);
        await this.answer(response, delivery);
        if (response.headersSent && response.statusCode === 200)
            delivery.body.events.forEach((event) => this.events.push({ ...event, at: delivery.at }));
    }

    /* The next event of that name and channel, and perhaps user, that was taken. */
    event(name, channel, user) {
        return this.events.next((event) => event.name === name && event.channel === channel && (!user || event.user_id === user),
            `${name} of ${channel} ${user ?? ''}`);
    }

    /* All that was taken of a channel, as words. */
    history(channel) {
        return this.events.all.filter((event) => event.channel === channel)
            .map(({ name, user_id: user }) => (user ? `${name} ${user}` : name));
    }

    /* The SDK's own check of everything that came, and of the same with one byte changed. */
    assertValid(server) {
        assert.ok(this.deliveries.all.length > 0);
        for (const { headers, rawBody } of this.deliveries.all) {
            const check = (changes) => backEnd(server).webhook({ headers, rawBody, ...changes }).isValid();
            assert.equal(check({}), true, rawBody);
            assert.equal(check({ rawBody: rawBody.replace('"time_ms":', '"time_ms": ') }), false);
            assert.equal(check({ headers: { ...headers, 'x-pusher-signature': headers['x-pusher-signature'].replace(/^./, 'x') } }), false);
        }
    }

    close() {
        open.delete(this);
        this.server.close();
        this.server.closeAllConnections();
    }
}

export function receiver(options = {}) {
    return new Receiver(options).listen();
}

/* An endpoint in the configuration of an app. */
export function hook(of, changes = {}) {
    return { url: of.url(), allow_private_addresses: true, ...changes };
}
