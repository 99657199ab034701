/* Certificates of a test's own authority, made by openssl when they are first wanted, and trusted by everything in this
 * process that speaks TLS. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { temporaryFolder } from './folder.mjs';

let made = 0;

function openssl(...words) {
    return execFileSync('openssl', words, { stdio: ['ignore', 'pipe', 'pipe'] });
}

/* A new key, and a request to sign it for these names. */
function request(folder, name, names, rsa) {
    const key = join(folder, `${name}.key`), csr = join(folder, `${name}.csr`);
    const kind = rsa ? ['-newkey', 'rsa:2048'] : ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    const alternatives = names.map((one) => (one.startsWith('IP:') ? one : `DNS:${one}`)).join(',');
    openssl('req', '-new', ...kind, '-nodes', '-keyout', key, '-out', csr, '-subj', `/CN=${names[0].replace(/^IP:/, '')}`,
        '-addext', `subjectAltName=${alternatives}`);
    return { key, csr };
}

export class Authority {
    constructor(name = 'an authority of tests') {
        this.folder = temporaryFolder();
        this.file = join(this.folder, 'ca.pem');
        this.key = join(this.folder, 'ca.key');
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', this.key, '-out', this.file,
            '-days', '90', '-subj', `/CN=${name}`, '-addext', 'basicConstraints=critical,CA:TRUE');
    }

    /* The files of a certificate for these names: DNS names, or IP:… as openssl writes them. With `days` below 0 it has
     * expired. */
    issue(names = ['IP:127.0.0.1'], { days = 30, rsa = false } = {}) {
        const name = `c${made++}`;
        const { key, csr } = request(this.folder, name, names, rsa);
        const certificate = join(this.folder, `${name}.pem`);
        openssl('x509', '-req', '-in', csr, '-CA', this.file, '-CAkey', this.key, '-copy_extensions', 'copy',
            '-days', String(days), '-out', certificate);
        return { certificate, key };
    }

    get pem() {
        return readFileSync(this.file, 'utf8');
    }
}

/* Certificates of that authority are good, for the clients too that take no options for it. */
export function trust(authority) {
    const create = tls.createSecureContext;
    const { pem } = authority;
    tls.createSecureContext = (...args) => {
        const context = create(...args);
        context.context.addCACert(pem);
        return context;
    };
}

let ours = null;

/* What listeners of tests speak TLS with: an authority that is trusted, and a certificate for every address of loopback
 * that tests use. */
export function ourCertificate() {
    if (!ours) {
        const authority = new Authority();
        trust(authority);
        ours = { authority, ...authority.issue(['IP:127.0.0.1', 'IP:::1', 'localhost']) };
    }
    return ours;
}
