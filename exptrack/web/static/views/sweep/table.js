/** The trials of a study as a table: sorted by a click on a head, with a link to the run of each. */
import { html, useState } from "../../vendor/ui.js";
import { Icon } from "../../components/icons.js";
import { Pages } from "../../components/text.js";
import { duration, exact, isSpecial, number, plural, value, visible } from "../../format.js";
import { State } from "./states.js";

const MOST_ROWS = 50;

const seconds = ({ started_at: from, ended_at: to }) =>
    from === null || to === null ? null : (Date.parse(to) - Date.parse(from)) / 1000;

/** The columns: {id, label, isNumber, of(trial), draw(trial)}. */
function columnsOf(study, params) {
    const cell = (one) =>
        isSpecial(one)
            ? html`<span class="special">${number(one)}</span>`
            : html`<span title=${typeof one === "number" ? exact(one) : null}><bdi>${value(one)}</bdi></span>`;
    const plain = (id, label, isNumber, of) => ({
        id,
        label,
        isNumber,
        of,
        draw: (trial) => cell(of(trial)),
    });
    const link = (trial) =>
        trial.run_id &&
        html`<a href=${`/run/${encodeURIComponent(trial.run_id)}`}><code>${visible(trial.run_id)}</code></a>`;
    return [
        {
            ...plain("trial", "Trial", true, (trial) => trial.number),
            draw: (trial) =>
                html`${
                    trial.isBest &&
                    html`<span class="best-mark" title="The best">
            <${Icon} name="star" size=${12} /></span>`
                }${trial.number}`,
        },
        {
            ...plain("state", "State", false, (trial) => trial.state),
            draw: (trial) =>
                html`<${State} state=${trial.state} />${
                    !trial.isFeasible && html`<span class="soft"> constraints broken</span>`
                }`,
        },
        ...study.metrics.map((name, place) =>
            plain(`value:${name}`, name, true, (trial) => trial.values[place] ?? null),
        ),
        ...params.map(({ id, kind }) =>
            plain(id, id, kind === "number", (trial) => trial.params[id] ?? null),
        ),
        { ...plain("took", "Took", true, seconds), draw: (trial) => duration(seconds(trial)) },
        { ...plain("run", "Run", false, (trial) => trial.run_id), draw: link },
        plain("reason", "Reason", false, (trial) => trial.reason),
    ];
}

const rank = (one) => (typeof one === "number" ? [0, one] : one === null ? [2, 0] : [1, String(one)]);

function sortTrials(trials, column, isDown) {
    const sign = isDown ? -1 : 1;
    return trials.toSorted((one, other) => {
        const [a, x] = rank(column.of(one));
        const [b, y] = rank(column.of(other));
        if (a !== b) return a - b; // What is missing comes last in both orders.
        return x === y ? 0 : sign * (x < y ? -1 : 1);
    });
}

export function TrialTable({ study, trials, params, route }) {
    const [page, setPage] = useState(0);
    const columns = columnsOf(study, params);
    const asked = route.params.get("sort") ?? "trial";
    const isDown = asked.startsWith("-");
    const column = columns.find(({ id }) => id === asked.replace(/^-/, "")) ?? columns[0];
    const sorted = sortTrials(trials, column, isDown);
    const pages = Math.max(1, Math.ceil(sorted.length / MOST_ROWS));
    const at = Math.min(page, pages - 1);
    const sort = (id) => {
        setPage(0);
        route.set({ sort: column.id === id && !isDown ? `-${id}` : id });
    };
    const order = (id) => (column.id !== id ? null : isDown ? "descending" : "ascending");
    return html`<section class="figure wide"><div class="figure-head"><h2>Trials</h2></div>
        <div class="trial-table" tabindex="0" role="region" aria-label="Trials">
        <table class="listing"><thead><tr>${columns.map(
            ({ id, label, isNumber }) => html`<th key=${id} scope="col" aria-sort=${order(id)}
            class=${isNumber ? "number" : null}><button class="sort" onClick=${() => sort(id)}>
            <bdi>${visible(label)}</bdi>${
                column.id === id && html`<${Icon} name=${isDown ? "arrow-down" : "arrow-up"} size=${12} />`
            }</button></th>`,
        )}</tr></thead>
        <tbody>${sorted
            .slice(at * MOST_ROWS, (at + 1) * MOST_ROWS)
            .map(
                (trial) =>
                    html`<tr key=${trial.number} class=${trial.isBest ? "best-trial" : null}>${columns.map(
                        ({ id, isNumber, draw }) =>
                            html`<td key=${id} class=${isNumber ? "number" : null}>${draw(trial)}</td>`,
                    )}</tr>`,
            )}</tbody></table></div>
        <${Pages} at=${at} pages=${pages} go=${setPage}>${plural(trials.length, "trial")}<//></section>`;
}
