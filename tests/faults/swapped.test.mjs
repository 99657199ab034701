/* Shards at fixed addresses, behind proxies that someone swaps: nothing of one may land in the other. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { Proxy } from '../support/proxy.mjs';
import { BOUND, L, presence, Scene } from '../support/scene.mjs';

/* An instance that proved to be another shard's is tried again after that. So one edge may come back so much later than another,
 * whose heartbeats move the lease clock: leases have to be longer, as they are by default. */
const QUARANTINE = 2000;
const LEASE = L + QUARANTINE;

/* With one password even AUTH does not tell the shards apart; only the stamps do. */
for (const sharedPassword of [false, true])
    for (const how of ['swap', 'move'])
        test(`proxies of two shards are swapped (${how === 'swap' ? 'under open connections' : 'with a cut'}), `
            + `${sharedPassword ? 'one password for both' : 'a password for each'}`, { timeout: 100_000 }, async (t) => {
            const scene = new Scene('Swapped', { sharedPassword, replicas: 0, sentinelCount: 0, minReplicas: 0 });
            const proxies = [];
            scene.presence = { ...presence, lease_ms: LEASE };
            scene.redisConfig = () => ({
                cluster: 'test',
                shards: scene.fleet.shards.map(({ name, user, password }, i) =>
                    ({ name, username: user, password, address: `127.0.0.1:${proxies[i].port}` })),
            });
            try {
                await scene.begin(async () => {
                    for (const shard of scene.fleet.shards)
                        proxies.push(await new Proxy(shard.instances[0].port).listen());
                });
                const [one, two] = scene.fleet.shards.map((shard) => shard.instances[0].port);
                proxies[0][how](two);
                proxies[1][how](one);
                await scene.alarm(/"redis\.(quarantine|master)".*(NOAUTH|WRONGPASS|NOPERM|this is shard)/);
                await new Promise((resolve) => setTimeout(resolve, 3000)); /* long enough for the retries of both links */
                scene.crowd.assertClean();
                const { code, wrong } = await scene.doctor({ others: proxies.map(({ port }, i) => ({ where: `127.0.0.1:${port}`, name: `proxy-${i}` })) });
                const why = (i) => sharedPassword ? `is stamped as shard shard-${1 - i} of cluster test`
                    : 'does not accept this shard\'s user and password (WRONGPASS invalid username-password pair or user is disabled.)';
                assert.equal(code, 1);
                assert.deepEqual(wrong.filter((line) => !line.includes('have the same user and password')), [0, 1].flatMap((i) => [
                    `shard shard-${i}: nobody proves to be its master; its rosters are frozen. Start an instance, or make one a master: `
                    + 'REPLICAOF NO ONE.', `shard shard-${i}: proxy-${i} ${why(i)}`]));
                proxies[0][how](one);
                proxies[1][how](two);
                t.diagnostic(await scene.rightWithin(BOUND + (LEASE - L) + QUARANTINE, 'after the addresses were put right'));
                await scene.end();
                assert.deepEqual(scene.stray, []);
            } finally {
                await scene.close();
                proxies.forEach((proxy) => proxy.close());
            }
        });
