/* Random sequences of everything a client and a back end can do, right and wrong, next to a small model of the contract:
 * every frame that it expects must come, and none besides. Each sequence is played against a server with one worker
 * and one with two, which must also say the same to the letter.
 *
 * ROLLCALL_SEED=n plays that sequence alone; ROLLCALL_SEQUENCES=n so many. What fails is cut down before it is shown. */
// threads

import assert from 'node:assert/strict';
import test from 'node:test';
import { limits } from '../support/property/model.mjs';
import { Difference, pairs, Player } from '../support/property/play.mjs';
import { steps } from '../support/property/steps.mjs';
import { startServer } from '../support/server.mjs';

const LENGTH = 60, LANES = 6, SHRINK_TRIES = 150;
const seed = process.env.ROLLCALL_SEED === undefined ? null : Number(process.env.ROLLCALL_SEED);
const first = seed ?? Math.floor(Math.random() * 2 ** 31);
const count = seed === null ? Number(process.env.ROLLCALL_SEQUENCES ?? 120) : 1;

const app = { id: '7', keys: pairs, client_events: true, subscription_counts: true, limits };
const off = { id: '8', key: 'off-key', secret: 'x', enabled: false };

async function start(workers) {
    const server = await startServer({ edge: { workers, messages_per_second: 0 }, apps: [app, off] });
    server.app = { ...app, ...pairs[0] };
    return server;
}

/* What has to happen now and then, so that there was something to compare. */
const KINDS = [
    'connection_established', 'error', 'pong', 'subscription_error', 'cache_miss', 'signin_success',
    '_internal:subscription_succeeded', '_internal:subscription_count', '_internal:member_added', '_internal:member_removed',
    '_internal:watchlist_events',
].map((name) => (name.startsWith('_') ? `pusher${name}` : `pusher:${name}`)).concat('client-a', 'news');

const servers = [await start(1), await start(2)];
const kinds = new Map();
let words = 0;

/* The transcript, or throws what went differently; `sequence` has then become what led to it. */
async function play(server, sequence) {
    const player = new Player(server, `w${++words}w`);
    let at = 0;
    try {
        await player.start();
        for (; at < sequence.length; at++)
            await player.step(sequence[at]);
        player.kinds.forEach((times, kind) => kinds.set(kind, (kinds.get(kind) ?? 0) + times));
        return player.transcript;
    } catch (error) {
        error.played = sequence.slice(0, at + 1);
        throw error;
    } finally {
        player.end();
    }
}

/* The same difference with fewer steps: each is left out in turn, and stays out where it was not needed. */
async function shrink(server, error) {
    let smallest = error;
    for (let i = smallest.played.length - 2, tries = 0; i >= 0 && tries < SHRINK_TRIES; i--, tries++) {
        const fewer = smallest.played.toSpliced(i, 1);
        await play(server, fewer).catch((found) => {
            if (found instanceof Difference)
                smallest = found;
        });
        i = Math.min(i, smallest.played.length - 1);
    }
    return smallest;
}

async function playBoth(number) {
    const sequence = steps(number, LENGTH);
    const transcripts = [];
    for (const server of servers) {
        transcripts.push(await play(server, sequence).catch(async (error) => {
            const { message, played = [] } = error instanceof Difference ? await shrink(server, error) : error;
            const list = played.map((step) => `    ${JSON.stringify(step)}`).join('\n');
            throw new Error(`ROLLCALL_SEED=${number}, ${server.settings.edge.workers} workers: ${message}\nafter\n${list}`);
        }));
    }
    const odd = transcripts[0].findIndex((line, i) => line !== transcripts[1][i]);
    assert.equal(transcripts[1][odd], transcripts[0][odd], `ROLLCALL_SEED=${number}: two workers and one did not say the same`);
}

test('random sequences go as the contract says, on one worker and on two', async (t) => {
    t.diagnostic(`${count} sequences from ROLLCALL_SEED=${first} on`);
    const queue = Array.from({ length: count }, (_, i) => first + i);
    await Promise.all(Array.from({ length: LANES }, async () => {
        while (queue.length > 0)
            await playBoth(queue.shift());
    }));
    t.diagnostic([...kinds].map(([kind, times]) => `${times} ${kind}`).join(', '));
    if (count >= 100)
        assert.deepEqual(KINDS.filter((kind) => !kinds.has(kind)), [], 'kinds of events that never came up');
});

test('both servers leave with 0, and no sanitizer has anything to say', () => Promise.all(servers.map((server) => server.stop())));
