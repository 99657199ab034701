/* When descriptors run out, those who are there are served on, nobody spins, the log stays quiet, and it heals. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { connectPusher, disconnect, settled } from '../support/clients.mjs';
import { connect, openPusher } from '../support/raw.mjs';
import { endsCleanly, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const LIMIT = 300; /* the server keeps a reserve of it, and takes as many connections as are left */
const server = await startServer({ edge: { head_timeout_ms: 60_000 } },
    { wrap: ['bash', '-c', `ulimit -n ${LIMIT}; exec "$@"`, 'bash'] });

test('exhausted descriptors', async () => {
    const resident = await connectPusher(server);
    const crowd = Array.from({ length: LIMIT + 50 }, () => connect(server).catch(() => null));
    await until(() => server.descriptors() >= LIMIT - 2, 'the descriptors to be exhausted');
    const linesBefore = server.log.all.length + server.errors.length;
    const cpuBefore = server.cpu_ms();
    await new Promise((resolve) => setTimeout(resolve, 1000)); /* the time over which is measured */
    const cpu = server.cpu_ms() - cpuBefore;
    const lines = server.log.all.length + server.errors.length - linesBefore;
    assert.ok(cpu < 400, `${cpu} ms of processor time in 1000 ms`);
    assert.ok(lines <= 8, `${lines} log lines in a second`);
    await settled(resident);
    for (const raw of await Promise.all(crowd))
        raw?.destroy();
    const late = await until(() => openPusher(server).catch(() => null), 'the server to accept again');
    await late.settled();
    late.destroy();
    await settled(resident);
    disconnect(resident);
    assert.deepEqual(server.errors, []);
});

endsCleanly(server);
