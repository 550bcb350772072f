/**
 * Opens the rows that the URL asks for, and keeps them up to date.
 * Invariants: rows are replaced when the new ones are there, never by nothing; a filter with a problem leaves
 * the last good result. New runs are shown at once only where nothing can jump: newest first, and at the top.
 */
import { useEffect, useRef, useState } from "../vendor/ui.js";
import { wasAborted } from "../api.js";
import { watch } from "../live.js";
import { toastError } from "../toasts.js";
import { GroupedRows } from "./groups.js";
import { RunRows } from "./rows.js";

/** Returns {rows, problem, isLoading, reopen}. `grouping` is {keys, metric} or null; `isAtTop` is asked. */
export function useRows({ where, order, columns, grouping, open, isAtTop }) {
    const [shown, setShown] = useState(null);
    const [problem, setProblem] = useState(null);
    const [isLoading, setLoading] = useState(true);
    const [attempt, setAttempt] = useState(0);
    const [, redraw] = useState(0);
    const newest = useRef({});
    newest.current = { shown, isNewestFirst: order.length === 0 && !grouping, isAtTop };
    const key = JSON.stringify([where, order, grouping]);

    useEffect(() => {
        const abort = new AbortController();
        const changed = () => redraw((before) => before + 1);
        const query = { where, order };
        const rows = grouping
            ? new GroupedRows({ query, ...grouping, columns, onChange: changed, onError: toastError })
            : new RunRows(query, columns, changed, toastError);
        setLoading(true);
        rows.open(abort.signal).then(
            () => {
                setProblem(null);
                setLoading(false);
                setShown((before) => {
                    before?.close();
                    return rows;
                });
                rows.readIndex();
            },
            (error) => {
                if (wasAborted(error)) return;
                setLoading(false);
                if (error.kind === "FilterError") setProblem(error);
                else toastError(error);
            },
        );
        return () => abort.abort();
    }, [key, attempt]);
    useEffect(() => () => newest.current.shown?.close(), []);
    useEffect(() => shown?.show(columns), [shown, columns]);
    useEffect(() => {
        if (shown instanceof GroupedRows) shown.unfold(open);
    }, [shown, open.join("\u0000")]);
    const reopen = () => setAttempt((before) => before + 1);
    useEffect(
        () =>
            watch({ runs: true }, (event) => {
                const { shown: rows, isNewestFirst, isAtTop: top } = newest.current;
                if (!rows) return;
                if (event.type === "again") {
                    if (isNewestFirst && top()) reopen();
                    else rows.reread();
                } else if (event.type === "runs") {
                    rows.take(event);
                    if (event.added.length && isNewestFirst && top()) reopen();
                }
            }),
        [],
    );
    return { rows: shown, problem, isLoading, reopen };
}
