/**
 * Find where the values of a chart are first no numbers: to the bucket from what is drawn, then to the step.
 * @module
 */
import { useEffect, useMemo, useState } from "../vendor/ui.js";
import { getBinary, wasAborted } from "../api.js";
import { toastError } from "../toasts.js";
import { bucketWidth, kindsAt, nearestPlace } from "./lines.js";
import { decodeSeries } from "./series.js";

const BUCKETS = 1024; // of one reading

/** Return the first mark of some lines: {x, width, kind, label, run}; null if there is none. */
function firstMark(lines) {
    let first = null;
    for (const line of lines) {
        for (const own of line.members.length > 0 ? line.members : [line]) {
            for (const { x, kind } of own.marks) {
                if (first === null || x < first.x) first = { x, kind, own, label: line.label };
            }
        }
    }
    if (first === null) return null;
    const { own, ...mark } = first;
    return { ...mark, run: own.id, width: bucketWidth(own, nearestPlace(own, first.x)) };
}

/** Read a bucket of steps in ever smaller ones, until the first mark in it is known to the step. */
async function narrow({ run, x, width }, metric, signal) {
    const asked = { runs: [run], metrics: [metric], by: "step" };
    let kind = null;
    while (width > 1) {
        const next = Math.max(1, width / BUCKETS);
        const range = { start: x, stop: x + width, width: next };
        const { buffer } = await getBinary("/api/series", { ...asked, ...range }, signal);
        const [curve] = decodeSeries(buffer).curves;
        const place = curve.start.findIndex((_, at) => kindsAt(curve, at).length > 0);
        if (place < 0) return null; // The run was changed meanwhile.
        [x, width, kind] = [curve.start[place], next, kindsAt(curve, place)[0]];
    }
    return { x, width, kind };
}

/**
 * Return the first mark of some lines: {x, width, kind, label}; null if there is none. A hook.
 * @param {import('./lines.js').Line[]} lines
 * @param {string|null} stepsOf the metric, if the lines show it by step
 */
export function useFirstMark(lines, stepsOf) {
    const first = useMemo(() => firstMark(lines), [lines]);
    const [exact, setExact] = useState({ key: null, mark: null });
    const isWide = first !== null && stepsOf !== null && first.width > 1;
    const key = isWide ? [first.run, first.x, first.width, stepsOf].join("\n") : null;
    useEffect(() => {
        if (key === null) return undefined;
        const abort = new AbortController();
        narrow(first, stepsOf, abort.signal).then(
            (mark) => setExact({ key, mark }),
            (error) => wasAborted(error) || toastError(error),
        );
        return () => abort.abort();
    }, [key]);
    return key !== null && exact.key === key ? { ...first, ...exact.mark } : first;
}
