/**
 * Which config keys, metrics and attributes the runs on the screen have.
 * Invariant: fields are read behind the rows, and not more often than every few seconds while runs come.
 */
import { useEffect, useRef, useState } from "../vendor/ui.js";
import { get, wasAborted } from "../api.js";
import { toastError } from "../toasts.js";

const REST_MS = 5000;
const PROBED_RUNS = 100;
const PROBED_KEYS = 60;

const isText = (info) => info.kind === "config" && info.others > 0 && info.numbers === 0;

/**
 * Says of text keys whether the runs on top differ in them: /api/fields has no count of different values.
 * Adds `distinct` to the infos, 1 or 2.
 */
async function probe(fields, rows, signal) {
    const names = fields
        .filter(isText)
        .slice(0, PROBED_KEYS)
        .map(({ name }) => name);
    if (!names.length) return;
    const ids = Array.from({ length: Math.min(rows.total, PROBED_RUNS) }, (_, place) => rows.idAt(place));
    const known = ids.filter((id) => typeof id === "number").slice(0, PROBED_RUNS);
    const found = await get("/api/runs/rows", { ids: known.join(","), columns: names }, signal);
    for (const info of fields) {
        if (!names.includes(info.name)) continue;
        const values = new Set(found.rows.filter(Boolean).map((row) => JSON.stringify(row[info.name])));
        info.distinct = values.size > 1 ? 2 : 1;
    }
}

/** Returns {fields, infos (by name), of (runs), stamp}; `fields` is null until they are read. */
export function useFields(rows) {
    const [found, setFound] = useState({ fields: null, infos: new Map(), of: 0, stamp: null });
    const last = useRef({ key: null, at: 0 });
    useEffect(() => {
        if (!rows) return undefined;
        const { where } = rows.query;
        const key = `${where.join("\u0000")}\u0001${rows.openedAt}`;
        if (key === last.current.key) return undefined;
        const isSameFilter = last.current.key?.startsWith(`${where.join("\u0000")}\u0001`);
        const wait = isSameFilter ? Math.max(0, last.current.at + REST_MS - Date.now()) : 0;
        const abort = new AbortController();
        const read = async () => {
            try {
                const { fields } = await get("/api/fields", { where }, abort.signal);
                await probe(fields, rows, abort.signal);
                last.current = { key, at: Date.now() };
                const infos = new Map(fields.map((info) => [info.name, info]));
                setFound({ fields, infos, of: rows.runs ?? rows.total, stamp: key });
            } catch (error) {
                if (!wasAborted(error)) toastError(error);
            }
        };
        const timer = setTimeout(read, wait);
        return () => {
            clearTimeout(timer);
            abort.abort();
        };
    }, [rows]);
    return found;
}
