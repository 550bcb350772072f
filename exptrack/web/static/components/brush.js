/**
 * What is brushed: for each field a list of ranges [from, to], or of values.
 * The URL has it as brush=["config.lr",[0.001,0.1]] for each field, so a link restores it.
 */
import { html } from "../vendor/ui.js";
import { literal } from "../runs/conditions.js";
import { number, value, visible } from "../format.js";
import { Icon } from "./icons.js";

const DIGITS = 3;

function parse(text) {
    try {
        const found = JSON.parse(text);
        return Array.isArray(found) && typeof found[0] === "string" && found.length > 1 ? found : null;
    } catch {
        return null; // A hand-written URL; what cannot be read is left out.
    }
}

/** Reads a Map of fields to what is brushed in them. */
export const readBrushes = (params) =>
    new Map(
        params
            .getAll("brush")
            .map(parse)
            .filter(Boolean)
            .map(([field, ...chosen]) => [field, chosen]),
    );

/** The parameters of the URL for a Map of brushes. */
export const writeBrushes = (brushes) => ({
    brush: [...brushes].map(([field, chosen]) => JSON.stringify([field, ...chosen])),
});

/** A Map with another brush on one field; null takes it away. */
export function withBrush(brushes, field, chosen) {
    const next = new Map(brushes);
    if (chosen?.length) next.set(field, chosen.map(trim));
    else next.delete(field);
    return next;
}

/** Nobody aims finer than a thousandth of the range; it grows, so that no point at its edge is lost. */
function trim(one) {
    if (!Array.isArray(one)) return one;
    const [from, to] = [Math.min(...one), Math.max(...one)];
    const round = (x, way) => {
        const finest = Math.min(to - from, Math.abs(x));
        const size = 10 ** (DIGITS - Math.floor(Math.log10(finest)));
        const found = finest > 0 && Number.isFinite(size) ? way(x * size) / size : x;
        return Number.isFinite(found) ? Number(found.toPrecision(15)) : x;
    };
    return [round(from, Math.floor), round(to, Math.ceil)];
}

/** Whether a row lies in all that is brushed; `valueOf(field)` returns its value there. */
export function isBrushed(brushes, valueOf) {
    for (const [field, chosen] of brushes) {
        const own = valueOf(field);
        const fits = chosen.some((one) =>
            Array.isArray(one) ? own !== null && own >= one[0] && own <= one[1] : own === one,
        );
        if (!fits) return false;
    }
    return true;
}

/** Writes a brush as a condition of the filter language; `write(x)` turns a place on the axis into
    a literal. `areValues` says that a list is a value, and no range. */
export function brushCondition(field, chosen, write = literal, areValues = false) {
    if (areValues || !Array.isArray(chosen[0])) {
        return chosen.length === 1
            ? `${field} = ${literal(chosen[0])}`
            : `${field} in (${chosen.map(literal).join(", ")})`;
    }
    const parts = chosen.map(([from, to]) => `${field} >= ${write(from)} and ${field} <= ${write(to)}`);
    return parts.length === 1 ? parts[0] : parts.map((part) => `(${part})`).join(" or ");
}

const word = (one, write) => (Array.isArray(one) ? `${write(one[0])} … ${write(one[1])}` : value(one));

/** The brushes as chips that can be taken away. */
export function BrushChips({ brushes, labelOf = (field) => field, writeOf = () => number, onBrush }) {
    return html`${[...brushes].map(
        ([field, chosen]) => html`<span key=${field} class="chip brush-chip">
        <bdi class="clip">${visible(labelOf(field))}: ${chosen
            .map((one) => word(one, writeOf(field)))
            .join(", ")}</bdi>
        <button class="icon tiny" aria-label=${`Clear the brush on ${visible(labelOf(field))}`}
            onClick=${() => onBrush(field, null)}><${Icon} name="x" size=${12} /></button></span>`,
    )}`;
}
