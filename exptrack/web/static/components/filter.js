/**
 * The filter line: a text field with completions, and the problem of the text under the place where it is.
 * Invariant: a text with a problem is never handed on, so the last good result stays.
 */
import { html, useEffect, useId, useLayoutEffect, useRef, useState } from "../vendor/ui.js";
import { get, wasAborted } from "../api.js";
import { visible } from "../format.js";
import { toastError } from "../toasts.js";
import { Icon } from "./icons.js";

const ASK_MS = 90;
const APPLY_MS = 350;

/** The server counts characters, JavaScript counts UTF-16 units: both ways. */
const countChars = (text, unit) => [...text.slice(0, unit)].length;
const unitOf = (text, char) => [...text].slice(0, char).join("").length;

const KINDS = { field: "field", operator: "operator", value: "value", keyword: "word" };

/** `text` is the filter in force, `problem` its problem; `onApply(text, isFinal)` takes another. */
export function FilterLine({ text, onApply, problem: given, inputRef }) {
    const [draft, setDraft] = useState(text);
    const [help, setHelp] = useState({ problem: null, completions: [] });
    const [open, setOpen] = useState(false);
    const [chosen, setChosen] = useState(-1);
    const [scrolled, setScrolled] = useState(0);
    const own = useRef(null);
    const input = inputRef ?? own;
    const id = useId();
    const timers = useRef({ abort: null, ask: 0, apply: 0 });
    const applied = useRef(text);
    const caret = useRef(null);

    useEffect(() => {
        if (text !== applied.current) {
            applied.current = text;
            setDraft(text);
            setHelp({ problem: null, completions: [] });
        }
    }, [text]);
    useLayoutEffect(() => {
        if (caret.current === null) return;
        input.current.setSelectionRange(caret.current, caret.current);
        caret.current = null;
    }, [draft]);
    useEffect(
        () => () => {
            clearTimeout(timers.current.ask);
            clearTimeout(timers.current.apply);
            timers.current.abort?.abort();
        },
        [],
    );

    const apply = (next, isFinal) => {
        clearTimeout(timers.current.apply);
        applied.current = next;
        onApply(next, isFinal);
    };
    const askNow = async (next, unit, then) => {
        clearTimeout(timers.current.ask);
        clearTimeout(timers.current.apply);
        timers.current.abort?.abort();
        const abort = new AbortController();
        timers.current.abort = abort;
        try {
            const params = { text: next, cursor: countChars(next, unit) };
            const found = await get("/api/filter", params, abort.signal);
            setHelp(found);
            setChosen(-1);
            if (!found.problem) then();
        } catch (error) {
            if (!wasAborted(error)) toastError(error);
        }
    };
    const ask = (next, unit, isTyped) => {
        const isNew = isTyped && next.trim() !== applied.current.trim();
        const applySoon = () => {
            if (isNew) timers.current.apply = setTimeout(apply, APPLY_MS, next.trim(), false);
        };
        clearTimeout(timers.current.ask);
        clearTimeout(timers.current.apply);
        timers.current.ask = setTimeout(askNow, ASK_MS, next, unit, applySoon);
    };
    const onInput = ({ target }) => {
        setDraft(target.value);
        setOpen(true);
        ask(target.value, target.selectionStart, true);
    };
    const take = (completion) => {
        const from = unitOf(draft, completion.from);
        const to = unitOf(draft, completion.to);
        const next = draft.slice(0, from) + completion.text + draft.slice(to);
        caret.current = from + completion.text.length;
        setDraft(next);
        setChosen(-1);
        ask(next, caret.current, true);
        input.current.focus();
    };
    const clear = () => {
        setDraft("");
        setHelp({ problem: null, completions: [] });
        setOpen(false);
        apply("", true);
        input.current.focus();
    };
    const onKeyDown = (event) => {
        const { completions } = help;
        const shown = open && completions.length > 0;
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            if (!shown) {
                setOpen(true);
                ask(draft, input.current.selectionStart, false);
                return;
            }
            const step = event.key === "ArrowDown" ? 1 : -1;
            setChosen(
                (chosen + step + completions.length + (chosen < 0 && step < 0 ? 1 : 0)) % completions.length,
            );
        } else if (shown && chosen >= 0 && (event.key === "Enter" || event.key === "Tab")) {
            event.preventDefault();
            take(completions[chosen]);
        } else if (event.key === "Enter") {
            event.preventDefault();
            setOpen(false);
            askNow(draft, input.current.selectionStart, () => apply(draft.trim(), true));
        } else if (event.key === "Escape") {
            event.stopPropagation();
            if (shown) setOpen(false);
            else input.current.blur();
        }
    };
    const onFocus = () => {
        setOpen(true);
        ask(draft, input.current.selectionStart ?? draft.length, false);
    };
    const problem = help.problem ?? (draft.trim() === text.trim() ? given : null);
    const isTyping = open && problem && problem.position !== null && problem.position >= [...draft].length;
    const shown = open && help.completions.length > 0;
    const option = (place) => `${id}-${place}`;
    return html`<div class="filter">
        <span class="filter-icon"><${Icon} name="list-filter" /></span>
        <input ref=${input} class="filter-input mono" type="text" role="combobox" aria-label="Filter"
            aria-autocomplete="list" aria-expanded=${shown ? "true" : "false"} aria-controls=${`${id}-list`}
            aria-activedescendant=${shown && chosen >= 0 ? option(chosen) : null}
            aria-invalid=${problem && !isTyping ? "true" : null} aria-describedby=${`${id}-problem`}
            spellcheck=${false} autocomplete="off" autocapitalize="off" value=${draft}
            placeholder="Filter, like config.lr < 0.01 and status = completed   (press /)"
            onInput=${onInput} onKeyDown=${onKeyDown} onFocus=${onFocus} onBlur=${() => setOpen(false)}
            onClick=${({ target }) => ask(draft, target.selectionStart, false)}
            onScroll=${({ target }) => setScrolled(target.scrollLeft)} />
        ${
            draft &&
            html`<button class="icon filter-clear" aria-label="Clear the filter" onClick=${clear}>
            <${Icon} name="x" /></button>`
        }
        <div class="filter-below">
            <${Problem} id=${`${id}-problem`} problem=${isTyping ? null : problem} scrolled=${scrolled} />
            <ul id=${`${id}-list`} class="filter-list" role="listbox" aria-label="Completions" hidden=${!shown}>
                ${help.completions.map(
                    (one, place) => html`<li key=${place} id=${option(place)} role="option"
                    aria-selected=${place === chosen ? "true" : "false"}
                    onMouseDown=${(event) => event.preventDefault()} onClick=${() => take(one)}>
                    <span class="mono clip">${visible(one.text)}</span>
                    <span class="faint">${KINDS[one.kind] ?? one.kind}</span></li>`,
                )}
            </ul>
        </div>
    </div>`;
}

/** The message under the line, with a caret below the place that it is about. */
function Problem({ id, problem, scrolled }) {
    const at = problem?.position ?? null;
    const style = { marginLeft: `calc(${at ?? 0}ch - ${scrolled}px)` };
    return html`<div id=${id} class="filter-problem" role="status">${
        problem &&
        html`
        ${at !== null && html`<span class="caret mono" style=${style} aria-hidden="true">^</span>`}
        <span>${visible(problem.message)}</span>`
    }</div>`;
}
