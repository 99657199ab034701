/* The oracle of the fault tests: what it must find wrong, and what it must not, told by a server that is not there. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { Crowd, Person } from '../support/crowd.mjs';

const ROOM = 'presence-room';
const [A, B, C] = ['a', 'b', 'c'].map((name) => ({ name, app: { key: 'k', secret: 's' } }));

/* Somebody who hears only what say() says. */
function person(crowd, edge, id, rooms = [ROOM]) {
    const one = new Person(crowd, edge, id);
    one.socket = { socketId: '1.1', send() {}, destroy() {} };
    crowd.people.push(one);
    rooms.forEach((room) => one.join(room));
    return one;
}

function say(to, event, data) {
    to.hear({ event, channel: ROOM, data: JSON.stringify(data) });
}

const roster = (to, ids) => say(to, 'pusher_internal:subscription_succeeded', { presence: { ids } });
const added = (to, user_id) => say(to, 'pusher_internal:member_added', { user_id });
const removed = (to, user_id) => say(to, 'pusher_internal:member_removed', { user_id });

/* A witness on one edge, and a user on each of all three, whom all are known to see. */
function scene() {
    const crowd = new Crowd();
    const witness = person(crowd, A, 'witness');
    const both = [A, B, C].map((edge) => person(crowd, edge, 'everywhere'));
    const stranger = person(crowd, B, 'stranger', []);
    for (const one of [witness, ...both])
        roster(one, ['witness', 'everywhere']);
    assert.ok(crowd.isExact());
    crowd.forget();
    return { crowd, witness, both, stranger };
}

function assertWrong(crowd, pattern) {
    assert.equal(crowd.wrong.length, 1);
    assert.match(crowd.wrong[0].text, pattern);
}

test('one socket of several leaves: nobody may be told', () => {
    const { crowd, witness, both } = scene();
    both[1].leave(ROOM);
    removed(witness, 'everywhere');
    assertWrong(crowd, /everywhere left/);
});

test('one socket leaves while the join of another one is under way: his edge may see the leave first', () => {
    const { crowd, witness, both, stranger } = scene();
    both.forEach((one) => one.leave(ROOM));
    crowd.forget();
    stranger.join(ROOM);
    roster(stranger, ['witness', 'stranger']);
    added(witness, 'stranger');
    person(crowd, B, 'stranger');
    crowd.forget();
    stranger.leave(ROOM);
    removed(witness, 'stranger');
    crowd.assertClean();
});

test('an edge of several is cut off and comes back, or dies: likewise', () => {
    for (const harm of [(crowd) => crowd.away(B), (crowd) => {
        crowd.away(B);
        crowd.back(B, 1000);
    }, (crowd) => crowd.lose(B), (crowd) => {
        crowd.away(B);
        crowd.lose(B);
    }]) {
        const { crowd, witness } = scene();
        harm(crowd);
        removed(witness, 'everywhere');
        assertWrong(crowd, /everywhere left/);
        added(witness, 'everywhere');
        assert.ok(crowd.isExact());
    }
});

test('the last socket leaves: that may be told, also when he has come again, until all know', () => {
    const { crowd, witness, both } = scene();
    both.forEach((one) => one.leave(ROOM));
    removed(witness, 'everywhere');
    both[2].join(ROOM);
    added(witness, 'everywhere');
    removed(witness, 'everywhere');
    added(witness, 'everywhere');
    roster(both[2], ['witness', 'everywhere']);
    assert.ok(crowd.isExact());
    crowd.assertClean();
    crowd.forget();
    removed(witness, 'everywhere');
    assertWrong(crowd, /everywhere left/);
});

test('people of an edge that is away are gone, in the channels that it cannot reach, and back afterwards', () => {
    const { crowd, witness, stranger } = scene();
    stranger.join(ROOM);
    roster(stranger, ['witness', 'everywhere', 'stranger']);
    added(witness, 'stranger');
    crowd.people.filter(({ id }) => id === 'everywhere').forEach((one) => one.rosters.get(ROOM).add('stranger'));
    assert.ok(crowd.isExact());
    crowd.forget();
    crowd.away(B, (room) => room !== ROOM);
    assert.ok(crowd.members(ROOM).includes('stranger'));
    crowd.away(B);
    crowd.away(B);
    assert.ok(!crowd.members(ROOM).includes('stranger'));
    removed(witness, 'stranger');
    crowd.forget();
    crowd.back(B);
    assert.ok(crowd.members(ROOM).includes('stranger'));
    added(witness, 'stranger');
    crowd.assertClean();
    assert.ok(crowd.isExact());
});

test('somebody is shown who is not there', () => {
    for (const show of [(to) => added(to, 'stranger'), (to) => roster(to, ['witness', 'everywhere', 'stranger'])]) {
        const { crowd, witness } = scene();
        show(witness);
        assertWrong(crowd, /stranger is in/);
        assert.ok(!crowd.isExact());
    }
});

test('after data were rolled back those may be shown who ever were there, and nobody else', () => {
    const { crowd, witness, stranger } = scene();
    stranger.join(ROOM);
    stranger.leave(ROOM);
    crowd.forget();
    crowd.ghosts = true;
    added(witness, 'stranger');
    crowd.assertClean();
    added(witness, 'nobody');
    assertWrong(crowd, /nobody is in/);
});

test('added and removed alternate', () => {
    const { crowd, witness } = scene();
    added(witness, 'everywhere');
    assert.match(crowd.problems[0], /member_added everywhere .* whom its roster had/);
    crowd.exit(ROOM, 'everywhere');
    removed(witness, 'stranger');
    assert.match(crowd.problems[1], /member_removed stranger .* whom its roster had not/);
});
