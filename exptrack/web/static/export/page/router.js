/**
 * In an exported page, takes the place of ../../router.js: the address of a view stands behind the #.
 * Invariant: the URL is the whole state; a reload, the back button and a copied link restore the view.
 */
import { computed, options, signal } from "../../vendor/ui.js";
import { change, decode, pageUrl, placeAt } from "../../places.js";
import { toastError } from "../../toasts.js";
import { readBlob } from "./address.js";

const FIRST = "/runs";
const BASE = "http://page";

/** The address behind the #; that of the runs if it is none. */
function read() {
    const text = location.hash.slice(1);
    return new URL(text && URL.canParse(text, BASE) ? text : FIRST, BASE);
}

const href = signal(read().href);
const update = () => {
    href.value = read().href;
};
addEventListener("hashchange", update);
addEventListener("popstate", update);

function open(url, push) {
    if (`#${url}` === location.hash) return;
    history[push ? "pushState" : "replaceState"](null, "", `#${url}`);
    update();
}

export const go = (path, params) => open(pageUrl(path, params), true);

export function set(changes, { push = false } = {}) {
    const url = read();
    change(url.searchParams, changes);
    open(pageUrl(url.pathname, url.searchParams) + url.hash, push);
}

export const here = () => location.hash.slice(1);

export const fragment = () => read().hash.slice(1);

export function setFragment(text) {
    const { pathname, search } = read();
    history.replaceState(history.state, "", `#${pathname}${search}#${text}`);
}

export const route = computed(() => ({ ...placeAt(href.value), go, set }));

/** Lets links to views lead behind the #, as they are made. */
const before = options.vnode;
options.vnode = (vnode) => {
    const { type, props } = vnode;
    if (type === "a" && typeof props.href === "string" && /^\/(?!artifact\/)/.test(props.href)) {
        props.href = `#${props.href}`;
    }
    before?.(vnode);
};

/** Saves an artifact whose link was clicked, and keeps the place when the link to the content is used. */
export async function followLinks(event) {
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    const target = link?.getAttribute("href") ?? "";
    if (target === "#main") {
        event.preventDefault();
        document.getElementById("main").focus();
    }
    if (!target.startsWith("/artifact/") || event.defaultPrevented) return;
    event.preventDefault();
    try {
        save(await readBlob(target), link.download || nameOf(target));
    } catch (error) {
        toastError(error);
    }
}

function nameOf(target) {
    const url = new URL(target, "http://page");
    const path = url.searchParams.get("file") ?? decode(url.pathname);
    return path.split("/").at(-1);
}

function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
