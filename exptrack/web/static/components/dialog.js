/** A dialog over the page. Escape closes it; the focus stays inside and returns to where it was. */
import { html, useId, useLayoutEffect, useRef } from "../vendor/ui.js";
import { Icon } from "./icons.js";

export function Dialog({ title, onClose, children, kind = "" }) {
    const box = useRef(null);
    const id = useId();
    useLayoutEffect(() => {
        box.current.showModal();
    }, []);
    const onBackdrop = (event) => event.target === box.current && onClose();
    return html`<dialog ref=${box} class=${kind} aria-labelledby=${id} onClose=${onClose} onClick=${onBackdrop}>
        <div class="dialog-head"><h2 id=${id}>${title}</h2>
            <button class="icon" type="button" aria-label="Close" onClick=${onClose}>
                <${Icon} name="x" /></button></div>
        ${children}</dialog>`;
}
