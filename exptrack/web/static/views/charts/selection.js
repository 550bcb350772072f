/**
 * Read which runs and metrics the charts show, and follow them while they change.
 * @module
 */
import { useEffect, useRef, useState } from "../../vendor/ui.js";
import { get, wasAborted } from "../../api.js";
import { watch } from "../../live.js";
import { BY_ORDER } from "../../components/looks.js";
import { metricName } from "../../components/curves.js";
import { conditionsOf } from "./state.js";

const FACTS = ["run_id", "name", "status", "started", "duration", "group"];
const isColumn = (name) => name && name !== BY_ORDER;
const SETTLE_MS = 300;
const NAMES_MS = 5000; // between looks at which metrics there are, which read all runs that match

/**
 * Return {runs, total, metrics, keys, added, error, again}; runs is null until they are read.
 *
 * `added` counts runs that came since: they are shown after `again()`, so that nothing moves by itself.
 */
export function useSelection(state) {
    const [found, setFound] = useState({ runs: null, total: 0, metrics: [], keys: [], error: null });
    const [added, setAdded] = useState(0);
    const [attempt, setAttempt] = useState(0);
    const where = conditionsOf(state);
    const columns = [
        ...new Set([...FACTS, ...[state.color, state.dash, state.split, ...state.group].filter(isColumn)]),
    ];
    const asked = JSON.stringify([where, columns, state.limit, attempt]);
    const latest = useRef(found);
    latest.current = found;

    useEffect(() => {
        const abort = new AbortController();
        setAdded(0);
        readSelection(where, columns, state.limit, abort.signal).then(
            (next) => setFound({ ...next, error: null }),
            (error) =>
                wasAborted(error) || setFound((before) => ({ ...before, runs: before.runs ?? [], error })),
        );
        return () => abort.abort();
    }, [asked]);

    useEffect(() => {
        const abort = new AbortController();
        let namesAt = performance.now();
        const ask = gather(async (events) => {
            const { runs, metrics } = latest.current;
            if (runs === null) return;
            const own = new Set(runs.map((run) => run.row_id));
            const changed = events.flatMap((one) => one.changed ?? []).some((id) => own.has(id));
            const isAnew = events.some((one) => one.type === "again");
            const came = events.flatMap((one) => one.added ?? []).length;
            if (came > 0 && runs.length === 0) setAttempt((before) => before + 1);
            else setAdded((before) => before + came);
            if (changed || isAnew) {
                const isDue = metrics.length === 0 || performance.now() - namesAt > NAMES_MS;
                if (isDue) namesAt = performance.now();
                const [next, names] = await Promise.all([
                    readRows(runs, columns, abort.signal),
                    isDue ? readNames(latest.current, where, abort.signal) : null,
                ]);
                setFound((before) => (before.runs === runs ? { ...before, ...names, runs: next } : before));
            }
        });
        const stop = watch({ runs: true }, (event) =>
            event.type === "runs" || event.type === "again" ? ask(event) : null,
        );
        return () => {
            stop();
            abort.abort();
        };
    }, [asked]);

    return { ...found, added, again: () => setAttempt((before) => before + 1) };
}

/** Collect events for a moment, and hand them on together. */
function gather(handle) {
    let events = [];
    return (event) => {
        events.push(event);
        if (events.length > 1) return;
        setTimeout(() => {
            const all = events;
            events = [];
            handle(all).catch((error) => {
                if (!wasAborted(error)) throw error;
            });
        }, SETTLE_MS);
    };
}

async function readSelection(where, columns, size, abort) {
    const [rows, fields] = await Promise.all([
        get("/api/runs", { where, order: "-started", columns, size }, abort),
        get("/api/fields", { where }, abort),
    ]);
    const runs = rows.rows.map((row, place) => ({ ...row, row_id: rows.row_ids[place] }));
    return { runs, total: rows.total, ...readFields(fields.fields) };
}

/** Read the rows that are shown anew; what did not change keeps its object, so nothing is drawn for it. */
async function readRows(runs, columns, abort) {
    const ids = runs.map((run) => run.row_id).join(",");
    const { rows } = await get("/api/runs/rows", { ids, columns }, abort);
    const next = runs.map((run, place) => {
        const row = rows[place] && { ...rows[place], row_id: run.row_id };
        return row === null || isSame(row, run) ? run : row;
    });
    return next.every((run, place) => run === runs[place]) ? runs : next;
}

/** Whether two rows of a run differ in more than how long it has been running. */
function isSame(one, other) {
    return JSON.stringify({ ...one, duration: 0 }) === JSON.stringify({ ...other, duration: 0 });
}

const listsEqual = (one, other) =>
    one.length === other.length && one.every((name, place) => name === other[place]);

async function readNames({ metrics, keys }, where, abort) {
    const { fields } = await get("/api/fields", { where }, abort);
    const next = readFields(fields);
    return {
        metrics: listsEqual(next.metrics, metrics) ? metrics : next.metrics,
        keys: listsEqual(next.keys, keys) ? keys : next.keys,
    };
}

function readFields(fields) {
    const metrics = fields.filter((field) => field.kind === "metric").map((field) => metricName(field.name));
    const config = fields.filter((field) => field.kind === "config");
    const varies = (field) => field.others > 0 || field.least !== field.greatest;
    const keys = [...config.filter(varies), ...config.filter((field) => !varies(field))].map(
        (field) => field.name,
    );
    return { metrics: metrics.sort(compareNames), keys };
}

function compareNames(one, other) {
    return one < other ? -1 : one > other ? 1 : 0;
}
