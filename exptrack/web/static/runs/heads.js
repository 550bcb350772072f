/** Heads of columns, and the first column: the box that selects a run and the dot that puts it on the chart. */
import { h, html } from "../vendor/ui.js";
import { Icon } from "../components/icons.js";
import { colorOf } from "../colors.js";
import { labelOf, widthOf } from "./columns.js";
import { Sparkline } from "./sparkline.js";

const UNORDERED = new Set(["tag", "note", "artifact"]);

/** The label of a column; a click orders by it, and with shift it is added to the order. */
export function SortButton({ column, order, onSort }) {
    if (UNORDERED.has(column.id)) return html`<span class="clip">${column.label}</span>`;
    const place = order.findIndex((one) => one === column.id || one === `-${column.id}`);
    const isDown = place >= 0 && order[place].startsWith("-");
    return html`<button class="sort" onClick=${(event) => onSort(column.id, event.shiftKey)}>
        <bdi class="clip">${column.label}</bdi>
        ${place >= 0 && html`<${Icon} name=${isDown ? "arrow-down" : "arrow-up"} size=${13} />`}
        ${place >= 0 && order.length > 1 && html`<sub>${place + 1}</sub>`}
    </button>`;
}

/** The column at the very left. */
export function leadColumn({ isSelected, toggle, chart, charted, size, total, selectAll }) {
    const some = (box) => {
        if (box) box.indeterminate = size > 0 && size < total;
    };
    const stop = (event) => event.stopPropagation();
    return {
        id: "lead",
        label: "Select",
        width: 60,
        pinned: true,
        head: html`<input type="checkbox" ref=${some} checked=${size > 0 && size === total}
            onChange=${selectAll}
            aria-label="Select all runs that match" title="Select all runs that match" />`,
        cell: (row) => {
            if (row.isGroup || row.gone) return null;
            const isOn = charted.has(row.run_id);
            const label = isOn ? "Take the run off the chart" : "Put the run on the chart";
            const box = {
                key: "box",
                type: "checkbox",
                tabindex: "-1",
                checked: isSelected(row.id),
                "aria-label": `Select ${row.name ?? row.run_id}`,
                onClick: (event) => toggle(row.id, event.shiftKey),
                onDblClick: stop,
            };
            const dot = {
                key: "dot",
                class: "dot",
                tabindex: "-1",
                "aria-pressed": isOn ? "true" : "false",
                title: label,
                "aria-label": label,
                style: `--dot:${colorOf(row.id)}`,
                onClick: () => chart(row.run_id),
                onDblClick: stop,
            };
            return [h("input", box), h("button", dot)];
        },
    };
}

/** The column that draws one metric of each run. */
export function sparkColumn(field) {
    return {
        id: `spark ${field}`,
        label: labelOf(field),
        title: `Curve of ${field}`,
        width: Math.max(120, widthOf(labelOf(field))),
        movable: true,
        head: html`<span class="row tight"><${Icon} name="chart-line" size=${13} />
            <bdi class="clip">${labelOf(field)}</bdi></span>`,
        cell: (row) =>
            row.isGroup || row.gone ? null : html`<${Sparkline} key=${row.id} row=${row} field=${field} />`,
    };
}
