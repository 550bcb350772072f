/**
 * Cells of the runs table that are edited in place: the name, tags and notes.
 * Invariant: a cell shows what the archive says; a change is shown when the archive has taken it.
 */
import { html, signal, useRef, useState } from "../vendor/ui.js";
import { get, post } from "../api.js";
import { canEdit } from "../archive.js";
import { Icon } from "../components/icons.js";
import { Popup } from "../components/popup.js";
import { visible } from "../format.js";
import { toastError } from "../toasts.js";

/** Called with row ids whose runs were changed here. The view sets it. */
export const onEdited = signal(() => {});

/** Changes runs; `rows` are those of the table. Returns whether the archive took it. */
export async function edit(rows, action, value, key = null) {
    try {
        await post("/api/edit", { runs: rows.map((row) => row.run_id), action, value, key });
    } catch (error) {
        toastError(error);
        return false;
    }
    onEdited.value(rows.map((row) => row.id));
    return true;
}

const stop = (event) => event.stopPropagation();

/** A button that appears when the mouse is over its row, or the focus on it. */
function Pencil({ label, sign = "✎", onClick }) {
    if (!canEdit()) return null;
    const act = (event) => {
        event.stopPropagation();
        onClick(event.currentTarget);
    };
    return html`<button class="icon small onhover" tabindex="-1" title=${label} aria-label=${label}
        onClick=${act} onDblClick=${stop}>${sign}</button>`;
}

/** The name of a run, or its id if it has none. It leads to the run's page. */
export function Name({ row }) {
    const [anchor, setAnchor] = useState(null);
    const rename = async (event) => {
        event.preventDefault();
        const name = new FormData(event.target).get("name").trim();
        if (name === (row.name ?? "") || (await edit([row], "rename", name || null))) setAnchor(null);
    };
    const shown = row.name
        ? html`<bdi>${visible(row.name)}</bdi>`
        : html`<code class="soft">${row.run_id}</code>`;
    return html`<a class="clip" href=${`/run/${row.run_id}`} title=${row.run_id} tabindex="-1">${shown}</a>
        <${Pencil} label="Rename" onClick=${setAnchor} />
        ${
            anchor &&
            html`<${Popup} anchor=${anchor} label="Rename the run" onClose=${() => setAnchor(null)}>
            <form class="row pad" onSubmit=${rename}>
                <input name="name" aria-label="Name" value=${row.name ?? ""} placeholder=${row.run_id} />
                <button class="primary">Rename</button></form></${Popup}>`
        }`;
}

/** The tags of a run: each can be taken away, others added. */
export function Tags({ row }) {
    const [anchor, setAnchor] = useState(null);
    return html`<span class="chips">${(row.tag ?? []).map(
        (tag) => html`<bdi key=${tag} class="chip clip">${visible(tag)}</bdi>`,
    )}</span>
        <${Pencil} label="Change tags" sign="+" onClick=${setAnchor} />
        ${
            anchor &&
            html`<${Popup} anchor=${anchor} label="Tags of the run" onClose=${() => setAnchor(null)}>
            <${TagForm} rows=${[row]} /></${Popup}>`
        }`;
}

/** Adds tags to some runs, and takes those away that any of them has. */
export function TagForm({ rows }) {
    const known = useKnownTags();
    const present = [...new Set(rows.flatMap((row) => row.tag ?? []))].sort();
    const add = async (event) => {
        event.preventDefault();
        const form = event.target;
        const tag = new FormData(form).get("tag").trim();
        if (tag && (await edit(rows, "add_tag", tag))) form.reset();
    };
    return html`<div class="stack pad">
        <form class="row" onSubmit=${add}>
            <input name="tag" aria-label="New tag" placeholder="New tag" list="known-tags" autocomplete="off" />
            <button class="primary">Add</button>
        </form>
        <datalist id="known-tags">${known.map((tag) => html`<option key=${tag} value=${tag} />`)}</datalist>
        ${
            present.length > 0 &&
            html`<div class="chips wrap">${present.map(
                (tag) => html`<span key=${tag} class="chip">
            <bdi class="clip">${visible(tag)}</bdi>
            <button class="icon tiny" aria-label=${`Remove ${visible(tag)}`}
                onClick=${() =>
                    edit(
                        rows.filter((row) => row.tag?.includes(tag)),
                        "remove_tag",
                        tag,
                    )}>
                <${Icon} name="x" size=${12} /></button></span>`,
            )}</div>`
        }
    </div>`;
}

function useKnownTags() {
    const [known, setKnown] = useState([]);
    const asked = useRef(false);
    if (!asked.current) {
        asked.current = true;
        get("/api/summary", { field: "tag", top: 50 }).then(
            ({ summary }) => setKnown(summary.top.map(([tag]) => tag)),
            toastError,
        );
    }
    return known;
}

/** The notes of a run in one line; the popup shows them in full, to be edited, removed or added. */
export function NotesCell({ row }) {
    const [anchor, setAnchor] = useState(null);
    const [Form, setForm] = useState(null); // Read when it is wanted: the first view is shown without it.
    const notes = row.note ?? [];
    const open = (button) => {
        setAnchor(button);
        import("./note_form.js").then((module) => setForm(() => module.NoteForm), toastError);
    };
    const text = visible(notes.join(" · "));
    const label = notes.length > 0 ? "Change notes" : "Add a note";
    return html`<bdi class="clip" title=${text}>${text.replace(/\s+/g, " ")}</bdi>
        <${Pencil} label=${label} sign=${notes.length > 0 ? "✎" : "+"} onClick=${open} />
        ${
            anchor &&
            Form &&
            html`<${Popup} anchor=${anchor} label="Notes of the run" onClose=${() => setAnchor(null)}>
            <${Form} row=${row} edit=${edit} /></${Popup}>`
        }`;
}
