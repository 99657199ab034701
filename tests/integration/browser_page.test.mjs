/* The page "who is here", as two people use it. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { openTab, startBrowser } from '../support/browser.mjs';
import { startServer } from '../support/server.mjs';

const demo = { id: 'app-id', key: 'app-key', secret: 'app-secret', client_events: true };
const server = await startServer({ apps: [demo], edge: { path_prefix: '/edge', drain_ms: 200 } });
const browser = await startBrowser();
after(() => browser.close());

/* A picture for those who want to look, when a folder for it is named. */
async function picture(tab, name) {
    if (process.env.ROLLCALL_PICTURES)
        await tab.screenshot({ path: join(process.env.ROLLCALL_PICTURES, `${name}.png`) });
}

async function newTab(context = browser) {
    return openTab(context, server.url('/'));
}

async function comeIn(tab, name) {
    await tab.fill('#name', name);
    await tab.keyboard.press('Enter');
    await tab.waitForSelector('#state[data-state="here"]');
}

const names = (tab) => tab.$$eval('#roster li > span:nth-child(2)', (spans) => spans.map((span) => span.textContent).sort());
const sees = (tab, ...who) => tab.waitForFunction((wanted) => {
    const spans = [...document.querySelectorAll('#roster li > span:nth-child(2)')];
    return JSON.stringify(spans.map((span) => span.textContent).sort()) === wanted;
}, JSON.stringify(who.sort()));
const reads = (tab, words) => tab.waitForFunction((text) => document.querySelector('#stream').textContent.includes(text), words);

test('two tabs see each other come and go, and speak', async () => {
    const ada = await newTab();
    await picture(ada, 'door');
    await comeIn(ada, 'Ada');
    await sees(ada, 'Ada');
    const bert = await newTab();
    await comeIn(bert, 'Bert');
    await sees(ada, 'Ada', 'Bert');
    await sees(bert, 'Ada', 'Bert');
    await reads(ada, 'Bert came in');
    await bert.fill('#message', 'Good morning');
    await bert.keyboard.press('Enter');
    await reads(ada, 'Bert: Good morning');
    await reads(bert, 'Bert: Good morning');
    await ada.fill('#message', 'Morning! Tea?');
    await ada.keyboard.press('Enter');
    await reads(bert, 'Ada: Morning! Tea?');
    await picture(ada, 'two');
    await bert.close();
    await sees(ada, 'Ada');
    await reads(ada, 'Bert left');
    assert.deepEqual(ada.problems, []);
    await ada.close();
});

test('names and words are text, whatever is in them', async () => {
    const [ada, mal] = [await newTab(), await newTab()];
    const evil = '<img src=x onerror="boom()">';
    await comeIn(ada, 'Ada');
    await comeIn(mal, evil);
    await sees(ada, 'Ada', evil);
    await mal.fill('#message', `<script>boom()</script>${evil}`);
    await mal.keyboard.press('Enter');
    await reads(ada, '<script>boom()</script>');
    assert.equal(await ada.locator('img, #stream script').count(), 0);
    assert.deepEqual([...ada.problems, ...mal.problems], []);
    await ada.close();
    await mal.close();
});

test('a reload is the same person, who need not say the name again', async () => {
    const [ada, bert] = [await newTab(), await newTab()];
    await comeIn(ada, 'Ada');
    await comeIn(bert, 'Bert');
    await bert.reload();
    await bert.waitForSelector('#state[data-state="here"]');
    await sees(ada, 'Ada', 'Bert');
    await sees(bert, 'Ada', 'Bert');
    await bert.click('#leave');
    await sees(ada, 'Ada');
    await bert.waitForSelector('#join:not([hidden])');
    await ada.close();
    await bert.close();
});

test('in the dark, on a phone', async () => {
    const phone = await browser.newContext({ colorScheme: 'dark', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 });
    const tab = await newTab(phone);
    await comeIn(tab, 'Ada with a name of forty characters, yes!');
    await sees(tab, 'Ada with a name of forty characters, yes');
    await picture(tab, 'phone');
    const width = await tab.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 360, `nothing sticks out: ${width}`);
    await phone.close();
});

test('everything can be reached by keyboard and has a name for those who do not see it', async () => {
    const tab = await newTab();
    await comeIn(tab, 'Ada');
    const reached = new Set();
    for (let i = 0; i < 8; i++) {
        reached.add(await tab.evaluate(() => document.activeElement.id));
        await tab.keyboard.press('Tab');
    }
    for (const id of ['message', 'send', 'leave', 'stream'])
        assert.ok(reached.has(id), id);
    assert.ok(await tab.getByRole('textbox', { name: 'Message' }).isVisible());
    assert.ok(await tab.getByRole('log').isVisible());
    await tab.close();
});

test('when the server goes the page says so, and comes back with the next one', async () => {
    const tab = await newTab();
    await comeIn(tab, 'Ada');
    await server.stop();
    await tab.waitForSelector('#state[data-state="waiting"]');
    assert.deepEqual(await names(tab), []);
    const next = await startServer({ apps: [demo], edge: { path_prefix: '/edge', listen: [{ address: '127.0.0.1', port: server.port }] } });
    await tab.waitForSelector('#state[data-state="here"]', { timeout: 40_000 });
    await sees(tab, 'Ada');
    await tab.close();
    await next.stop();
});
