/* WebSocket frames and messages that no client sends. The connection may end for it; nobody else's does. */
// tls

import assert from 'node:assert/strict';
import test from 'node:test';
import { connectPusher, disconnect, settled } from '../support/clients.mjs';
import { BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, openPusher } from '../support/raw.mjs';
import { endsCleanly, startServer } from '../support/server.mjs';

const server = await startServer({ edge: { message_bytes: 16_384, messages_per_second: 0 } });
const bystander = await connectPusher(server);

const subscribeTo = (channel) => JSON.stringify({ event: 'pusher:subscribe', data: { channel } });
const close = (code, reason = '') => frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));

/* What ends the connection. */
const ending = {
    'a message over the limit': frame(TEXT, 'x'.repeat(20_000)),
    'a message over the limit, in pieces': Buffer.concat([frame(TEXT, 'x'.repeat(10_000), { fin: false }),
        ...Array.from({ length: 20 }, () => frame(CONTINUATION, 'x'.repeat(1000), { fin: false }))]),
    'a frame that claims to be 2⁶² bytes': frame(TEXT, 'x', { claim: 2 ** 62 }),
    'reserved bits': frame(TEXT, subscribeTo('x'), { rsv: 4 }),
    'a reserved opcode': frame(3, 'x'),
    'a reserved control opcode': frame(11, ''),
    'a continuation of nothing': frame(CONTINUATION, 'x'),
    'a message inside a message': Buffer.concat([frame(TEXT, 'a', { fin: false }), frame(TEXT, 'b')]),
    'a control frame in pieces': frame(PING, 'x', { fin: false }),
    'a control frame of 126 bytes': frame(PING, 'x'.repeat(126)),
    'a close': close(1000),
    'a close with a code of ours': close(4200, 'x'),
    'a close without a code': frame(CLOSE, ''),
    'a close of one byte': frame(CLOSE, 'x'),
};

for (const [what, bytes] of Object.entries(ending)) {
    test(`${what} ends that connection, and only that`, async () => {
        const raw = await openPusher(server);
        raw.sendBytes(bytes);
        raw.socket.on('end', () => raw.socket.end());
        await raw.ended();
        await settled(bystander);
    });
}

/* What is an error, in words, on a connection that stays. */
const complained = {
    'no JSON': '{',
    'nothing': '',
    'a word': '"hello"',
    'a list': '[]',
    'a number': '12',
    'text that is not UTF-8': Buffer.from([0x22, 0xc3, 0x28, 0x22]),
    'a UTF-8 surrogate': Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
    'a string that is not UTF-8': Buffer.from('{"event":"pusher:subscribe","data":{"channel":"\xc3("}}', 'latin1'),
    'no event': '{}',
    'an event that is a number': '{"event":5}',
    'an event that nobody knows': '{"event":"pusher:dance"}',
    'a subscription without data': '{"event":"pusher:subscribe"}',
    'a subscription whose data is a number': '{"event":"pusher:subscribe","data":5}',
    'a subscription whose channel is a list': '{"event":"pusher:subscribe","data":{"channel":[]}}',
    'a subscription whose auth is a number': '{"event":"pusher:subscribe","data":{"channel":"private-x","auth":5}}',
    'an unsubscription without a channel': '{"event":"pusher:unsubscribe","data":{}}',
    'deep nesting': `{"event":"pusher:subscribe","data":${'['.repeat(5000)}${']'.repeat(5000)}}`,
    'the same key twice': '{"event":"pusher:ping","event":"pusher:subscribe"}',
    'half a surrogate': '{"event":"pusher:subscribe","data":{"channel":"\\ud800"}}',
    'a NUL in the channel': '{"event":"pusher:subscribe","data":{"channel":"a\\u0000b"}}',
    'a number that overflows': '{"event":"pusher:subscribe","data":{"channel":1e999}}',
    'more behind the object': '{"event":"pusher:ping"} {"event":"pusher:ping"}',
    'a comment': '{"event":/* x */"pusher:ping"}',
};

for (const [what, text] of Object.entries(complained)) {
    test(`${what} is answered with words, or the end of that connection with a code`, async () => {
        const raw = await openPusher(server);
        raw.sendBytes(frame(TEXT, text));
        const error = await raw.messages.next(({ event }) => /error$/.test(event), `an error about ${what}`);
        assert.ok((error.data.message ?? error.data.error).length > 3);
        const end = await Promise.race([raw.settled().catch(() => raw.ended()), raw.ended()]);
        if (end)
            assert.ok(end.code >= 1007 && end.code < 4300, String(end.code));
        raw.destroy();
    });
}

/* The library does not say whether a frame was masked; so it is read, or ends the connection, and does no harm. */
test('an unmasked frame disturbs nobody', async () => {
    const raw = await openPusher(server);
    raw.sendBytes(frame(TEXT, subscribeTo('x'), { mask: false }));
    await Promise.race([raw.ended(), raw.next('pusher_internal:subscription_succeeded', 'x')]);
    raw.destroy();
    await settled(bystander);
});

test('a message in many pieces, with a ping between them, is one message', async () => {
    const raw = await openPusher(server);
    const text = subscribeTo('pieces');
    raw.sendBytes(frame(TEXT, text[0], { fin: false }));
    for (const piece of text.slice(1))
        raw.sendBytes(frame(CONTINUATION, piece, { fin: false }));
    raw.sendBytes(frame(PING, 'are you there'));
    raw.sendBytes(frame(CONTINUATION, ''));
    await raw.next('pusher_internal:subscription_succeeded', 'pieces');
    const pong = await raw.controls.next(({ opcode }) => opcode === PONG);
    assert.equal(pong.payload.toString(), 'are you there');
    raw.destroy();
});

test('frames byte by byte', async () => {
    const raw = await openPusher(server);
    for (const byte of frame(TEXT, subscribeTo('bytes')))
        await new Promise((done) => raw.socket.write(Buffer.of(byte), done));
    await raw.next('pusher_internal:subscription_succeeded', 'bytes');
    raw.destroy();
});

test('a character of UTF-8 cut by a fragment is whole again', async () => {
    const raw = await openPusher(server);
    const bytes = Buffer.from(JSON.stringify({ event: 'pusher:ping', data: { x: '😀' } }));
    const cut = bytes.indexOf(0xf0) + 2;
    raw.sendBytes(frame(TEXT, bytes.subarray(0, cut), { fin: false })).sendBytes(frame(CONTINUATION, bytes.subarray(cut)));
    await raw.next('pusher:pong');
    raw.destroy();
});

test('a binary message is refused or read as text, and does no harm', async () => {
    const raw = await openPusher(server);
    raw.sendBytes(frame(BINARY, subscribeTo('binary')));
    await Promise.race([raw.ended(), raw.messages.next()]);
    raw.destroy();
    await settled(bystander);
});

test('a thousand pings in one packet', async () => {
    const raw = await openPusher(server);
    raw.sendBytes(Buffer.concat(Array.from({ length: 1000 }, () => frame(PING, 'x'))));
    await raw.settled();
    raw.destroy();
});

test('a bystander notices nothing of it all', async () => {
    await settled(bystander);
    assert.equal(bystander.connection.state, 'connected');
    disconnect(bystander);
});

endsCleanly(server);
