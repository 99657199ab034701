/* Silence: the living are asked and stay, the dead are gone in time, and a request does not take for ever. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { connectPusher, disconnect, settled } from '../support/clients.mjs';
import { PING, PONG, TEXT, appPath, connect, frame, get, openPusher, upgradeHead } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';
import { within } from '../support/wait.mjs';

const server = await startServer({ edge: {
    ping_after_ms: 400, pong_timeout_ms: 400, head_timeout_ms: 400, body_timeout_ms: 400, keep_alive_timeout_ms: 400,
} });

const isPing = ({ opcode }) => opcode === PING;

test('a silent connection is pinged, and gone with 4201 if it does not answer', async () => {
    const raw = await openPusher(server);
    raw.answersPings = false;
    const from = Date.now();
    await raw.controls.next(isPing, 'a ping');
    assert.ok(Date.now() - from >= 300, 'not before its time');
    assert.equal((await raw.next('pusher:error')).data.code, 4201);
    assert.equal((await raw.ended()).code, 4201);
});

test('one that answers pings stays, however quiet it is', async () => {
    const raw = await openPusher(server);
    for (let i = 0; i < 4; i++)
        await raw.controls.next(isPing, 'a ping');
    await raw.settled();
    raw.destroy();
});

test('an unasked pong counts as life, and so does any message', async () => {
    const raw = await openPusher(server);
    raw.answersPings = false;
    for (let i = 0; i < 4; i++) {
        await raw.controls.next(isPing, 'a ping');
        raw.sendBytes(i % 2 ? frame(PONG, 'here') : frame(TEXT, '{"event":"pusher:pong","data":{}}'));
    }
    await raw.settled();
    raw.destroy();
});

test('pusher-js stays', async () => {
    const pusher = await connectPusher(server);
    const raw = await openPusher(server);
    for (let i = 0; i < 3; i++)
        await raw.controls.next(isPing, 'a ping');
    await settled(pusher);
    assert.equal(pusher.connection.state, 'connected');
    disconnect(pusher);
    raw.destroy();
});

test('half a head is answered with 408', async () => {
    const raw = await connect(server);
    raw.write('GET /healthz HTTP/1.1\r\nHost:');
    assert.equal((await raw.answer()).status, 408);
    await raw.rest();
});

test('half an upgrade is answered with 408', async () => {
    const raw = await connect(server);
    raw.write(upgradeHead(appPath(server)).slice(0, -2));
    assert.equal((await raw.answer()).status, 408);
    await raw.rest();
});

test('a head that comes in drops does not win time by it', async () => {
    const raw = await connect(server);
    const drip = setInterval(() => raw.write('a'), 50);
    raw.write('GET / HTTP/1.1\r\nX-A: ');
    const answer = await raw.answer().finally(() => clearInterval(drip));
    assert.equal(answer.status, 408);
    raw.destroy();
});

test('half a body is answered with 408', async () => {
    const raw = await connect(server);
    raw.write('POST /apps/7/events HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc');
    assert.equal((await raw.answer()).status, 408);
    await raw.rest();
});

test('a connection that never says anything is closed', async () => {
    const raw = await connect(server);
    const text = await raw.rest();
    assert.match(text, /^$|^HTTP\/1\.1 408 /);
});

test('a connection kept alive without a request is closed, with nothing said that could be taken for an answer', async () => {
    const raw = await connect(server);
    raw.write(get(app, '/apps/7/channels'));
    assert.equal((await raw.answer()).status, 200);
    assert.equal(await raw.rest(), '');
});

test('a client that does not answer a close is gone all the same', async () => {
    const raw = await openPusher(server);
    raw.answersPings = false;
    raw.onFrame = () => {}; /* hears, and does nothing */
    const ended = new Promise((resolve) => raw.socket.once('end', resolve));
    await within(Promise.race([ended, raw.closed]), 'the server to end the connection');
    raw.destroy();
});

endsCleanly(server);
