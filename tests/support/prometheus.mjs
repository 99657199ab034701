/* Prometheus' own tools. */

import { spawn } from 'node:child_process';

/* promtool with that input: {code, output}. */
export function promtool(args, input = '') {
    return new Promise((resolve, reject) => {
        const child = spawn('promtool', args, { stdio: ['pipe', 'pipe', 'pipe'] });
        let output = '';
        for (const stream of [child.stdout, child.stderr])
            stream.on('data', (text) => {
                output += text;
            });
        child.on('error', reject);
        child.on('close', (code) => resolve({ code, output }));
        child.stdin.end(input);
    });
}
