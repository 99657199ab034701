/* Random sequences of steps, valid and invalid, as data: what can be printed can be played again. A `~` in any text is
 * replaced by a word that belongs to one playing, so that several may go on at a server at the same time. */

import { Random } from './random.mjs';
import { limits } from './model.mjs';

export const CONNECTIONS = 5;
export const OBSERVER = 'observer';
export const BARRIER = 'private-barrier-~';

const USERS = ['ann~', 'bob~', 'cid~', 'dee~', 'auth0|~'];
const PREFIXES = ['', 'private-', 'private-encrypted-', 'presence-', 'cache-', 'private-cache-', 'private-encrypted-cache-', 'presence-cache-'];

/* Few, so that many meet in them. */
const channels = [...PREFIXES.map((prefix) => `${prefix}~.a`), 'presence-~.b'];
const wordy = (n) => 'x'.repeat(n);
const quoted = (value) => JSON.stringify(value);

function channel(random) {
    return random.weighted([
        [20, random.pick(channels)],
        [14, random.pick(['presence-~.a', 'presence-~.b', 'private-~.a'])],
        [2, `#server-to-user-${random.pick(USERS)}`],
        [1, random.pick(['', 'a b~', 'ü~', '#other~', '#user-ann~', `${wordy(limits.channel_name_chars + 1)}~`])],
    ]);
}

function channelData(random) {
    const user_id = random.pick(USERS);
    return random.weighted([
        [8, quoted({ user_id, user_info: { n: random.below(3) } })],
        [3, quoted({ user_id })],
        [1, quoted({ user_id: random.below(4) })],
        [1, undefined],
        [1, random.pick([
            '{"user_id":', '[]', '"ann~"', '{}', quoted({ user_id: '' }), quoted({ user_id: null }), quoted({ user_id: [] }),
            quoted({ user_id: wordy(limits.user_id_chars + 1) }),
            quoted({ user_id, user_info: wordy(limits.user_info_bytes) }),
        ])],
    ]);
}

/* How a signature is made; `pair` is which of the app's pairs makes it. */
const auth = (random) => ({
    auth: random.weighted([[14, 'good'], [1, random.pick(
        ['none', 'other text', 'other connection', 'other secret', 'other app', 'upper case', 'no colon'])]]),
    pair: random.below(2),
});

function userData(random) {
    const id = random.pick(USERS);
    const some = () => Array.from({ length: random.below(4) }, () => random.pick(USERS));
    return random.weighted([
        [4, quoted({ id })],
        [4, quoted({ id, watchlist: some() })],
        [3, quoted({ id, user_info: { name: 'ä' }, watchlist: some() })],
        [2, random.pick([
            '', '{', '[]', '{}', quoted({ id: '' }), quoted({ id: 7 }), quoted({ id: wordy(limits.user_id_chars + 1) }),
            quoted({ id, user_info: 'text' }), quoted({ id, user_info: { x: wordy(limits.user_info_bytes) } }),
            quoted({ id, watchlist: 'bob~' }), quoted({ id, watchlist: [7] }), quoted({ id, watchlist: [''] }),
        ])],
    ]);
}

const nonsense = [
    'no JSON', '', '[]', '7', '{"data":{}}', '{"event":7}', '{"event":""}', '{"event":"a","event":"b"}', '{"event":"x"} x',
    '{"event":"pusher:unknown"}', '{"event":"pusher_internal:member_added","channel":"presence-~.a","data":"{}"}',
    '{"event":"word","channel":"private-~.a","data":{}}', '{"event":"pusher:subscribe"}', '{"event":"pusher:subscribe","data":{}}',
    '{"event":"pusher:subscribe","data":{"channel":7}}', '{"event":"pusher:subscribe","data":"{\\"channel\\":\\"~.a\\"}"}',
    '{"event":"pusher:unsubscribe","data":{}}', '{"event":"pusher:signin"}', '{"event":"pusher:signin","data":{"auth":"x"}}',
    '{"event":"client-x","channel":7,"data":{}}', '{"event":"client-x","data":{}}',
];

const eventData = (random) => random.pick([{ a: [1.5, 'ä'] }, 'words', '{"a":1}', null, 0, [], undefined, wordy(limits.event_bytes + 1)]);

function item(random, c) {
    return {
        channel: random.weighted([[10, random.pick(channels)], [2, `#server-to-user-${random.pick(USERS)}`]]),
        name: random.pick(['news', 'App\\Events\\News', 'ä"\\']),
        data: random.pick(['{"n":1}', 'words', '"\\u0000ä', wordy(limits.event_bytes)]),
        ...(random.chance(0.3) && { except: c }),
    };
}

/* One event for several channels; of encrypted ones it may name one only, and that alone. */
function oneEvent(random, c) {
    const first = item(random, c);
    const more = channels.filter((name) => name !== first.channel && !/encrypted/.test(name) && random.chance(0.1));
    return [first, .../encrypted/.test(first.channel) ? [] : more.map((name) => ({ ...first, channel: name }))];
}

const mistakes = [{ channel: 'a b' }, { data: wordy(limits.event_bytes + 1) }, { name: wordy(limits.event_name_chars + 1) }];

function publish(random, c) {
    const batch = random.chance(0.4);
    const items = batch ? Array.from({ length: 1 + random.below(4) }, () => item(random, c)) : oneEvent(random, c);
    const bad = random.chance(0.15);
    if (bad)
        items.splice(batch ? random.below(items.length) : 0, batch ? 1 : items.length, { ...item(random, c), ...random.pick(mistakes) });
    return { do: 'publish', batch, bad, items };
}

const refusedOpenings = [
    { path: '/app/nobody?protocol=7', code: 4001 }, { path: '/app/off-key?protocol=7', code: 4003 },
    { path: '/elsewhere?protocol=7', code: 4005 }, { path: '/app/test-key?protocol=7&version=one', code: 4006 },
    { path: '/app/test-key?protocol=4', code: 4007 }, { path: '/app/test-key?protocol=8', code: 4007 },
    { path: '/app/test-key', code: 4008 },
];

function open(random, c) {
    if (random.chance(0.08))
        return { do: 'open', c, ...random.pick(refusedOpenings) };
    const key = random.pick(['test-key', 'new-key']);
    return { do: 'open', c, path: `/app/${key}?protocol=${5 + random.below(3)}&client=x&version=1.0` };
}

/* One step of an open connection, or of a back end. `asked` are the channels that the connection has asked for. */
function act(random, c, asked) {
    const known = asked.length > 0 && random.chance(0.8) ? random.pick(asked) : random.pick(channels);
    return random.weighted([
        [30, { do: 'subscribe', c, channel: channel(random), channel_data: channelData(random), ...auth(random) }],
        [6, { do: 'unsubscribe', c, channel: known }],
        [14, { do: 'client', c, event: random.weighted([[12, 'client-a'], [1, `client-${wordy(limits.event_name_chars)}`]]),
            channel: known, data: eventData(random) }],
        [10, { do: 'signin', c, user_data: userData(random), ...auth(random) }],
        [10, publish(random, c)],
        [4, { do: 'nonsense', c, text: random.pick(nonsense) }],
        [2, open(random, c)],
        [2, { do: 'ping', c, data: random.pick([{}, '', undefined]) }],
        [1, { do: 'pong', c }],
        [3, { do: 'leave', c, how: random.pick(['close', 'reset']) }],
        [2, { do: 'terminate', user: random.pick(USERS) }],
        [2, { do: 'askChannels', prefix: `${random.pick(PREFIXES)}~` }],
        [2, { do: 'askUsers', channel: random.pick(channels) }],
    ]);
}

/* The steps of a seed. Channels other than presence channels take no channel_data from anybody who means well. */
export function steps(seed, length) {
    const random = new Random(seed);
    const opened = new Map(); /* connection -> the channels it has asked for */
    return Array.from({ length }, () => {
        const c = random.below(CONNECTIONS);
        const step = opened.has(c) ? act(random, c, opened.get(c)) : open(random, c);
        if (step.do === 'subscribe' && !step.channel.startsWith('presence-'))
            delete step.channel_data;
        if (step.do === 'open' && !step.code)
            opened.set(c, []);
        if (step.do === 'subscribe')
            opened.get(c).push(step.channel);
        if (step.do === 'leave')
            opened.delete(c);
        return step;
    });
}

/* The same for one playing. */
export const mark = (op, word) => JSON.parse(JSON.stringify(op).replaceAll('~', word));
