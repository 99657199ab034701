/* HTTP as it is spoken on the wire: keep-alive, pipelining, bodies in pieces. Each was a hang or a spin in servers we know. */
// tls

import assert from 'node:assert/strict';
import test from 'node:test';
import { connectPusher, disconnect, hears, subscribe } from '../support/clients.mjs';
import { connect, exchange, get, post, sign } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';

const server = await startServer();

const body = (n) => JSON.stringify({ name: 'e', data: String(n), channel: 'pipe' });
const event = (n, headers) => post(app, '/apps/7/events', body(n), headers);
const chunks = (...pieces) => [...pieces, ''].map((piece) => `${Buffer.byteLength(piece).toString(16)}\r\n${piece}\r\n`).join('');

function chunked(text, coded, headers = '') {
    return `POST ${sign(app, 'POST', '/apps/7/events', text)} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n${headers}\r\n${coded}`;
}

const listener = await connectPusher(server);
await subscribe(listener, 'pipe');

test('a connection serves one request after the other', async () => {
    const raw = await connect(server);
    for (let i = 0; i < 5; i++) {
        assert.equal((await raw.write(event(i)).answer()).status, 200);
        assert.equal((await hears(listener, 'e')).data, i);
    }
    raw.destroy();
});

test('Connection: close closes after the answer', async () => {
    const answer = await exchange(server, get(app, '/apps/7/channels', {}, 'Connection: close\r\n'));
    assert.equal(answer.status, 200);
    assert.ok(answer.closes);
});

test('HTTP/1.0 is answered and closed, or refused', async () => {
    const raw = await connect(server);
    raw.write('GET /healthz HTTP/1.0\r\n\r\n');
    const text = await raw.rest();
    assert.match(text, /^HTTP\/1\.1 (200|400|505) /);
});

test('pipelined posts with bodies are all answered, in order', async () => {
    const raw = await connect(server);
    raw.write(Buffer.concat([event(1), event(2), Buffer.from(get(app, '/apps/7/channels/pipe')), event(3)]));
    for (const expected of ['{}', '{}', '{"occupied":true}', '{}']) {
        const answer = await raw.answer();
        assert.equal(answer.status, 200);
        assert.deepEqual(JSON.parse(answer.body), JSON.parse(expected));
    }
    for (const n of [1, 2, 3])
        assert.equal((await hears(listener, 'e')).data, n);
    raw.destroy();
});

test('a hundred pipelined requests in one packet', async () => {
    const raw = await connect(server);
    raw.write(Buffer.concat(Array.from({ length: 100 }, (_, i) => event(i))));
    for (let i = 0; i < 100; i++)
        assert.equal((await raw.answer()).status, 200);
    for (let i = 0; i < 100; i++)
        assert.equal((await hears(listener, 'e')).data, i);
    raw.destroy();
});

test('byte by byte, head and body', async () => {
    const raw = await connect(server);
    await raw.writeBytewise(event(7));
    assert.equal((await raw.answer()).status, 200);
    assert.equal((await hears(listener, 'e')).data, 7);
    raw.destroy();
});

test('a chunked body, whole and byte by byte, with extensions and trailers', async () => {
    const text = body(8);
    const coded = chunks(text.slice(0, 3), text.slice(3, 20), text.slice(20));
    assert.equal((await exchange(server, chunked(text, coded))).status, 200);
    assert.equal((await hears(listener, 'e')).data, 8);
    const raw = await connect(server);
    await raw.writeBytewise(chunked(text, coded));
    assert.equal((await raw.answer()).status, 200);
    await hears(listener, 'e');
    const extended = `${text.length.toString(16)};name=value\r\n${text}\r\n0\r\nX-Trailer: 1\r\n\r\n`;
    assert.equal((await raw.write(chunked(text, extended)).answer()).status, 200);
    await hears(listener, 'e');
    raw.destroy();
});

test('Expect: 100-continue is answered before the body is sent', async () => {
    const text = body(9);
    const raw = await connect(server);
    raw.write(`POST ${sign(app, 'POST', '/apps/7/events', text)} HTTP/1.1\r\nHost: x\r\nContent-Length: ${text.length}\r\nExpect: 100-continue\r\n\r\n`);
    assert.equal((await raw.answer()).status, 100);
    raw.write(text);
    assert.equal((await raw.answer()).status, 200);
    await hears(listener, 'e');
    raw.destroy();
});

test('an expectation that nobody can meet is refused', async () => {
    const answer = await exchange(server, event(1, { Expect: 'wonders' }));
    assert.ok([400, 417].includes(answer.status));
});

const bad = {
    'a chunk size that is no number': 'xyz\r\n',
    'a chunk size that overflows': 'fffffffffffffffff\r\n',
    'a negative chunk size': '-5\r\nhello\r\n',
    'a chunk that is longer than it said': '3\r\nhello\r\n0\r\n\r\n',
    'an endless chunk extension': `5;${'x'.repeat(100_000)}\r\n`,
    'endless trailers': `0\r\n${'X-T: 1\r\n'.repeat(10_000)}\r\n`,
};

for (const [what, coded] of Object.entries(bad)) {
    test(`${what} is refused, and the connection ends`, async () => {
        const answer = await exchange(server, chunked('x', coded));
        assert.ok([400, 413, 431].includes(answer.status), `${answer.status} ${answer.body}`);
        assert.ok(answer.closes);
    });
}

test('a body over the limit is refused at once, from its length alone', async () => {
    const raw = await connect(server);
    raw.write(`POST ${sign(app, 'POST', '/apps/7/events', 'x')} HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n`);
    assert.equal((await raw.answer()).status, 413);
    await raw.rest();
});

test('a chunked body over the limit is refused as soon as it is over', async () => {
    const raw = await connect(server);
    raw.write(chunked('x', ''));
    const piece = `10000\r\n${'x'.repeat(65536)}\r\n`;
    for (let i = 0; i < 64 && raw.received.length === 0 && !raw.ended; i++)
        await new Promise((done) => raw.socket.write(piece, done));
    assert.equal((await raw.answer()).status, 413);
    await raw.rest();
});

test('Expect: 100-continue with a body over the limit is told so before it sends it', async () => {
    const answer = await exchange(server,
        `POST ${sign(app, 'POST', '/apps/7/events', 'x')} HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\nExpect: 100-continue\r\n\r\n`);
    assert.equal(answer.status, 413);
});

test('a body that never ends, of a client that leaves, disturbs nobody', async () => {
    const raw = await connect(server);
    raw.write(`POST ${sign(app, 'POST', '/apps/7/events', 'x')} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nabc`);
    raw.destroy();
    assert.equal((await exchange(server, event(10))).status, 200);
    await hears(listener, 'e');
});

test('a client that shuts its side down after the request still gets its answer', async () => {
    const raw = await connect(server);
    raw.socket.allowHalfOpen = true;
    raw.socket.end(event(11));
    assert.equal((await raw.answer()).status, 200);
    await hears(listener, 'e');
    raw.destroy();
});

test('a body of a request that is refused is not taken for the next request', async () => {
    const hidden = get(app, '/apps/7/channels');
    const raw = await connect(server);
    raw.write(`POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`);
    assert.notEqual((await raw.answer()).status, 200);
    raw.socket.end();
    assert.ok(!(await raw.rest()).includes('200 OK'));
});

test('idle and half-sent requests cost no processor time', async () => {
    const raws = await Promise.all(Array.from({ length: 20 }, () => connect(server)));
    raws.slice(0, 5).forEach((raw) => raw.write('GET / HT'));
    raws.slice(5, 10).forEach((raw) => raw.write(event(1).subarray(0, -5)));
    raws.slice(10, 15).forEach((raw) => raw.write('GET / HTTP/1.1\nHost: x\n'));
    raws.slice(15).forEach((raw) => {
        raw.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50));
        raw.socket.pause();
    });
    await exchange(server, get(app, '/apps/7/channels'));
    const before = server.cpu_ms();
    await new Promise((resolve) => setTimeout(resolve, 500)); /* the time over which is measured */
    assert.ok(server.cpu_ms() - before < 250, `${server.cpu_ms() - before} ms of 500`);
    raws.forEach((raw) => raw.destroy());
});

test('nobody was disturbed', () => {
    assert.equal(listener.connection.state, 'connected');
    disconnect(listener);
});

endsCleanly(server);
