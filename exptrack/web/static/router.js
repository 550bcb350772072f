/**
 * Keeps the URL and the view the same.
 * Invariant: the URL is the whole state; a reload, the back button and a copied link restore the view.
 */
import { computed, signal } from "./vendor/ui.js";

/**
 * The views: the file in views/, what the bar calls it (null: not in the bar), and the key after `g`. A view
 * that is not in the bar belongs to another one, and has a title of its own.
 */
export const VIEWS = {
    runs: { label: "Runs", key: "r" },
    run: { label: null, title: "Run", of: "runs" },
    charts: { label: "Charts", key: "c" },
    compare: { label: "Compare", key: "d" },
    explore: { label: "Explore", key: "e" },
    sweeps: { label: "Sweeps", key: "s" },
    sweep: { label: null, title: "Sweep", of: "sweeps" },
    media: { label: "Media", key: "m" },
    sql: { label: "SQL", key: "q" },
    file: { label: "File", key: "f" },
};

const href = signal(location.href);
addEventListener("popstate", () => {
    href.value = location.href;
});

/** Builds the text of a URL within the page. Lists in `params` repeat their parameter. */
export function pageUrl(path, params = {}) {
    const query = params instanceof URLSearchParams ? params : new URLSearchParams();
    if (query !== params) {
        for (const [name, value] of Object.entries(params)) append(query, name, value);
    }
    const text = query.toString();
    return text ? `${path}?${text}` : path;
}

function append(query, name, value) {
    for (const one of Array.isArray(value) ? value : [value]) {
        if (one !== null && one !== undefined && one !== "") query.append(name, one);
    }
}

function open(url, push) {
    if (url === here()) return;
    history[push ? "pushState" : "replaceState"](null, "", url);
    href.value = location.href;
}

/** Opens another place of the page, as a new entry of the history. */
export const go = (path, params) => open(pageUrl(path, params), true);

/** Replaces the query parameters named; null removes one, a list repeats it. `push` makes a history entry. */
export function set(changes, { push = false } = {}) {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
        query.delete(name);
        append(query, name, value);
    }
    open(pageUrl(location.pathname, query) + location.hash, push);
}

/** What stands behind the # of the address, as it is written there. */
export const fragment = () => location.hash.slice(1);

/** Replaces what stands behind the #, without a history entry. */
export const setFragment = (text) => history.replaceState(history.state, "", `#${text}`);

/** The address of the view as it is shown now, within the page. */
export const here = () => location.pathname + location.search + location.hash;

/** The view to which an address leads, of VIEWS; null if there is none. A browser takes `//host` for a site. */
export function viewAt(path) {
    if (!path.startsWith("/") || !URL.canParse(path, "http://page")) return null;
    const { host, pathname } = new URL(path, "http://page");
    const name = pathname.split("/")[1] || "runs";
    return host === "page" && Object.hasOwn(VIEWS, name) ? VIEWS[name] : null;
}

const decode = (part) => {
    try {
        return decodeURIComponent(part);
    } catch {
        return part; // A lone % in a hand-written URL stands for itself.
    }
};

/** Where the page is: {view, path, params, hash, go, set}. */
export const route = computed(() => {
    const url = new URL(href.value);
    const [first = "", ...path] = url.pathname.split("/").filter(Boolean).map(decode);
    return { view: first || "runs", path, params: url.searchParams, hash: url.hash.slice(1), go, set };
});

/** Lets plain links to places of the page change the view without loading the page anew. */
export function followLinks(event) {
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (!(link.pathname.split("/")[1] in VIEWS) && link.pathname !== "/") return;
    event.preventDefault();
    open(link.pathname + link.search + link.hash, true);
}
