/** What can be done with the runs that are selected: compare, draw, tag, delete, export. */
import { html, useState } from "../vendor/ui.js";
import { get, getBinary, post } from "../api.js";
import { canEdit } from "../archive.js";
import { Dialog } from "../components/dialog.js";
import { Icon } from "../components/icons.js";
import { Popup } from "../components/popup.js";
import { bytes, count, csv, plural } from "../format.js";
import { toast, toastError } from "../toasts.js";
import { plain } from "./columns.js";
import { TagForm } from "./edit.js";

const MOST_COMPARED = 50;
const MOST_IN_URL = 200;
const BLOCK = 500;

/** Reads the row ids of a selection. `query` is {where, order}. */
async function rowIdsOf(selection, query) {
    if (!selection.all) return [...selection.ids];
    const { buffer } = await getBinary("/api/runs/index", query);
    return [...new Uint32Array(buffer)].filter((id) => !selection.ids.has(id));
}

/** Reads columns of runs, block by block; runs that are gone are left out. */
async function readAll(ids, columns) {
    const rows = [];
    for (let from = 0; from < ids.length; from += BLOCK) {
        const some = ids.slice(from, from + BLOCK);
        const found = await get("/api/runs/rows", { ids: some.join(","), columns });
        found.rows.forEach((row, place) => row && rows.push({ ...row, id: some[place] }));
    }
    return rows;
}

/** Offers a text as a file to save. */
export function save(name, text, type) {
    const url = URL.createObjectURL(new Blob([text], { type }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** Exports the runs of a selection, or all that match, with the columns that are shown. */
export async function exportCsv(selection, query, columns) {
    try {
        const ids = await rowIdsOf(selection ?? { all: true, ids: new Set() }, query);
        const rows = await readAll(ids, [...new Set(["run_id", ...columns])]);
        const names = ["run_id", ...columns.filter((name) => name !== "run_id")];
        save(
            "runs.csv",
            csv([names, ...rows.map((row) => names.map((name) => plain(row[name])))]),
            "text/csv",
        );
        toast(`Exported ${plural(rows.length, "run")} with ${plural(names.length, "column")}.`);
    } catch (error) {
        toastError(error);
    }
}

/** The bar of a selection of `size` runs. */
export function SelectionBar({ selection, size, total, query, columns, onClear, onAll, onDeleted, go }) {
    const [tagging, setTagging] = useState(null);
    const [deleting, setDeleting] = useState(null);
    const [isBusy, setBusy] = useState(false);
    const withRows = async (act, names = ["run_id"]) => {
        setBusy(true);
        try {
            await act(await readAll(await rowIdsOf(selection, query), names));
        } catch (error) {
            toastError(error);
        } finally {
            setBusy(false);
        }
    };
    const idsOf = (rows) => rows.map((row) => row.run_id);
    const compare = () => withRows((rows) => go("/compare", { runs: idsOf(rows) }));
    const chart = () => {
        if (selection.all && selection.ids.size === 0) go("/charts", { where: query.where });
        else withRows((rows) => go("/charts", { runs: idsOf(rows).slice(0, MOST_IN_URL) }));
    };
    const tag = ({ currentTarget }) =>
        withRows((rows) => setTagging({ anchor: currentTarget, rows }), ["run_id", "tag"]);
    const remove = () => withRows((rows) => setDeleting(rows), ["run_id", "name"]);
    return html`<div class="selection" role="toolbar" aria-label="Selected runs">
        <b>${count(size)} selected</b>
        ${size < total && html`<button class="link" onClick=${onAll}>Select all ${count(total)}</button>`}
        <button class="link" onClick=${onClear}>Clear</button>
        <span class="line-between"></span>
        <button disabled=${isBusy || size < 2 || size > MOST_COMPARED} onClick=${compare}
            title=${size > MOST_COMPARED ? `Compare takes at most ${MOST_COMPARED} runs` : "Compare (c)"}>
            <${Icon} name="git-compare" />Compare</button>
        <button disabled=${isBusy} onClick=${chart}><${Icon} name="chart-line" />Charts</button>
        ${canEdit() && html`<button disabled=${isBusy} onClick=${tag}><${Icon} name="tag" />Tag</button>`}
        <button disabled=${isBusy} onClick=${() => exportCsv(selection, query, columns)}>
            <${Icon} name="download" />CSV</button>
        ${
            canEdit() &&
            html`<button class="danger" disabled=${isBusy} onClick=${remove}>
            <${Icon} name="trash" />Delete</button>`
        }
        ${
            tagging &&
            html`<${Popup} anchor=${tagging.anchor} label="Tags of the selected runs"
            onClose=${() => setTagging(null)}><${TagForm} rows=${tagging.rows} /></${Popup}>`
        }
        ${
            deleting &&
            html`<${DeleteDialog} rows=${deleting} onClose=${() => setDeleting(null)}
            onDone=${onDeleted} />`
        }
    </div>`;
}

/** Asks before runs are deleted, and says what deleting returned. */
function DeleteDialog({ rows, onClose, onDone }) {
    const [forever, setForever] = useState(false);
    const [isBusy, setBusy] = useState(false);
    const runs = rows.map((row) => row.run_id);
    const restore = async () => {
        try {
            await post("/api/restore", { runs });
            onDone();
        } catch (error) {
            toastError(error);
        }
    };
    const remove = async () => {
        setBusy(true);
        try {
            const { report } = await post("/api/delete", { runs, forever });
            onClose();
            onDone();
            if (forever) {
                const freed = `${plural(report.blobs, "file content")} of ${bytes(report.stored_bytes)}`;
                const shrank = `the archive shrank by ${bytes(report.file_bytes)}`;
                toast(`Deleted ${plural(report.runs.length, "run")} and ${freed}; ${shrank}.`);
            } else {
                const action = { label: "Undo", run: restore };
                toast(`Moved ${plural(report.runs.length, "run")} to the trash.`, { action });
            }
        } catch (error) {
            toastError(error);
            setBusy(false);
        }
    };
    const what = plural(runs.length, "run");
    return html`<${Dialog} title=${`Delete ${what}?`} onClose=${onClose}>
        <div class="stack">
            <label class="row"><input type="radio" name="forever" checked=${!forever}
                onChange=${() => setForever(false)} /> Move to the trash; they can be restored</label>
            <label class="row"><input type="radio" name="forever" checked=${forever}
                onChange=${() => setForever(true)} />
                Delete for good, with the file contents that only they use</label>
        </div>
        <div class="dialog-foot"><button onClick=${onClose}>Cancel</button>
            <button class="primary dangerous" disabled=${isBusy} onClick=${remove}>
                ${forever ? `Delete ${what} for good` : `Move ${what} to the trash`}</button></div>
    </${Dialog}>`;
}
