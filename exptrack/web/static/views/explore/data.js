/**
 * Reads the runs that are drawn: the newest 10,000, in blocks, with the columns that the charts need.
 * Invariant: charts are drawn when all blocks are there, and the last ones stay until then.
 */
import { useEffect, useRef, useState } from "../../vendor/ui.js";
import { get, getBinary, wasAborted } from "../../api.js";

export const MOST_RUNS = 10_000;
const BLOCK = 500;
const AT_ONCE = 2;

async function readRows(ids, columns, signal, tell) {
    const blocks = [];
    for (let from = 0; from < ids.length; from += BLOCK) blocks.push(ids.slice(from, from + BLOCK));
    const found = new Array(blocks.length);
    let next = 0;
    let done = 0;
    const work = async () => {
        while (next < blocks.length) {
            const place = next;
            next += 1;
            const asked = { ids: blocks[place].join(","), columns };
            const { rows } = await get("/api/runs/rows", asked, signal);
            found[place] = rows.map((row, at) => row && { ...row, row_id: blocks[place][at] });
            done += 1;
            tell(done / blocks.length);
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return found.flat().filter(Boolean);
}

/** Returns {rows, total, error, share}: `rows` is null until they are read, `share` says how many are here. */
export function useDrawn(where, columns, turn) {
    const [state, setState] = useState({ rows: null, total: 0, error: null, share: 1 });
    const kept = useRef({ key: null, rows: null, columns: [] });
    const key = JSON.stringify([where, turn]);
    const wanted = ["run_id", "name", ...columns];
    useEffect(() => {
        if (columns.length === 0) return undefined;
        const { current } = kept;
        if (current.key === key && wanted.every((name) => current.columns.includes(name))) return undefined;
        const abort = new AbortController();
        const read = async () => {
            try {
                const { buffer } = await getBinary("/api/runs/index", { where }, abort.signal);
                const ids = new Uint32Array(buffer);
                const tell = (share) => setState((before) => ({ ...before, share }));
                const all = [...new Set(wanted)];
                const rows = await readRows([...ids.subarray(0, MOST_RUNS)], all, abort.signal, tell);
                kept.current = { key, rows, columns: all };
                setState({ rows, total: ids.length, error: null, share: 1 });
            } catch (error) {
                if (!wasAborted(error)) setState((before) => ({ ...before, error, share: 1 }));
            }
        };
        read();
        return () => abort.abort();
    }, [key, wanted.join("\u0000")]);
    return state;
}
