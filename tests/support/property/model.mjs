/* The contract of the WebSocket side, small enough to be read at one sitting: who is connected, subscribed, a member,
 * signed in, and what everybody must hear of each step. (protocol.md; http-api.md, as far as clients hear of it.)
 *
 * step() changes the model and gives what must come: {heard: Map connection -> frames, closes: Map connection -> code,
 * answer: what HTTP says, ordered: whether the frames of one connection must come in this order}. A frame is
 * {event, channel?, data, user_id?}; data is {S: value} where a string with that value in JSON must come. ANY fits
 * every text that is not empty, ONE_OF(…) one of several values.
 */

export const ANY = { any: true };
export const oneOf = (...values) => ({ oneOf: values });

export const limits = {
    presence_members: 3,
    client_events_per_second: 0,
    channels_per_connection: 7,
    watchlist_users: 2,
    event_bytes: 120,
    event_name_chars: 30,
    channel_name_chars: 60,
    user_id_chars: 24,
    user_info_bytes: 80,
};

const BARRIER = /^private-barrier/;

function kindOf(channel) {
    if (channel.startsWith('#server-to-user-'))
        return 'user';
    if (channel.startsWith('presence-'))
        return 'presence';
    if (channel.startsWith('private-encrypted-'))
        return 'encrypted';
    return channel.startsWith('private-') ? 'private' : 'public';
}

const isCache = (channel) => /^(cache-|private-cache-|private-encrypted-cache-|presence-cache-)/.test(channel);
const isName = (channel) => /^[A-Za-z0-9_=@,.;-]+$/.test(channel) && channel.length <= limits.channel_name_chars;
const hasCount = (channel) => ['public', 'private'].includes(kindOf(channel));

function parse(text) {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/* {id, info} of channel_data, or null. */
function memberIn(channelData) {
    const said = parse(channelData);
    if (!isObject(said) || !['string', 'number'].includes(typeof said.user_id) || said.user_id === '')
        return null;
    const id = String(said.user_id);
    const info = said.user_info ?? null;
    if (id.length > limits.user_id_chars || (info !== null && JSON.stringify(info).length > limits.user_info_bytes))
        return null;
    return { id, info };
}

/* {id, info, watchlist} of user_data, or null. */
function userIn(userData) {
    const said = parse(userData);
    if (!isObject(said) || typeof said.id !== 'string' || said.id === '' || said.id.length > limits.user_id_chars)
        return null;
    const { user_info: info = null, watchlist = [] } = said;
    if (info !== null && !isObject(info))
        return null;
    if (!Array.isArray(watchlist) || watchlist.some((id) => typeof id !== 'string' || id === ''))
        return null;
    const size = userData.length - (said.watchlist ? JSON.stringify(watchlist).length : 0);
    return size > limits.user_info_bytes ? null : { id: said.id, info, watchlist };
}

export class Model {
    constructor() {
        this.connections = new Map(); /* number -> {channels: Map name -> member or null, user, watches: Set or null} */
        this.rosters = new Map(); /* channel -> Map user id -> {info, connections} */
        this.cached = new Map(); /* channel -> frame */
    }

    step(op) {
        this.heard = new Map();
        this.closes = new Map();
        this.answer = null;
        this.ordered = true;
        if (op.c === undefined || this.connections.has(op.c) !== (op.do === 'open'))
            this[op.do](op);
        return { heard: this.heard, closes: this.closes, answer: this.answer, ordered: this.ordered };
    }

    tell(c, frame) {
        if (!this.heard.has(c))
            this.heard.set(c, []);
        this.heard.get(c).push(frame);
    }

    complain(c, message = ANY, code = null) {
        this.tell(c, { event: 'pusher:error', data: { code, message } });
    }

    refuse(c, channel, message = ANY) {
        this.complain(c, message);
        this.tell(c, { event: 'pusher:subscription_error', channel, data: { type: 'AuthError', error: message, status: 401 } });
    }

    subscribers(channel) {
        return [...this.connections].filter(([, { channels }]) => channels.has(channel)).map(([c]) => c);
    }

    tellAll(channel, frame, except = null) {
        for (const c of this.subscribers(channel)) {
            if (c !== except)
                this.tell(c, { ...frame, channel });
        }
    }

    tellCount(channel) {
        const count = this.subscribers(channel).length;
        if (hasCount(channel) && count > 0)
            this.tellAll(channel, { event: 'pusher_internal:subscription_count', data: { S: { subscription_count: count } } });
    }

    /* ---- connections ---- */

    open({ c, code }) {
        if (code) {
            this.tell(c, { event: 'pusher:error', data: { code, message: ANY } });
            this.closes.set(c, code);
            return;
        }
        this.connections.set(c, { channels: new Map(), user: null, watches: null });
        this.tell(c, { event: 'pusher:connection_established', data: { S: { socket_id: ANY, activity_timeout: 120 } } });
    }

    leave({ c }) {
        this.ordered = false;
        const { channels, user } = this.connections.get(c);
        for (const channel of [...channels.keys()])
            this.part(c, channel);
        this.connections.delete(c);
        this.heard.delete(c);
        if (user && !this.isOnline(user.id))
            this.tellWatchers(user.id, 'offline');
    }

    ping({ c }) {
        this.tell(c, { event: 'pusher:pong', data: {} });
    }

    pong() {
        /* is life, and nothing else */
    }

    nonsense({ c }) {
        this.complain(c);
    }

    /* ---- channels ---- */

    mayJoin(c, { channel, auth, channel_data: data }) {
        const kind = kindOf(channel);
        const { user, channels } = this.connections.get(c);
        if (kind === 'user' ? channel !== `#server-to-user-${user?.id}` : !isName(channel))
            return this.refuse(c, channel);
        if (channels.has(channel))
            return this.complain(c, `Existing subscription to channel ${channel}`);
        if (channels.size >= limits.channels_per_connection)
            return this.refuse(c, channel);
        if (['public', 'user'].includes(kind))
            return { member: null };
        if (kind === 'presence' && data === undefined && !user)
            return this.refuse(c, channel);
        if (auth !== 'good')
            return this.refuse(c, channel);
        return kind === 'presence' ? this.mayBeMember(c, channel, data) : { member: null };
    }

    mayBeMember(c, channel, data) {
        const { user } = this.connections.get(c);
        const member = data === undefined ? user : memberIn(data);
        if (!member)
            return this.refuse(c, channel);
        const roster = this.rosters.get(channel) ?? new Map();
        if (!roster.has(member.id) && roster.size >= limits.presence_members)
            return this.refuse(c, channel);
        return { member };
    }

    subscribe(op) {
        const { c, channel } = op;
        const may = this.mayJoin(c, op);
        if (!may)
            return;
        if (may.member)
            this.enter(channel, may.member);
        this.connections.get(c).channels.set(channel, may.member?.id ?? null);
        this.tell(c, { event: 'pusher_internal:subscription_succeeded', channel, data: { S: this.roster(channel) } });
        if (isCache(channel))
            this.tell(c, this.cached.get(channel) ?? { event: 'pusher:cache_miss', channel, data: { S: {} } });
        this.tellCount(channel);
    }

    enter(channel, { id, info }) {
        if (!this.rosters.has(channel))
            this.rosters.set(channel, new Map());
        const roster = this.rosters.get(channel);
        if (roster.has(id)) {
            roster.get(id).connections++;
            return;
        }
        roster.set(id, { info, connections: 1 });
        this.tellAll(channel, {
            event: 'pusher_internal:member_added', data: { S: { user_id: id, ...(info !== null && { user_info: info }) } },
        });
    }

    roster(channel) {
        const members = this.rosters.get(channel);
        if (kindOf(channel) !== 'presence')
            return {};
        const ids = [...members.keys()].sort();
        return { presence: { ids, hash: Object.fromEntries(ids.map((id) => [id, members.get(id).info])), count: ids.length } };
    }

    part(c, channel) {
        const { channels } = this.connections.get(c);
        const member = channels.get(channel);
        channels.delete(channel);
        const roster = this.rosters.get(channel);
        if (member !== null && --roster.get(member).connections === 0) {
            roster.delete(member);
            this.tellAll(channel, { event: 'pusher_internal:member_removed', data: { S: { user_id: member } } });
        }
        this.tellCount(channel);
    }

    unsubscribe({ c, channel }) {
        if (this.connections.get(c).channels.has(channel))
            this.part(c, channel);
        else
            this.complain(c, `No current subscription to channel ${channel}`);
    }

    /* ---- what clients say to each other ---- */

    client({ c, event, channel, data }) {
        const { channels } = this.connections.get(c);
        const kind = channel === undefined ? null : kindOf(channel);
        if (channel !== undefined && !channels.has(channel))
            return this.complain(c, `No current subscription to channel ${channel}`);
        const size = data === undefined ? 0 : JSON.stringify(data).length;
        if (!['private', 'presence'].includes(kind) || event.length > limits.event_name_chars || size > limits.event_bytes)
            return this.complain(c);
        const user = kind === 'presence' ? { user_id: channels.get(channel) } : {};
        return this.tellAll(channel, { event, data: data === undefined ? {} : data, ...user }, c);
    }

    /* ---- users ---- */

    isOnline(id) {
        return [...this.connections.values()].some(({ user }) => user?.id === id);
    }

    tellWatchers(id, name) {
        for (const [c, { watches }] of this.connections) {
            if (watches?.has(id))
                this.tell(c, { event: 'pusher_internal:watchlist_events', data: { events: [{ name, user_ids: [id] }] } });
        }
    }

    signin({ c, auth, user_data: userData }) {
        const connection = this.connections.get(c);
        const user = auth === 'good' ? userIn(userData) : null;
        if (!user || (connection.user && connection.user.id !== user.id)) {
            this.complain(c);
            return;
        }
        const success = { event: 'pusher:signin_success', data: { user_data: userData } };
        if (connection.user) {
            this.tell(c, success);
            return;
        }
        if (!this.isOnline(user.id))
            this.tellWatchers(user.id, 'online');
        connection.user = user;
        this.tell(c, success);
        this.watch(c, connection, user.watchlist);
    }

    watch(c, connection, watchlist) {
        if (watchlist.length > limits.watchlist_users)
            this.complain(c, ANY, 4302);
        connection.watches = new Set(watchlist.slice(0, limits.watchlist_users));
        const watched = [...connection.watches].sort();
        const events = [['online', watched.filter((id) => this.isOnline(id))], ['offline', watched.filter((id) => !this.isOnline(id))]]
            .filter(([, ids]) => ids.length > 0).map(([name, user_ids]) => ({ name, user_ids }));
        if (events.length > 0)
            this.tell(c, { event: 'pusher_internal:watchlist_events', data: { events } });
    }

    /* ---- what back ends do ---- */

    publish({ items, bad }) {
        this.answer = { status: bad ? oneOf(400, 413) : 200, body: bad ? { error: ANY } : {} };
        for (const { channel, name, data, except } of bad ? [] : items) {
            this.tellAll(channel, { event: name, data }, except);
            if (isCache(channel))
                this.cached.set(channel, { event: name, channel, data });
        }
    }

    terminate({ user }) {
        this.answer = { status: 200, body: {} };
        const ending = [...this.connections].filter(([, connection]) => connection.user?.id === user).map(([c]) => c);
        for (const c of ending)
            this.leave({ c });
        for (const c of ending) {
            this.heard.set(c, [{ event: 'pusher:error', data: { code: 4009, message: ANY } }]);
            this.closes.set(c, 4009);
        }
    }

    askChannels({ prefix }) {
        const names = new Set([...this.connections.values()].flatMap(({ channels }) => [...channels.keys()]));
        const of = (name) => ({
            ...(prefix.startsWith('presence-') && { user_count: this.rosters.get(name).size }),
            subscription_count: this.subscribers(name).length,
        });
        const channels = [...names].filter((name) => name.startsWith(prefix)).sort().map((name) => [name, of(name)]);
        this.answer = { status: 200, body: { channels: Object.fromEntries(channels) } };
    }

    askUsers({ channel }) {
        const presence = kindOf(channel) === 'presence';
        const ids = [...(this.rosters.get(channel)?.keys() ?? [])].sort();
        this.answer = presence ? { status: 200, body: { users: ids.map((id) => ({ id })) } } : { status: 400, body: { error: ANY } };
    }

    /* How many connections the barrier's channel has: what the player waits for when one has gone. */
    atBarrier() {
        return [...this.connections.values()].filter(({ channels }) => [...channels.keys()].some((name) => BARRIER.test(name))).length;
    }
}
