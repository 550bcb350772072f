/** Draws one icon of Lucide, by its name there. It is decoration: the control around it has a label. */
import { h } from "../vendor/ui.js";
import icons from "../vendor/icons.js";

export function Icon({ name, size = 16 }) {
    const props = {
        class: "svg-icon",
        width: size,
        height: size,
        viewBox: "0 0 24 24",
        fill: "none",
        stroke: "currentColor",
        "stroke-width": 2,
        "stroke-linecap": "round",
        "stroke-linejoin": "round",
        "aria-hidden": "true",
    };
    return h(
        "svg",
        props,
        icons[name].map(([tag, attributes]) => h(tag, attributes)),
    );
}
