/** Tells a component that something it shows has changed, no more often than it can read anew. */
import { useEffect, useRef, useState } from "../vendor/ui.js";
import { watch } from "../live.js";

/**
 * Counts up when there are news, at most once in `pauseMs`.
 * @param {{runs?: boolean, points?: string[]}} topics what is watched
 * @param {(event: object) => boolean} isNews whether an event matters; every event but a mere commit by default
 */
export function useNews(topics, pauseMs, isNews = () => true) {
    const [count, setCount] = useState(0);
    const latest = useRef(isNews);
    latest.current = isNews;
    useEffect(() => {
        let timer = null;
        let last = -Infinity;
        const stop = watch(topics, (event) => {
            // Every commit makes a version, also that of a run that is not shown.
            if (event.type === "version" || (event.type !== "again" && !latest.current(event))) return;
            // The first news after a quiet time are shown at once.
            const wait = Math.max(0, last + pauseMs - performance.now());
            timer ??= setTimeout(() => {
                timer = null;
                last = performance.now();
                setCount((before) => before + 1);
            }, wait);
        });
        return () => {
            clearTimeout(timer);
            stop();
        };
    }, [JSON.stringify(topics)]);
    return count;
}
