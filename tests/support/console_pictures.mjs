/* Takes the pictures of the console for the README, of a real fleet with people on it:
 *
 *   ROLLCALL_BIN=build/release/rollcall node tests/support/console_pictures.mjs FOLDER
 *
 * They are what the page shows, not what it should: a fleet of three edges, one of which is killed, and a Redis that is
 * emptied. They lie beside the page, so that who changes one sees the other. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startBrowser } from './browser.mjs';
import { backEnd, connectPusher, disconnect, subscribe } from './clients.mjs';
import { goTo, openConsole, reads, startWatchedFleet } from './console.mjs';
import { until } from './wait.mjs';

const [folder = 'pictures', seconds = '75'] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });

const names = ['Ada', 'Bert', 'Cora', 'Dan', 'Emmy', 'Fritz', 'Grace', 'Hugo', 'Ida', 'Jan', 'Kurt', 'Lena', 'Max', 'Nora'];
const app = { id: '1001', key: 'shop-key', secret: 'shop-secret', client_events: true };
const { redis, edges, servers } = await startWatchedFleet(['ams-1', 'ams-2', 'fra-1'], { admin: { allow_changes: true }, apps: [app],
    presence: { heartbeat_ms: 2500, lease_ms: 10_000, scrub_ms: 60_000, partitions: 64, data_ttl_ms: 600_000 } });
const back = backEnd(edges[0]);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function comeIn(edge, i) {
    const pusher = await connectPusher(edge, { user: { user_id: `user-${i + 1}`, user_info: { name: names[i] } } });
    await Promise.all(['presence-lobby', ...(i % 2 ? ['presence-checkout'] : []), 'news', `orders-${i % 4}`].map((name) => subscribe(pusher, name)));
    return pusher;
}

const people = await Promise.all(names.map((_, i) => comeIn(edges[i % 3], i)));
people.push(await comeIn(edges[1], 0)); /* Ada's phone */

/* Life: guests who come and go, and a back end that publishes. */
const until_ms = Date.now() + Number(seconds) * 1000;
async function live() {
    const guests = [];
    for (let n = 0; Date.now() < until_ms; n++) {
        await back.trigger(['news', 'presence-lobby'], 'headline', { id: n, text: `Offer number ${n}` });
        await back.trigger(`orders-${n % 4}`, 'paid', { order: 4000 + n, total: `${(n * 7) % 90 + 9}.50` });
        if (guests.length < 12 + 8 * Math.sin(n / 25))
            guests.push(await connectPusher(edges[n % 3]));
        else if (guests.length)
            disconnect(guests.shift());
        await sleep(120 + 100 * Math.sin(n / 15));
    }
    return guests;
}
const life = live();

const browser = await startBrowser();
const context = await browser.newContext({ viewport: { width: 1000, height: 800 } });
const dark = await browser.newContext({ viewport: { width: 1000, height: 800 }, colorScheme: 'dark' });
const phone = await browser.newContext({ viewport: { width: 360, height: 740 }, colorScheme: 'dark', deviceScaleFactor: 1.5 });
const picture = (tab, name, options = {}) => tab.screenshot({ path: join(folder, `${name}.png`), ...options });
const tabs = [await openConsole(context, edges[0]), await openConsole(dark, edges[0], '#/events'), await openConsole(phone, edges[0])];

await sleep(Math.max(0, until_ms - Date.now() - 3000));
await picture(tabs[0], 'fleet', { fullPage: true });
await picture(tabs[1], 'events', { fullPage: true });
await picture(tabs[2], 'phone');
const guests = await life;

await goTo(tabs[0], `#/channels/${app.id}/presence-lobby`);
await reads(tabs[0], '#roster', /Ada/);
await tabs[0].click('#roster tr:has-text("Ada") summary');
await reads(tabs[0], '#roster', /last write/);
await tabs[0].locator('#roster-title').scrollIntoViewIfNeeded();
await tabs[0].evaluate(() => scrollTo(0, document.querySelector('#roster-title').offsetTop - 20));
await picture(tabs[0], 'channel');
await goTo(tabs[2], `#/channels/${app.id}/presence-lobby`);
await reads(tabs[2], '#roster', /Ada/);
await picture(tabs[2], 'phone-channel', { fullPage: true });

/* An edge dies, and a Redis loses everything. */
edges[2].signal('SIGKILL');
await servers[0].ask('FLUSHALL');
await goTo(tabs[0], '#/fleet');
await sleep(6000);
await picture(tabs[0], 'dying');
await goTo(tabs[0], '#/healed');
await reads(tabs[0], '#healed', /Dead edge removed/);
await until(async () => /Wait is over/.test(await tabs[0].innerText('#healed')), 'the wait to be over', 60_000);
await picture(tabs[0], 'healed');
await goTo(tabs[2], '#/healed');
await picture(tabs[2], 'phone-healed');
for (const tab of tabs)
    if (tab.problems.length)
        console.error('problems of a page:', tab.problems);

people.forEach(disconnect);
guests.forEach(disconnect);
await browser.close();
await Promise.all(edges.slice(0, 2).map((edge) => edge.stop()));
await redis.stop();
process.exit(0);
