/**
 * Facets: how often each value of a field occurs among the runs that the rest of the filter leaves.
 * Invariants: facets are read one after another, and behind the rows: with `stamp` null they wait. A choice
 * in a facet does not narrow it.
 */
import { html, useEffect, useState } from "../vendor/ui.js";
import { get, wasAborted } from "../api.js";
import { count, number, value, visible } from "../format.js";
import { toastError } from "../toasts.js";
import { Icon } from "./icons.js";

const TOP = 8;
const BINS = 12;
let line = Promise.resolve();

/** Reads a summary when those asked for before have come. */
function readInTurn(params, abort) {
    const answer = line.then(() => get("/api/summary", params, abort));
    line = answer.catch(() => {});
    return answer;
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** The values that a summary offers: the most frequent ones, or bins of numbers that have many values. */
export function choicesOf(summary) {
    const numbers = (summary.types.int ?? 0) + (summary.types.float ?? 0);
    const isBinned = summary.distinct > TOP && numbers > 0.8 * (summary.runs - summary.missing);
    const choices = isBinned
        ? summary.counts.map((runs, place) => {
              const [from, to] = [summary.edges[place], summary.edges[place + 1]];
              const last = place === summary.counts.length - 1;
              return { choice: { from, to, last }, runs, label: `${number(from)} … ${number(to)}` };
          })
        : summary.top.map(([one, runs]) => ({ choice: one, runs, label: value(one) || "(empty text)" }));
    return { isBinned, choices };
}

/** One facet. `chosen` lists what is chosen; `onChoose(list)` takes another list. */
function Facet({ field, label, where, chosen, onChoose, stamp, isOpen, onOpen }) {
    const [summary, setSummary] = useState(null);
    useEffect(() => {
        if (!isOpen || stamp === null) return undefined;
        const abort = new AbortController();
        readInTurn({ field, where, bins: BINS, top: TOP + 1 }, abort.signal).then(
            (found) => setSummary(found.summary),
            (error) => wasAborted(error) || toastError(error),
        );
        return () => abort.abort();
    }, [field, where.join("\u0000"), isOpen, stamp]);
    const isChosen = (choice) => chosen.some((one) => same(one, choice));
    const toggle = (choice) => {
        onChoose(isChosen(choice) ? chosen.filter((one) => !same(one, choice)) : [...chosen, choice]);
    };
    return html`<section class="facet">
        <h3><button class="facet-head" title=${field} aria-expanded=${isOpen ? "true" : "false"}
            onClick=${onOpen}>
            <${Icon} name=${isOpen ? "chevron-down" : "chevron-right"} size=${14} />
            <span class="clip">${label}</span>
            ${chosen.length > 0 && html`<span class="badge">${chosen.length}</span>`}</button></h3>
        ${isOpen && summary && html`<${Choices} ...${{ summary, chosen, isChosen, toggle }} />`}
        ${isOpen && !summary && html`<div class="facet-waits"></div>`}
    </section>`;
}

function Choices({ summary, chosen, isChosen, toggle }) {
    const { isBinned, choices } = choicesOf(summary);
    const shown = choices.slice(0, isBinned ? BINS : TOP);
    const extra = chosen.filter((one) => one !== null && !shown.some(({ choice }) => same(choice, one)));
    for (const one of extra) {
        const label = one.to === undefined ? value(one) : `${number(one.from)} … ${number(one.to)}`;
        shown.push({ choice: one, runs: null, label });
    }
    if (summary.missing > 0)
        shown.push({ choice: null, runs: summary.missing, label: "(none)", isNone: true });
    const most = Math.max(1, ...shown.map(({ runs }) => runs ?? 0));
    const hidden = isBinned ? 0 : summary.distinct - Math.min(choices.length, TOP);
    return html`<ul class="facet-list">${shown.map(
        ({ choice, runs, label, isNone }) => html`<li
        key=${JSON.stringify(choice)}><label>
            <input type="checkbox" checked=${isChosen(choice)} onChange=${() => toggle(choice)} />
            <bdi class=${isNone ? "clip faint" : "clip"} title=${visible(label)}>${label}</bdi>
            <span class="number faint">${runs === null ? "" : count(runs)}</span>
            <span class="facet-bar" style=${{ width: `${(100 * (runs ?? 0)) / most}%` }}></span></label></li>`,
    )}
        ${hidden > 0 && html`<li class="faint facet-more">${count(hidden)} more values</li>`}</ul>`;
}

/** `facets` lists {field, label, isOpen}; `whereOf(field)` gives the conditions without the facet's own. */
export function Facets({ facets, whereOf, chosen, onChoose, stamp }) {
    const [turned, setTurned] = useState(new Map());
    const isOpen = ({ field, isOpen: first }) => turned.get(field) ?? (first || chosen.has(field));
    const draw = (facet) => {
        const { field, label } = facet;
        const props = { field, label, stamp, where: whereOf(field), chosen: chosen.get(field) ?? [] };
        return html`<${Facet} key=${field} ...${props} onChoose=${(list) => onChoose(field, list)}
            isOpen=${isOpen(facet)} onOpen=${() => setTurned(new Map(turned).set(field, !isOpen(facet)))} />`;
    };
    return html`<div class="facets" role="region" aria-label="Facets" tabindex="0">${facets.map(draw)}</div>`;
}
