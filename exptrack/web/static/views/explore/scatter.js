/** Any two fields of runs against each other. A rectangle dragged over the points brushes both fields. */
import { html, useMemo } from "../../vendor/ui.js";
import { dark } from "../../colors.js";
import { theme } from "../../components/echart.js";
import { Figure } from "../../components/figure.js";
import { visible } from "../../format.js";
import { coloring, scatterOption } from "./charts.js";
import { placeOn } from "./fields.js";

/** The range of a brush on an axis, as places there: categories become their numbers. */
function rangeOn(axis, brushed) {
    if (!brushed?.length) return null;
    if (axis.kind !== "category") return brushed.length === 1 ? brushed[0] : null;
    const places = brushed.map((name) => axis.categories.indexOf(name)).filter((place) => place >= 0);
    return places.length ? [Math.min(...places), Math.max(...places)] : null;
}

/** What a range of places on an axis brushes. */
function brushOn(axis, [from, to]) {
    if (axis.kind !== "category") return [[from, to]];
    return axis.categories.slice(
        Math.max(0, Math.ceil(Math.min(from, to))),
        Math.floor(Math.max(from, to)) + 1,
    );
}

function Legend({ color, paint }) {
    if (!color || paint.legend.length === 0) return null;
    const sign = (shade) => html`<svg width="10" height="10" aria-hidden="true"><circle cx="5" cy="5" r="5"
        fill=${shade} /></svg>`;
    if (!paint.scale) {
        return html`<span class="explore-legend">${paint.legend.map(
            ([text, shade]) => html`<span key=${text}>${sign(shade)} <bdi>${visible(text)}</bdi></span>`,
        )}</span>`;
    }
    const [[low], [high]] = paint.legend;
    return html`<span class="explore-legend"><bdi>${visible(color.label)}</bdi>
        <span>${low}</span><svg width="96" height="8" aria-hidden="true">${paint.scale.map(
            (shade, place) => html`<rect key=${place} x=${(96 * place) / paint.scale.length}
            width=${96 / paint.scale.length + 1} height="8" fill=${shade} />`,
        )}</svg><span>${high}</span></span>`;
}

export function Scatter({ x, y, color, axes, rows, chosen, brushes, brushText, setBrushes, route }) {
    const paint = useMemo(() => coloring(color, rows, theme()), [color, rows, dark.value]);
    const option = useMemo(
        () => scatterOption({ x, y, color, paint, rows, axes, isChosen: (row) => chosen.has(row) }),
        [x, y, color, paint, rows, chosen, axes, brushText, dark.value],
    );
    const after = (chart) => {
        chart.dispatchAction({
            type: "takeGlobalCursor",
            key: "brush",
            brushOption: { brushType: "rect", brushMode: "single" },
        });
        const range = [rangeOn(x, brushes.get(x.id)), rangeOn(y, brushes.get(y.id))];
        if (range.every(Boolean)) {
            const areas = [{ brushType: "rect", xAxisIndex: 0, yAxisIndex: 0, coordRange: range }];
            chart.dispatchAction({ type: "brush", areas });
        }
    };
    const events = {
        brushEnd: ({ areas }) => {
            const range = areas[0]?.coordRange;
            setBrushes([
                [x.id, range ? brushOn(x, range[0]) : null],
                [y.id, range ? brushOn(y, range[1]) : null],
            ]);
        },
        click: ({ data }) => data?.row && route.go(`/run/${encodeURIComponent(data.row.run_id)}`),
    };
    const columns = [x, y, ...(color ? [color] : [])];
    const isEmpty = !rows.some((row) => placeOn(x, row) !== null && placeOn(y, row) !== null);
    const missing = `No run has both ${visible(x.label)} and ${visible(y.label)}; choose other fields.`;
    return html`<${Figure} title=${`${y.label} against ${x.label}`} option=${option} height=${380}
        empty=${isEmpty ? missing : null} events=${events}
        after=${after} tools=${html`<${Legend} color=${color} paint=${paint} />`}
        label=${`${y.label} against ${x.label} of ${rows.length} runs; drag a rectangle to filter`}
        table=${() => ({
            columns: ["run", "name", ...columns.map(({ label }) => label)],
            rows: rows
                .filter((row) => chosen.has(row))
                .map((row) => [row.run_id, row.name, ...columns.map(({ id }) => row[id])]),
        })} />`;
}
