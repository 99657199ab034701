/* conf/prometheus and conf/grafana: promtool accepts them, and what they speak of exists. Whether the alerts fire is shown by
 * tests/faults/alerts.test.mjs. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { ourCertificate } from '../support/certificates.mjs';
import { app, presence } from '../support/fleet.mjs';
import { promtool } from '../support/prometheus.mjs';
import { RedisFleet } from '../support/redis.mjs';
import { root, startServer, temporaryFolder } from '../support/server.mjs';

const rulesPath = join(root, 'conf/prometheus/rollcall.rules.yml');
const dashboard = JSON.parse(readFileSync(join(root, 'conf/grafana/rollcall.json'), 'utf8'));

/* Everything that the dashboard asks Prometheus for, with its variables filled in. */
const questions = [...dashboard.panels.flatMap(({ targets = [] }) => targets), ...dashboard.annotations.list]
    .map(({ expr }) => expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(instance|app)\b/g, '.*'));

/* An edge that has all there is to count: a fleet, webhooks, TLS. */
const { certificate, key } = ourCertificate();
const fleet = await new RedisFleet({ shardCount: 1, replicas: 0, sentinelCount: 0, minReplicas: 0 }).start();
const [{ name, user, password, instances: [redis] }] = fleet.shards;
const edge = await startServer({
    edge: { listen: [{ address: '127.0.0.1', port: 0, tls: { certificates: [{ certificate, key }] } }] },
    apps: [{ ...app, webhooks: [{ url: 'https://example.com/hook' }] }],
    presence,
    redis: { cluster: 'test', shards: [{ name, username: user, password, address: redis.where }] },
});

test('promtool accepts rules and configuration, and the rules do what their own tests say', async () => {
    for (const args of [['check', 'rules', rulesPath], ['check', 'config', join(root, 'conf/prometheus/prometheus.yml')],
        ['test', 'rules', join(root, 'tests/prometheus/rules.test.yml')]]) {
        const { code, output } = await promtool(args);
        assert.equal(code, 0, output);
    }
});

test('every question of the dashboard is one that Prometheus understands', async () => {
    assert.ok(questions.length > 50);
    const path = join(temporaryFolder(), 'questions.yml');
    writeFileSync(path, JSON.stringify({ groups: [{ name: 'dashboard', rules: questions.map((expr, i) => ({ record: `q${i}`, expr })) }] }));
    const { code, output } = await promtool(['check', 'rules', path]);
    assert.equal(code, 0, output);
});

test('every metric of the rules and of the dashboard exists', async () => {
    const samples = [...(await edge.metrics()).keys()].map((sample) => sample.replace(/\{.*/, ''));
    const known = new Set(samples);
    const rules = readFileSync(rulesPath, 'utf8');
    const named = new Set([...rules.matchAll(/\b(?:rollcall|process)_[a-z_]+/g), ...questions.join('\n').matchAll(/\b(?:rollcall|soketi|process)_[a-z_]+/g)]
        .map(([metric]) => metric));
    assert.ok(named.size > 50, [...named].join(' '));
    assert.deepEqual([...named].filter((metric) => !known.has(metric)), []);
});

test('every alert says what it is, how bad, and what to do', () => {
    const rules = readFileSync(rulesPath, 'utf8').split(/^ {6}- alert: /m).slice(1);
    assert.ok(rules.length > 15);
    for (const rule of rules) {
        const [title] = rule.split('\n');
        assert.match(rule, /^ {8}labels: \{severity: (page|ticket)\}$/m, title);
        for (const word of ['summary', 'description'])
            assert.match(rule, new RegExp(`^ {10}${word}: ".{20,}"$`, 'm'), `${title}: ${word}`);
        assert.match(rule, /^ {10}what_to_do: >-\n( {12}.+\n){2,}/m, title);
    }
});

test('no panel of the dashboard lies on another, and all know their data source', () => {
    const taken = new Set(), ids = new Set();
    for (const { id, title, type, gridPos: { x, y, w, h }, datasource } of dashboard.panels) {
        assert.ok(!ids.has(id), title);
        ids.add(id);
        assert.ok(x + w <= 24, title);
        assert.ok(type === 'row' || datasource.uid === '${datasource}', title);
        for (let column = x; column < x + w; column++)
            for (let line = y; line < y + h; line++) {
                assert.ok(!taken.has(`${column} ${line}`), `${title} lies on another`);
                taken.add(`${column} ${line}`);
            }
    }
});

test('the edge leaves with 0', async () => {
    await edge.stop();
    await fleet.stop();
});
