/* The console and the tools of a fleet: two edges on a real Redis, looked at from one of them, while one dies and Redis loses
 * everything. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { startBrowser } from '../support/browser.mjs';
import { backEnd, connectPusher, disconnect, hears, subscribe } from '../support/clients.mjs';
import { H, L, adminOf, ask, goTo, openConsole, reads, rows, startWatchedFleet } from '../support/console.mjs';
import { app, binary, runServer, temporaryFolder } from '../support/server.mjs';
import { until, within } from '../support/wait.mjs';

const { redis, edges, servers } = await startWatchedFleet(['first', 'second'], { admin: { allow_changes: true } });
const [first, second] = edges;
const browser = await startBrowser();
after(() => browser.close());
const tab = await openConsole(browser, first);

/* The operator's copy of the configuration: its own edge and that one's peers. */
const folder = temporaryFolder();
function configFile(name, changes = {}) {
    const path = join(folder, `${name}.json`);
    writeFileSync(path, JSON.stringify({ ...first.settings, ...changes }));
    return path;
}
const path = configFile('fleet');
const tool = (...words) => runServer(words.includes('--config') ? words : ['--config', path, ...words]);

const person = async (edge, id, name) => {
    const pusher = await connectPusher(edge, { user: { user_id: id, ...name && { user_info: { name } } } });
    await subscribe(pusher, 'presence-room');
    return pusher;
};
const [anna, annasPhone, bert, cora] = [await person(first, 'anna', 'Anna'), await person(second, 'anna'),
    await person(second, 'bert'), await person(second, 'cora')];
await subscribe(bert, 'news');

/* ---- the page ---- */

test('edges with their leases, and their numbers together', async () => {
    await until(async () => (await rows(tab, '#edges')).filter(({ Connections }) => Connections !== '').length === 2, 'both edges to answer');
    await until(async () => {
        const shown = Object.fromEntries((await rows(tab, '#edges')).map((row) => [row.Edge.split('\n')[0].split(/(?=this one)/)[0], row]));
        return shown.first?.Connections === '1' && shown.second?.Connections === '3';
    }, 'their connections');
    for (const row of await rows(tab, '#edges')) {
        const lease = Number(row.Lease.match(/^(\d+\.\d) s$/)[1]) * 1000;
        assert.ok(lease > 0 && lease <= L + H, `a living edge's lease: ${row.Lease}`);
        assert.match(row.State, /ready/);
    }
    await reads(tab, '#tiles .tile:first-child .value', /^4$/);
    await tab.selectOption('#numbers-of', { label: 'second' });
    await reads(tab, '#tiles .tile:first-child .value', /^3$/);
    await tab.selectOption('#numbers-of', { label: 'all edges' });
});

test('shards, with who is proven to be their master, and how', async () => {
    const shown = await rows(tab, '#shards');
    assert.deepEqual(shown.map(({ Shard, Master }) => [Shard, Master]), redis.shards.map(({ name }, i) => [name, servers[i].where]));
    for (const { Shard, State, Proof } of shown) {
        assert.match(State, /^(well|data had been lost: removals wait)/);
        assert.match(Proof, new RegExp(`proven: it is a master and stamped as ${Shard}; its address is fixed`));
    }
});

test('a roster, with which edge holds whom, and why', async () => {
    await goTo(tab, '#/channels');
    await tab.click('text=presence-room');
    await until(async () => (await rows(tab, '#roster')).length === 3, 'three users');
    const shown = Object.fromEntries((await rows(tab, '#roster')).map((row) => [row.User.replace('Anna', '').trim(), row]));
    assert.deepEqual(shown.anna['Held by'].split(/\s+/).sort(), ['first', 'second']);
    assert.equal(shown.bert['Held by'], 'second');
    assert.deepEqual([shown.anna.Sockets, shown.bert.Sockets], ['2', '1'], 'sockets of both edges');
    await reads(tab, '#roster-edges', /second: 3 users, lease for/);
    await tab.click('#roster tr:has-text("anna") summary');
    const why = await reads(tab, '#roster details[open] dl', /last write/);
    for (const words of [`${anna.connection.socket_id} on first, worker`, `${annasPhone.connection.socket_id} on second, worker`, 'its lease runs for', 'acknowledged by Redis'])
        assert.ok(why.includes(words), `${words} in ${why}`);
});

test('an event is one line that names the edges it passed through; a client of another edge hears what the console sends', async () => {
    await goTo(tab, '#/events');
    await reads(tab, '#events-note', /first, second/);
    await backEnd(second).trigger('presence-room', 'seen-by-both', { n: 1 });
    await reads(tab, '#events', /seen-by-both.*through (first, second|second, first)/);
    assert.equal((await tab.innerText('#events')).match(/seen-by-both/g).length, 1);
    await tab.fill('#send-channel', 'news');
    await tab.click('#send-fields button');
    await hears(bert, 'hello', 'news');
    await reads(tab, '#events', /hello\s*in news/);
});

/* ---- the tools ---- */

test('who: users with edges, sockets and times; sockets of a channel without users', async () => {
    const { code, stdout, stderr } = await tool('who', 'presence-room');
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^presence-room of app 7: 3 users, 4 subscriptions on the 2 edges that were asked\n/);
    assert.match(stdout, /partition \d on shard-[01]/);
    assert.match(stdout, /^anna +(first, second|second, first) +2 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/m);
    assert.match(stdout, /^bert +second +1 +\d{4}/m);

    const json = JSON.parse((await tool('who', 'presence-room', '--json', '--app', '7')).stdout);
    const one = json.users.find(({ id }) => id === 'anna');
    assert.deepEqual(one.sockets.map(({ edge, socket_id }) => [edge, socket_id]).sort(),
        [['first', anna.connection.socket_id], ['second', annasPhone.connection.socket_id]]);
    assert.deepEqual([one.info, json.asked.sort(), json.not_asked], [{ name: 'Anna' }, ['first', 'second'], []]);

    const open = await tool('who', 'news');
    assert.match(open.stdout, new RegExp(`^${bert.connection.socket_id} +second +\\d{4}`, 'm'));
    assert.match((await tool('who', 'presence-empty')).stdout, /0 users, 0 subscriptions/);
});

test('who asks the edges that are named, and says who does not answer', async () => {
    const one = await tool('who', 'presence-room', '--edge', `127.0.0.1:${first.adminPort}`, '--json');
    const json = JSON.parse(one.stdout);
    assert.deepEqual(json.asked, ['first']);
    assert.deepEqual(json.users.find(({ id }) => id === 'bert').held_by.map(({ edge }) => edge), ['second'], 'Redis knows');
    assert.deepEqual(json.users.find(({ id }) => id === 'bert').sockets, [], 'but not the sockets');
    const partly = await tool('who', 'presence-room', '--edge', '127.0.0.1:1', '--edge', `127.0.0.1:${first.adminPort}`);
    assert.equal(partly.code, 0);
    assert.match(partly.stderr, /edge 127\.0\.0\.1:1 was not asked: /);
    const nobody = await tool('who', 'presence-room', '--edge', '127.0.0.1:1');
    assert.deepEqual([nobody.code, nobody.stdout], [1, '']);
});

test('why: which edge, socket, since when, lease until, last write', async () => {
    const { code, stdout } = await tool('why', 'presence-room', 'anna');
    assert.equal(code, 0);
    assert.match(stdout, /^anna is in presence-room of app 7\n/);
    assert.match(stdout, /held by +(first|second), owner \d+; its lease runs for \d\.\d s if it is not heard of again/);
    assert.match(stdout, new RegExp(`${anna.connection.socket_id} on first, worker [01]; subscribed since \\d{4}.*, connected since \\d{4}`));
    assert.match(stdout, /last write number \d+ of owner \d+, on (first|second); Redis has acknowledged it, last heartbeat \d\.\d s ago/);
    assert.match(stdout, /info +\{"name":"Anna"\}/);
    const nobody = await tool('why', 'presence-room', 'nobody\x1b[31m');
    assert.deepEqual([nobody.code, nobody.stdout], [1, 'nobody?[31m is not in presence-room of app 7\n'], 'nothing commands the terminal');
    const json = JSON.parse((await tool('why', 'presence-room', 'bert', '--json')).stdout);
    assert.deepEqual([json.users[0].held_by.length, json.holds.length, json.holds[0].edge, json.holds[0].settled], [1, 1, 'second', true]);
});

test('top, without a terminal: one look', async () => {
    const { code, stdout, stderr } = await tool('top');
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /2 edges answer\n/);
    assert.match(stdout, /^second +ready +\d\.\d s +3 /m);
    assert.match(stdout, new RegExp(`^shard-0 .* ${servers[0].where} +stamped, confirmed`, 'm'));
    assert.match(stdout, /^presence-room +4 +3$/m);
    const json = JSON.parse((await tool('top', '--json')).stdout);
    assert.deepEqual(json.edges.map(({ edge, counts }) => [edge, counts.connections]).sort(), [['first', 1], ['second', 3]]);
    assert.equal(typeof json.edges[0].rates.frames_sent, 'number');
    assert.equal(json.fleet.shards.length, 2);
    assert.equal(json.channels.channels[0].name, 'presence-room');
});

/* `script` gives a process a terminal of its own. */
function onTerminal(command) {
    const child = spawn('script', ['-qefc', `stty rows 30 cols 100; ${command}; stty -a`, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
    const screen = { text: '', child, exited: new Promise((resolve) => child.on('exit', resolve)) };
    child.stdout.on('data', (bytes) => { screen.text += bytes; });
    return screen;
}

test('top, on a terminal: it lives, q ends it, and the terminal is as before', async () => {
    const screen = onTerminal(`${binary} top --config ${path}`);
    await until(() => (screen.text.match(/rollcall top/g) ?? []).length >= 2, 'a second look');
    assert.match(screen.text, /\x1b\[\?1049h.*first +ready/s);
    screen.child.stdin.write('q');
    assert.equal(await within(screen.exited, 'top to end'), 0);
    assert.match(screen.text, /\x1b\[\?1049l[^]*[^-]icanon[^]*[^-]echo /, 'the terminal reads lines again, and shows what is typed');
});

test('tools say what is wrong with how they are called', async () => {
    for (const [words, code, said] of [[['who'], 64, /who takes CHANNEL/], [['why', 'presence-room'], 64, /why takes CHANNEL USER/],
        [['top', 'more'], 64, /unexpected argument 'more'/], [['who', 'a', 'b'], 64, /unexpected argument 'b'/],
        [['who', 'presence-room', '--app', '9'], 1, /there is no app "9"/]]) {
        const answer = await tool(...words);
        assert.equal(answer.code, code, words.join(' '));
        assert.match(answer.stderr, said);
    }
    const several = configFile('several', { apps: [app, { id: '8', key: 'k8', secret: 's8' }] });
    const unclear = await tool('who', 'presence-room', '--config', several);
    assert.deepEqual([unclear.code, /--app ID is missing: the configuration has 2 apps/.test(unclear.stderr)], [64, true]);
    const stranger = configFile('stranger', { edge: { ...first.settings.edge, admin: adminOf(first.adminPort, { token: 'another-token' }) } });
    const refused = await tool('who', 'presence-room', '--config', stranger);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /another edge\.admin\.token/);
});

/* ---- what breaks ---- */

test('an edge dies: its lease is seen to run out, its people go, and the timeline says who removed them', async () => {
    await goTo(tab, '#/fleet');
    second.signal('SIGKILL');
    await second.exited;
    await until(async () => (await rows(tab, '#edges')).some(({ Edge, State }) => /second/.test(Edge) && /cannot be reached/.test(State)), 'the edge to be missed');
    await until(async () => !(await rows(tab, '#edges')).some(({ Edge, Lease }) => /second/.test(Edge) && Lease), 'its lease to be gone', 5 * (L + 2 * H));
    await goTo(tab, '#/channels/7/presence-room');
    await until(async () => (await rows(tab, '#roster')).length === 1, 'anna to be alone');
    await goTo(tab, '#/healed');
    await reads(tab, '#healed', /Dead edge removed.*shard-[01].*The lease of edge second had run out/);
    const partly = await tool('top');
    assert.equal(partly.code, 0);
    assert.match(partly.stdout, /was not asked/);
});

test('Redis loses everything: the timeline tells of it, and of how it was put right', async () => {
    const before = (await ask(first, '/api/edge')).json.healed.next;
    await servers.reduce((done, server) => done.then(() => server.ask('FLUSHALL')), Promise.resolve());
    await until(async () => {
        const { entries } = (await ask(first, `/api/edge?healed=${before}`)).json.healed;
        return ['timeline', 'waits', 'asserted', 'waited'].every((kind) => entries.some((entry) => entry.kind === kind));
    }, 'all of it to be noted', 5 * (L + 2 * H));
    const { entries } = (await ask(first, `/api/edge?healed=${before}`)).json.healed;
    const lost = entries.filter(({ kind }) => kind === 'timeline');
    assert.deepEqual(lost.flatMap(({ partitions }) => partitions).sort(), [0, 1, 2, 3, 4, 5, 6, 7], 'each partition, once');
    assert.deepEqual([...new Set(lost.map(({ shard }) => shard))].sort(), ['shard-0', 'shard-1']);
    await reads(tab, '#healed', /Wait is over.*Written again.*Data replaced/);
});

test('a Redis goes and comes back: frozen, then thawed', async () => {
    const before = (await ask(first, '/api/edge')).json.healed.next;
    await servers[0].kill();
    await goTo(tab, '#/fleet');
    await until(async () => (await rows(tab, '#shards')).some(({ Shard, State, Proof }) =>
        Shard === 'shard-0' && /out of reach.*rosters stand still/.test(State) && /none answers/.test(Proof)), 'the shard to be missed');
    await reads(tab, '#state[data-state="bad"]', /shard-0/);
    await servers[0].start();
    await until(async () => (await ask(first, `/api/edge?healed=${before}`)).json.healed.entries.some(({ kind }) => kind === 'thawed'), 'it to be back', 20_000);
    const frozen = (await ask(first, `/api/edge?healed=${before}`)).json.healed.entries.find(({ kind }) => kind === 'frozen');
    assert.match(frozen.words, /went out of reach \(.+\)\. Rosters stand still/);
    assert.equal(frozen.shard, 'shard-0');
});

test('who and top of a single process in memory; without a token they say what to do', async () => {
    const { startServer } = await import('../support/server.mjs');
    const alone = await startServer({ edge: { name: 'alone', admin: adminOf(0) } });
    const settings = { ...alone.settings, edge: { ...alone.settings.edge, admin: adminOf(alone.adminPort) } };
    const memory = configFile('memory', { ...settings, presence: undefined, redis: undefined });
    const dora = await person(alone, 'dora');
    assert.match((await tool('who', 'presence-room', '--config', memory)).stdout, /1 user, 1 subscription on the 1 edge.*^dora +alone +1 +\d{4}/ms);
    assert.match((await tool('why', 'presence-room', 'dora', '--config', memory)).stdout, /held by +alone\n/);
    assert.match((await tool('top', '--config', memory)).stdout, /^alone +ready +- +1 /m);
    disconnect(dora);
    await alone.stop();
    const bare = await startServer({ edge: { name: 'bare' } });
    const closed = configFile('bare', { edge: { ...bare.settings.edge, admin: { address: '127.0.0.1', port: bare.adminPort } }, presence: undefined, redis: undefined });
    const { code, stderr } = await tool('who', 'presence-room', '--config', closed);
    assert.equal(code, 1);
    assert.match(stderr, /set edge\.admin\.token/);
    await bare.stop();
});

test('the page had nothing to complain of, and the edge leaves with 0', async () => {
    assert.deepEqual(tab.problems.filter((problem) => !/502|Failed to fetch/.test(problem)), [], 'but for the edge that died');
    await tab.close();
    [anna, annasPhone, bert, cora].forEach(disconnect);
    await first.stop();
    await redis.stop();
});

