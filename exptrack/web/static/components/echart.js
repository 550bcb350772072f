/**
 * A chart that ECharts draws. The library is loaded where the first such chart is shown.
 * Invariants: nothing of the archive becomes HTML, as tooltips are drawn on the canvas too. A text that looks
 * like a style of ECharts is drawn as it is written. The colours follow the scheme of the page.
 */
import { html, useEffect, useRef } from "../vendor/ui.js";
import { VIRIDIS, dark } from "../colors.js";
import { number, value, visible } from "../format.js";
import { toastError } from "../toasts.js";

const MOST_LABEL = 28;
// "{name|text}" would be a text in the style "name".
const STYLED = /\{(?=[a-zA-Z0-9_]+\|)/g;

/** Writes a text for the canvas, all of it. */
export const drawn = (text) => visible(String(text)).replace(STYLED, "{\u2060");

/** Writes a text for an axis, where room is scarce. */
export function short(text, most = MOST_LABEL) {
    const signs = [...visible(String(text))];
    return drawn(signs.length > most ? `${signs.slice(0, most - 1).join("")}…` : signs.join(""));
}

/** The colours of the page, as the canvas needs them. */
export function theme() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    return {
        text: color("text"),
        soft: color("text-soft"),
        faint: color("text-faint"),
        line: color("line-strong"),
        grid: color("grid"),
        raised: color("bg-raised"),
        surface: color("bg"),
        accent: color("link"),
        good: color("good"),
        bad: color("bad"),
        warn: color("warn"),
    };
}

/** The scale from worst to best: the end that stands out from the background is the best. */
export const scaleColors = () => (dark.value ? VIRIDIS.slice(2) : VIRIDIS.slice(0, 9).toReversed());

/** The parts that all axes share. */
export function axis(colors, name, more = {}) {
    return {
        name: short(name),
        nameLocation: "middle",
        nameTextStyle: { color: colors.soft, fontSize: 12 },
        axisLine: { lineStyle: { color: colors.line } },
        axisTick: { lineStyle: { color: colors.line } },
        axisLabel: { color: colors.soft, fontSize: 11, hideOverlap: true },
        splitLine: { lineStyle: { color: colors.grid } },
        ...more,
    };
}

/** An axis of values: numbers, numbers on a logarithmic scale, times or categories. */
export function valueAxis(colors, name, { kind = "number", log = false, categories = [] } = {}, more = {}) {
    if (kind === "category") {
        const labels = { color: colors.soft, fontSize: 11, formatter: (text) => short(text, 14) };
        return axis(colors, name, { type: "category", data: categories, axisLabel: labels, ...more });
    }
    const type = kind === "time" ? "time" : log ? "log" : "value";
    const labels = { color: colors.soft, fontSize: 11, hideOverlap: true };
    if (kind === "number") labels.formatter = (tick) => number(tick);
    return axis(colors, name, { type, scale: true, axisLabel: labels, ...more });
}

/** The room around the plot: labels on both sides, and names of axes. */
export const room = (more = {}) => ({ left: 56, right: 16, top: 12, bottom: 40, ...more });

/** A tooltip that is drawn on the canvas. */
export function tooltip(colors, write, more = {}) {
    return {
        trigger: "item",
        renderMode: "richText",
        confine: true,
        backgroundColor: colors.raised,
        borderColor: colors.line,
        padding: [6, 10],
        transitionDuration: 0,
        textStyle: { color: colors.text, fontSize: 12, lineHeight: 18 },
        formatter: write,
        ...more,
    };
}

/** Writes names and their values, one a line. */
export const lines = (pairs) =>
    pairs
        .filter(([, one]) => one !== null && one !== undefined && one !== "")
        .map(([name, one]) => `${short(name)}  ${short(value(one), 60)}`)
        .join("\n");

/**
 * `option` is what ECharts takes; a new object draws anew. `label` says what the chart shows. `events` are
 * {name: function(event, chart)}, and `after(chart)` is called when the option is drawn,
 * and when `mark` changed though the option did not.
 */
export function EChart({ option, label, height = 280, events, after, mark = null }) {
    const place = useRef(null);
    const chart = useRef(null);
    const latest = useRef({});
    latest.current = { option, events, after };
    const draw = () => {
        chart.current.setOption(
            { animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily } },
            { notMerge: true, lazyUpdate: true },
        );
        chart.current.setOption(latest.current.option);
        latest.current.after?.(chart.current);
        place.current.setAttribute("aria-busy", "false");
    };
    useEffect(() => {
        let wanted = true;
        const resized = new ResizeObserver(() => chart.current?.resize());
        const start = ({ init }) => {
            if (!wanted) return;
            chart.current = init(place.current, null, { renderer: "canvas" });
            for (const name of Object.keys(latest.current.events ?? {})) {
                chart.current.on(name, (event) => latest.current.events[name]?.(event, chart.current));
            }
            draw();
            resized.observe(place.current);
        };
        import("../vendor/echarts.js").then(start).catch(toastError);
        return () => {
            wanted = false;
            resized.disconnect();
            chart.current?.dispose();
            chart.current = null;
        };
    }, []);
    useEffect(() => {
        if (chart.current) draw();
    }, [option]);
    useEffect(() => {
        if (chart.current) latest.current.after?.(chart.current);
    }, [mark]);
    return html`<div class="echart" ref=${place} style=${{ height: `${height}px` }} role="img" aria-busy="true"
        aria-label=${visible(label)}></div>`;
}
