/* Prometheus and its tool, and our rules on a scaled clock. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild } from './child.mjs';
import { freePorts } from './redis.mjs';
import { root, temporaryFolder } from './server.mjs';
import { until } from './wait.mjs';

/* promtool with that input: {code, output}. */
export function promtool(args, input = '') {
    return new Promise((resolve, reject) => {
        const child = spawn('promtool', args, { stdio: ['pipe', 'pipe', 'pipe'] });
        let output = '';
        for (const stream of [child.stdout, child.stderr])
            stream.on('data', (text) => {
                output += text;
            });
        child.on('error', reject);
        child.on('close', (code) => resolve({ code, output }));
        child.stdin.end(input);
    });
}

/* Durations in rules are for a scrape every 15 s; divided by this, one every 0.3 s gives the same number of samples. */
export const SCALE = 50;

const UNITS = { s: 1000, m: 60_000, h: 3_600_000 };
const scaled = (number, unit) => `${Math.round(Number(number) * UNITS[unit] / SCALE)}ms`;

/* conf/prometheus' rules with all their durations scaled: windows and `for`. What they say of seconds stays. */
export function scaledRules() {
    return readFileSync(join(root, 'conf/prometheus/rollcall.rules.yml'), 'utf8')
        .replace(/\[(\d+)([smh])\]/g, (_, number, unit) => `[${scaled(number, unit)}]`)
        .replace(/^( +for: )(\d+)([smh])$/gm, (_, key, number, unit) => key + scaled(number, unit));
}

/* A Prometheus that watches edges by the scaled rules. */
export class Prometheus {
    constructor() {
        this.folder = temporaryFolder();
    }

    /* targets: {name: admin port}; the name becomes the label `instance`. */
    async start(targets) {
        [this.port] = await freePorts(1);
        writeFileSync(join(this.folder, 'rules.yml'), scaledRules());
        writeFileSync(join(this.folder, 'prometheus.yml'), JSON.stringify({
            global: { scrape_interval: `${15_000 / SCALE}ms`, scrape_timeout: `${15_000 / SCALE}ms`, evaluation_interval: `${15_000 / SCALE}ms` },
            rule_files: ['rules.yml'],
            scrape_configs: [{
                job_name: 'rollcall',
                static_configs: Object.entries(targets).map(([instance, port]) => ({ targets: [`127.0.0.1:${port}`], labels: { instance } })),
            }],
        }));
        this.process = startChild('prometheus', [`--config.file=${this.folder}/prometheus.yml`, `--storage.tsdb.path=${this.folder}/data`,
            `--web.listen-address=127.0.0.1:${this.port}`, '--log.level=warn'], { stdio: ['ignore', 'ignore', 'pipe'] });
        const child = this.process;
        this.said = '';
        child.stderr.on('data', (text) => {
            this.said += text;
        });
        this.exited = new Promise((resolve) => child.on('exit', resolve));
        await until(() => fetch(`http://127.0.0.1:${this.port}/-/ready`).then(({ ok }) => ok, () => {
            assert.equal(child.exitCode, null, this.said);
            return false;
        }), 'Prometheus to be ready');
        return this;
    }

    /* The samples of an instant query: [{metric, value}]. */
    async query(text) {
        const answer = await (await fetch(`http://127.0.0.1:${this.port}/api/v1/query?query=${encodeURIComponent(text)}`)).json();
        assert.equal(answer.status, 'success', JSON.stringify(answer));
        return answer.data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    }

    /* What fires now, as "alert instance"; each with its annotations. */
    async firing() {
        const { data } = await (await fetch(`http://127.0.0.1:${this.port}/api/v1/alerts`)).json();
        return new Map(data.alerts.filter(({ state }) => state === 'firing')
            .map(({ labels, annotations }) => [`${labels.alertname} ${labels.instance}`, annotations]));
    }

    async stop() {
        this.process.kill('SIGTERM');
        await this.exited;
    }
}
