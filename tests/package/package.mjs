/* What the tests of the package share: the package as it was built, taken apart, and its unit's filter of system calls. */

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../support/server.mjs';

export const deb = process.env.ROLLCALL_DEB;

export const run = (command, ...args) => execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/* The package's files below a folder of their own. */
export function unpacked() {
    const folder = temporaryFolder();
    run('dpkg-deb', '-x', deb, folder);
    return folder;
}

/* Every line `Key=value` of a unit, in order. */
export function settingsOf(unit) {
    return readFileSync(unit, 'utf8').split('\n').filter((line) => /^\w+=/.test(line)).map((line) => {
        const at = line.indexOf('=');
        return [line.slice(0, at), line.slice(at + 1)];
    });
}

/* A set such as @system-service as the names in it, those of its sets included. */
function members(name) {
    if (!name.startsWith('@'))
        return [name];
    const lines = run('systemd-analyze', '--no-pager', 'syscall-filter', name).split('\n').slice(1);
    return lines.map((line) => line.trim()).filter((line) => line && !line.startsWith('#')).flatMap(members);
}

/* The system calls that the unit allows: what its lists name, less what its lists with a ~ name. */
export function allowedCalls(unit) {
    const allowed = new Set();
    for (const [key, value] of settingsOf(unit)) {
        if (key !== 'SystemCallFilter')
            continue;
        const names = value.replace(/^~/, '').split(' ').flatMap(members);
        names.forEach((name) => (value.startsWith('~') ? allowed.delete(name) : allowed.add(name)));
    }
    return allowed;
}

/* A command that is the binary under strace, which notes every call that is not allowed in `log`; `within` is the root of
 * the system that has both. strace does not stop for the other calls, and its own process is a child: signals and exit
 * statuses are the server's. */
export function watched(binary, allowed, { log = join(temporaryFolder(), 'refused'), within } = {}) {
    const command = `${log}.command`;
    const list = [...allowed].map((name) => `?${name}`).join(',');
    writeFileSync(log, '');
    writeFileSync(command, `#!/bin/sh
exec ${within ? `chroot ${within} ` : ''}strace -D -f --seccomp-bpf -qqq -A -o ${log} -e signal=none -e 'trace=!${list}' ${binary} "$@"
`, { mode: 0o755 });
    return { command, log };
}
