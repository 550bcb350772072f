/**
 * Keeps the URL and the view the same.
 * Invariant: the URL is the whole state; a reload, the back button and a copied link restore the view.
 */
import { computed, signal } from "./vendor/ui.js";
import { VIEWS, change, pageUrl, placeAt } from "./places.js";

const href = signal(location.href);
addEventListener("popstate", () => {
    href.value = location.href;
});

function open(url, push) {
    if (url === here()) return;
    history[push ? "pushState" : "replaceState"](null, "", url);
    href.value = location.href;
}

/** Opens another place of the page, as a new entry of the history. */
export const go = (path, params) => open(pageUrl(path, params), true);

/** Replaces the query parameters named; null removes one, a list repeats it. `push` makes a history entry. */
export function set(changes, { push = false } = {}) {
    const query = change(new URLSearchParams(location.search), changes);
    open(pageUrl(location.pathname, query) + location.hash, push);
}

/** What stands behind the # of the address, as it is written there. */
export const fragment = () => location.hash.slice(1);

/** Replaces what stands behind the #, without a history entry. */
export const setFragment = (text) => history.replaceState(history.state, "", `#${text}`);

/** The address of the view as it is shown now, within the page. */
export const here = () => location.pathname + location.search + location.hash;

/** Where the page is: {view, path, params, hash, go, set}. */
export const route = computed(() => ({ ...placeAt(href.value), go, set }));

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
