/* What a fleet costs: Redis, and the way of an event from one edge to another. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RedisFleet } from '../../support/redis.mjs';
import { Driver } from './driver.mjs';
import { quiet } from './processes.mjs';
import { paired } from './report.mjs';

/* The rows of tests/bench/redis_costs.c: the floor is a script that does nothing, or plain hashes. */
export async function redisCosts(build) {
    const { stdout } = await promisify(execFile)(join(build, 'tests/bench_redis_costs'));
    return stdout.trim().split('\n').map((line) => {
        const { name, unit, floor, measured, design } = JSON.parse(line);
        return { name, unit, floor, rollcall: measured, ratio: measured / floor, target: design ? `near ${design}` : null, reached: null };
    });
}

/* Two edges and a Redis. One has the publishers, and half of the runs the subscribers as well; in the other half these are
 * on the other edge. Everything goes through Redis in both, so this is what the second edge costs. */
export async function acrossEdges({ build, app, subscribers, rate, events, pairsWanted, startServer }) {
    const redis = await new RedisFleet({ shardCount: 1, replicas: 0, sentinelCount: 0, minReplicas: 0 }).start();
    const [shard] = redis.shards;
    const edges = await Promise.all(['a', 'b'].map((name) => startServer({
        edge: { name, workers: 1, drain_ms: 0 },
        apps: [app],
        presence: { store: 'redis' },
        redis: { cluster: 'bench', shards: [{ name: shard.name, username: shard.user, password: shard.password, address: shard.instances[0].where }] },
    })));
    const drivers = edges.map(({ port }, i) => new Driver(build,
        { port, publish: edges[0].port, clients: subscribers, source: `127.1.${i}.1` }));
    const measure = async (driver) => {
        const { latency_us } = await driver.run('fanout', { events, rate, subscribers, channel: driver.channel });
        return latency_us;
    };
    const pairs = [];
    try {
        for (const [i, driver] of drivers.entries()) {
            driver.channel = `bench-across-${i}`;
            await driver.run('open', { n: subscribers, channel: driver.channel });
        }
        for (const { pid } of edges)
            await quiet(pid);
        for (let i = 0; i < pairsWanted + 1; i++) {
            const order = i % 2 ? [1, 0] : [0, 1];
            const pair = [];
            for (const which of order)
                pair[which] = await measure(drivers[which]);
            pairs.push(pair);
        }
    } finally {
        await Promise.all(drivers.map((driver) => driver.stop()));
        for (const edge of edges)
            await edge.stop();
        await redis.stop();
    }
    pairs.shift(); /* warm */
    return ['p50', 'p99'].map((key) => paired(`event to ${subscribers} on another edge, to on the same, ${key}`, 'us',
        pairs.map((pair) => pair.map((latency) => latency[key]))));
}
