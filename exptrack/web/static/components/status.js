/** Shows the status of a run: a sign, a word and a colour. */
import { h } from "../vendor/ui.js";
import { STATUS } from "../format.js";

/** Draws the status of a row. The reason of a failure is not in it. */
export function drawStatus({ status }, title = null) {
    const { sign, word } = STATUS[status] ?? { sign: "?", word: status };
    return h(
        "span",
        { class: `status status-${status}`, title },
        h("i", { "aria-hidden": "true" }, sign),
        word,
    );
}

export const Status = ({ status, reason }) => drawStatus({ status }, reason || null);
