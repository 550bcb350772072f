/** The notes of a run with their times, which the table lacks: each can be changed, and one more added. */
import { html } from "../vendor/ui.js";
import { get } from "../api.js";
import { useLoad } from "../components/load.js";
import { Notes } from "../components/notes.js";
import { visible } from "../format.js";

export function NoteForm({ row, edit }) {
    const run = useLoad(
        (signal) => get(`/api/run/${encodeURIComponent(row.run_id)}`, {}, signal),
        [row.run_id, (row.note ?? []).join("\u0000")],
    );
    const change = (action, text, note) => edit([row], action, text, note);
    const add = async (event) => {
        event.preventDefault();
        const form = event.target;
        const text = new FormData(form).get("note").trim();
        if (text && (await change("add_note", text))) form.reset();
    };
    const found = run.data?.run;
    return html`<div class="stack pad notes">
        ${found && html`<${Notes} notes=${found.notes} total=${found.note_count} edit=${change} />`}
        ${run.error && html`<p class="soft">${visible(run.error.message)}</p>`}
        <form class="stack" onSubmit=${add}>
            <textarea name="note" rows="3" aria-label="New note" placeholder="New note"></textarea>
            <button class="primary">Add the note</button></form></div>`;
}
