/* The view of events: those of one app as they pass through the edges that are looked at, and a form to send one. */

import { count, element, h, many, say, timeElement } from "./parts.js";
import { edges, own } from "./edges.js";

const LINES_KEPT = 300;
const TOGETHER_ms = 3000; /* the same event on several edges comes within so long */
const PAUSE_ms = 1000;    /* before an edge that refused is asked again */

let watching = null; /* {app, stop: AbortController} */
let paused = false;
let lines = [];      /* newest last: {key, edges, at, element, text} */
let missed = 0;

/* ---- lines ---- */

/* {event, data} of what clients get, or null when it is cut or something else. */
function parse(text) {
    try {
        const message = JSON.parse(text);
        return typeof message?.event === "string" ? message : null;
    } catch {
        return null;
    }
}

/* Data are often JSON in a string. What is short is one line. */
function spread(data) {
    if (data === undefined || data === "")
        return "";
    let value = data;
    if (typeof data === "string") {
        try {
            value = JSON.parse(data);
        } catch {
            return data;
        }
    }
    const text = JSON.stringify(value);
    return text.length <= 100 ? text : JSON.stringify(value, null, 1);
}

function headAndBody(event) {
    if (event.kind === "member_added")
        return [`${event.text} came in`, ""];
    if (event.kind === "member_removed")
        return [`${event.text} left`, ""];
    const message = parse(event.text);
    if (!message)
        return [event.cut ? `an event of ${count(event.bytes)} bytes` : "an event", event.cut ? `${event.text}…` : event.text];
    return [message.event + (message.user_id ? ` by ${message.user_id}` : ""), spread(message.data)];
}

function lineOf(event, edge) {
    const [head, body] = headAndBody(event);
    return h("li", {}, timeElement(event.time_ms, true), h("strong", {}, head), h("span", { className: "channel" }, `in ${event.channel}`),
        h("span", { className: "mark via" }, `through ${edge}`), body && h("pre", {}, body));
}

function matches(line) {
    const wanted = element("events-filter").value.trim().toLowerCase();
    return !wanted || line.channel.toLowerCase().includes(wanted);
}

function showLine(line) {
    const stream = element("events");
    const atEnd = stream.scrollHeight - stream.scrollTop - stream.clientHeight < 60;
    line.element.hidden = !matches(line);
    stream.append(line.element);
    while (stream.childElementCount > LINES_KEPT)
        stream.firstElementChild.remove();
    if (atEnd)
        stream.scrollTop = stream.scrollHeight;
}

/* An event that passes through several edges is one line that names them. */
function take(event, edge) {
    const key = `${event.kind} ${event.channel} ${event.text}`;
    const known = lines.find((line) => line.key === key && !line.edges.includes(edge) && Math.abs(event.time_ms - line.at) < TOGETHER_ms);
    if (known) {
        known.edges.push(edge);
        say(known.element.querySelector(".via"), `through ${known.edges.join(", ")}`);
        return;
    }
    const line = { key, edges: [edge], at: event.time_ms, channel: event.channel, element: lineOf(event, edge) };
    lines = [...lines.slice(-LINES_KEPT), line];
    if (!paused)
        showLine(line);
}

function showNote() {
    const where = edges().map((edge) => edge.name).join(", ");
    const gone = missed ? ` ${many(missed, "event")} came too fast to be shown.` : "";
    say(element("events-note"), `${paused ? "Paused." : "Watching"} ${paused ? "" : `what passes through ${where}: events with a subscriber there, or sent there.`}${gone}`);
}

/* ---- watching ---- */

async function follow(edge, { app, stop }) {
    let after = null; /* what was before we came is not news */
    while (!stop.signal.aborted) {
        try {
            const news = await edge.ask("events", { app, after: after ?? 0, wait: after === null ? "" : 1 }, { signal: stop.signal });
            if (after === null)
                news.events = news.events.slice(-20);
            else
                missed += news.missed;
            after = news.next;
            news.events.forEach((event) => take(event, edge.name));
            showNote();
        } catch (problem) {
            if (stop.signal.aborted)
                return;
            say(element("events-note"), `${edge.name}: ${problem.message}`);
            await new Promise((resolve) => setTimeout(resolve, PAUSE_ms));
        }
    }
}

export function stopWatching() {
    watching?.stop.abort();
    watching = null;
}

export function watch(app) {
    if (watching?.app === app)
        return;
    stopWatching();
    lines = [];
    missed = 0;
    element("events").replaceChildren();
    watching = { app, stop: new AbortController() };
    edges().forEach((edge) => follow(edge, watching));
    showNote();
}

/* ---- sending ---- */

async function send(event) {
    event.preventDefault();
    const result = element("send-result");
    const body = { channel: element("send-channel").value.trim(), name: element("send-name").value.trim(), data: element("send-data").value };
    try {
        const app = element("events-app").value;
        /* The path's own parameter says whose event it is. */
        await own.ask(`events?app=${encodeURIComponent(app)}`, {}, { body });
        result.className = "";
        say(result, `Sent ${body.name} to ${body.channel}.`);
    } catch (problem) {
        result.className = "problem";
        say(result, problem.message);
    }
}

export function startEvents() {
    element("send-form").addEventListener("submit", send);
    element("events-app").addEventListener("change", (event) => {
        location.hash = `#/events/${encodeURIComponent(event.target.value)}`;
    });
    element("events-filter").addEventListener("input", () => lines.forEach((line) => {
        line.element.hidden = !matches(line);
    }));
    element("events-form").addEventListener("submit", (event) => event.preventDefault());
    element("pause").addEventListener("click", () => {
        paused = !paused;
        element("pause").setAttribute("aria-pressed", String(paused));
        say(element("pause"), paused ? "Go on" : "Pause");
        if (!paused)
            lines.filter((line) => !line.element.isConnected).forEach(showLine);
        showNote();
    });
}

export function goToEvents(app) {
    const select = element("events-app");
    if (app)
        select.value = app;
    element("send-fields").disabled = !own.now.allow_changes;
    element("send-why").hidden = own.now.allow_changes;
    watch(select.value);
}
