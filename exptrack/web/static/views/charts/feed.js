/**
 * Hold the curves of a view, tell its charts when they change, and read what running runs log.
 * @module
 */
import { useEffect, useMemo } from "../../vendor/ui.js";
import { CurveStore } from "../../components/curves.js";
import { watch } from "../../live.js";

const PIXELS_A_BUCKET = 2;

/** A store of curves, and who wants to hear of changes in it. */
function openFeed(options) {
    const listeners = new Map();
    const tell = (metric) => listeners.get(metric)?.forEach((listener) => listener());
    const listen = (metric, listener) => {
        if (!listeners.has(metric)) listeners.set(metric, new Set());
        listeners.get(metric).add(listener);
        return () => listeners.get(metric).delete(listener);
    };
    const isShown = (metric) => (listeners.get(metric)?.size ?? 0) > 0;
    const store = new CurveStore(options, tell, isShown);
    const shown = () => new Set([...listeners.keys()].filter(isShown));
    return { store, listen, shown };
}

/**
 * Keep a feed for these runs and this axis, and follow the runs that go on.
 * @param {object[]|null} runs rows with run_id, row_id, status and duration
 * @param {string} by step, time, or the name of a metric
 * @param {number} width the width of a chart in pixels
 */
export function useFeed(runs, by, width) {
    // In steps of 100, so that a wider window does not read everything again.
    const buckets = Math.ceil(width / PIXELS_A_BUCKET / 100) * 100;
    const ids = runs?.map((run) => run.run_id).join(",");
    const feed = useMemo(() => {
        if (!runs) return null;
        const rows = runs.map(({ run_id, row_id, duration }) => ({
            run_id,
            row_id,
            duration: duration ?? 0,
        }));
        return openFeed({ by, runs: rows, buckets });
    }, [ids, by, buckets]);
    useEffect(() => () => feed?.store.stop(), [feed]);
    const live = runs
        ?.filter((run) => run.status === "running")
        .map((run) => run.run_id)
        .join(",");
    useEffect(() => {
        if (feed === null) return undefined;
        const points = live ? live.split(",") : [];
        const stop = watch({ points }, (event) => {
            if (event.type === "points") feed.store.refresh(event.runs, feed.shown());
            if (event.type !== "again") return;
            feed.store.retry();
            feed.store.refresh(points, feed.shown());
        });
        return () => {
            stop();
            // A run may have ended before the news of its last points came.
            feed.store.refresh(points, feed.shown());
        };
    }, [feed, live]);
    return feed;
}
