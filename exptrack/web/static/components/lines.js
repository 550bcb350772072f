/**
 * Turn curves into the lines of a chart: smoothed values, bands, marks, groups, ranges and the nearest line.
 *
 * A line is what a chart draws and names: one run, or a group of runs. Everything here is a pure function.
 * @module
 */
import { lowerBound, meansOf, widthAt } from "./series.js";
import { smooth } from "./smoothing.js";

/**
 * @typedef {object} Line
 * @property {string} id the run id, or the words of the group
 * @property {string} label
 * @property {string} color
 * @property {number[]} dash
 * @property {import('./series.js').Curve} curve the buckets; for a group, an empty curve
 * @property {Float64Array} xs
 * @property {Float64Array} ys what is drawn
 * @property {Float64Array} means the means without smoothing
 * @property {Float64Array} lows the lower edge of the band
 * @property {Float64Array} highs the upper edge of the band
 * @property {Float64Array} counts the number of points, or of runs in a group
 * @property {number} shift how far `xs` lie from the starts of the buckets
 * @property {{x: number, kind: string}[]} marks where values are NaN or infinite
 * @property {Line[]} members the lines of a group's runs
 */

/**
 * Return the line of one run.
 * @param {import('./series.js').Curve} curve
 * @param {{id: string, label: string, color: string, dash: number[]}} look
 * @param {number} length the length of smoothing, 0 for none
 * @param {number} shift added to every x, such as the run's start for a clock axis
 * @returns {Line}
 */
export function makeLine(curve, look, length = 0, shift = 0) {
    const means = meansOf(curve);
    const ys = smooth(curve.start, means, curve.count, curve.nan_count, length);
    // Rounded to the width, so that runs that began at any moment share their buckets.
    const moved = Math.round(shift / curve.width) * curve.width;
    const xs = moved === 0 ? curve.start : curve.start.map((x) => x + moved);
    const marks = [];
    for (let place = 0; place < curve.size; place += 1) {
        for (const kind of kindsAt(curve, place)) marks.push({ x: xs[place], kind });
    }
    const shape = { xs, ys, means, lows: curve.min, highs: curve.max, counts: curve.count };
    return { ...look, curve, ...shape, shift: moved, marks, members: [] };
}

/** Return which values that are no numbers a bucket holds: nan, infinity, -infinity. */
export function kindsAt(curve, place) {
    const kinds = [];
    if (curve.nan_count[place] > 0) kinds.push("nan");
    if (curve.max[place] === Infinity) kinds.push("infinity");
    if (curve.min[place] === -Infinity) kinds.push("-infinity");
    return kinds;
}

/** Return how wide the bucket of a line at a place is. */
export function bucketWidth(line, place) {
    return widthAt(line.curve, line.xs[place] - line.shift);
}

/** Return the ascending union of numbers, in which those nearer than `tolerance` are one. */
export function mergeAxes(axes, tolerance) {
    const all = new Float64Array(axes.reduce((sum, axis) => sum + axis.length, 0));
    let filled = 0;
    for (const axis of axes) {
        all.set(axis, filled);
        filled += axis.length;
    }
    all.sort();
    let kept = 0;
    for (let place = 0; place < all.length; place += 1) {
        if (kept === 0 || all[place] - all[kept - 1] > tolerance) all[kept++] = all[place];
    }
    return all.subarray(0, kept);
}

/** Return the tolerance within which places of these lines are the same place. */
export function toleranceOf(lines) {
    const widths = lines.map((line) => line.curve.width).filter((width) => width > 0);
    return widths.length === 0 ? 0 : Math.min(...widths) * 1e-6;
}

/**
 * Return the line of a group: at each place the mean over its runs, with a band of their spread.
 * @param {Line[]} members
 * @param {{id: string, label: string, color: string, dash: number[]}} look
 * @param {'deviation'|'range'} band
 * @returns {Line}
 */
export function groupLine(members, look, band) {
    const tolerance = toleranceOf(members);
    const xs = mergeAxes(
        members.map((line) => line.xs),
        tolerance,
    );
    const size = xs.length;
    const [counts, ys, squares] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
    const [lows, highs] = [new Float64Array(size).fill(Infinity), new Float64Array(size).fill(-Infinity)];
    for (const line of members) {
        walk(xs, line.xs, tolerance, (place, own) => {
            const value = line.ys[own];
            if (!Number.isFinite(value)) return;
            counts[place] += 1;
            const off = value - ys[place];
            ys[place] += off / counts[place];
            squares[place] += off * (value - ys[place]);
            lows[place] = Math.min(lows[place], value);
            highs[place] = Math.max(highs[place], value);
        });
    }
    for (let place = 0; place < size; place += 1) {
        if (counts[place] === 0) ys[place] = lows[place] = highs[place] = NaN;
        else if (band === "deviation") {
            const spread = counts[place] > 1 ? Math.sqrt(squares[place] / (counts[place] - 1)) : 0;
            lows[place] = ys[place] - spread;
            highs[place] = ys[place] + spread;
        }
    }
    const marks = members.flatMap((line) => line.marks);
    const curve = { ...members[0].curve, size: 0 };
    return {
        ...look,
        curve,
        shift: members[0].shift,
        xs,
        ys,
        means: ys,
        lows,
        highs,
        counts,
        marks,
        members,
    };
}

/** Call `visit(place in xs, place in own)` for each place of a line, both ascending. */
function walk(xs, own, tolerance, visit) {
    let place = 0;
    for (let number = 0; number < own.length; number += 1) {
        while (xs[place] < own[number] - tolerance) place += 1;
        visit(place, number);
    }
}

/**
 * Return the columns that uPlot draws, and what a log axis leaves out.
 *
 * Where a line has no bucket, its value is undefined: the line goes on. What cannot be drawn is null: a gap.
 * @param {Line[]} lines
 * @returns {{data: ArrayLike<number>[], leftOut: {values: number, lines: number}}}
 */
export function plotData(lines, { logX = false, logY = false } = {}) {
    const tolerance = toleranceOf(lines);
    let xs = mergeAxes(
        lines.map((line) => line.xs),
        tolerance,
    );
    if (logX) xs = xs.filter((x) => x > 0);
    const leftOut = { values: 0, lines: 0 };
    const columns = lines.map((line) => {
        const column = new Array(xs.length);
        const from = logX ? line.xs.findIndex((x) => x > 0) : 0;
        let left = from < 0 ? line.xs.length : from;
        walk(xs, from < 0 ? [] : line.xs.subarray(from), tolerance, (place, number) => {
            const value = line.ys[from + number];
            const isBelow = logY && value <= 0;
            if (isBelow) left += 1;
            column[place] = Number.isFinite(value) && !isBelow ? value : null;
        });
        leftOut.values += left;
        leftOut.lines += left > 0 ? 1 : 0;
        return column;
    });
    return { data: [xs, ...columns], leftOut };
}

const FENCE = 3; // times the distance of the quartiles; beyond it Tukey calls a value far out

/** Call `visit(value, place)` for each value of a line that lies in view and can be drawn. */
function eachVisible(line, { low, high, isLog }, visit) {
    const to = lowerBound(line.xs, high);
    const end = line.xs[to] === high ? to + 1 : to;
    for (let place = lowerBound(line.xs, low); place < end; place += 1) {
        if (isDrawn(line.ys[place], isLog)) visit(line.ys[place], place);
    }
}

const isDrawn = (value, isLog) => Number.isFinite(value) && (!isLog || value > 0);

/**
 * Return the range of y for what is visible; without outliers if they are to be ignored.
 * @param {Line[]} lines
 * @param {{low: number, high: number, isLog: boolean, ignoreOutliers: boolean, hasBands: boolean}} view
 * @returns {[number, number]}
 */
export function valueRange(lines, view) {
    const { isLog, ignoreOutliers, hasBands } = view;
    const values = [];
    const add = (value) => {
        if (isDrawn(value, isLog)) values.push(value);
    };
    for (const line of lines) {
        eachVisible(line, view, (value, place) => {
            values.push(value);
            if (hasBands && !ignoreOutliers) {
                add(line.lows[place]);
                add(line.highs[place]);
            }
        });
    }
    if (values.length === 0) return isLog ? [1, 10] : [0, 1];
    if (!ignoreOutliers) return extremes(values);
    const [bottom, top] = fences(Float64Array.from(values).sort(), isLog);
    return extremes(values.filter((value) => value >= bottom && value <= top));
}

function extremes(values) {
    let [least, most] = [Infinity, -Infinity];
    for (const value of values) {
        if (value < least) least = value;
        if (value > most) most = value;
    }
    return [least, most];
}

/** Count the points in view along x whose values lie below `bottom` or above `top`. */
export function countOutside(lines, view, bottom, top) {
    let outside = 0;
    for (const line of lines) {
        eachVisible(line, view, (value) => {
            if (value < bottom || value > top) outside += 1;
        });
    }
    return outside;
}

function fences(sorted, isLog) {
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    const [lower, upper] = [at(0.25), at(0.75)];
    if (isLog) {
        const reach = (upper / lower) ** FENCE;
        return [lower / reach, upper * reach];
    }
    const reach = (upper - lower) * FENCE;
    return [lower - reach, upper + reach];
}

const UNSEEN = 1000; // A part of an axis as small as this is less than a pixel of a chart.

/**
 * Return whether a linear axis would hide half of the values, as a diverging loss does: they lie within a pixel
 * of its end. All must be above 0, as a log axis leaves out the others.
 * @param {Line[]} lines
 */
export function wantsLog(lines) {
    let most = 0;
    let count = 0;
    for (const { ys } of lines) {
        for (const value of ys) {
            if (!Number.isFinite(value)) continue;
            if (value <= 0) return false;
            most = Math.max(most, value);
            count += 1;
        }
    }
    let hidden = 0;
    for (const { ys } of lines) for (const value of ys) if (value < most / UNSEEN) hidden += 1;
    return hidden > 0 && 2 * hidden >= count;
}

/** Return the place of a line's point nearest to `x`, or -1 if it has none. */
export function nearestPlace(line, x) {
    const after = lowerBound(line.xs, x);
    if (after === line.xs.length) return after - 1;
    if (after === 0) return 0;
    return x - line.xs[after - 1] <= line.xs[after] - x ? after - 1 : after;
}

/**
 * Return the lines that reach a place of the chart, the nearest first.
 * @param {Line[]} lines
 * @param {{x: number, top: number}} cursor a value of the axis, and pixels from the top
 * @param {{left: (x: number) => number, top: (y: number) => number}} toPixels
 * @param {number} reach how many pixels a line may end before the cursor
 * @returns {{line: Line, place: number, distance: number}[]}
 */
export function nearestLines(lines, cursor, toPixels, reach = 12) {
    const left = toPixels.left(cursor.x);
    const found = [];
    for (const line of lines) {
        const { xs } = line;
        if (xs.length === 0) continue;
        if (toPixels.left(xs[0]) - reach > left || toPixels.left(xs[xs.length - 1]) + reach < left) continue;
        const distance = Math.abs(topAt(line, left, cursor.x, toPixels) - cursor.top);
        const place = nearestPlace(line, cursor.x);
        found.push({ line, place, distance: Number.isNaN(distance) ? Infinity : distance });
    }
    return found.sort((one, other) => one.distance - other.distance);
}

/** Return how far from the top the drawn line passes, between the points beside the cursor. */
function topAt({ xs, ys }, left, x, toPixels) {
    const after = Math.min(lowerBound(xs, x), xs.length - 1);
    const before = Math.max(0, after - 1);
    const [topBefore, topAfter] = [toPixels.top(ys[before]), toPixels.top(ys[after])];
    const [leftBefore, leftAfter] = [toPixels.left(xs[before]), toPixels.left(xs[after])];
    if (!Number.isFinite(topBefore) || leftBefore >= leftAfter) return topAfter;
    if (!Number.isFinite(topAfter)) return topBefore;
    const share = Math.min(1, Math.max(0, (left - leftBefore) / (leftAfter - leftBefore)));
    return topBefore + (topAfter - topBefore) * share;
}
