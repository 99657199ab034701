/* What pusher-js and laravel-echo have besides channels, in a real browser: encryption, users, watchlists, caches. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { openTab, startBrowser, startSite } from '../support/browser.mjs';
import { authorize, backEnd } from '../support/clients.mjs';
import { app, endsCleanly, root, startServer } from '../support/server.mjs';

const server = await startServer({ apps: [{ ...app, subscription_counts: true }] });
const back = backEnd(server);
const site = await startSite(() => ({}));
const browser = await startBrowser();
after(async () => {
    await browser.close();
    site.close();
});

const encryption = join(root, 'tests/node_modules/pusher-js/dist/web/pusher-with-encryption.js');
const options = { cluster: 'none', wsHost: server.host, wsPort: server.port, forceTLS: false, enabledTransports: ['ws'] };

/* A tab of a user, whose back end signs what it asks for, with everything that it hears in window.heard. */
async function newTab(user) {
    const tab = await openTab(browser, site.url);
    const member = (channel) => (channel.startsWith('presence-') ? { user_id: user.id, user_info: user.user_info } : null);
    await tab.exposeFunction('signChannel', (socketId, channel) => authorize(server, socketId, channel, member(channel)));
    await tab.exposeFunction('signUser', (socketId) => back.authenticateUser(socketId, user));
    await tab.addScriptTag({ path: encryption });
    await tab.evaluate(({ key, options: settings }) => {
        window.heard = [];
        window.note = (what) => (data) => window.heard.push({ what, data });
        window.settings = { ...settings, key,
            channelAuthorization: { customHandler: ({ socketId, channelName }, answer) =>
                window.signChannel(socketId, channelName).then((signed) => answer(null, signed), answer) },
            userAuthentication: { customHandler: ({ socketId }, answer) => window.signUser(socketId).then((signed) => answer(null, signed), answer) },
        };
    }, { key: server.app.key, options });
    return tab;
}

const startPusher = (tab) => tab.evaluate(() => {
    window.pusher = new window.Pusher(window.settings.key, window.settings);
    window.pusher.connection.bind('state_change', ({ current }) => window.note(current)());
    window.join = (name) => window.pusher.subscribe(name).bind_global((event, data) => window.note(`${name} ${event}`)(data));
});

async function heard(tab, what) {
    await tab.waitForFunction((name) => window.heard.some((item) => item.what === name), what);
    return tab.evaluate((name) => window.heard.splice(window.heard.findIndex((item) => item.what === name), 1)[0].data, what);
}

async function arrive(user) {
    const tab = await newTab(user);
    await startPusher(tab);
    await heard(tab, 'connected');
    return tab;
}

const signIn = (tab) => tab.evaluate(async () => {
    for (const name of ['online', 'offline'])
        window.pusher.user.watchlist.bind(name, window.note(name));
    window.pusher.user.bind('letter', window.note('letter'));
    window.pusher.signin();
    await window.pusher.user.signinDonePromise;
    return window.pusher.user.user_data;
});

test('pusher-js decrypts what the SDK has encrypted, of cache channels too', async () => {
    const tab = await arrive({ id: 'ann' });
    for (const name of ['private-encrypted-a', 'private-encrypted-cache-a']) {
        await tab.evaluate((channel) => window.join(channel), name);
        await heard(tab, `${name} pusher:subscription_succeeded`);
        await back.trigger(name, 'secret', { text: 'ä😀' });
        assert.deepEqual(await heard(tab, `${name} secret`), { text: 'ä😀' });
    }
    const late = await arrive({ id: 'bob' });
    await late.evaluate(() => window.join('private-encrypted-cache-a'));
    assert.deepEqual(await heard(late, 'private-encrypted-cache-a secret'), { text: 'ä😀' });
    assert.deepEqual([...tab.problems, ...late.problems], []);
    await Promise.all([tab.close(), late.close()]);
});

test('pusher-js hears of cache misses and counts', async () => {
    const tab = await arrive({ id: 'ann' });
    await tab.evaluate(() => window.join('cache-b'));
    assert.deepEqual(await heard(tab, 'cache-b pusher:cache_miss'), {});
    assert.deepEqual(await heard(tab, 'cache-b pusher:subscription_count'), { subscription_count: 1 });
    assert.deepEqual(tab.problems, []);
    await tab.close();
});

test('pusher-js signs in, gets letters, and watches', async () => {
    const ann = await arrive({ id: 'ann', user_info: { name: 'Ann' }, watchlist: ['bob'] });
    assert.deepEqual(await signIn(ann), { id: 'ann', user_info: { name: 'Ann' }, watchlist: ['bob'] });
    assert.deepEqual(await heard(ann, 'offline'), { name: 'offline', user_ids: ['bob'] });
    const bob = await arrive({ id: 'bob' });
    await signIn(bob);
    assert.deepEqual(await heard(ann, 'online'), { name: 'online', user_ids: ['bob'] });
    await ann.waitForFunction(() => window.pusher.user.serverToUserChannel?.subscribed);
    await back.sendToUser('ann', 'letter', { n: 1 });
    assert.deepEqual(await heard(ann, 'letter'), { n: 1 });
    await bob.close();
    assert.deepEqual(await heard(ann, 'offline'), { name: 'offline', user_ids: ['bob'] });
    assert.deepEqual(ann.problems, []);
    await ann.close();
});

test('a terminated user is told 4009, and pusher-js does not come back', async () => {
    const [one, two, other] = [await arrive({ id: 'cal' }), await arrive({ id: 'cal' }), await arrive({ id: 'dan' })];
    for (const tab of [one, two, other]) {
        await signIn(tab);
        await tab.evaluate(() => window.pusher.connection.bind('error', ({ data, error }) => window.note('error')(data ?? error.data)));
    }
    await back.terminateUserConnections('cal');
    for (const tab of [one, two]) {
        assert.equal((await heard(tab, 'error')).code, 4009);
        await heard(tab, 'disconnected');
        assert.equal(await tab.evaluate(() => window.pusher.connection.state), 'disconnected');
    }
    await other.evaluate(() => window.join('still-here'));
    await heard(other, 'still-here pusher:subscription_succeeded');
    await Promise.all([one, two, other].map((tab) => tab.close()));
});

test('laravel-echo: encrypted and presence channels, whispers, and its pusher signs in', async () => {
    const [ann, bob] = [await newTab({ id: 'ann', user_info: { name: 'Ann' } }), await newTab({ id: 'bob', user_info: { name: 'Bob' } })];
    for (const tab of [ann, bob]) {
        await tab.evaluate(() => {
            const Echo = window.Echo.default ?? window.Echo;
            window.echo = new Echo({ broadcaster: 'pusher', Pusher: window.Pusher, ...window.settings });
            window.pusher = window.echo.connector.pusher;
            window.echo.encryptedPrivate('vault.1').subscribed(window.note('vault')).listen('.opened', window.note('opened'));
            window.echo.private('room.1').subscribed(window.note('room')).listenForWhisper('typing', window.note('typing'));
            window.echo.join('room.1').here(window.note('here')).joining(window.note('joining')).leaving(window.note('leaving'));
        });
        await heard(tab, 'vault');
        await heard(tab, 'room');
    }
    assert.deepEqual(await heard(ann, 'joining'), { name: 'Bob' });
    await back.trigger('private-encrypted-vault.1', 'opened', { by: 'ann' });
    for (const tab of [ann, bob])
        assert.deepEqual(await heard(tab, 'opened'), { by: 'ann' });
    await ann.evaluate(() => window.echo.private('room.1').whisper('typing', { who: 'ann' }));
    assert.deepEqual(await heard(bob, 'typing'), { who: 'ann' });
    assert.equal((await signIn(bob)).id, 'bob');
    await bob.waitForFunction(() => window.pusher.user.serverToUserChannel?.subscribed);
    await back.sendToUser('bob', 'letter', 'dear bob');
    assert.equal(await heard(bob, 'letter'), 'dear bob');
    await bob.evaluate(() => window.echo.leaveAllChannels());
    assert.deepEqual(await heard(ann, 'leaving'), { name: 'Bob' });
    assert.deepEqual([...ann.problems, ...bob.problems], []);
    await Promise.all([ann.close(), bob.close()]);
});

endsCleanly(server);
