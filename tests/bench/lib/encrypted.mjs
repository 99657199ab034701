/* What TLS costs: the same server with and without, side by side, and clients that do the same on both. */

import { ourCertificate } from '../../support/certificates.mjs';
import { addedAmong, Driver } from './driver.mjs';
import { memory, quiet } from './processes.mjs';
import { paired, single } from './report.mjs';

const SUBSCRIBERS = 1000, MEMBERS = 10, INFO_BYTES = 100;

/* Publishing goes to a listener without TLS in both cases: it is deliveries that are measured. */
async function open(build, startServer, app, clients, tls) {
    const { certificate, key } = ourCertificate();
    const at = { address: '127.0.0.1', port: 0 };
    const server = await startServer({
        edge: { workers: 1, drain_ms: 0, listen: [tls ? { ...at, tls: { certificates: [{ certificate, key }] } } : at, at] },
        apps: [{ ...app, limits: { presence_members: 0 } }],
    });
    const driver = new Driver(build, { port: server.port, publish: server.where[1].port, clients, tls: tls ? 1 : 0 });
    await quiet(server.pid);
    return { server, pid: server.pid, driver };
}

export async function encrypted({ build, app, startServer, inPairs, cpuPer, quick }) {
    const n = 1000, events = 60, idle = quick ? 1000 : 4000;
    const both = [await open(build, startServer, app, idle, false), await open(build, startServer, app, idle, true)];
    const measures = [];
    const presence = { n, channel: 'presence-bench', members: MEMBERS, info: INFO_BYTES, added: (n / MEMBERS) * addedAmong(MEMBERS), timeout: 120 };
    const connect = async (target) => {
        const cost = await cpuPer(n, target, 'open', presence);
        await target.driver.run('leave', { how: 'reset' });
        await quiet(target.pid);
        return cost;
    };
    await inPairs(both, connect, 1);
    measures.push(paired('TLS: CPU per connection with presence, against plain', 'us', await inPairs(both, connect)));
    for (const { driver } of both)
        await driver.run('open', { n: SUBSCRIBERS, channel: 'bench-fanout' });
    const fanout = (target) => cpuPer(events * SUBSCRIBERS, target, 'fanout', { events, subscribers: SUBSCRIBERS, verify: 1 });
    await inPairs(both, fanout, 1);
    measures.push(paired(`TLS: CPU per delivered message, ${SUBSCRIBERS} subscribers, against plain`, 'us', await inPairs(both, fanout)));
    for (const target of both) {
        await target.driver.run('leave', { how: 'reset' });
        await target.driver.stop();
        await target.server.stop();
    }
    for (const tls of [false, true]) {
        const target = await open(build, startServer, app, idle, tls);
        const before = memory(target.pid).rss;
        await target.driver.run('open', { n: idle, timeout: 120 });
        await quiet(target.pid);
        const bytes = (memory(target.pid).rss - before) / idle;
        measures.push(single(`${tls ? 'TLS' : 'plain'}: memory per idle connection, ${idle.toLocaleString('en')}`, 'bytes', [bytes]));
        await target.driver.stop();
        await target.server.stop();
    }
    return measures;
}
