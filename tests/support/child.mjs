/* Processes that end with ours, however ours ends: a test file that hangs is killed, and runs no handler any more. */

import { spawn } from 'node:child_process';

export function startChild(command, args, options) {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', command, ...args], options);
    process.on('exit', () => child.kill('SIGKILL'));
    return child;
}
