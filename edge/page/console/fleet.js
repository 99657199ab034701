/* The view of the fleet: numbers, edges and their leases, shards. */

import { count, bytes, element, fill, h, lasting, rate, say, seconds, table } from "./parts.js";
import { draw, newPlot } from "./plot.js";
import { edges, own, sum } from "./edges.js";

const SHOWN_ms = 600000, SHOWN_AT_LEAST_ms = 60000;

/* ---- numbers ---- */

const tiles = [
    { key: "connections", title: "Connections", gauges: ["connections"], show: count },
    { key: "messages", title: "Messages a second", rates: ["frames_sent", "messages_received"], names: ["to clients", "from clients"], show: rate },
    { key: "publishes", title: "Events a second", rates: ["publishes"], show: rate },
    { key: "traffic", title: "Bytes a second", rates: ["bytes_sent", "bytes_received"], names: ["to clients", "from clients"], show: bytes },
    { key: "subscriptions", title: "Subscriptions", gauges: ["subscriptions"], show: count },
    { key: "comings", title: "Comings and goings a second", rates: ["connections_opened", "connections_closed"], names: ["opened", "closed"], show: rate },
];

function makeTile(tile) {
    const key = tile.names && h("p", { className: "key" }, ...tile.names.map((name, i) => h("span", { className: i ? "two" : "one" }, name)));
    return h("div", { className: "tile" }, h("h3", {}, tile.title), h("p", { className: "value" }), newPlot(),
        h("p", { className: "range" }, h("span", { className: "first" }), h("span", { className: "most" }), h("span", {}, "now")), key);
}

function showTile(made, tile, chosen, from, now) {
    const series = (tile.gauges ?? tile.rates).map((name) =>
        sum(chosen.map((edge) => tile.gauges ? edge.values(name) : edge.rates(name)), from, now));
    const latest = series.map((points) => points.at(-1)?.[1] ?? 0);
    const most = Math.max(0, ...series.flat().map(([, value]) => value));
    const value = made.querySelector(".value");
    say(value, latest.map(tile.show).join(" / "));
    say(made.querySelector(".most"), `at most ${tile.show(most)}`);
    say(made.querySelector(".first"), `${lasting(now - from)} ago`);
    draw(made.querySelector(".plot"), series, from, now,
        `${tile.title}, the last ${lasting(now - from)}: now ${latest.map(tile.show).join(" and ")}, at most ${tile.show(most)}`);
}

function showNumbers() {
    const all = edges().filter((edge) => edge.now);
    const select = element("numbers-of");
    element("numbers-of-label").hidden = all.length < 2;
    fill(select, [{ id: "", name: "all edges" }, ...all.map((edge) => ({ id: edge.now.id, name: edge.name }))],
        ({ id }) => id, () => h("option"), (option, { id, name }) => {
            option.value = id;
            say(option, name);
        });
    const chosen = select.value ? all.filter((edge) => edge.now.id === select.value) : all;
    const now = Math.max(...all.map((edge) => edge.rows.at(-1)?.[0] ?? 0));
    const first = Math.min(...chosen.map((edge) => edge.rows[0]?.[0] ?? now));
    const from = Math.min(Math.max(first, now - SHOWN_ms), now - SHOWN_AT_LEAST_ms);
    fill(element("tiles"), tiles, ({ key }) => key, makeTile, (made, tile) => showTile(made, tile, chosen, from, now));
}

/* ---- edges ---- */

export function leaseBar(left_ms, lease_ms) {
    return updateLease(h("span", { className: "lease" }, h("span", { className: "bar", ariaHidden: "true" }, h("span")), h("span")), left_ms, lease_ms);
}

export function updateLease(made, left_ms, lease_ms) {
    const bar = made.firstElementChild;
    bar.className = left_ms <= 0 ? "bar out" : left_ms < lease_ms / 2 ? "bar low" : "bar";
    bar.firstElementChild.style.width = `${Math.max(3, Math.min(100, left_ms / lease_ms * 100))}%`;
    say(made.lastElementChild, left_ms > 0 ? seconds(left_ms) : `ran out ${seconds(-left_ms)} ago`);
    return made;
}

/* One row an edge: of those that Redis knows by their leases, and those that answer here. An edge's lease is the
 * shortest that any shard has of it. */
function edgeRows(fleet) {
    const rows = new Map();
    for (const shard of fleet?.shards ?? []) {
        const seen = new Map(); /* edges of one name */
        for (const owner of shard.owners) {
            const n = seen.get(owner.edge) ?? 0;
            seen.set(owner.edge, n + 1);
            const key = `${owner.edge}#${n}`;
            const row = rows.get(key) ?? { key, name: owner.edge, lease_ms: Infinity, here: false, shards: 0 };
            row.lease_ms = Math.min(row.lease_ms, owner.lease_ms);
            row.here ||= owner.here;
            row.shards++;
            rows.set(key, row);
        }
    }
    for (const edge of edges()) {
        const row = [...rows.values()].find((one) => !one.edge && (edge === own ? one.here : !one.here && one.name === edge.name));
        if (row)
            row.edge = edge;
        else
            rows.set(edge.where, { key: edge.where, name: edge.name, lease_ms: null, here: edge === own, edge });
    }
    return [...rows.values()].sort((a, b) => Number(b.here) - Number(a.here) || a.name.localeCompare(b.name));
}

function stateOf(row) {
    const edge = row.edge;
    if (row.lease_ms !== null && row.lease_ms <= 0)
        return ["bad", "its lease has run out: what it held is being removed"];
    if (edge?.problem)
        return ["", edge.problem.message];
    if (edge?.now && !edge.now.readiness.ready)
        return ["", edge.now.readiness.reasons.map(({ reason }) => reason).join(", ") || "not ready"];
    if (edge?.now)
        return ["good", "ready"];
    return ["good", "lives"];
}

const last = (points) => points.at(-1)?.[1];

/* What an edge says of itself, while it says anything. */
const said = ({ edge }) => edge && !edge.problem ? edge.now : null;

const edgeColumns = (lease_ms) => [
    { label: "Edge", head: true, cell: (td, row) => {
        if (!td.firstChild)
            td.append(h("span"), h("span", { className: "mark here" }));
        say(td.firstChild, row.name);
        say(td.lastChild, row.here ? "this one" : "");
    } },
    { label: "State", cell: (td, row) => {
        const [state, words] = stateOf(row);
        if (!td.firstChild)
            td.append(h("span"));
        td.firstChild.className = `dot ${state}`;
        say(td.firstChild, words);
    } },
    { label: "Lease", cell: (td, row) => {
        if (row.lease_ms === null || row.lease_ms === Infinity)
            td.replaceChildren();
        else if (td.firstChild)
            updateLease(td.firstChild, row.lease_ms, lease_ms);
        else
            td.append(leaseBar(row.lease_ms, lease_ms));
    } },
    { label: "Connections", number: true, cell: (td, row) => say(td, said(row) ? count(said(row).counts.connections) : "") },
    { label: "Messages/s", number: true, cell: (td, row) => say(td, said(row) ? rate(last(row.edge.rates("frames_sent")) ?? 0) : "") },
    { label: "Up for", number: true, cell: (td, row) => say(td, said(row) ? lasting(said(row).now_ms - said(row).started_ms) : "") },
    { label: "Version", number: true, cell: (td, row) => say(td, said(row)?.version ?? "") },
];

function edgesNote(fleet, rows) {
    if (own.now.store === "memory")
        return "Presence is in memory, in this process alone: there are no other edges.";
    if (fleet && fleet.shards.every(({ known }) => !known))
        return "Redis is out of reach from here, so the other edges are not known.";
    if (rows.some((row) => !row.edge))
        return "Numbers of other edges are seen when edge.admin.peers names their admin listeners.";
    return "";
}

/* ---- shards ---- */

function shardState(shard) {
    if (!shard.up)
        return ["bad", `out of reach for ${lasting(shard.silent_ms)}: rosters stand still, nobody is shown as gone`];
    if (shard.refused > 0)
        return ["bad", `refuses this edge in ${shard.refused} of ${shard.partitions} partitions; the log and rollcall doctor say why`];
    if (shard.ready < shard.partitions)
        return ["", `${shard.ready} of ${shard.partitions} partitions are ready`];
    if (!shard.bus_up)
        return ["", "its events are not heard yet"];
    if (shard.removals_wait > 0)
        return ["", `data had been lost: removals wait in ${shard.removals_wait} of ${shard.partitions} partitions`];
    return ["good", "well"];
}

function proof(shard) {
    if (!shard.up)
        return "none answers";
    if (shard.ready === 0)
        return "says that it is a master, and has not proved to be this shard's";
    const words = `it is a master and stamped as ${shard.name}`;
    if (!shard.replicated)
        return `proven: ${words}; its address is fixed`;
    return shard.confirmed ? `proven: ${words}; a majority of the Sentinels names it` : `proven: ${words}; no majority of the Sentinels answers`;
}

const shardColumns = [
    { label: "Shard", head: true, cell: (td, shard) => say(td, shard.name) },
    { label: "State", cell: (td, shard) => {
        const [state, words] = shardState(shard);
        if (!td.firstChild)
            td.append(h("span"));
        td.firstChild.className = `dot ${state}`;
        say(td.firstChild, words);
    } },
    { label: "Master", cell: (td, shard) => say(td, shard.address ?? "not known") },
    { label: "Proof", cell: (td, shard) => say(td, proof(shard)) },
    { label: "Writes that wait", number: true, cell: (td, shard) => say(td, count(shard.unacknowledged)) },
];

/* ---- the view ---- */

export function showFleet(fleet) {
    const rows = edgeRows(fleet);
    showNumbers();
    table(element("edges"), "Edges", edgeColumns(fleet?.lease_ms ?? 1), rows, ({ key }) => key);
    say(element("edges-note"), edgesNote(fleet, rows));
    table(element("shards"), "Shards", shardColumns, own.now.shards, ({ name }) => name);
    say(element("shards-note"), own.now.store === "memory" ? "There are none: presence is in memory." : "");
}
