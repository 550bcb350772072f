/** The dialog that lists every key that acts now. */
import { html, signal } from "../vendor/ui.js";
import { bound } from "../keys.js";
import { Dialog } from "./dialog.js";

const NAMES = { ArrowDown: "↓", ArrowUp: "↑", Escape: "Esc" };
const isOpen = signal(false);

export const openHelp = () => {
    isOpen.value = true;
};
const close = () => {
    isOpen.value = false;
};

const Keys = ({ keys }) => keys.split(" ").map((key) => html`<kbd key=${key}>${NAMES[key] ?? key}</kbd> `);

/** Keys that do the same stand in one line. */
function Group({ title, bindings }) {
    const lines = new Map();
    for (const { keys, does } of bindings) lines.set(does, [...(lines.get(does) ?? []), keys]);
    const draw = ([does, all]) => html`<div key=${does}>
        <dt>${all.map((keys) => html`<${Keys} key=${keys} keys=${keys} />`)}</dt><dd>${does}</dd></div>`;
    return html`<section><h3>${title}</h3><dl>${[...lines].map(draw)}</dl></section>`;
}

export function Help() {
    if (!isOpen.value) return null;
    return html`<${Dialog} title="Keys" kind="help" onClose=${close}>
        <div class="help-groups">
            ${bound.value.map((group) => html`<${Group} key=${group.title} ...${group} />`)}</div>
    </${Dialog}>`;
}
