/** Shows short messages at the lower edge: what was done, or what is wrong and what to do. */
import { html, signal } from "./vendor/ui.js";
import { wasAborted } from "./api.js";
import { Icon } from "./components/icons.js";
import { visible } from "./format.js";

const SHOWN_MS = 6000;
const shown = signal([]);
let last = 0;

const close = (id) => {
    shown.value = shown.peek().filter((one) => one.id !== id);
};

/** Shows a message. An error stays until it is closed. `action` is {label, run}. */
export function toast(message, { kind = "info", action = null } = {}) {
    last += 1;
    const one = { id: last, message, kind, action };
    shown.value = [...shown.peek().filter((other) => other.message !== message), one].slice(-4);
    if (kind !== "error") setTimeout(close, action ? 2 * SHOWN_MS : SHOWN_MS, one.id);
}

// Of these the shell itself tells.
const TOLD = ["ServerLost", "TokenMissing"];

/** Shows an error. A request that was replaced is no error. */
export function toastError(error) {
    if (wasAborted(error) || TOLD.includes(error.kind)) return;
    toast(error.message, { kind: "error" });
}

function Toast({ one }) {
    const act = () => {
        one.action.run();
        close(one.id);
    };
    const isError = one.kind === "error";
    return html`<div class=${`toast ${one.kind}`} role=${isError ? "alert" : "status"}>
        ${isError && html`<${Icon} name="triangle-alert" />`}
        <span class="toast-text">${visible(one.message)}</span>
        ${one.action && html`<button class="link" onClick=${act}>${one.action.label}</button>`}
        <button class="icon" aria-label="Close this message" onClick=${() => close(one.id)}>
            <${Icon} name="x" /></button>
    </div>`;
}

export function Toasts() {
    const toasts = shown.value.map((one) => html`<${Toast} key=${one.id} one=${one} />`);
    return html`<div class="toasts">${toasts}</div>`;
}
