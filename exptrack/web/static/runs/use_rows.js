/**
 * Opens the rows that the URL asks for, and keeps them up to date.
 * Invariants: rows are replaced when the new ones are there, never by nothing; a filter with a problem leaves
 * the last good result. New runs are shown at once only where nothing can jump: newest first, and at the top.
 */
import { useEffect, useLayoutEffect, useRef, useState } from "../vendor/ui.js";
import { wasAborted } from "../api.js";
import { watch } from "../live.js";
import { toastError } from "../toasts.js";
import { GroupedRows } from "./groups.js";
import { RunRows } from "./rows.js";

const keyOf = ({ where, order, grouping }) => JSON.stringify([where, order, grouping]);

/** Rows under way: {key, rows, opening, isOpen, abort}. `asked` is {where, order, columns, grouping}. */
function beginRows({ where, order, columns, grouping }) {
    const nobody = () => {};
    const query = { where, order };
    const rows = grouping
        ? new GroupedRows({ query, ...grouping, columns, onChange: nobody, onError: toastError })
        : new RunRows(query, columns, nobody, toastError);
    const abort = new AbortController();
    const begun = { key: keyOf({ where, order, grouping }), rows, abort, isOpen: false };
    begun.opening = rows.open(abort.signal).then(() => {
        begun.isOpen = true;
    });
    return begun;
}

let early = null; // Rows that were begun before the view asks for them.

/** Begins rows that a view will ask for. Resolves when they are there or cannot be read; the view tells why. */
export function beginEarly(asked) {
    early?.abort.abort();
    early = beginRows(asked);
    return early.opening.catch(() => {});
}

/**
 * Returns {rows, problem, isLoading, reopen, begin}. `grouping` is {keys, metric} or null; `isAtTop` is asked.
 */
export function useRows({ where, order, columns, grouping, open, isAtTop }) {
    const key = keyOf({ where, order, grouping });
    const [shown, setShown] = useState(() => (early?.isOpen && early.key === key ? early.rows : null));
    const [problem, setProblem] = useState(null);
    const [isLoading, setLoading] = useState(shown === null);
    const [attempt, setAttempt] = useState(0);
    const [, setCounts] = useState(null);
    const newest = useRef({});
    newest.current = { shown, isNewestFirst: order.length === 0 && !grouping, isAtTop };

    // At once, and not after the next frame: the server reads while the browser draws.
    useLayoutEffect(() => {
        const begun = early?.key === key ? early : beginRows({ where, order, columns, grouping });
        const { rows } = begun;
        early = null;
        // The view shows how many rows there are. The rows themselves are drawn by the table.
        rows.onChange = () => setCounts([rows.runs, rows.total, rows.added.size].join());
        if (rows === newest.current.shown) return undefined;
        setLoading(true);
        begun.opening.then(
            () => {
                setProblem(null);
                setLoading(false);
                setShown((before) => {
                    before?.close();
                    return rows;
                });
            },
            (error) => {
                if (wasAborted(error)) return;
                setLoading(false);
                if (error.kind === "FilterError") setProblem(error);
                else toastError(error);
            },
        );
        return () => begun.abort.abort();
    }, [key, attempt]);
    useEffect(() => () => newest.current.shown?.close(), []);
    // After the rows are on the screen: in a large archive the index keeps the server busy.
    useEffect(() => {
        shown?.readIndex();
    }, [shown]);
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
    /** Begins other rows before the address asks for them. */
    const begin = (asked) => keyOf(asked) !== key && beginEarly(asked);
    return { rows: shown, problem, isLoading, reopen, begin };
}
