/**
 * Reads the curves of one run that are on the screen: several metrics in one request, and while the run runs
 * only what came since. A curve that has grown to twice its buckets is read anew, with wider ones.
 */
import { useEffect, useRef, useState } from "../../vendor/ui.js";
import { getBinary, wasAborted } from "../../api.js";
import { appendTail, decodeSeries } from "../../components/series.js";
import { toastError } from "../../toasts.js";

const BUCKETS = 300;
const AT_ONCE = 12;
const PAUSE_MS = 30; // charts that come into view together are read together

async function readCurves(run, metrics, more, signal) {
    const params = { runs: [run], metrics, buckets: BUCKETS, ...more };
    const { buffer } = await getBinary("/api/series", params, signal);
    return decodeSeries(buffer).curves;
}

function chunks(list, size) {
    return Array.from({ length: Math.ceil(list.length / size) }, (_, place) =>
        list.slice(place * size, (place + 1) * size),
    );
}

/** Groups metrics by the width of their buckets, as one request has one width. */
function byWidth(metrics, curves) {
    const found = new Map();
    for (const metric of metrics) {
        const { width } = curves.get(metric);
        found.set(width, [...(found.get(width) ?? []), metric]);
    }
    return [...found];
}

/**
 * @param {string} run the run's id
 * @param {string[]} wanted metrics that are on the screen
 * @param {number} points counts up when points came
 * @returns {Map<string, object>} the curve of each metric that was read
 */
export function useCurves(run, wanted, points) {
    const [curves, setCurves] = useState(() => new Map());
    const known = useRef(curves);
    const asOf = useRef(new Map()); // for which count of `points` a curve was read, or is being read
    const stop = useRef(null);
    const keep = (found) => {
        known.current = new Map(known.current);
        for (const curve of found) known.current.set(curve.metric, curve);
        setCurves(known.current);
    };
    const read = async (metrics, signal) => {
        const isWhole = (metric) => {
            const size = known.current.get(metric)?.size ?? 0;
            return size === 0 || size > 2 * BUCKETS;
        };
        const whole = metrics.filter(isWhole);
        const growing = metrics.filter((metric) => !whole.includes(metric));
        for (const part of chunks(whole, AT_ONCE)) keep(await readCurves(run, part, {}, signal));
        for (const [width, part] of byWidth(growing, known.current)) {
            const start = Math.min(...part.map((metric) => known.current.get(metric).start.at(-1)));
            const tails = await readCurves(run, part, { width, start }, signal);
            keep(tails.map((tail) => appendTail(known.current.get(tail.metric), tail)));
        }
    };
    useEffect(() => {
        known.current = new Map();
        asOf.current = new Map();
        setCurves(known.current);
        stop.current = new AbortController();
        return () => stop.current.abort();
    }, [run]);
    useEffect(() => {
        const { signal } = stop.current;
        const timer = setTimeout(() => {
            const metrics = wanted.filter((metric) => asOf.current.get(metric) !== points);
            for (const metric of metrics) asOf.current.set(metric, points);
            read(metrics, signal).catch((error) => {
                for (const metric of metrics) asOf.current.delete(metric);
                if (!wasAborted(error)) toastError(error);
            });
        }, PAUSE_MS);
        return () => clearTimeout(timer);
    }, [run, wanted.join("\n"), points]);
    return curves;
}
