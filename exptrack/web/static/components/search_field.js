/** A field that searches what is shown below it, while one types. */
import { html } from "../vendor/ui.js";
import { Icon } from "./icons.js";

/** @param {{label: string, value: string, onInput: (text: string) => void}} props */
export function SearchField({ label, value, onInput }) {
    return html`<label class="search-field"><${Icon} name="search" size=${14} />
        <span class="unseen">${label}</span>
        <input type="search" placeholder=${label} value=${value}
            onInput=${(event) => onInput(event.target.value)} /></label>`;
}
