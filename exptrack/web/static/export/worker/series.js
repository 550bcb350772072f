/**
 * Answers questions about curves: puts the points of series into buckets of one width.
 * Invariants: every bucket begins at a multiple of the width, which is a power of two for steps and times.
 * A point is in the bucket of its own position. The order of points is by step, and decides which is the first
 * and which the last. NaN is only counted.
 */
import { readLevel, widen } from "./levels.js";
import { resolveRun } from "./lookup.js";
import { findSeries, readPoints } from "./points.js";
import { Problem } from "./problem.js";

const COLUMNS = ["start", "min", "max", "sum", "count", "nan_count", "first", "last"];
const MAX_CURVES = 5_000;
const MAX_BUCKETS = 100_000;
const LEAST_FLOAT = 2.2250738585072014e-308;
const RANGES_A_BUCKET = 2;
const POINTS_A_RANGE = 4;
const ALIGNMENT = 8;
const invalid = (message) => new Problem("InvalidValueError", message);

function readSeries(question) {
    const wanted = ["runs", "metrics"].map((name) => [...new Set(question.texts(name))]);
    const [ids, metrics] = wanted;
    if (ids.length * metrics.length > MAX_CURVES)
        throw invalid("these are too many curves; ask for fewer at a time");
    const scale = readScale(question);
    const runs = [...new Map(ids.map(resolveRun).map((row) => [row.id, row])).values()];
    const names = [...metrics, scale.by, scale.by.replace(/^metrics\./, "")];
    const series = findSeries(
        runs.map((row) => row.id),
        names,
    );
    const looked = runs.flatMap((row) =>
        metrics.map((metric) => ({ run: row.run_id, metric, ...look(series.get(row.id), metric, scale) })),
    );
    const extents = looked.flatMap(({ extent }) => (extent ? [extent] : []));
    const width = chooseWidth(scale, extents);
    const grid = { width, low: scale.low, stop: scale.stop };
    const curves = looked.map((one) => ({ ...one, columns: fill(one, grid, scale) }));
    return { buffer: pack(curves, scale, width), media_type: null };
}

/** Reads which axis the buckets lie along, in its own unit: steps, milliseconds, or values of a metric. */
function readScale(question) {
    const by = question.text("by", "step");
    const [start, stop, width] = ["start", "stop", "width"].map((name) => question.number(name));
    const buckets = question.whole("buckets", 400);
    if (buckets < 1 || buckets > MAX_BUCKETS) throw invalid(`buckets must be 1 to ${MAX_BUCKETS}`);
    if (width !== null && !(width > 0 && Number.isFinite(width))) throw invalid("width must be above 0");
    const isTime = by === "time";
    const inUnit = (number) => (isTime ? toMs(number) : number);
    const shown = width !== null && isTime ? Math.max(1, Math.round(width * 1000)) : width;
    const low = start === null ? -Infinity : inUnit(start);
    return { by, buckets, low, stop: stop === null ? Infinity : inUnit(stop), width: shown };
}

/** The first whole millisecond at or after a time; 0.459 s is 459 ms, though 0.459 * 1000 is more. */
function toMs(seconds) {
    const ms = seconds * 1000;
    return Math.abs(ms - Math.round(ms)) < 1e-6 ? Math.round(ms) : Math.ceil(ms);
}

/** Takes a first look at a series: its points, their positions, and between which they lie. */
function look(of, metric, scale) {
    const held = of.get(metric);
    if (!held) return { points: null };
    const isPlain = scale.by === "step" || scale.by === "time";
    const level = isPlain ? readLevel(held.series, scale.by) : null;
    // If bounds cut through buckets, the points themselves are read.
    if (level && level.low >= scale.low && level.high < scale.stop) {
        return { held, level, extent: { low: level.low, high: level.high } };
    }
    return lookAtPoints(held, of, scale);
}

function lookAtPoints(held, of, scale) {
    const points = readPoints(held);
    if (scale.by === "step") return { points, positions: points.steps, extent: stepExtent(points, scale) };
    if (scale.by === "time") return { points, positions: points.times, extent: timeExtent(points) };
    const other = of.get(scale.by) ?? of.get(scale.by.replace(/^metrics\./, ""));
    if (!other) return { points: null };
    const axis = keepFinite(readPoints(other));
    return { points, positions: alongMetric(points, axis), extent: metricExtent(points, axis, scale) };
}

function stepExtent({ steps }, { low, stop }) {
    let first = 0;
    while (first < steps.length && steps[first] < low) first += 1;
    let last = steps.length - 1;
    while (last >= first && steps[last] >= stop) last -= 1;
    return last < first ? null : { low: steps[first], high: steps[last] };
}

function timeExtent({ times }) {
    let [low, high] = [Infinity, -Infinity];
    for (const time of times) {
        low = Math.min(low, time);
        high = Math.max(high, time);
    }
    return times.length ? { low, high } : null;
}

function keepFinite({ steps, values }) {
    const places = [...values.keys()].filter((place) => Number.isFinite(values[place]));
    return { steps: places.map((place) => steps[place]), values: places.map((place) => values[place]) };
}

/** The value that the other metric had at each step: that of its last finite point up to it. */
function alongMetric({ steps }, axis) {
    const positions = new Float64Array(steps.length).fill(Number.NaN);
    let next = 0;
    for (let place = 0; place < steps.length; place += 1) {
        while (next < axis.steps.length && axis.steps[next] <= steps[place]) next += 1;
        if (next > 0) positions[place] = axis.values[next - 1];
    }
    return positions;
}

/** Between which values the other metric was, range by range of steps, as the library looks at them. */
function metricExtent({ steps }, axis, { buckets }) {
    if (!steps.length) return null;
    const [begin, end] = [steps[0], steps.at(-1)];
    const parts = Math.min(RANGES_A_BUCKET * buckets, Math.floor(steps.length / POINTS_A_RANGE) + 1);
    const span = Math.ceil((end - begin + 1) / parts);
    let [low, high, point, next] = [Infinity, -Infinity, 0, 0];
    const take = (held) => {
        low = Math.min(low, held);
        high = Math.max(high, held);
    };
    for (let from = begin; from <= end; from += span) {
        const to = Math.min(from + span - 1, end);
        const first = point;
        while (point < steps.length && steps[point] <= to) point += 1;
        while (next < axis.steps.length && axis.steps[next] < from) next += 1;
        const before = next - 1;
        let last = next;
        while (last < axis.steps.length && axis.steps[last] <= to) last += 1;
        if (point > first) {
            if (before >= 0) take(axis.values[before]);
            for (let place = next; place < last; place += 1) take(axis.values[place]);
        }
        next = last;
    }
    return low <= high ? { low, high } : null;
}

/** Chooses the width that gives the buckets that were asked for. */
function chooseWidth({ by, width, low, stop, buckets }, extents) {
    if (!extents.length) return width ?? 1;
    const first = Math.max(Math.min(...extents.map((one) => one.low)), low);
    const last = Math.max(first, Math.min(Math.max(...extents.map((one) => one.high)), stop));
    if (width !== null) {
        if (last / width - first / width <= MAX_BUCKETS) return width;
        throw invalid("this width makes too many buckets; give a larger one, or bounds");
    }
    if (by === "step" || by === "time") return powerOfTwo(Math.ceil((last - first + 1) / buckets));
    // Halves, because the difference of two doubles may be none.
    const span = ((last / 2 - first / 2) / buckets) * 2;
    return span ? Math.max(span, LEAST_FLOAT) : 1;
}

/** The least power of two that is not below a number. */
function powerOfTwo(number) {
    let power = 1;
    while (power < number) power *= 2;
    return power;
}

/** Divides and rounds down, as Python does. */
function floorDivide(number, width) {
    let rest = number % width;
    if (rest !== 0 && rest < 0) rest += width;
    const quotient = (number - rest) / width;
    const whole = Math.floor(quotient);
    return quotient - whole > 0.5 ? whole + 1 : whole;
}

const emptyCell = (cell) => ({ cell, min: NaN, max: NaN, sum: 0, count: 0, nan: 0, first: NaN, last: NaN });

function addTo(held, one) {
    if (held.count === 0) held.first = one;
    held.last = one;
    held.count += 1;
    if (Number.isNaN(one)) {
        held.nan += 1;
        return;
    }
    held.min = held.count - held.nan === 1 || one < held.min ? one : held.min;
    held.max = held.count - held.nan === 1 || one > held.max ? one : held.max;
    held.sum += one;
}

/** Puts the points of a series into cells; returns the columns. */
function fill(looked, grid, scale) {
    const { level, held } = looked;
    if (level && grid.width % level.width === 0)
        return makeColumns(widen(level, grid.width), grid.width, scale);
    const { points, positions } = level ? lookAtPoints(held, null, scale) : looked;
    return makeColumns(sortPoints(points, positions, grid), grid.width, scale);
}

/** Returns the cells of points, in the order of the axis. */
function sortPoints(points, positions, { width, low, stop }) {
    const cells = new Map();
    let held = null;
    for (let place = 0; points && place < positions.length; place += 1) {
        const position = positions[place];
        if (!(position >= low && position < stop)) continue;
        const cell = floorDivide(position, width);
        if (held === null || held.cell !== cell) {
            held = cells.get(cell) ?? emptyCell(cell);
            cells.set(cell, held);
        }
        addTo(held, points.values[place]);
    }
    return [...cells.values()].sort((a, b) => a.cell - b.cell);
}

function makeColumns(sorted, width, { by }) {
    const unit = by === "time" ? 1000 : 1;
    const make = { start: (one) => (one.cell * width) / unit, nan_count: (one) => one.nan };
    return COLUMNS.map((name) => Float64Array.from(sorted, make[name] ?? ((one) => one[name])));
}

/** Writes curves behind a header of JSON that describes them, so that the numbers begin at a multiple of 8. */
function pack(curves, { by }, width) {
    const header = {
        version: "export",
        by,
        width: by === "time" ? width / 1000 : width,
        columns: COLUMNS,
        curves: curves.map(({ run, metric, columns }) => ({ run, metric, size: columns[0].length })),
    };
    const text = new TextEncoder().encode(JSON.stringify(header));
    const begin = Math.ceil((4 + text.length) / ALIGNMENT) * ALIGNMENT;
    const numbers = curves.reduce((total, { columns }) => total + columns[0].length * COLUMNS.length, 0);
    const bytes = new Uint8Array(begin + 8 * numbers).fill(" ".charCodeAt(0), 0, begin);
    new DataView(bytes.buffer).setUint32(0, begin - 4, true);
    bytes.set(text, 4);
    let place = begin;
    for (const column of curves.flatMap(({ columns }) => columns)) {
        bytes.set(new Uint8Array(column.buffer), place);
        place += column.byteLength;
    }
    return bytes.buffer;
}

export const HANDLERS = [["/api/series", readSeries]];
