/** The runs of the archive as a table. */
import { html, useEffect, useState } from "../vendor/ui.js";
import { get } from "../api.js";
import { count, duration, time, value } from "../format.js";
import { toastError } from "../toasts.js";

const COLUMNS = ["run_id", "name", "status", "started", "duration"];

export default function Runs({ route }) {
    const [found, setFound] = useState(null);
    const where = route.params.get("where") ?? "";
    useEffect(() => {
        const abort = new AbortController();
        get("/api/runs", { where, columns: COLUMNS, size: 100 }, abort.signal).then(setFound, toastError);
        return () => abort.abort();
    }, [where]);
    if (!found) return html`<div class="runs"></div>`;
    return html`<div class="runs"><h1>${count(found.total)} runs</h1><table>
        <thead><tr>${COLUMNS.map((name) => html`<th key=${name} scope="col">${name}</th>`)}</tr></thead>
        <tbody>${found.rows.map(
            (row) => html`<tr key=${row.run_id}>
            <td><a href=${`/run/${row.run_id}`} class="mono">${row.run_id}</a></td><td>${value(row.name)}</td>
            <td>${row.status}</td><td>${time(row.started)}</td><td class="number">${duration(row.duration)}</td>
        </tr>`,
        )}</tbody></table></div>`;
}
