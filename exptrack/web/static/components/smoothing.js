/**
 * Smooth a curve by an exponential mean whose memory is a length on the axis.
 *
 * One length in steps (or seconds) holds for every run and every zoom. A bucket weighs as much as it has
 * points, and what came before fades with the distance, not with the number of buckets. So the result depends
 * neither on the number of points drawn nor on the visible range.
 * @module
 */

/**
 * Return smoothed values: the mean of all up to each place, weighted by count and by exp(-distance / length).
 *
 * The weights are divided by their sum, so the beginning is not drawn toward zero. Constant values stay exactly
 * as they are. A length of zero returns the values as they are. Nothing is carried across a value that is not
 * finite, nor into or across a bucket that holds a NaN.
 *
 * @param {ArrayLike<number>} xs where the values lie on the axis, ascending
 * @param {ArrayLike<number>} values the mean of each bucket
 * @param {ArrayLike<number>} counts the number of points in each bucket
 * @param {ArrayLike<number>} nanCounts how many of them are NaN
 * @param {number} length the distance after which a point weighs 1/e
 * @returns {Float64Array}
 */
export function smooth(xs, values, counts, nanCounts, length) {
    const smoothed = Float64Array.from(values);
    if (!(length > 0)) return smoothed;
    let mean = 0;
    let weight = 0;
    for (let place = 0; place < smoothed.length; place += 1) {
        const value = values[place];
        if (!Number.isFinite(value)) {
            weight = 0;
            continue;
        }
        const points = counts[place] - nanCounts[place];
        const fresh = weight === 0 || nanCounts[place] > 0;
        const kept = fresh ? 0 : weight * Math.exp((xs[place - 1] - xs[place]) / length);
        weight = kept + points;
        // As a step from the mean before: if the value equals it, the mean stays the same to the last bit.
        mean = kept === 0 ? value : mean + (value - mean) * (points / weight);
        smoothed[place] = mean;
    }
    return smoothed;
}
