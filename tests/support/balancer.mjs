/* The real HAProxy and nginx with the very files in conf/: only addresses, ports, certificates and where they write are ours. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { startChild } from './child.mjs';
import { freePorts } from './redis.mjs';
import { accepts, root, temporaryFolder } from './server.mjs';
import { until, within } from './wait.mjs';

const tlsFile = (name) => readFileSync(join(root, 'tests/support/tls', name), 'utf8');

/* For the clients that take no options for it, too. */
const create = tls.createSecureContext;
tls.createSecureContext = (...args) => {
    const context = create(...args);
    context.context.addCACert(tlsFile('ca.pem'));
    return context;
};

/* Replaces, and insists that there was something to replace. */
function replaced(text, pattern, by) {
    const changed = text.replace(pattern, by);
    if (changed === text)
        throw new Error(`nothing in the file is like ${pattern}`);
    return changed;
}

/* Each line that names an edge, for the edges of the test: the n-th of conf/ is the n-th of ours; those beyond are left out. */
function withEdges(text, edges) {
    const ours = (n) => edges[n - 1] && `127.0.0.1:${edges[n - 1].port ?? edges[n - 1]}`;
    return text.split('\n').filter((line) => {
        const edge = line.match(/10\.0\.0\.1(\d):6001/);
        return !edge || ours(Number(edge[1]));
    }).join('\n').replace(/10\.0\.0\.1(\d):6001/g, (_, n) => ours(Number(n)));
}

/* A balancer in front of these edges (servers of ours, or ports). It looks like a server to the tests' clients: through .plain
 * without TLS, through .secure with. */
class Balancer {
    constructor(name, edges, app) {
        Object.assign(this, { name, edges, app: app ?? edges[0].app, folder: temporaryFolder(), output: '' });
    }

    at(port, secure) {
        return { host: '127.0.0.1', port, prefix: '', app: this.app, secure, options: { forceTLS: secure, wssPort: port } };
    }

    async start(command, words) {
        this.process = startChild(command, words, { stdio: ['ignore', 'pipe', 'pipe'] });
        const child = this.process;
        for (const stream of [child.stdout, child.stderr])
            stream.setEncoding('utf8').on('data', (text) => {
                this.output += text;
            });
        this.exited = new Promise((resolve) => child.on('close', resolve));
        await until(async () => {
            if (child.exitCode !== null)
                throw new Error(`${this.name} ended at once:\n${this.output}`);
            return accepts(this.plain.port);
        }, () => `${this.name} to listen\n${this.output}`);
        return this;
    }

    get pid() {
        return this.process.pid;
    }

    async stop() {
        this.process.kill('SIGTERM');
        setTimeout(() => this.process.kill('SIGKILL'), 500).unref(); /* it waits for open connections otherwise */
        await within(this.exited, `${this.name} to end`);
    }
}

/* `redirect`: what comes without TLS is sent to TLS, as the file says; without it such clients are served. */
export async function startHaproxy(edges, { redirect = false, app } = {}) {
    const balancer = new Balancer('HAProxy', edges, app);
    const [plain, secure] = await freePorts(2);
    const certificates = join(balancer.folder, 'certs');
    mkdirSync(certificates);
    writeFileSync(join(certificates, 'server.pem'), tlsFile('server.pem') + tlsFile('server.key'));
    let text = withEdges(readFileSync(join(root, 'conf/haproxy.cfg'), 'utf8'), edges);
    text = replaced(text, 'bind :443 ssl crt /etc/haproxy/certs/', `bind 127.0.0.1:${secure} ssl crt ${certificates}/`);
    text = replaced(text, 'bind :80\n', `bind 127.0.0.1:${plain}\n`);
    if (!redirect)
        text = replaced(text, /^ *http-request redirect scheme .*\n/m, '');
    const path = join(balancer.folder, 'haproxy.cfg');
    writeFileSync(path, text);
    balancer.plain = balancer.at(plain, false);
    balancer.secure = balancer.at(secure, true);
    /* It has told, since there were `before` characters of its output, that the i-th edge is ready again. */
    balancer.hasBack = (i, before) =>
        until(() => balancer.output.slice(before).includes(`Server websockets/edge-${i + 1} is UP`), `HAProxy to have edge ${i + 1} back`);
    await balancer.start('haproxy', ['-db', '-f', path]);
    return balancer;
}

export async function startNginx(edges, { redirect = false, app } = {}) {
    const balancer = new Balancer('nginx', edges, app);
    const [plain, secure] = await freePorts(2);
    for (const name of ['server.pem', 'server.key'])
        writeFileSync(join(balancer.folder, name), tlsFile(name));
    let text = withEdges(readFileSync(join(root, 'conf/nginx.conf'), 'utf8'), edges);
    text = replaced(text, /\/etc\/nginx\/certs/g, balancer.folder);
    text = replaced(text, 'pid /run/nginx.pid', `pid ${balancer.folder}/pid`);
    text = replaced(text, 'listen 443 ssl default_server', `listen 127.0.0.1:${secure} ssl default_server${redirect ? '' : `;\n        listen 127.0.0.1:${plain}`}`);
    text = replaced(text, 'listen 80 default_server', redirect ? `listen 127.0.0.1:${plain} default_server` : `listen unix:${balancer.folder}/unused`);
    /* as many as this machine lets a process open */
    text = replaced(replaced(text, 'worker_rlimit_nofile 131072', 'worker_rlimit_nofile 4096'), 'worker_connections 65536', 'worker_connections 2000');
    for (const kind of ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'])
        text = replaced(text, 'http {\n', `http {\n    ${kind}_temp_path ${balancer.folder}/${kind};\n`);
    writeFileSync(join(balancer.folder, 'nginx.conf'), text);
    balancer.plain = balancer.at(plain, false);
    balancer.secure = balancer.at(secure, true);
    balancer.hasBack = async () => {}; /* with max_fails=0 it has never forgotten it */
    await balancer.start('nginx', ['-g', 'daemon off;', '-e', 'stderr', '-p', balancer.folder, '-c', join(balancer.folder, 'nginx.conf')]);
    return balancer;
}
