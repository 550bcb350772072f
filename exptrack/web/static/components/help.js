/** The dialog that lists every key that acts now. */
import { html, signal, useEffect, useRef } from "../vendor/ui.js";
import { bound } from "../keys.js";
import { Icon } from "./icons.js";

const NAMES = { ArrowDown: "↓", ArrowUp: "↑", Escape: "Esc" };
const isOpen = signal(false);

export const openHelp = () => {
    isOpen.value = true;
};

const Keys = ({ keys }) => keys.split(" ").map((key) => html`<kbd>${NAMES[key] ?? key}</kbd> `);

export function Help() {
    const dialog = useRef(null);
    useEffect(() => {
        if (isOpen.value && !dialog.current.open) dialog.current.showModal();
        if (!isOpen.value && dialog.current.open) dialog.current.close();
    }, [isOpen.value]);
    const close = () => {
        isOpen.value = false;
    };
    const onBackdrop = (event) => event.target === dialog.current && close();
    return html`<dialog class="help" ref=${dialog} aria-labelledby="help-title"
        onClose=${close} onClick=${onBackdrop}>
        <div class="dialog-head"><h2 id="help-title">Keys</h2>
            <button class="icon" aria-label="Close" onClick=${close}><${Icon} name="x" /></button></div>
        <div class="help-groups">${
            isOpen.value &&
            bound.value.map(
                ({ title, bindings }) => html`<section key=${title}>
            <h3>${title}</h3>
            <dl>${bindings.map(
                ({ keys, does }) => html`<div key=${keys}>
                <dt><${Keys} keys=${keys} /></dt><dd>${does}</dd></div>`,
            )}</dl></section>`,
            )
        }
        </div></dialog>`;
}
