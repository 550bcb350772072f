/**
 * Parallel coordinates: an axis for each field and a line for each row. Ranges are brushed along the axes.
 * Invariant: what is brushed is a list [from, to] for each axis, or a list of categories, and never pixels.
 *
 * An axis is {id, label, kind, log, categories}; a line is {values, score, isFaded, name}.
 */
import { html, useMemo } from "../vendor/ui.js";
import { dark } from "../colors.js";
import { number, visible } from "../format.js";
import { withBrush } from "./brush.js";
import { axis, lines, scaleColors, short, theme, tooltip } from "./echart.js";
import { Icon } from "./icons.js";

const FEW = 200;
const MANY = 2000;

/** The colour of a share between 0 (worst) and 1 (best). */
function colorAt(share, scale) {
    return scale[Math.round(Math.min(Math.max(share, 0), 1) * (scale.length - 1))];
}

function parallelAxis(one, dim, colors) {
    const kinds = { category: "category", time: "time" };
    const type = kinds[one.kind] ?? (one.log ? "log" : "value");
    const labels = {
        color: colors.text,
        fontSize: 11,
        showMinLabel: true,
        showMaxLabel: true,
        textBorderColor: colors.surface,
        textBorderWidth: 3,
    };
    if (type === "value" || type === "log") labels.formatter = (tick) => number(tick);
    if (type === "category") labels.formatter = (text) => short(text, 12);
    const bounds = type === "value" || type === "log" ? { min: one.min, max: one.max } : {};
    return axis(colors, one.label, {
        dim,
        type,
        z: 20,
        scale: true,
        ...bounds,
        data: one.categories,
        nameLocation: "end",
        nameTextStyle: { color: colors.text, fontSize: 12, fontWeight: 600 },
        nameGap: 12,
        name: short(one.log ? `${one.label} (log)` : one.label, 22),
        axisLabel: labels,
        areaSelectStyle: { width: 16, color: colors.accent, opacity: 0.18, borderColor: colors.accent },
    });
}

/** Builds what ECharts draws. Lines that are faded lie below all others. */
function optionOf(axes, rows, describe) {
    const colors = theme();
    const scale = scaleColors();
    const width = rows.length > FEW ? 1 : 1.4;
    const opacity = rows.length > MANY ? 0.18 : rows.length > FEW ? 0.4 : 0.7;
    const series = (some, more) => ({
        type: "parallel",
        lineStyle: { width, opacity },
        inactiveOpacity: 0.04,
        activeOpacity: Math.min(1, opacity * 1.3),
        progressive: 0,
        data: some,
        ...more,
    });
    const drawnRows = rows
        .filter((row) => !row.isFaded)
        .toSorted((one, other) => (one.score ?? -1) - (other.score ?? -1))
        .map((row) => ({
            value: row.values,
            row,
            lineStyle: {
                color: row.color ?? (row.score === null ? colors.faint : colorAt(row.score, scale)),
            },
        }));
    const faded = rows
        .filter((row) => row.isFaded)
        .map((row) => ({ value: row.values, row, lineStyle: { color: colors.line, opacity: 0.15 } }));
    return {
        parallel: { left: 56, right: 72, top: 40, bottom: 24, layout: "horizontal" },
        parallelAxis: axes.map((one, dim) => parallelAxis(one, dim, colors)),
        tooltip: tooltip(colors, ({ data }) => lines(describe(data.row))),
        series: [
            series(faded, { silent: true, z: 1 }),
            series(drawnRows, { z: 2, emphasis: { lineStyle: { width: 3, opacity: 1 } } }),
        ],
    };
}

/** Turns what ECharts brushed along an axis into ranges of numbers, or names of categories. */
function readIntervals(one, intervals) {
    if (one.kind !== "category") return intervals.map(([from, to]) => [from, to]);
    const names = one.categories.filter((_, place) =>
        intervals.some(
            ([from, to]) => place >= Math.min(from, to) - 0.01 && place <= Math.max(from, to) + 0.01,
        ),
    );
    return names;
}

function writeIntervals(one, brushed) {
    if (!brushed?.length) return [];
    if (one.kind !== "category") return brushed;
    const places = one.categories.flatMap((name, place) => (brushed.includes(name) ? [place] : []));
    const intervals = [];
    for (const place of places) {
        const last = intervals.at(-1);
        if (last && last[1] === place - 1) last[1] = place;
        else intervals.push([place, place]);
    }
    return intervals;
}

const axisModel = (chart, place) => chart.getModel().getComponent("parallelAxis", place);

/**
 * Returns {option, events, after, mark} for a Figure. `brushes` is a Map of axis ids to what is brushed there,
 * `brushText` tells one Map from another, and `onBrush(id, brushed)` takes a change. `describe(line)`
 * returns [name, value] pairs for the tooltip.
 */
export function useParallel({ axes, rows, brushes, brushText = "", onBrush, describe, onOpen }) {
    const option = useMemo(() => optionOf(axes, rows, describe), [axes, rows, dark.value]);
    const isKept = (one, found) => {
        const [now, wanted] = [withBrush(new Map(), one.id, found), brushes.get(one.id) ?? []];
        return JSON.stringify(now.get(one.id) ?? []) === JSON.stringify(wanted);
    };
    const after = (chart) => {
        const changed = axes.filter((one, place) => {
            const model = axisModel(chart, place);
            if (isKept(one, readIntervals(one, model.activeIntervals))) return false;
            const intervals = writeIntervals(one, brushes.get(one.id));
            chart.dispatchAction({ type: "axisAreaSelect", parallelAxisId: model.id, intervals });
            return true;
        });
        // An axis does not draw its brush when it is told of it, but with all that is drawn next.
        if (changed.length) chart.resize();
    };
    const events = {
        axisareaselected: ({ parallelAxisId: id }, chart) => {
            // The event is about one axis; the others may not have their brushes back after a drawing.
            const place = axes.findIndex((_, at) => axisModel(chart, at)?.id === id);
            if (place < 0) return;
            const one = axes[place];
            const found = readIntervals(one, axisModel(chart, place).activeIntervals);
            if (!isKept(one, found)) onBrush(one.id, found.length ? found : null);
        },
        click: ({ data }) => data?.row && onOpen?.(data.row),
    };
    return { option, events, after, mark: brushText };
}

/** The axes as chips in their order: dragged, moved by the arrow keys, and taken away. */
export function AxisChips({ axes, options, onOrder }) {
    const ids = axes.map(({ id }) => id);
    const put = (id, place) => {
        const others = ids.filter((one) => one !== id);
        onOrder([...others.slice(0, place), id, ...others.slice(place)]);
    };
    const onKeyDown = (id, place) => (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (event.key === "Delete" || event.key === "Backspace") onOrder(ids.filter((one) => one !== id));
        else if (!step || place + step < 0) return;
        else put(id, place + step);
        event.preventDefault();
        event.stopPropagation();
    };
    const drop = (place) => (event) => {
        const id = event.dataTransfer.getData("text/x-axis");
        if (!ids.includes(id)) return;
        event.preventDefault();
        put(id, place);
    };
    const missing = options.filter(([id]) => !ids.includes(id));
    return html`<div class="axis-chips"><div class="axis-chips" role="list"
        aria-label="Axes, in their order">${axes.map(
        (one, place) => html`<span key=${one.id} class="chip axis-chip" role="listitem" tabindex="0" draggable
        title="Drag it, or move it by the arrow keys. Delete takes it away."
        onDragStart=${(event) => event.dataTransfer.setData("text/x-axis", one.id)}
        onDragOver=${(event) => event.preventDefault()} onDrop=${drop(place)}
        onKeyDown=${onKeyDown(one.id, place)}>
            <${Icon} name="grip-vertical" size=${12} /><bdi class="clip">${visible(one.label)}</bdi>
            <button class="icon tiny" aria-label=${`Take the axis ${visible(one.label)} away`}
                onClick=${() => onOrder(ids.filter((id) => id !== one.id))}>
                <${Icon} name="x" size=${12} /></button></span>`,
    )}</div>
        ${
            missing.length > 0 &&
            html`<select class="axis-add" aria-label="Add an axis" value=""
            onChange=${(event) => event.target.value && onOrder([...ids, event.target.value])}>
            <option value="">+ axis</option>${missing.map(
                ([id, text]) => html`<option key=${id} value=${id}>${visible(text)}</option>`,
            )}</select>`
        }</div>`;
}
