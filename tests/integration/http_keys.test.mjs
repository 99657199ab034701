/* An app with two pairs of keys, as while an old pair is replaced: back ends and clients may use either. */
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, hears, subscribe } from '../support/clients.mjs';
import { endsCleanly, startServer } from '../support/server.mjs';

const before = { key: 'key-before', secret: 'secret-before' };
const after = { key: 'key-after', secret: 'secret-after' };
const server = await startServer({ apps: [
    { id: '7', keys: [before, after] },
    { id: '8', key: 'other-key', secret: 'other-secret' },
    { id: '9', enabled: false, keys: [{ key: 'off-1', secret: 'off-1' }, { key: 'off-2', secret: 'off-2' }] },
] });

const back = (pair) => backEnd(server, { id: '7', ...pair });
const listener = (pair) => connectPusher({ ...server, app: { id: '7', ...pair } });

test('what is published with either pair reaches the clients of both', async () => {
    const pushers = [await listener(before), await listener(after)];
    for (const pusher of pushers)
        await subscribe(pusher, 'private-rotation');
    await back(before).trigger('private-rotation', 'from-before', 1);
    await back(after).trigger('private-rotation', 'from-after', 1);
    for (const pusher of pushers) {
        await hears(pusher, 'from-before');
        await hears(pusher, 'from-after');
        disconnect(pusher);
    }
});

test('each pair asks the same questions', async () => {
    for (const pair of [before, after])
        assert.deepEqual(await (await back(pair).get({ path: '/channels' })).json(), { channels: {} });
});

test('pairs are not mixed, and each app has its own', async () => {
    const wrong = [
        { key: before.key, secret: after.secret },
        { key: after.key, secret: before.secret },
        { key: 'other-key', secret: 'other-secret' },
        { key: 'nobody', secret: after.secret },
    ];
    for (const pair of wrong)
        await assert.rejects(back(pair).get({ path: '/channels' }), { status: 401 });
});

test('a disabled app is that with every pair', async () => {
    for (const word of ['off-1', 'off-2'])
        await assert.rejects(backEnd(server, { id: '9', key: word, secret: word }).get({ path: '/channels' }), { status: 403 });
});

endsCleanly(server);
