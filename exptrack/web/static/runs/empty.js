/** What the runs view says where there are no runs, or none that match. */
import { html, useEffect, useState } from "../vendor/ui.js";
import { get, wasAborted } from "../api.js";
import { Icon } from "../components/icons.js";
import { plural, visible } from "../format.js";
import { toast, toastError } from "../toasts.js";
import { splitConditions } from "./conditions.js";
import { conditionsOf } from "./query.js";

/** Three lines to begin with. */
export function NoRuns({ name }) {
    const code = [
        "import exptrack",
        `with exptrack.Archive(${JSON.stringify(name)}) as archive, archive.start_run({"lr": 0.01}) as run:`,
        '    run.log({"loss": 0.5})',
    ].join("\n");
    const copy = () =>
        navigator.clipboard.writeText(code).then(
            () => toast("Copied."),
            () => toast("The browser refused to copy; mark the lines instead.", { kind: "error" }),
        );
    return html`<div class="empty"><h1>No runs yet</h1>
        <p>These lines record one. It appears here by itself.</p>
        <pre tabindex="0">${code}</pre>
        <p><button onClick=${copy}><${Icon} name="copy" />Copy</button></p></div>`;
}

/** The conditions without the last one: the last facet, or the last part of the filter. */
function withoutLast(query) {
    if (query.facets.size) {
        const last = [...query.facets.keys()].at(-1);
        return conditionsOf(query, last);
    }
    const parts = splitConditions(query.filter);
    return parts.length > 1 ? [parts.slice(0, -1).join(" and ")] : [];
}

/** Says what was asked, and how many runs match without its last condition. */
export function NoMatch({ query, set }) {
    const conditions = conditionsOf(query);
    const [left, setLeft] = useState(null);
    useEffect(() => {
        if (!conditions.length) return undefined;
        const abort = new AbortController();
        get("/api/runs", { where: withoutLast(query), columns: ["run_id"], size: 1 }, abort.signal).then(
            ({ total }) => setLeft(total),
            (error) => wasAborted(error) || toastError(error),
        );
        return () => abort.abort();
    }, [conditions.join("\u0000")]);
    const drop = () => {
        if (query.facets.size) {
            const kept = [...query.facets].slice(0, -1);
            set({ facet: kept.map(([field, chosen]) => JSON.stringify([field, ...chosen])) }, { push: true });
        } else {
            set({ where: withoutLast(query) }, { push: true });
        }
    };
    return html`<div class="empty"><h1>No run matches</h1>
        <pre tabindex="0">${visible(conditions.join("\nand "))}</pre>
        ${
            left !== null &&
            html`<p>Without the last condition, ${plural(left, "run matches", "runs match")}.</p>
        <p class="row"><button onClick=${drop}>Drop the last condition</button>
            <button onClick=${() => set({ where: null, facet: null }, { push: true })}>
                Show all runs</button></p>`
        }
    </div>`;
}
