/* The view of channels: all of an app, with search; and who is in one of them, on which edge. */

import { clock, count, element, fill, h, lasting, many, say, seconds, table } from "./parts.js";
import { edges, own } from "./edges.js";

let query = { app: "", search: "" };
let opened = null; /* the channel that is looked at: {app, channel} */
let roster = null; /* what the edges say of it: [{edge, who}] */

/* ---- the list ---- */

const address = (app, channel) => `#/channels/${encodeURIComponent(app)}${channel ? `/${encodeURIComponent(channel)}` : ""}`;

const listColumns = [
    { label: "Channel", head: true, cell: (td, { name, kind }, row) => {
        if (!td.firstChild)
            td.append(h("a", { className: "link" }), h("span", { className: "mark" }));
        say(td.firstChild, name);
        td.firstChild.href = address(query.app, name);
        say(td.lastChild, kind);
        if (opened?.channel === name)
            row.setAttribute("aria-current", "true");
        else
            row.removeAttribute("aria-current");
    } },
    { label: "Subscriptions", number: true, cell: (td, { subscriptions }) => say(td, count(subscriptions)) },
    { label: "Users", number: true, cell: (td, { kind, users }) => say(td, kind === "presence" ? count(users) : "") },
    { label: "On this edge", number: true, cell: (td, { here }) => say(td, count(here)) },
];

function foundWords({ found, channels, stale_s }) {
    const words = found === 0 ? query.search ? `No channel has “${query.search}” in its name.` : "Nobody is subscribed to anything."
        : `${many(found, "channel")}${query.search ? ` with “${query.search}”` : ""}${channels.length < found ? `, the ${channels.length} with the most subscriptions are shown` : ""}.`;
    return stale_s === null ? words : `${words} Redis is out of reach: this is how it was ${lasting(stale_s * 1000)} ago.`;
}

export async function lookForChannels() {
    try {
        const list = await own.ask("channels", { ...query, limit: 200 });
        say(element("channels-found"), foundWords(list));
        table(element("channels"), "Channels", listColumns, list.channels, ({ name }) => name);
        return list.found;
    } catch (problem) {
        say(element("channels-found"), problem.message);
        return Infinity;
    }
}

/* ---- one channel ---- */

/* What several edges say of one channel, in one: who is there and which edges hold him is the same on all (Redis says so);
 * sockets are each edge's own. */
export function join(answers) {
    const best = answers.find(({ who }) => who.known) ?? answers[0];
    const users = new Map(best.who.users.map((user) => [user.id, { ...user, sockets: [] }]));
    const sockets = [];
    for (const { edge, who } of answers) {
        for (const user of who.users)
            users.get(user.id)?.sockets.push(...user.sockets.map((socket) => ({ ...socket, edge })));
        sockets.push(...who.here.sockets.map((socket) => ({ ...socket, edge })));
    }
    const holds = answers.filter(({ who }) => who.hold).map(({ edge, who }) => ({ edge, ...who.hold }));
    return { ...best.who, users: [...users.values()], sockets, holds, here: answers.map(({ edge, who }) => ({ edge, ...who.here })) };
}

async function askAll(parameters) {
    const answers = await Promise.all(edges().filter((edge) => edge === own || edge.now).map(async (edge) => {
        try {
            return { edge: edge.name, who: await edge.ask("who", parameters) };
        } catch (problem) {
            if (edge === own)
                throw problem;
            return null;
        }
    }));
    return join(answers.filter(Boolean));
}

function summary(who) {
    const parts = who.kind === "presence" ? [many(who.users_total, "user")] : [];
    const here = who.here.reduce((sum, { subscriptions }) => sum + subscriptions, 0);
    parts.push(`${many(here, "subscription")} on ${who.here.length > 1 ? "the edges that are asked" : "this edge"}`);
    if (who.partition !== null)
        parts.push(`partition ${who.partition} on ${who.shard}`);
    const words = `${parts.join(", ")}.`;
    const cut = who.users.length < who.users_total ? ` The first ${who.users.length} users are shown.` : "";
    return words + cut + (who.known ? "" : " Redis is out of reach: this is what this edge knows.");
}

function chip(edge) {
    const out = edge.lease_ms !== null && edge.lease_ms <= 0;
    return h("li", { className: `chip${edge.here ? " here" : ""}${out ? " out" : ""}` });
}

const holder = (edge) => edge.edge ?? (edge.owner ? `owner ${edge.owner}` : "another edge");

function chipWords(edge, kind) {
    const held = edge.users + edge.more;
    const lease = edge.lease_ms === null ? "" : edge.lease_ms > 0 ? `, lease for ${seconds(edge.lease_ms)}` : ", lease has run out";
    return `${holder(edge)}: ${kind === "presence" ? many(edge.users, "user") : many(held, "subscription")}${lease}`;
}

/* ---- why somebody is here ---- */

function why(user, who) {
    const facts = [];
    for (const edge of user.held_by)
        facts.push(["held by", holder(edge) + (edge.lease_ms === null ? "" : edge.lease_ms > 0
            ? `; its lease runs for ${seconds(edge.lease_ms)} if it is not heard of again`
            : "; its lease has run out, and what it holds is being removed")]);
    for (const socket of user.sockets)
        facts.push(["socket", `${socket.socket_id} on ${socket.edge}, worker ${socket.worker}; subscribed since ${clock(socket.since_ms)}, `
            + `connected since ${clock(socket.connected_ms)}`]);
    for (const hold of who?.holds ?? [])
        facts.push(["last write", `number ${hold.write} of owner ${hold.owner} on ${hold.edge}, ${hold.settled
            ? `acknowledged by Redis; last heartbeat ${seconds(hold.fresh_ago_ms)} ago` : "not acknowledged yet"}`]);
    if (user.info)
        facts.push(["info", user.info]);
    if (user.sockets.length === 0 && who) /* who was asked for this user alone: nothing was cut */
        facts.push(["socket", "on edges that are not asked from here (edge.admin.peers)"]);
    return facts;
}

async function openWhy(details, user) {
    let who = null;
    try {
        who = await askAll({ app: opened.app, channel: opened.channel, user: user.id });
    } catch {
        /* what the roster said is shown all the same */
    }
    const facts = why(who?.users[0] ?? user, who);
    details.querySelector("dl").replaceChildren(...facts.flatMap(([name, words]) => [h("dt", {}, name), h("dd", {}, words)]));
}

const rosterColumns = [
    { label: "User", head: true, cell: (td, user) => {
        if (!td.firstChild)
            td.append(h("span"), h("span", { className: "mark" }));
        say(td.firstChild, user.id);
        let name = "";
        try {
            const info = JSON.parse(user.info);
            name = typeof info?.name === "string" ? info.name : "";
        } catch {
            /* info of another form */
        }
        say(td.lastChild, name);
    } },
    { label: "Held by", cell: (td, user) => {
        if (!td.firstChild)
            td.append(h("ul", { className: "chips" }));
        fill(td.firstChild, user.held_by.length ? user.held_by : [{ edge: "nobody any more", owner: "none", lease_ms: null }], (edge) => `${edge.edge}/${edge.owner}`,
            () => h("li", { className: "chip" }), (made, edge) => {
                made.className = `chip${edge.here ? " here" : ""}${edge.lease_ms !== null && edge.lease_ms <= 0 ? " out" : ""}`;
                say(made, holder(edge));
            });
    } },
    { label: "Sockets", number: true, cell: (td, user) => say(td, user.sockets.length ? count(user.sockets.length) : roster.here.some(({ cut }) => cut) ? "not listed" : "elsewhere") },
    { label: "Since", number: true, cell: (td, user) =>
        say(td, user.sockets.length ? clock(Math.min(...user.sockets.map(({ since_ms }) => since_ms))) : "") },
    { label: "Why", unlabelled: true, cell: (td, user) => {
        td.user = user;
        if (td.firstChild)
            return;
        const details = h("details", {}, h("summary", {}, "Why"), h("dl"));
        details.addEventListener("toggle", () => details.open && openWhy(details, td.user));
        td.append(details);
    } },
];

const socketColumns = [
    { label: "Socket", head: true, cell: (td, { socket_id }) => say(td, socket_id) },
    { label: "Edge", cell: (td, { edge }) => say(td, edge) },
    { label: "Worker", number: true, cell: (td, { worker }) => say(td, String(worker)) },
    { label: "Subscribed since", number: true, cell: (td, { since_ms }) => say(td, clock(since_ms)) },
    { label: "Connected since", number: true, cell: (td, { connected_ms }) => say(td, clock(connected_ms)) },
];

export async function lookAtChannel() {
    if (!opened)
        return;
    const asked = opened;
    try {
        const who = await askAll(asked);
        if (asked !== opened)
            return;
        roster = who;
        say(element("roster-summary"), summary(who));
        fill(element("roster-edges"), who.edges.filter((edge) => edge.users + edge.more > 0)
            .sort((a, b) => a.edge.localeCompare(b.edge)), (edge) => `${edge.edge}/${edge.owner}`, chip,
            (made, edge) => say(made, chipWords(edge, who.kind)));
        table(element("roster"), "Users", rosterColumns, [...who.users].sort((a, b) => a.id.localeCompare(b.id, undefined, { numeric: true })), ({ id }) => id);
        element("sockets-title").hidden = who.sockets.length === 0;
        table(element("sockets"), "Sockets", socketColumns, who.sockets.slice(0, 200), ({ socket_id }) => socket_id);
    } catch (problem) {
        say(element("roster-summary"), problem.message);
    }
}

export function openChannel(app, channel) {
    const part = element("roster-part");
    if (!channel) {
        opened = roster = null;
        part.hidden = true;
        return;
    }
    if (opened?.app === app && opened.channel === channel)
        return;
    opened = { app, channel };
    part.hidden = false;
    say(element("roster-title"), `Who is in ${channel}`);
    say(element("roster-summary"), "Asking…");
    for (const id of ["roster", "sockets", "roster-edges"])
        element(id).replaceChildren();
    element("roster-title").focus();
    lookAtChannel();
}

export function startChannels() {
    element("search-form").addEventListener("submit", (event) => {
        event.preventDefault();
        query = { app: element("channels-app").value, search: element("search").value.trim() };
        lookForChannels();
    });
    element("channels-app").addEventListener("change", (event) => {
        location.hash = address(event.target.value, "");
    });
}

/* The address names an app, and perhaps a channel of it. */
export function goToChannels(app, channel) {
    if (app && app !== query.app) {
        query = { ...query, app };
        element("channels-app").value = app;
        element("channels").replaceChildren();
    }
    query.app ||= own.now.apps[0]?.id ?? "";
    openChannel(query.app, channel);
    lookForChannels();
}
