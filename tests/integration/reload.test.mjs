/* A new configuration in a running server: apps, keys, limits, origins, the log; whole or not at all. */
// threads
// workers

import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { after } from 'node:test';
import { authorize, backEnd, connectPusher, disconnect, event, subscribe } from '../support/clients.mjs';
import { openFallback, request } from '../support/fallback.mjs';
import { PROTOCOL, appPath, exchange, get, openPusher, openWebSocket } from '../support/raw.mjs';
import { app, config, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const old = { id: '8', key: 'old-key', secret: 'old-secret' };
const base = { edge: { drain_ms: 200 }, apps: [app, old] };
const server = await startServer(base);
const calm = await startServer(base); /* the log says little of what happens often: this one is asked rarely */
const with_ = (changes) => config({ ...base, ...changes, edge: { ...base.edge, ...changes.edge } });
const apps = (...list) => with_({ apps: list });

/* A connection of an app, whichever key. */
const open = (of = app) => openPusher(server, appPath(server, PROTOCOL, of.key));

async function taken(settings, ...lines) {
    const { status, text } = await server.reload(settings);
    assert.equal(status, 200, text);
    const [first, ...rest] = text.trimEnd().split('\n');
    assert.match(first, /rollcall\.json: reloaded, generation \d+/);
    assert.deepEqual(rest.sort(), lines.sort());
    return first;
}

async function refused(settings, expected) {
    const { status, text } = await server.reload(settings);
    assert.equal(status, 422, text);
    assert.match(text, expected);
    assert.match(text, /the configuration before stays\n$/);
}

const state = async () => (await server.admin('/reload')).json();

async function closedWith(websocket, code) {
    assert.equal((await websocket.ended()).code, code);
}

test('a file without a change is read again, and nobody notices', async () => {
    const client = await open();
    assert.match(await taken(with_({})), /generation 2; nothing has changed$/);
    await client.settled();
    client.destroy();
});

test('a new app is there at once, for clients and back ends', async () => {
    const young = { id: '9', key: 'young-key', secret: 'young-secret' };
    await assert.rejects(open(young), /4001/);
    await taken(apps(app, old, young), 'changed: apps["9"] (new)');
    const there = { ...server, app: young, prefix: server.prefix };
    const client = await connectPusher(there);
    const channel = await subscribe(client, 'news');
    const heard = event(channel, 'hello');
    await backEnd(there).trigger('news', 'hello', 'you');
    assert.equal((await heard).data, 'you');
    disconnect(client);
    await taken(apps(app, old), 'changed: apps["9"] (removed)');
    await assert.rejects(open(young), /4001/);
});

test('those of an app that is gone are closed with 4001, of one that is disabled with 4003; no others', async () => {
    const [stays, goes, ...more] = await Promise.all([open(), open(old), open(old), open(old)]);
    await taken(apps(app), 'changed: apps["8"] (removed)');
    await Promise.all([goes, ...more].map((client) => closedWith(client, 4001)));
    await taken(apps(app, old), 'changed: apps["8"] (new)');
    const again = await open(old);
    await taken(apps(app, { ...old, enabled: false }), 'changed: apps["8"].enabled');
    await closedWith(again, 4003);
    await closedWith(await openWebSocket(server, appPath(server, PROTOCOL, old.key)), 4003);
    assert.equal((await exchange(server, get(old, '/apps/8/channels'))).status, 403);
    await taken(apps(app, old), 'changed: apps["8"].enabled');
    (await open(old)).destroy();
    await stays.settled();
    stays.destroy();
});

test('many of them are closed one after the other, however often is reloaded meanwhile', async () => {
    const slow = (list) => with_({ edge: { drain_ms: 1500 }, apps: list });
    await taken(slow([app, old]), 'changed: edge.drain_ms');
    const clients = await Promise.all(Array.from({ length: 40 }, () => open(old)));
    const times = clients.map((client) => closedWith(client, 4001).then(() => Date.now()));
    await taken(slow([app]), 'changed: apps["8"] (removed)');
    const end = Promise.all(times);
    for (let i = 0; i < 20; i++)
        await taken(slow([app]));
    const sorted = (await end).sort((a, b) => a - b);
    assert.ok(sorted[39] - sorted[0] >= 700, `all within ${sorted[39] - sorted[0]} ms`);
    await taken(with_({}), 'changed: apps["8"] (new)', 'changed: edge.drain_ms');
});

test('an app that comes back before its connections were closed keeps them, and counts them', async () => {
    const slow = (list) => with_({ edge: { drain_ms: 60_000 }, apps: list });
    const limited = { ...old, limits: { connections: 2 } };
    await taken(slow([app, limited]), 'changed: apps["8"].limits.connections', 'changed: edge.drain_ms');
    const [first, second] = [await open(old), await open(old)];
    await taken(slow([app]), 'changed: apps["8"] (removed)');
    await taken(slow([app, limited]), 'changed: apps["8"] (new)');
    const left = [];
    for (const client of [first, second]) /* the first of each worker had its turn at once */
        await client.settled().then(() => left.push(client), () => closedWith(client, 4001));
    for (let count = left.length; count < 2; count++)
        left.push(await open(old));
    await closedWith(await openWebSocket(server, appPath(server, PROTOCOL, old.key)), 4004);
    left.forEach((client) => client.destroy());
    await taken(with_({}), 'changed: apps["8"].limits.connections', 'changed: edge.drain_ms');
});

test('a pair is changed without a connection lost: signatures of both are good, then only of the new one', async () => {
    const fresh = { key: 'fresh-key', secret: 'fresh-secret' };
    const client = await open();
    const join = async (channel, pair) => {
        const { auth } = authorize(server, client.socketId, channel, null, pair);
        client.send('pusher:subscribe', { channel, auth });
        const answer = await client.messages.next((message) => message.channel === channel && /subscription/.test(message.event));
        return answer.event;
    };
    await taken(apps({ ...app, keys: [fresh] }, old), `changed: apps["7"].keys`);
    assert.equal(await join('private-a', app), 'pusher_internal:subscription_succeeded');
    assert.equal(await join('private-b', fresh), 'pusher_internal:subscription_succeeded');
    await taken(apps({ ...app, ...fresh }, old), 'changed: apps["7"].key', 'changed: apps["7"].keys', 'changed: apps["7"].secret');
    assert.notEqual(await join('private-c', app), 'pusher_internal:subscription_succeeded');
    assert.equal(await join('private-d', fresh), 'pusher_internal:subscription_succeeded');
    assert.equal((await exchange(server, get(app, '/apps/7/channels'))).status, 401);
    assert.equal((await exchange(server, get({ ...app, ...fresh }, '/apps/7/channels'))).status, 200);
    await assert.rejects(open(), /4001/);
    const changed = { ...app, key: fresh.key, secret: 'another-secret' };
    await taken(apps(changed, old), 'changed: apps["7"].secret');
    assert.notEqual(await join('private-e', fresh), 'pusher_internal:subscription_succeeded');
    assert.equal(await join('private-f', changed), 'pusher_internal:subscription_succeeded');
    client.destroy();
    await server.reload(with_({}));
});

test('other origins: only for those who come', async () => {
    const from = (origin) => openPusher(server, appPath(server), { headers: { Origin: origin } });
    const there = await from('https://a.example');
    await taken(apps({ ...app, allowed_origins: ['https://b.example'] }, old), 'changed: apps["7"].allowed_origins');
    await assert.rejects(from('https://a.example'), /4009/);
    (await from('https://b.example')).destroy();
    await there.settled();
    there.destroy();
    await server.reload(with_({}));
});

test('a session of the HTTP fallback stays, too, but pages of other origins still have no part in it', async () => {
    const session = await openFallback(server, { polls: true, headers: { Origin: 'https://a.example' } });
    await taken(apps({ ...app, allowed_origins: ['https://b.example'] }, old), 'changed: apps["7"].allowed_origins');
    await session.subscribe('still-there');
    const stolen = await request(server, `${session.base}/xhr_send`, { body: '[]', headers: { Origin: 'https://c.example' } });
    assert.equal(stolen.status, 403);
    await assert.rejects(openFallback(server, { headers: { Origin: 'https://a.example' } }), /4009/);
    session.leave();
    await server.reload(with_({}));
});

test('limits and rights hold at once, also for those who are there', async () => {
    const client = await open(), other = await open();
    client.send('pusher:subscribe', { channel: 'private-x', ...authorize(server, client.socketId, 'private-x') });
    await client.next('pusher_internal:subscription_succeeded');
    client.send('client-a', {}, 'private-x');
    await client.settled();
    await taken(apps({ ...app, client_events: false, limits: { channels_per_connection: 1, connections: 2 } }, old),
        'changed: apps["7"].client_events', 'changed: apps["7"].limits.channels_per_connection', 'changed: apps["7"].limits.connections');
    client.send('client-a', {}, 'private-x');
    assert.match(JSON.stringify(await client.next('pusher:error')), /not enabled/);
    client.send('pusher:subscribe', { channel: 'y' });
    assert.match(JSON.stringify(await client.messages.next(({ event: name }) => /error/.test(name))), /1/);
    await closedWith(await openWebSocket(server), 4004);
    other.destroy();
    client.destroy();
    await server.reload(with_({}));
});

test('who is silent is pinged by the new time', async () => {
    const client = await open();
    await client.settled();
    await taken(with_({ edge: { ping_after_ms: 100 } }), 'changed: edge.ping_after_ms');
    await client.controls.next(({ opcode }) => opcode === 9, 'a ping');
    client.destroy();
    await server.reload(with_({}));
});

test('who must show himself from now on has the whole time for it', async () => {
    const client = await open();
    await client.settled();
    await taken(apps({ ...app, require_authorization: true, authorization_timeout_ms: 300 }, old),
        'changed: apps["7"].authorization_timeout_ms', 'changed: apps["7"].require_authorization');
    await client.settled();
    await closedWith(client, 4009);
    await server.reload(with_({}));
});

test('the level of the log', async () => {
    const settle = (changes) => calm.reload(with_(changes));
    await settle({ log: { level: 'error' } });
    const before = calm.log.all.length;
    await settle({ log: { level: 'error' } });
    assert.equal(calm.log.all.length, before, 'nothing is said of what goes well');
    await settle({});
    await calm.logged(/config\.reloaded.*changed: log\.level/);
});

test('what needs a restart stays as it is, and is named, and the rest is taken', async () => {
    const settings = with_({ edge: { workers: 1 + (server.settings.edge.workers % 4), name: 'x', outbox_bytes: 5000 },
        presence: { heartbeat_ms: 1000 } });
    settings.edge.listen.push({ address: '127.0.0.2', port: 0 });
    await taken(settings, 'changed: edge.outbox_bytes', 'needs a restart: edge.workers', 'needs a restart: edge.name',
        'needs a restart: edge.listen', 'needs a restart: presence.heartbeat_ms');
    await calm.reload(settings);
    await calm.logged(/config\.restart.*edge\.name, edge\.workers, edge\.listen, presence\.heartbeat_ms/);
    await taken(settings, 'needs a restart: edge.workers', 'needs a restart: edge.name',
        'needs a restart: edge.listen', 'needs a restart: presence.heartbeat_ms');
    await taken(with_({}), 'changed: edge.outbox_bytes');
});

test('what is good only after a restart is refused until then', async () => {
    const open_ = await startServer({ edge: { listen: [{ address: '0.0.0.0', port: 0 }] } });
    const demo = { id: 'app-id', key: 'app-key', secret: 'app-secret' };
    const { status, text } = await open_.reload(config({ apps: [demo] }));
    assert.equal(status, 422);
    assert.match(text, /what needs a restart stays as it is until then \(edge\.listen\[0\]\.address\)/);
    assert.match(text, /apps\[0\]\.secret: "app-secret" is the secret of the demonstration/);
    await open_.stop();
});

test('an error leaves everything as it was, and says file, line and path', async () => {
    const client = await open();
    const young = { id: '9', key: 'young-key', secret: 'young-secret' };
    const { generation } = await state();
    await refused(with_({ apps: [app, old, young], edge: { drain_ms: 'soon' } }),
        /^\S+\/rollcall\.json:\d+: edge\.drain_ms: must be a whole number from 0 to \d+ \(ms\), but is "soon"$/m);
    await assert.rejects(open(young), /4001/);
    await refused('{"apps": [', /rollcall\.json:1: column \d+: must be JSON/);
    await refused(apps(app, app), /apps\[1\]\.id: must be unique/);
    await client.settled();
    const now = await state();
    assert.equal(now.generation, generation);
    assert.match(now.refused.problems, /must be unique/);
    assert.equal((await server.metrics()).get('rollcall_config_last_reload_successful'), 0);
    await taken(with_({}));
    assert.equal((await state()).refused, undefined);
    assert.equal((await server.metrics()).get('rollcall_config_last_reload_successful'), 1);
    client.destroy();
});

test('a file that disappears, and one that is none any more', async () => {
    const aside = `${server.path}.aside`;
    renameSync(server.path, aside);
    await refused(undefined, /rollcall\.json: cannot be read: No such file/);
    mkdirSync(server.path);
    await refused(undefined, /rollcall\.json: is no regular file/);
    rmSync(server.path, { recursive: true });
    renameSync(aside, server.path);
    await taken(undefined);
});

test('included files that come, change, break and go', async () => {
    const folder = join(dirname(server.path), 'apps.d'), file = join(folder, 'nine.json');
    const young = { id: '9', key: 'young-key', secret: 'young-secret' };
    const settings = { ...with_({}), include: 'apps.d' };
    await refused(settings, /include: \S+apps\.d cannot be read/);
    mkdirSync(folder);
    await taken(settings, 'changed: include');
    writeFileSync(file, JSON.stringify(young));
    await taken(undefined, 'changed: apps["9"] (new)');
    const client = await open(young);
    writeFileSync(file, JSON.stringify({ ...young, limits: { event_bytes: 7 } }));
    await taken(undefined, 'changed: apps["9"].limits.event_bytes');
    writeFileSync(file, JSON.stringify({ ...young, limits: { event_bytes: -7 } }));
    await refused(undefined, /nine\.json:1: limits\.event_bytes: must be/);
    await client.settled();
    rmSync(file);
    await taken(undefined, 'changed: apps["9"] (removed)');
    await closedWith(client, 4001);
    await taken(with_({}), 'changed: include');
});

test('SIGHUP does the same, and the log says so', async () => {
    const until_ = (result, count) => until(async () =>
        (await calm.metrics()).get(`rollcall_config_reloads_total{result="${result}"}`) === count, `reload ${count} to be ${result}`);
    const { reloads } = await (await calm.admin('/reload')).json();
    writeFileSync(calm.path, JSON.stringify(with_({ edge: { outbox_bytes: 9000 } })));
    process.kill(calm.pid, 'SIGHUP');
    await calm.logged(/config\.reloaded.*changed: edge\.outbox_bytes/);
    await until_('taken', reloads.taken + 1);
    writeFileSync(calm.path, '[]');
    process.kill(calm.pid, 'SIGHUP');
    await calm.logged(/config\.refused.*rollcall\.json:1: must be one JSON object/);
    await calm.logged(/config\.kept/);
    await until_('refused', 1);
    await calm.stop();
});

test('who asks while a reload is under way is told of one that read the file after he asked', async () => {
    const before = (await state()).reloads.taken;
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => {
        process.kill(server.pid, 'SIGHUP');
        return server.reload(with_({ edge: { outbox_bytes: 5000 + i } }));
    }));
    answers.forEach(({ status }) => assert.equal(status, 200));
    assert.ok((await state()).reloads.taken > before);
    await taken(with_({ edge: { outbox_bytes: 5019 } }));
    await taken(with_({}), 'changed: edge.outbox_bytes');
});

test('the state is there for people and for Prometheus', async () => {
    const { file, generation, loaded, reloads } = await state();
    const metrics = await server.metrics();
    assert.equal(file, server.path);
    assert.equal(metrics.get('rollcall_config_generation'), generation);
    assert.equal(metrics.get('rollcall_config_reloads_total{result="taken"}'), reloads.taken);
    assert.equal(metrics.get('rollcall_config_reloads_total{result="refused"}'), reloads.refused);
    assert.equal(generation, reloads.taken + 1);
    const at = metrics.get('rollcall_config_last_reload_success_timestamp_seconds');
    assert.ok(Math.abs(at - Date.now() / 1000) < 600 && Math.floor(at) === Date.parse(loaded) / 1000, `${at} ${loaded}`);
});

test('while the process drains nothing is reloaded', async () => {
    await taken(with_({ edge: { drain_ms: 1000 } }), 'changed: edge.drain_ms');
    const clients = await Promise.all([open(), open(), open(), open()]);
    server.signal('SIGTERM');
    await server.logged(/process\.draining/);
    process.kill(server.pid, 'SIGHUP');
    await server.logged(/config\.stopping/);
    const { status, text } = await server.reload('{"nonsense": 1}');
    assert.equal(status, 503, text);
    assert.match(text, /stopping/);
    await Promise.all(clients.map((client) => closedWith(client, 4200)));
    await server.leftCleanly();
});

after(() => server.process.kill('SIGKILL'));
