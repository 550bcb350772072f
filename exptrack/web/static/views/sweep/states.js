/** How the states of trials look: a sign, a word, a colour, and the share of each in a bar. */
import { html } from "../../vendor/ui.js";
import { count, visible } from "../../format.js";

/** In the order of the bar; the class has the colour. */
export const STATES = {
    complete: { sign: "✓", word: "complete", status: "completed", color: "good" },
    pruned: { sign: "✂", word: "pruned", status: "pruned", color: "warn" },
    fail: { sign: "✕", word: "failed", status: "failed", color: "bad" },
    running: { sign: "●", word: "running", status: "running", color: "accent" },
    waiting: { sign: "○", word: "waiting", status: "waiting", color: "faint" },
};

export function State({ state }) {
    const { sign, word, status } = STATES[state] ?? { sign: "?", word: state, status: "waiting" };
    return html`<span class=${`status status-${status}`}><i aria-hidden="true">${sign}</i>${word}</span>`;
}

/** The counts of trials by state. */
export function States({ counts }) {
    const present = Object.entries(STATES).filter(([state]) => counts[state] > 0);
    if (present.length === 0) return html`<span class="soft">no trial yet</span>`;
    const all = present.reduce((sum, [state]) => sum + counts[state], 0);
    let left = 0;
    return html`<div class="states"><svg class="state-bar" aria-hidden="true" height="6">${present.map(
        ([state, { status }]) => {
            const width = (100 * counts[state]) / all;
            left += width;
            return html`<rect key=${state} class=${`fill-${status}`} x=${`${left - width}%`}
            width=${`${width}%`} height="6" />`;
        },
    )}</svg>
        <span class="state-words">${present.map(
            ([state, { sign, word, status }]) => html`<span key=${state}
            class=${`status status-${status}`}><i aria-hidden="true">${sign}</i>${count(
                counts[state],
            )} ${word}</span>`,
        )}</span></div>`;
}

const ARROWS = { minimize: "↓", maximize: "↑" };

/** What each objective is called, and which way is better. */
export function Directions({ study }) {
    return html`<span class="objectives">${study.directions.map(
        (direction, place) =>
            html`<span key=${place}><bdi>${visible(
                study.metrics[place] ?? (study.directions.length > 1 ? `objective ${place}` : "objective"),
            )}</bdi> <span class="soft" title=${direction}>${ARROWS[direction] ?? ""}<span
            class="unseen">${direction}</span></span></span>`,
    )}</span>`;
}
