/* Upgrades that must not reach the WebSocket library, and those that must. */

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import test from 'node:test';
import { connectPusher, disconnect, settled } from '../support/clients.mjs';
import { appPath, connect, exchange, get, openPusher, openWebSocket, upgradeHead } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';

const server = await startServer();
const bystander = await connectPusher(server);
const path = appPath(server);

/* [changes to a valid upgrade, statuses] */
const refused = {
    'another version': [{ 'Sec-WebSocket-Version': '8' }, [400, 426]],
    'no version': [{ 'Sec-WebSocket-Version': undefined }, [400, 426]],
    'a version that only begins well': [{ 'Sec-WebSocket-Version': '130' }, [400, 426]],
    'no key': [{ 'Sec-WebSocket-Key': undefined }, [400]],
    'an empty key': [{ 'Sec-WebSocket-Key': '' }, [400]],
    'a key of 15 bytes': [{ 'Sec-WebSocket-Key': crypto.randomBytes(15).toString('base64') }, [400]],
    'a key that is not base64': [{ 'Sec-WebSocket-Key': '!!!!!!!!!!!!!!!!!!!!!!==' }, [400]],
    'a long key': [{ 'Sec-WebSocket-Key': 'A'.repeat(5000) }, [400]],
    'a body': [{ 'Content-Length': '5' }, [400]],
    'a chunked body': [{ 'Transfer-Encoding': 'chunked' }, [400]],
    'no Host': [{ Host: undefined }, [400]],
};

const bodies = { 'a body': 'hello', 'a chunked body': '0\r\n\r\n' };

for (const [what, [changes, statuses]] of Object.entries(refused)) {
    test(`an upgrade with ${what} is refused`, async () => {
        const answer = await exchange(server, upgradeHead(path, changes) + (bodies[what] ?? ''));
        assert.ok(statuses.includes(answer.status), `${answer.status} ${answer.body}`);
    });
}

/* None of these asks for a WebSocket: whatever the answer, it is none, and the server lives. */
const notUpgraded = {
    'h2c': upgradeHead(path, { Upgrade: 'h2c', Connection: 'Upgrade, HTTP2-Settings', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' }),
    'nothing we know': upgradeHead(path, { Upgrade: 'wonderland' }),
    'a Connection that does not say so': upgradeHead(path, { Connection: 'keep-alive' }),
    'POST': upgradeHead(path).replace('GET', 'POST'),
    'HTTP/1.0': upgradeHead(path).replace('HTTP/1.1', 'HTTP/1.0'),
};

for (const [what, head] of Object.entries(notUpgraded)) {
    test(`an upgrade by ${what} is none`, async () => {
        const answer = await exchange(server, head);
        assert.ok(answer.status >= 200 && answer.status !== 101, String(answer.status));
    });
}

test('two Upgrade headers are not two upgrades', async () => {
    const answer = await exchange(server, upgradeHead(path).replace('\r\n\r\n', '\r\nUpgrade: h2c\r\n\r\n'));
    assert.ok(answer.status === 400 || answer.status === 101, String(answer.status));
});

test('a request before the upgrade on the same connection, and another Upgrade value before that', async () => {
    const raw = await connect(server);
    raw.write(get(app, '/apps/7/channels'));
    assert.equal((await raw.answer()).status, 200);
    raw.write(upgradeHead('/healthz', { Upgrade: 'h2c' }));
    const second = await raw.answer();
    if (second.headers.connection === 'close')
        return;
    raw.write(upgradeHead(path));
    assert.equal((await raw.answer()).status, 101);
    raw.destroy();
});

test('keep-alive requests before the upgrade are fine', async () => {
    const raw = await connect(server);
    for (let i = 0; i < 3; i++)
        assert.equal((await raw.write(get(app, '/apps/7/channels')).answer()).status, 200);
    raw.write(upgradeHead(path));
    assert.equal((await raw.answer()).status, 101);
    raw.destroy();
});

test('bytes behind the upgrade, before its answer, are refused or read, and never lost halfway', async () => {
    const raw = await connect(server);
    raw.write(`${upgradeHead(path)}GET / HTTP/1.1\r\nHost: x\r\n\r\n`);
    const answer = await raw.answer();
    assert.ok([101, 400].includes(answer.status), String(answer.status));
    raw.destroy();
});

test('words around the values that matter may be in any case, and in lists', async () => {
    for (const changes of [
        { Upgrade: 'WebSocket' },
        { Connection: 'keep-alive, UPGRADE' },
        { Connection: 'keep-alive ,\tupgrade' },
    ]) {
        const socket = await openPusher(server, path, { headers: changes });
        socket.destroy();
    }
});

test('byte by byte', async () => {
    const raw = await connect(server);
    await raw.writeBytewise(upgradeHead(path));
    assert.equal((await raw.answer()).status, 101);
    raw.destroy();
});

test('no extension and no subprotocol is agreed to', async () => {
    const raw = await connect(server);
    raw.write(upgradeHead(path, { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }));
    const answer = await raw.answer();
    assert.equal(answer.status, 101);
    assert.equal(answer.headers['sec-websocket-extensions'], undefined);
    raw.destroy();
});

test('the accept header is the one that the key asks for', async () => {
    const raw = await connect(server);
    raw.write(upgradeHead(path, { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' })); /* RFC 6455, 1.3 */
    assert.equal((await raw.answer()).headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    raw.destroy();
});

test('many who leave in the middle of the handshake leave nothing behind', async () => {
    const before = server.descriptors();
    const raws = await Promise.all(Array.from({ length: 50 }, () => connect(server)));
    raws.forEach((raw, i) => {
        raw.write(upgradeHead(path).slice(0, i % 2 ? -2 : undefined));
        raw.socket.resetAndDestroy?.() ?? raw.destroy();
    });
    const last = await openWebSocket(server);
    last.destroy();
    const { until } = await import('../support/wait.mjs');
    await until(() => server.descriptors() <= before, 'their descriptors to be closed');
});

test('a bystander notices nothing of it all', async () => {
    await settled(bystander);
    disconnect(bystander);
});

endsCleanly(server);
