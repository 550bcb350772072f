/**
 * Show one chart: its head, the plot, what the pointer is near, and what is left out, in words.
 *
 * All charts of a page share one signal `hover`: {chart, x, id, left, top, pinned}. It has the place on the
 * x axis and the line nearest to the pointer, so every chart shows the same crosshair and the same run.
 * @module
 */
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/ui.js";
import { dark } from "../colors.js";
import { count, number, exact, plural, visible } from "../format.js";
import { useFirstMark } from "./first_mark.js";
import { Icon } from "./icons.js";
import { bucketWidth, nearestPlace } from "./lines.js";
import { Plot } from "./plot.js";

const NEAR = 40; // pixels; a line farther away is not under the pointer
const MOST_ROWS = 10;
const GAP = 20; // pixels between the crosshair and the box beside it

/** A short stroke in the colour and dash of a line. */
export function Swatch({ color, dash = [] }) {
    return html`<svg class="swatch" width="22" height="10" aria-hidden="true">
    <line x1="1" y1="5" x2="21" y2="5" stroke=${color} stroke-width="2.5"
      stroke-dasharray=${dash.length > 0 ? dash.join(" ") : null} /></svg>`;
}

/**
 * Show lines over an axis.
 * @param {object} props
 * @param {string} props.id names the chart in `hover`
 * @param {import('./lines.js').Line[]} props.lines
 * @param {import('./plot.js').View} props.view
 * @param {{value: object|null}} props.hover a signal
 * @param {(x: number, width: number) => string} props.writeX writes a place of the axis
 * @param {string} props.xName
 * @param {string[]} props.notes further words for the foot
 * @param {string|null} props.stepsOf the metric, if the lines show it by step
 * @param {{current: Plot|null}} [props.plot] a reference that the chart sets
 */
export function Chart(props) {
    const { id, title, lines, view, hover, writeX, xName, notes = [], empty, onZoom, children } = props;
    const { stepsOf = null } = props;
    const box = useRef(null);
    const own = useRef(null);
    const plot = props.plot ?? own;
    const [drawn, setDrawn] = useState({ leftOut: { values: 0, lines: 0 }, outside: 0 });
    // The handlers live as long as the plot, so they read what holds now from here.
    const now = useRef({});
    now.current = { id, lines, hover, onZoom };

    useLayoutEffect(() => {
        plot.current = new Plot(box.current, {
            onHover: (point) => hoverAt(now.current, plot.current, point),
            onZoom: (zoom) => now.current.onZoom(zoom),
            onDraw: (next) => {
                setDrawn((before) => (sameDrawn(before, next) ? before : next));
                follow(now.current, plot.current);
            },
        });
        return () => plot.current.destroy();
    }, []);
    useLayoutEffect(() => plot.current.update(lines, view), [lines, view]);
    useEffect(() => plot.current.restyle(), [dark.value]);
    useEffect(() => hover.subscribe((value) => plot.current.emphasize(value)), [hover]);

    const first = useFirstMark(lines, stepsOf);
    const words = [...describe(drawn, view), ...describeMarks(lines, first, writeX), ...notes];
    return html`<figure class="chart" data-chart=${id}>
    <figcaption class="chart-head"><h3 class="clip" title=${visible(title)}><bdi>${visible(title)}</bdi></h3>
      <span class="grow"></span>${children}</figcaption>
    <div class="chart-body" tabindex="0" role="application" aria-label=${label(title, lines, xName)}
      onKeyDown=${(event) => onKey(event, now.current, plot.current)} onDblClick=${() => onZoom(null)}
      onClick=${() => togglePin(now.current)}>
      <div class=${lines.length > 0 ? "chart-plot" : "chart-plot empty-plot"} ref=${box}></div>
      ${lines.length === 0 && empty && html`<p class="chart-empty">${empty}</p>`}
      <${Tooltip} id=${id} lines=${lines} plot=${plot} hover=${hover} writeX=${writeX} />
    </div>
    <div class="chart-foot"><span class="clip" title=${words.join(" ")}>${words.join(" ")}</span>
      <span class="grow"></span><span>${xName}</span></div>
  </figure>`;
}

function sameDrawn(one, other) {
    return (
        one.outside === other.outside &&
        one.leftOut.values === other.leftOut.values &&
        one.leftOut.lines === other.leftOut.lines
    );
}

function describe({ leftOut, outside }, view) {
    const words = [];
    if (leftOut.values > 0) {
        const axes = view.logX && view.logY ? "the log axes leave" : "the log axis leaves";
        words.push(
            `${plural(leftOut.values, "value")} of ${plural(leftOut.lines, "line")} not above 0:`,
            `${axes} them out.`,
        );
    }
    if (outside > 0) words.push(`${plural(outside, "point")} out of view.`);
    return words;
}

/** Says which lines have values that are no numbers, and where the first one is: there a run diverged. */
function describeMarks(lines, first, writeX) {
    if (first === null) return [];
    const place = writeX(first.x, first.width);
    const sign = { nan: "NaN", infinity: "∞" }[first.kind] ?? "−∞";
    if (lines.length === 1) return [`First ${sign} at ${place}.`];
    const marked = lines.filter((line) => line.marks.length > 0).length;
    // The name comes last: if the line is cut, the number of lines and the place are still there.
    return [`NaN or ∞ in ${plural(marked, "line")}, first at ${place}: ${visible(first.label)}`];
}

/** Says that a chart chose a logarithmic axis of values, and takes it back. */
export function LogSwitch({ isOn, onChange }) {
    const title = "On a linear axis, half of these values would lie within a pixel.";
    return html`<button class="toggle log-switch" aria-pressed=${String(isOn)} title=${title}
    onClick=${() => onChange(!isOn)}>log y</button>`;
}

function label(title, lines, xName) {
    const keys = "Arrow keys move along it, Enter pins.";
    return `${visible(title)} by ${xName}: ${plural(lines.length, "line")}. ${keys}`;
}

function hoverAt({ id, hover }, plot, point) {
    if (hover.value?.pinned) return;
    if (point === null) {
        hover.value = null;
        return;
    }
    const [first] = plot.nearest(point.x, point.top);
    const isNear = first !== undefined && first.distance <= NEAR;
    const x = first === undefined ? point.x : first.line.xs[first.place];
    hover.value = {
        chart: id,
        x,
        id: isNear ? first.line.id : null,
        left: point.left,
        top: point.top,
        pinned: false,
    };
}

/** After the plot moved under a pointer that rests, finds what lies there now. */
function follow({ id, hover }, plot) {
    const at = hover.value;
    if (at?.chart !== id || at.pinned) return;
    hoverAt({ id, hover }, plot, { x: plot.uplot.posToVal(at.left, "x"), left: at.left, top: at.top });
}

function togglePin({ id, hover }) {
    const at = hover.value;
    if (at?.chart === id) hover.value = { ...at, pinned: !at.pinned };
}

/** Moves the crosshair along the line that is shown, or to another line. */
function onKey(event, { id, lines, hover }, plot) {
    const at = hover.value?.chart === id ? hover.value : null;
    if (event.key === "Escape") {
        if (at === null) return;
        hover.value = null;
        event.preventDefault();
        return;
    }
    if (event.key === "Enter" && at) {
        togglePin({ id, hover });
    } else {
        const moved = moveBy(event, at, lines, plot);
        if (moved === null) return;
        const { line, place } = moved;
        const pixels = plot.pixels(false);
        const [x, y] = [line.xs[place], line.ys[place]];
        const top = Number.isFinite(y) ? pixels.top(y) : 0;
        hover.value = { chart: id, x, id: line.id, left: pixels.left(x), top, pinned: at?.pinned ?? false };
    }
    event.preventDefault();
}

function moveBy(event, at, lines, plot) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    const rows = { ArrowUp: -1, ArrowDown: 1 };
    if (lines.length === 0 || !(event.key in steps || event.key in rows)) return null;
    const current = lines.find((line) => line.id === at?.id) ?? lines[0];
    const place = at === null ? current.xs.length : nearestPlace(current, at.x);
    if (event.key in rows) {
        const order = plot.nearest(at?.x ?? current.xs[0], 0).map(({ line }) => line);
        const next = order[order.indexOf(current) + rows[event.key]] ?? current;
        return { line: next, place: nearestPlace(next, at?.x ?? next.xs[0]) };
    }
    const factor = event.shiftKey ? 10 : 1;
    const moved = Math.min(current.xs.length - 1, Math.max(0, place + steps[event.key] * factor));
    return { line: current, place: moved };
}

/** What the lines have near the pointer, the nearest first. */
function Tooltip({ id, lines, plot, hover, writeX }) {
    const at = hover.value;
    const box = useRef(null);
    useLayoutEffect(() => {
        if (box.current) placeBeside(box.current, plot.current.uplot.over, at.left);
    });
    if (at === null || at.chart !== id || plot.current === null) return null;
    const found = plot.current.nearest(at.x, at.top);
    if (found.length === 0) return null;
    // What the keyboard chose stands first, even where lines cross.
    found.sort((one, other) => Number(other.line.id === at.id) - Number(one.line.id === at.id));
    const { line, place } = found[0];
    return html`<div ref=${box} class=${`chart-tooltip ${at.pinned ? "pinned" : ""}`} role="status"
    onClick=${(event) => event.stopPropagation()}>
    <div class="tooltip-head"><b>${writeX(line.xs[place], bucketWidth(line, place))}</b>
      ${
          at.pinned &&
          html`<span class="faint">pinned</span><button class="icon" aria-label="Unpin"
        onClick=${() => {
            hover.value = null;
        }}><${Icon} name="x" size=${12} /></button>`
      }</div>
    <table>${found.slice(0, MOST_ROWS).map(
        (one, row) => html`<${TooltipRow} key=${one.line.id} ...${one}
      isFirst=${row === 0} isPinned=${at.pinned} />`,
    )}</table>
    ${found.length > MOST_ROWS && html`<p class="faint">and ${count(found.length - MOST_ROWS)} more</p>`}
  </div>`;
}

/** Puts a box to the right of a place in the plot, or to the left where it would be cut. */
function placeBeside(box, area, left) {
    const frame = (box.closest(".charts-main") ?? document.body).getBoundingClientRect();
    const body = box.parentElement.getBoundingClientRect();
    const at = area.getBoundingClientRect().left + left;
    const isCut = at + GAP + box.offsetWidth > frame.right;
    const wanted = isCut ? Math.max(frame.left + 4, at - GAP - box.offsetWidth) : at + GAP;
    box.style.left = `${wanted - body.left}px`;
    box.style.top = `${Math.min(8, frame.bottom - 8 - box.offsetHeight - body.top)}px`;
}

function TooltipRow({ line, place, isFirst, isPinned }) {
    const name = html`<bdi class="clip">${visible(line.label)}</bdi>`;
    const isRun = line.members.length === 0;
    return html`<tr class=${isFirst ? "first" : ""}>
    <td><${Swatch} color=${line.color} dash=${line.dash} /></td>
    <td class="tooltip-name">${isPinned && isRun ? html`<a href=${`/run/${line.id}`}>${name}</a>` : name}</td>
    <td class="number" title=${exact(line.ys[place])}><${Value} value=${line.ys[place]} /></td>
    ${isFirst && html`<td class="number faint">${spreadOf(line, place)}</td>`}</tr>`;
}

/** A number with four digits; NaN and the infinities in the colour of a warning. */
export function Value({ value }) {
    return Number.isFinite(value) ? number(value) : html`<span class="special">${number(value)}</span>`;
}

/** Says what a value hides: the spread of its bucket or group, NaN in it, the value before smoothing. */
function spreadOf(line, place) {
    const words = [];
    const [low, high] = [line.lows[place], line.highs[place]];
    if (line.members.length > 0) {
        if (Number.isFinite(low)) words.push(`${number(low)} – ${number(high)}`);
        words.push(plural(line.counts[place], "run"));
        return words.join(", ");
    }
    if (line.ys[place] !== line.means[place] && Number.isFinite(line.means[place])) {
        words.push(`unsmoothed ${number(line.means[place])}`);
    } else if (low !== high && Number.isFinite(low)) words.push(`${number(low)} – ${number(high)}`);
    const missing = line.curve.nan_count[place];
    if (missing > 0) words.push(`${count(missing)} NaN`);
    return words.join(", ");
}
