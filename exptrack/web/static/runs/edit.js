/**
 * Cells of the runs table that are edited in place: the name, tags and notes.
 * Invariants: a cell shows what the archive says; a change is shown when the archive has taken it. One cell is
 * edited at a time.
 */
import { h, html, signal, useEffect, useRef, useState } from "../vendor/ui.js";
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

/** The cell whose editor is open: {Editor, label, anchor, row}; null if none is. */
const editing = signal(null);

const stop = (event) => event.stopPropagation();

/** A button that opens an editor of the run. Only the row under the pointer and the current one have it. */
function drawPencil(row, isActive, Editor, { button, title, sign = "✎" }) {
    if (!isActive || !canEdit()) return null;
    const act = (event) => {
        event.stopPropagation();
        const grid = event.currentTarget.closest("[role=grid]");
        const box = event.currentTarget.getBoundingClientRect();
        // The button may be gone when the editor is closed, or be that of another row.
        const anchor = { getBoundingClientRect: () => box, focus: () => grid.focus({ preventScroll: true }) };
        editing.value = { Editor, label: title, anchor, row };
    };
    const props = { key: "edit", class: "icon small onhover", tabindex: "-1", title: button };
    return h("button", { ...props, "aria-label": button, onClick: act, onDblClick: stop }, sign);
}

/** The class of what stands beside such a button. */
const editedClass = (name) => (canEdit() ? `${name} edited` : name);

const RENAME = { button: "Rename", title: "Rename the run" };
const TAG = { button: "Change tags", title: "Tags of the run", sign: "+" };
const NOTE = { button: "Change notes", title: "Notes of the run" };
const FIRST_NOTE = { button: "Add a note", title: "Notes of the run", sign: "+" };

// These draw the elements of a cell without a component, as a table draws hundreds in a frame while it scrolls.

/** Draws the name of a run, or its id if it has none. It leads to the run's page. */
export function drawName(row, isActive) {
    const { run_id: run, name } = row;
    const shown = name ? h("bdi", null, visible(name)) : h("code", { class: "soft" }, run);
    const link = { key: "name", class: editedClass("clip"), href: `/run/${run}`, tabindex: "-1" };
    return [h("a", link, shown), drawPencil(row, isActive, NameForm, RENAME)];
}

/** Draws the tags of a run: each can be taken away, others added. */
export function drawTags(row, isActive) {
    const tags = (row.tag ?? []).map((tag) => h("bdi", { class: "chip clip" }, visible(tag)));
    const chips = h("span", { key: "tags", class: editedClass("chips") }, tags);
    return [chips, drawPencil(row, isActive, RunTags, TAG)];
}

/** Draws the notes of a run in one line; the editor shows them in full, to be changed, removed or added. */
export function drawNotes(row, isActive) {
    const text = textOfNotes(row).replace(/\s+/g, " ");
    const line = h("bdi", { key: "notes", class: editedClass("clip") }, text);
    return [line, drawPencil(row, isActive, RunNotes, row.note?.length ? NOTE : FIRST_NOTE)];
}

/** The notes of a run as one text. */
export const textOfNotes = (row) => visible((row.note ?? []).join(" · "));

/**
 * The popup of the cell that is being edited. `rows` are those of the table: the popup shows what the run has
 * now, and stays when its row scrolls out of sight.
 */
export function CellEditor({ rows }) {
    const found = editing.value;
    useEffect(() => () => finish(editing.peek()), []);
    if (!found) return null;
    const { Editor, label, anchor } = found;
    // `stamp` draws the editor anew when rows came.
    const row = (rows && rows.stamp.value >= 0 && rows.rowOf(found.row.id)) || found.row;
    const close = () => finish(found);
    return html`<${Popup} key=${`${label} ${row.id}`} anchor=${anchor} label=${label} onClose=${close}>
        <${Editor} row=${row} onDone=${close} /></${Popup}>`;
}

/** Closes an editor, unless another one was opened in its place. */
function finish(found) {
    if (editing.peek() === found) editing.value = null;
}

function NameForm({ row, onDone }) {
    const rename = async (event) => {
        event.preventDefault();
        const name = new FormData(event.target).get("name").trim();
        if (name === (row.name ?? "") || (await edit([row], "rename", name || null))) onDone();
    };
    return html`<form class="row pad" onSubmit=${rename}>
        <input name="name" aria-label="Name" value=${row.name ?? ""} placeholder=${row.run_id} />
        <button class="primary">Rename</button></form>`;
}

const RunTags = ({ row }) => html`<${TagForm} rows=${[row]} />`;

/** The form for notes is read when it is wanted: the first view is shown without it. */
function RunNotes({ row }) {
    const [Form, setForm] = useState(null);
    useEffect(() => {
        import("./note_form.js").then((module) => setForm(() => module.NoteForm), toastError);
    }, []);
    return Form && html`<${Form} row=${row} edit=${edit} />`;
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
