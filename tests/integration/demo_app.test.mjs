/* The demo app: its page and its auth route are there for it alone, and it is not for the world. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { openPusher } from '../support/raw.mjs';
import { endsCleanly, runServerWith, startServer } from '../support/server.mjs';

const demo = { id: 'app-id', key: 'app-key', secret: 'app-secret', client_events: true };
const server = await startServer({ apps: [demo] });

const signIn = (fields, path = '/demo/auth') =>
    fetch(server.url(path), { method: 'POST', body: new URLSearchParams(fields) });
const form = { socket_id: '1.2', channel_name: 'presence-lobby', user_id: 'u', user_name: 'U' };

test('the page is served, whole and from here', async () => {
    const answer = await fetch(server.url('/'));
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type'), /^text\/html; ?charset=utf-8/i);
    const page = await answer.text();
    assert.match(page, /<title>Who is here/);
    assert.doesNotMatch(page, /(src|href)="(https?:)?\/\//);
});

test('the route signs what the server accepts', async () => {
    const raw = await openPusher(server);
    const answer = await signIn({ ...form, socket_id: raw.socketId, user_name: 'Ö "quoted" \\ 😀' });
    assert.equal(answer.status, 200);
    const { auth, channel_data } = await answer.json();
    assert.deepEqual(JSON.parse(channel_data), { user_id: 'u', user_info: { name: 'Ö "quoted" \\ 😀' } });
    raw.send('pusher:subscribe', { channel: 'presence-lobby', auth, channel_data });
    await raw.next('pusher_internal:subscription_succeeded', 'presence-lobby');
    raw.destroy();
});

const refused = {
    'a public channel': { ...form, channel_name: 'news' },
    'no channel': { ...form, channel_name: '' },
    'a user channel': { ...form, channel_name: '#server-to-user-1' },
    'no socket id': { ...form, socket_id: '' },
    'a socket id that makes it another signature': { ...form, socket_id: '1.2::user' },
    'a very long name': { ...form, user_name: 'x'.repeat(5000) },
};

for (const [what, fields] of Object.entries(refused)) {
    test(`the route signs nothing for ${what}`, async () => {
        const answer = await signIn(fields);
        assert.ok(answer.status >= 400 && answer.status < 500, String(answer.status));
        assert.ok(!('auth' in await answer.json()));
    });
}

test('another app has neither the route nor the page', async () => {
    const other = await startServer();
    assert.equal((await fetch(other.url('/demo/auth'), { method: 'POST', body: new URLSearchParams(form) })).status, 404);
    assert.equal((await fetch(other.url('/'))).status, 404);
    await other.stop();
});

test('with its secret a server does not listen to the world, and says why', async () => {
    const text = JSON.stringify({ edge: { listen: [{ address: '0.0.0.0', port: 0 }] }, apps: [demo] });
    const { code, stderr } = await runServerWith(text);
    assert.ok(code > 0);
    assert.match(stderr, /secret/);
    assert.match(stderr, /public|everyone|known/i);
});

endsCleanly(server);
