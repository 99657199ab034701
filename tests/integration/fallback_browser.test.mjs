/* pusher-js in a real browser, with its HTTP transports only: other origin, preflights, unique URLs. */

import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { openTab, startBrowser, startSite } from '../support/browser.mjs';
import { authorize, backEnd } from '../support/clients.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';
import { within } from '../support/wait.mjs';

/* Room for a megabyte behind a browser that has much else to do: by default it would be a slow reader. */
const server = await startServer({ edge: { outbox_bytes: 8 << 20 } });
const back = backEnd(server);
const site = await startSite((socketId, channel, request) => {
    const user_id = request.headers['x-user'] ?? 'somebody';
    return authorize(server, socketId, channel, channel.startsWith('presence-') ? { user_id, user_info: { name: user_id } } : null);
});
const browser = await startBrowser();
after(async () => {
    await browser.close();
    site.close();
});

/* A tab with a pusher-js that began to connect. What it hears is in window.heard. */
async function newTab(transport, { user = 'ann', at = server, key = app.key, ...more } = {}) {
    const tab = await openTab(browser, site.url);
    await tab.evaluate(({ settings, key: appKey, user: name }) => {
        window.heard = [];
        window.note = (what) => (data, metadata) => window.heard.push({ what, data, user_id: metadata?.user_id });
        window.pusher = new window.Pusher(appKey, { ...settings, channelAuthorization: { endpoint: '/auth', headers: { 'X-User': name } } });
        window.pusher.connection.bind('state_change', ({ current }) => window.note(current)(window.pusher.connection.socket_id));
        window.pusher.connection.bind('error', (error) => window.note('error')(error?.error?.data ?? error?.data ?? null));
        window.join = (channelName) => {
            const channel = window.pusher.subscribe(channelName);
            channel.bind_global((event, data) => window.note(`${channelName} ${event}`)(data));
            channel.bind('client-hello', window.note(`${channelName} hello with metadata`)); /* bind_global has none */
        };
    }, {
        settings: { cluster: 'none', httpHost: at.host, httpPort: at.port, forceTLS: false, enabledTransports: [transport], ...more },
        key, user,
    });
    return tab;
}

async function heard(tab, what) {
    await tab.waitForFunction((name) => window.heard.some((item) => item.what === name), what);
    return tab.evaluate((name) => window.heard.splice(window.heard.findIndex((item) => item.what === name), 1)[0], what);
}

async function join(tab, ...names) {
    for (const name of names) {
        await tab.evaluate((channel) => window.join(channel), name);
        await heard(tab, `${name} pusher:subscription_succeeded`);
    }
}

for (const transport of ['xhr_streaming', 'xhr_polling']) {
    test(`${transport}: public, private and presence channels, client events, leaving`, async () => {
        const [ann, bob] = [await newTab(transport, { user: 'ann' }), await newTab(transport, { user: 'bob' })];
        for (const tab of [ann, bob]) {
            assert.match((await heard(tab, 'connected')).data, /^\d+\.\d+$/);
            await join(tab, 'news', 'private-room', 'presence-room');
        }
        assert.equal((await heard(ann, 'presence-room pusher:member_added')).data.id, 'bob');
        assert.deepEqual(await bob.evaluate(() => window.pusher.channel('presence-room').members.me), { id: 'bob', info: { name: 'bob' } });
        await back.trigger('news', 'headline', { text: 'ä\u2028😀"\\' });
        for (const tab of [ann, bob])
            assert.deepEqual((await heard(tab, 'news headline')).data, { text: 'ä\u2028😀"\\' });
        await ann.evaluate(() => window.pusher.channel('private-room').trigger('client-hello', { from: 'ann' }));
        assert.deepEqual((await heard(bob, 'private-room client-hello')).data, { from: 'ann' });
        await ann.evaluate(() => window.pusher.channel('presence-room').trigger('client-hello', {}));
        assert.equal((await heard(bob, 'presence-room hello with metadata')).user_id, 'ann');
        await bob.evaluate(() => window.pusher.unsubscribe('presence-room'));
        assert.equal((await heard(ann, 'presence-room pusher:member_removed')).data.id, 'bob');
        await join(bob, 'presence-room');
        await heard(ann, 'presence-room pusher:member_added');
        await bob.close();
        assert.equal((await heard(ann, 'presence-room pusher:member_removed')).data.id, 'bob');
        assert.deepEqual(ann.problems, []);
        await ann.close();
    });

    test(`${transport}: a megabyte of events, none lost, none twice, on one session`, async () => {
        const tab = await newTab(transport);
        const { data: socketId } = await heard(tab, 'connected');
        await join(tab, 'flood');
        const count = 300;
        for (let i = 0; i < count; i += 10)
            await back.triggerBatch(Array.from({ length: 10 }, (_, k) => ({ channel: 'flood', name: 'n', data: { i: i + k, pad: (i % 20 ? 'x' : 'ä').repeat(4000) } })));
        await back.trigger('flood', 'last', {});
        await heard(tab, 'flood last');
        const numbers = await tab.evaluate(() => window.heard.filter(({ what }) => what === 'flood n').map(({ data }) => data.i));
        assert.deepEqual(numbers, Array.from({ length: count }, (_, i) => i));
        assert.equal(await tab.evaluate(() => window.pusher.connection.socket_id), socketId);
        assert.deepEqual(tab.problems, []);
        await tab.close();
    });

    test(`${transport}: stays through silence, with the client's pings and ours`, async () => {
        const quick = await startServer({ edge: { activity_timeout_s: 1, ping_after_ms: 700, pong_timeout_ms: 2000 } });
        const tab = await newTab(transport, { at: quick, activityTimeout: 400, pongTimeout: 5000 });
        const { data: socketId } = await heard(tab, 'connected');
        const sent = [];
        tab.on('request', (request) => {
            if (request.url().includes('/xhr_send') && request.method() === 'POST')
                sent.push(request.postData());
        });
        await tab.waitForFunction(() => (window.beats = (window.beats ?? 0) + 1) > 30, null, { polling: 100 });
        assert.ok(sent.filter((body) => body === '[]').length >= 3, `its own pings: ${sent}`);
        assert.ok(sent.length < 30, `${sent.length} requests in 3 s: they chase each other`);
        assert.deepEqual(await tab.evaluate(() => [window.pusher.connection.state, window.pusher.connection.socket_id]), ['connected', socketId]);
        assert.deepEqual(tab.problems, []);
        await tab.close();
        await quick.stop();
    });

    test(`${transport}: refused for good with 4001, as by a WebSocket`, async () => {
        const tab = await newTab(transport, { key: 'no-such-key' });
        assert.equal((await heard(tab, 'error')).data.code, 4001);
        await heard(tab, 'disconnected');
        assert.equal(await tab.evaluate(() => window.pusher.connection.state), 'disconnected');
        await tab.close();
    });

    test(`${transport}: sent away with 4200, it comes back to the server that follows, and is there again`, async () => {
        const first = await startServer();
        const tab = await newTab(transport, { at: first });
        await heard(tab, 'connected');
        await join(tab, 'news', 'presence-room');
        await within(first.stop(), 'the first server to leave');
        assert.equal((await heard(tab, 'error')).data.code, 4200);
        const second = await startServer({ edge: { listen: [{ address: '127.0.0.1', port: first.port }] } });
        await heard(tab, 'connected');
        await heard(tab, 'presence-room pusher:subscription_succeeded');
        await heard(tab, 'news pusher:subscription_succeeded');
        await backEnd(second).trigger('news', 'again', {});
        await heard(tab, 'news again');
        await tab.close();
        await second.stop();
    });

    test(`${transport}: killed without a word, it starts anew on a new session`, async () => {
        const first = await startServer();
        const tab = await newTab(transport, { at: first });
        await heard(tab, 'connected');
        await join(tab, 'news');
        first.signal('SIGKILL');
        await first.exited;
        const second = await startServer({ edge: { listen: [{ address: '127.0.0.1', port: first.port }] } });
        await heard(tab, 'connected');
        await heard(tab, 'news pusher:subscription_succeeded');
        await tab.close();
        await second.stop();
    });

    test(`${transport}: turns to the host that the open line names`, async () => {
        const named = await startServer({ edge: { fallback_host: '127.0.0.2', listen: [{ address: '0.0.0.0', port: 0 }] } });
        const tab = await newTab(transport, { at: { host: '127.0.0.1', port: named.port } });
        await heard(tab, 'connected');
        const [request] = await Promise.all([
            tab.waitForRequest((candidate) => candidate.url().includes('/xhr_send') && candidate.method() === 'POST'),
            join(tab, 'news'),
        ]);
        assert.equal(new URL(request.url()).hostname, '127.0.0.2');
        await tab.close();
        await named.stop();
    });
}

test('a page whose origin the app does not allow is told 4009, and stops', async () => {
    const fenced = await startServer({ apps: [{ ...app, allowed_origins: ['https://good.example'] }] });
    for (const transport of ['xhr_streaming', 'xhr_polling']) {
        const tab = await newTab(transport, { at: fenced });
        assert.equal((await heard(tab, 'error')).data.code, 4009);
        await heard(tab, 'disconnected');
        await tab.close();
    }
    await fenced.stop();
});

test('without a WebSocket in the browser pusher-js finds the fallback by itself', async () => {
    const page = await openTab(browser, site.url);
    const socketId = await page.evaluate(({ key, host, port }) => {
        delete window.WebSocket;
        delete window.MozWebSocket;
        return new Promise((resolve) => {
            const pusher = new window.Pusher(key, { cluster: 'none', wsHost: host, wsPort: port, httpHost: host, httpPort: port, forceTLS: false });
            pusher.connection.bind('connected', () => resolve(pusher.connection.socket_id));
        });
    }, { key: app.key, host: server.host, port: server.port });
    assert.match(socketId, /^\d+\.\d+$/);
    await page.close();
});

endsCleanly(server);
