/**
 * The list of runs beside the charts, and the table of exact values below an enlarged one.
 * @module
 */
import { html, useComputed, useEffect, useMemo, useState } from "../../vendor/ui.js";
import { Swatch, Value } from "../../components/chart.js";
import { STATUS, exact, plural, visible } from "../../format.js";
import { Icon } from "../../components/icons.js";
import { ColorButton } from "../../components/color_button.js";
import { BY_ORDER, distinctValues, nameValue, shortName } from "../../components/looks.js";
import { bucketWidth, nearestPlace } from "../../components/lines.js";

const TABLE_MS = 120; // between two looks of the table at the pointer; it has up to 50 rows to sort and lay out

/**
 * The runs or groups that the charts show; each can be hidden, and lies before the others while pointed at.
 * @param {{entries: object[], hidden: Set<string>}} props entries are {id, label, color, dash, status, runs}
 */
export function RunList({ entries, state, hidden, hover, onHide, onPaint, isGrouped }) {
    const point = (id) => () => {
        if (!hover.value?.pinned)
            hover.value = id && { chart: null, x: null, id, left: 0, top: 0, pinned: false };
    };
    const hiddenCount = entries.filter((one) => hidden.has(one.id)).length;
    const noun = isGrouped ? "group" : "run";
    return html`<aside class="chart-runs" aria-label=${`The ${noun}s shown`} onPointerLeave=${point(null)}>
    <div class="chart-runs-head"><h2>${plural(entries.length, noun)}</h2><span class="grow"></span>
      ${hiddenCount > 0 && html`<button class="link" onClick=${() => onHide([])}>show all</button>`}</div>
    <${LookKey} entries=${entries} column=${state.color} swatch=${({ color }) => ({ color })} />
    <${LookKey} entries=${entries} column=${state.dash}
      swatch=${({ dash }) => ({ color: "currentColor", dash })} />
    <ul>${entries.map(
        (one) => html`<${Entry} key=${one.id} entry=${one} isHidden=${hidden.has(one.id)}
      hover=${hover} onPoint=${point(one.id)} onHide=${onHide} hidden=${hidden} isGrouped=${isGrouped}
      paint=${state.paint} onPaint=${onPaint} entries=${entries} />`,
    )}</ul></aside>`;
}

/** What the colours or dashes mean, if a config key decides them. */
function LookKey({ entries, column, swatch }) {
    if (!column || column === BY_ORDER) return null;
    const byValue = new Map(entries.map((one) => [nameValue(one.runs[0][column]), one]));
    const values = distinctValues(
        entries.map((one) => one.runs[0]),
        column,
    ).map(nameValue);
    return html`<div class="look-key"><h3 class="faint clip">${visible(shortName(column))}</h3><ul>${values.map(
        (value) => html`<li key=${value}><${Swatch} ...${swatch(byValue.get(value))} />
      <bdi class="clip">${value}</bdi></li>`,
    )}</ul></div>`;
}

/** Whether a line is the one pointed at; a component that asks is drawn again only when that changes. */
const useLit = (hover, id) => useComputed(() => hover.value?.id === id).value;

/** The value of a signal, taken anew at most every so many milliseconds. */
function useRested(source, milliseconds) {
    const [value, setValue] = useState(source.peek());
    useEffect(() => {
        let timer = null;
        const take = () => {
            timer = null;
            setValue(source.peek());
        };
        const stop = source.subscribe(() => {
            timer ??= setTimeout(take, milliseconds);
        });
        return () => {
            clearTimeout(timer);
            stop();
        };
    }, [source]);
    return value;
}

function Entry({ entry, isHidden, hover, paint, onPaint, onPoint, onHide, hidden, isGrouped, entries }) {
    const { id, label, color, dash, status, runs } = entry;
    const isLit = useLit(hover, id);
    const change = (event) => {
        if (event.altKey) onHide(entries.filter((one) => one.id !== id).map((one) => one.id));
        else onHide(isHidden ? [...hidden].filter((one) => one !== id) : [...hidden, id]);
    };
    const name = html`<bdi class="clip">${visible(label)}</bdi>`;
    const title = `${visible(label)}${isGrouped ? "" : ` (${id})`}`;
    return html`<li class=${`${isHidden ? "off" : ""} ${isLit ? "lit" : ""}`} onPointerEnter=${onPoint}>
    <button class="chart-run-toggle" aria-pressed=${String(!isHidden)} onClick=${change} onFocus=${onPoint}
      title=${`${isHidden ? "Show" : "Hide"} this ${isGrouped ? "group" : "run"}; with Alt, show it alone`}
      aria-label=${`Show ${visible(label)}`}>
      <${Swatch} color=${isHidden ? "currentColor" : color} dash=${dash} /></button>
    ${
        isGrouped
            ? html`<span class="chart-run-name" title=${title}>${name}</span>`
            : html`<a class="chart-run-name" href=${`/run/${id}`} title=${title}>${name}</a>`
    }
    ${
        isGrouped
            ? html`<span class="faint">${runs.length}</span>`
            : html`<span class=${`status-${status}`} title=${STATUS[status].word}>${STATUS[status].sign}</span>`
    }
    <${ColorButton} kind="icon chart-run-color" id=${id} label=${label} paint=${paint} onPaint=${onPaint}>
      <${Icon} name="pencil" size=${12} /><//>
  </li>`;
}

const COLUMNS = [
    ["label", "Run", ""],
    ["value", "Value", "number"],
    ["low", "Least", "number"],
    ["high", "Greatest", "number"],
    ["points", "Points", "number"],
    ["x", "At", "number"],
];

/** Every line with its exact values where the pointer is, or at its end. */
export function LegendTable({ id, lines, hover, writeX, isGrouped, isSmoothed }) {
    const [sort, setSort] = useState({ by: "value", isDown: true });
    const at = useRested(hover, TABLE_MS);
    const isHere = at !== null && at.x !== null && (at.chart === id || at.chart === null);
    const x = isHere ? at.x : null;
    const rows = useMemo(
        () =>
            sortRows(
                lines.map((line) => rowOf(line, x)),
                sort,
                at,
            ),
        [lines, x, sort, at?.id],
    );
    const head = ([by, text, kind]) => {
        const words = {
            label: isGrouped && "Group",
            points: isGrouped && "Runs",
            value: isSmoothed && "Smoothed",
        };
        const shown = words[by] || text;
        const isSorted = sort.by === by;
        const arrow = sort.isDown ? "arrow-down" : "arrow-up";
        const aria = isSorted ? (sort.isDown ? "descending" : "ascending") : "none";
        return html`<th key=${by} class=${kind} scope="col" aria-sort=${aria}>
      <button class="link" onClick=${() => setSort({ by, isDown: isSorted ? !sort.isDown : by !== "label" })}>
        ${shown} ${isSorted && html`<${Icon} name=${arrow} size=${12} />`}</button></th>`;
    };
    const isNear = sort.by === "near";
    return html`<div class="legend-table"><div class="legend-head">
      <h3>${x === null ? "Last values" : writeX(x, 1)}</h3>
      <button class="toggle" aria-pressed=${String(isNear)}
        onClick=${() => setSort(isNear ? { by: "value", isDown: true } : { by: "near", isDown: false })}>
        nearest first</button></div>
    <table><thead><tr><th><span class="unseen">Colour</span></th>${COLUMNS.map(head)}</tr></thead>
      <tbody>${rows.map(
          (row) => html`<${LegendRow} key=${row.line.id} row=${row} hover=${hover} writeX=${writeX}
        chart=${id} isGrouped=${isGrouped} isLit=${at?.id === row.line.id} />`,
      )}</tbody></table></div>`;
}

function rowOf(line, x) {
    const place = x === null ? line.xs.length - 1 : nearestPlace(line, x);
    const last = line.xs.length - 1;
    const [from, to] = [line.xs[0], line.xs[last] + bucketWidth(line, last)];
    return {
        line,
        label: line.label,
        isAway: x !== null && (x < from || x > to),
        x: line.xs[place],
        width: bucketWidth(line, place),
        value: line.ys[place],
        low: line.lows[place],
        high: line.highs[place],
        points: line.counts[place],
    };
}

/**
 * Sorts by a column, or by the distance from the line that the pointer is on. NaN comes last, and behind it
 * lines that do not reach the pointer.
 */
function sortRows(rows, { by, isDown }, at) {
    const base = rows.find((row) => row.line.id === at?.id)?.value ?? 0;
    const keyOf = by === "near" ? (row) => Math.abs(row.value - base) : (row) => row[by];
    return rows.sort((one, other) => {
        if (one.isAway !== other.isAway) return Number(one.isAway) - Number(other.isAway);
        const [first, second] = [keyOf(one), keyOf(other)];
        if (Number.isNaN(first) || Number.isNaN(second))
            return Number(Number.isNaN(first)) - Number(Number.isNaN(second));
        const order = first < second ? -1 : first > second ? 1 : 0;
        return isDown ? -order : order;
    });
}

function LegendRow({ row, hover, writeX, chart, isGrouped, isLit }) {
    const { line } = row;
    const point = () => {
        if (!hover.value?.pinned)
            hover.value = { chart: null, x: hover.value?.x ?? null, id: line.id, left: 0, top: 0 };
    };
    const name = html`<bdi>${visible(line.label)}</bdi>`;
    const kind = `${isLit ? "lit" : ""} ${row.isAway ? "faint" : ""}`;
    return html`<tr class=${kind} onPointerEnter=${point} onPointerLeave=${() => leave(hover)}
    data-chart=${chart}>
    <td><${Swatch} color=${line.color} dash=${line.dash} /></td>
    <th scope="row">${isGrouped ? name : html`<a href=${`/run/${line.id}`} onFocus=${point}>${name}</a>`}</th>
    ${["value", "low", "high"].map(
        (by) => html`<td key=${by} class="number" title=${exact(row[by])}>
      ${Number.isFinite(row[by]) ? exact(row[by]) : html`<${Value} value=${row[by]} />`}</td>`,
    )}
    <td class="number">${row.points}</td><td class="number">${writeX(row.x, row.width)}</td></tr>`;
}

function leave(hover) {
    if (!hover.value?.pinned) hover.value = null;
}
