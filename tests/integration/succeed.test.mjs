/* SIGUSR2, as an upgrade of the package uses it: the server starts its successor, and leaves when that one serves. (What can
 * go wrong: take_over.test.mjs.) */
// threads

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { connectPusher, disconnect } from '../support/clients.mjs';
import { openPusher } from '../support/raw.mjs';
import { accepts, startServer, temporaryFolder } from '../support/server.mjs';
import { until, within } from '../support/wait.mjs';

const withPlace = () => startServer({ edge: { hand_over: join(temporaryFolder(), 'hand-over'), drain_ms: 300 } });
const pathOf = ({ process: { spawnargs } }) => spawnargs[spawnargs.indexOf('--config') + 1];

/* Both write to one standard error, which ends with the last of them: leftCleanly() is about both. */
async function endBoth(server, successor) {
    process.kill(successor, 'SIGTERM');
    await server.leftCleanly();
}

/* Those of a test that failed; they would keep standard error open. */
const successors = new Set();
after(() => {
    for (const pid of successors)
        try {
            process.kill(pid, 'SIGKILL');
        } catch {
            /* it has ended, as it should */
        }
});

async function logged(server, old = server.pid) {
    const [, pid] = await server.logged(/successor\.started.* as (\d+), to take our place/);
    successors.add(Number(pid));
    assert.doesNotMatch(readFileSync(`/proc/${pid}/status`, 'utf8'), new RegExp(`^PPid:\\s*${old}$`, 'm'), 'an orphan: systemd waits for its own children');
    await server.logged(new RegExp(`process\\.succeeded.*process ${pid} has taken our place`));
    return Number(pid);
}

/* The successor's process id, when it has the place and the old one has ended with 0. */
async function succeeded(server) {
    const ended = new Promise((resolve) => server.process.once('exit', resolve));
    server.signal('SIGUSR2');
    const pid = await logged(server);
    assert.equal(await within(ended, 'the old process to end'), 0);
    return pid;
}

test('the successor has the port, clients of the old one come to it, and nobody is refused meanwhile', async () => {
    const server = await withPlace();
    const [pusher, client] = [await connectPusher(server), await openPusher(server)];
    const again = within(new Promise((resolve) => pusher.connection.bind('connected', resolve)), 'pusher-js to come back');
    let [over, asked, refused] = [false, 0, 0];
    const asking = (async () => {
        for (; !over; asked++)
            refused += await accepts(server.port) ? 0 : 1;
    })();
    const successor = await succeeded(server);
    assert.equal((await client.ended()).code, 4200);
    await again;
    over = true;
    await asking;
    assert.ok(asked > 100, `asked ${asked} times`);
    assert.equal(refused, 0);
    disconnect(pusher);
    await endBoth(server, successor);
});

test('one after the other, also with another configuration', async () => {
    const server = await withPlace();
    const first = await succeeded(server);
    writeFileSync(pathOf(server), readFileSync(pathOf(server), 'utf8').replace('"test-key"', '"another-key"'));
    process.kill(first, 'SIGUSR2');
    const second = await logged(server, first);
    await until(() => !existsSync(`/proc/${first}`), 'the first successor to end');
    const client = await openPusher(server, '/app/another-key?protocol=7');
    client.destroy();
    await endBoth(server, second);
});
