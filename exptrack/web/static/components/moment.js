/** Shows a time of the server: local on the page, in full and in UTC under the pointer. */
import { html } from "../vendor/ui.js";
import { time, utc } from "../format.js";

export function Moment({ at }) {
    return html`<time datetime=${at} title=${utc(at)}>${time(at)}</time>`;
}
