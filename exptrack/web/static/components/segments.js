/** A row of buttons, one of which is chosen. */
import { html } from "../vendor/ui.js";

/** `options` are pairs of a value and its word; `choose` is called with the value that a person wants. */
export function Segments({ label, options, chosen, choose }) {
    return html`<div class="segments" role="group" aria-label=${label}>${options.map(
        ([value, word]) => html`
        <button type="button" key=${word} aria-pressed=${String(value === chosen)}
            onClick=${() => choose(value)}>${word}</button>`,
    )}</div>`;
}
