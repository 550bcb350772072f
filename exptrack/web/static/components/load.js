/**
 * Reads something for a component: the hook useLoad, and how its three outcomes are shown.
 * The last answer stays on the screen while the next one is on its way, so nothing jumps.
 */
import { html, useEffect, useRef, useState } from "../vendor/ui.js";

/**
 * Calls `load(signal)` whenever one of `keys` changes, and drops the answer of an older call. When `refresh`
 * changes it calls again, but lets a call that is under way end first: news that come often starve no reading.
 * @returns {{data: any, error: Error|null, loading: boolean, reload: () => void}}
 */
export function useLoad(load, keys, refresh = 0) {
    const [state, setState] = useState({ data: null, error: null, loading: true });
    const [turn, setTurn] = useState(0);
    const latest = useRef(load);
    latest.current = load;
    const job = useRef(null); // what is read now: {stop, again}
    const stopper = useRef(null);
    const seen = useRef(refresh);
    const start = () => {
        const mine = { stop: stopper.current, again: false };
        const end = (change) => {
            if (mine.stop.signal.aborted) return;
            job.current = null;
            setState(change);
            if (mine.again) start();
        };
        job.current = mine;
        setState((before) => ({ ...before, loading: true }));
        latest.current(mine.stop.signal).then(
            (data) => end({ data, error: null, loading: false }),
            (error) => end((before) => ({ data: before.data, error, loading: false })),
        );
    };
    useEffect(() => {
        stopper.current = new AbortController();
        start();
        return () => stopper.current.abort();
    }, [...keys, turn]);
    useEffect(() => {
        if (seen.current === refresh) return;
        seen.current = refresh;
        if (job.current) job.current.again = true;
        else start();
    }, [refresh]);
    return { ...state, reload: () => setTurn((before) => before + 1) };
}

/** What went wrong, in the words of the server, with a button to try again. */
export function Problem({ error, retry }) {
    return html`<div class="problem" role="alert">
        <p>${error.message}</p>
        ${retry && html`<button type="button" onClick=${retry}>Try again</button>`}
    </div>`;
}

/** A place where there is nothing yet: one sentence, and what to do about it. */
export function Empty({ title, children }) {
    return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}

/** Shows the outcome of useLoad: its problem, a quiet word while it reads for the first time,
    or `children(data)`. */
export function Loaded({ of, children }) {
    if (of.error && of.data === null) return html`<${Problem} error=${of.error} retry=${of.reload} />`;
    if (of.data === null) return html`<p class="reading" aria-busy="true">Reading…</p>`;
    return html`${of.error && html`<${Problem} error=${of.error} retry=${of.reload} />`}${children(of.data)}`;
}
