/* The Debian package as it was built: what is in it, and whether the binary in it serves under the unit's filter of system
 * calls. ROLLCALL_DEB is the package; `./dev test` builds it. Installing it in a system that boots: install.test.mjs. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { allowedCalls, deb, run, settingsOf, unpacked, watched } from './package.mjs';

const folder = unpacked();
const files = run('dpkg-deb', '-c', deb).trim().split('\n').map((line) => {
    const [mode, owner] = line.split(/\s+/);
    return { mode, owner, path: line.slice(line.indexOf('./') + 1) };
});
const unitPath = files.find(({ path }) => path.endsWith('/systemd/system/rollcall.service')).path;
const unit = join(folder, unitPath);
const binary = join(folder, 'usr/bin/rollcall');
const say = (...args) => run(binary, ...args);
const manual = (page) => run('man', '-l', join(folder, page)).replace(/.\x08/g, '');
const sorted = (names) => [...new Set(names)].sort();

test('lintian finds no error, and every warning has a reason beside it', () => {
    const { status, stdout } = spawnSync('lintian', ['--allow-root', '--no-cfg', deb], { encoding: 'utf8' });
    assert.equal(status, 0, stdout);
    assert.equal(stdout, '');
});

test('everything belongs to root, nobody else writes to it, and the secrets are not for everyone', () => {
    for (const { mode, owner, path } of files) {
        assert.equal(owner, 'root/root', path);
        assert.match(mode, /^[-d]r.[-x]r-[-x](r-[-x]|---)/, path);
    }
    assert.equal(files.find(({ path }) => path === '/etc/rollcall/secrets/').mode, 'drwxr-x---');
});

test('what stands under /etc is a configuration file to dpkg', () => {
    const listed = run('dpkg-deb', '-I', deb, 'conffiles').trim().split('\n').sort();
    assert.deepEqual(listed, files.map(({ path }) => path).filter((path) => /^\/etc\/.*[^/]$/.test(path)).sort());
});

test('it needs what the binary is linked with, and the part of libwebsockets that is loaded by name', () => {
    const depends = run('dpkg-deb', '-f', deb, 'Depends');
    for (const name of ['libc6', 'libuv1', 'libwebsockets', 'libhiredis', 'libcurl4', 'libwebsockets-evlib-uv', 'adduser'])
        assert.ok(depends.includes(name), `${name} in: ${depends}`);
});

test('the unit is exposed to 1.5 at most', () => {
    const words = run('systemd-analyze', '--no-pager', 'security', '--offline=true', '--threshold=15', unit);
    const [, exposure] = words.match(/Overall exposure level for rollcall\.service: ([0-9.]+)/);
    assert.ok(Number(exposure) <= 1.5, words);
});

test('the unit names only what is there', () => {
    const settings = new Map(settingsOf(unit));
    const [command, option, path] = settings.get('ExecStart').split(' ');
    assert.ok(statSync(join(folder, command)).mode & 0o100, command);
    assert.equal(option, '--config');
    assert.ok(statSync(join(folder, path)).isFile(), path);
    const here = join(folder, 'rollcall.service');
    writeFileSync(here, readFileSync(unit, 'utf8').replace(/^ExecStart=/m, `ExecStart=${folder}`));
    const { status, stderr } = spawnSync('systemd-analyze', ['--no-pager', '--man=no', 'verify', here], { encoding: 'utf8' });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
});

/* With the secret that postinst draws, and the schema where the package has it. */
test('the configuration is good, listens on this machine only, and has no secret that anybody knows', () => {
    const path = join(folder, 'etc/rollcall/rollcall.json');
    const without = spawnSync(binary, ['--config', path, '--check'], { encoding: 'utf8' });
    assert.equal(without.status, 78);
    assert.match(without.stderr, /secrets\/first-app/);
    run('sh', '-c', `echo drawn >${folder}/etc/rollcall/secrets/first-app`);
    assert.match(say('--config', path, '--check'), /good/);
    assert.ok(!readFileSync(path, 'utf8').includes('app-secret'));
    const text = readFileSync(path, 'utf8').split('\n').filter((line) => !/^\s*\/\//.test(line)).join('\n');
    const { $schema: schema, edge } = JSON.parse(text);
    assert.deepEqual([...edge.listen, edge.admin].map(({ address }) => address), ['127.0.0.1', '127.0.0.1']);
    assert.ok(statSync(join(folder, schema)).isFile());
    assert.equal(edge.state_dir, `/var/lib/${new Map(settingsOf(unit)).get('StateDirectory')}`);
});

test('rollcall.json(5) has every key of --explain with its words', () => {
    const page = manual('usr/share/man/man5/rollcall.json.5.gz').replace(/[‐-]\n\s+/g, '').replace(/\s+/g, ' ');
    const paragraphs = say('--explain').split('\n\n').slice(1);
    assert.ok(paragraphs.length > 80, `${paragraphs.length} keys`);
    for (const paragraph of paragraphs) {
        const squeezed = paragraph.replace(/\s+/g, ' ').trim();
        assert.ok(page.replaceAll(' ', '').includes(squeezed.replaceAll(' ', '')), squeezed);
    }
});

/* Words of the command line: commands, and options. */
const options = (text) => sorted(text.match(/(?<![\w-])--[a-z][a-z-]*/g) ?? []);
const commands = (text) => sorted([...text.matchAll(/^ {2}rollcall ([a-z]+)/gm)].map(([, name]) => name));

test('rollcall(1) and the completion know what --help knows, and no more', () => {
    const help = say('--help');
    const page = manual('usr/share/man/man1/rollcall.1.gz');
    const completion = readFileSync(join(folder, 'usr/share/bash-completion/completions/rollcall'), 'utf8');
    assert.ok(commands(help).length > 1);
    assert.deepEqual(options(page), options(help));
    assert.deepEqual(sorted([...page.matchAll(/^ {7}rollcall +([a-z]+)/gm)].map(([, name]) => name)), commands(help));
    const [, offered] = completion.match(/compgen -W "([^"]*)"/);
    assert.deepEqual(sorted(offered.split(' ')), sorted([...options(help), ...commands(help)]));
});

test('the completion completes', () => {
    const complete = (...words) => run('bash', '-c', `source ${folder}/usr/share/bash-completion/completions/rollcall
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rollcall 2>/dev/null; echo "\${COMPREPLY[*]}"`, 'bash', ...words).trim();
    assert.equal(complete('rollcall', 'ver'), 'verify');
    assert.equal(complete('rollcall', '--con'), '--config');
    assert.equal(complete('rollcall', '--config', '/etc/host'), run('bash', '-c', 'compgen -f /etc/host | xargs').trim());
});

test('manual pages are what man makes of them without a complaint', () => {
    for (const page of ['man1/rollcall.1.gz', 'man5/rollcall.json.5.gz']) {
        const { stderr, status } = spawnSync('man', ['--warnings=all', '-l', join(folder, 'usr/share/man', page)],
            { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '80' } });
        assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, page);
    }
});

/* Clients and back ends, presence, limits, slow readers, webhooks, a hand-over, a fleet with Redis. */
const served = ['integration/presence', 'integration/http_publish', 'integration/client_events', 'integration/slow_readers',
    'integration/webhooks', 'integration/listeners', 'integration/succeed', 'faults/shard_out'];

test('the filter of system calls would stop what it is meant to stop', () => {
    const mount = watched('/bin/mount', allowedCalls(unit));
    assert.notEqual(spawnSync(mount.command, ['-t', 'tmpfs', 'none', '/not/there']).status, 0);
    assert.match(readFileSync(mount.log, 'utf8'), /mount\(/);
});

test('the packaged binary passes the clients\' tests, and makes no system call that the unit forbids', { timeout: 280_000 }, () => {
    const { command, log } = watched(binary, allowedCalls(unit));
    const { NODE_TEST_CONTEXT: _, ...env } = process.env; /* with it the runner within this test would run nothing */
    const paths = served.map((name) => fileURLToPath(new URL(`../${name}.test.mjs`, import.meta.url)));
    const { status, stdout } = spawnSync(process.execPath, [fileURLToPath(new URL('../support/run.mjs', import.meta.url)), ...paths],
        { encoding: 'utf8', env: { ...env, ROLLCALL_BIN: command } });
    assert.equal(status, 0, stdout.slice(-6000));
    assert.equal(readFileSync(log, 'utf8'), '');
});
