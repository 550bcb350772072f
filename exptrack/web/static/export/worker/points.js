/** Reads the points of series in key order, and keeps those that were read last. */
import { each, rows } from "./database.js";
import { OF_LIST } from "./lookup.js";

const KEPT_POINTS = 4_000_000;
const kept = new Map();
let size = 0;

/** Finds series: run -> name -> {series, points}. */
export function findSeries(runs, names) {
    const sql = `SELECT s.run, n.name, s.id, s.count FROM metric_name AS n JOIN metric_series AS s
        ON s.metric = n.id
        WHERE n.name ${OF_LIST} AND s.run ${OF_LIST}`;
    const found = new Map(runs.map((run) => [run, new Map()]));
    for (const [run, name, series, points] of rows(sql, [JSON.stringify(names), JSON.stringify(runs)])) {
        found.get(run).set(name, { series, points });
    }
    return found;
}

/** Returns the points of a series: steps, milliseconds and values, NaN where NaN was logged. */
export function readPoints({ series, points }) {
    const known = kept.get(series);
    if (known) {
        kept.delete(series);
        kept.set(series, known);
        return known;
    }
    const found = {
        steps: new Float64Array(points),
        times: new Float64Array(points),
        values: new Float64Array(points),
    };
    let place = 0;
    const sql = "SELECT step, time_ms, value FROM metric_point WHERE series = ? ORDER BY step, seq LIMIT ?";
    each(sql, [series, points], ([step, time, held]) => {
        found.steps[place] = Number(step);
        found.times[place] = Number(time);
        found.values[place] = held === null ? Number.NaN : held;
        place += 1;
    });
    const whole = place === points ? found : cutAll(found, place);
    keep(series, whole);
    return whole;
}

const cutAll = (found, end) =>
    Object.fromEntries(Object.entries(found).map(([name, column]) => [name, column.subarray(0, end)]));

function keep(series, found) {
    kept.set(series, found);
    size += found.steps.length;
    for (const [oldest, held] of kept) {
        if (size <= KEPT_POINTS || oldest === series) break;
        kept.delete(oldest);
        size -= held.steps.length;
    }
}

/** Forgets what was read; another archive was opened. */
export function forgetPoints() {
    kept.clear();
    size = 0;
}
