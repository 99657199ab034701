/* What lies in Redis of a fleet at fixed addresses, against the truth: looked at from outside, not asked of an edge. */

import { fields } from './redis.mjs';
import { until } from './wait.mjs';

const baseOf = (key) => key.match(/^rollcall:\{\d+\}/)[0];
const channelOf = (key) => key.replace(/^.*?:[rs]:7:/, '');

/* Of one server: who has leases in each partition, and who is said to hold what. */
async function readServer(server) {
    const keys = await server.keys();
    const of = (kind) => keys.filter((key) => key.match(/^rollcall:\{\d+\}:(\w+)/)?.[1] === kind);
    const [leases, rosters, numbers] = await Promise.all([
        Promise.all(of('l').map(async (key) => [baseOf(key), await server.ask('ZRANGE', key, 0, -1)])),
        Promise.all(of('r').map(async (key) => [key, fields(await server.ask('HGETALL', key))])),
        Promise.all(of('s').map(async (key) => [key, fields(await server.ask('HGETALL', key))])),
    ]);
    return { server, leases: new Map(leases), rosters, numbers };
}

/* Whether those owners live, have a record, and would have that channel drained. */
async function ownersWrong({ server, leases }, key, owners) {
    const base = baseOf(key);
    const found = await Promise.all([...new Set(owners)].map(async (owner) => {
        const [records, held] = await Promise.all([server.ask('EXISTS', `${base}:o:${owner}`), server.ask('SISMEMBER', `${base}:h:${owner}`, `7:${channelOf(key)}`)]);
        return leases.get(base)?.includes(owner) && records === 1 && held === 1 ? null : `${key}: owner ${owner} is not in order`;
    }));
    return found.filter(Boolean);
}

/* Of those who are there, whom a roster lacks, or has under no owner. */
export function lacking(fleet, seen) {
    const owned = new Map(seen.rosters.map(([key, roster]) =>
        [channelOf(key), roster.filter(([, value]) => /^\d.*\|/.test(value)).map(([name]) => name.slice(1))]));
    return fleet.rooms.filter((room) => fleet.servers[fleet.homeOf(room)] === seen.server).flatMap((room) =>
        fleet.crowd.members(room).filter((user) => !owned.get(room)?.includes(user)).map((user) => `${room} lacks ${user}`));
}

async function differencesOf(fleet, seen) {
    const { crowd, running, edges } = fleet;
    const found = [], sockets = new Map();
    const count = (key, n) => sockets.set(channelOf(key), (sockets.get(channelOf(key)) ?? 0) + n);
    for (const [base, owners] of seen.leases)
        if (owners.length !== running.length)
            found.push(`${base}: ${owners.length} owners, of ${running.length} edges (of ${edges.length})`);
    for (const [key, roster] of seen.rosters) {
        const users = roster.filter(([name]) => name.startsWith('u')).map(([name, value]) => [name.slice(1), value.split('|')[0].split(',')]);
        const [has, should] = [users.map(([user]) => user).sort().join(), crowd.members(channelOf(key)).join()];
        if (has !== should)
            found.push(`${key} has ${has} instead of ${should}`);
        users.forEach(([, owners]) => count(key, owners.length));
        found.push(...await ownersWrong(seen, key, users.flatMap(([, owners]) => owners)));
    }
    for (const [key, numbers] of seen.numbers) {
        numbers.forEach(([, n]) => count(key, Number(n)));
        found.push(...await ownersWrong(seen, key, numbers.map(([owner]) => owner)));
    }
    for (const channel of crowd.channels().filter((name) => fleet.servers[fleet.homeOf(name)] === seen.server))
        if ((sockets.get(channel) ?? 0) !== crowd.subscriptions(channel))
            found.push(`${channel}: ${sockets.get(channel)} sockets instead of ${crowd.subscriptions(channel)}`);
    return found;
}

/* Every roster, number and owner in Redis is what the sockets say, `ms` from now at the latest; or what differencesIn() finds has
 * gone. Gives how long that took. */
export async function storedRight(fleet, ms, what, differencesIn = differencesOf) {
    const began = Date.now();
    let last = [];
    await until(async () => {
        last = await Promise.all(fleet.servers.map(async (server) => differencesIn(fleet, await readServer(server)))).then((lists) => lists.flat(),
            (error) => [error.message]); /* a key is of another type */
        return last.length === 0;
    }, `what is in Redis to be right ${what}`, ms).catch((error) => {
        throw new Error(`${error.message}: ${last.slice(0, 5).join('; ')}`);
    });
    return Date.now() - began;
}
