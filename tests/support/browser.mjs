/* Headless Chromium, and a little site that gives it the official clients from node_modules. */

import crypto from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { HANG_MS } from './wait.mjs';
import { root } from './server.mjs';

const modules = join(root, 'tests/node_modules');

const files = {
    '/pusher.js': join(modules, 'pusher-js/dist/web/pusher.js'),
    '/echo.js': join(modules, 'laravel-echo/dist/echo.iife.js'),
};

/* The site: the two scripts, a page that loads them, and an auth route, as an application would have it. */
export async function startSite(authorize) {
    const site = http.createServer(async (request, response) => {
        if (files[request.url]) {
            response.writeHead(200, { 'Content-Type': 'text/javascript' });
            createReadStream(files[request.url]).pipe(response);
        } else if (request.url === '/auth' || request.url === '/broadcasting/auth') {
            let form = '';
            for await (const piece of request)
                form += piece;
            const fields = new URLSearchParams(form);
            response.writeHead(200, { 'Content-Type': 'application/json' });
            response.end(JSON.stringify(authorize(fields.get('socket_id'), fields.get('channel_name'), request)));
        } else {
            response.writeHead(200, { 'Content-Type': 'text/html' });
            response.end('<!doctype html><title>site</title><link rel="icon" href="data:,">'
                + '<script src="/pusher.js"></script><script src="/echo.js"></script>');
        }
    });
    await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
    return {
        url: `http://127.0.0.1:${site.address().port}/`,
        close: () => {
            site.closeAllConnections?.();
            site.close();
        },
    };
}

/* What Chromium needs to accept one certificate, whoever has signed it: a hash of its key. */
function pinOf(certificate) {
    const { publicKey } = new crypto.X509Certificate(readFileSync(certificate));
    const pin = crypto.createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
    return `--ignore-certificate-errors-spki-list=${pin}`;
}

/* A browser with a profile of its own, thrown away with it. It accepts the certificate of that file, if one is given. */
export async function startBrowser({ certificate } = {}) {
    const browser = await chromium.launch({
        executablePath: process.env.ROLLCALL_CHROMIUM ?? '/usr/bin/chromium',
        timeout: 60_000,
        args: [
            '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
            '--disable-background-networking', '--disable-component-update', '--disable-sync',
            '--disable-dev-shm-usage', ...(certificate ? [pinOf(certificate)] : []),
        ],
    });
    process.on('exit', () => browser.process?.()?.kill('SIGKILL'));
    return browser;
}

/* A tab whose script errors fail the test that looks at .problems. */
export async function openTab(context, url) {
    const tab = await context.newPage();
    tab.setDefaultTimeout(HANG_MS);
    tab.problems = [];
    tab.on('pageerror', (error) => tab.problems.push(error.message));
    tab.on('console', (message) => {
        if (message.type() === 'error')
            tab.problems.push(message.text());
    });
    await tab.goto(url);
    return tab;
}
