/* A crowd of light clients, each a WebSocket to one of several edges, whose rosters are kept as their messages say, and
 * the oracle: who is in which channel by what the sockets did. */

import crypto from 'node:crypto';
import assert from 'node:assert/strict';
import { openPusher, sign } from './raw.mjs';
import { until, within } from './wait.mjs';

function signature(app, text) {
    return `${app.key}:${crypto.createHmac('sha256', app.secret).update(text).digest('hex')}`;
}

const hasRoster = (channel) => channel.startsWith('presence-');

/* One client: one connection, one user, any number of presence and public channels. */
export class Person {
    constructor(crowd, edge, id) {
        Object.assign(this, { crowd, edge, id, rosters: new Map(), joined: new Set(), hidden: new Set(), answers: new Map(), counts: new Map() });
    }

    async connect() {
        this.socket = await openPusher(this.edge);
        this.socket.messages.push = (message) => this.hear(message); /* nothing is kept: these live long */
        for (const message of this.socket.messages.items.splice(0))
            this.hear(message);
        return this;
    }

    hear({ event, channel, data }) {
        if (event === 'pusher_internal:subscription_succeeded') {
            if (!this.joined.has(channel))
                return; /* left again meanwhile */
            this.rosters.set(channel, new Set(hasRoster(channel) ? JSON.parse(data).presence.ids : []));
            this.rosters.get(channel).forEach((user) => this.crowd.judge('shown', this, channel, user));
            this.crowd.heard++;
            this.answers.get(channel)?.();
        } else if (event === 'pusher_internal:member_added' || event === 'pusher_internal:member_removed') {
            this.change(event.slice(16), channel, JSON.parse(data).user_id);
        } else if (event === 'pusher_internal:subscription_count') {
            this.counts.set(channel, JSON.parse(data).subscription_count);
        } else if (event === 'pusher:pong') {
            this.ponged?.();
        } else if (event === 'pusher:subscription_error' || event === 'pusher:error') {
            this.crowd.problem(`${this.id} was told ${event} ${channel}: ${JSON.stringify(data)}`);
        }
    }

    /* added and removed alternate for each user, in line with the roster that came first. */
    change(kind, channel, user) {
        const roster = this.rosters.get(channel);
        if (!roster)
            return; /* unsubscribed, and the server has not heard yet */
        const added = kind === 'member_added';
        if (!hasRoster(channel))
            this.crowd.problem(`${this.id} was told ${kind} in ${channel}`);
        if (roster.has(user) === added)
            this.crowd.problem(`${this.id} was told ${kind} ${user} in ${channel}, whom its roster ${added ? 'had' : 'had not'}`);
        if (added)
            roster.add(user);
        else
            roster.delete(user);
        this.crowd.heard++;
        this.crowd.told(kind, this, channel, user);
    }

    join(channel) {
        const data = JSON.stringify({ user_id: this.id });
        const answered = new Promise((resolve) => this.answers.set(channel, resolve));
        this.joined.add(channel);
        this.crowd.enter(channel, this.id);
        this.socket.send('pusher:subscribe', { channel, ...(hasRoster(channel) && { channel_data: data,
            auth: signature(this.edge.app, `${this.socket.socketId}:${channel}:${data}`) }) });
        return answered;
    }

    /* All of them, answered. */
    joinAll(channels) {
        return within(Promise.all(channels.map((channel) => this.join(channel))),
            () => `${this.id}'s subscriptions; ${this.crowd.problems.slice(0, 3).join('; ')}`);
    }

    leave(channel) {
        this.joined.delete(channel);
        this.rosters.delete(channel);
        this.answers.delete(channel);
        this.crowd.exit(channel, this.id);
        this.socket.send('pusher:unsubscribe', { channel });
    }

    /* Everything said to the server before has been handled by its worker. */
    settled() {
        const ponged = new Promise((resolve) => {
            this.ponged = resolve;
        });
        this.socket.send('pusher:ping', {});
        return within(ponged, `a pong for ${this.id}`);
    }

    close() {
        this.closed = true;
        for (const channel of [...this.joined]) {
            this.joined.delete(channel);
            this.rosters.delete(channel);
            if (!this.hidden.delete(channel))
                this.crowd.exit(channel, this.id);
        }
        this.socket.destroy();
    }
}

export class Crowd {
    constructor() {
        this.people = [];
        this.truth = new Map(); /* channel -> user -> how many of his sockets are in it */
        this.left = new Map(); /* channel + user -> when his last socket left, for judging what is told of him */
        this.came = new Set(); /* likewise, whose first one came */
        this.known = new Set(); /* likewise, who ever was there */
        this.problems = [];
        this.wrong = []; /* removals of those who had not left, and additions of those who were not there */
        this.changes = 0; /* joins and leaves */
        this.heard = 0; /* answers and changes that clients were told of */
    }

    problem(text) {
        this.problems.push(text);
    }

    /* Gives whether this is his first socket there. */
    enter(channel, user) {
        const users = this.truth.get(channel) ?? new Map();
        const isFirst = !users.has(user);
        if (isFirst) {
            this.came.add(`${channel} ${user}`);
            this.known.add(`${channel} ${user}`);
        }
        users.set(user, (users.get(user) ?? 0) + 1);
        this.truth.set(channel, users);
        this.changes++;
        return isFirst;
    }

    exit(channel, user) {
        const users = this.truth.get(channel);
        const left = users.get(user) - 1;
        if (left)
            users.set(user, left);
        else
            users.delete(user);
        if (!this.hasSocket(channel, user))
            this.left.set(`${channel} ${user}`, Date.now());
        this.changes++;
    }

    /* Whether another socket of his is in it, as his edge has answered: a join that is under way may be behind this leave. Then
     * nobody may be told anything. */
    hasSocket(channel, user) {
        return this.people.some(({ id, rosters, hidden }) => id === user && rosters.has(channel) && !hidden.has(channel));
    }

    /* Of somebody who was away at some time since all knew the truth, anything may be told. Else a removal is right when he
     * is away, an addition (or his name in a first roster) when he is there. With `ghosts` (data were rolled back) whoever was
     * ever there may be shown again; and who has come since may be removed: data of old may have shown him, and Redis need
     * not have his join yet. */
    judge(kind, person, channel, user) {
        const key = `${channel} ${user}`;
        const isThere = this.truth.get(channel)?.has(user) ?? false;
        if (this.left.has(key))
            return;
        if (kind === 'member_removed' && isThere && !(this.ghosts && this.came.has(key)))
            this.wrong.push({ at: Date.now(), text: `${person.id} was told that ${user} left ${channel}, who never did` });
        if (kind !== 'member_removed' && !isThere && !(this.ghosts && this.known.has(key)))
            this.wrong.push({ at: Date.now(), text: `${person.id} was told that ${user} is in ${channel} (${kind}), who is not` });
    }

    told(kind, person, channel, user) {
        this.judge(kind, person, channel, user);
    }

    async add(edge, id) {
        const person = await new Person(this, edge, id).connect();
        this.people.push(person);
        return person;
    }

    peopleOf(edge) {
        return this.people.filter((person) => person.edge === edge);
    }

    /* That edge's people in those channels are not to be seen any more: it stands still, or is cut off. Its sockets are open,
     * but whoever asks the fleet is right to be told that they are gone; what they see themselves is not judged meanwhile. */
    away(edge, isCut = () => true) {
        for (const person of this.peopleOf(edge)) {
            person.away = true;
            for (const channel of [...person.joined].filter((name) => isCut(name) && !person.hidden.has(name))) {
                person.hidden.add(channel);
                this.exit(channel, person.id);
            }
        }
    }

    /* It goes on. Whoever has not heard of it yet may still tell that its people are gone, for `grace_ms`; but not of those
     * who were to be seen all the while, by another socket. */
    back(edge, grace_ms = 0) {
        for (const person of this.peopleOf(edge)) {
            person.away = false;
            for (const channel of person.hidden)
                if (this.enter(channel, person.id))
                    this.left.set(`${channel} ${person.id}`, Date.now() + grace_ms);
            person.hidden.clear();
        }
    }

    /* They go for good, with their sockets. */
    dismiss(people) {
        people.forEach((person) => person.close());
        this.people = this.people.filter((person) => !people.includes(person));
    }

    /* It is dead, and its sockets with it. */
    lose(edge) {
        this.dismiss(this.peopleOf(edge));
    }

    /* All are known to see the truth: whoever is told from now on that somebody left who has not since is told wrong. (Not
     * while some are cut off: they will be told of the past.) */
    forget() {
        const now = Date.now();
        if (this.people.some(({ away }) => away))
            return;
        this.left.forEach((at, key) => at <= now && this.left.delete(key));
        this.came.clear();
    }

    members(channel) {
        return [...(this.truth.get(channel)?.keys() ?? [])].sort();
    }

    /* How many sockets are in it. */
    subscriptions(channel) {
        return [...(this.truth.get(channel)?.values() ?? [])].reduce((sum, sockets) => sum + sockets, 0);
    }

    channels() {
        return [...this.truth.keys()].sort();
    }

    /* What is not as it should be in the clients' rosters, one after the other; nothing: they are exact. */
    *findDifferences() {
        for (const person of this.people.filter(({ away }) => !away))
            for (const [channel, roster] of [...person.rosters].filter(([name]) => hasRoster(name))) {
                const there = this.truth.get(channel) ?? new Map();
                const [ghosts, missed] = [[...roster].filter((user) => !there.has(user)), [...there.keys()].filter((user) => !roster.has(user))];
                if (ghosts.length + missed.length > 0)
                    yield `${person.id} in ${channel}, still sees [${ghosts}], does not see [${missed}]`;
            }
    }

    differences() {
        return [...this.findDifferences()];
    }

    /* Every client that can be seen has its answers, and sees exactly who is there. */
    isExact() {
        return this.findDifferences().next().done
            && !this.people.some((person) => !person.away && person.rosters.size !== person.joined.size);
    }

    /* Waits until it is so. Returns how long that took. (It looks again only when something has changed: a look takes a
     * while, and the same process carries what the edges and their Redis say.) */
    async exact(ms, what = 'the rosters to be right') {
        const began = Date.now();
        let looked = -1;
        await until(() => {
            if (looked === this.changes + this.heard)
                return false;
            looked = this.changes + this.heard;
            return this.isExact();
        }, what, ms).catch((error) => {
            const found = this.differences();
            const waiting = this.people.flatMap((person) => [...person.joined].filter((channel) => !person.rosters.has(channel)));
            throw new Error(`${error.message}; ${found.length} differences, ${waiting.length} unanswered: ${found.slice(0, 5).join('; ')}`);
        });
        return Date.now() - began;
    }

    /* What the HTTP API of that edge says, against the truth; empty: exact. */
    async apiDifferences(edge, channels = this.channels()) {
        const found = [];
        for (const channel of channels) {
            const path = `${edge.prefix}/apps/${edge.app.id}/channels/${channel}/users`;
            const answer = await fetch(`http://${edge.host}:${edge.port}${sign(edge.app, 'GET', path)}`);
            const body = answer.status === 200 ? await answer.json() : { users: [{ id: `status ${answer.status}` }] };
            const has = body.users.map(({ id }) => id).sort().join();
            if (has !== this.members(channel).join())
                found.push(`the API says ${has} in ${channel}, where there are ${this.members(channel).join()}`);
        }
        return found;
    }

    async apiExact(edges, ms) {
        const began = Date.now();
        for (const edge of edges) {
            let last = [];
            await until(async () => (last = await this.apiDifferences(edge)).length === 0, 'the API to be right', ms).catch((error) => {
                throw new Error(`${error.message}: ${last.slice(0, 3).join('; ')}`);
            });
        }
        return Date.now() - began;
    }

    /* Joins and leaves at random, `rate` a second, until stop() is called. Those who churn are people of their own, so
     * that of all others one knows that they never left. */
    churn(people, channels, rate, random = Math.random) {
        let running = true;
        const step = 20;
        let owed = 0;
        const timer = setInterval(() => {
            owed += rate * step / 1000;
            for (; owed >= 1 && running; owed--) {
                const person = people[Math.floor(random() * people.length)];
                const channel = channels[Math.floor(random() * channels.length)];
                if (person.closed || person.away)
                    continue;
                if (person.joined.has(channel))
                    person.leave(channel);
                else
                    person.join(channel);
            }
        }, step);
        return { stop: () => {
            running = false;
            clearInterval(timer);
        } };
    }

    assertClean() {
        assert.deepEqual(this.problems.slice(0, 5), []);
        assert.deepEqual(this.wrong.slice(0, 5), []);
    }

    close() {
        for (const person of this.people)
            person.close();
    }
}
