/* The edges that are looked at: the one that serves this page, and its peers, through it. What each of them says of itself
 * is kept here, with its numbers over time and what it has healed. */

import { ask } from "./parts.js";

const ROWS_KEPT = 300; /* ten minutes, as the edges keep */

class Edge {
    constructor(base, where) {
        Object.assign(this, { base, where, now: null, problem: null, samples: 0, healed: 0, rows: [], entries: new Map() });
    }

    get name() {
        return this.now?.edge ?? this.where;
    }

    ask(path, parameters, options) {
        return ask(this.base + path, parameters, options);
    }

    async look() {
        try {
            const now = await this.ask("edge", { samples: this.samples, healed: this.healed });
            if (this.now && this.now.id !== now.id) { /* another process: its counts begin anew */
                Object.assign(this, { now: null, samples: 0, healed: 0, rows: [] });
                this.entries.clear();
                return this.look();
            }
            this.take(now);
        } catch (problem) {
            this.problem = problem;
        }
        return this;
    }

    take(now) {
        this.now = now;
        this.problem = null;
        this.names = now.samples.names;
        this.rows = [...this.rows, ...now.samples.rows].slice(-ROWS_KEPT);
        this.samples = now.samples.next;
        this.healed = now.healed.next;
        for (const entry of now.healed.entries)
            this.entries.set(entry.id, { ...entry, edge: this.name });
    }

    /* [time, value] of a gauge. */
    values(name) {
        const at = this.names ? this.names.indexOf(name) + 1 : 0;
        return at ? this.rows.map((row) => [row[0], row[at]]) : [];
    }

    /* [time, per second] of a counter. */
    rates(name) {
        return this.values(name).map(([time, value], i, all) => i === 0 || time <= all[i - 1][0] ? null
            : [time, Math.max(0, (value - all[i - 1][1]) * 1000 / (time - all[i - 1][0]))]).filter(Boolean);
    }
}

export const own = new Edge("", "this edge");
let peers = [];

/* Those that are looked at, each process once, although all edges may have one list of peers. */
export function edges() {
    const seen = new Set();
    return [own, ...peers].filter((edge) => {
        const id = edge.now?.id ?? edge.where;
        return !seen.has(id) && seen.add(id);
    });
}

export async function lookAtAll() {
    await own.look();
    if (own.problem)
        throw own.problem;
    const named = own.now.peers;
    if (named.join() !== peers.map(({ where }) => where).join())
        peers = named.map((where, i) => new Edge(`peers/${i}/`, where));
    await Promise.all(peers.map((edge) => edge.look()));
}

/* The sum of several edges' series. They are not taken at the same moments, so each slice of `step` ms has what each edge
 * said last before its end, unless that is long ago. */
export function sum(series, from, to, step = 2000) {
    const places = series.map(() => 0), points = [];
    for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
        let total = 0, any = false;
        series.forEach((points_of, i) => {
            while (places[i] < points_of.length && points_of[places[i]][0] <= time)
                places[i]++;
            const last = points_of[places[i] - 1];
            if (last && time - last[0] <= 3 * step) {
                total += last[1];
                any = true;
            }
        });
        if (any)
            points.push([time, total]);
    }
    return points;
}
