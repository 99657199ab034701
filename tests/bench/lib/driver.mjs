/* A load driver (tests/bench/driver.c) in a process of its own: commands in, answers out. */

import { join } from 'node:path';
import { startChild } from '../../support/child.mjs';

/* Whoever still has not answered long after its own time limit is stuck. */
const GRACE_MS = 30_000;

export class Driver {
    /* options: port, and what else the head of driver.c lists. */
    constructor(build, options) {
        const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
        this.process = startChild(join(build, 'tests/bench_driver'), words, { stdio: ['pipe', 'pipe', 'pipe'] });
        this.errors = '';
        this.rest = '';
        this.waiting = null;
        this.process.stdin.on('error', () => {}); /* its end is told below */
        this.process.stdout.setEncoding('utf8').on('data', (text) => this.read(text));
        this.process.stderr.setEncoding('utf8').on('data', (text) => {
            this.errors += text;
        });
        this.ended = new Promise((resolve) => this.process.on('close', (code, signal) => {
            this.answer(null, new Error(`the driver ended with ${code ?? signal}: ${this.errors}`));
            resolve({ code, signal });
        }));
        this.process.on('error', (error) => this.answer(null, error));
    }

    get pid() {
        return this.process.pid;
    }

    read(text) {
        const lines = (this.rest + text).split('\n');
        this.rest = lines.pop();
        for (const line of lines)
            this.answer(JSON.parse(line), null);
    }

    answer(value, error) {
        const waiting = this.waiting;
        this.waiting = null;
        if (!waiting)
            return;
        clearTimeout(waiting.timer);
        if (error)
            waiting.reject(error);
        else
            waiting.resolve(value);
    }

    /* Its answer, whatever it says. One command at a time. */
    ask(verb, options = {}) {
        const words = Object.entries(options).map(([name, value]) => ` ${name}=${value}`);
        const ms = (options.timeout ?? 60) * 1000 + GRACE_MS;
        return new Promise((resolve, reject) => {
            const timer = setTimeout(() => this.answer(null, new Error(`no answer to ${verb} in ${ms} ms`)), ms);
            this.waiting = { resolve, reject, timer };
            this.process.stdin.write(`${verb}${words.join('')}\n`);
        });
    }

    /* Its answer, when everything went as it should. */
    async run(verb, options = {}) {
        const answer = await this.ask(verb, options);
        if (!answer.ok || answer.failed || answer.violations || answer.errors || answer.publish_failed)
            throw new Error(`${verb} ${JSON.stringify(options)}: ${JSON.stringify(answer)}`);
        return answer;
    }

    signal(name) {
        this.process.kill(name);
    }

    async stop() {
        this.process.stdin.end();
        await this.ended;
    }
}

/* Members who join a channel of `members` one after the other see each other come: so many member_added. */
export function addedAmong(members) {
    return (members * (members - 1)) / 2;
}

/* A metric over all threads of the server. */
export function metricSum(samples, name) {
    return [...samples].reduce((sum, [key, value]) => sum + (key === name || key.startsWith(`${name}{`) ? value : 0), 0);
}
