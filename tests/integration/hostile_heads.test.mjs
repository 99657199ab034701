/* Request heads that no client sends: each gets its refusal at once and the connection ends; nobody else notices. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { connectPusher, disconnect, settled } from '../support/clients.mjs';
import { connect, exchange } from '../support/raw.mjs';
import { endsCleanly, startServer } from '../support/server.mjs';

const server = await startServer({ edge: { head_bytes: 8192 } });
const bystander = await connectPusher(server);

const get = (...lines) => `GET /healthz HTTP/1.1\r\n${['Host: x', ...lines].map((line) => `${line}\r\n`).join('')}\r\n`;
const post = (...lines) => get(...lines).replace('GET', 'POST');

/* [the head, statuses that say what is wrong] */
const refused = {
    'no request at all': ['\x00\x01\x02\x03\r\n\r\n', [400]],
    'a TLS hello': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', [400]],
    'HTTP/2 from the start': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 405, 501, 505]],
    'HTTP/0.9': ['GET /\r\n\r\n', [400]],
    'HTTP/1.2': ['GET / HTTP/1.2\r\nHost: x\r\n\r\n', [400, 505]],
    'a method that does not exist': ['BREW / HTTP/1.1\r\nHost: x\r\n\r\n', [400, 405, 501]],
    'CONNECT': ['CONNECT other:443 HTTP/1.1\r\nHost: x\r\n\r\n', [400, 405, 501]],
    'no Host': ['GET / HTTP/1.1\r\n\r\n', [400]],
    'two Hosts': [get('Host: y'), [400]],
    'an empty name': [get(': value'), [400]],
    'a space before the colon': [get('X-A : b'), [400]],
    'a folded line': [get('X-A: b', ' c'), [400]],
    'a space before the first header': ['GET / HTTP/1.1\r\n Host: x\r\n\r\n', [400]],
    'a NUL in a value': [get('X-A: b\0c'), [400]],
    'a NUL in the target': ['GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n', [400]],
    'a control character in a value': [get('X-A: b\x01'), [400]],
    'a carriage return in a value': [get('X-A: b\rc'), [400]],
    'bare line feeds': ['GET /healthz HTTP/1.1\nHost: x\n\n', [400]],
    'one bare line feed': ['GET /healthz HTTP/1.1\r\nHost: x\nX-A: b\r\n\r\n', [400]],
    'a target that is no path': ['GET nothing HTTP/1.1\r\nHost: x\r\n\r\n', [400]],
    'two spaces before the version': ['GET /  HTTP/1.1\r\nHost: x\r\n\r\n', [400]],
    'a negative length': [post('Content-Length: -1'), [400]],
    'a length that is no number': [post('Content-Length: 5x'), [400]],
    'a length with a sign': [post('Content-Length: +5'), [400]],
    'an empty length': [post('Content-Length:'), [400]],
    'a length that overflows': [post('Content-Length: 99999999999999999999999'), [400, 413]],
    'two different lengths': [post('Content-Length: 1', 'Content-Length: 2'), [400]],
    'twice the same length': [post('Content-Length: 1', 'Content-Length: 1'), [400]],
    'a list of lengths': [post('Content-Length: 1, 1'), [400]],
    'a length beside chunked': [post('Content-Length: 5', 'Transfer-Encoding: chunked'), [400]],
    'chunked beside a length': [post('Transfer-Encoding: chunked', 'Content-Length: 5'), [400]],
    'chunked twice': [post('Transfer-Encoding: chunked, chunked'), [400, 501]],
    'chunked in two lines': [post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), [400, 501]],
    'a coding that nobody knows': [post('Transfer-Encoding: gzip, chunked'), [400, 501]],
    'identity': [post('Transfer-Encoding: identity'), [400, 501]],
    'almost chunked': [post('Transfer-Encoding: xchunked'), [400, 501]],
    'a body without a length': [post(), [411]],
    'a header of 4 KB too much': [get(`X-A: ${'a'.repeat(12_000)}`), [431]],
    'too many headers': [get(...Array.from({ length: 300 }, (_, i) => `X-${i}: 1`)), [400, 431]],
    'a target that is too long': [`GET /${'a'.repeat(12_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, [414, 431]],
    'an endless method': ['A'.repeat(20_000), [400, 405, 431, 501]],
};

for (const [what, [head, statuses]] of Object.entries(refused)) {
    test(`${what}: ${statuses.join(' or ')}, and the connection ends`, async () => {
        const answer = await exchange(server, Buffer.from(head, 'latin1'));
        assert.ok(statuses.includes(answer.status), `${answer.status} ${answer.body}`);
        assert.ok(JSON.parse(answer.body).error.length > 5, 'a line that says what is wrong');
        assert.ok(answer.closes);
    });
    if (head.length < 200) {
        test(`${what}, byte by byte, is no different`, async () => {
            const raw = await connect(server);
            await raw.writeBytewise(Buffer.from(head, 'latin1')).catch(() => {});
            const text = await raw.rest();
            assert.ok(statuses.includes(Number(text.slice(9, 12))), text);
        });
    }
}

test('a head just under the limit is served', async () => {
    assert.equal((await exchange(server, get(`X-A: ${'a'.repeat(7000)}`))).status, 200);
});

test('an empty line before a request is skipped (RFC 9112, 2.2), but not any number of them', async () => {
    assert.equal((await exchange(server, `\r\n${get()}`)).status, 200);
    const raw = await connect(server);
    raw.write('\r\n'.repeat(20_000));
    assert.match(await raw.rest(), /^HTTP\/1\.1 4\d\d /);
});

test('nothing at all, and then leaving, is no request', async () => {
    const raws = await Promise.all(Array.from({ length: 10 }, () => connect(server)));
    raws.forEach((raw) => raw.socket.end());
    for (const raw of raws)
        assert.equal(await raw.rest(), '');
});

test('what a stranger sends breaks no log line', async () => {
    await exchange(server, 'GET /\x1b[31m"\\u000a HTTP/1.1\r\nHost: "}\x7f\r\n\r\n');
    assert.deepEqual(server.errors, [], 'every line on standard error is one JSON object');
});

test('a bystander notices nothing of it all', async () => {
    await settled(bystander);
    assert.equal(bystander.connection.state, 'connected');
    disconnect(bystander);
});

endsCleanly(server);
