/* Processes that end with ours, however ours ends: a test file that hangs is killed, and runs no handler any more. */

import { spawn } from 'node:child_process';

const running = new Set();

process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export function startChild(command, args, options) {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', command, ...args], options);
    running.add(child);
    child.on('exit', () => running.delete(child));
    return child;
}
