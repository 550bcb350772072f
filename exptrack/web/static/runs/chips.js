/** The state of the table in words that can be taken away: facets that are chosen, and the chart. */
import { html } from "../vendor/ui.js";
import { Icon } from "../components/icons.js";
import { number, plural, value, visible } from "../format.js";
import { labelOf } from "./columns.js";

const describe = (choice) => {
    if (choice === null) return "(none)";
    return choice.to === undefined ? value(choice) : `${number(choice.from)} … ${number(choice.to)}`;
};

export function Chips({ query, onChoose, set, go }) {
    const { facets, charted } = query;
    return html`${[...facets].map(
        ([field, chosen]) => html`<span key=${field} class="chip facet-chip">
            <bdi class="clip">${labelOf(field)}: ${visible(chosen.map(describe).join(", "))}</bdi>
            <button class="icon tiny" aria-label=${`Clear ${labelOf(field)}`}
                onClick=${() => onChoose(field, [])}>
                <${Icon} name="x" size=${12} /></button></span>`,
    )}
        ${
            charted.size > 0 &&
            html`<span class="chip facet-chip">
            <button class="link" onClick=${() => go("/charts", { runs: [...charted] })}>
                <${Icon} name="chart-line" size=${13} />${plural(charted.size, "run")} on the chart</button>
            <button class="icon tiny" aria-label="Take all runs off the chart"
                onClick=${() => set({ on: null })}>
                <${Icon} name="x" size=${12} /></button></span>`
        }`;
}
