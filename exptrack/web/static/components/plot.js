/**
 * Draw the lines of one chart on a canvas by uPlot, and what moves with the pointer on another above it.
 *
 * The lower canvas is drawn when data or the view change, the upper one at most once a frame. So a chart of 50
 * runs follows the pointer without drawing its 50 lines again.
 * @module
 */
import uPlot from "../vendor/uplot.js";
import { axisOf, spaceOf } from "./axes.js";
import { lowerBound } from "./series.js";
import { countOutside, nearestLines, nearestPlace, plotData, valueRange } from "./lines.js";
import { fillBand, paintDots, strokeLine, paintMarks } from "./plot_painting.js";

/** With more lines than this, bands would be mud: only that under the pointer is drawn. */
export const MOST_BANDS = 8;
const DOTS_APART = 14; // pixels; where points are farther apart, each is drawn as a dot
const FEW_POINTS = 60;
const WHOLE = [null, null];

/**
 * @typedef {object} View
 * @property {'number'|'duration'|'clock'} xKind
 * @property {boolean} logX
 * @property {boolean} logY
 * @property {boolean} ignoreOutliers
 * @property {[number|null, number|null]} zoom the visible part of the x axis
 * @property {[number|null, number|null]} yLimits limits set by hand
 */

export class Plot {
    /**
     * @param {HTMLElement} element
     * @param {{onHover: Function, onZoom: Function, onDraw: Function}} handlers
     */
    constructor(element, handlers) {
        this.element = element;
        this.handlers = handlers;
        this.lines = [];
        this.view = null;
        this.emphasis = null;
        this.frame = 0;
        this.overlay = document.createElement("canvas");
        this.overlay.className = "plot-overlay";
        this.resize = new ResizeObserver(() => this.fit());
        this.resize.observe(element);
    }

    /** Take other lines or another view, and draw them. */
    update(lines, view) {
        const before = this.view;
        const isSame = this.uplot && before && sameLines(this.lines, lines) && sameAxes(before, view);
        this.lines = lines;
        this.view = view;
        const { data, leftOut } = plotData(lines, view);
        this.leftOut = leftOut;
        this.extent = data[0].length > 0 ? [data[0][0], data[0][data[0].length - 1]] : [0, 1];
        this.outside = 0;
        if (isSame) this.uplot.setData(data);
        else this.build(data);
    }

    build(data) {
        this.uplot?.destroy();
        this.theme = readTheme(this.element);
        this.uplot = new uPlot(this.makeOptions(), data, this.element);
        this.uplot.over.append(this.overlay);
        this.uplot.over.addEventListener("pointerleave", () => this.handlers.onHover(null));
    }

    makeOptions() {
        const { view, theme } = this;
        const x = axisOf(view.xKind, view.logX);
        const y = axisOf("number", view.logY);
        const line = { stroke: theme.grid, width: 1 };
        // By default uPlot leaves out most ticks of a log axis; ours are chosen already.
        const filter = (_, ticks) => ticks;
        const axis = { filter, stroke: theme.muted, font: theme.font, ticks: { ...line, size: 4 }, gap: 4 };
        const split = (of, space) => (plot, number, low, high) => {
            // Without the other axis, whose size is not known yet.
            const length = number === 0 ? plot.width - 64 : plot.height - 40;
            return of.ticks(low, high, Math.max(2, Math.floor(length / space)));
        };
        return {
            ...this.size(),
            legend: { show: false },
            // To the right, half a text of the x axis must find room.
            padding: [8, view.xKind === "clock" ? 30 : 18, 0, 0],
            cursor: {
                x: false,
                y: false,
                points: { show: false },
                drag: { x: true, y: false, setScale: false, dist: 5 },
            },
            scales: {
                x: { time: false, distr: view.logX ? 3 : 1, range: () => this.rangeX() },
                y: { distr: view.logY ? 3 : 1, range: () => this.rangeY() },
            },
            axes: [
                {
                    ...axis,
                    grid: { show: false },
                    size: view.xKind === "clock" ? 38 : 26,
                    splits: split(x, spaceOf(view.xKind)),
                    values: (_, ticks) => x.write(ticks),
                },
                {
                    ...axis,
                    grid: line,
                    size: (_, texts) => widthOf(texts, theme),
                    splits: split(y, 28),
                    values: (_, ticks) => y.write(ticks),
                },
            ],
            series: [
                {},
                ...this.lines.map((one) => ({
                    stroke: one.color,
                    width: 1,
                    dash: one.dash,
                    points: { show: false },
                })),
            ],
            hooks: {
                drawAxes: [() => this.paintBands()],
                draw: [() => this.drawn()],
                setCursor: [() => this.hover()],
                setSelect: [() => this.select()],
            },
        };
    }

    size() {
        return {
            width: Math.max(120, this.element.clientWidth),
            height: Math.max(80, this.element.clientHeight),
        };
    }

    rangeX() {
        const [low, high] = this.view.zoom ?? WHOLE;
        const [least, most] = this.extent;
        // Dots at the edges would be cut in half.
        const margin = this.lines.some((line) => line.xs.length < FEW_POINTS) ? (most - least) * 0.015 : 0;
        const from = low ?? (this.view.logX ? least : least - margin);
        const to = high ?? most + margin;
        if (to > from) return [from, to];
        return this.view.logX ? [from / 2, from * 2] : [from - 0.5, from + 0.5];
    }

    rangeY() {
        const { logY: isLog, ignoreOutliers, yLimits } = this.view;
        const [low, high] = this.rangeX();
        const view = { low, high, isLog, ignoreOutliers, hasBands: this.hasBands };
        const range = padded(...valueRange(this.lines, view), isLog);
        const [from, to] = yLimits ?? WHOLE;
        const bottom = from === null || (isLog && from <= 0) ? range[0] : from;
        const top = to ?? range[1];
        const shown = bottom < top ? [bottom, top] : range;
        const isCut = ignoreOutliers || from !== null || to !== null;
        this.outside = isCut ? countOutside(this.lines, view, ...shown) : 0;
        return shown;
    }

    /** Redraw with the colours of the theme that now holds. */
    restyle() {
        if (this.uplot && readTheme(this.element).surface !== this.theme.surface) this.build(this.uplot.data);
    }

    fit() {
        if (!this.uplot) return;
        const size = this.size();
        if (size.width === this.uplot.width && size.height === this.uplot.height) return;
        this.uplot.setSize(size);
    }

    fitOverlay() {
        const { clientWidth: width, clientHeight: height } = this.uplot.over;
        const ratio = devicePixelRatio;
        // Setting a size, even the same, empties a canvas and is slow.
        const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
        if (this.overlay.width !== wide || this.overlay.height !== high) {
            this.overlay.width = wide;
            this.overlay.height = high;
            this.overlay.style.width = `${width}px`;
            this.overlay.style.height = `${height}px`;
        }
        this.paintOverlay();
    }

    /** How values become pixels: device pixels of the lower canvas, or CSS pixels within the drawing area. */
    pixels(isCanvas) {
        const { uplot } = this;
        return {
            left: (x) => uplot.valToPos(x, "x", isCanvas),
            top: (y) => (this.view.logY && y <= 0 ? NaN : uplot.valToPos(y, "y", isCanvas)),
        };
    }

    inArea(paint) {
        const { ctx, bbox } = this.uplot;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        paint(ctx, this.pixels(true), devicePixelRatio);
        ctx.restore();
    }

    paintBands() {
        if (!this.hasBands) return;
        this.inArea((ctx, pixels, ratio) => {
            for (const line of this.lines) {
                fillBand(ctx, line, pixels, 0.14);
                if (line.ys !== line.means) strokeLine(ctx, { ...line, ys: line.means }, pixels, ratio, 0.3);
            }
        });
    }

    /** Called by uPlot, which draws only after the task that changed it. */
    drawn() {
        this.paintMarks();
        this.fitOverlay();
        this.handlers.onDraw({ leftOut: this.leftOut, outside: this.outside });
    }

    paintMarks() {
        const { bbox, ctx } = this.uplot;
        const area = {
            top: bbox.top,
            bottom: bbox.top + bbox.height,
            left: bbox.left,
            right: bbox.left + bbox.width,
        };
        this.inArea((_, pixels, ratio) => {
            for (const line of this.lines) paintDots(ctx, line, pixels, ratio, this.hasDots(line));
        });
        paintMarks(ctx, this.lines, this.pixels(true), area, devicePixelRatio, this.theme.warning);
    }

    /** Whether all lines have bands. */
    get hasBands() {
        return this.lines.length <= MOST_BANDS;
    }

    hasDots(line) {
        if (!this.hasBands) return false;
        const [low, high] = this.rangeX();
        const visible = lowerBound(line.xs, high) - lowerBound(line.xs, low) + 1;
        return this.uplot.over.clientWidth / visible >= DOTS_APART;
    }

    hover() {
        const { left, top } = this.uplot.cursor;
        if (left === undefined || left < 0) return;
        this.handlers.onHover({ x: this.uplot.posToVal(left, "x"), left, top });
    }

    select() {
        const { left, width } = this.uplot.select;
        if (width < 5) return;
        const zoom = [this.uplot.posToVal(left, "x"), this.uplot.posToVal(left + width, "x")];
        this.uplot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        this.handlers.onZoom(zoom);
    }

    /** Return the lines at a place, the nearest first; without `top`, in the order of their values. */
    nearest(x, top) {
        if (!this.uplot || this.lines.length === 0) return [];
        return nearestLines(this.lines, { x, top: top ?? 0 }, this.pixels(false));
    }

    /**
     * Show the crosshair at `x` and put one line before the others.
     * @param {{x: number|null, id: string|null}|null} emphasis
     */
    emphasize(emphasis) {
        this.emphasis = emphasis;
        this.frame ||= requestAnimationFrame(() => {
            this.frame = 0;
            this.paintOverlay();
        });
    }

    paintOverlay() {
        if (!this.uplot) return;
        const ctx = this.overlay.getContext("2d");
        const ratio = devicePixelRatio;
        const { width, height } = this.overlay;
        ctx.clearRect(0, 0, width, height);
        if (!this.emphasis) return;
        const { x, id } = this.emphasis;
        const near = this.pixels(false);
        const pixels = { left: (value) => near.left(value) * ratio, top: (value) => near.top(value) * ratio };
        const line = this.lines.find((one) => one.id === id);
        if (line && this.lines.length > 1) {
            ctx.globalAlpha = 0.6;
            ctx.fillStyle = this.theme.surface;
            ctx.fillRect(0, 0, width, height);
            ctx.globalAlpha = 1;
        }
        if (x !== null && x !== undefined) this.paintCrosshair(ctx, pixels.left(x), ratio);
        if (line) this.paintEmphasis(ctx, line, pixels, ratio, x);
    }

    paintCrosshair(ctx, left, ratio) {
        ctx.strokeStyle = this.theme.muted;
        ctx.lineWidth = ratio;
        ctx.setLineDash([3 * ratio, 3 * ratio]);
        ctx.beginPath();
        ctx.moveTo(left, 0);
        ctx.lineTo(left, this.overlay.height);
        ctx.stroke();
        ctx.setLineDash([]);
    }

    paintEmphasis(ctx, line, pixels, ratio, x) {
        fillBand(ctx, line, pixels, 0.2);
        for (const member of line.members)
            strokeLine(ctx, { ...member, color: line.color }, pixels, ratio, 0.5);
        strokeLine(ctx, line, pixels, ratio * 2, 1);
        if (x === null || x === undefined) return;
        const place = nearestPlace(line, x);
        if (place < 0 || !Number.isFinite(line.ys[place])) return;
        ctx.fillStyle = line.color;
        ctx.strokeStyle = this.theme.surface;
        ctx.lineWidth = 2 * ratio;
        ctx.beginPath();
        ctx.arc(pixels.left(line.xs[place]), pixels.top(line.ys[place]), 4.5 * ratio, 0, 2 * Math.PI);
        ctx.fill();
        ctx.stroke();
    }

    destroy() {
        cancelAnimationFrame(this.frame);
        this.resize.disconnect();
        this.uplot?.destroy();
        this.uplot = null;
    }
}

function sameLines(before, after) {
    const isSame = (line, place) =>
        line.id === after[place].id &&
        line.color === after[place].color &&
        String(line.dash) === String(after[place].dash);
    return before.length === after.length && before.every(isSame);
}

function sameAxes(before, after) {
    return before.xKind === after.xKind && before.logX === after.logX && before.logY === after.logY;
}

function padded(low, high, isLog) {
    if (isLog)
        return low === high ? [low / 2, high * 2] : [low / (high / low) ** 0.05, high * (high / low) ** 0.05];
    const margin = low === high ? Math.abs(low) * 0.1 || 1 : (high - low) * 0.05;
    return Number.isFinite(margin) ? [low - margin, high + margin] : [low, high];
}

function readTheme(element) {
    const style = getComputedStyle(element);
    const read = (name) => style.getPropertyValue(name).trim();
    return {
        font: `11px ${style.fontFamily}`,
        surface: read("--bg"),
        grid: read("--grid"),
        text: read("--text"),
        muted: read("--text-faint"),
        warning: read("--warn"),
    };
}

const ruler = document.createElement("canvas").getContext("2d");

function widthOf(texts, theme) {
    ruler.font = theme.font;
    const widest = (texts ?? []).reduce((width, text) => Math.max(width, ruler.measureText(text).width), 0);
    // At least 48 pixels, so that the areas of charts in a column begin at the same place.
    return Math.max(48, Math.ceil(widest) + 14);
}
