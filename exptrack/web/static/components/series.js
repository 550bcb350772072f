/**
 * Decode the binary answer of `/api/series`, and join, coarsen and cut the curves in it.
 *
 * A curve is a set of columns over buckets of one width. Each bucket begins at a multiple of the width.
 * It keeps the number of its points, their sum, least and greatest value, so buckets merge without loss.
 * @module
 */

/** The columns of a curve, in the order in which the server sends them by default. */
export const COLUMNS = ["start", "min", "max", "sum", "count", "nan_count", "first", "last"];

/**
 * @typedef {object} Curve
 * @property {string} run the id of the run
 * @property {string} metric
 * @property {number} width the width of a bucket, in the unit of the axis
 * @property {number} size the number of buckets
 * @property {Float64Array} start where each bucket begins on the axis
 * @property {Float64Array} min the least value, NaN if every value is NaN
 * @property {Float64Array} max the greatest value, NaN if every value is NaN
 * @property {Float64Array} sum the sum of the values that are not NaN
 * @property {Float64Array} count the number of points, NaN included
 * @property {Float64Array} nan_count the number of points that are NaN
 * @property {Float64Array} first the value of the first point
 * @property {Float64Array} last the value of the last point
 * @property {{low: number, high: number, width: number}} [fine] the part that has narrower buckets
 */

/**
 * Decode an answer of `/api/series`.
 * @param {ArrayBuffer} buffer
 * @returns {{version: string, by: string, width: number, curves: Curve[]}}
 */
export function decodeSeries(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    let offset = 4 + length;
    const expected = header.curves.reduce((sum, one) => sum + one.size, 0) * header.columns.length * 8;
    if (buffer.byteLength - offset !== expected) {
        throw new RangeError(`the answer has ${buffer.byteLength - offset} bytes of curves, not ${expected}`);
    }
    const curves = header.curves.map(({ run, metric, size }) => {
        const curve = { run, metric, width: header.width, size };
        for (const name of header.columns) {
            curve[name] = readColumn(buffer, offset, size);
            offset += size * 8;
        }
        return curve;
    });
    return { version: header.version, by: header.by, width: header.width, curves };
}

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function readColumn(buffer, offset, size) {
    if (IS_LITTLE_ENDIAN && offset % 8 === 0) return new Float64Array(buffer, offset, size);
    const view = new DataView(buffer, offset, size * 8);
    return Float64Array.from({ length: size }, (_, place) => view.getFloat64(place * 8, true));
}

/**
 * Return an empty curve of a run and metric.
 * @returns {Curve}
 */
export function emptyCurve(run, metric, width) {
    return pick({ run, metric, width }, [], () => 0);
}

/** Return the place of the first number at or above `value` in sorted numbers. */
export function lowerBound(numbers, value) {
    let low = 0;
    let high = numbers.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (numbers[middle] < value) low = middle + 1;
        else high = middle;
    }
    return low;
}

/**
 * Return the buckets of a curve from `from` to below `to`, which are places, not values of the axis.
 * @param {Curve} curve
 * @returns {Curve}
 */
export function sliceCurve(curve, from, to) {
    const cut = { run: curve.run, metric: curve.metric, width: curve.width, size: Math.max(0, to - from) };
    for (const name of COLUMNS) cut[name] = curve[name].subarray(from, Math.max(from, to));
    return cut;
}

/**
 * Put curves of one run and metric behind one another. Those that follow may have buckets of another width.
 * @param {Curve[]} parts
 * @returns {Curve}
 */
export function concatCurves(parts) {
    const { run, metric, width } = parts[0];
    const joined = { run, metric, width, size: parts.reduce((sum, part) => sum + part.size, 0) };
    for (const name of COLUMNS) {
        const column = new Float64Array(joined.size);
        let offset = 0;
        for (const part of parts) {
            column.set(part[name], offset);
            offset += part.size;
        }
        joined[name] = column;
    }
    return joined;
}

/**
 * Replace the end of a curve by a later reading with the same width that began at one of its buckets.
 * @param {Curve} curve
 * @param {Curve} tail
 * @returns {Curve}
 */
export function appendTail(curve, tail) {
    if (tail.size === 0) return curve;
    const kept = lowerBound(curve.start, tail.start[0]);
    return concatCurves([sliceCurve(curve, 0, kept), tail]);
}

/**
 * Replace the part of a curve from `low` to below `high`, values of the axis, by a finer reading of it.
 *
 * The overview remains on both sides, so smoothing has what came before, and a pan has something to show.
 * @param {Curve} overview
 * @param {Curve} detail
 * @returns {Curve}
 */
export function spliceDetail(overview, detail, low, high) {
    const from = lowerBound(overview.start, low);
    const to = lowerBound(overview.start, high);
    const parts = [sliceCurve(overview, 0, from), detail, sliceCurve(overview, to, overview.size)];
    return { ...concatCurves(parts), fine: { low, high, width: detail.width } };
}

/** Return the width of the bucket that begins at a place of the axis. */
export function widthAt({ width, fine }, start) {
    return fine && start >= fine.low && start < fine.high ? fine.width : width;
}

/**
 * Merge the buckets of a curve into buckets `factor` times as wide, a whole number.
 * @param {Curve} curve
 * @returns {Curve}
 */
export function coarsen(curve, factor) {
    if (factor === 1) return curve;
    const width = curve.width * factor;
    const firsts = [];
    let before = NaN;
    for (let place = 0; place < curve.size; place += 1) {
        // Rounding first, because the start of a bucket is a rounded multiple of the width.
        const bucket = Math.floor(Math.round(curve.start[place] / curve.width) / factor);
        if (bucket !== before) firsts.push(place);
        before = bucket;
    }
    const target = { run: curve.run, metric: curve.metric, width };
    return pick(target, firsts, (name, number) => {
        const from = firsts[number];
        const to = number + 1 < firsts.length ? firsts[number + 1] : curve.size;
        if (name === "start") return Math.floor(Math.round(curve.start[from] / curve.width) / factor) * width;
        if (name === "first") return curve.first[from];
        if (name === "last") return curve.last[to - 1];
        return MERGES[name](curve[name].subarray(from, to));
    });
}

const addAll = (column) => column.reduce((sum, value) => sum + value, 0);
const MERGES = {
    min: (column) =>
        column.reduce((least, value) => (value < least || Number.isNaN(least) ? value : least), NaN),
    max: (column) => column.reduce((most, value) => (value > most || Number.isNaN(most) ? value : most), NaN),
    sum: addAll,
    count: addAll,
    nan_count: addAll,
};

function pick(target, places, valueOf) {
    target.size = places.length;
    for (const name of COLUMNS) {
        target[name] = Float64Array.from({ length: places.length }, (_, number) => valueOf(name, number));
    }
    return target;
}

/**
 * Return the mean of each bucket; NaN where no value is a number, infinite where one value is.
 *
 * The mean lies within the least and greatest value, so a constant metric has that constant exactly.
 * @param {Curve} curve
 * @returns {Float64Array}
 */
export function meansOf(curve) {
    const means = new Float64Array(curve.size);
    for (let place = 0; place < curve.size; place += 1) {
        const finite = curve.count[place] - curve.nan_count[place];
        const mean = finite > 0 ? curve.sum[place] / finite : NaN;
        means[place] = Number.isFinite(mean)
            ? Math.min(Math.max(mean, curve.min[place]), curve.max[place])
            : unboundedMean(curve, place, finite);
    }
    return means;
}

/** A sum of finite values may overflow; then the middle of the extremes stands for the mean. */
function unboundedMean(curve, place, finite) {
    const least = curve.min[place];
    const most = curve.max[place];
    if (finite === 0) return NaN;
    if (Number.isFinite(least) && Number.isFinite(most)) return least / 2 + most / 2;
    if (least === -Infinity && most === Infinity) return NaN;
    return most === Infinity ? Infinity : -Infinity;
}

/** Return the least power of two that is not below a number. */
function powerOfTwo(number) {
    let power = 1;
    while (power < number) power *= 2;
    return power;
}

/**
 * Choose the width of buckets for points from `least` to `most` of an axis.
 *
 * Along steps and times it is a power of two, so that ended runs are read from their stored levels.
 * @param {string} by step, time, or the name of a metric
 * @param {number} buckets the number of buckets that are wanted
 * @returns {number|null} null if the extent is not known
 */
export function chooseWidth(by, least, most, buckets) {
    if (!Number.isFinite(least) || !Number.isFinite(most) || most < least) return null;
    if (by === "step") return powerOfTwo((most - least + 1) / buckets);
    if (by === "time") return powerOfTwo(((most - least) * 1000) / buckets) / 1000;
    const width = (most / 2 - least / 2) * (2 / buckets);
    return width > 0 && Number.isFinite(width) ? width : null;
}
