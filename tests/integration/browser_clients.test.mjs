/* pusher-js and laravel-echo in a real browser. */

import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { openTab, startBrowser, startSite } from '../support/browser.mjs';
import { authorize, backEnd } from '../support/clients.mjs';
import { endsCleanly, startServer } from '../support/server.mjs';

const server = await startServer();
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

const options = { cluster: 'none', wsHost: server.host, wsPort: server.port, forceTLS: false, enabledTransports: ['ws'] };

/* A tab with everything it heard in window.heard, and a way to wait for one thing of it. */
async function newTab(user) {
    const tab = await openTab(browser, site.url);
    await tab.evaluate(({ key, options, user }) => {
        window.heard = [];
        window.note = (what) => (data, more) => window.heard.push({ what, data, user_id: more?.user_id });
        window.settings = { ...options, key, channelAuthorization: { endpoint: '/auth', headers: { 'X-User': user } } };
    }, { key: server.app.key, options, user });
    return tab;
}

async function heard(tab, what) {
    await tab.waitForFunction((name) => window.heard.some((item) => item.what === name), what);
    return tab.evaluate((name) => {
        const i = window.heard.findIndex((item) => item.what === name);
        return window.heard.splice(i, 1)[0];
    }, what);
}

const startPusher = (tab) => tab.evaluate(() => {
    window.pusher = new window.Pusher(window.settings.key, window.settings);
    window.pusher.connection.bind('connected', () => window.note('connected')(window.pusher.connection.socket_id));
    window.join = (name) => {
        const channel = window.pusher.subscribe(name);
        channel.bind_global((event, data) => window.note(`${name} ${event}`)(data));
    };
});

test('pusher-js: public, private and presence channels, client events, leaving', async () => {
    const [ann, bob] = [await newTab('ann'), await newTab('bob')];
    for (const tab of [ann, bob]) {
        await startPusher(tab);
        assert.match((await heard(tab, 'connected')).data, /^\d+\.\d+$/);
        for (const name of ['news', 'private-room', 'presence-room']) {
            await tab.evaluate((channel) => window.join(channel), name);
            await heard(tab, `${name} pusher:subscription_succeeded`);
        }
    }
    assert.equal((await heard(ann, 'presence-room pusher:member_added')).data.id, 'bob');
    assert.deepEqual(await bob.evaluate(() => window.pusher.channel('presence-room').members.me), { id: 'bob', info: { name: 'bob' } });
    await back.trigger('news', 'headline', { text: 'ä' });
    for (const tab of [ann, bob])
        assert.deepEqual((await heard(tab, 'news headline')).data, { text: 'ä' });
    await ann.evaluate(() => window.pusher.channel('private-room').trigger('client-hello', { from: 'ann' }));
    assert.deepEqual((await heard(bob, 'private-room client-hello')).data, { from: 'ann' });
    await bob.close();
    assert.equal((await heard(ann, 'presence-room pusher:member_removed')).data.id, 'bob');
    assert.deepEqual(ann.problems, []);
    await ann.close();
});

const startEcho = (tab, user) => tab.evaluate((name) => {
    const { key, channelAuthorization, ...rest } = window.settings;
    window.echo = new window.Echo.default({
        broadcaster: 'pusher', key, ...rest,
        authEndpoint: '/broadcasting/auth', auth: { headers: { 'X-User': name } },
    });
}, user);

test('laravel-echo: here, joining, leaving, listening, whispering', async () => {
    const [ann, bob] = [await newTab('ann'), await newTab('bob')];
    for (const [tab, user] of [[ann, 'ann'], [bob, 'bob']]) {
        await startEcho(tab, user);
        await tab.evaluate(() => {
            window.echo.join('chat.1').here(window.note('here')).joining(window.note('joining')).leaving(window.note('leaving'))
                .listen('MessageSent', window.note('message')).listenForWhisper('typing', window.note('typing'));
            window.echo.private('orders.7').subscribed(window.note('private')).listen('.shipped', window.note('shipped'));
            window.echo.channel('news').subscribed(window.note('public')).listen('Headline', window.note('headline'));
        });
        await heard(tab, 'private');
        await heard(tab, 'public');
    }
    assert.deepEqual((await heard(ann, 'here')).data, [{ name: 'ann' }]);
    assert.equal((await heard(bob, 'here')).data.length, 2);
    assert.deepEqual((await heard(ann, 'joining')).data, { name: 'bob' });
    await back.trigger('presence-chat.1', 'App\\Events\\MessageSent', { text: 'hi' });
    await back.trigger('private-orders.7', 'shipped', { order: 7 });
    await back.trigger('news', 'App\\Events\\Headline', { n: 1 });
    for (const tab of [ann, bob]) {
        assert.deepEqual((await heard(tab, 'message')).data, { text: 'hi' });
        assert.deepEqual((await heard(tab, 'shipped')).data, { order: 7 });
        assert.deepEqual((await heard(tab, 'headline')).data, { n: 1 });
    }
    await ann.evaluate(() => window.echo.join('chat.1').whisper('typing', { who: 'ann' }));
    assert.deepEqual((await heard(bob, 'typing')).data, { who: 'ann' });
    await bob.evaluate(() => window.echo.leave('chat.1'));
    assert.deepEqual((await heard(ann, 'leaving')).data, { name: 'bob' });
    assert.deepEqual([...ann.problems, ...bob.problems], []);
    await ann.close();
    await bob.close();
});

endsCleanly(server);
