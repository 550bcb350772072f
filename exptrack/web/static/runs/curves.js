/** Reads the answer of /api/series: a header of JSON, then each curve's columns of float64. */

/** Returns the curves, each {run, metric, size, columns: {start, min, max, sum, …}}. The columns are views. */
export function readCurves(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    let at = 4 + length;
    return header.curves.map((curve) => {
        const columns = {};
        for (const name of header.columns) {
            columns[name] = new Float64Array(buffer, at, curve.size);
            at += 8 * curve.size;
        }
        return { ...curve, columns };
    });
}
