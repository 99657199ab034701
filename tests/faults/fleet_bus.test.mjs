/* The connections on which edges hear of each other: what they follow, and what happens when one is silent or loses something. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { Fleet, H, L, MACHINE, S, sleep } from '../support/fleet.mjs';
import { until } from '../support/wait.mjs';

const fleet = await new Fleet({ changes: { app: { subscription_counts: true } } }).populated();
const { crowd, rooms, hall } = fleet;
const [edge, other, third] = fleet.edges;

const topicOf = (channel) => new RegExp(`^rollcall:\\{\\d+\\}:e:7:${channel}$`);

/* How many edges follow that channel; none: Redis does not list it either. */
async function followers(channel) {
    const counts = await fleet.ofEachServer(async (server) => {
        const topics = (await server.ask('PUBSUB', 'CHANNELS', `*:${channel}`)).filter((topic) => topicOf(channel).test(topic));
        assert.ok(topics.length <= 1, `${topics}`);
        return topics.length > 0 ? (await server.ask('PUBSUB', 'NUMSUB', topics[0]))[1] : 0;
    });
    return counts.reduce((sum, count) => sum + count, 0);
}

function follow(channel, count, when) {
    return until(async () => await followers(channel) === count, `${count} edges to follow ${channel} ${when}`, H + MACHINE);
}

for (const channel of ['presence-followed', 'followed'])
    test(`${channel} is followed by the edges that have a subscriber of it, and by no others`, async () => {
        const people = await Promise.all([edge, edge, other].map((of, i) => crowd.add(of, `listens-${i}`)));
        const [first, second, elsewhere] = people;
        assert.equal(await followers(channel), 0);
        const steps = [[first, 'join', 1], [second, 'join', 1], [elsewhere, 'join', 2], [first, 'leave', 2], [second, 'leave', 1],
            [second, 'join', 2], [elsewhere, 'leave', 1]];
        for (const [person, act, count] of steps) {
            await (act === 'join' ? person.joinAll([channel]) : person.leave(channel));
            await follow(channel, count, `after ${person.id} did ${act}`);
        }
        second.socket.destroy(); /* without a word */
        second.close();
        await follow(channel, 0, 'after the last one was gone');
        crowd.dismiss(people);
        await fleet.right(Date.now(), H, 'after the listeners left');
    });

test('an edge that dies follows nothing any more, and one that starts follows what its people are in', async () => {
    assert.equal(await followers(rooms[0]), 3);
    await fleet.killEdge(third);
    await follow(rooms[0], 2, 'after the kill');
    await fleet.replaceEdge(third);
    assert.equal(await followers(rooms[0]), 3, 'whoever was answered is followed for');
    await fleet.right(Date.now(), L + 2 * H, 'after the kill');
    await fleet.calm();
});

/* An own beat is missed at most H after the silence began, and is waited for 2 H; then all is compared. */
const SILENT = 3 * H + H;

test('the bus of one edge is silent, and no end of it is told', async (t) => {
    const resets = async () => (await edge.metrics()).get('rollcall_presence_bus_resets_total');
    const before = await resets();
    const churn = fleet.churn();
    await sleep(H);
    const silent = fleet.links.get(edge).reduce((sum, link) => sum + link.silenceBus(), 0);
    const began = Date.now();
    assert.equal(silent, fleet.servers.length);
    await sleep(2 * H);
    churn.stop();
    assert.ok(crowd.differences().some((text) => crowd.peopleOf(edge).some(({ id }) => text.startsWith(`${id} `))), 'its people have missed nothing');
    t.diagnostic(await fleet.right(began, SILENT, 'after the bus fell silent'));
    assert.equal(await resets() - before, silent);
    await sleep(2 * H); /* and they stay well */
    assert.equal(await resets() - before, silent);
});

/* One message of a channel, of that kind, is not carried to that edge. */
async function unheard(channel, kind, act) {
    const link = fleet.links.get(edge)[fleet.homeOf(channel)];
    const before = link.dropped;
    link.loseMessage((topic, text) => topicOf(channel).test(topic) && text.startsWith(`1${kind} `));
    await act();
    await until(() => link.dropped > before, 'the message to be lost');
}

/* Nobody but scrub says that something is wrong. */
async function foundByScrub(what, act) {
    const divergences = async () => (await edge.metrics()).get('rollcall_presence_scrub_divergences_total');
    const [began, before] = [Date.now(), await divergences()];
    await act();
    await until(async () => await divergences() > before, `scrub to find ${what}`, S + MACHINE);
    return fleet.right(began, S, `after ${what}`);
}

test('a message is lost: the next change of the channel shows it', async (t) => {
    const [room] = rooms;
    const [one, two] = await Promise.all(['one', 'two'].map((name) => crowd.add(other, name)));
    await unheard(room, '+', () => one.joinAll([room]));
    await two.joinAll([room]);
    t.diagnostic(await fleet.right(Date.now(), H, 'after the change that followed a lost arrival'));
    await unheard(room, '-', () => one.leave(room));
    two.leave(room);
    t.diagnostic(await fleet.right(Date.now(), H, 'after the change that followed a lost departure'));
});

test('a message is lost, and nothing else happens: scrub finds it', async (t) => {
    const [room] = rooms;
    const one = await crowd.add(other, 'one-alone');
    t.diagnostic(await foundByScrub('a lost arrival', () => unheard(room, '+', () => one.joinAll([room]))));
    t.diagnostic(await foundByScrub('a lost departure', () => unheard(room, '-', () => one.leave(room))));
    t.diagnostic(await foundByScrub('a lost number', () => unheard(hall, 'n', () => one.joinAll([hall]))));
    const listeners = crowd.people.filter(({ joined }) => joined.has(hall));
    await until(() => listeners.every(({ counts }) => counts.get(hall) === crowd.subscriptions(hall)), 'all to know the number', H + MACHINE)
        .catch((error) => assert.fail(`${error.message}: ${listeners.map(({ counts }) => counts.get(hall))} of ${crowd.subscriptions(hall)}`));
});

test('the edges leave cleanly, and nothing was wrong', async () => {
    crowd.assertClean();
    await fleet.close();
});
