/** Which facets the runs view offers: facts, and the config keys that tell most. */
import { labelOf, varies } from "./columns.js";

const FACTS = ["status", "tag", "study", "group", "script"];
const OPEN = new Set(["status", "tag"]);
const MOST_KEYS = 10;
const OPEN_KEYS = 2;
const MANY_RUNS = 20_000; // A summary of more takes the server a second; only one is then read unasked.

/** Orders keys: those of few texts or of many runs first. */
function tells(info, total) {
    const share = (info.numbers + info.others) / Math.max(total, 1);
    return share + (info.others > 0 && info.numbers === 0 ? 1 : 0);
}

/** Lists the facets {field, label, isOpen}. */
export function facetsOf(fields, total) {
    const isLarge = total > MANY_RUNS;
    const isOpen = (field) => OPEN.has(field) && !(isLarge && field !== "status");
    const facts = FACTS.map((field) => ({ field, label: labelOf(field), isOpen: isOpen(field) }));
    if (!fields) return facts;
    const keys = fields.filter((info) => info.kind === "config" && varies(info, total));
    keys.sort((one, other) => tells(other, total) - tells(one, total));
    const shown = keys.slice(0, MOST_KEYS).map(({ name }, place) => ({
        field: name,
        label: labelOf(name),
        isOpen: !isLarge && place < OPEN_KEYS,
    }));
    return [...facts, ...shown];
}
