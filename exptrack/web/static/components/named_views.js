/**
 * The menu of named views: it gives the address of the page a name; it lists, opens, renames and deletes names.
 * Invariants: a name is text. A link leads to a view of this page, whatever the file says of its path.
 */
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/ui.js";
import { get, post, wasAborted } from "../api.js";
import { canEdit } from "../archive.js";
import { plural, time, visible } from "../format.js";
import { watch } from "../live.js";
import { viewAt } from "../places.js";
import { go, here, route } from "../router.js";
import { toast, toastError } from "../toasts.js";
import { Icon } from "./icons.js";
import { Popup } from "./popup.js";

const MOST_SHOWN = 200;
const SEARCHED_FROM = 12;

/** The named views, as the archive has them while the menu is open; null before it answered. */
function useViews(onFail) {
    const [views, setViews] = useState(null);
    useEffect(() => {
        const abort = new AbortController();
        let seen = null;
        const read = async () => {
            try {
                const found = await get("/api/page-views", {}, abort.signal);
                seen = found.version;
                setViews(found.page_views);
            } catch (error) {
                if (wasAborted(error)) return;
                toastError(error);
                if (seen === null) onFail();
            }
        };
        const stop = watch({}, ({ type, version }) => {
            if (type === "again" || (type === "version" && seen !== null && version !== seen)) read();
        });
        read();
        return () => {
            stop();
            abort.abort();
        };
    }, []);
    return [views, setViews];
}

/** Asks for a change of the named views, and returns them as they are then. */
const change = async (action, name, more = {}) =>
    (await post("/api/page-view", { action, name, ...more })).page_views;

/** Gives the address of now a name. A name that is taken is asked for first. */
function SaveForm({ views, onChanged }) {
    const [name, setName] = useState("");
    const [taken, setTaken] = useState(null);
    const save = async (replace) => {
        const wanted = name.trim();
        if (!wanted) return;
        if (!replace && views.some((view) => view.name === wanted)) {
            setTaken(wanted);
            return;
        }
        try {
            onChanged(await change("save", wanted, { path: here(), replace }));
        } catch (error) {
            // It was saved elsewhere a moment ago.
            if (error.kind === "ConflictError") setTaken(wanted);
            else toastError(error);
            return;
        }
        setName("");
        setTaken(null);
        toast(`Saved this view as “${wanted}”.`);
    };
    const submit = (event) => {
        event.preventDefault();
        if (taken === null) save(false);
    };
    const type = ({ target }) => {
        setName(target.value);
        setTaken(null);
    };
    return html`<form onSubmit=${submit}>
            <input aria-label="Name for this view" placeholder="Name for this view" autocomplete="off"
                maxlength="1000" value=${name} onInput=${type} />
            <button class="primary" disabled=${!name.trim() || taken !== null}>Save</button></form>
        ${
            taken !== null &&
            html`<p class="taken" role="alert">
            <span>There is a view <bdi>${visible(taken)}</bdi> already.</span>
            <button type="button" onClick=${() => save(true)}>Replace it</button></p>`
        }`;
}

/** One named view: a link, and what may be done with it. */
function Named({ view, onClose, onChanged }) {
    const [renaming, setRenaming] = useState(false);
    const row = useRef(null);
    useLayoutEffect(() => {
        // The field is there to be typed into; when it goes, its button has the focus again.
        if (renaming) row.current.querySelector("input").focus();
        return () => renaming && row.current?.querySelector("button")?.focus();
    }, [renaming]);
    const shown = visible(view.name);
    const rename = async (event) => {
        event.preventDefault();
        const name = new FormData(event.target).get("name").trim();
        if (!name) return;
        try {
            onChanged(await change("rename", view.name, { value: name }));
            setRenaming(false);
        } catch (error) {
            toastError(error);
        }
    };
    const remove = async () => {
        try {
            onChanged(await change("delete", view.name));
        } catch (error) {
            toastError(error);
            return;
        }
        const back = () => change("save", view.name, { path: view.path }).then(onChanged, toastError);
        toast(`Deleted the view “${view.name}”.`, { action: { label: "Undo", run: back } });
    };
    const open = (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        onClose();
        go(view.path);
    };
    const cancel = (event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        setRenaming(false);
    };
    if (renaming)
        return html`<li ref=${row}><form onSubmit=${rename} onKeyDown=${cancel}>
            <input name="name" aria-label="New name" defaultValue=${view.name} maxlength="1000"
                autocomplete="off" />
            <button class="primary">Rename</button>
            <button type="button" onClick=${() => setRenaming(false)}>Cancel</button></form></li>`;
    const title = `${visible(view.path)}\nsaved ${time(view.changed_at)}`;
    const name = html`<bdi class="clip">${shown}</bdi>`;
    const place = viewAt(view.path);
    return html`<li ref=${row}>
        ${
            place
                ? html`<a href=${view.path} title=${title} onClick=${open}
            aria-current=${view.path === here() ? "page" : null}>${name}
            <small>${place.label ?? place.title}</small></a>`
                : html`<span title=${title}>${name}<small>leads nowhere in this page</small></span>`
        }
        ${
            canEdit() &&
            html`<button type="button" class="icon" title="Rename" aria-label=${`Rename ${shown}`}
                onClick=${() => setRenaming(true)}><${Icon} name="pencil" /></button>
            <button type="button" class="icon" title="Delete" aria-label=${`Delete ${shown}`}
                onClick=${remove}><${Icon} name="trash" /></button>`
        }</li>`;
}

/** The list, with a search if it is long. */
function List({ views, onClose, onChanged }) {
    const [search, setSearch] = useState("");
    const wanted = search.trim().toLowerCase();
    const found = views.filter(({ name }) => name.toLowerCase().includes(wanted));
    const rest = found.length - MOST_SHOWN;
    return html`${
        views.length >= SEARCHED_FROM &&
        html`<input type="search" aria-label="Search the named views" placeholder="Search" value=${search}
            onInput=${({ target }) => setSearch(target.value)} />`
    }
        <ul>${found
            .slice(0, MOST_SHOWN)
            .map(
                (view) => html`<${Named} key=${view.name} ...${{ view, onClose, onChanged }} />`,
            )}</ul>
        ${found.length === 0 && html`<p>No name contains this.</p>`}
        ${rest > 0 && html`<p>${plural(rest, "more view")}: search for them.</p>`}`;
}

export function NamedViews({ anchor, onClose }) {
    const [views, setViews] = useViews(onClose);
    const box = useRef(null);
    route.value; // The link of the view that is shown is marked.
    useEffect(() => {
        // What had the focus may be gone, such as the button that deleted its view.
        const own = box.current;
        if (own && document.activeElement === document.body) own.querySelector("input, a, button")?.focus();
    });
    if (views === null) return null;
    return html`<${Popup} anchor=${anchor} label="Named views" onClose=${onClose}>
        <div class="named" ref=${box}>
            <h2>Named views</h2>
            ${canEdit() && html`<${SaveForm} views=${views} onChanged=${setViews} />`}
            ${
                views.length > 0
                    ? html`<${List} views=${views} onClose=${onClose} onChanged=${setViews} />`
                    : html`<p tabindex="-1">${
                          canEdit()
                              ? "No view has a name yet. A name keeps the filter, and all else in the address."
                              : "No view has a name, and this file cannot be changed here."
                      }</p>`
            }
        </div></${Popup}>`;
}
