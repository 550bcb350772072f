/**
 * What one does with the data of a chart: look at them as a table, or save them.
 * @module
 */
import { html, useEffect, useLayoutEffect, useMemo, useRef } from "../../vendor/ui.js";
import { chartCsv, chartPng, chartSvg, saveFile } from "../../components/chart_export.js";
import { Value } from "../../components/chart.js";
import { Icon } from "../../components/icons.js";
import { mergeAxes, nearestPlace, toleranceOf } from "../../components/lines.js";
import { count, exact, visible } from "../../format.js";
import { toastError } from "../../toasts.js";
import { axisOfState, placeWriter } from "./state.js";

const MOST_ROWS = 1000;

/** A menu below the button that opened it. */
export function ChartMenu({ anchor, chart, state, onClose, onTable }) {
    const box = useRef(null);
    useLayoutEffect(() => {
        const { right, bottom } = anchor.getBoundingClientRect();
        box.current.style.left = `${Math.max(8, right - box.current.offsetWidth)}px`;
        box.current.style.top = `${Math.min(bottom + 4, innerHeight - box.current.offsetHeight - 8)}px`;
        box.current.querySelector("button").focus();
    }, [anchor]);
    useEffect(() => {
        const shut = (event) => box.current?.contains(event.target) || onClose();
        document.addEventListener("pointerdown", shut);
        return () => document.removeEventListener("pointerdown", shut);
    }, []);
    const { plot, title, lines, metric } = chart;
    const xName = axisOfState(state).name;
    const items = [
        ["table-2", "Show as a table", () => onTable(chart)],
        [
            "download",
            "Save as CSV",
            () => saveFile(`${metric}.csv`, chartCsv(lines, { xName, metric }), "text/csv"),
        ],
        ["image", "Save as PNG", async () => saveFile(`${title}.png`, await chartPng(plot, title))],
        ["image", "Save as SVG", () => saveFile(`${title}.svg`, chartSvg(plot, title), "image/svg+xml")],
    ];
    const choose = (run) => {
        onClose();
        anchor.focus();
        Promise.resolve().then(run).catch(toastError);
    };
    return html`<div class="popup chart-menu" role="menu" ref=${box} onKeyDown=${(event) => move(event, box, anchor, onClose)}>
    ${items.map(
        ([icon, text, run]) => html`<button key=${text} role="menuitem" onClick=${() => choose(run)}>
      <${Icon} name=${icon} />${text}</button>`,
    )}</div>`;
}

function move(event, box, anchor, onClose) {
    const buttons = [...box.current.querySelectorAll("button")];
    const place = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") {
        onClose();
        anchor.focus();
    } else if (to === undefined) return;
    else buttons.at(to % buttons.length).focus();
    event.preventDefault();
    event.stopPropagation();
}

/** The values of a chart as a table: a row for each place of the axis, a column for each line. */
export function DataDialog({ chart, state, onClose }) {
    const dialog = useRef(null);
    useEffect(() => dialog.current.showModal(), []);
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
    const width = Math.max(0, ...lines.map((line) => line.curve.width));
    return html`<dialog ref=${dialog} class="data-dialog" aria-label=${`Data of ${visible(title)}`} onClose=${onClose}>
    <div class="dialog-head"><h2><bdi>${visible(title)}</bdi></h2>
      <button class="icon" aria-label="Close" onClick=${() => dialog.current.close()}><${Icon} name="x" /></button></div>
    <p class="soft">${xs.length > shown.length ? `The first ${count(shown.length)} of ${count(xs.length)} places. ` : ""}
      Each value is the mean of its bucket. The CSV has all of them.</p>
    <div class="data-table"><table><thead><tr><th scope="col">${axisOfState(state).name}</th>
      ${lines.map((line) => html`<th key=${line.id} scope="col" class="number"><bdi>${visible(line.label)}</bdi></th>`)}</tr></thead>
      <tbody>${Array.from(
          shown,
          (x) => html`<tr key=${x}><th scope="row" class="number">${writeX(x, width)}</th>
        ${lines.map((line) => html`<${Cell} key=${line.id} line=${line} x=${x} tolerance=${tolerance} />`)}</tr>`,
      )}</tbody>
    </table></div></dialog>`;
}

function Cell({ line, x, tolerance }) {
    const place = nearestPlace(line, x);
    if (place < 0 || Math.abs(line.xs[place] - x) > tolerance) return html`<td></td>`;
    return html`<td class="number" title=${exact(line.ys[place])}><${Value} value=${line.ys[place]} /></td>`;
}
