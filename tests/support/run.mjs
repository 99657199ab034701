/* Runs the tests of real processes (tests/integration, tests/faults), four files at a time since they mostly wait, and writes
 * "passed failed" to the file after --tally:
 *
 *   node tests/support/run.mjs [--tally FILE] [test files…]
 *
 * node:test's own command line cannot run files side by side before Node 20, nor count without its wrappers. */

import { readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const folders = ['../integration', '../faults'].map((name) => fileURLToPath(new URL(name, import.meta.url)));

function parse(words) {
    const at = words.indexOf('--tally');
    const tally = at < 0 ? null : words[at + 1];
    const files = words.filter((_, i) => at < 0 || (i !== at && i !== at + 1)).map((file) => resolve(file));
    return { tally, files };
}

function allFiles() {
    return folders.flatMap((folder) =>
        readdirSync(folder).filter((name) => name.endsWith('.test.mjs')).sort().map((name) => join(folder, name)));
}

const { tally, files } = parse(process.argv.slice(2));
const wanted = files.length > 0 ? files : allFiles();
let passed = 0;
let failed = 0;

/* A file that passes is no test; one that fails without any failing test in it (it did not even load) is one. */
const isFile = (data) => data.name.endsWith('.test.mjs');

/* A limit for hangs; what a soak makes longer says how long that is. */
const HANG_MS = 300_000 + 2 * 60_000 * Number(process.env.ROLLCALL_SOAK_MINUTES ?? 0);

const stream = run({ files: wanted, concurrency: 4, timeout: HANG_MS });
stream.on('test:pass', (data) => {
    passed += isFile(data) ? 0 : 1;
});
stream.on('test:fail', (data) => {
    failed += 1;
});
stream.compose(typeof spec === 'function' && spec.prototype ? new spec() : spec).pipe(process.stdout);
stream.on('end', () => {
    if (tally)
        writeFileSync(tally, `${passed} ${failed}\n`);
    process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
});
