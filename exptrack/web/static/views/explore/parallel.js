/** Many fields of runs as parallel coordinates. The colour tells the metric; the best k stand out. */
import { html, useMemo } from "../../vendor/ui.js";
import { Figure, Pick } from "../../components/figure.js";
import { AxisChips, useParallel } from "../../components/parallel.js";
import { describeRun } from "./charts.js";
import { placeOn } from "./fields.js";

const STEPS = [5, 10, 20, 50, 100, 500, 1000];

/** The share of a row between the worst and the best, by rank: outliers do not take the colours away. */
function rankRows(rows, metric, isLess) {
    if (!metric || metric.kind === "category") return { scores: new Map(), ranked: [] };
    const ranked = rows
        .map((row) => [row, placeOn(metric, row)])
        .filter(([, at]) => at !== null)
        .toSorted((one, other) => (isLess ? one[1] - other[1] : other[1] - one[1]))
        .map(([row]) => row);
    const last = Math.max(1, ranked.length - 1);
    return { ranked, scores: new Map(ranked.map((row, place) => [row, 1 - place / last])) };
}

export function Parallel({
    state,
    rows,
    chosen,
    brushes,
    brushText,
    setBrushes,
    axes,
    options,
    metric,
    route,
}) {
    const isLess = state.better === "min";
    const { scores, ranked } = useMemo(() => rankRows(rows, metric, isLess), [rows, metric, isLess]);
    // What is brushed along these axes ECharts fades itself, without drawing anew.
    const isElsewhere = [...brushes.keys()].some((field) => !axes.some(({ id }) => id === field));
    const fits = isElsewhere ? chosen : null;
    const drawnRows = useMemo(() => {
        const best = state.best ? new Set(ranked.slice(0, state.best)) : null;
        return rows
            .map((row) => ({
                row,
                values: axes.map((one) => placeOn(one, row)),
                score: scores.get(row) ?? null,
                isFaded: (best !== null && !best.has(row)) || (fits !== null && !fits.has(row)),
            }))
            .filter(({ values }) => values.filter((one) => one !== null).length > 1);
    }, [rows, axes, scores, state.best, fits]);
    const drawn = useParallel({
        axes,
        rows: drawnRows,
        brushes,
        brushText,
        onBrush: (field, found) => setBrushes([[field, found]]),
        describe: ({ row }) => describeRun(axes, row),
        onOpen: ({ row }) => route.go(`/run/${encodeURIComponent(row.run_id)}`),
    });
    const steps = STEPS.filter((one) => one < ranked.length);
    const tools = html`<${Pick} label="Show" value=${state.best ? String(state.best) : ""}
        options=${[["", "all runs"], ...steps.map((one) => [String(one), `best ${one}`])]}
        onChange=${(best) => route.set({ best })} />`;
    const choices = options.flatMap((group) => group.options);
    return html`<${Figure} wide title="Parallel coordinates" ...${drawn} tools=${tools} height=${360}
        note=${html`<${AxisChips} axes=${axes} options=${choices}
            onOrder=${(fields) => route.set({ axes: fields.length ? fields : null })} />`}
        empty=${axes.length > 1 ? null : "Add an axis."}
        label=${`Parallel coordinates of ${drawnRows.length} runs; drag along an axis to filter`}
        table=${() => ({
            columns: ["run", "name", ...axes.map(({ label }) => label)],
            rows: rows
                .filter((row) => chosen.has(row))
                .map((row) => [row.run_id, row.name, ...axes.map(({ id }) => row[id])]),
        })} />`;
}
