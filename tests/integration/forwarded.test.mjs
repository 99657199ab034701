/* X-Forwarded-For: limits are for the client that a trusted proxy names, and for nobody whom a stranger names. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { FallbackSession } from '../support/fallback.mjs';
import { appPath, connect, openPusher, upgradeHead } from '../support/raw.mjs';
import { startServer } from '../support/server.mjs';

const from = (address) => ({ headers: { 'X-Forwarded-For': address } });

/* The status of an upgrade. */
async function knock(server, headers, { where, preface = '' } = {}) {
    const raw = await connect(server, where);
    raw.write(preface + upgradeHead(appPath(server), headers));
    const { status, body } = await raw.answer();
    raw.destroy();
    return { status, body };
}

test('a limit per address counts clients, not the proxy, and is free again when they leave', async () => {
    const server = await startServer({ edge: { balancer_wait_ms: 1, trusted_proxies: ['127.0.0.1', '10.0.0.0/8'], connections_per_address: 2 } });
    const ann = await Promise.all([1, 2].map(() => openPusher(server, undefined, from('203.0.113.5, 10.1.2.3'))));
    const { status, body } = await knock(server, from('203.0.113.5').headers);
    assert.equal(status, 429);
    assert.match(body, /your address has as many connections/);
    const bob = await openPusher(server, undefined, from('203.0.113.5, 203.0.113.6')); /* the left one is his own claim */
    const proxies = await Promise.all([1, 2].map(() => openPusher(server)));
    ann[0].destroy();
    await ann[1].settled();
    for (let status_ = 429; status_ === 429;) /* until the server has noticed */
        status_ = (await knock(server, from('203.0.113.5').headers)).status;
    [ann[1], bob, ...proxies].forEach((client) => client.destroy());
    await server.stop();
});

test('sessions of the HTTP fallback count, too', async () => {
    const server = await startServer({ edge: { balancer_wait_ms: 1, trusted_proxies: ['127.0.0.1'], connections_per_address: 2 } });
    const sessions = await Promise.all([1, 2].map(() => new FallbackSession(server, { polls: true, ...from('203.0.113.5') }).connect()));
    const third = new FallbackSession(server, { polls: true, ...from('203.0.113.5') });
    third.receive();
    assert.equal((await third.end()).code, 4100);
    const other = await new FallbackSession(server, { polls: true, ...from('203.0.113.6') }).connect();
    await sessions[0].settled();
    [...sessions, other].forEach((session) => session.leave());
    await server.stop();
});

test('a stranger names nobody', async () => {
    const server = await startServer({ edge: { balancer_wait_ms: 1, trusted_proxies: ['10.0.0.0/8'], connections_per_address: 1 } });
    const client = await openPusher(server, undefined, from('203.0.113.5'));
    const raw = await connect(server).catch((error) => error);
    await raw.rest();
    assert.equal(raw.received.length, 0, 'closed at the door: his own address has its one connection');
    client.destroy();
    await server.stop();
});

test('behind a PROXY header its address is the one that must be trusted', async () => {
    const server = await startServer({
        edge: {
            balancer_wait_ms: 1, trusted_proxies: ['10.0.0.0/8'], connections_per_address: 1,
            listen: [{ address: '127.0.0.1', port: 0, proxy_protocol: true }],
        },
    });
    const preface = (address) => `PROXY TCP4 ${address} 127.0.0.1 4000 80\r\n`;
    const stranger = await openPusher(server, undefined, { ...from('203.0.113.5'), preface: preface('192.0.2.1') });
    const named = await openPusher(server, undefined, { ...from('203.0.113.5'), preface: preface('10.0.0.7') });
    const again = await knock(server, from('203.0.113.5').headers, { preface: preface('10.0.0.8') });
    assert.equal(again.status, 429);
    [stranger, named].forEach((client) => client.destroy());
    await server.stop();
});
