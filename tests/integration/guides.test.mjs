/* The guides in conf/ and the README: every key, metric, command, file and Redis command that they name is there. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { RedisFleet } from '../support/redis.mjs';
import { root, runServer, startServer } from '../support/server.mjs';

const read = (path) => readFileSync(join(root, path), 'utf8');
const guides = readdirSync(join(root, 'conf')).filter((name) => name.endsWith('.md')).map((name) => `conf/${name}`);
const texts = [...guides, 'README.md'].map((path) => ({ path, text: read(path) }));

/* What pattern finds in any of them, each once, as [path, match]. */
function named(pattern) {
    const found = new Map();
    for (const { path, text } of texts)
        for (const [, name] of text.matchAll(pattern))
            found.set(`${path}: ${name}`, name);
    return [...found];
}

function allAreThere(found, isThere, atLeast) {
    assert.ok(found.length >= atLeast, `only ${found.length} named`);
    assert.deepEqual(found.filter(([, name]) => !isThere(name)).map(([where]) => where), []);
}

test('keys of the configuration', async () => {
    const { stdout } = await runServer(['--explain']);
    const keys = new Set(stdout.split('\n').filter((line) => /^[a-z$][\w.[\]]*$/.test(line)).map((line) => line.replaceAll('[]', '')));
    assert.ok(keys.has('edge.listen.port'));
    allAreThere(named(/`((?:edge|presence|redis|log|apps)(?:\[\])?\.[a-z][\w.[\]]*)/g), (name) => keys.has(name.replaceAll('[]', '').replace(/\.$/, '')), 20);
});

test('options and commands of rollcall', async () => {
    const { stdout: help } = await runServer(['--help']);
    const words = (text) => [...text.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([word]) => word);
    const known = new Set(words(help));
    const commands = new Set([...help.matchAll(/^ {2}rollcall ([a-z]+)/gm)].map(([, name]) => name));
    allAreThere(named(/(?:^ {4}|`)rollcall ([a-z]+) --/gm), (name) => commands.has(name), 2);
    allAreThere(named(/(?:^ {4}|`)rollcall(?: [a-z]+)? (--[^`\n]*)/gm), (line) => words(line).every((word) => known.has(word)), 5);
});

test('what ./dev does', () => {
    const help = execFileSync(join(root, 'dev'), ['help'], { encoding: 'utf8' });
    allAreThere(named(/\.\/dev ([a-z]+)/g), (name) => help.includes(`./dev ${name}`), 5);
});

test('files of the repository, and links to other guides', () => {
    allAreThere(named(/(?<![\w/])(conf\/[\w./-]*[\w/])/g), (path) => existsSync(join(root, path)), 10);
    for (const { path, text } of texts)
        for (const [, link] of text.matchAll(/\]\(([^):#]+)\)/g))
            assert.ok(existsSync(join(root, dirname(path), link)), `${path}: ${link}`);
    const index = read('conf/README.md');
    for (const guide of guides.filter((name) => name !== 'conf/README.md'))
        assert.ok(index.includes(`(${guide.slice('conf/'.length)})`), `conf/README.md does not name ${guide}`);
});

test('metrics', async () => {
    const fleet = await new RedisFleet({ shardCount: 1, replicas: 0, sentinelCount: 0, minReplicas: 0 }).start();
    const [{ name, user, password, instances }] = fleet.shards;
    const server = await startServer({
        presence: { store: 'redis' },
        redis: { cluster: 'guides', shards: [{ name, username: user, password, address: instances[0].where }] },
    });
    const text = await (await server.admin('/metrics')).text();
    const known = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, metric]) => metric));
    /* Some are there only with TLS, or with webhooks. */
    const sources = execFileSync('git', ['-C', root, 'grep', '-h', '-o', '"rollcall_[a-z_]*', '--', 'edge'], { encoding: 'utf8' }).split('\n');
    const isThere = (metric) => known.has(metric) || sources.includes(`"${metric}`);
    allAreThere(named(/`(rollcall_[a-z_]+[a-z])`/g), isThere, 5);
    await server.stop();
    await fleet.stop();
});

/* ---- what the edges' user of Redis may do ---- */

const allowed = (text) => [...text.matchAll(/~rollcall:\* &rollcall:\* -@all (.*)$/gm)].map(([, list]) => list.trim());

/* Parts of messages; and what everybody may. */
const OTHERWISE = new Set(['readonly', 'replicaof', 'auth']);

/* Words in quotes that are commands of a real Redis, in the scripts and in what speaks to Redis. */
function commandsInTheSources(known) {
    const found = new Set();
    const files = execFileSync('git', ['-C', root, 'ls-files', '--cached', '--others', 'presence/redis', 'presence/engine'], { encoding: 'utf8' });
    for (const path of files.split('\n').filter((name) => /\.(lua|c)$/.test(name))) {
        const text = read(path).replace(/--.*|\/\*[^]*?\*\//g, '');
        for (const [, word] of text.matchAll(/['"]([A-Z]{2,})\b/g))
            if (known.has(word.toLowerCase()) && !OTHERWISE.has(word.toLowerCase()))
                found.add(word === 'SCRIPT' ? 'script|load' : word.toLowerCase());
    }
    return [...found].sort();
}

test('the commands that Redis must allow are those that the sources use, in the guide and in both shards\' files', async () => {
    const fleet = await new RedisFleet({ shardCount: 1, replicas: 0, sentinelCount: 0, minReplicas: 0 }).start();
    const known = new Set((await fleet.shards[0].instances[0].ask('COMMAND', 'LIST')).map((name) => name.toLowerCase()));
    await fleet.stop();
    const expected = commandsInTheSources(known).map((name) => `+${name}`).join(' ');
    for (const path of ['conf/redis.md', 'conf/redis/shard-1.conf', 'conf/redis/shard-2.conf'])
        assert.deepEqual(allowed(read(path)), [expected], path);
});
