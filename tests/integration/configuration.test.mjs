/* The configuration, from the outside: what is wrong is said with file, line and path, and nothing starts. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { root, runServer, runServerWith } from '../support/server.mjs';

const check = (text, options) => runServerWith(text, ['--check'], options);

test('an empty object is a good configuration', async () => {
    const { code, stderr } = await check('{}');
    assert.equal(code, 0, stderr);
});

test('lines that begin with // are comments, values that contain it are not', async () => {
    const { code, stderr } = await check('// a comment\n{\n  // another\n  "apps": [{"id": "1", "key": "k", "secret":\n"//x//y"}]\n}\n');
    assert.equal(code, 0, stderr);
});

/* [text, what the complaint must say]. Each is also complained about with the file's name and a line. */
const bad = {
    'no JSON': ['{"edge": ', /:1:/],
    'an error on line 3': ['{\n"edge": {\n"workers": }\n}', /:3:/],
    'a list': ['[]', /object/],
    'an unknown key': ['{"egde": {}}', /egde/],
    'an unknown key further in': ['{\n"edge": {\n"wrokers": 1}}', /:3: edge\.wrokers/],
    'a wrong type': ['{"edge": {"workers": "two"}}', /edge\.workers: must be a whole number from 0 to 256/],
    'a fraction': ['{"edge": {"workers": 1.5}}', /edge\.workers: must be a whole number/],
    'a negative number': ['{"edge": {"workers": -1}}', /edge\.workers: must be a whole number from 0/],
    'a number that is too large': ['{"edge": {"listen": [{"port": 65536}]}}', /edge\.listen\[0\]\.port: must be a whole number from 0 to 65535/],
    'a null': ['{"edge": {"listen": null}}', /edge\.listen/],
    'an address that is none': ['{"edge": {"listen": [{"address": "localhost.example"}]}}', /edge\.listen\[0\]\.address/],
    'a prefix without a slash': ['{"edge": {"path_prefix": "x"}}', /edge\.path_prefix/],
    'a store that does not exist': ['{"presence": {"store": "paper"}}', /presence\.store.*memory/],
    'an app without a secret': ['{"apps": [{"id": "1", "key": "k"}]}', /apps\[0\].*secret/],
    'two apps of one key': ['{"apps": [{"id":"1","key":"k","secret":"s"},{"id":"2","key":"k","secret":"s"}]}', /apps\[1\]\.key/],
    'two apps of one id': ['{"apps": [{"id":"1","key":"k","secret":"s"},{"id":"1","key":"l","secret":"s"}]}', /apps\[1\]\.id/],
    'a secret in a variable that is not there': ['{"apps": [{"id":"1","key":"k","secret":{"env":"NOT_THERE"}}]}', /NOT_THERE/],
    'a secret in a file that is not there': ['{"apps": [{"id":"1","key":"k","secret":{"file":"/not/there"}}]}', /\/not\/there/],
    'the same key twice': ['{"edge": {}, "edge": {}}', /edge|duplicate/],
    'the demo secret for everyone': ['{"edge":{"listen":[{"address":"0.0.0.0"}]},"apps":[{"id":"app-id","key":"app-key","secret":"app-secret"}]}', /secret/],
    'the demo secret for every IPv6 host': ['{"edge":{"listen":[{"address":"::"}]},"apps":[{"id":"app-id","key":"app-key","secret":"app-secret"}]}', /secret/],
};

for (const [what, [text, words]] of Object.entries(bad)) {
    test(`${what} is refused, in words that teach`, async () => {
        const { code, stderr } = await check(text);
        assert.ok(typeof code === 'number' && code > 0, `exit ${code}`);
        assert.match(stderr, /rollcall\.json:\d+:/);
        assert.match(stderr, words);
        const started = await runServerWith(text);
        assert.equal(started.code, code, 'and it does not start with it either');
    });
}

test('every problem is said, not only the first', async () => {
    const { stderr } = await check('{\n"edge": {"workers": "x",\n"listen": [{"port": -1}]},\n"log": {"level": "loud"}}');
    for (const words of [/:2: edge\.workers/, /:3: edge\.listen\[0\]\.port/, /:4: log\.level/])
        assert.match(stderr, words);
});

test('a file that is not there, and a folder', async () => {
    for (const path of ['/not/there.json', tmpdir()]) {
        const { code, stderr } = await runServer(['--config', path, '--check']);
        assert.ok(code > 0);
        assert.ok(stderr.includes(path), stderr);
    }
});

test('secrets come from variables and files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rollcall-secret-'));
    writeFileSync(join(folder, 'secret'), 'from-a-file\n');
    const app = (n, secret) => ({ id: String(n), key: `k${n}`, secret });
    const text = JSON.stringify({ apps: [app(1, { env: 'A_SECRET' }), app(2, { file: join(folder, 'secret') })] });
    const { code, stderr } = await check(text, { env: { ...process.env, A_SECRET: 'from-a-variable' } });
    assert.equal(code, 0, stderr);
});

test('a secret is never printed', async () => {
    const { stderr, stdout } = await check('{"apps": [{"id":"1","key":"k","secret":"hush-hush","colour":1}]}');
    assert.ok(!(stderr + stdout).includes('hush-hush'));
});

test('a wrong command line is explained', async () => {
    for (const args of [[], ['--nonsense'], ['--config'], ['stray']]) {
        const { code, stderr } = await runServer(args);
        assert.ok(code > 0);
        assert.match(stderr, /--config/);
    }
});

test('every configuration in conf/ is good', async () => {
    const names = readdirSync(join(root, 'conf')).filter((name) => name.endsWith('.json') && !name.includes('schema'));
    assert.ok(names.includes('rollcall.json'));
    for (const name of names) {
        const path = join(root, 'conf', name);
        const variables = [...readFileSync(path, 'utf8').matchAll(/"env": *"(\w+)"/g)].map(([, variable]) => [variable, 'x']);
        const env = { ...process.env, ...Object.fromEntries(variables) };
        const { code, stderr } = await runServer(['--config', path, '--check'], { env });
        assert.equal(code, 0, `${name}: ${stderr}`);
    }
});

test('conf/rollcall.schema.json is what the program would print', async () => {
    const { stdout } = await runServer(['--schema']);
    assert.equal(stdout, readFileSync(join(root, 'conf/rollcall.schema.json'), 'utf8'));
    JSON.parse(stdout);
});

test('--explain knows every key of the schema', async () => {
    const { code, stdout } = await runServer(['--explain']);
    assert.equal(code, 0);
    for (const key of ['edge.workers', 'edge.listen', 'presence.store', 'presence_members', 'client_events_per_second'])
        assert.ok(stdout.includes(key), key);
});
