/**
 * What one does with the data of a chart: look at them as a table, or save them.
 * @module
 */
import { html, useMemo } from "../../vendor/ui.js";
import { chartCsv, chartPng, chartSvg, saveFile } from "../../components/chart_export.js";
import { Value } from "../../components/chart.js";
import { Dialog } from "../../components/dialog.js";
import { Icon } from "../../components/icons.js";
import { bucketWidth, mergeAxes, nearestPlace, toleranceOf } from "../../components/lines.js";
import { Popup } from "../../components/popup.js";
import { count, exact, visible } from "../../format.js";
import { toastError } from "../../toasts.js";
import { axisOfState, placeWriter } from "./state.js";

const MOST_ROWS = 1000;

/** A menu below the button that opened it. */
export function ChartMenu({ anchor, chart, state, onClose, onTable }) {
    const { plot, title, lines, metric } = chart;
    const saveCsv = () => {
        const text = chartCsv(lines, { xName: axisOfState(state).name, metric });
        saveFile(`${metric}.csv`, text, "text/csv");
    };
    const items = [
        ["table-2", "Show as a table", () => onTable(chart)],
        ["download", "Save as CSV", saveCsv],
        ["image", "Save as PNG", async () => saveFile(`${title}.png`, await chartPng(plot, title))],
        ["image", "Save as SVG", () => saveFile(`${title}.svg`, chartSvg(plot, title), "image/svg+xml")],
    ];
    const choose = (run) => {
        onClose();
        Promise.resolve().then(run).catch(toastError);
    };
    return html`<${Popup} anchor=${anchor} role="menu" label=${`Data of ${visible(title)}`} onClose=${onClose}>
    <div onKeyDown=${moveFocus}>${items.map(
        ([icon, text, run]) => html`<button key=${text} role="menuitem" onClick=${() => choose(run)}>
      <${Icon} name=${icon} />${text}</button>`,
    )}</div><//>`;
}

/** Moves the focus among the items of a menu. */
function moveFocus(event) {
    const buttons = [...event.currentTarget.querySelectorAll("button")];
    const place = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    buttons.at(to % buttons.length).focus();
    event.preventDefault();
    event.stopPropagation();
}

/** The values of a chart as a table: a row for each place of the axis, a column for each line. */
export function DataDialog({ chart, state, onClose }) {
    const writeX = placeWriter(state);
    const { lines, title } = chart;
    const { xs, tolerance } = useMemo(() => {
        const near = toleranceOf(lines);
        return {
            xs: mergeAxes(
                lines.map((line) => line.xs),
                near,
            ),
            tolerance: near,
        };
    }, [lines]);
    const shown = xs.subarray(0, MOST_ROWS);
    const widthOf = (x) => (lines.length > 0 ? bucketWidth(lines[0], nearestPlace(lines[0], x)) : 0);
    const part = `The first ${count(shown.length)} of ${count(xs.length)} places. `;
    const head = (line) =>
        html`<th key=${line.id} scope="col" class="number"><bdi>${visible(line.label)}</bdi></th>`;
    const cell = (x) => (line) => html`<${Cell} key=${line.id} line=${line} x=${x} tolerance=${tolerance} />`;
    return html`<${Dialog} title=${html`<bdi>${visible(title)}</bdi>`} kind="data-dialog" onClose=${onClose}>
    <p class="soft">${xs.length > shown.length && part}Each value is the mean of its bucket.
      The CSV has all of them.</p>
    <div class="value-table" tabindex="0" role="region" aria-label=${`Values of ${visible(title)}`}><table>
      <thead><tr><th scope="col">${axisOfState(state).name}</th>${lines.map(head)}</tr></thead>
      <tbody>${Array.from(
          shown,
          (x) =>
              html`<tr key=${x}><th scope="row" class="number">${writeX(x, widthOf(x))}</th>
        ${lines.map(cell(x))}</tr>`,
      )}</tbody></table></div><//>`;
}

function Cell({ line, x, tolerance }) {
    const place = nearestPlace(line, x);
    if (place < 0 || Math.abs(line.xs[place] - x) > tolerance) return html`<td></td>`;
    return html`<td class="number" title=${exact(line.ys[place])}><${Value} value=${line.ys[place]} /></td>`;
}
