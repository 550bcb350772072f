/**
 * Small curves of one metric in the table.
 * Invariants: curves are read for the rows in sight, several in one request, after scrolling has paused.
 * A curve that was read is kept; that of a running run until its row is read again.
 */
import { html, useEffect, useRef, useState } from "../vendor/ui.js";
import { getBinary } from "../api.js";
import { colorOf } from "../colors.js";
import { decodeSeries, meansOf } from "../components/series.js";
import { number } from "../format.js";
import { toastError } from "../toasts.js";
import { splitMetric } from "./groups.js";

const WIDTH = 100;
const HEIGHT = 20;
const BUCKETS = 50;
const PAUSE_MS = 60;
const MOST_KEPT = 2000;
const MOST_ASKED = 25;

const kept = new Map(); // "field run revision" -> curve, or null if the run has none.
let waiting = new Map(); // field -> Map of run -> {key, callback}.
let timer = 0;

function ask(field, run, key, callback) {
    const runs = waiting.get(field) ?? new Map();
    waiting.set(field, runs);
    runs.set(run, { key, callback });
    clearTimeout(timer);
    timer = setTimeout(readWaiting, PAUSE_MS);
    return () => {
        if (runs.get(run)?.callback === callback) runs.delete(run);
    };
}

async function readWaiting() {
    const asked = waiting;
    waiting = new Map();
    for (const [field, runs] of asked) {
        const [metric] = splitMetric(field);
        const ids = [...runs.keys()];
        const keys = new Map(ids.map((run) => [run, runs.get(run).key]));
        for (let from = 0; from < ids.length; from += MOST_ASKED) {
            const some = ids.slice(from, from + MOST_ASKED);
            try {
                const { buffer } = await getBinary("/api/series", {
                    runs: some,
                    metrics: [metric],
                    buckets: BUCKETS,
                });
                const found = new Map(decodeSeries(buffer).curves.map((curve) => [curve.run, curve]));
                for (const run of some) keep(keys.get(run), found.get(run) ?? null);
            } catch (error) {
                toastError(error);
                return;
            }
            for (const run of some) runs.get(run)?.callback();
        }
    }
}

function keep(key, curve) {
    kept.set(key, curve);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
}

/** The path of bucket means within the box; a gap where all points of a bucket are NaN. */
function pathOf(curve) {
    const { start, size } = curve;
    const means = meansOf(curve);
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

export function Sparkline({ row, field }) {
    const run = row.run_id;
    const key = `${field} ${run} ${row.status === "running" ? row.revision : ""}`;
    const [, redraw] = useState(0);
    const last = useRef(null);
    const curve = kept.get(key) ?? last.current;
    last.current = curve;
    useEffect(
        () => (kept.has(key) ? undefined : ask(field, run, key, () => redraw((before) => before + 1))),
        [key],
    );
    const drawn = curve ? pathOf(curve) : null;
    if (!drawn) return null;
    const label = `from ${number(drawn.low)} to ${number(drawn.high)}`;
    return html`<svg class="sparkline" width=${WIDTH} height=${HEIGHT} viewBox=${`0 0 ${WIDTH} ${HEIGHT}`}
        role="img" aria-label=${label}><title>${label}</title>
        <path d=${drawn.path} stroke=${colorOf(row.id)} /></svg>`;
}
