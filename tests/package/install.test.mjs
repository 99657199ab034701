/* The package in a Debian that boots: first installation, every client's test, an upgrade, what systemd does for it,
 * purge. try.sh has made that system (ROLLCALL_SYSTEM), where the release before this one is installed and nothing ran yet. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { authorize, backEnd, connectPusher, disconnect, hears } from '../support/clients.mjs';
import { accepts, root } from '../support/server.mjs';
import { until, within } from '../support/wait.mjs';
import { allowedCalls, run } from './package.mjs';
import { System } from './system.mjs';

const folder = process.env.ROLLCALL_SYSTEM;
const at = (path) => join(folder, path);
const system = new System(folder);
const secret = () => readFileSync(at('etc/rollcall/secrets/first-app'), 'utf8');
const server = () => ({ host: '127.0.0.1', port: 6001, prefix: '', app: { id: '1001', key: 'first-app', secret: secret() } });
const configuration = at('etc/rollcall/rollcall.json');
const change = (edit) => writeFileSync(configuration, edit(readFileSync(configuration, 'utf8')));

const serves = () => until(() => system.state === 'active' && accepts(6001), () => `the service; ${system.journal()}`);

/* A member of a presence channel hears what a back end publishes. */
async function isOfUse() {
    const where = server();
    const pusher = await connectPusher(where, { user: { user_id: 'ann' } });
    pusher.subscribe('presence-room');
    await hears(pusher, 'pusher_internal:subscription_succeeded', 'presence-room');
    await backEnd(where).trigger('presence-room', 'news', { text: 'hello' });
    await hears(pusher, 'news', 'presence-room');
    disconnect(pusher);
}

test('where no systemd runs it installs, draws a secret, and is enabled', () => {
    assert.match(secret(), /^[0-9a-f]{64}$/);
    assert.equal(statSync(at('etc/rollcall/secrets')).mode & 0o7777, 0o750);
    assert.equal(statSync(at('etc/rollcall/secrets/first-app')).mode & 0o7777, 0o640);
    assert.ok(readdirSync(at('etc/systemd/system/multi-user.target.wants')).includes('rollcall.service'));
});

test('it starts with the system, and serves a browser and a back end with that secret', async () => {
    await system.boot();
    await serves();
    await isOfUse();
});

test('it has no rights: a user of its own, no capabilities, no new ones, a filter', () => {
    const status = readFileSync(`/proc/${system.init}/root/proc/${system.property('MainPID')}/status`, 'utf8');
    const field = (name) => status.match(new RegExp(`^${name}:\\s*(.*)$`, 'm'))[1];
    assert.ok(!field('Uid').split('\t').includes('0'), field('Uid'));
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        assert.equal(field(set), '0000000000000000', set);
    assert.equal(field('NoNewPrivs'), '1');
    assert.equal(field('Seccomp'), '2');
});

test('nobody else reads its secrets', () => {
    const { status, out } = system.try('setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', 'cat', '/etc/rollcall/secrets/first-app');
    assert.notEqual(status, 0);
    assert.match(out, /Permission denied/);
});

test('systemd brings back one that is killed', async () => {
    const before = system.property('MainPID');
    system.signal('KILL', before);
    await until(() => system.property('MainPID') !== before && system.property('MainPID') !== '0', 'another process');
    await serves();
    await isOfUse();
});

test('one that hangs is killed by the watchdog, and comes back', async () => {
    const before = system.property('MainPID');
    system.signal('STOP', before);
    await until(() => system.property('MainPID') !== before && system.property('MainPID') !== '0', 'another process', 60_000);
    assert.match(system.journal(), /Watchdog timeout/);
    await serves();
});

test('a reload takes up another app without a restart, with a secret that only the server reads', async () => {
    const [pid, app] = [system.property('MainPID'), { id: '1002', key: 'second-app', secret: 'operator-drew-it' }];
    system.run('sh', '-c', 'echo operator-drew-it | install -o root -g _rollcall -m 640 /dev/stdin /etc/rollcall/secrets/second-app');
    change((text) => text.replace('"apps": [', '"apps": [{ "id": "1002", "key": "second-app", "secret": { "file": "secrets/second-app" } },'));
    system.run('systemctl', 'reload', 'rollcall.service');
    const known = () => backEnd({ ...server(), app }).get({ path: '/channels' }).then(() => true, () => false);
    await until(known, () => `the second app; ${system.journal()}`);
    assert.equal(system.property('MainPID'), pid);
});

/* Connects again and again until it is called; how often, and how often in vain. */
function knock() {
    let [over, knocks, refused] = [false, 0, 0];
    const knocking = (async () => {
        for (; !over; knocks++)
            refused += await accepts(6001) ? 0 : 1;
        return { knocks, refused };
    })();
    return () => {
        over = true;
        return knocking;
    };
}

test('an upgrade refuses nobody, and keeps the operator\'s configuration and the secret', async () => {
    change((text) => text.replace('"key": "first-app"', '"key": "first-app", "client_events": true'));
    const [pid, old, words] = [system.property('MainPID'), secret(), readFileSync(configuration, 'utf8')];
    const client = await connectPusher(server());
    const back = within(new Promise((resolve) => client.connection.bind('connected', resolve)), 'pusher-js to come back');
    const knocking = knock();
    await system.runMeanwhile('dpkg', '-i', '/root/newer.deb');
    const { knocks, refused } = await knocking();
    assert.ok(knocks > 100, `${knocks}`);
    assert.equal(refused, 0);
    await back;
    disconnect(client);
    await serves();
    assert.notEqual(system.property('MainPID'), pid);
    await until(() => system.servers() === 1, 'the old process to end');
    assert.equal(system.property('NRestarts'), '2', 'that of the kill, and that of the watchdog');
    const told = system.property('WatchdogTimestampMonotonic');
    await until(() => system.property('WatchdogTimestampMonotonic') !== told, 'the new one to feed the watchdog');
    assert.equal(secret(), old);
    assert.equal(readFileSync(configuration, 'utf8'), words);
    await isOfUse();
});

test('an upgrade to a binary that does not like the configuration leaves the old one serving', async () => {
    const [pid, good] = [system.property('MainPID'), readFileSync(configuration, 'utf8')];
    change((text) => text.replace('6001', '70000'));
    assert.match(system.run('sh', '-c', 'dpkg -i /root/newer.deb 2>&1'), /the old one goes on serving/);
    assert.equal(system.property('MainPID'), pid);
    await isOfUse();
    writeFileSync(configuration, good);
    system.run('dpkg', '-i', '/root/newer.deb');
    assert.notEqual(system.property('MainPID'), pid);
    await until(() => system.servers() === 1, 'the old process to end');
    await isOfUse();
});

test('an upgrade does not start what the operator has stopped', () => {
    system.run('systemctl', 'stop', 'rollcall.service');
    system.run('dpkg', '-i', '/root/newer.deb');
    assert.equal(system.state, 'inactive', system.journal());
});

test('with a configuration that is wrong it does not start, is not tried again, and says where', async () => {
    const good = readFileSync(configuration, 'utf8');
    change((text) => text.replace('6001', '70000'));
    assert.notEqual(system.try('systemctl', 'start', 'rollcall.service').status, 0);
    assert.equal(system.state, 'failed');
    assert.equal(system.property('NRestarts'), '0');
    assert.match(system.journal(), /rollcall\.json:\d+: edge\.listen\[0\]\.port: must be/);
    writeFileSync(configuration, good);
    system.run('systemctl', 'start', 'rollcall.service');
    await serves();
});

test('removed, it is stopped, and what the operator wrote is kept', () => {
    system.run('dpkg', '--remove', 'rollcall');
    assert.equal(system.try('systemctl', 'is-active', 'rollcall.service').out.trim(), 'inactive');
    assert.ok(!existsSync(at('usr/bin/rollcall')));
    assert.ok(existsSync(configuration));
});

test('purged, it leaves nothing', () => {
    system.run('dpkg', '--purge', 'rollcall');
    const left = system.run('find', '/', '-xdev', '-iname', '*rollcall*', '-not', '-path', '/proc/*', '-not', '-path', '/tmp/*').trim();
    assert.equal(left, '');
    assert.equal(system.try('getent', 'group', '_rollcall').status, 2);
    assert.equal(system.try('grep', '-rl', '--exclude=g*-', 'rollcall', '/etc', '/var/lib/systemd').out, '');
});

test('the system ends', () => system.halt());
