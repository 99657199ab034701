/* Sentinels that are away, and one that lies. */

import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { BOUND, H, L, Scene, channels } from '../support/scene.mjs';
import { RedisProcess, freePorts } from '../support/redis.mjs';
import { temporaryFolder } from '../support/server.mjs';
import { until } from '../support/wait.mjs';

const scene = new Scene('Sentinels');
await scene.begin();
const { crowd, fleet, first, second } = scene;

const samples = async (edge, word) => [...await edge.metrics()].filter(([name]) => name.includes(word)).map(([, value]) => value);
const isReady = async (edge) => (await samples(edge, 'partition_ready')).every((value) => value === 1);

/* Says of every master what it was told to say, at an epoch that beats everyone. */
async function startLiar(masters) {
    const bulk = (text) => `$${Buffer.byteLength(String(text))}\r\n${text}\r\n`;
    const liar = net.createServer((socket) => {
        socket.on('error', () => {});
        socket.on('data', (bytes) => {
            for (const [, verb, name] of bytes.toString().matchAll(/\r\n(AUTH|MASTER|REPLICAS|SUBSCRIBE)\r\n\$\d+\r\n(\S+)\r\n/g)) {
                const port = masters[name];
                const fields = ['name', name, 'ip', '127.0.0.1', 'port', port, 'flags', 'master', 'config-epoch', '999999'];
                socket.write(verb === 'AUTH' ? '+OK\r\n' : verb === 'MASTER' ? `*10\r\n${fields.map(bulk).join('')}` : '*0\r\n');
                liar.asked += verb === 'MASTER' ? 1 : 0;
            }
        });
    });
    liar.asked = 0;
    await new Promise((resolve) => liar.listen(0, '127.0.0.1', resolve));
    return Object.assign(liar, { name: 'liar', where: `127.0.0.1:${liar.address().port}` });
}

/* The doctor's words. */
const away = (shard, ...names) => names.map((name) => `shard ${shard.name}: Sentinel ${name} cannot be reached (connection refused)`);
const unconfirmed = (shard, votes) => `shard ${shard.name}: no majority of the Sentinels names ${shard.name}-0 (${votes} of 3 do): it is used, `
    + 'but members of dead edges stay and webhooks wait.';
const WRONG_PASSWORD = 'that does not accept this shard\'s user and password (WRONGPASS invalid username-password pair or user is disabled.)';

async function joinsAndIsSeen(edge, id) {
    const person = await crowd.add(edge, id);
    await Promise.all(channels.map((channel) => person.join(channel)));
    scene.running.stop();
    const took = await crowd.exact(BOUND, `all to see ${id}`);
    crowd.assertClean();
    scene.startChurn();
    return took;
}

test('a Sentinel that lies at a high epoch: the other shard, or an empty stranger that takes our password', async () => {
    const [port] = await freePorts(1);
    const stranger = await new RedisProcess(temporaryFolder(), 'stranger', port,
        first.instances[0].lines.filter((line) => !/^(replica|masteruser|masterauth|min-replicas)/.test(line))).start();
    const liar = await startLiar({ [first.name]: stranger.port, [second.name]: (await first.master()).port });
    const edge = await scene.startEdge('d', [liar, ...fleet.sentinels.slice(1)]);
    await edge.logged(/names \S+ as its master, but that does not accept this shard's user and password/);
    await until(() => isReady(edge), 'all partitions to be ready');
    await joinsAndIsSeen(edge, 'met-a-liar');
    await until(() => liar.asked > 10, 'the liar to be asked a few times');
    const { code, wrong } = await scene.doctor({ sentinels: [liar, ...fleet.sentinels.slice(1)], others: [liar, stranger] });
    assert.equal(code, 1);
    assert.deepEqual(wrong.filter((line) => /Sentinel/.test(line)), ['shard shard-0: Sentinel liar names stranger; edges use shard-0-0',
        'shard shard-1: Sentinel liar names shard-0-0 as its master, but ' + WRONG_PASSWORD]);
    assert.deepEqual(await stranger.keys(), [], 'nothing was written to the stranger');
    assert.deepEqual(scene.stray, []);
    crowd.dismiss(crowd.people.filter(({ id }) => id === 'met-a-liar'));
    await edge.stop();
    liar.close();
    await stranger.kill();
});

test('alone with the liar: an empty stranger is not stamped, and the known master is kept', async () => {
    const [port, ...dead] = await freePorts(3);
    const stranger = await new RedisProcess(temporaryFolder(), 'stranger', port,
        first.instances[0].lines.filter((line) => !/^(replica|masteruser|masterauth|min-replicas)/.test(line))).start();
    const liar = await startLiar({ [first.name]: stranger.port, [second.name]: stranger.port });
    const gone = dead.map((one, i) => ({ name: `gone-${i}`, where: `127.0.0.1:${one}` }));
    const edge = await scene.startEdge('d', [liar, ...gone]);
    await until(() => isReady(edge), 'all partitions to be ready, by the last good addresses');
    await edge.logged(/no majority of its Sentinels names it/);
    const others = [liar, stranger, ...gone];
    const { code, wrong } = await scene.doctor({ sentinels: [liar, ...gone], others });
    assert.equal(code, 1);
    assert.deepEqual(wrong.filter((line) => !/stranger has no min-replicas-to-write/.test(line)), ['shard shard-0: Sentinel liar names stranger; edges use shard-0-0', ...away(first, 'gone-0', 'gone-1'),
        unconfirmed(first, 0), `shard shard-1: Sentinel liar names stranger as its master, but ${WRONG_PASSWORD}`,
        ...away(second, 'gone-0', 'gone-1'), unconfirmed(second, 0)]);
    const forgetful = await scene.doctor({ sentinels: [liar, ...gone], others, remembers: false });
    assert.ok(forgetful.wrong.includes('shard shard-0: stranger is empty, and 1 of 3 Sentinels name it: without a majority no edge writes there.'));
    assert.ok(forgetful.wrong.includes('shard shard-1: nobody proves to be its master; its rosters are frozen. Start an instance, or make one a '
        + 'master: REPLICAOF NO ONE.'));
    assert.deepEqual(await stranger.keys(), []);
    await edge.stop();
    liar.close();
    await stranger.kill();
});

test('two of three Sentinels are down: everything goes on, but the dead are not judged', async () => {
    const [, two, three] = fleet.sentinels;
    await Promise.all([two.kill(), three.kill()]);
    const edge = await scene.startEdge('e');
    await joinsAndIsSeen(edge, 'of-the-dead');
    await scene.edges[0].logged(/no majority of its Sentinels names it/);
    const { code, wrong } = await scene.doctor();
    assert.equal(code, 1);
    assert.deepEqual(wrong, [first, second].flatMap((shard) => [...away(shard, 'sentinel-1', 'sentinel-2'), unconfirmed(shard, 1)]));
    edge.signal('SIGKILL');
    await edge.exited;
    await new Promise((resolve) => setTimeout(resolve, 2 * L)); /* longer than its lease */
    const stayers = crowd.people.filter(({ id }) => id.startsWith('stays'));
    assert.equal(stayers.length, 3);
    for (const { id, rosters } of stayers)
        for (const [channel, roster] of rosters)
            assert.ok(roster.has('of-the-dead'), `${id} was told that he left ${channel}, while no majority vouches for the master`);
    /* From here on he may be told as gone: a majority can be back before we hear of it. */
    crowd.dismiss(crowd.people.filter(({ id }) => id === 'of-the-dead'));
    await Promise.all([two.start({ keep: true }), three.start({ keep: true })]);
    scene.running.stop();
    await crowd.exact(BOUND + L, 'the dead edge\'s member to go, now that a majority is back');
    crowd.assertClean();
    scene.startChurn();
});

test('no Sentinel at all: an edge starts with the last good addresses, and not without', async () => {
    await Promise.all(fleet.sentinels.map((sentinel) => sentinel.kill()));
    const edge = await scene.startEdge('f');
    await until(() => isReady(edge), 'all partitions to be ready');
    await joinsAndIsSeen(edge, 'started-cold');
    const { code, wrong } = await scene.doctor();
    assert.equal(code, 1);
    assert.deepEqual(wrong, [first, second].flatMap((shard) => [...away(shard, 'sentinel-0', 'sentinel-1', 'sentinel-2'), unconfirmed(shard, 0)]));
    const stranger = await scene.startEdge('g', undefined, { state_dir: '' });
    await stranger.logged(/no instance proves to be its master/);
    assert.ok(!await isReady(stranger));
    crowd.dismiss(crowd.people.filter(({ id }) => id === 'started-cold'));
    await edge.stop();
    await stranger.stop();
    await Promise.all(fleet.sentinels.map((sentinel) => sentinel.start({ keep: true })));
    await scene.end();
    assert.deepEqual(scene.stray, []);
    await scene.close();
});
