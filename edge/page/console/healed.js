/* The view of what was healed: a timeline, the latest first, of all edges that are looked at. */

import { clock, element, fill, h, lasting, many, say, seconds } from "./parts.js";
import { edges, own } from "./edges.js";

const SHOWN = 200;

const kinds = {
    frozen: ["wrong", "Frozen"], thawed: ["", "Back"], bus_lost: ["wrong", "Events not heard"], refused: ["wrong", "Write refused"],
    gap: ["wrong", "Gap"], asserted: ["", "Written again"], timeline: ["wrong", "Data replaced"], waits: ["wait", "Removals wait"],
    waited: ["", "Wait is over"], reaped: ["", "Dead edge removed"], read_again: ["", "Read again"], diverged: ["", "Difference found"],
};

let seen_ms = 0; /* up to when the person has looked */

export function entries() {
    const several = edges().length > 1;
    return edges().flatMap((edge) => [...edge.entries.values()].map((entry) => ({ ...entry, several })))
        .sort((a, b) => b.until_ms - a.until_ms || b.id - a.id);
}

function where({ shard, partitions, channel, edge, several }) {
    const parts = [shard];
    if (partitions.length === 1)
        parts.push(`partition ${partitions[0]}`);
    else if (partitions.length > 1)
        parts.push(`${many(partitions.length, "partition")} (${partitions.slice(0, 8).join(", ")}${partitions.length > 8 ? ", …" : ""})`);
    if (channel)
        parts.push(channel.replace(/^[^:]*:/, ""));
    if (several)
        parts.push(`seen by ${edge}`);
    return parts.join(" · ");
}

function makeEntry() {
    return h("li", {}, h("p", { className: "when" }), h("p", { className: "what" }, h("strong"), h("span", { className: "mark" })), h("p", { className: "quiet" }));
}

function showEntry(made, entry) {
    const [look, title] = kinds[entry.kind] ?? ["", entry.kind];
    const [when, what, words] = made.children;
    made.className = look;
    say(when, entry.until_ms - entry.time_ms >= 1000 ? `${clock(entry.time_ms)}, for ${seconds(entry.until_ms - entry.time_ms)}` : clock(entry.time_ms));
    say(what.firstChild, title);
    say(what.lastChild, where(entry));
    say(words, entry.words);
}

export function showBadge(isOpen) {
    const all = entries();
    if (isOpen)
        seen_ms = Math.max(seen_ms, ...all.map(({ until_ms }) => until_ms), 0);
    const news = all.filter(({ until_ms }) => until_ms > seen_ms).length;
    element("healed-badge").hidden = news === 0;
    say(element("healed-badge"), String(news));
    element("healed-badge").ariaLabel = `${news} new`;
}

export function showHealed() {
    const all = entries();
    const up = lasting(own.now.now_ms - own.now.started_ms);
    say(element("healed-note"), own.now.store === "memory" ? "Presence is in memory: there is no Redis that could lose anything."
        : all.length === 0 ? `Nothing had to be healed since this edge started, ${up} ago.`
        : `${many(all.length, "entry", "entries")}, the latest first${all.length > SHOWN ? `; ${SHOWN} are shown` : ""}.`);
    fill(element("healed"), all.slice(0, SHOWN), ({ edge, id }) => `${edge}/${id}`, makeEntry, showEntry);
}
