/** What the addresses of the page mean: which view, and with which parameters. The two routers share it. */

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

/** Builds the text of a URL within the page. Lists in `params` repeat their parameter. */
export function pageUrl(path, params = {}) {
    const query = params instanceof URLSearchParams ? params : change(new URLSearchParams(), params);
    const text = query.toString();
    return text ? `${path}?${text}` : path;
}

/** Replaces the parameters named in a query, and returns it; null removes one, a list repeats it. */
export function change(query, changes) {
    for (const [name, value] of Object.entries(changes)) {
        query.delete(name);
        for (const one of Array.isArray(value) ? value : [value]) {
            if (one !== null && one !== undefined && one !== "") query.append(name, one);
        }
    }
    return query;
}

/** The view to which an address leads, of VIEWS; null if there is none. A browser takes `//host` for a site. */
export function viewAt(path) {
    if (!path.startsWith("/") || !URL.canParse(path, "http://page")) return null;
    const { host, pathname } = new URL(path, "http://page");
    const name = pathname.split("/")[1] || "runs";
    return host === "page" && Object.hasOwn(VIEWS, name) ? VIEWS[name] : null;
}

/** A part of an address as it was before it was encoded. */
export function decode(part) {
    try {
        return decodeURIComponent(part);
    } catch {
        return part; // A lone % in a hand-written URL stands for itself.
    }
}

/** The place of the page that a URL means: {view, path, params, hash}. */
export function placeAt(href) {
    const url = new URL(href);
    const [first = "", ...path] = url.pathname.split("/").filter(Boolean).map(decode);
    return { view: first || "runs", path, params: url.searchParams, hash: url.hash.slice(1) };
}
