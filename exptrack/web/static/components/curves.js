/**
 * Read the curves of a page: five runs a request, the same buckets for all runs of a metric, tails while live.
 *
 * An overview of each metric stays in memory. A zoom reads its range at a finer width and lies above the
 * overview, so going back needs no request. A live tick reads only from the last bucket on.
 * @module
 */
import { get, getBinary, wasAborted } from "../api.js";
import { numeric } from "../format.js";
import { appendTail, chooseWidth, coarsen, decodeSeries, spliceDetail } from "./series.js";

const RUNS_A_REQUEST = 5;
const REQUESTS_AT_ONCE = 3;
const MOST_BUCKETS = 1000;

/** The name of a metric from a field such as `metrics.loss` or `metrics."acc.max"`. */
export function metricName(field) {
    const parts = field.slice("metrics.".length).match(/"(?:[^"\\]|\\.)*"|[^."]+/g) ?? [];
    return parts
        .map((part) => (part.startsWith('"') ? part.slice(1, -1).replace(/\\(.)/g, "$1") : part))
        .join(".");
}

/** Quote a text as the filter language reads it. */
export function quote(text) {
    return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** The field of a metric, with every part quoted. */
export function metricField(name) {
    return `metrics.${name.split(".").map(quote).join(".")}`;
}

/** The curves of one metric, and what is being read of it. */
class MetricCurves {
    constructor(metric) {
        this.metric = metric;
        this.width = null;
        this.overview = new Map();
        this.detail = null; // {key, width, parts} of the zoom; a part is {low, high, curve}
        this.news = new Set(); // runs with points that were not read
        this.isReading = false;
        this.isLoaded = false;
        this.requests = 0;
        this.error = null;
        this.version = 0; // changes whenever a curve does
    }

    /** The curve of a run as it is to be drawn: the overview, with the zoom's finer part in it. */
    curveOf(run) {
        const overview = this.overview.get(run);
        const fine = this.detail?.parts.get(run);
        return overview && fine ? spliceDetail(overview, fine.curve, fine.low, fine.high) : overview;
    }
}

/** Reads and keeps the curves of several runs along one axis. */
export class CurveStore {
    /**
     * @param {{by: string, runs: object[], buckets: number}} options runs are {run_id, row_id, duration}
     * @param {(metric: string) => void} onChange called after the curves of a metric changed
     * @param {(metric: string) => boolean} isShown whether a chart of a metric is on the screen
     */
    constructor({ by, runs, buckets }, onChange, isShown) {
        this.by = by;
        this.runs = runs;
        this.buckets = Math.min(MOST_BUCKETS, Math.max(50, Math.round(buckets)));
        this.onChange = onChange;
        this.isShown = isShown;
        this.metrics = new Map();
        this.queue = [];
        this.running = 0;
        this.abort = new AbortController();
    }

    stop() {
        this.abort.abort();
        this.queue = [];
    }

    /** Return the curves of a metric, and begin to read them if that was not done. */
    want(metric) {
        let found = this.metrics.get(metric);
        if (found === undefined) {
            found = new MetricCurves(metric);
            this.metrics.set(metric, found);
            this.enqueue(found, () => this.readOverview(found));
        }
        return found;
    }

    enqueue(curves, task) {
        this.queue.push({ curves, task });
        this.pump();
    }

    pump() {
        while (this.running < REQUESTS_AT_ONCE && this.queue.length > 0) {
            const [{ curves, task }] = this.queue.splice(this.findNext(), 1);
            curves.requests += 1;
            this.running += 1;
            this.run(curves, task);
        }
    }

    /** Charts on the screen come before those that were scrolled past; of these, the one with fewest lines. */
    findNext() {
        const cost = ({ curves }) => curves.requests + (this.isShown(curves.metric) ? 0 : 1e6);
        return this.queue.reduce(
            (best, one, place) => (cost(one) < cost(this.queue[best]) ? place : best),
            0,
        );
    }

    async run(curves, task) {
        try {
            await task();
        } catch (error) {
            if (!wasAborted(error)) {
                curves.error = error;
                this.changed(curves);
            }
        } finally {
            this.running -= 1;
            if (!this.abort.signal.aborted) this.pump();
        }
    }

    changed(curves) {
        if (this.abort.signal.aborted) return;
        curves.version += 1;
        this.onChange(curves.metric);
    }

    async readOverview(curves) {
        const { runs, least, most } = await this.readExtent(curves.metric);
        if (runs.length === 0) {
            curves.isLoaded = true;
            this.changed(curves);
            return;
        }
        curves.width = chooseWidth(this.by, least, most, this.buckets);
        // Without a width the server chooses one for the runs of a request, so all runs must be in it.
        const size = curves.width === null ? runs.length : RUNS_A_REQUEST;
        let waiting = Math.ceil(runs.length / size);
        for (let from = 0; from < runs.length; from += size) {
            this.enqueue(curves, async () => {
                const found = await this.read(curves, runs.slice(from, from + size), { width: curves.width });
                curves.width = found.width;
                for (const curve of found.curves) curves.overview.set(curve.run, curve);
                waiting -= 1;
                curves.isLoaded = waiting === 0;
                this.changed(curves);
            });
        }
    }

    /** Return which runs have a metric, and from where to where it reaches along the axis. */
    async readExtent(metric) {
        const field = metricField(metric);
        const along = this.by === "step" || this.by === "time" ? null : metricField(this.by);
        const columns = along
            ? [`${field}.count`, `${along}.min`, `${along}.max`]
            : [`${field}.first_step`, `${field}.last_step`];
        const ids = this.runs.map((run) => run.row_id).join(",");
        const { rows } = await get("/api/runs/rows", { ids, columns }, this.abort.signal);
        const [low, high] = columns.slice(-2);
        let [least, most] = [Infinity, -Infinity];
        const runs = this.runs.filter((run, place) => {
            const row = rows[place];
            if (row === null || row[columns[0]] === null) return false;
            least = Math.min(least, this.by === "time" ? 0 : numeric(row[low] ?? Infinity));
            most = Math.max(most, this.by === "time" ? run.duration : numeric(row[high] ?? -Infinity));
            return true;
        });
        return { runs, least, most };
    }

    async read(curves, runs, { width, start = null, stop = null }) {
        const { buffer } = await getBinary(
            "/api/series",
            {
                runs: runs.map((run) => run.run_id),
                metrics: [curves.metric],
                buckets: this.buckets,
                by: this.by,
                width,
                start,
                stop,
            },
            this.abort.signal,
        );
        return decodeSeries(buffer);
    }

    /**
     * Read the visible range of a metric at a finer width; null goes back to the overview.
     * @param {string} metric
     * @param {[number, number]|null} range
     * @param {(run: object) => number} shiftOf how far the axis of a run is moved in the chart
     */
    zoom(metric, range, shiftOf = () => 0) {
        const curves = this.want(metric);
        const key = range === null ? "" : range.join(" ");
        if (curves.width === null || (curves.detail?.key ?? "") === key) return;
        if (range === null) {
            curves.detail = null;
            this.changed(curves);
            return;
        }
        const width = chooseWidth(this.by, 0, range[1] - range[0], this.buckets);
        const detail = { key, width, parts: new Map() };
        curves.detail = detail;
        if (width === null || width > curves.width / 2) return;
        const runs = this.runs.filter((run) => (curves.overview.get(run.run_id)?.size ?? 0) > 0);
        // Runs whose axes are moved apart have ranges of their own, so each needs its own request.
        const size = runs.some((run) => shiftOf(run) !== shiftOf(runs[0])) ? 1 : RUNS_A_REQUEST;
        for (let from = 0; from < runs.length; from += size) {
            const some = runs.slice(from, from + size);
            const [low, high] = range.map((edge) => edge - shiftOf(some[0]));
            this.enqueue(curves, () => this.readDetail(curves, detail, some, low, high));
        }
    }

    async readDetail(curves, detail, runs, from, to) {
        if (curves.detail !== detail) return;
        // At edges of the overview's buckets, so that none is cut in two.
        const low = Math.floor(from / curves.width) * curves.width;
        const high = (Math.floor(to / curves.width) + 1) * curves.width;
        const found = await this.read(curves, runs, { width: detail.width, start: low, stop: high });
        for (const curve of found.curves) detail.parts.set(curve.run, { low, high, curve });
        this.changed(curves);
    }

    /**
     * Read what runs logged since, of these metrics now and of the others when they are wanted again.
     * @param {string[]} runIds
     * @param {Set<string>} visible
     */
    refresh(runIds, visible) {
        for (const curves of this.metrics.values()) {
            for (const run of runIds) curves.news.add(run);
            if (visible.has(curves.metric)) this.catchUp(curves.metric);
        }
    }

    /** Read again what could not be read, such as after the server was started anew. */
    retry() {
        for (const curves of this.metrics.values()) {
            if (curves.error === null) continue;
            curves.error = null;
            this.enqueue(curves, () => this.readOverview(curves));
        }
    }

    /** Read the tails of a metric that are outstanding. */
    catchUp(metric) {
        const curves = this.metrics.get(metric);
        if (!curves?.news.size || curves.isReading || !curves.isLoaded) return;
        curves.isReading = true;
        this.enqueue(curves, async () => {
            try {
                await this.readTails(curves);
            } finally {
                curves.isReading = false;
            }
            this.catchUp(metric);
        });
    }

    async readTails(curves) {
        const runs = this.runs.filter((run) => curves.news.has(run.run_id));
        curves.news = new Set();
        if (curves.width === null) {
            await this.readOverview(curves);
            return;
        }
        const ends = runs.map((run) => lastStart(curves.overview.get(run.run_id)));
        // A run without points yet may begin anywhere.
        const start = ends.includes(null) ? null : Math.min(...ends);
        const found = await this.read(curves, runs, { width: curves.width, start });
        for (const tail of found.curves) {
            const before = curves.overview.get(tail.run);
            curves.overview.set(tail.run, before ? appendTail(before, tail) : tail);
        }
        await this.readDetailTails(curves, found.curves);
        this.limitSize(curves);
        if (found.curves.some((curve) => curve.size > 0)) this.changed(curves);
    }

    /** Read the ends of zoomed runs too, where what they logged lies in the range. */
    async readDetailTails(curves, tails) {
        const { detail } = curves;
        const ranges = new Map();
        for (const tail of tails) {
            const part = detail?.parts.get(tail.run);
            if (part === undefined || tail.size === 0 || tail.start[0] >= part.high) continue;
            const key = `${part.low} ${part.high}`;
            ranges.set(key, [...(ranges.get(key) ?? []), tail.run]);
        }
        for (const ids of ranges.values()) {
            const parts = ids.map((id) => detail.parts.get(id));
            const start = Math.min(...parts.map((part) => lastStart(part.curve) ?? part.low));
            const runs = this.runs.filter((run) => ids.includes(run.run_id));
            const found = await this.read(curves, runs, { width: detail.width, start, stop: parts[0].high });
            for (const tail of found.curves) {
                const part = detail.parts.get(tail.run);
                detail.parts.set(tail.run, { ...part, curve: appendTail(part.curve, tail) });
            }
        }
    }

    /** Double the width of all buckets when a growing run has twice as many as were asked for. */
    limitSize(curves) {
        const sizes = [...curves.overview.values()].map((curve) => curve.size);
        if (Math.max(...sizes) <= this.buckets * 2) return;
        for (const [run, curve] of curves.overview) curves.overview.set(run, coarsen(curve, 2));
        curves.width *= 2;
    }
}

const lastStart = (curve) => (curve?.size ? curve.start[curve.size - 1] : null);
