/* `rollcall reload`: what it prints, and how it ends. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import test from 'node:test';
import { freePorts } from '../support/redis.mjs';
import { app, config, endsCleanly, runServer, startServer } from '../support/server.mjs';

const [port, nobody] = await freePorts(2);
const token = 'a-token-of-our-own';
const with_ = (changes, admin = {}) =>
    config({ ...changes, edge: { admin: { address: '127.0.0.1', port, token, ...admin }, ...changes.edge } });
const server = await startServer(with_({}));

const reload = (...args) => runServer(['reload', ...args]);
const ofFile = (settings, ...args) => {
    server.rewrite(settings);
    return reload('--config', server.path, ...args);
};

test('what has changed, and what needs a restart, and 0', async () => {
    const { code, stdout, stderr } = await ofFile(with_({ apps: [{ ...app, limits: { connections: 5 } }], edge: { name: 'x' } }));
    assert.equal(stderr, '');
    assert.equal(stdout, `${server.path}: reloaded, generation 2\nchanged: apps["7"].limits.connections\nneeds a restart: edge.name\n`);
    assert.equal(code, 0);
});

test('what is wrong, with file, line and path, and 78', async () => {
    const { code, stdout, stderr } = await ofFile('{\n"edge": {\n' + `"admin": {"port": ${port}, "token": "${token}"},\n"drain_ms": -1}}`);
    assert.equal(stdout, '');
    assert.match(stderr, new RegExp(`^${server.path}:4: edge\\.drain_ms: must be a whole number from 0 to \\d+ \\(ms\\), but is -1\n`));
    assert.match(stderr, /\nthe configuration before stays\n$/);
    assert.equal(code, 78);
    const broken = await ofFile('{"edge": ');
    assert.match(broken.stderr, /rollcall\.json:1: column \d+: must be JSON/);
    assert.equal(broken.code, 78);
});

test('what only the server can read is left to it', async () => {
    const { code, stderr } = await ofFile(with_({ apps: [{ ...app, secret: { env: 'ONLY_THE_SERVER_HAS_IT' } }] }));
    assert.match(stderr, /the environment variable ONLY_THE_SERVER_HAS_IT is not set\nthe configuration before stays/);
    assert.equal(code, 78);
});

test('the server at another place than the file says, or than it says now', async () => {
    const moved = with_({}, { port: nobody });
    const lost = await ofFile(moved);
    assert.match(lost.stderr, new RegExp(`nobody answers at 127\\.0\\.0\\.1:${nobody}, the admin listener: .*refused|connect`));
    assert.equal(lost.code, 69);
    const { code, stdout } = await ofFile(moved, '--edge', `127.0.0.1:${port}`);
    assert.match(stdout, /needs a restart: edge\.admin\.port/);
    assert.equal(code, 0);
});

test('without the token it is refused, in words', async () => {
    const other = join(server.path, '../other.json');
    writeFileSync(other, JSON.stringify(with_({}, { token: 'a-token-of-others' })));
    const { code, stderr } = await reload('--config', other);
    assert.match(stderr, /answered 401: .*Authorization: Bearer/);
    assert.equal(code, 69);
});

test('a file that the configuration names no admin listener that could be asked', async () => {
    for (const admin of [{ port: 0 }, { enabled: false }]) {
        const { code, stderr } = await ofFile(with_({}, admin));
        assert.match(stderr, /the configuration names no admin listener that could be asked \(edge\.admin\); say where it is with --edge/);
        assert.equal(code, 69);
    }
    const missing = await reload('--config', `${server.path}.nowhere`);
    assert.match(missing.stderr, /cannot be read: No such file/);
    assert.equal(missing.code, 78);
});

test('all interfaces are asked at the own one', async () => {
    const { code } = await ofFile(with_({}, { address: '0.0.0.0' }));
    assert.equal(code, 0);
});

test('a page of another site cannot have it done', async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/reload`,
        { method: 'POST', headers: { 'Sec-Fetch-Site': 'cross-site', Authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 403);
});

endsCleanly(server);
