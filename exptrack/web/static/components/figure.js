/** A chart in a frame: its title, its controls, and its data as a table that can be saved. */
import { html, useEffect, useRef, useState } from "../vendor/ui.js";
import { count, csv, exact, isSpecial, number, plural, value, visible } from "../format.js";
import { saveFile } from "./chart_export.js";
import { EChart } from "./echart.js";
import { Icon } from "./icons.js";

const MOST_ROWS = 500;
const NEAR = "300px";

/** Whether an element has come near the window. Once seen it stays so. */
function useSeen() {
    const place = useRef(null);
    const [isSeen, setSeen] = useState(false);
    useEffect(() => {
        const observer = new IntersectionObserver(
            (entries) => entries.some((one) => one.isIntersecting) && setSeen(true),
            { rootMargin: NEAR },
        );
        observer.observe(place.current);
        return () => observer.disconnect();
    }, []);
    return [place, isSeen];
}

function Cell({ of: cell }) {
    if (cell === null || cell === undefined) return html`<td></td>`;
    if (isSpecial(cell)) return html`<td class="number special">${number(cell)}</td>`;
    if (typeof cell === "number") return html`<td class="number" title=${exact(cell)}>${number(cell)}</td>`;
    return html`<td><bdi>${value(cell)}</bdi></td>`;
}

/** The numbers of a chart; `rows` has a list of cells for each. */
export function DataTable({ columns, rows, label }) {
    const isNumber = columns.map((_, place) => rows.every((row) => typeof (row[place] ?? 0) === "number"));
    return html`<div class="figure-table" tabindex="0" role="region" aria-label=${visible(label)}>
        <table class="listing"><thead><tr>${columns.map(
            (name, place) => html`<th key=${place} scope="col"
            class=${isNumber[place] ? "number" : null}><bdi>${visible(name)}</bdi></th>`,
        )}</tr></thead>
        <tbody>${rows
            .slice(0, MOST_ROWS)
            .map(
                (row, place) =>
                    html`<tr key=${place}>${row.map(
                        (cell, at) => html`<${Cell} key=${at} of=${cell} />`,
                    )}</tr>`,
            )}</tbody></table>
        ${
            rows.length > MOST_ROWS &&
            html`<p class="soft figure-rest">The first ${count(MOST_ROWS)} of ${plural(rows.length, "row")}.
            The CSV file has all.</p>`
        }</div>`;
}

/**
 * `table()` returns {columns, rows}. `note` stands below the title, `wide` takes the whole width, and `empty`
 * is a sentence instead of the chart. The other properties are those of EChart.
 */
export function Figure({
    title,
    tools,
    note,
    wide,
    empty,
    table,
    option,
    label,
    height = 280,
    events,
    after,
    mark,
}) {
    const [isTable, setTable] = useState(false);
    const [place, isSeen] = useSeen();
    const save = () => {
        const { columns, rows } = table();
        saveFile(`${title}.csv`, csv([columns, ...rows]), "text/csv");
    };
    const shown = isTable ? "Show the chart" : "Show as a table";
    return html`<figure class=${`figure${wide ? " wide" : ""}`} ref=${place}>
        <figcaption class="figure-head"><h2 class="clip"><bdi>${visible(title)}</bdi></h2>
            <span class="grow"></span>${tools}
            ${
                !empty &&
                html`<button class="icon" title=${shown} aria-label=${`${shown}: ${visible(title)}`}
                aria-pressed=${String(isTable)} onClick=${() => setTable(!isTable)}>
                <${Icon} name="table-2" size=${15} /></button>
            <button class="icon" title="Save as CSV" aria-label=${`Save as CSV: ${visible(title)}`}
                onClick=${save}><${Icon} name="download" size=${15} /></button>`
            }
        </figcaption>
        ${note && html`<p class="figure-note">${note}</p>`}
        ${
            empty
                ? html`<p class="figure-empty" style=${{ minHeight: `${height}px` }}>${empty}</p>`
                : isTable
                  ? html`<${DataTable} ...${table()} label=${title} />`
                  : isSeen
                    ? html`<${EChart} option=${option} label=${label} height=${height} events=${events}
                after=${after} mark=${mark} />`
                    : html`<div style=${{ height: `${height}px` }}></div>`
        }
    </figure>`;
}

/** A choice among [value, text] pairs, or {label, options} groups of them. */
export function Pick({ label, value: chosen, options, onChange }) {
    const draw = ([one, text]) => html`<option key=${one} value=${one}>${visible(text)}</option>`;
    return html`<label class="pick"><span>${label}</span>
        <select value=${chosen ?? ""} onChange=${(event) => onChange(event.target.value || null)}>
        ${options.map((one) =>
            Array.isArray(one)
                ? draw(one)
                : html`<optgroup key=${one.label} label=${one.label}>${one.options.map(draw)}</optgroup>`,
        )}</select></label>`;
}
