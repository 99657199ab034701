/* Where one can connect: IPv4, IPv6, unix sockets, below a path, and behind a balancer that says who is calling. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { backEnd, connectPusher, disconnect } from '../support/clients.mjs';
import { appPath, connect, openPusher, upgradeHead } from '../support/raw.mjs';
import { accepts, startServer, temporaryFolder } from '../support/server.mjs';

const HEALTH = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';

function hasIpv6() {
    return new Promise((resolve) => {
        const probe = net.createServer().listen(0, '::1', () => probe.close(() => resolve(true)));
        probe.on('error', () => resolve(false));
    });
}

test('IPv4, a unix socket and IPv6 at once', async () => {
    const path = join(temporaryFolder(), 'edge.sock');
    const listen = [{ address: '127.0.0.1', port: 0 }, { address: `unix:${path}` }];
    if (await hasIpv6())
        listen.push({ address: '::1', port: 0 });
    const server = await startServer({ edge: { listen } });
    for (const where of server.where) {
        const raws = await Promise.all(Array.from({ length: 6 }, () => openPusher(server, undefined, { where })));
        for (const raw of raws) {
            await raw.settled();
            raw.destroy();
        }
    }
    await server.stop();
});

test('a unix socket left behind by a killed server is taken over', async () => {
    const path = join(temporaryFolder(), 'edge.sock');
    const settings = { edge: { listen: [{ address: `unix:${path}` }] } };
    const first = await startServer(settings);
    first.signal('SIGKILL');
    await first.exited;
    assert.ok(existsSync(path));
    const second = await startServer(settings);
    (await openPusher(second, undefined, { where: { path } })).destroy();
    await second.stop();
});

test('below a path prefix everything is there, and beside it nothing', async () => {
    const server = await startServer({ edge: { path_prefix: '/realtime' } });
    const pusher = await connectPusher(server);
    disconnect(pusher);
    const back = backEnd(server);
    await assert.rejects(back.get({ path: '/channels' }), { status: 404 });
    const raw = await connect(server);
    raw.write(upgradeHead('/app/test-key?protocol=7'));
    const answer = await raw.answer();
    raw.destroy();
    assert.ok([101, 404].includes(answer.status)); /* 101 leads to 4005 */
    await server.stop();
});

const v2 = (command, family, addresses) => {
    const body = Buffer.concat(addresses);
    const head = Buffer.alloc(4);
    head[0] = 0x20 | command;
    head[1] = family;
    head.writeUInt16BE(body.length, 2);
    return Buffer.concat([Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'), head, body]);
};
const ports = Buffer.from([0x12, 0x34, 0x17, 0x71]);

const good = {
    'version 1, IPv4': Buffer.from('PROXY TCP4 203.0.113.7 192.0.2.1 50000 6001\r\n'),
    'version 1, IPv6': Buffer.from('PROXY TCP6 2001:db8::7 2001:db8::1 50000 6001\r\n'),
    'version 1, unknown': Buffer.from('PROXY UNKNOWN\r\n'),
    'version 2, IPv4': v2(1, 0x11, [Buffer.from([203, 0, 113, 7, 192, 0, 2, 1]), ports]),
    'version 2, IPv6': v2(1, 0x21, [Buffer.alloc(32, 7), ports]),
    'version 2, local': v2(0, 0, []),
    'version 2, with more behind the addresses': v2(1, 0x11, [Buffer.from([203, 0, 113, 7, 192, 0, 2, 1]), ports, Buffer.from([4, 0, 2, 1, 1])]),
};

const bad = {
    'no header': Buffer.from(HEALTH),
    'an address that is none': Buffer.from('PROXY TCP4 999.0.0.1 192.0.2.1 50000 6001\r\n'),
    'a header without an end': Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}\r\n`),
    'a port that is none': Buffer.from('PROXY TCP4 203.0.113.7 192.0.2.1 500000 6001\r\n'),
    'half a signature': Buffer.from('\r\n\r\n\0\r\nQUIX\n!!!!', 'latin1'),
    'version 2 of a version 3': Buffer.concat([Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'), Buffer.from([0x31, 0x11, 0, 12]), Buffer.alloc(12)]),
    'version 2 that is shorter than its addresses': v2(1, 0x11, [Buffer.from([203, 0, 113, 7])]),
    'version 2 that is far too long': v2(1, 0x11, [Buffer.alloc(60_000)]),
};

test('PROXY headers', async (t) => {
    const listen = [{ address: '127.0.0.1', port: 0, proxy_protocol: true }];
    const server = await startServer({ edge: { listen } });
    for (const [what, header] of Object.entries(good)) {
        await t.test(`${what}: HTTP and WebSocket work behind it, whole and byte by byte`, async () => {
            const raw = await connect(server);
            raw.write(Buffer.concat([header, Buffer.from(HEALTH)]));
            assert.equal((await raw.answer()).status, 200);
            raw.destroy();
            const slow = await connect(server);
            await slow.writeBytewise(Buffer.concat([header, Buffer.from(upgradeHead(appPath(server)))]));
            assert.equal((await slow.answer()).status, 101);
            slow.destroy();
        });
    }
    for (const [what, header] of Object.entries(bad)) {
        await t.test(`${what}: the connection ends without an answer`, async () => {
            const raw = await connect(server);
            raw.write(header);
            assert.doesNotMatch(await raw.rest(), /200 OK/);
        });
    }
    await server.stop();
});

test('limits of an address are those of the caller, not of the balancer', async () => {
    const listen = [{ address: '127.0.0.1', port: 0, proxy_protocol: true }];
    const server = await startServer({ edge: { workers: 1, listen, connections_per_address: 2 } });
    const call = async (address) => {
        const raw = await connect(server);
        raw.write(`PROXY TCP4 ${address} 192.0.2.1 50000 6001\r\n${HEALTH}`);
        const answer = await raw.answer().catch(() => null);
        return { raw, status: answer?.status ?? null };
    };
    const calls = [];
    for (const address of ['203.0.113.1', '203.0.113.1', '203.0.113.2', '203.0.113.3', '203.0.113.1'])
        calls.push(await call(address));
    assert.deepEqual(calls.slice(0, 4).map(({ status }) => status), [200, 200, 200, 200]);
    assert.notEqual(calls[4].status, 200);
    calls.forEach(({ raw }) => raw.destroy());
    await server.stop();
});

test('an address may have so many connections, WebSockets included; one that leaves makes room', async () => {
    const server = await startServer({ edge: { workers: 1, connections_per_address: 3 } });
    const raws = await Promise.all([1, 2, 3].map(() => openPusher(server)));
    await assert.rejects(openPusher(server));
    raws[0].destroy();
    const { until } = await import('../support/wait.mjs');
    const again = await until(() => openPusher(server).catch(() => null), 'room for one more');
    [again, ...raws].forEach((raw) => raw.destroy());
    await server.stop();
});

test('an address may come so often and no more', async () => {
    const server = await startServer({ edge: { workers: 1, accepts_per_address_per_second: 5 } });
    const tries = await Promise.all(Array.from({ length: 40 }, () =>
        openPusher(server).then((raw) => (raw.destroy(), true), () => false)));
    const accepted = tries.filter(Boolean).length;
    assert.ok(accepted >= 5 && accepted < 30, `${accepted} of 40`);
    await server.stop();
});

test('two servers on one machine do not divide a port between them by accident: the admin port is one of them\'s', async () => {
    const first = await startServer();
    const same = { listen: [{ address: '127.0.0.1', port: first.port }], admin: { address: '127.0.0.1', port: first.adminPort } };
    await assert.rejects(startServer({ edge: same }), /in use/i);
    assert.ok(await accepts(first.port));
    await first.stop();
});
