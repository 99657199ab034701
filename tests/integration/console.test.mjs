/* The console of one process: its door, its JSON, and the page as a person uses it. (That of a fleet: tests/faults.) */
// threads

import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { openTab, startBrowser } from '../support/browser.mjs';
import { authorize, backEnd, connectPusher, disconnect, hears, subscribe } from '../support/clients.mjs';
import { adminOf, ask, goTo, openConsole, reads, rows, token } from '../support/console.mjs';
import { openPusher } from '../support/raw.mjs';
import { app, runServerWith, startServer } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const other = { id: '8', key: 'other-key', secret: 'other-secret' };
const server = await startServer({ edge: { name: 'only', admin: adminOf(0, { allow_changes: true }) }, apps: [app, other] });
const reader = await startServer({ edge: { name: 'reader', admin: adminOf(0) } });
const open = await startServer();
const browser = await startBrowser();
after(() => browser.close());
const back = backEnd(server);

const secrets = new RegExp([app.secret, app.key, other.secret, other.key, token].join('|'));

/* ---- the door ---- */

const guarded = ['/api/edge', '/api/fleet', '/api/channels?app=7', '/api/who?app=7&channel=x', '/api/events?app=7', '/api/peers/0/edge'];

test('without the token nothing is told of people, and with it everything', async () => {
    for (const path of guarded) {
        for (const headers of [{}, { Authorization: 'Bearer wrong-token' }, { Authorization: `Bearer ${token}x` }, { Cookie: `token=${token}` }]) {
            const { status, json } = await ask(server, path, { headers });
            assert.equal(status, 401, path);
            assert.match(json.error, /edge\.admin\.token/);
        }
        assert.ok([200, 404].includes((await ask(server, path)).status), path);
    }
});

test('a page of another site has no way in, whatever it knows', async () => {
    const headers = { Authorization: `Bearer ${token}`, Origin: 'http://evil.example', 'Sec-Fetch-Site': 'cross-site' };
    const answer = await ask(server, '/api/edge', { headers });
    assert.equal(answer.status, 403);
    assert.equal(answer.headers.get('access-control-allow-origin'), null);
    const preflight = await fetch(`http://127.0.0.1:${server.adminPort}/api/events`, { method: 'OPTIONS', headers: { Origin: 'http://evil.example' } });
    assert.equal(preflight.headers.get('access-control-allow-origin'), null);
});

test('without a token in the configuration the console is closed, and says how to open it; the rest is as ever', async () => {
    for (const path of guarded) {
        const { status, json } = await ask(open, path);
        assert.equal(status, 403);
        assert.match(json.error, /set edge\.admin\.token/);
    }
    for (const path of ['/healthz', '/readyz', '/metrics'])
        assert.equal((await open.admin(path)).status, 200);
    const tab = await openTab(browser, `http://127.0.0.1:${open.adminPort}/`);
    await reads(tab, '#closed', /edge.*admin.*token.*ROLLCALL_ADMIN_TOKEN/);
    await tab.close();
});

test('no secret, no key and no token is ever in an answer', async () => {
    for (const path of [...guarded, '/', '/console/main.js'])
        assert.doesNotMatch((await ask(server, path)).text, secrets, path);
});

test('who only looks sends nothing', async () => {
    const { status, json } = await ask(reader, '/api/events', { body: { channel: 'x', name: 'e', data: 'd' } });
    assert.equal(status, 403);
    assert.match(json.error, /edge\.admin\.allow_changes/);
});

test('the page may load nothing from elsewhere, and runs nothing that is not its own', async () => {
    const answer = await fetch(`http://127.0.0.1:${server.adminPort}/`);
    const policy = answer.headers.get('content-security-policy');
    for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"])
        assert.ok(policy.includes(rule), rule);
    assert.doesNotMatch(policy, /unsafe/);
    const html = await answer.text();
    assert.doesNotMatch(html, /https?:|<style|style=|\son\w+=|<script(?![^>]* src=)/);
    assert.equal((await fetch(`http://127.0.0.1:${server.adminPort}/`, { method: 'POST' })).status, 405);
});

/* ---- answers ---- */

test('what is asked wrongly is answered with what was expected', async () => {
    const wrong = {
        '/api/channels': [400, /app: must be the id of an app; there are 2/],
        '/api/channels?app=9': [404, /there is no app "9"/],
        '/api/channels?app=7&limit=0': [400, /limit: must be a whole number from 1 to 500/],
        '/api/who?app=7': [400, /channel: must be the name/],
        '/api/who?app=7&channel=%00': [400, /channel: must be percent-encoded text/],
        '/api/events?app=7&after=-1': [400, /after: must be a whole number/],
        '/api/edge?healed=x': [400, /healed: must be a whole number/],
        '/api/peers/0/edge': [404, /of the 0 edge\.admin\.peers/],
        '/api/nothing': [404, /the console/],
    };
    for (const [path, [status, words]] of Object.entries(wrong)) {
        const answer = await ask(server, path);
        assert.equal(answer.status, status, path);
        assert.match(answer.json.error, words);
    }
    for (const [body, words] of [['{}', /name: must be/], ['nonsense', /JSON/], [{ name: 'e', channel: 'a b', data: '' }, /channel: must be made of/],
        [{ name: 'pusher:x', channel: 'a', data: '' }, /name: must not begin/], [{ name: 'e', channel: 'private-encrypted-a', data: '' }, /encrypted/]])
        assert.match((await ask(server, '/api/events?app=7', { body })).json.error, words);
});

test('who is where, and since when, to the socket', async () => {
    const began = Date.now();
    const anna = [await connectPusher(server, { user: { user_id: 'anna', user_info: { name: 'Anna' } } }),
        await connectPusher(server, { user: { user_id: 'anna' } })];
    const bert = await connectPusher(server, { user: { user_id: 'bert' } });
    for (const pusher of [...anna, bert]) /* the first one's info is the user's */
        await subscribe(pusher, 'presence-x');
    await subscribe(bert, 'public-x');

    const { json } = await ask(server, '/api/who?app=7&channel=presence-x');
    assert.deepEqual([json.kind, json.store, json.known, json.users_total], ['presence', 'memory', true, 2]);
    const [one, two] = json.users.sort((a, b) => a.id.localeCompare(b.id));
    assert.deepEqual([one.id, JSON.parse(one.info), two.id], ['anna', { name: 'Anna' }, 'bert']);
    assert.deepEqual(one.sockets.map(({ socket_id }) => socket_id).sort(), anna.map(({ connection }) => connection.socket_id).sort());
    for (const { since_ms, connected_ms } of one.sockets)
        assert.ok(connected_ms <= since_ms && since_ms >= began - 100 && since_ms <= Date.now() + 100, `${connected_ms} ${since_ms} ${began}`);
    assert.equal(json.here.subscriptions, 3);
    assert.deepEqual(json.edges.map(({ edge, users }) => [edge, users]), [['only', 2]]);

    assert.deepEqual((await ask(server, '/api/who?app=7&channel=presence-x&user=bert')).json.users.map(({ id }) => id), ['bert']);
    assert.deepEqual((await ask(server, '/api/who?app=7&channel=presence-x&user=nobody')).json.users, []);
    assert.deepEqual((await ask(server, '/api/who?app=8&channel=presence-x')).json.users, [], 'another app has other channels');
    const open_ = (await ask(server, '/api/who?app=7&channel=public-x')).json;
    assert.deepEqual([open_.users, open_.here.sockets.map(({ socket_id }) => socket_id)], [[], [bert.connection.socket_id]]);

    const list = (await ask(server, '/api/channels?app=7')).json;
    assert.deepEqual(list.channels.map(({ name, subscriptions, users, here }) => [name, subscriptions, users, here]),
        [['presence-x', 3, 2, 3], ['public-x', 1, 0, 1]]);
    assert.deepEqual((await ask(server, '/api/channels?app=7&search=PUBLIC')).json.channels.map(({ name }) => name), ['public-x']);
    const first = (await ask(server, '/api/channels?app=7&limit=1')).json;
    assert.deepEqual([first.found, first.channels.map(({ name }) => name)], [2, ['presence-x']], 'the largest first');
    [...anna, bert].forEach(disconnect);
    await until(async () => (await ask(server, '/api/channels?app=7')).json.found === 0, 'the channels to be vacated');
});

test('a channel with more people than are listed says so, and each of them can still be asked for', async () => {
    const most = 1000, one = await startServer({ edge: { name: 'full', workers: 1, admin: adminOf(0) }, apps: [{ ...app, limits: { presence_members: 0 } }] });
    const sockets = await Promise.all(Array.from({ length: most + 5 }, () => openPusher(one)));
    sockets.forEach((socket, i) => {
        const data = JSON.stringify({ user_id: `user-${i}` });
        socket.send('pusher:subscribe', { channel: 'presence-full', channel_data: data, ...authorize(one, socket.socketId, 'presence-full', JSON.parse(data)) });
    });
    const asked = async (more = '') => (await ask(one, `/api/who?app=7&channel=presence-full${more}`)).json;
    await until(async () => (await asked()).users_total === most + 5, 'all to be there');
    const { users, here } = await asked();
    assert.deepEqual([users.length, here.subscriptions, here.cut], [most, most + 5, true]);
    for (const i of [0, most - 1, most + 4]) {
        const { users: [user], here: part } = await asked(`&user=user-${i}`);
        assert.deepEqual([user.sockets.map(({ socket_id }) => socket_id), part.cut], [[sockets[i].socketId], false]);
    }
    sockets.forEach((socket) => socket.destroy());
    await one.stop();
});

test('events are watched by number: who waits is told, who is slow is told what he missed, other apps stay theirs', async () => {
    const pusher = await connectPusher(server);
    await subscribe(pusher, 'watched');
    const { next } = (await ask(server, '/api/events?app=7')).json;
    const waits = ask(server, `/api/events?app=7&after=${next}&wait=1`);
    await ask(server, '/api/events?app=8');
    await back.trigger('watched', 'first', { n: 1 });
    const { json } = await waits;
    assert.equal(json.events.length, 1);
    assert.deepEqual([json.events[0].channel, JSON.parse(json.events[0].text).event], ['watched', 'first']);
    await back.trigger('nobody-is-here', 'second', 'x'.repeat(5000));
    const [event] = (await ask(server, `/api/events?app=7&after=${json.next}`)).json.events;
    assert.equal(event.channel, 'nobody-is-here');
    assert.ok(event.cut && event.bytes > 5000 && event.text.length <= 2048);
    for (let i = 0; i < 40; i++)
        await back.triggerBatch(Array.from({ length: 10 }, () => ({ channel: 'watched', name: 'many', data: 'x' })));
    const late = (await ask(server, `/api/events?app=7&after=${json.next}`)).json;
    assert.equal(late.next, json.next + 401);
    assert.equal(late.missed + late.events.length, 401);
    assert.ok(late.events.length <= 256);
    assert.deepEqual((await ask(server, '/api/events?app=8')).json.events, []);
    disconnect(pusher);
});

test('an event that the console sends reaches clients like that of a back end', async () => {
    const pusher = await connectPusher(server);
    await subscribe(pusher, 'told');
    const { status, json } = await ask(server, '/api/events?app=7', { body: { channel: 'told', name: 'greeting', data: '{"text":"hi"}' } });
    assert.deepEqual([status, json], [200, { sent: true }]);
    assert.deepEqual((await hears(pusher, 'greeting', 'told')).data, { text: 'hi' });
    await server.logged(/console\.event_sent.*channel told: event greeting/);
    disconnect(pusher);
});

/* ---- the page ---- */

test('the door: a wrong token is refused in words, the right one comes in, and stays out of addresses and histories', async () => {
    const context = await browser.newContext();
    const tab = await openTab(context, `http://127.0.0.1:${server.adminPort}/`);
    await tab.fill('#token', 'not-the-token');
    await tab.keyboard.press('Enter');
    await reads(tab, '#token-problem', /not the token/);
    await tab.fill('#token', token);
    await tab.keyboard.press('Enter');
    await reads(tab, '#edges', /only/);
    assert.doesNotMatch(tab.url(), new RegExp(token));
    const link = await openConsole(context, server);
    assert.doesNotMatch(link.url(), new RegExp(token), 'a link that brought it');
    await link.click('#forget');
    await link.waitForSelector('#door:not([hidden])');
    await context.close();
});

test('one process: numbers, an edge, no shards, and nothing to heal', async () => {
    const pushers = await Promise.all(Array.from({ length: 5 }, () => connectPusher(server)));
    const tab = await openConsole(browser, server);
    await until(async () => (await rows(tab, '#edges'))[0]?.Connections === '5', 'five connections');
    await reads(tab, '#tiles .tile:first-child .value', /^5$/);
    await tab.waitForFunction(() => document.querySelectorAll('#tiles svg .one[d*="L"]').length >= 6);
    assert.match(await tab.getAttribute('#tiles svg', 'aria-label'), /Connections.*now 5/);
    await reads(tab, '#shards-note', /presence is in memory/);
    await goTo(tab, '#/healed');
    await reads(tab, '#healed-note', /in memory/);
    pushers.forEach(disconnect);
    await goTo(tab, '#/fleet');
    await until(async () => (await rows(tab, '#edges'))[0].Connections === '0', 'none');
    assert.deepEqual(tab.problems, []);
    await tab.close();
});

test('channels: search, a roster that lives, and why somebody is there', async () => {
    const evil = '<img src=x onerror="boom()">';
    const [ada, mal] = [await connectPusher(server, { user: { user_id: 'ada', user_info: { name: 'Ada' } } }),
        await connectPusher(server, { user: { user_id: evil, user_info: { name: evil } } })];
    await Promise.all([subscribe(ada, 'presence-room'), subscribe(ada, 'other')]);
    const tab = await openConsole(browser, server, '#/channels');
    await reads(tab, '#channels', /presence-room.*other|other.*presence-room/);
    await tab.fill('#search', 'ROOM');
    await tab.keyboard.press('Enter');
    await until(async () => (await rows(tab, '#channels')).length === 1, 'one channel found');
    await tab.click('text=presence-room');
    await reads(tab, '#roster', /ada.*Ada/);
    await subscribe(mal, 'presence-room');
    await until(async () => (await rows(tab, '#roster')).length === 2, 'the second user');
    assert.equal(await tab.locator('#roster img').count(), 0, 'names are text');
    await tab.click('#roster tr:has-text("ada") summary');
    await reads(tab, '#roster details[open] dl', new RegExp(`${ada.connection.socket_id} on only, worker .*subscribed since`));
    disconnect(mal);
    await until(async () => (await rows(tab, '#roster')).length === 1, 'one to be left');
    assert.ok(await tab.isVisible('#roster details[open] dl'), 'what was opened stays open');
    await tab.fill('#search', 'no such thing');
    await tab.click('#search-form button');
    await reads(tab, '#channels-found', /No channel has “no such thing”/);
    assert.deepEqual(tab.problems, []);
    disconnect(ada);
    await tab.close();
});

test('events pass by, can be filtered and paused, and one can be sent', async () => {
    const pusher = await connectPusher(server);
    await subscribe(pusher, 'passing');
    const tab = await openConsole(browser, server, '#/events/7');
    await reads(tab, '#events-note', /Watching/);
    await back.trigger('passing', 'seen', { n: 1, html: '<b>bold</b>' });
    await reads(tab, '#events', /seen.*in passing.*"html":"<b>bold<\/b>"/);
    assert.equal(await tab.locator('#events b').count(), 0);
    await tab.click('#pause');
    await back.trigger('passing', 'while-paused', {});
    await ask(server, '/api/events?app=7');
    await tab.fill('#send-channel', 'passing');
    await tab.fill('#send-name', 'from-the-console');
    await tab.click('#send-fields button');
    await reads(tab, '#send-result', /Sent from-the-console to passing/);
    assert.deepEqual((await hears(pusher, 'from-the-console', 'passing')).data, { text: 'Good morning' });
    assert.doesNotMatch(await tab.innerText('#events'), /while-paused/);
    await tab.click('#pause');
    await reads(tab, '#events', /while-paused.*from-the-console/);
    await tab.fill('#events-filter', 'elsewhere');
    assert.equal((await tab.innerText('#events')).trim(), '');
    await tab.fill('#send-channel', 'a b');
    await tab.click('#send-fields button');
    await reads(tab, '#send-result.problem', /channel: must be made of/);
    disconnect(pusher);
    await tab.close();
});

test('where nothing may be changed the form is off and says why', async () => {
    const tab = await openConsole(browser, reader, '#/events');
    await reads(tab, '#send-why', /allow_changes/);
    assert.ok(await tab.isDisabled('#send-fields button'));
    await tab.close();
});

test('everything is reached by keyboard, has a name for those who do not see it, and shows where the focus is', async () => {
    const tab = await openConsole(browser, server, '#/events/7');
    for (const role of ['banner', 'navigation', 'main'])
        assert.equal(await tab.getByRole(role).count(), 1, role);
    const reached = new Set();
    await tab.evaluate(() => document.activeElement.blur());
    for (let i = 0; i < 20; i++) {
        await tab.keyboard.press('Tab');
        const { name, outline, isPage } = await tab.evaluate(() => ({
            name: document.activeElement.id || document.activeElement.textContent.trim(),
            outline: getComputedStyle(document.activeElement).outlineStyle,
            isPage: document.activeElement === document.body,
        }));
        if (isPage)
            continue; /* the browser's own, between the last and the first */
        reached.add(name);
        assert.equal(outline, 'solid', `the focus on ${name} is seen`);
    }
    for (const name of ['Skip to the content', 'forget', 'Fleet', 'Channels', 'Events', 'pause', 'events-app', 'events-filter', 'events', 'send-channel', 'send-name', 'send-data', 'Send'])
        assert.ok([...reached].some((one) => one.startsWith(name)), `${name} in ${[...reached]}`);
    const nameless = await tab.$$eval('input, select, textarea, button, a', (all) => all.filter((one) => one.offsetParent !== null
        && !(one.labels?.length || one.textContent.trim() || one.ariaLabel)).map((one) => one.outerHTML));
    assert.deepEqual(nameless, []);
    await tab.locator('nav a', { hasText: 'Channels' }).focus();
    await tab.keyboard.press('Enter');
    await tab.waitForSelector('#channels-view:not([hidden])');
    assert.equal(await tab.getAttribute('nav a[aria-current="page"]', 'href'), '#/channels');
    await tab.close();
});

test('on a phone, in the dark: nothing sticks out, and words are told apart from their ground', async () => {
    const phone = await browser.newContext({ colorScheme: 'dark', viewport: { width: 360, height: 740 } });
    const long = await connectPusher(server, { user: { user_id: 'u'.repeat(120), user_info: { name: 'N'.repeat(100) } } });
    await subscribe(long, `presence-${'c'.repeat(150)}`);
    const tab = await openConsole(phone, server);
    for (const place of ['#/fleet', '#/channels', `#/channels/7/presence-${'c'.repeat(150)}`, '#/events', '#/healed']) {
        await goTo(tab, place);
        if (place.length > 20)
            await reads(tab, '#roster', /uuu/);
        const width = await tab.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= 360, `${place}: ${width}`);
    }
    /* WCAG 2, 1.4.3: at least 4.5 : 1 */
    const worst = await tab.evaluate(() => {
        const light = (colour) => {
            const [r, g, b] = colour.match(/[\d.]+/g).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = (one) => {
            const colour = getComputedStyle(one).backgroundColor;
            return colour !== 'rgba(0, 0, 0, 0)' || !one.parentElement ? colour : ground(one.parentElement);
        };
        return Math.min(...[...document.querySelectorAll('h1, h1 span, nav a, p, label, button, .mark')].filter((one) => one.offsetParent !== null && !one.disabled)
            .map((one) => [light(getComputedStyle(one).color), light(ground(one))].sort((a, b) => b - a)).map(([a, b]) => (a + 0.05) / (b + 0.05)));
    });
    assert.ok(worst >= 4.5, `contrast ${worst}`);
    assert.ok(await tab.evaluate(() => getComputedStyle(document.body).backgroundColor) !== 'rgb(246, 245, 241)');
    disconnect(long);
    await phone.close();
});

test('when the edge goes the page says so and keeps what it showed; the next one is found', async () => {
    const own = await startServer({ edge: { name: 'passing', admin: adminOf(0) } });
    const tab = await openConsole(browser, own);
    await reads(tab, '#edges', /passing/);
    await own.stop();
    await reads(tab, '#state[data-state="bad"]', /does not answer/);
    assert.match(await tab.innerText('#edges'), /passing/);
    const next = await startServer({ edge: { name: 'next', admin: adminOf(own.adminPort) } });
    await reads(tab, '#edges', /next/);
    await tab.close();
    await next.stop();
});

test('a reload changes the token, and what may be changed, at once', async () => {
    const own = await startServer({ edge: { name: 'changing', admin: adminOf(0) } });
    const body = { channel: 'x', name: 'e', data: 'd' };
    assert.equal((await ask(own, '/api/events?app=7', { body })).status, 403);
    own.rewrite({ ...own.settings, edge: { ...own.settings.edge, admin: adminOf(0, { token: 'the-next-token', allow_changes: true }) } });
    process.kill(own.pid, 'SIGHUP');
    await until(async () => (await ask(own, '/api/edge')).status === 401, 'the old token to be refused');
    const headers = { Authorization: 'Bearer the-next-token' };
    assert.equal((await ask(own, '/api/edge', { headers })).json.allow_changes, true);
    assert.equal((await ask(own, '/api/events?app=7', { headers, body })).status, 200);
    await own.stop();
});

test('the configuration: short tokens, spaces, changes and peers without one are refused', async () => {
    for (const [admin, words] of [[{ token: 'short' }, /edge\.admin\.token: must be a text of 8 to 1024 bytes/],
        [{ allow_changes: true }, /needs "token"/], [{ peers: ['a:1'] }, /needs "token"/], [{ token, peers: ['nowhere'] }, /edge\.admin\.peers\[0\]: must be host:port/]]) {
        const { code, stderr } = await runServerWith(JSON.stringify({ edge: { admin } }), ['--check']);
        assert.equal(code, 78);
        assert.match(stderr, words);
    }
});

test('the servers leave with 0, and no sanitizer has anything to say', async () => {
    for (const one of [server, reader, open])
        await one.stop();
});
