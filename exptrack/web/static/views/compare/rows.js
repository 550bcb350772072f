/**
 * The rows of the comparison: facts, config keys with their sources, and metrics with the best marked.
 * @module
 */
import { html, useState } from "../../vendor/ui.js";
import { bestPlaces, directionOf } from "../../components/best.js";
import { Value } from "../../components/chart.js";
import { Icon } from "../../components/icons.js";
import { Moment } from "../../components/moment.js";
import { Source, sourceText, valueText } from "../../components/tree.js";
import { count, duration, exact, number, numeric, visible } from "../../format.js";

const MOST_ROWS = 200;
const MOST_SIGNS = 200;
const STATISTICS = [
    ["last", "last"],
    ["min", "least"],
    ["max", "greatest"],
    ["mean", "mean"],
    ["first", "first"],
];

const text = (value) => html`<bdi>${visible(value)}</bdi>`;
const FACTS = [
    ["run", (run) => html`<code>${run.run_id}</code>`, (run) => run.run_id],
    ["started", (run) => html`<${Moment} at=${run.started_at} />`, (run) => run.started_at],
    [
        "duration",
        (run) => html`<span title=${`${run.duration_s} s`}>${duration(run.duration_s)}</span>`,
        (run) => run.duration_s,
    ],
    ["reason", (run) => text(run.reason), (run) => run.reason],
    [
        "tags",
        (run) =>
            run.tags.map(
                (tag) => html`<span key=${tag} class="chip"><bdi class="clip">${visible(tag)}</bdi></span> `,
            ),
        (run) => run.tags.join("\n"),
    ],
    ["group", (run) => text(run.group), (run) => run.group],
    ["study", (run) => text(`${run.study}, trial ${run.trial_number}`), (run) => run.study],
    ["host", (run) => text(run.host), (run) => run.host],
    [
        "commit",
        (run) => html`<code>${run.vcs_commit.slice(0, 10)}</code>${run.vcs_dirty ? " changed" : ""}`,
        (run) => run.vcs_commit,
    ],
    [
        "parent",
        (run) => html`<a href=${`/run/${run.parent}`}><code>${run.parent}</code></a>`,
        (run) => run.parent,
    ],
];

/** A heading across the table, with a word or a control beside it. */
function GroupHead({ title, size, columns, children }) {
    return html`<tr class="compare-group"><th scope="rowgroup" colspan=${columns + 1}>
    <div class="row compare-group-line"><h2>${title}</h2>
      <span class="faint">${count(size)}</span>${children}</div>
    </th></tr>`;
}

export function FactRows({ runs, base, state, matches }) {
    const rows = FACTS.filter(([name, , keyOf]) => {
        const keys = runs.map(keyOf);
        const isEmpty = keys.every((key) => key === null || key === "");
        const isSame = keys.every((key) => key === keys[0]);
        return matches(name) && !isEmpty && (state.isAll || !isSame || runs.length === 1);
    });
    if (rows.length === 0) return null;
    return html`<tbody><${GroupHead} title="Facts" size=${rows.length} columns=${runs.length} />
    ${rows.map(
        ([name, write, keyOf]) => html`<tr key=${name}><th scope="row">${name}</th>
      ${runs.map((run, place) => {
          const key = keyOf(run);
          const isMissing = key === null || key === "";
          const kind = place === base ? "base" : "";
          return html`<td key=${run.run_id} class=${kind}>${!isMissing && write(run)}</td>`;
      })}</tr>`,
    )}</tbody>`;
}

/** The first rows of many, and a button for the others. */
function useFirst(rows) {
    const [most, setMost] = useState(MOST_ROWS);
    const left = Math.min(rows.length, most * 10) - most;
    const more =
        rows.length > most &&
        html`<tr class="compare-more"><td colspan="2"><button class="link"
    onClick=${() => setMost(most * 10)}>Show ${count(left)} more</button></td></tr>`;
    return [rows.slice(0, most), more];
}

export function ConfigRows({ runs, base, config }) {
    const [rows, more] = useFirst(config);
    if (config.length === 0) return null;
    return html`<tbody><${GroupHead} title="Config" size=${config.length} columns=${runs.length} />
    ${rows.map((row) => html`<${ConfigRow} key=${row.key} row=${row} runs=${runs} base=${base} />`)}
    ${more}</tbody>`;
}

/** The source that all runs with a key share, or null; the tip of the key names it. */
function sharedSource({ sources, present }) {
    const own = sources.filter((_, place) => present[place]);
    const isShared = own[0] !== null && own.every((one) => JSON.stringify(one) === JSON.stringify(own[0]));
    return isShared ? own[0] : null;
}

function ConfigRow({ row, runs, base }) {
    const shared = sharedSource(row);
    const key = visible(row.key);
    const tip = shared === null ? key : `${key}, set by ${visible(sourceText(shared))}`;
    return html`<tr><th scope="row"><code title=${tip}>${key}</code></th>
    ${runs.map(
        (run, place) => html`<${ConfigCell} key=${run.run_id} row=${row} place=${place} base=${base}
      source=${shared === null ? row.sources[place] : null} />`,
    )}</tr>`;
}

function ConfigCell({ row, place, base, source }) {
    const value = row.values[place];
    const isEqual = JSON.stringify(value) === JSON.stringify(row.values[base]);
    const isSame = row.present[place] === row.present[base] && isEqual;
    const kind = place === base ? "base" : isSame ? "same" : "differs";
    if (!row.present[place]) return html`<td class=${kind}><span class="faint">not set</span></td>`;
    const shown = visible(valueText(value));
    const part = shown.length > MOST_SIGNS ? `${shown.slice(0, MOST_SIGNS)}…` : shown;
    return html`<td class=${kind} title=${shown}>
    <div class="compare-value"><bdi>${part}</bdi></div>
    ${source && html`<div class="compare-source"><${Source} source=${source} /></div>`}</td>`;
}

const NEXT = { none: "max", max: "min", min: "none" };
const WORDS = {
    none: ["ellipsis", "Neither direction is better"],
    max: ["arrow-up", "Higher is better"],
    min: ["arrow-down", "Lower is better"],
};

export function MetricRows({ runs, base, metrics, state, set }) {
    const [rows, more] = useFirst(metrics);
    if (metrics.length === 0) return null;
    const directionFor = (name) => state.directions.get(name) ?? directionOf(name) ?? "none";
    const turn = (name) => {
        const next = new Map(state.directions).set(name, NEXT[directionFor(name)]);
        set({ best: [...next].map(([one, direction]) => `${one}:${direction}`) });
    };
    return html`<tbody><${GroupHead} title="Metrics" size=${metrics.length} columns=${runs.length}>
      <label class="field soft">value <select value=${state.statistic}
        onChange=${(event) => set({ by: event.target.value === "last" ? null : event.target.value })}>
        ${STATISTICS.map(([one, word]) => html`<option key=${one} value=${one}>${word}</option>`)}</select>
      </label><//>
    ${rows.map(
        (row) => html`<${MetricRow} key=${row.name} row=${row} runs=${runs} base=${base}
      statistic=${state.statistic} direction=${directionFor(row.name)} onTurn=${() => turn(row.name)} />`,
    )}${more}</tbody>`;
}

function MetricRow({ row, runs, base, statistic, direction, onTurn }) {
    const values = row.summaries.map((one) => (one === null ? null : numeric(one[statistic])));
    const best = bestPlaces(values, direction === "none" ? null : direction);
    const [icon, words] = WORDS[direction];
    const title = `${words}; change it`;
    const name = visible(row.name);
    return html`<tr><th scope="row"><div class="row"><bdi class="clip grow" title=${name}>${name}</bdi>
      <button class="icon" title=${title} aria-label=${`${name}: ${title}`} onClick=${onTurn}>
        <${Icon} name=${icon} size=${12} /></button></div></th>
    ${runs.map(
        (
            run,
            place,
        ) => html`<${MetricCell} key=${run.run_id} summary=${row.summaries[place]} value=${values[place]}
      before=${place === base ? null : values[base]} statistic=${statistic} isBest=${best.includes(place)}
      isBase=${place === base} />`,
    )}</tr>`;
}

function MetricCell({ summary, value, before, statistic, isBest, isBase }) {
    const kind = `number ${isBase ? "base" : ""} ${isBest ? "best" : ""}`;
    if (summary === null || value === null) return html`<td class=${kind}></td>`;
    const step = summary[`${statistic}_step`];
    const difference = Number.isFinite(before) && Number.isFinite(value) ? value - before : 0;
    const sign = difference > 0 ? "+" : "";
    const missing = summary.nan_count > 0 && `${count(summary.nan_count)} NaN`;
    const title = `${exact(value)}${step === undefined || step === null ? "" : ` at step ${count(step)}`}`;
    return html`<td class=${kind} title=${title}><div class="compare-value">${
        isBest &&
        html`<span class="compare-best"
      title="best"><${Icon} name="star" size=${12} /><span class="unseen">best</span></span>`
    }<${Value} value=${value} /></div>
    ${difference !== 0 && html`<div class="compare-source">${sign}${number(difference)}</div>`}
    ${missing && html`<div class="compare-source special">${missing}</div>`}</td>`;
}
