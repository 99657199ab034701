/* Who may not connect is told so twice: by pusher:error, for clients that read only that, and by the close code. */
// workers
// tls

import assert from 'node:assert/strict';
import test from 'node:test';
import Pusher from 'pusher-js';
import { pusherOptions } from '../support/clients.mjs';
import { appPath, openPusher, openWebSocket } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';
import { until, within } from '../support/wait.mjs';

const server = await startServer({ apps: [
    app,
    { id: '8', key: 'off-key', secret: 'x', enabled: false },
    { id: '9', key: 'small-key', secret: 'x', limits: { connections: 3 } },
] });

const cases = [
    ['an app that does not exist', '/app/nobody?protocol=7', 4001],
    ['a key that is longer than an app\'s', '/app/test-keyx?protocol=7', 4001],
    ['a disabled app', '/app/off-key?protocol=7', 4003],
    ['a path that is not /app/…', '/elsewhere?protocol=7', 4005],
    ['a path below an app\'s', '/app/test-key/more?protocol=7', 4005],
    ['a version that is none', '/app/test-key?protocol=7&version=new!', 4006],
    ['a protocol that is no number', '/app/test-key?protocol=seven', 4007],
    ['a protocol with more behind it', '/app/test-key?protocol=7.1', 4007],
    ['an empty protocol', '/app/test-key?protocol=', 4008],
    ['a protocol of the past', '/app/test-key?protocol=4', 4007],
    ['a protocol of the future', '/app/test-key?protocol=8', 4007],
    ['no protocol', '/app/test-key?client=js&version=1', 4008],
    ['no query', '/app/test-key', 4008],
];

for (const [what, path, code] of cases) {
    test(`${what}: ${code}`, async () => {
        const raw = await openWebSocket(server, path);
        const first = await raw.messages.next();
        assert.equal(first.event, 'pusher:error');
        assert.equal(first.data.code, code);
        assert.ok(first.data.message.length > 5);
        assert.equal((await raw.ended()).code, code);
        assert.equal(raw.messages.all.length, 1);
    });
}

for (const protocol of [5, 6, 7]) {
    test(`protocol ${protocol} is served, wherever it stands in the query`, async () => {
        for (const query of [`protocol=${protocol}`, `client=x&version=1.0&protocol=${protocol}&flash=false`])
            (await openPusher(server, appPath(server, query))).destroy();
    });
}

test('over its quota an app is refused with 4004 until a connection has gone', async () => {
    const path = '/app/small-key?protocol=7';
    const three = await Promise.all([1, 2, 3].map(() => openPusher(server, path)));
    const fourth = await openWebSocket(server, path);
    assert.equal((await fourth.next('pusher:error')).data.code, 4004);
    assert.equal((await fourth.ended()).code, 4004);
    three[0].destroy();
    await until(async () => {
        const again = await openWebSocket(server, path);
        const { event } = await again.messages.next();
        again.destroy();
        return event === 'pusher:connection_established';
    }, 'room for one more');
    three.slice(1).forEach((raw) => raw.destroy());
});

test('the quota counts connections, not how often one has tried', async () => {
    const path = '/app/small-key?protocol=7';
    for (let i = 0; i < 10; i++) {
        await until(async () => {
            const raw = await openWebSocket(server, path);
            const { event } = await raw.messages.next();
            raw.destroy();
            return event === 'pusher:connection_established';
        }, 'a place');
    }
});

test('pusher-js reads the code and does not come back', async () => {
    const pusher = new Pusher('nobody', pusherOptions(server));
    const error = await within(new Promise((resolve) => pusher.connection.bind('error', resolve)), 'an error');
    assert.equal(error.error.data.code, 4001);
    await until(() => pusher.connection.state === 'disconnected' || pusher.connection.state === 'failed', 'pusher-js to give up');
    pusher.disconnect();
});

endsCleanly(server);
