/* Small parts that all views are made of: elements, words for numbers and times, questions to the server. */

/* ---- elements ---- */

export const element = (id) => document.getElementById(id);

/* h("td", { className: "x", dataset: { label: "y" } }, "text", node, …): text stays text, whatever is in it. */
export function h(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
        if (name === "dataset")
            Object.assign(made.dataset, value);
        else if (name in made)
            made[name] = value;
        else
            made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return made;
}

/* Makes the children of `parent` one for each item, in order. What is already there, by key, is updated and not made anew,
 * so that focus, scrolling and opened details stay where they are. */
export function fill(parent, items, keyOf, make, update) {
    const had = new Map([...parent.children].map((child) => [child.dataset.key, child]));
    let after = null;
    for (const item of items) {
        const key = String(keyOf(item));
        let child = had.get(key);
        if (!child) {
            child = make(item);
            child.dataset.key = key;
        }
        had.delete(key);
        update(child, item);
        const place = after ? after.nextElementSibling : parent.firstElementChild;
        if (place !== child)
            parent.insertBefore(child, place);
        after = child;
    }
    for (const gone of had.values())
        gone.remove();
}

/* A table in `parent`: columns are {label, number, head, cell(td, item, row)}; cells are made once and updated. On a phone
 * rows are cards, whose lines begin with the columns' labels, but for those that are `unlabelled`. */
export function table(parent, caption, columns, items, keyOf) {
    let body = parent.querySelector("tbody");
    if (items.length === 0) {
        parent.replaceChildren();
        return;
    }
    if (!body) {
        body = h("tbody");
        parent.replaceChildren(h("table", { ariaLabel: caption },
            h("thead", {}, h("tr", {}, ...columns.map(({ label, number }) =>
                h("th", { scope: "col", className: number ? "number" : "" }, label)))), body));
    }
    const makeRow = () => h("tr", {}, ...columns.map(({ label, number, head, unlabelled }) => head
        ? h("th", { scope: "row" })
        : h("td", { className: number ? "number" : "", ...!unlabelled && { dataset: { label } } })));
    fill(body, items, keyOf, makeRow, (row, item) => columns.forEach(({ cell }, i) => cell(row.children[i], item, row)));
}

/* Sets the text only when it is another: what is selected stays selected. */
export function say(where, text) {
    if (where.textContent !== text)
        where.textContent = text;
}

/* ---- words ---- */

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation: "compact" });

export const count = (n) => whole.format(n);
export const rate = (n) => n >= 10000 ? short.format(n) : n >= 10 || n === 0 ? whole.format(Math.round(n)) : n.toFixed(1);
export const many = (n, one, more) => `${count(n)} ${n === 1 ? one : more ?? `${one}s`}`;

export function bytes(n) {
    for (const unit of ["B", "kB", "MB", "GB"]) {
        if (n < 1000 || unit === "GB")
            return `${n >= 100 || unit === "B" ? Math.round(n) : n.toFixed(1)} ${unit}`;
        n /= 1000;
    }
    return "";
}

/* "3 days", "2 h 5 min", "14 s" */
export function lasting(ms) {
    const s = Math.max(0, Math.round(ms / 1000));
    if (s < 60)
        return `${s} s`;
    if (s < 3600)
        return `${Math.floor(s / 60)} min${s < 600 && s % 60 ? ` ${s % 60} s` : ""}`;
    if (s < 2 * 86400)
        return `${Math.floor(s / 3600)} h${Math.floor(s / 60) % 60 ? ` ${Math.floor(s / 60) % 60} min` : ""}`;
    return `${Math.floor(s / 86400)} days`;
}

export const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/* The time of day; with the date when it is another day. */
export function clock(ms, withMillis = false) {
    const date = new Date(ms);
    const time = date.toLocaleTimeString([], { hour12: false, hour: "2-digit", minute: "2-digit", second: "2-digit" });
    const text = withMillis ? `${time}.${String(date.getMilliseconds()).padStart(3, "0")}` : time;
    return date.toDateString() === new Date().toDateString() ? text : `${date.toLocaleDateString()} ${text}`;
}

export function timeElement(ms, withMillis) {
    return h("time", { dateTime: new Date(ms).toISOString() }, clock(ms, withMillis));
}

/* ---- questions ---- */

const TOKEN = "rollcall-token";
const PATIENCE_ms = 15000;

export const token = {
    get: () => sessionStorage.getItem(TOKEN),
    set: (text) => sessionStorage.setItem(TOKEN, text),
    forget: () => sessionStorage.removeItem(TOKEN),
};

/* The server said no, and why. status 0: it said nothing. */
export class Refused extends Error {
    constructor(status, words) {
        super(words);
        this.status = status;
    }
}

/* The path is relative, so that the page may stand behind a prefix of a proxy. */
export async function ask(path, parameters = {}, options = {}) {
    const url = new URL(`api/${path}`, document.baseURI.replace(/#.*/, ""));
    for (const [name, value] of Object.entries(parameters))
        if (value !== "" && value !== null && value !== undefined)
            url.searchParams.append(name, value);
    /* '+' is a plus to the server, as the HTTP API has it. */
    const address = url.href.replaceAll("+", "%20");
    const headers = { Authorization: `Bearer ${token.get() ?? ""}` };
    const patience = new AbortController();
    const giveUp = () => patience.abort();
    const timer = setTimeout(giveUp, PATIENCE_ms);
    options.signal?.addEventListener("abort", giveUp);
    let answer, body;
    try {
        answer = await fetch(address, {
            headers, cache: "no-store", signal: patience.signal,
            ...options.body && { method: "POST", body: JSON.stringify(options.body) },
        });
        body = await answer.json();
    } catch {
        throw new Refused(0, options.signal?.aborted ? "given up" : "This edge does not answer.");
    } finally {
        clearTimeout(timer);
        options.signal?.removeEventListener("abort", giveUp);
    }
    if (!answer.ok)
        throw new Refused(answer.status, body?.error ?? `status ${answer.status}`);
    return body;
}
