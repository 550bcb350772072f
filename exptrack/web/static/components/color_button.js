/**
 * A button that lets a person choose the colour of a run or group.
 * Invariant: a chosen colour is a place in the palette, by the id of the run, as the URL has it in `paint`.
 */
import { html, useState } from "../vendor/ui.js";
import { palette } from "../colors.js";
import { visible } from "../format.js";
import { Popup } from "./popup.js";

/** `paint` maps ids to places; `onPaint` takes the next map. `children` is what the button shows. */
export function ColorButton({ id, label, paint, onPaint, kind, children }) {
    const [anchor, setAnchor] = useState(null);
    const choose = (place) => {
        const next = new Map(paint);
        if (place === null) next.delete(id);
        else next.set(id, place);
        setAnchor(null);
        onPaint(next);
    };
    const name = visible(label);
    return html`<button class=${kind} title="Choose its colour" aria-label=${`Choose the colour of ${name}`}
            onClick=${({ currentTarget }) => setAnchor(anchor ? null : currentTarget)}>${children}</button>
        ${
            anchor &&
            html`<${Popup} anchor=${anchor} label=${`Colour of ${name}`} onClose=${() => setAnchor(null)}>
            <${Colors} current=${paint.get(id)} onChoose=${choose} /><//>`
        }`;
}

/** The colours to choose from, and none, which is the one that follows from the run. */
function Colors({ current, onChoose }) {
    return html`<div class="color-choice">${palette().map(
        (color, place) => html`<button key=${place} aria-label=${`Colour ${place + 1}`} title=${color}
      aria-pressed=${String(place === current)} onClick=${() => onChoose(place)}>
      <i style=${{ background: color }}></i></button>`,
    )}<button onClick=${() => onChoose(null)}>its own</button></div>`;
}
