/* The console of real edges: a fleet of them whose admin listeners know each other, and a tab that looks at one. */

import { openTab } from './browser.mjs';
import { freePorts, RedisFleet } from './redis.mjs';
import { startServer } from './server.mjs';

export const token = 'sesame-of-the-tests';
export const H = 500, L = 2000;

/* The admin listener of an edge, with the token. */
export function adminOf(port, changes = {}) {
    return { address: '127.0.0.1', port, token, ...changes };
}

/* What the console's own page would ask. body: POST. */
export async function ask(server, path, { body, headers = { Authorization: `Bearer ${token}` } } = {}) {
    const answer = await fetch(`http://127.0.0.1:${server.adminPort}${path}`,
        { headers, ...body !== undefined && { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) } });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, json: text.startsWith('{') ? JSON.parse(text) : null };
}

/* Edges of those names on one Redis of two shards; each has all of them as peers, itself, too, as one configuration for all
 * would say. */
export async function startWatchedFleet(names, { admin = {}, apps, presence = {} } = {}) {
    const redis = new RedisFleet({ shardCount: 2, replicas: 0, sentinelCount: 0, minReplicas: 0 });
    await redis.start();
    const ports = await freePorts(names.length);
    const start = (name, i) => startServer({
        edge: { name, workers: 2, admin: adminOf(ports[i], { peers: ports.map((port) => `127.0.0.1:${port}`), ...admin }) },
        ...apps && { apps },
        presence: { store: 'redis', heartbeat_ms: H, lease_ms: L, scrub_ms: 3000, data_ttl_ms: 60_000, partitions: 8, retire_grace_ms: 0, ...presence },
        redis: { cluster: 'test', shards: redis.shards.map(({ name: shard, user, password, instances }) =>
            ({ name: shard, username: user, password, address: instances[0].where })) },
    });
    const edges = await Promise.all(names.map(start));
    return { redis, edges, servers: redis.shards.map(({ instances }) => instances[0]) };
}

/* A tab on the console, come in with the token of the link. place: '#/channels', … */
export async function openConsole(context, server, place = '') {
    const tab = await openTab(context, `http://127.0.0.1:${server.adminPort}/#token=${token}`);
    await tab.waitForSelector('#views:not([hidden])');
    if (place)
        await goTo(tab, place);
    return tab;
}

/* As a person who follows a link would. */
export async function goTo(tab, place) {
    await tab.evaluate((hash) => { location.hash = hash; }, place);
    await tab.waitForSelector(`#${place.split('/')[1]}-view:not([hidden])`);
}

/* The text of an element that is shown, when it has what is wanted. */
export async function reads(tab, selector, wanted) {
    await tab.waitForFunction(([where, source]) => {
        const found = document.querySelector(where);
        return found && found.offsetParent !== null && new RegExp(source, 's').test(found.innerText);
    }, [selector, wanted.source]);
    return tab.innerText(selector);
}

/* A table's rows, each an object of its cells by their columns' names. */
export function rows(tab, where) {
    return tab.evaluate((selector) => [...document.querySelectorAll(`${selector} tbody tr`)].map((row) => {
        const names = [...row.closest('table').querySelectorAll('thead th')].map((head) => head.textContent);
        return Object.fromEntries([...row.children].map((cell, i) => [names[i], cell.innerText.trim()]));
    }), where);
}
