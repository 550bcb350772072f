/** Widths of columns, remembered in this browser: they are looks, and not part of what a link shows. */
import { useState } from "../vendor/ui.js";

const STORED = "exptrack.widths";

function read() {
    try {
        const found = JSON.parse(localStorage.getItem(STORED) ?? "{}");
        return typeof found === "object" && found !== null ? found : {};
    } catch {
        return {}; // Storage may be forbidden or hold something else; each column then has its own width.
    }
}

/** Returns the widths by column, and a function that sets one. */
export function useWidths() {
    const [widths, setWidths] = useState(read);
    const setWidth = (id, width) => {
        setWidths((before) => {
            const next = { ...before, [id]: Math.round(width) };
            try {
                localStorage.setItem(STORED, JSON.stringify(next));
            } catch {
                // Without storage a width lasts as long as the page.
            }
            return next;
        });
    };
    return [widths, setWidth];
}
