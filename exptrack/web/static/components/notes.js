/** The notes of a run: each can be edited or removed where it stands. */
import { html, useLayoutEffect, useRef, useState } from "../vendor/ui.js";
import { plural, visible } from "../format.js";
import { Icon } from "./icons.js";
import { Moment } from "./moment.js";

/**
 * The notes, the newest first. The server sends a hundred of them.
 * `edit(action, text, note)` changes one, and returns whether the archive took it; without it nothing can be.
 */
export function Notes({ notes, total, edit }) {
    if (notes.length === 0) return null;
    const more = total - notes.length;
    return html`<div class="run-notes" role="group" aria-label="Notes">
        ${notes.map((note) => html`<${NoteText} key=${note.written_at + note.text}
            note=${note} edit=${edit} />`)}
        ${more > 0 && html`<p class="soft">and ${plural(more, "older note")}</p>`}</div>`;
}

function NoteText({ note, edit }) {
    const [draft, setDraft] = useState(null);
    const field = useRef(null);
    useLayoutEffect(() => {
        if (draft !== null) field.current?.focus();
    }, [draft !== null]);
    const close = () => setDraft(null);
    const save = async (event) => {
        event.preventDefault();
        if (draft === note.text || (await edit("edit_note", draft, note))) close();
    };
    const onKeyDown = (event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation(); // A popup around the note stays open.
        close();
    };
    if (draft !== null) {
        return html`<form class="note-form" onSubmit=${save}>
            <textarea ref=${field} aria-label="Text of the note"
                rows=${Math.min(12, draft.split("\n").length + 1)}
                onInput=${(event) => setDraft(event.target.value)}
                onKeyDown=${onKeyDown} value=${draft} />
            <button type="submit" class="primary" disabled=${draft.trim() === ""}>Save</button>
            <button type="button" onClick=${close}>Cancel</button></form>`;
    }
    return html`<p class="note"><bdi>${visible(note.text)}</bdi>
        <span class="soft"><${Moment} at=${note.written_at} /></span>
        ${
            edit &&
            html`<button type="button" class="icon" title="Edit this note" aria-label="Edit this note"
                onClick=${() => setDraft(note.text)}><${Icon} name="pencil" size=${12} /></button>
            <button type="button" class="icon" title="Remove this note" aria-label="Remove this note"
                onClick=${() => edit("remove_note", null, note)}><${Icon} name="x" size=${12} /></button>`
        }</p>`;
}
