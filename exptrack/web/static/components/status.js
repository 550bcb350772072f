/** Shows the status of a run: a sign, a word and a colour. */
import { html } from "../vendor/ui.js";
import { STATUS } from "../format.js";

export function Status({ status, reason }) {
    const { sign, word } = STATUS[status] ?? { sign: "?", word: status };
    return html`<span class=${`status status-${status}`} title=${reason || null}>
        <i aria-hidden="true">${sign}</i>${word}</span>`;
}
