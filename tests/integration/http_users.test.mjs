/* Back ends and signed-in users: ending their connections, and sending to them. */
// threads
// workers

import assert from 'node:assert/strict';
import test from 'node:test';
import { backEnd, connectPusher, disconnect, hears, settled } from '../support/clients.mjs';
import { exchange, openPusher, post } from '../support/raw.mjs';
import { app, endsCleanly, startServer } from '../support/server.mjs';
import { within } from '../support/wait.mjs';

const other = { id: '8', key: 'other-key', secret: 'other-secret' };
const server = await startServer({ apps: [app, other] });
const back = backEnd(server);

/* A pusher-js that has signed in. */
async function signedIn(id) {
    const customHandler = ({ socketId }, answer) => answer(null, back.authenticateUser(socketId, { id }));
    const pusher = await connectPusher(server, { options: { userAuthentication: { customHandler } } });
    pusher.signin();
    await hears(pusher, 'pusher:signin_success');
    return pusher;
}

/* A connection that is to be ended. (pusher-js would keep this process for 30 s more, waiting for what has come.) */
async function victim(id) {
    const raw = await openPusher(server);
    raw.send('pusher:signin', back.authenticateUser(raw.socketId, { id }));
    await raw.next('pusher:signin_success');
    return raw;
}

/* It hears 4009 as an error first, and then in the Close frame. */
async function terminated(raw) {
    const error = await raw.next('pusher:error');
    assert.equal(error.data.code, 4009);
    assert.equal((await raw.ended()).code, 4009);
}

const terminate = (id, path = `/apps/7/users/${id}/terminate_connections`, one = app) =>
    exchange(server, post(one, path, '{}'));

test('all connections of a user end with 4009, on every worker, and nobody else\'s', async () => {
    const [bob, ...anns] = [await signedIn('bob'), ...await Promise.all(Array.from({ length: 6 }, () => victim('ann')))];
    const answer = await back.terminateUserConnections('ann');
    assert.equal(answer.status, 200);
    assert.deepEqual(await answer.json(), {});
    for (const ann of anns)
        await terminated(ann);
    await settled(bob);
    disconnect(bob);
});

test('the path without the app, which Python\'s SDK sends, ends them too', async () => {
    const ann = await victim('ann');
    const { status, body } = await terminate('ann', '/users/ann/terminate_connections');
    assert.deepEqual([status, body], [200, '{}']);
    await terminated(ann);
});

for (const id of ['auth0|1', 'ä ö', 'a/b', '50% & more?', '😀']) {
    test(`the user ${id} is found by his id, however the path is escaped`, async () => {
        const user = await victim(id);
        const escaped = await terminate(encodeURIComponent(id));
        assert.equal(escaped.status, 200, escaped.body);
        await terminated(user);
    });
}

test('the SDK finds users whose id it does not escape', async () => {
    for (const id of ['auth0|1', 'ä ö', 'a/b']) {
        const user = await victim(id);
        await back.terminateUserConnections(id);
        await terminated(user);
    }
});

test('a user who is not here is no mistake; he may come back after it was said', async () => {
    assert.equal((await terminate('nobody')).status, 200);
    const ann = await signedIn('ann');
    await settled(ann);
    disconnect(ann);
});

test('another app\'s user of that name is not meant', async () => {
    const ann = await signedIn('ann');
    assert.equal((await terminate('ann', '/apps/8/users/ann/terminate_connections', other)).status, 200);
    assert.equal((await terminate('ann', '/users/ann/terminate_connections', other)).status, 200);
    await settled(ann);
    assert.equal((await terminate('ann', '/apps/7/users/ann/terminate_connections', other)).status, 401);
    disconnect(ann);
});

test('ids that nobody can have, and unsigned requests, are refused', async () => {
    assert.equal((await terminate('%ff')).status, 400);
    assert.equal((await terminate('a%00b')).status, 400);
    assert.equal((await terminate('x'.repeat(129))).status, 400);
    assert.equal((await terminate('')).status, 404);
    assert.equal((await terminate('ann', '/users/ann/terminate_connections', { ...app, secret: 'guessed' })).status, 401);
    assert.equal((await terminate('ann', '/users/ann/terminate_connections', { ...app, key: 'nobody' })).status, 401);
});

test('what is sent to a user arrives at each of his connections, and at nobody else\'s', async () => {
    const [first, second, bob] = await Promise.all([signedIn('auth0|ann'), signedIn('auth0|ann'), signedIn('bob')]);
    const got = (pusher) => new Promise((resolve) => pusher.user.bind('greeting', resolve));
    for (const pusher of [first, second, bob])
        await hears(pusher, 'pusher_internal:subscription_succeeded');
    const greetings = [got(first), got(second)];
    let strays = 0;
    bob.user.bind('greeting', () => strays++);
    assert.deepEqual(await (await back.sendToUser('auth0|ann', 'greeting', { hello: 'ann' })).json(), {});
    for (const greeting of greetings)
        assert.deepEqual(await within(greeting, 'a greeting'), { hello: 'ann' });
    await settled(bob);
    assert.equal(strays, 0);
    [first, second, bob].forEach(disconnect);
});

endsCleanly(server);
