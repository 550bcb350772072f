/**
 * Keyboard: which keys do what, on the whole page and in the view that is shown.
 * A binding is {keys, does, run}: `keys` is one key ("j", "ArrowDown", "Ctrl+Enter") or two in turn ("g r").
 * Invariant: no key acts while the person types into a field, except Escape.
 */
import { signal, useEffect, useRef } from "./vendor/ui.js";

const CHORD_MS = 1200;

/** The groups of bindings that act now, each {title, bindings}; the newest comes first. */
export const bound = signal([]);

/** Lets a group of bindings act until the function that it returns is called. */
export function bind(group) {
    bound.value = [group, ...bound.peek()];
    return () => {
        bound.value = bound.peek().filter((other) => other !== group);
    };
}

/** Lets bindings act as long as the component is shown; the newest functions are called. */
export function useKeys(title, bindings) {
    const latest = useRef(bindings);
    latest.current = bindings;
    useEffect(() => {
        const stable = bindings.map(({ keys, does }, place) => ({
            keys,
            does,
            run: (event) => latest.current[place].run(event),
        }));
        return bind({ title, bindings: stable });
    }, [title, bindings.map(({ keys }) => keys).join("|")]);
}

function nameOf(event) {
    const held = (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + (event.altKey ? "Alt+" : "");
    return held + (event.shiftKey && event.key.length > 1 ? "Shift+" : "") + event.key;
}

const isTyping = (target) =>
    target instanceof Element &&
    (target.closest("input:not([type=checkbox], [type=radio], [type=range]), textarea, select") !== null ||
        target.isContentEditable ||
        target.shadowRoot !== null);

let first = null;

/** Finds the binding of a key that was pressed, and runs it. */
export function onKeyDown(event) {
    if (event.defaultPrevented || event.isComposing) return;
    const key = nameOf(event);
    if (isTyping(event.target) && event.key !== "Escape") return;
    if (document.querySelector("dialog[open]") && event.key !== "Escape") return;
    const chord = first && Date.now() - first.at < CHORD_MS ? `${first.key} ${key}` : null;
    first = null;
    const all = bound.peek().flatMap((group) => group.bindings);
    const found = all.find(({ keys }) => keys === chord) ?? all.find(({ keys }) => keys === key);
    if (found) {
        if (found.run(event) !== false) event.preventDefault();
    } else if (all.some(({ keys }) => keys.startsWith(`${key} `))) {
        first = { key, at: Date.now() };
    }
}
