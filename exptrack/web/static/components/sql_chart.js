/**
 * Draws rows of a query: one column along x, others along y, as lines, points or bars. ECharts is loaded only
 * here where it is shown. Its tooltip draws on the canvas, so that no text of the archive becomes HTML.
 */
import { html, useEffect, useMemo, useRef, useState } from "../vendor/ui.js";
import { dark, palette } from "../colors.js";
import { number, numeric, visible } from "../format.js";

const KINDS = { line: "lines", scatter: "points", bar: "bars" };
const MOST_BARS = 200;

const isNumber = (cell) => typeof cell === "number" || typeof numeric(cell) === "number";

/** The columns that hold numbers, by place. */
export function numericColumns(columns, rows) {
    return columns
        .map((_, place) => place)
        .filter((place) => {
            const cells = rows.map((row) => row[place]).filter((cell) => cell !== null);
            return cells.length > 0 && cells.every(isNumber);
        });
}

/** What to draw at first: the first column against the numbers after it. */
function choose(columns, rows) {
    const numbers = numericColumns(columns, rows);
    const x = 0;
    const y = numbers.find((place) => place !== x) ?? numbers[0] ?? null;
    const kind = numbers.includes(x) ? "line" : rows.length <= MOST_BARS ? "bar" : "scatter";
    return { x, y: y === null ? [] : [y], kind, numbers };
}

function optionsFor({ columns, rows, x, y, kind, xIsNumber }) {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = {
        axisLine: { lineStyle: { color: color("--line-strong") } },
        axisLabel: { color: color("--text-soft") },
        splitLine: { lineStyle: { color: color("--grid") } },
        nameTextStyle: { color: color("--text-soft") },
    };
    const cell = (row, place) => {
        const value = numeric(row[place]);
        return typeof value === "number" && !Number.isFinite(value) ? null : value;
    };
    const ordered =
        xIsNumber && kind === "line" ? [...rows].sort((a, b) => numeric(a[x]) - numeric(b[x])) : rows;
    return {
        animation: false,
        color: palette(),
        textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
        grid: { left: 12, right: 24, top: y.length > 1 ? 40 : 24, bottom: 40, containLabel: true },
        legend: y.length > 1 ? { top: 4, textStyle: { color: color("--text") } } : undefined,
        tooltip: {
            trigger: kind === "scatter" ? "item" : "axis",
            renderMode: "richText",
            confine: true,
            backgroundColor: color("--bg-raised"),
            borderColor: color("--line-strong"),
            textStyle: { color: color("--text") },
            valueFormatter: (value) => number(value),
        },
        dataZoom: [{ type: "inside", filterMode: "none" }],
        xAxis: {
            ...axis,
            type: xIsNumber ? "value" : "category",
            name: visible(columns[x]),
            nameLocation: "middle",
            nameGap: 28,
            scale: true,
        },
        yAxis: {
            ...axis,
            type: "value",
            scale: kind !== "bar",
            name: y.length === 1 ? visible(columns[y[0]]) : "",
        },
        series: y.map((place) => ({
            type: kind,
            name: visible(columns[place]),
            symbolSize: kind === "scatter" ? 7 : 4,
            showSymbol: rows.length <= 100,
            lineStyle: { width: 1.5 },
            data: ordered.map((row) => [
                xIsNumber ? cell(row, x) : visible(String(row[x] ?? "")),
                cell(row, place),
            ]),
        })),
    };
}

export function ResultChart({ columns, rows }) {
    const first = useMemo(() => choose(columns, rows), [columns, rows]);
    const [picked, setPicked] = useState(first);
    useEffect(() => setPicked(first), [first]);
    const place = useRef(null);
    const { numbers } = first;
    const usable = picked.y.filter((one) => numbers.includes(one));
    useEffect(() => {
        if (usable.length === 0) return undefined;
        let chart = null;
        let wanted = true;
        const resized = new ResizeObserver(() => chart?.resize());
        import("../vendor/echarts.js").then(({ init }) => {
            if (!wanted) return;
            chart = init(place.current, null, { renderer: "canvas" });
            chart.setOption(
                optionsFor({ columns, rows, ...picked, y: usable, xIsNumber: numbers.includes(picked.x) }),
            );
            resized.observe(place.current);
        });
        return () => {
            wanted = false;
            resized.disconnect();
            chart?.dispose();
        };
    }, [columns, rows, picked, dark.value]);
    if (numbers.length === 0)
        return html`<p class="soft">No column of this answer holds numbers,
        so there is nothing to draw.</p>`;
    const flip = (one) =>
        setPicked((before) => ({
            ...before,
            y: before.y.includes(one) ? before.y.filter((other) => other !== one) : [...before.y, one],
        }));
    return html`<div class="sql-chart">
        <div class="row sql-chart-picks">
            <label class="row">x <select value=${String(picked.x)}
                onChange=${(event) => setPicked({ ...picked, x: Number(event.target.value) })}>
                ${columns.map(
                    (name, at) => html`<option key=${at}
                    value=${String(at)}>${visible(name)}</option>`,
                )}</select></label>
            <fieldset class="row"><legend class="unseen">Columns along y</legend>y
                ${numbers.map(
                    (at) => html`<label class="row check" key=${at}><input type="checkbox"
                    checked=${picked.y.includes(at)} onChange=${() => flip(at)} /> ${visible(
                        columns[at],
                    )}</label>`,
                )}</fieldset>
            <label class="row">as <select value=${picked.kind}
                onChange=${(event) => setPicked({ ...picked, kind: event.target.value })}>
                ${Object.entries(KINDS).map(
                    ([kind, word]) => html`<option key=${kind}
                    value=${kind}>${word}</option>`,
                )}</select></label>
        </div>
        ${
            usable.length === 0
                ? html`<p class="soft">Choose a column along y.</p>`
                : html`<div class="sql-chart-place" ref=${place} role="img"
                aria-label=${`${usable
                    .map((at) => columns[at])
                    .join(", ")} against ${columns[picked.x]}; the table has the values`}>
                    </div>`
        }
    </div>`;
}
