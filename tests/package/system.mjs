/* A Debian that boots in a container (systemd-nspawn) of this process' own network: what is asked of it, and of its
 * rollcall.service. */

import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { within, until } from '../support/wait.mjs';

export class System {
    constructor(folder) {
        this.folder = folder;
    }

    async boot() {
        this.process = spawn('systemd-nspawn', ['--quiet', `--directory=${this.folder}`, '--boot', '--register=no', '--keep-unit',
            '--console=pipe'], { stdio: ['ignore', 'pipe', 'pipe'] });
        this.words = '';
        for (const stream of [this.process.stdout, this.process.stderr])
            stream.setEncoding('utf8').on('data', (text) => {
                this.words = (this.words + text).slice(-4000);
            });
        this.exited = new Promise((resolve) => this.process.on('exit', resolve));
        process.on('exit', () => this.process.kill('SIGKILL'));
        const ready = () => /running|degraded/.test(this.try('systemctl', 'is-system-running').out);
        await until(() => this.findInit() && ready(), () => `the system to boot; it said ${this.words}`, 60_000);
    }

    /* Its first process is the only child of systemd-nspawn. */
    findInit() {
        if (this.process.exitCode !== null)
            throw new Error(`the system did not boot: ${this.words}`);
        this.init = readFileSync(`/proc/${this.process.pid}/task/${this.process.pid}/children`, 'utf8').trim().split(' ')[0];
        return this.init;
    }

    /* What a command in there prints; it throws, with what was printed, when the command fails. */
    run(...words) {
        return execFileSync('nsenter', ['--target', this.init, '--all', '--wd=/', '--', 'env', 'DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C.UTF-8', ...words],
            { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 });
    }

    /* The same, while this process does other things. */
    async runMeanwhile(...words) {
        const child = spawn('nsenter', ['--target', this.init, '--all', '--wd=/', '--', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
        let said = '';
        child.stdout.on('data', (text) => { said += text; });
        child.stderr.on('data', (text) => { said += text; });
        const status = await within(new Promise((resolve) => child.on('close', resolve)), words.join(' '), 120_000);
        if (status !== 0)
            throw new Error(`${words.join(' ')}: ${status}: ${said}`);
    }

    /* The same for a command that may fail. */
    try(...words) {
        try {
            return { status: 0, out: this.run(...words) };
        } catch (error) {
            return { status: error.status, out: `${error.stdout ?? ''}${error.stderr ?? ''}` };
        }
    }

    /* Sends one to a process by its number in there. (The smallest Debian has no kill but the shell's.) */
    signal(name, pid) {
        this.run('sh', '-c', 'kill -s "$0" "$1"', name, pid);
    }

    /* A property of rollcall.service. */
    property(name) {
        return this.run('systemctl', 'show', '--value', `--property=${name}`, 'rollcall.service').trim();
    }

    get state() {
        return this.property('ActiveState');
    }

    /* How many servers run: two, while one hands over. */
    servers() {
        const proc = `/proc/${this.init}/root/proc`;
        const isServer = (pid) => {
            try {
                return readFileSync(`${proc}/${pid}/comm`, 'utf8') === 'rollcall\n';
            } catch {
                return false; /* it has just ended */
            }
        };
        return readdirSync(proc).filter((name) => /^\d+$/.test(name) && isServer(name)).length;
    }

    journal() {
        return this.run('journalctl', '--no-pager', '--output=cat', '--unit=rollcall.service');
    }

    async halt() {
        this.run('systemctl', '--no-block', 'poweroff');
        await within(this.exited, 'the system to end', 60_000);
    }
}
