/* OPTIONS, HEAD, 404, 405 and 426 on every route, and what browsers of other origins are told. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { connect, exchange, get, post, sign } from '../support/raw.mjs';
import { endsCleanly, startServer } from '../support/server.mjs';

const demo = { id: 'app-id', key: 'app-key', secret: 'app-secret' };
const server = await startServer({ apps: [demo] });

const asking = (method, path, headers = '') => exchange(server, `${method} ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
const fromBrowser = 'Origin: https://example.com\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n';
const corsOf = ({ headers }) => Object.keys(headers).filter((name) => name.startsWith('access-control-'));

/* [path, what is allowed] */
const routes = [
    ['/apps/app-id/events', 'POST'],
    ['/apps/app-id/batch_events', 'POST'],
    ['/apps/app-id/channels', 'GET'],
    ['/apps/app-id/channels/c', 'GET'],
    ['/apps/app-id/channels/presence-c/users', 'GET'],
    ['/apps/app-id/users/u/terminate_connections', 'POST'],
    ['/users/u/terminate_connections', 'POST'],
    ['/app/app-key', 'GET'],
    ['/healthz', 'GET'],
    ['/readyz', 'GET'],
    ['/', 'GET'],
];
const allow = { GET: 'GET, HEAD, OPTIONS', POST: 'POST, OPTIONS' };

for (const [path, method] of routes) {
    test(`${path} says what it takes, and refuses the rest with 405`, async () => {
        const options = await asking('OPTIONS', path);
        assert.deepEqual([options.status, options.headers.allow], [200, allow[method]]);
        assert.doesNotThrow(() => JSON.parse(options.body));
        for (const wrong of ['DELETE', method === 'GET' ? 'POST' : 'GET', ...(method === 'GET' ? [] : ['HEAD'])]) {
            const raw = await connect(server);
            raw.write(`${wrong} ${path} HTTP/1.1\r\nHost: x\r\n${wrong === 'POST' ? 'Content-Length: 0\r\n' : ''}\r\n`);
            const answer = await raw.answer({ head: wrong === 'HEAD' });
            assert.deepEqual([answer.status, answer.headers.allow], [405, allow[method]], wrong);
            assert.ok(wrong === 'HEAD' || JSON.parse(answer.body).error);
            raw.destroy();
        }
    });
}

test('HEAD says of each what GET would say, without the body', async () => {
    const signed = (path) => sign(demo, 'HEAD', path);
    for (const path of [signed('/apps/app-id/channels'), signed('/apps/app-id/channels/c'), signed('/apps/app-id/channels/presence-c/users'), '/healthz', '/readyz', '/']) {
        const raw = await connect(server);
        raw.write(`HEAD ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
        const head = await raw.answer({ head: true });
        assert.equal(head.status, 200, path);
        assert.ok(Number(head.headers['content-length']) > 0);
        /* what came behind it would be taken for the next answer */
        assert.equal((await raw.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n').answer()).body, '{"status":"ok"}');
        raw.destroy();
    }
});

test('OPTIONS * is about the server as a whole; nothing else is *', async () => {
    const answer = await asking('OPTIONS', '*');
    assert.deepEqual([answer.status, answer.headers.allow, answer.body], [200, 'GET, HEAD, POST, OPTIONS', '{}']);
    assert.equal((await asking('GET', '*')).status, 400);
});

test('where nothing is, there is nothing for any method', async () => {
    for (const method of ['GET', 'OPTIONS', 'DELETE'])
        for (const path of ['/apps', '/apps/app-id', '/apps/app-id/nothing', '/apps/app-id/events/', '/users/u', '/app/'])
            assert.equal((await asking(method, path)).status, 404, `${method} ${path}`);
    assert.equal((await exchange(server, get({ ...demo, id: 'nobody' }, '/apps/nobody/channels'))).status, 404);
});

test('a method that HTTP has, but nobody here, is 501', async () => {
    for (const method of ['TRACE', 'BREW'])
        assert.equal((await asking(method, '/healthz')).status, 501);
});

test('a GET where WebSockets are is told to upgrade', async () => {
    const { status, headers } = await asking('GET', '/app/app-key?protocol=7');
    assert.deepEqual([status, headers.upgrade], [426, 'websocket']);
});

test('pages of other origins may not call what is signed: its secret has no business there', async () => {
    for (const [path] of routes) {
        const preflight = await asking('OPTIONS', path, fromBrowser);
        assert.deepEqual(corsOf(preflight), [], path);
    }
    const body = '{"name":"e","data":"","channel":"c"}';
    const answer = await exchange(server, post(demo, '/apps/app-id/events', body, { Origin: 'https://example.com' }));
    assert.equal(answer.status, 200, 'an Origin is not what decides');
    assert.deepEqual(corsOf(answer), []);
});

test('pages of other origins may ask the demo app for signatures, with whatever headers they send', async () => {
    const preflight = await asking('OPTIONS', '/demo/auth', fromBrowser);
    assert.equal(preflight.status, 200);
    assert.equal(preflight.headers['access-control-allow-origin'], '*');
    assert.match(preflight.headers['access-control-allow-headers'], /\*/);
    assert.match(preflight.headers['access-control-allow-methods'], /POST/);
    assert.ok(Number(preflight.headers['access-control-max-age']) > 600);
    for (const [form, status] of [['socket_id=1.2&channel_name=private-x', 200], ['socket_id=1.2', 400]]) {
        const answer = await fetch(server.url('/demo/auth'), { method: 'POST', body: new URLSearchParams(form), headers: { Origin: 'https://example.com' } });
        assert.deepEqual([answer.status, answer.headers.get('access-control-allow-origin')], [status, '*']);
    }
});

endsCleanly(server);
