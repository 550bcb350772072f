/**
 * Small curves of one metric in the table.
 * Invariants: curves are read for the rows in sight, several in one request, after scrolling has paused.
 * A curve that was read is kept until points came.
 */
import { html, useEffect, useState } from "../vendor/ui.js";
import { getBinary } from "../api.js";
import { colorOf } from "../colors.js";
import { number } from "../format.js";
import { toastError } from "../toasts.js";
import { readCurves } from "./curves.js";
import { splitMetric } from "./groups.js";

const WIDTH = 100;
const HEIGHT = 20;
const BUCKETS = 50;
const PAUSE_MS = 60;
const MOST_KEPT = 2000;
const MOST_ASKED = 25;

const kept = new Map(); // "field run" -> curve, or null if the run has none.
let waiting = new Map(); // field -> Map of run -> [callbacks].
let timer = 0;

function ask(field, run, callback) {
    const runs = waiting.get(field) ?? new Map();
    waiting.set(field, runs);
    runs.set(run, [...(runs.get(run) ?? []), callback]);
    clearTimeout(timer);
    timer = setTimeout(readWaiting, PAUSE_MS);
    return () => {
        const left = (runs.get(run) ?? []).filter((one) => one !== callback);
        if (left.length) runs.set(run, left);
        else runs.delete(run);
    };
}

async function readWaiting() {
    const asked = waiting;
    waiting = new Map();
    for (const [field, runs] of asked) {
        const [metric] = splitMetric(field);
        const ids = [...runs.keys()];
        for (let from = 0; from < ids.length; from += MOST_ASKED) {
            const some = ids.slice(from, from + MOST_ASKED);
            try {
                const { buffer } = await getBinary("/api/series", {
                    runs: some,
                    metrics: [metric],
                    buckets: BUCKETS,
                });
                const found = new Map(readCurves(buffer).map((curve) => [curve.run, curve]));
                for (const run of some) keep(`${field} ${run}`, found.get(run) ?? null);
            } catch (error) {
                toastError(error);
                return;
            }
            for (const run of some) for (const callback of runs.get(run) ?? []) callback();
        }
    }
}

function keep(key, curve) {
    kept.set(key, curve);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
}

/** Forgets the curves of runs that have new points. */
export function forget(run) {
    for (const key of kept.keys()) if (key.endsWith(` ${run}`)) kept.delete(key);
}

/** The path of bucket means within the box; a gap where all points of a bucket are NaN. */
function pathOf({ columns, size }) {
    const { start, sum, count, nan_count: nans } = columns;
    const means = Array.from({ length: size }, (_, at) => sum[at] / (count[at] - nans[at]));
    const finite = means.filter(Number.isFinite);
    if (!finite.length) return null;
    const [low, high] = [Math.min(...finite), Math.max(...finite)];
    const [first, last] = [start[0], start[size - 1]];
    let path = "";
    let isDown = false;
    means.forEach((mean, at) => {
        if (!Number.isFinite(mean)) {
            isDown = false;
            return;
        }
        const x = 2 + ((WIDTH - 4) * (start[at] - first)) / (last - first || 1);
        const y = high === low ? HEIGHT / 2 : 2 + ((HEIGHT - 4) * (high - mean)) / (high - low);
        path += `${isDown ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
        isDown = true;
    });
    return { path: `${path}h0.01`, low, high };
}

export function Sparkline({ run, field }) {
    const key = `${field} ${run}`;
    const [, redraw] = useState(0);
    const curve = kept.get(key);
    useEffect(
        () => (kept.has(key) ? undefined : ask(field, run, () => redraw((before) => before + 1))),
        [key],
    );
    const drawn = curve ? pathOf(curve) : null;
    if (!drawn) return null;
    const label = `from ${number(drawn.low)} to ${number(drawn.high)}`;
    return html`<svg class="sparkline" width=${WIDTH} height=${HEIGHT} viewBox=${`0 0 ${WIDTH} ${HEIGHT}`}
        role="img" aria-label=${label}><title>${label}</title>
        <path d=${drawn.path} stroke=${colorOf(run)} /></svg>`;
}
