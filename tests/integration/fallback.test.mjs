/* The HTTP fallback, line by line: what pusher-js' xhr_streaming and xhr_polling send and expect. */
// threads

import assert from 'node:assert/strict';
import test from 'node:test';
import { authorize, backEnd } from '../support/clients.mjs';
import { FallbackSession, openFallback, request } from '../support/fallback.mjs';
import { connect, openPusher } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const server = await startServer({
    apps: [app, { id: '8', key: 'fenced', secret: 's', allowed_origins: ['https://good.example'] },
        { id: '9', key: 'off', secret: 's', enabled: false },
        { id: '10', key: 'tiny', secret: 's', limits: { connections: 1 } }],
});
const back = backEnd(server);
const kinds = [['xhr_streaming', { polls: false }], ['xhr_polling', { polls: true }]];
const metric = async (of, name) => {
    let sum = 0;
    for (const [sample, value] of await of.metrics())
        sum += sample.split('{')[0] === name ? value : 0;
    return sum;
};
const base = '/pusher/app/test-key/1/abcdefgh';

for (const [kind, options] of kinds) {
    test(`${kind}: one o, then pusher:connection_established`, async () => {
        const session = new FallbackSession(server, options);
        const receiver = session.receive();
        assert.equal(await receiver.lines.next(), 'o');
        assert.match(await receiver.lines.next(),
            /^a\["\{\\"event\\":\\"pusher:connection_established\\",\\"data\\":\\"\{\\\\\\"socket_id\\\\\\":\\\\\\"\d+\.\d+/);
        await session.settled();
        await session.settled();
        assert.deepEqual(session.opens, [''], 'a second o would read "Server lost session"');
        assert.equal(receiver.answer.headers['content-type'], 'application/javascript; charset=UTF-8');
        assert.equal(receiver.answer.headers['access-control-allow-origin'], '*');
        session.leave();
    });

    test(`${kind}: public, private and presence channels, client events`, async () => {
        const [ann, bob] = await Promise.all([openFallback(server, options), openFallback(server, options)]);
        const web = await openPusher(server);
        for (const [session, user_id] of [[ann, 'ann'], [bob, 'bob']]) {
            await session.subscribe('news');
            await session.subscribe('private-r', authorize(server, session.socketId, 'private-r'));
            await session.subscribe('presence-r', authorize(server, session.socketId, 'presence-r', { user_id }));
        }
        assert.equal(JSON.parse((await ann.next('pusher_internal:member_added')).data).user_id, 'bob');
        const roster = await web.send('pusher:subscribe',
            { channel: 'presence-r', ...authorize(server, web.socketId, 'presence-r', { user_id: 'web' }) })
            .next('pusher_internal:subscription_succeeded', 'presence-r');
        assert.deepEqual(JSON.parse(roster.data).presence.ids.sort(), ['ann', 'bob', 'web']);
        await back.trigger(['news', 'presence-r'], 'e', 'ä "quoted"\n\u2028😀 \\');
        for (const session of [ann, bob]) {
            assert.equal((await session.next('e', 'news')).data, 'ä "quoted"\n\u2028😀 \\');
            await session.next('e', 'presence-r');
        }
        await ann.send('client-hi', { from: 'ann' }, 'private-r');
        assert.deepEqual(await bob.next('client-hi'), { event: 'client-hi', channel: 'private-r', data: { from: 'ann' } });
        bob.leave();
        assert.equal(JSON.parse((await web.next('pusher_internal:member_removed')).data).user_id, 'bob');
        ann.leave();
        assert.equal(JSON.parse((await web.next('pusher_internal:member_removed')).data).user_id, 'ann');
        web.destroy();
    });

    test(`${kind}: the client's own ping gets a[], never h`, async () => {
        const session = await openFallback(server, options);
        for (let i = 1; i <= 3; i++) {
            assert.equal((await session.sendBody('[]')).status, 204);
            await until(() => session.empties === i, 'a[]');
        }
        assert.equal(session.heartbeats, 0);
        session.leave();
    });

    test(`${kind}: refusals are pusher:error, then c with the code`, async () => {
        const refusals = [
            [4001, { key: 'nobody' }], [4003, { key: 'off' }], [4007, { query: 'protocol=4' }], [4008, { query: 'client=js' }],
            [4009, { key: 'fenced', headers: { Origin: 'https://bad.example' } }], [4006, { query: 'protocol=7&version=x' }],
        ];
        for (const [code, how] of refusals) {
            const session = new FallbackSession(server, { ...options, ...how });
            const receiver = session.receive();
            assert.equal((await session.next('pusher:error')).data.code, code);
            const end = await session.end();
            assert.equal(end.code, code);
            assert.ok(end.reason.length > 0);
            assert.deepEqual(session.opens, ['']);
            assert.equal(await receiver.whole(), 'whole');
            assert.equal(receiver.answer.headers['access-control-allow-origin'], '*', 'the page must be able to read why');
            assert.equal((await session.sendBody('[]')).status, 404);
        }
    });

    test(`${kind}: an app's quota counts sessions`, async () => {
        const first = await openFallback(server, { ...options, key: 'tiny' });
        const second = new FallbackSession(server, { ...options, key: 'tiny' });
        second.receive();
        assert.equal((await second.end()).code, 4004);
        first.leave();
        await until(async () => {
            const third = new FallbackSession(server, { ...options, key: 'tiny' });
            third.receive();
            const let_in = await Promise.race([third.next('pusher:connection_established').then(() => true, () => false), third.closed.then(() => false)]);
            third.leave();
            return let_in;
        }, 'the place to be free');
    });

    test(`${kind}: more than 256 KiB of events at once, none lost, none twice, in order`, async () => {
        const session = await openFallback(server, options);
        await session.subscribe('flood');
        const count = 150;
        for (let i = 0; i < count; i += 10)
            await back.triggerBatch(Array.from({ length: 10 }, (_, k) =>
                ({ channel: 'flood', name: 'n', data: `${i + k} ${i % 20 ? 'x'.repeat(9000) : '😀'.repeat(2200)}` })));
        await back.trigger('flood', 'last', '');
        await session.next('last');
        const heard = session.messages.all.filter(({ event }) => event === 'n').map(({ data }) => parseInt(data));
        assert.deepEqual(heard, Array.from({ length: count }, (_, i) => i));
        assert.deepEqual(session.opens, ['']);
        session.leave();
    });
}

test('a stream ends with the line that takes it past 256 Ki UTF-16 units, and not before', async () => {
    const session = new FallbackSession(server, { auto: false });
    const stream = session.receive();
    await session.next('pusher:connection_established');
    await session.subscribe('units');
    const events = (n, data) => Promise.all(Array.from({ length: n }, () => back.trigger('units', 'n', data)));
    await events(24, '😀'.repeat(2490)); /* 2 units each: 120,000 or so, in twice as many bytes */
    await session.settled();
    await events(20, 'ä'.repeat(5000)); /* 1 unit each, in 2 bytes */
    await session.settled();
    assert.ok(stream.text.length < 256 * 1024 && Buffer.byteLength(stream.text) > 256 * 1024, `${stream.text.length}`);
    await events(6, 'x'.repeat(9000));
    assert.equal(await stream.whole(), 'whole');
    assert.ok(stream.text.length > 256 * 1024);
    assert.ok(stream.text.slice(0, -1).lastIndexOf('\n') < 256 * 1024, 'only the last line is past it');
    await session.send('pusher:ping', {}); /* waits for the next one */
    const next = session.receive();
    await session.next('pusher:pong');
    assert.equal((await next.lines.next())[0], 'a');
    session.leave();
});

test('between two polls everything waits, in order', async () => {
    const session = new FallbackSession(server, { polls: true, auto: false });
    await session.receive().whole();
    await session.send('pusher:subscribe', { channel: 'gap' });
    await session.receive().whole();
    await session.next('pusher_internal:subscription_succeeded');
    for (let i = 0; i < 20; i++)
        await back.trigger('gap', 'n', i);
    const poll = session.receive();
    await poll.whole();
    const heard = session.messages.all.filter(({ event }) => event === 'n').map(({ data }) => data);
    assert.deepEqual(heard, Array.from({ length: 20 }, (_, i) => String(i)));
    assert.equal(poll.text.split('\n').length, 2, 'one line');
    session.leave();
});

test('a connection that ends between two polls says so to the next', async () => {
    const session = new FallbackSession(server, { polls: true, auto: false });
    await session.receive().whole();
    const { body, status } = await session.sendBody(JSON.stringify(['x'.repeat(100_000)]));
    assert.deepEqual([status, body], [204, '']);
    const poll = session.receive();
    assert.equal(await poll.whole(), 'whole');
    const [error] = session.messages.all.slice(-1);
    assert.deepEqual([error.event, error.data.code], ['pusher:error', null]);
    assert.equal((await session.end()).code, 1009);
    assert.deepEqual(session.opens, ['']);
});

test('a heartbeat ends a silent poll; a silent stream gets pusher:ping', async () => {
    const quick = await startServer({ edge: { ping_after_ms: 300, pong_timeout_ms: 1500 } });
    const polls = await openFallback(quick, { polls: true });
    const streams = await openFallback(quick);
    for (let i = 0; i < 4; i++) {
        await streams.next('pusher:ping');
        await streams.send('pusher:pong', {});
    }
    assert.ok(polls.heartbeats >= 2, `${polls.heartbeats} heartbeats`);
    assert.equal(polls.messages.all.filter(({ event }) => event === 'pusher:ping').length, 0);
    assert.equal(streams.heartbeats, 0);
    /* who does not answer is closed */
    assert.equal((await streams.end()).code, 4201);
    polls.auto = false;
    await until(async () => await metric(quick, 'rollcall_connections') === 0, 'the poll that never came to be missed');
    polls.leave();
    await quick.stop();
});

test('one who polls on and off is found, and one whose poll breaks has left at once', async () => {
    const watcher = await openPusher(server);
    const join = (session, user_id) =>
        session.send('pusher:subscribe', { channel: 'presence-p', ...authorize(server, session.socketId, 'presence-p', { user_id }) });
    await join(watcher, 'watcher');
    await watcher.next('pusher_internal:subscription_succeeded');
    const session = await openFallback(server, { polls: true });
    await join(session, 'poller');
    await watcher.next('pusher_internal:member_added');
    for (let i = 0; i < 20; i++)
        await session.settled();
    await until(() => session.isReceiving(), 'a poll to wait');
    const before = Date.now();
    session.leave();
    await watcher.next('pusher_internal:member_removed');
    assert.ok(Date.now() - before < 5000, 'not by a deadline');
    assert.equal(watcher.messages.all.filter(({ event }) => event === 'pusher_internal:member_removed').length, 1);
    watcher.destroy();
});

test('a second receiver takes the place of the first', async () => {
    const session = await openFallback(server, { auto: false });
    const first = session.receiver;
    const second = session.receive();
    assert.equal(await first.whole(), 'broken');
    await session.send('pusher:ping', {});
    await second.lines.next((line) => line.includes('pusher:pong'));
    session.leave();
});

test('a stream that nobody reads is reset, and costs no more than its outbox', async () => {
    const small = await startServer({ edge: { outbox_bytes: 65536, outbox_stall_ms: 500 } });
    const session = await openFallback(small);
    await session.subscribe('flood');
    session.receiver.answer.pause();
    const publish = backEnd(small);
    await until(async () => {
        await publish.triggerBatch(Array.from({ length: 10 }, () => ({ channel: 'flood', name: 'n', data: 'x'.repeat(9000) })));
        return await metric(small, 'rollcall_slow_readers_total') > 0;
    }, 'the slow reader to be reset');
    await until(async () => await metric(small, 'rollcall_connections') === 0, 'it to be gone');
    assert.equal(await metric(small, 'rollcall_outbox_bytes'), 0);
    session.leave();
    await small.stop();
});

test('bodies that are no array of strings', async () => {
    const session = await openFallback(server);
    for (const body of ['', '{}', '[1]', '["a"', '["a"]x', '["a",]', '["\\ud800"]', '["\\u0000"]', '[["a"]]', 'null', '["a" "b"]', '[,]']) {
        const answer = await session.sendBody(body);
        assert.equal(answer.status, 400, body);
        assert.match(JSON.parse(answer.body).error, /JSON array of strings/);
    }
    assert.equal((await session.sendBody(Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]))).status, 400);
    /* several at once, with white space, escapes and non-ASCII */
    await session.sendBody(' [ "{\\"event\\":\\"pusher:ping\\"}" , "{\\"event\\":\\"\\u00e4\\ud83d\\ude00\\"}" ]\n');
    await session.next('pusher:pong');
    assert.match((await session.next('pusher:error')).data.message, /ä😀/);
    session.leave();
});

test('the rate of messages counts what is sent this way, also empty arrays', async () => {
    const strict = await startServer({ edge: { messages_per_second: 5, messages_burst: 10 } });
    for (const body of ['[]', '["{\\"event\\":\\"pusher:pong\\"}"]']) {
        const session = await openFallback(strict);
        let status = 204;
        for (let i = 0; i < 100 && status === 204; i++)
            ({ status } = await session.sendBody(body));
        assert.equal(status, 404);
        assert.equal((await session.end()).code, 4100);
    }
    await strict.stop();
});

test('preflights, other methods, unknown sessions and paths', async () => {
    for (const action of ['xhr_streaming', 'xhr', 'xhr_send']) {
        const headers = { Origin: 'https://shop.example', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type' };
        const preflight = await request(server, `${base}/${action}?t=1&n=1`, { method: 'OPTIONS', headers });
        assert.deepEqual([preflight.status, preflight.body], [204, '']);
        assert.equal(preflight.headers['access-control-allow-origin'], '*');
        assert.match(preflight.headers['access-control-allow-methods'], /\bPOST\b/);
        assert.match(preflight.headers['access-control-allow-headers'], /^content-type$/i);
        assert.ok(Number(preflight.headers['access-control-max-age']) >= 7200);
        for (const method of ['GET', 'PUT', 'DELETE', 'HEAD']) {
            const answer = await request(server, `${base}/${action}`, { method });
            assert.equal(answer.status, 405);
            assert.equal(answer.headers.allow, 'POST, OPTIONS');
        }
    }
    const unknown = await request(server, `${base}/xhr_send?t=1&n=2`, { body: '["x"]' });
    assert.equal(unknown.status, 404);
    assert.equal(unknown.headers['access-control-allow-origin'], '*');
    for (const path of ['/pusher', '/pusher/', '/pusher/app/', '/pusher/app/k', '/pusher/app/k/1/s', '/pusher/app/k/1/s/', '/pusher/app/k/1/s/xhr_',
        '/pusher/app/k/1//xhr', '/pusher/app/k//s/xhr', '/pusher/app//1/s/xhr', '/pusher/app/k/1/s/xhr/x', `/pusher/app/k/1/${'s'.repeat(600)}/xhr`])
        assert.equal((await request(server, path)).status, 404, path);
});

test('a page of another origin neither sends nor receives for a session', async () => {
    const session = await openFallback(server, { key: 'fenced', headers: { Origin: 'https://good.example' }, auto: false });
    for (const action of ['xhr_send', 'xhr', 'xhr_streaming']) {
        const stranger = await request(server, `${session.base}/${action}?${session.query}`, { headers: { Origin: 'https://bad.example' }, body: '[]' });
        assert.equal(stranger.status, 403, action);
    }
    await session.settled();
    session.leave();
});

test('a session belongs to its app: another key in the path is another session', async () => {
    const session = await openFallback(server);
    const other = session.base.replace('test-key', 'fenced');
    assert.equal((await request(server, `${other}/xhr_send`, { body: '[]' })).status, 404);
    session.leave();
});

test('edge.fallback_host is told in the open line, and the path prefix applies', async () => {
    const named = await startServer({ edge: { fallback_host: 'edge-1.example.com', path_prefix: '/realtime' } });
    const session = await openFallback(named);
    assert.deepEqual(session.opens.map(JSON.parse), [{ hostname: 'edge-1.example.com' }]);
    await session.settled();
    session.leave();
    await named.stop();
});

test('a keep-alive connection sends for many sessions, pipelined, and is answered in order', async () => {
    const sessions = await Promise.all(Array.from({ length: 16 }, () => openFallback(server)));
    const raw = await connect(server);
    const message = '["{\\"event\\":\\"pusher:ping\\"}"]';
    const length = `Content-Length: ${message.length}\r\n`;
    const chunked = 'Transfer-Encoding: chunked\r\n';
    const body = (i) => i % 2 ? message : `5\r\n${message.slice(0, 5)}\r\n${(message.length - 5).toString(16)}\r\n${message.slice(5)}\r\n0\r\n\r\n`;
    const send = (session, i) => `POST ${session.base}/xhr_send HTTP/1.1\r\nHost: x\r\nX-Number: ${i}\r\n${i % 2 ? length : chunked}\r\n${body(i)}`;
    raw.write(sessions.map(send).join('') + 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n');
    for (const _ of sessions)
        assert.equal((await raw.answer()).status, 204);
    assert.equal((await raw.answer()).status, 404);
    await Promise.all(sessions.map((session) => session.next('pusher:pong')));
    /* and slowly, so that nothing comes in one piece */
    for (const [i, session] of sessions.slice(0, 4).entries()) {
        await raw.writeBytewise(send(session, i));
        assert.equal((await raw.answer()).status, 204);
        await session.next('pusher:pong');
    }
    raw.destroy();
    sessions.forEach((session) => session.leave());
});

test('many sessions, every request at whichever worker: nothing gets lost', async () => {
    const sessions = await Promise.all(Array.from({ length: 40 }, (_, i) => openFallback(server, { polls: i % 2 === 0 })));
    assert.equal(new Set(sessions.map(({ socketId }) => socketId)).size, 40);
    assert.ok(new Set(sessions.map(({ socketId }) => Number(socketId.split('.')[1]) % 2)).size === 2, 'sessions live at both');
    await Promise.all(sessions.map((session) => session.subscribe('all')));
    for (let i = 0; i < 20; i++)
        await back.trigger('all', 'n', i);
    for (const session of sessions) {
        for (let i = 0; i < 20; i++)
            assert.equal((await session.next('n')).data, String(i));
        await until(() => session.isReceiving(), 'it to receive');
        session.leave();
    }
    await until(async () => await metric(server, 'rollcall_connections') === 0, 'all to be gone');
});

test('limits per address count sessions, also those of clients behind a PROXY header', async () => {
    const limited = await startServer({
        edge: { connections_per_address: 6, listen: [{ address: '127.0.0.1', port: 0, proxy_protocol: true }] },
    });
    const raw = await connect(limited);
    raw.write('PROXY TCP4 192.0.2.7 192.0.2.1 1234 80\r\n');
    const poll = (i) => raw.write(`POST /pusher/app/test-key/${i}/abcdefgh/xhr?protocol=7 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`);
    for (let i = 0; i < 5; i++) {
        poll(i);
        assert.match((await raw.answer()).body, /connection_established/);
    }
    poll(5);
    assert.match((await raw.answer()).body, /"code\\":4100.*\nc\[4100,/s);
    raw.destroy();
    await limited.stop();
});

test('SIGTERM: both kinds hear 4200, also late ones, and the server leaves with 0', async () => {
    const leaving = await startServer({ edge: { drain_ms: 60_000 } });
    const sessions = await Promise.all(Array.from({ length: 10 }, (_, i) => openFallback(leaving, { polls: i % 2 === 0 })));
    await Promise.all(sessions.map((session) => session.settled()));
    await until(() => sessions.every((session) => session.isReceiving()), 'all to be receiving');
    leaving.signal('SIGTERM');
    for (const session of sessions)
        assert.equal((await session.end()).code, 4200);
    await leaving.leftCleanly();
});

test('SIGTERM while sessions come and go and sockets change workers', async () => {
    for (let round = 0; round < 3; round++) {
        const busy = await startServer();
        let stopping = false;
        const life = async () => {
            while (!stopping) {
                const session = new FallbackSession(busy, { auto: false });
                session.receive();
                await session.sendBody('[]').catch(() => {});
                session.leave();
            }
        };
        const lives = Array.from({ length: 20 }, life);
        await until(async () => await metric(busy, 'rollcall_connections_opened_total') > 100, 'some life');
        const stopped = busy.stop();
        stopping = true;
        await stopped;
        await Promise.all(lives);
    }
});

endsCleanly(server);
