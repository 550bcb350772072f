/** Reads again when runs change, but not more often than every few seconds. */
import { useEffect, useRef } from "../vendor/ui.js";
import { watch } from "../live.js";

export function useFollow(again, restMs = 2000) {
    const latest = useRef(again);
    latest.current = again;
    useEffect(() => {
        let timer = null;
        const stop = watch({ runs: true }, () => {
            timer ??= setTimeout(() => {
                timer = null;
                latest.current();
            }, restMs);
        });
        return () => {
            clearTimeout(timer);
            stop();
        };
    }, []);
}
