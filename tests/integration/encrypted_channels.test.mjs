/* Encrypted channels end to end: the SDK encrypts, pusher-js decrypts, and the server sees neither key nor words. */
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import nacl from 'tweetnacl';
import { authorize, backEnd, connectPusher, disconnect, event, heardOf, hears, refusal, settled, subscribe } from '../support/clients.mjs';
import { openPusher } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';

const server = await startServer({ apps: [{ ...app, subscription_counts: true }] });
const back = backEnd(server);
const connect = () => connectPusher(server, { options: { nacl } });

test('the SDK encrypts, pusher-js decrypts, and on the wire there is only the box', async () => {
    const pusher = await connect();
    const channel = await subscribe(pusher, 'private-encrypted-letters');
    const heard = event(channel, 'letter');
    await back.trigger('private-encrypted-letters', 'letter', { text: 'ä secret 😀' });
    assert.deepEqual((await heard).data, { text: 'ä secret 😀' });
    const [{ data }] = heardOf(pusher, 'letter');
    assert.deepEqual(Object.keys(data).sort(), ['ciphertext', 'nonce']);
    assert.ok(!JSON.stringify(pusher.heard.all).includes('secret'));
    disconnect(pusher);
});

test('who has another key is told nothing that can be read', async () => {
    const pusher = await connectPusher(server, { options: { nacl }, sign: (socketId, channel) => ({
        ...authorize(server, socketId, channel), shared_secret: Buffer.alloc(32, 'z').toString('base64') }) });
    const channel = await subscribe(pusher, 'private-encrypted-locked');
    const words = [];
    channel.bind('letter', (data) => words.push(data));
    await back.trigger('private-encrypted-locked', 'letter', 'x');
    await hears(pusher, 'letter');
    await settled(pusher);
    assert.deepEqual(words, []);
    disconnect(pusher);
});

test('without a signature one does not get in', async () => {
    const pusher = await connectPusher(server, { options: { nacl }, sign: (socketId, channel) => ({
        ...authorize(server, socketId, channel), auth: 'test-key:00' }) });
    assert.equal((await refusal(pusher, 'private-encrypted-letters')).status, 401);
    disconnect(pusher);
});

test('an encrypted cache channel keeps the box for those who come later', async () => {
    const early = await connect();
    const missing = event(early.subscribe('private-encrypted-cache-prices'), 'pusher:cache_miss');
    assert.deepEqual((await missing).data, {});
    await back.trigger('private-encrypted-cache-prices', 'price', { eur: 3 });
    const late = await connect();
    const heard = event(late.subscribe('private-encrypted-cache-prices'), 'price');
    assert.deepEqual((await heard).data, { eur: 3 });
    [early, late].forEach(disconnect);
});

/* (Java decrypts every event of such a channel whose data is not exactly {}.) */
test('nothing but the published has data on an encrypted channel: a miss says {}, and nobody is counted', async () => {
    const raws = [];
    for (const channel of ['private-encrypted-plain', 'private-encrypted-cache-plain']) {
        for (let i = 0; i < 2; i++) {
            const raw = await openPusher(server);
            raw.send('pusher:subscribe', { channel, auth: authorize(server, raw.socketId, channel).auth });
            assert.equal((await raw.next('pusher_internal:subscription_succeeded', channel)).data, '{}');
            raws.push(raw);
        }
    }
    await raws[2].next('pusher:cache_miss');
    raws[3].destroy();
    await back.trigger('private-encrypted-plain', 'last', 1);
    await raws[0].next('last');
    for (const raw of raws.slice(0, 3))
        await raw.settled();
    const channelEvents = raws.flatMap((raw) => raw.messages.all).filter(({ channel, event: name }) => channel && name !== 'last');
    assert.deepEqual([...new Set(channelEvents.map(({ data }) => data))], ['{}']);
    raws.forEach((raw) => raw.destroy());
});

test('an event for an encrypted channel and another one is refused by both', async () => {
    assert.throws(() => back.trigger(['private-encrypted-a', 'b'], 'x', 1));
    const bare = { name: 'x', data: '{}', channels: ['private-encrypted-a', 'b'] };
    await assert.rejects(back.post({ path: '/events', body: bare }), (error) => error.status === 400);
});

endsCleanly(server);
