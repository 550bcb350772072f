/**
 * Tells views what changed in the archive while they are shown.
 * Invariants: all tabs of the browser share one connection, as a browser opens at most six to a host. The tab
 * that holds the lock reads the stream and tells the others by a channel. A hidden tab neither holds nor reads.
 */
import { signal } from "./vendor/ui.js";
import { connection, get, urlOf, withToken } from "./api.js";

const NAME = `exptrack-live-${location.host}`;
const EXPIRES_MS = 4000;
const me = crypto.randomUUID();
const channel = new BroadcastChannel(NAME);
const watchers = new Set();
const others = new Map(); // What other tabs watch: id -> {runs, points, at}.
let release = null; // Lets the lock go; null while another tab leads.
let asking = false;
let source = null;
let topics = "";
let lastVersion = null;

/** "live", "paused" (hidden), "lost" or "idle" (nothing is watched). */
export const liveState = signal("idle");

/**
 * Calls `callback` with {type: "version", version}, {type: "runs", added, changed, removed},
 * {type: "points", runs}, {type: "problem", error}, or {type: "again"}: events may be missing, so read anew.
 * Returns a function that ends it.
 */
export function watch({ runs = false, points = [] }, callback) {
    const watcher = { runs, points, callback };
    watchers.add(watcher);
    update();
    return () => {
        watchers.delete(watcher);
        update();
    };
}

function mine() {
    const all = [...watchers];
    return { runs: all.some((one) => one.runs), points: [...new Set(all.flatMap((one) => one.points))] };
}

function hand(message) {
    for (const watcher of [...watchers]) {
        if (message.type === "runs" && !watcher.runs) continue;
        if (message.type === "points") {
            const runs = message.runs.filter((run) => watcher.points.includes(run));
            if (runs.length) watcher.callback({ type: "points", runs });
        } else {
            watcher.callback(message);
        }
    }
}

function tell(message) {
    channel.postMessage({ from: me, event: message });
    hand(message);
}

/** Takes a new state of the stream, and tells it to the tabs that share it. */
function setState(state) {
    liveState.value = state;
    channel.postMessage({ from: me, state });
}

/** What all visible tabs watch, as the parameters of the stream. */
function wanted() {
    const since = Date.now() - EXPIRES_MS;
    const alive = [...others.values()].filter((one) => one.at > since);
    const all = [mine(), ...alive];
    const points = [...new Set(all.flatMap((one) => one.points))].sort();
    return withToken(urlOf("/events", { watch: all.some((one) => one.runs) ? "runs" : null, points }));
}

function listen() {
    if (connection.peek().isLocked) return;
    const url = wanted();
    if (source && topics === url && source.readyState !== EventSource.CLOSED) return;
    source?.close();
    topics = url;
    source = new EventSource(url);
    source.addEventListener("error", () => {
        setState("lost");
        // The browser tries again by itself. This asks whether the server is gone: `connection` then says so.
        get("/api/archive").catch(() => {});
    });
    source.addEventListener("version", (event) => {
        const { version, missed } = JSON.parse(event.data);
        setState("live");
        // The stream begins with the version of now; `missed` is there in that event only.
        const isFirst = missed !== undefined;
        if (isFirst && lastVersion !== null && lastVersion !== version) tell({ type: "again" });
        lastVersion = version;
        tell({ type: "version", version });
    });
    for (const type of ["runs", "points"]) {
        source.addEventListener(type, (event) => tell({ type, ...JSON.parse(event.data) }));
    }
    source.addEventListener("problem", (event) => tell({ type: "problem", error: JSON.parse(event.data) }));
}

function stop() {
    source?.close();
    source = null;
    release?.();
    release = null;
}

function lead() {
    if (asking || release) return;
    asking = true;
    const hold = () =>
        new Promise((done) => {
            asking = false;
            release = done;
            update();
        });
    navigator.locks.request(NAME, hold).catch(() => {
        asking = false;
    });
}

function update() {
    if (document.hidden || watchers.size === 0) {
        stop();
        liveState.value = watchers.size ? "paused" : "idle";
        channel.postMessage({ from: me, gone: true });
        return;
    }
    channel.postMessage({ from: me, watches: mine() });
    if (release) listen();
    else lead();
}

channel.addEventListener("message", ({ data }) => {
    const isActive = watchers.size > 0 && !document.hidden;
    if (data.state && isActive) liveState.value = data.state;
    if (data.event && isActive) hand(data.event);
    if (data.state || data.event) return;
    if (data.gone) others.delete(data.from);
    else others.set(data.from, { ...data.watches, at: Date.now() });
    if (!release || !isActive) return;
    listen();
    if (data.watches) channel.postMessage({ from: me, state: liveState.value });
});

document.addEventListener("visibilitychange", () => {
    update();
    if (!document.hidden) hand({ type: "again" });
});
addEventListener("pagehide", stop);
setInterval(() => {
    if (!document.hidden && watchers.size) update();
}, EXPIRES_MS / 2);
connection.subscribe(({ lost }) => {
    if (lost) liveState.value = "lost";
});
