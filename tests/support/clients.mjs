/* The official clients, in Node: pusher-js for those who listen, the `pusher` SDK for back ends. */

import { after } from 'node:test';
import Pusher from 'pusher-js';
import PusherServer from 'pusher';
import { Inbox, within } from './wait.mjs';

const encryptionMasterKeyBase64 = Buffer.alloc(32, 'k').toString('base64');

/* A back end with the SDK. */
export function backEnd(server, changes = {}) {
    const { id, key, secret } = { ...server.app, ...changes };
    return new PusherServer({
        appId: id, key, secret, host: server.host, port: String(server.port), useTLS: server.secure ?? false, encryptionMasterKeyBase64,
    });
}

/* How a back end's auth route answers: `user` is null on private channels, {user_id, user_info?} on presence. */
export function authorize(server, socketId, channel, user = null, changes = {}) {
    return backEnd(server, changes).authorizeChannel(socketId, channel, user ?? undefined);
}

/* Options of pusher-js for that server. sign(socketId, channel) gives the answer of the auth route. */
export function pusherOptions(server, sign) {
    return {
        cluster: 'none',
        wsHost: server.host,
        wsPort: server.port,
        wssPort: server.port,
        wsPath: server.prefix,
        forceTLS: server.secure ?? false,
        enableStats: false,
        enabledTransports: ['ws'],
        channelAuthorization: {
            customHandler: ({ socketId, channelName }, answer) => answer(null, sign(socketId, channelName)),
        },
    };
}

const open = new Set();

/* A connected pusher-js. .heard is everything the server said; .user is who it is on presence channels. */
export async function connectPusher(server, { user = null, sign, options = {} } = {}) {
    const signing = sign ?? ((socketId, channel) =>
        authorize(server, socketId, channel, channel.startsWith('presence-') ? user : null));
    const pusher = new Pusher(server.app.key, { ...pusherOptions(server, signing), ...options });
    pusher.heard = new Inbox(`pusher-js of ${user?.user_id ?? 'somebody'}`);
    pusher.connection.bind('message', (message) => pusher.heard.push(message));
    open.add(pusher);
    await within(new Promise((resolve, reject) => {
        pusher.connection.bind('connected', resolve);
        pusher.connection.bind('error', (error) => reject(new Error(JSON.stringify(error))));
    }), 'pusher-js to connect');
    return pusher;
}

/* The next message of that event (and channel) that nobody has asked for yet. */
export function hears(pusher, event, channel) {
    return pusher.heard.next((message) => message.event === event && (!channel || message.channel === channel),
        `${event} ${channel ?? ''}`);
}

/* What the client was told so far of that kind. */
export function heardOf(pusher, event) {
    return pusher.heard.all.filter((message) => message.event === event);
}

/* Subscribes through pusher-js, and gives its channel; an error if it is refused. */
export function subscribe(pusher, name) {
    const channel = pusher.subscribe(name);
    return within(new Promise((resolve, reject) => {
        channel.bind('pusher:subscription_succeeded', () => resolve(channel));
        channel.bind('pusher:subscription_error', (error) => reject(Object.assign(new Error(error.error), error)));
    }), `the subscription to ${name}`);
}

/* The error pusher-js reports for a subscription that must be refused. */
export async function refusal(pusher, name) {
    const refused = await subscribe(pusher, name).then(() => null, (error) => error);
    if (!refused)
        throw new Error(`${name} was not refused`);
    return refused;
}

/* One event of a channel, as a subscriber's callback gets it: {data, metadata}. */
export function event(channel, name) {
    return within(new Promise((resolve) => {
        const callback = (data, metadata) => {
            channel.unbind(name, callback);
            resolve({ data, metadata });
        };
        channel.bind(name, callback);
    }), `${name} on ${channel.name}`);
}

/* Everything the client said before has been handled by its worker, and its answers have come. */
export async function settled(pusher) {
    pusher.send_event('pusher:ping', {});
    await hears(pusher, 'pusher:pong');
}

/* (pusher-js leaves its activity timer running, which would keep the test's process for two minutes.) */
export function disconnect(pusher) {
    open.delete(pusher);
    pusher.disconnect();
    pusher.connection.stopActivityCheck();
}

/* Those of a test that failed would try to reconnect for ever. */
after(() => open.forEach(disconnect));
