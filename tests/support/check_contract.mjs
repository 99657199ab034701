/* Whether every row of tests/contract.md names tests, and whether those exist:
 *
 *   node tests/support/check_contract.mjs [table]
 *
 * Sources are read, not run: a test's name is the first argument of test(), or a C function that takes cmocka's state
 * and is in its list of tests. In a name, ${variable} stands for text of the same file, ${anything else} for any. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('..', import.meta.url));

const unquoted = (text) => text.replace(/\\(.)/g, '$1');
const escaped = (text) => text.replace(/[.*+?^$()[\]{}|\\]/g, '\\$&');

/* Whether a name fits what stands in the source between quotes of that kind. */
function fitter(quote, written, source) {
    const pieces = quote === '`' ? written.split(/\$\{([^}]*)\}/) : [written]; /* text, expression, text, … */
    const groups = pieces.map((piece, i) =>
        i % 2 === 0 ? escaped(unquoted(piece)) : /^\w+$/.test(piece) ? '(.+)' : '.+');
    const pattern = new RegExp(`^${groups.join('')}$`, 's');
    return (name) => name.match(pattern)?.slice(1).every((text) => source.includes(text)) ?? false;
}

function namesInScript(source) {
    const calls = source.matchAll(/\btest\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs);
    return [...calls].map(([, quote, written]) => fitter(quote, written, unquoted(source)));
}

function namesInC(source) {
    const defined = [...source.matchAll(/^static void (\w+)\(void \*\*state\)/gm)].map(([, name]) => name);
    return defined.filter((name) => new RegExp(`[(,]\\s*${name}\\b`).test(source)).map((known) => (name) => name === known);
}

const read = new Map();

function namesIn(file) {
    if (!read.has(file)) {
        const source = readFileSync(join(folder, file), 'utf8');
        read.set(file, file.endsWith('.c') ? namesInC(source) : namesInScript(source));
    }
    return read.get(file);
}

/* What is wrong with one `file › name`, or null. */
function complaint(entry) {
    const [file, name, ...more] = entry.split(' › ');
    if (!name || more.length > 0)
        return `"${entry}" must be: file › name`;
    if (!existsSync(join(folder, file)))
        return `there is no ${file}`;
    return namesIn(file).some((fits) => fits(name)) ? null : `${file} has no test "${name}"`;
}

/* The rows as {section, row, tests, line}; a '|' of the text stands there as '\|'. */
function rowsOf(text) {
    const rows = [];
    let section = null;
    text.split('\n').forEach((line, i) => {
        if (line.startsWith('## '))
            section = line.slice(3);
        if (!line.startsWith('|') || /^\|( row |---)/.test(line))
            return;
        const [, row, tests, ...rest] = line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
        rows.push({ section, row, tests: rest.length === 1 && tests ? tests.split('<br>').map((entry) => entry.trim()) : [], line: i + 1 });
    });
    return rows;
}

function complaintsAbout({ row, tests, line }) {
    if (tests.length === 0)
        return [`line ${line}: "${row}" names no test`];
    return tests.map(complaint).filter(Boolean).map((words) => `line ${line}: ${words}`);
}

function repeated(rows) {
    const seen = new Set();
    return rows.filter(({ section, row }) => seen.size === seen.add(`${section}\n${row}`).size)
        .map(({ row, line }) => `line ${line}: "${row}" stands there twice`);
}

const rows = rowsOf(readFileSync(process.argv[2] ?? join(folder, 'contract.md'), 'utf8'));
const complaints = [...rows.flatMap(complaintsAbout), ...repeated(rows)];
if (rows.length === 0)
    complaints.push('there are no rows');
complaints.forEach((words) => console.error(`contract.md: ${words}`));
console.log(`${rows.length} rows, ${rows.reduce((sum, { tests }) => sum + tests.length, 0)} tests named, ${complaints.length} complaints`);
process.exitCode = complaints.length === 0 ? 0 : 1;
