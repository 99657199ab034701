/* TLS on the edge itself: who gets in, with which certificate, and what happens to those who do something else. That
 * everything else is as without TLS is shown by other files, which run once more with ROLLCALL_TLS. */
// threads

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import test, { after } from 'node:test';
import tls from 'node:tls';
import { openTab, startBrowser, startSite } from '../support/browser.mjs';
import { backEnd, connectPusher, disconnect, event, subscribe } from '../support/clients.mjs';
import { Authority, ourCertificate } from '../support/certificates.mjs';
import { connect, frame, openPusher, openWebSocket, PING, PONG } from '../support/raw.mjs';
import { app, config, endsCleanly, runServerWith, startServer, temporaryFolder } from '../support/server.mjs';
import { until, within } from '../support/wait.mjs';

const HEALTH = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
const { authority, certificate, key } = ourCertificate();
const chat = authority.issue(['chat.example', '*.rooms.example']);
const rsa = authority.issue(['rsa.example'], { rsa: true });
const files = ({ certificate: chain, key: secret }) => ({ certificate: chain, key: secret });
const speaksTls = (more = {}, ...others) => ({
    address: '127.0.0.1', port: 0, tls: { certificates: [{ certificate, key }, ...others.map(files)] }, ...more,
});

const server = await startServer({
    edge: { listen: [speaksTls({}, chat, rsa), speaksTls({ proxy_protocol: true })], head_timeout_ms: 1500, drain_ms: 500 },
    apps: [{ ...app, limits: { event_bytes: 1 << 20 } }],
});
const back = backEnd(server);
const site = await startSite(() => null);
let browsing = null;
const browser = () => (browsing ??= startBrowser({ certificate }));
after(async () => {
    site.close();
    await (await browsing)?.close();
});

const failures = async (reason) => [...await server.metrics()]
    .filter(([name]) => name.startsWith('rollcall_tls_handshake_failures_total') && name.includes(`"${reason}"`))
    .reduce((sum, [, count]) => sum + count, 0);

/* A plain socket to the port, and what comes back until the server closes. */
async function stranger(bytes, at = server.where[0]) {
    const raw = await connect(server, { host: at.host, port: at.port });
    if (bytes)
        raw.write(bytes);
    return raw;
}

test('pusher-js over wss and a back end over https', async () => {
    const pusher = await connectPusher(server, { user: { user_id: 'ann' } });
    assert.match(pusher.connection.connection.transport.socket.url ?? 'wss:', /^wss:/);
    const channel = await subscribe(pusher, 'presence-tls');
    const heard = event(channel, 'news');
    await back.trigger('presence-tls', 'news', { text: 'hello' });
    assert.deepEqual((await heard).data, { text: 'hello' });
    assert.deepEqual(await (await back.get({ path: '/channels/presence-tls/users' })).json(), { users: [{ id: 'ann' }] });
    disconnect(pusher);
});

for (const transport of ['ws', 'xhr_streaming', 'xhr_polling']) {
    test(`pusher-js in Chromium by ${transport}, encrypted`, async () => {
        const tab = await openTab(await browser(), site.url);
        const socketId = await tab.evaluate(([key_, options]) => new Promise((resolve, reject) => {
            window.pusher = new window.Pusher(key_, options);
            window.pusher.connection.bind('connected', () => resolve(window.pusher.connection.socket_id));
            window.pusher.connection.bind('error', (error) => reject(new Error(JSON.stringify(error))));
            window.said = new Promise((said) => window.pusher.subscribe('news').bind('e', said));
            window.ready = new Promise((ready) => window.pusher.channel('news').bind('pusher:subscription_succeeded', ready));
        }), [server.app.key, { cluster: 'none', wsHost: server.host, wssPort: server.port, httpHost: server.host, httpsPort: server.port,
            forceTLS: true, enabledTransports: [transport] }]);
        assert.match(socketId, /^\d+\.\d+$/);
        await tab.evaluate(() => window.ready);
        await back.trigger('news', 'e', { by: transport });
        assert.deepEqual(await tab.evaluate(() => window.said), { by: transport });
        await tab.close();
    });
}

/* What a client is shown, and agrees on. */
function agree(options) {
    return within(new Promise((resolve, reject) => {
        const socket = tls.connect({ host: server.host, port: server.port, checkServerIdentity: () => undefined, ...options });
        socket.on('secureConnect', () => {
            resolve({ subject: socket.getPeerCertificate().subject.CN, version: socket.getProtocol(), cipher: socket.getCipher().name,
                group: socket.getEphemeralKeyInfo().type, alpn: socket.alpnProtocol });
            socket.destroy();
        });
        socket.on('error', reject);
    }), 'a handshake');
}

test('the certificate is the one for the name, with wildcards; the first one for every other', async () => {
    const names = { 'chat.example': 'chat.example', 'CHAT.example': 'chat.example', 'a.rooms.example': 'chat.example',
        'rsa.example': 'rsa.example', 'a.b.rooms.example': '127.0.0.1', 'rooms.example': '127.0.0.1', 'other.example': '127.0.0.1' };
    for (const [servername, subject] of Object.entries(names))
        assert.equal((await agree({ servername })).subject, subject, servername);
    assert.equal((await agree({})).subject, '127.0.0.1');
});

test('1.2 and 1.3, with forward secrecy; nothing older, no weak cipher, no other protocol', async () => {
    assert.equal((await agree({ maxVersion: 'TLSv1.2' })).version, 'TLSv1.2');
    assert.equal((await agree({})).version, 'TLSv1.3');
    for (const servername of ['chat.example', 'rsa.example'])
        assert.match((await agree({ maxVersion: 'TLSv1.2', servername })).cipher, /^ECDHE-.*(GCM|POLY1305)/);
    const before = await failures('version');
    await assert.rejects(agree({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }), /protocol version/);
    await until(async () => await failures('version') === before + 1, 'it to be counted');
    await assert.rejects(agree({ maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA', servername: 'rsa.example' }), /handshake failure/);
    assert.equal((await agree({ ALPNProtocols: ['h2', 'http/1.1'] })).alpn, 'http/1.1');
    await assert.rejects(agree({ ALPNProtocols: ['h2'] }), /no application protocol/);
});

test('min_version 1.3 refuses 1.2', async () => {
    const listen = speaksTls();
    listen.tls.min_version = '1.3';
    const modern = await startServer({ edge: { listen: [listen] } });
    const at = { host: modern.host, port: modern.port };
    await assert.rejects(agree({ ...at, maxVersion: 'TLSv1.2' }), /protocol version/);
    assert.equal((await agree(at)).version, 'TLSv1.3');
    await modern.stop();
});

test('whoever comes back is spared the full handshake, whichever worker he meets', async () => {
    let last;
    for (let i = 0; i < 12; i++) {
        const socket = tls.connect({ host: server.host, port: server.port, session: last });
        socket.resume();
        const ticket = within(new Promise((resolve, reject) => {
            socket.on('session', resolve);
            socket.on('error', reject);
        }), 'a ticket');
        await within(new Promise((resolve) => socket.on('secureConnect', resolve)), 'a handshake');
        socket.write(HEALTH);
        last = await ticket;
        assert.equal(socket.isSessionReused(), i > 0, `connection ${i}`);
        socket.destroy();
    }
});

test('HTTP on the port gets words, in HTTP', async () => {
    const raw = await stranger(HEALTH);
    const answer = await raw.answer();
    assert.equal(answer.status, 400);
    assert.match(answer.body, /speaks TLS: use https/);
    raw.destroy();
    await until(async () => await failures('plain_http') === 1, 'it to be counted');
});

test('garbage, half a handshake and silence are ended, and counted', async () => {
    const [protocol, closed, timeout] = [await failures('protocol'), await failures('closed'), await failures('timeout')];
    const noise = await stranger(Buffer.from('\x16\x03\x01\x02\x00\x01garbage that is no hello'.padEnd(600, '!'), 'latin1'));
    assert.match(await noise.rest(), /^\x15\x03/, 'an alert'); // eslint-disable-line no-control-regex
    const ssh = await stranger('SSH-2.0-OpenSSH_9.2\r\n');
    await ssh.rest();
    await until(async () => await failures('protocol') === protocol + 2, 'both to be counted');
    (await stranger(Buffer.from([0x16, 3, 1, 1]))).destroy();
    await until(async () => await failures('closed') === closed + 1, 'it to be counted');
    const begun = Date.now();
    const [half, silent] = [await stranger(Buffer.from([0x16, 3, 1, 1])), await stranger()];
    await Promise.all([half.rest(), silent.rest()]);
    assert.ok(Date.now() - begun >= 1400, 'not before the deadline of the head');
    await until(async () => await failures('timeout') === timeout + 2, 'both to be counted');
});

/* Carries the bytes of a TLS client one by one. */
async function bytewise() {
    const relay = net.createServer(async (client) => {
        const upstream = net.connect({ host: server.host, port: server.port, noDelay: true });
        upstream.on('data', (bytes) => client.write(bytes)).on('error', () => client.destroy()).on('close', () => client.destroy());
        client.on('error', () => {}).on('close', () => upstream.destroy());
        for await (const bytes of client.iterator({ destroyOnReturn: false }))
            for (const byte of bytes)
                await new Promise((done) => upstream.write(Buffer.of(byte), done));
    });
    await new Promise((resolve) => relay.listen(0, '127.0.0.1', resolve));
    return relay;
}

test('a handshake, a request and a WebSocket that come byte by byte', async () => {
    const relay = await bytewise();
    const where = { host: '127.0.0.1', port: relay.address().port, tls: {} };
    const raw = await connect(server, where);
    raw.write(HEALTH);
    assert.equal((await raw.answer()).status, 200);
    raw.destroy();
    const websocket = await openPusher(server, undefined, { where });
    await websocket.settled();
    websocket.destroy();
    relay.close();
});

test('a request that comes with the end of the handshake, and many in one packet', async () => {
    const socket = tls.connect({ host: server.host, port: server.port });
    socket.write(HEALTH.repeat(20)); /* Node sends it with its Finished */
    let text = '';
    socket.setEncoding('latin1').on('data', (piece) => {
        text += piece;
    });
    await until(() => text.split('HTTP/1.1 200 OK').length === 21, 'twenty answers');
    socket.destroy();
});

test('the PROXY header stands in front of TLS, in one packet with the hello or not', async () => {
    const [, at] = server.where;
    for (const together of [true, false]) {
        const carrier = net.connect(at);
        carrier.setNoDelay(true);
        let held = Buffer.from('PROXY TCP4 203.0.113.7 192.0.2.1 50000 6001\r\n');
        const relay = net.createServer((client) => {
            client.on('data', (bytes) => {
                if (!together && held.length > 0)
                    carrier.write(held);
                carrier.write(together ? Buffer.concat([held, bytes]) : bytes);
                held = Buffer.alloc(0);
            });
            carrier.on('data', (bytes) => client.write(bytes)).on('close', () => client.destroy());
        });
        await new Promise((resolve) => relay.listen(0, '127.0.0.1', resolve));
        const websocket = await openPusher(server, undefined, { where: { host: '127.0.0.1', port: relay.address().port, tls: {} } });
        await websocket.settled();
        websocket.destroy();
        carrier.destroy();
        relay.close();
    }
});

test('a megabyte to a client, and its messages of many records', async () => {
    const websocket = await openPusher(server);
    websocket.send('pusher:subscribe', { channel: 'large' });
    await websocket.next('pusher_internal:subscription_succeeded');
    const data = 'é'.repeat((1 << 19) - 1000);
    for (let n = 0; n < 4; n++)
        await back.trigger('large', 'e', `${n}${data}`);
    for (let n = 0; n < 4; n++)
        assert.equal((await websocket.next('e')).data, `${n}${data}`);
    websocket.send('pusher:ping', { padding: 'x'.repeat(60_000) });
    await websocket.next('pusher:pong');
    websocket.destroy();
});

test('one who pings and does not read is bounded; events between pongs are whole', async () => {
    const websocket = await openPusher(server);
    websocket.send('pusher:subscribe', { channel: 'pongs' });
    await websocket.next('pusher_internal:subscription_succeeded');
    for (let n = 0; n < 200; n++) {
        websocket.sendBytes(frame(PING, `ping ${n}`));
        if (n % 4 === 0)
            await back.trigger('pongs', 'e', `${n} ${'y'.repeat(20_000)}`);
    }
    for (let n = 0; n < 200; n += 4)
        assert.ok((await websocket.next('e')).data.startsWith(`${n} y`));
    await websocket.controls.next(({ opcode }) => opcode === PONG, 'a pong');
    await websocket.settled();
    websocket.destroy();
});

test('the certificates are in the metrics', async () => {
    const metrics = await server.metrics();
    const name = `rollcall_certificate_expires_timestamp_seconds{listen="0",subject="chat.example",file="${chat.certificate}"}`;
    const days = (metrics.get(name) - Date.now() / 1000) / 86400;
    assert.ok(days > 29.9 && days <= 30, `${days} days`);
});

test('the log tells of those that expire within two weeks, at the start and after a reload', async () => {
    const pair = (...args) => files(authority.issue(...args));
    const certificates = [pair(['soon.example'], { days: 13 }), pair(['late.example'], { days: 15 }), pair(['gone.example'], { days: -1 })];
    const settings = config({ edge: { listen: [{ address: '127.0.0.1', port: 0, tls: { certificates } }] } });
    const warned = await startServer(settings);
    await warned.logged(/"tls\.expires".*soon\.example expires in 1[23] days/);
    await warned.logged(/"tls\.expired".*gone\.example has expired/);
    settings.edge.listen[0].tls.certificates = certificates.slice(0, 2);
    await warned.reload(settings);
    await warned.logged(/"tls\.expires".*soon\.example/);
    assert.ok(!warned.log.all.some(({ line }) => line.includes('late.example')));
    await warned.stop();
});

/* ---- reloading ---- */

test('new certificates are shown from a reload on; who is connected stays, and tickets are good', async () => {
    const [one, two] = [authority.issue(['one.example', 'IP:127.0.0.1']), authority.issue(['two.example', 'IP:127.0.0.1'])];
    const pem = (path) => readFileSync(path, 'utf8');
    const ours = files(one);
    const settings = config({ edge: { listen: [{ address: '127.0.0.1', port: 0, tls: { certificates: [ours] } }] } });
    const reloaded = await startServer(settings);
    const shown = () => agree({ host: reloaded.host, port: reloaded.port });
    const websocket = await openPusher(reloaded);
    const kept = await connect(reloaded);
    kept.write(HEALTH);
    await kept.answer();
    assert.equal((await shown()).subject, 'one.example');
    assert.equal((await reloaded.reload(settings)).status, 200);
    assert.equal((await shown()).subject, 'one.example', 'still, when nothing has changed');

    const first = [pem(one.certificate), pem(one.key)];
    writeFileSync(one.certificate, pem(two.certificate));
    const halfway = await reloaded.reload(settings);
    assert.equal(halfway.status, 422);
    assert.match(halfway.text, /certificates\[0\]\.key: .* holds the key of another certificate/);
    assert.equal((await shown()).subject, 'one.example', 'as long as the new one is not whole');

    writeFileSync(one.key, pem(two.key));
    assert.equal((await reloaded.reload(settings)).status, 200);
    assert.equal((await shown()).subject, 'two.example');
    assert.ok([...(await reloaded.metrics()).keys()].some((name) => name.includes('subject="two.example"')));
    await websocket.settled();
    kept.write(HEALTH);
    assert.equal((await kept.answer()).status, 200);
    writeFileSync(one.certificate, first[0]);
    writeFileSync(one.key, first[1]);
    reloaded.signal('SIGHUP');
    await until(async () => (await shown()).subject === 'one.example', 'the first one to be back');
    websocket.destroy();
    kept.destroy();
    await reloaded.stop();
});

/* ---- what a configuration may not say ---- */

const problemOf = async (pair, more = {}) => {
    const settings = config({ edge: { listen: [{ address: '127.0.0.1', port: 0, tls: { certificates: [pair], ...more } }] } });
    const { code, stderr } = await runServerWith(JSON.stringify(settings, null, 1), ['--check']);
    return { code, stderr };
};

function write(name, text) {
    const path = join(temporaryFolder(), name);
    writeFileSync(path, text);
    return path;
}

test('what is wrong with a certificate or key is said with file, line and path', async () => {
    const folder = temporaryFolder();
    const pem = readFileSync(certificate, 'utf8'), secret = readFileSync(key, 'utf8');
    const cut = pem.replace(/\n[^\n]{64}\n/, '\n');
    const sealed = join(folder, 'sealed.pem');
    await within(new Promise((done) => spawn('openssl', ['pkey', '-in', key, '-aes256', '-passout', 'pass:x', '-out', sealed])
        .on('exit', done)), 'openssl');
    const wrong = [
        [{ certificate: join(folder, 'none.pem'), key }, /certificates\[0\]\.certificate: .*none\.pem cannot be read: No such file/],
        [{ certificate, key: join(folder, 'none.pem') }, /certificates\[0\]\.key: .*none\.pem cannot be read: No such file/],
        [{ certificate, key: folder }, /\.key: .* is not a regular file/],
        [{ certificate, key: chat.key }, /\.key: .* holds the key of another certificate/],
        [{ certificate: key, key }, /\.certificate: .* holds a key, but no certificate/],
        [{ certificate, key: certificate }, /\.key: .* holds a certificate, but no key/],
        [{ certificate, key: sealed }, /\.key: .* is protected by a passphrase/],
        [{ certificate: write('cut.pem', cut), key }, /\.certificate: .* holds a certificate that cannot be read \(/],
        [{ certificate: write('chain.pem', pem + cut), key }, /\.certificate: .* cannot be read, number 2 \(/],
        [{ certificate: write('many.pem', pem.repeat(17)), key }, /holds more than 16 certificates/],
        [{ certificate: write('long.pem', 'x'.repeat(300_000)), key }, /more than 262144 bytes/],
        [{ certificate: write('empty.pem', ''), key }, /\.certificate: .*empty\.pem is empty/],
        [{ certificate: write('text.pem', 'hello'), key }, /holds no certificate in PEM/],
        [{ certificate, key: write('key.pem', secret.replace(/\n[^\n]{64}\n/, '\n')) }, /holds a key that cannot be read \(/],
        [{ certificate }, /certificates\[0\]\.key: is missing/],
    ];
    for (const [pair, words] of wrong) {
        const { code, stderr } = await problemOf(pair);
        assert.equal(code, 78, stderr);
        assert.match(stderr, words);
        assert.match(stderr, /^\S+rollcall\.json:\d+: edge\.listen\[0\]\.tls\.certificates\[0\]/m);
    }
    assert.match((await problemOf({ certificate, key }, { min_version: '1.1' })).stderr, /min_version: must be "1\.2" or "1\.3"/);
});

test('an expired certificate and a chain out of order are accepted, with a warning', async () => {
    const old = authority.issue(['old.example'], { days: -1 });
    const { code, stderr } = await problemOf(files(old));
    assert.equal(code, 0);
    assert.match(stderr, /rollcall\.json:\d+: edge\.listen\[0\]\.tls\.certificates\[0\]\.certificate: .* has expired on \d{4}-\d\d-\d\d/);
    const pem = (path) => readFileSync(path, 'utf8');
    const odd = await problemOf({ certificate: write('odd.pem', pem(certificate) + pem(chat.certificate)), key });
    assert.equal(odd.code, 0);
    assert.match(odd.stderr, /do not follow from each other/);
    const whole = await problemOf({ certificate: write('whole.pem', pem(certificate) + pem(authority.file)), key });
    assert.deepEqual(whole, { code: 0, stderr: '' });
});

test('one that does not know the authority is refused by itself, and counted', async () => {
    const before = await failures('certificate');
    const other = new Authority('another');
    const client = spawn('openssl', ['s_client', '-connect', `${server.host}:${server.port}`, '-CAfile', other.file, '-verify_return_error'],
        { stdio: ['ignore', 'ignore', 'ignore'] });
    await within(new Promise((done) => client.on('exit', done)), 'openssl');
    await until(async () => await failures('certificate') === before + 1, 'it to be counted');
});

test('a handshake counts against the limit per address', async () => {
    const limited = await startServer({ edge: { listen: [speaksTls()], connections_per_address: 2 } });
    const open = [await stranger(null, limited.where[0]), await stranger(null, limited.where[0])];
    const third = await stranger(null, limited.where[0]);
    await third.rest();
    open.forEach((raw) => raw.destroy());
    await until(() => agree({ host: limited.host, port: limited.port }).then(() => true, () => false), 'room for one more');
    await limited.stop();
});

test('three descriptors a connection are counted: who comes too late is told so, not dropped', async () => {
    const small = await startServer({ edge: { listen: [speaksTls()], workers: 2 } }, { wrap: ['prlimit', '--nofile=400:400'] });
    const clients = await Promise.all(Array.from({ length: 110 }, () => openWebSocket(small)));
    const told = await Promise.all(clients.map((client) => client.messages.next()));
    const inside = told.filter(({ event: what }) => what === 'pusher:connection_established').length;
    assert.ok(inside >= 80 && inside <= 95, `${inside} are in`);
    for (const { event: what, data } of told)
        assert.ok(what === 'pusher:connection_established' || data.code === 4100, what);
    assert.ok(!small.log.all.some(({ line }) => line.includes('accept.paused')));
    clients.forEach((client) => client.destroy());
    await small.stop();
});

test('a drain says goodbye through TLS', async () => {
    const leaving = await startServer({ edge: { listen: [speaksTls()], drain_ms: 300 } });
    const clients = await Promise.all(Array.from({ length: 20 }, () => openPusher(leaving)));
    const idle = await connect(leaving);
    idle.write(HEALTH);
    await idle.answer();
    leaving.signal('SIGTERM');
    for (const client of clients)
        assert.equal((await client.ended()).code, 4200);
    await idle.rest();
    await leaving.leftCleanly();
});

endsCleanly(server);
