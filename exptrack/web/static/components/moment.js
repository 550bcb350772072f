/** Shows a time of the server: local on the page, in full and in UTC under the pointer; `seconds` adds them. */
import { html } from "../vendor/ui.js";
import { time, utc } from "../format.js";

export function Moment({ at, seconds = false }) {
    const shown = at && seconds ? `${time(at)}:${at.slice(17, 19)}` : time(at);
    return html`<time datetime=${at} title=${utc(at)}>${shown}</time>`;
}
