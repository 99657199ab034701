/* The HTTP API believes only what is signed, fresh, and meant for it. */
// workers

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import test from 'node:test';
import { backEnd } from '../support/clients.mjs';
import { exchange, sign } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';

const other = { id: '8', key: 'other-key', secret: 'other-secret' };
const server = await startServer({ apps: [app, other] });

const path = '/apps/7/channels';
const getting = (target) => exchange(server, `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
const change = (target, changes) => {
    const [before, query] = target.split('?');
    const params = new URLSearchParams(query);
    for (const [key, value] of Object.entries(changes)) {
        if (value === null)
            params.delete(key);
        else
            params.set(key, value);
    }
    return `${before}?${params}`;
};

test('the SDK\'s signature is good', async () => {
    assert.equal((await backEnd(server).get({ path: '/channels' })).status, 200);
});

test('parameters may come in any order, and their names in any case', async () => {
    const [before, query] = sign(app, 'GET', path, '', { info: 'subscription_count' }).split('?');
    const reversed = query.split('&').reverse().join('&');
    assert.equal((await getting(`${before}?${reversed}`)).status, 200);
    assert.equal((await getting(`${before}?${query.replace('auth_key', 'Auth_Key')}`)).status, 200);
});

test('a path is good as it was sent and as it reads decoded', async () => {
    const plain = sign(app, 'GET', '/apps/7/channels/a,b=c');
    assert.equal((await getting(plain)).status, 200);
    assert.equal((await getting(plain.replace('/a,b=c?', '/a%2Cb%3Dc?'))).status, 200);
    const encoded = sign(app, 'GET', '/apps/7/channels/a%2Cb');
    assert.equal((await getting(encoded)).status, 200);
});

const now = Date.now();
const wrong = {
    'another secret': () => sign({ ...app, secret: 'guessed' }, 'GET', path),
    'another method': () => sign(app, 'POST', path),
    'another path': () => sign(app, 'GET', '/apps/7/channels/x').replace('/channels/x', '/channels'),
    'an unknown key': () => sign({ ...app, key: 'nobody' }, 'GET', path),
    'another app\'s key and secret': () => sign(other, 'GET', path),
    'a time eleven minutes ago': () => sign(app, 'GET', path, '', {}, now - 660_000),
    'a time eleven minutes ahead': () => sign(app, 'GET', path, '', {}, now + 660_000),
    'a time that is no number': () => sign(app, 'GET', path, '', { auth_timestamp: 'soon' }),
    'a time that overflows': () => sign(app, 'GET', path, '', { auth_timestamp: '99999999999999999999999' }),
    'a negative time': () => sign(app, 'GET', path, '', { auth_timestamp: '-1' }),
    'another version': () => sign(app, 'GET', path, '', { auth_version: '2.0' }),
    'a parameter added afterwards': () => change(sign(app, 'GET', path), { info: 'subscription_count' }),
    'a parameter changed afterwards': () => change(sign(app, 'GET', path, '', { filter_by_prefix: 'a' }), { filter_by_prefix: 'b' }),
    'no signature': () => change(sign(app, 'GET', path), { auth_signature: null }),
    'an empty signature': () => change(sign(app, 'GET', path), { auth_signature: '' }),
    'half a signature': () => sign(app, 'GET', path).replace(/(auth_signature=.{32}).*/, '$1'),
    'an upper-case signature': () => sign(app, 'GET', path).replace(/auth_signature=.*/, (text) =>
        text.slice(0, 15) + text.slice(15).toUpperCase()),
    'no key': () => change(sign(app, 'GET', path), { auth_key: null }),
    'no time': () => change(sign(app, 'GET', path), { auth_timestamp: null }),
    'no query': () => path,
    'a thousand parameters': () => `${path}?${Array.from({ length: 1000 }, (_, i) => `a${i}=1`).join('&')}`,
};

for (const [what, target] of Object.entries(wrong)) {
    test(`with ${what}: 401, and words that do not give the signature away`, async () => {
        const answer = await getting(target());
        assert.equal(answer.status, 401, answer.body);
        const { error } = JSON.parse(answer.body);
        assert.ok(error.length > 5);
        const expected = new URLSearchParams(sign(app, 'GET', path).split('?')[1]).get('auth_signature');
        assert.ok(!error.includes(expected));
    });
}

test('an app that does not exist is no different from a wrong key, or is not found', async () => {
    const answer = await getting(sign(app, 'GET', '/apps/nobody/channels'));
    assert.ok([401, 404].includes(answer.status), String(answer.status));
});

test('a body must be the one whose md5 was signed', async () => {
    const body = JSON.stringify({ name: 'e', data: '', channel: 'c' });
    const posting = (target, text) => exchange(server,
        `POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
    assert.equal((await posting(sign(app, 'POST', '/apps/7/events', body), body)).status, 200);
    assert.equal((await posting(sign(app, 'POST', '/apps/7/events', body), body.replace('"c"', '"d"'))).status, 401);
    assert.equal((await posting(sign(app, 'POST', '/apps/7/events'), body)).status, 401, 'no md5 at all');
    const md5 = crypto.createHash('md5').update(body).digest('hex').toUpperCase();
    const upper = await posting(sign(app, 'POST', '/apps/7/events', body, { body_md5: md5 }), body);
    assert.ok([200, 401].includes(upper.status));
});

test('the md5 of an empty body may stand on a GET, a wrong one may not', async () => {
    const empty = crypto.createHash('md5').update('').digest('hex');
    assert.equal((await getting(sign(app, 'GET', path, '', { body_md5: empty }))).status, 200);
    assert.equal((await getting(sign(app, 'GET', path, '', { body_md5: '0'.repeat(32) }))).status, 401);
});

endsCleanly(server);
