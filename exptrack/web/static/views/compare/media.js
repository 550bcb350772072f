/**
 * Artifacts of the compared runs at one step: images beside each other, and the difference of texts and tables.
 * @module
 */
import { html, useMemo } from "../../vendor/ui.js";
import { get } from "../../api.js";
import { ArtifactPreview, Download, Picture, sortOf } from "../../components/artifact.js";
import { diffTables } from "../../components/best.js";
import { Swatch, Value } from "../../components/chart.js";
import { Loaded, useLoad } from "../../components/load.js";
import { TextDiff, cellText } from "../../components/text.js";
import { count, numeric, plural, visible } from "../../format.js";
import { conditionOf } from "../charts/state.js";
import { versionAt } from "../media.js";

const MOST_ARTIFACTS = 5000;
const MOST_ROWS = 500;

/** The names of artifacts, images first, then those of most runs. */
function namesOf(artifacts) {
    const names = new Map();
    for (const one of artifacts) {
        const known = names.get(one.name) ?? {
            name: one.name,
            runs: new Set(),
            isImage: sortOf(one) === "image",
        };
        known.runs.add(one.run_id);
        names.set(one.name, known);
    }
    return [...names.values()].sort(
        (one, other) => other.isImage - one.isImage || other.runs.size - one.runs.size,
    );
}

export function Media({ runs, base, state, set, look }) {
    const ids = runs.map((run) => run.run_id);
    const found = useLoad(
        (signal) => get("/api/media", { where: conditionOf(ids), size: MOST_ARTIFACTS }, signal),
        [ids.join(",")],
    );
    return html`<${Loaded} of=${found}>${({ artifacts }) =>
        artifacts.length > 0 &&
        html`
    <${Artifacts} artifacts=${artifacts} runs=${runs} base=${base} state=${state} set=${set}
      look=${look} />`}<//>`;
}

function Artifacts({ artifacts, runs, base, state, set, look }) {
    const names = useMemo(() => namesOf(artifacts), [artifacts]);
    const name = names.some((one) => one.name === state.artifact) ? state.artifact : names[0].name;
    const own = artifacts.filter((one) => one.name === name);
    const steps = [...new Set(own.map((one) => one.step).filter((step) => step !== null))].sort(
        (one, other) => one - other,
    );
    const wanted = state.step === null ? Infinity : Number(state.step);
    const at = Math.max(
        0,
        steps.findLastIndex((step) => step <= wanted),
    );
    const step = steps[at] ?? null;
    const shown = runs.map((run) =>
        versionAt(
            own.filter((one) => one.run_id === run.run_id),
            step,
        ),
    );
    const choose = (event) => set({ artifact: event.target.value, step: null });
    const move = (event) => set({ step: steps[Number(event.target.value)] });
    const option = ({ name: own, runs: those }) =>
        html`<option key=${own} value=${own}>${visible(own)} (${plural(those.size, "run")})</option>`;
    return html`<section class="compare-section compare-wide"><div class="row"><h2>Artifacts</h2>
      <select aria-label="Artifact" value=${name} onChange=${choose}>
        ${names.map(option)}</select>
      ${
          steps.length > 1 &&
          html`<label class="field soft">step <input type="range" min="0" max=${steps.length - 1} value=${at}
        aria-valuetext=${count(step)} onInput=${move} /></label>`
      }
      ${step !== null && html`<span>${steps.length === 1 && "step "}${count(step)}</span>`}</div>
    <div class="compare-media">${runs.map(
        (run, place) => html`<${Shown} key=${run.run_id} run=${run} artifact=${shown[place]}
      look=${look(run)} step=${step} />`,
    )}</div>
    <${Differences} shown=${shown} runs=${runs} base=${base} state=${state} set=${set} /></section>`;
}

function Shown({ run, artifact, look, step }) {
    const note =
        artifact && step !== null && artifact.step !== step ? `step ${count(artifact.step ?? 0)}` : "";
    return html`<figure class="compare-artifact"><figcaption class="row"><${Swatch} ...${look} />
      <a class="clip grow" href=${`/run/${run.run_id}?tab=artifacts`}><bdi>${nameOf(run)}</bdi></a>
      <span class="special">${note}</span></figcaption>
    ${
        artifact === null
            ? html`<p class="faint">none</p>`
            : sortOf(artifact) === "image"
              ? html`<${Download} artifact=${artifact} title="Save the image" kind="">
        <${Picture} artifact=${artifact} /><//>`
              : html`<${ArtifactPreview} artifact=${artifact} compact />`
    }</figure>`;
}

const nameOf = (run) => visible(run.name ?? run.run_id);

/** The difference of a text or table between the baseline and another run. */
function Differences({ shown, runs, base, state, set }) {
    const others = runs.filter((_, place) => place !== base && shown[place] !== null);
    const before = shown[base];
    if (before === null || others.length === 0 || !["text", "table"].includes(sortOf(before))) return null;
    const other = others.find((run) => run.run_id === state.against) ?? others[0];
    const after = shown[runs.indexOf(other)];
    const Body = sortOf(before) === "text" ? TextDifference : TableDifference;
    const choose = (event) => set({ against: event.target.value });
    return html`<div class="compare-difference"><div class="row"><h3>Difference from the baseline to</h3>
      <select aria-label="Compare with" value=${other.run_id} onChange=${choose}>
        ${others.map((run) => html`<option key=${run.run_id} value=${run.run_id}>${nameOf(run)}</option>`)}
      </select></div>
    <${Body} before=${before} after=${after} labels=${[runs[base], other].map(nameOf)} /></div>`;
}

const paramsOf = ({ run_id: run, name, version }) => ({ run, name, version });
const keysOf = (...artifacts) => artifacts.flatMap(({ run_id: run, name, version }) => [run, name, version]);

function TextDifference({ before, after, labels }) {
    const found = useLoad(
        (signal) =>
            Promise.all([before, after].map((one) => get("/api/artifact-text", paramsOf(one), signal))),
        keysOf(before, after),
    );
    return html`<${Loaded} of=${found}>${([
        one,
        other,
    ]) => html`<${TextDiff} a=${one.text} b=${other.text} labelA=${labels[0]}
    labelB=${labels[1]} />`}<//>`;
}

function TableDifference({ before, after }) {
    const found = useLoad(
        (signal) =>
            Promise.all(
                [before, after].map((one) =>
                    get("/api/artifact-table", { ...paramsOf(one), rows: MOST_ROWS }, signal),
                ),
            ),
        keysOf(before, after),
    );
    const show = ([one, other]) => html`<${TableChanges} before=${one} after=${other} />`;
    return html`<${Loaded} of=${found}>${show}<//>`;
}

const rowsOf = (columns) =>
    Array.from({ length: columns[0]?.cells.length ?? 0 }, (_, row) => columns.map(({ cells }) => cells[row]));

function TableChanges({ before, after }) {
    const rows = useMemo(() => diffTables(rowsOf(before.columns), rowsOf(after.columns)), [before, after]);
    const changed = rows.filter((row) => row.kind !== "same").length;
    const names = after.columns.length >= before.columns.length ? after.columns : before.columns;
    if (changed === 0) return html`<p class="soft">The two tables are the same.</p>`;
    const verb = changed === 1 ? "differs" : "differ";
    return html`<p class="soft">${plural(changed, "row")} of ${count(rows.length)} ${verb}.</p>
    <div class="value-table" tabindex="0" role="region" aria-label="Differences of the tables"><table>
    <thead><tr>
      ${names.map(({ name }) => html`<th key=${name} scope="col"><bdi>${visible(name)}</bdi></th>`)}
    </tr></thead>
    <tbody>${rows.map(
        (row, place) => html`<tr key=${place} class=${`table-${row.kind}`}>
      ${row.cells.map(
          (cell, column) => html`<td key=${column} class=${cell.differs ? "differs" : ""}>
        ${cell.differs && html`<del><${Cell} value=${cell.before} /></del> `}
        <${Cell} value=${cell.value} /></td>`,
      )}</tr>`,
    )}</tbody></table></div>`;
}

function Cell({ value }) {
    const known = numeric(value);
    return typeof known === "number"
        ? html`<${Value} value=${known} />`
        : html`<bdi>${visible(cellText(value))}</bdi>`;
}
