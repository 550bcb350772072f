/**
 * Texts to copy: a button that copies and says so, and a command line to type.
 */
import { html, useEffect, useState } from "../vendor/ui.js";
import { Icon } from "./icons.js";

/** A small button that copies `text`; `label` names what is copied, for people who cannot see the sign. */
export function Copy({ text, label, children }) {
    const [said, setSaid] = useState("");
    useEffect(() => {
        if (!said) return undefined;
        const timer = setTimeout(() => setSaid(""), 1500);
        return () => clearTimeout(timer);
    }, [said]);
    const copy = () =>
        navigator.clipboard.writeText(text).then(
            () => setSaid("copied"),
            () => setSaid("the browser did not allow it"),
        );
    return html`<button type="button" class="copy" title=${`Copy ${label}`} aria-label=${`Copy ${label}`}
        onClick=${copy}>
        ${children}<${Icon} name=${said === "copied" ? "check" : "copy"} />
        <span class="copied" role="status">${said}</span>
    </button>`;
}

/** A command of the terminal with a button to copy it. */
export function Command({ text, children }) {
    return html`<div class="command">
        ${children && html`<p>${children}</p>`}
        <div class="command-line"><code>${text}</code><${Copy} text=${text} label="this command" /></div>
    </div>`;
}

/** Writes a word for a shell: plain where it can stand so, else in single quotes. */
export function shellWord(text) {
    return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
