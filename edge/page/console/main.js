/* The page's life: the token, which view is shown, and looking again every two seconds. */

import { element, fill, h, Refused, say, token } from "./parts.js";
import { lookAtAll, own } from "./edges.js";
import { showFleet } from "./fleet.js";
import { goToChannels, lookAtChannel, lookForChannels, startChannels } from "./channels.js";
import { goToEvents, startEvents, stopWatching } from "./events.js";
import { showBadge, showHealed } from "./healed.js";

const AGAIN_ms = 2000;
const LIST_AGAIN_ms = 10000;  /* a list of channels costs Redis a walk over them */
const LIST_AGAIN_MAX = 2000;  /* so a longer one is looked at when somebody asks */

let timer = 0;
let shown = "";
let listed = { at: 0, found: 0 };

/* ---- which view ---- */

/* "#/channels/7/presence-room" → ["channels", "7", "presence-room"] */
function place() {
    const parts = location.hash.replace(/^#\/?/, "").split("/").map((part) => {
        try {
            return decodeURIComponent(part);
        } catch {
            return part;
        }
    });
    return ["fleet", "channels", "events", "healed"].includes(parts[0]) ? parts : ["fleet"];
}

function showApps() {
    const apps = own.now.apps;
    for (const select of document.querySelectorAll("select.apps")) {
        fill(select, apps, ({ id }) => id, () => h("option"), (option, { id }) => {
            option.value = id;
            say(option, id);
        });
        select.closest("label").hidden = apps.length < 2;
    }
}

async function showView(isNew) {
    const [view, app, channel] = place();
    for (const part of document.querySelectorAll(".view"))
        part.hidden = part.id !== `${view}-view`;
    for (const link of element("views").children) {
        if (link.hash === `#/${view}`)
            link.setAttribute("aria-current", "page");
        else
            link.removeAttribute("aria-current");
    }
    document.title = `${view[0].toUpperCase()}${view.slice(1)} – Rollcall ${own.now.edge}`;
    if (view !== "events")
        stopWatching();
    if (view === "fleet")
        showFleet(await own.ask("fleet").catch(() => null));
    else if (view === "channels" && isNew)
        goToChannels(app, channel);
    else if (view === "channels")
        await lookAtChannels();
    else if (view === "events")
        goToEvents(app);
    else
        showHealed();
    showBadge(view === "healed");
}

async function lookAtChannels() {
    await lookAtChannel();
    if (Date.now() - listed.at < LIST_AGAIN_ms || listed.found > LIST_AGAIN_MAX)
        return;
    listed.at = Date.now();
    listed.found = await lookForChannels();
}

/* ---- who may look ---- */

function showState(state, words) {
    element("state").dataset.state = state;
    say(element("state"), words);
}

function showOnly(part) {
    element("door").hidden = part !== "door";
    element("closed").hidden = part !== "closed";
    element("views").hidden = part !== "views";
    element("forget").hidden = part !== "views";
    if (part !== "views")
        document.querySelectorAll(".view").forEach((view) => { view.hidden = true; });
}

function refuse(problem) {
    stopWatching();
    if (problem.status === 403) {
        showOnly("closed");
        showState("bad", "Closed");
        return;
    }
    const had = token.get();
    token.forget();
    showOnly("door");
    showState("waiting", "Waiting for the token");
    say(element("token-problem"), had ? "That is not the token of this edge." : "");
    element("token").focus();
}

/* ---- looking again and again ---- */

function showOwnState() {
    const { readiness, store } = own.now;
    const badly = own.now.shards.filter(({ up, ready, partitions }) => !up || ready < partitions).map(({ name }) => name);
    if (badly.length > 0)
        showState("bad", `${badly.join(", ")} out of reach`);
    else if (!readiness.ready)
        showState("waiting", readiness.reasons.map(({ reason }) => reason).join(", "));
    else
        showState("good", store === "memory" ? "All is well, in memory" : "All is well");
}

async function look(isNew = false) {
    clearTimeout(timer);
    try {
        await lookAtAll();
        say(element("edge-name"), own.now.edge);
        showOnly("views");
        showApps();
        showOwnState();
        await showView(isNew);
    } catch (problem) {
        if (!(problem instanceof Refused))
            throw problem;
        if (problem.status === 401 || problem.status === 403) {
            refuse(problem);
            return;
        }
        showState("bad", `${problem.message} What is shown is how it was.`);
    }
    clearTimeout(timer);
    timer = setTimeout(look, AGAIN_ms);
}

/* ---- what the person does ---- */

/* A link may bring the token behind the '#', which no server and no log sees; it does not stay in the address. */
function takeTokenFromAddress() {
    const brought = location.hash.match(/^#token=(.*)$/);
    if (!brought)
        return;
    try {
        token.set(decodeURIComponent(brought[1]));
    } catch {
        token.set(brought[1]);
    }
    history.replaceState(null, "", location.pathname + location.search);
}

element("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    token.set(element("token").value);
    element("token").value = "";
    look(true);
});
element("forget").addEventListener("click", () => {
    clearTimeout(timer);
    token.forget();
    location.reload();
});
element("again").addEventListener("click", () => look(true));
element("numbers-of").addEventListener("change", () => look());
addEventListener("hashchange", () => {
    if (location.hash.startsWith("#token=")) {
        takeTokenFromAddress();
        look(true);
    } else if (own.now && !element("views").hidden) {
        showView(true);
        if (place()[0] !== shown)
            scrollTo(0, 0);
        shown = place()[0];
    }
});
/* Nobody looks at a hidden tab; who comes back wants the present. */
document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.visibilityState === "visible" && token.get())
        look();
});

takeTokenFromAddress();
startChannels();
startEvents();
look(true);
