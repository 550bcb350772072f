/**
 * Explores many runs at once, at /explore: any two fields as points, many fields as parallel coordinates, which
 * keys matter, and means of groups.
 * The URL has the filter, the fields, the best k and what is brushed. A brush is a filter to take along.
 */
import { html, useMemo, useRef, useState } from "../vendor/ui.js";
import { get, urlOf } from "../api.js";
import { dark } from "../colors.js";
import {
    BrushChips,
    brushCondition,
    isBrushed,
    readBrushes,
    withBrush,
    writeBrushes,
} from "../components/brush.js";
import { FilterLine } from "../components/filter.js";
import { Figure, Pick } from "../components/figure.js";
import { useFollow } from "../components/follow.js";
import { Problem, useLoad } from "../components/load.js";
import { count, plural, visible } from "../format.js";
import { useKeys } from "../keys.js";
import { labelOf } from "../runs/columns.js";
import { joinWhere } from "../runs/query.js";
import { Groups, Importance } from "./explore/answers.js";
import { MOST_RUNS, useDrawn } from "./explore/data.js";
import {
    axisOf,
    choose,
    chooseMetric,
    fieldOptions,
    guessBetter,
    literalOn,
    placeOn,
    writerOf,
} from "./explore/fields.js";
import { Parallel } from "./explore/parallel.js";
import { Scatter } from "./explore/scatter.js";

const REST_MS = 5000;
const LOGS = { 1: true, 0: false };
const NO_FIELDS = { fields: [], metric: null };

/** The state of the view: what the URL says, and what is chosen where it says nothing. */
function readState(params, { fields, metric: target }) {
    const given = choose(fields, mostOf(fields), target);
    const metric = params.get("metric") ?? target;
    return {
        x: params.get("x") ?? given.x,
        y: params.get("y") ?? given.y,
        color: params.get("color"),
        metric,
        better: params.get("better") ?? guessBetter(metric),
        axes: params.has("axes") ? params.getAll("axes") : given.axes,
        best: Number(params.get("best")) || null,
        group: params.get("group"),
        logs: { x: LOGS[params.get("logx")] ?? null, y: LOGS[params.get("logy")] ?? null },
        brushes: readBrushes(params),
    };
}

const mostOf = (fields) => Math.max(0, ...fields.map((info) => info.numbers + info.others));

/**
 * Reads the fields that can be drawn, and chooses a metric if `asked` is null. `own` has the fields of the runs
 * with this metric, as far as they may differ from those of all.
 */
async function readFields(where, asked, signal) {
    const { fields } = await get("/api/fields", { where }, signal);
    const metric = asked ?? chooseMetric(fields, mostOf(fields));
    const info = fields.find(({ name }) => name === metric);
    const isOfMost = !info || info.numbers + info.others > 0.9 * mostOf(fields);
    if (isOfMost) return { fields, own: { fields, metric } };
    const conditions = [...(where ? [where] : []), `exists ${metric}`];
    const found = await get("/api/fields", { where: conditions }, signal);
    return { fields, own: { fields: found.fields, metric } };
}

function Brushed({ where, conditions, brushes, chosen, axisFor, setBrush, route }) {
    if (brushes.size === 0) return null;
    const all = [...(where ? [where] : []), ...conditions];
    const takeIn = () => route.set({ where: joinWhere(all), brush: null }, { push: true });
    return html`<div class="brush-bar explore-brush" role="status"><strong>${plural(chosen, "run")}</strong>
        <${BrushChips} brushes=${brushes} labelOf=${labelOf} onBrush=${setBrush}
            writeOf=${(field) => writerOf(axisFor(field))} />
        <code class="clip" title=${visible(conditions.join(" and "))}>${visible(joinWhere(conditions))}</code>
        <span class="brush-acts"><button onClick=${takeIn}>Keep only these</button>
        <a class="button" href=${urlOf("/runs", { where: all })}>Show in Runs</a>
        <a class="button" href=${urlOf("/charts", { where: joinWhere(all) })}>Charts</a>
        <button onClick=${() => route.set({ brush: null })}>Clear</button></span></div>`;
}

/** How much of the runs has been read, if it is not all. */
const Share = ({ of: share }) =>
    share < 1 && html`<progress value=${share} aria-label="Reading runs"></progress>`;

function Word({ drawn, total, share }) {
    const parts = [plural(drawn, "run")];
    if (total > MOST_RUNS) parts.push(`the newest of ${count(total)}; filter to see others`);
    return html`<span class="soft explore-word" role="status">${parts.join(", ")}${
        share < 1 && html` <${Share} of=${share} />`
    }</span>`;
}

function Tools({ state, options, set, canLog }) {
    const log = (name) =>
        canLog[name] !== undefined &&
        html`<button class="toggle" aria-pressed=${String(canLog[name])} title=${`Logarithmic ${name} axis`}
        onClick=${() => set({ [`log${name}`]: canLog[name] ? "0" : "1" })}>log</button>`;
    const pick = (name, label) => html`<${Pick} label=${label} value=${state[name]} options=${options}
        onChange=${(field) => set({ [name]: field, [`log${name}`]: null })} />`;
    const colors = [["", "each run its own"], ...options];
    const metrics = options.filter(({ label }) => label.startsWith("Metrics"));
    return html`${pick("x", "x")}${log("x")}${pick("y", "y")}${log("y")}
        <${Pick} label="Colour" value=${state.color} options=${colors} onChange=${(color) => set({ color })} />
        <span class="explore-gap"></span>
        <${Pick} label="Metric" value=${state.metric} options=${metrics}
            onChange=${(metric) => set({ metric, better: null })} />
        <${Pick} label="Better" value=${state.better} options=${[
            ["max", "greater"],
            ["min", "less"],
        ]}
            onChange=${(better) => set({ better })} />`;
}

function Charts({ state, rows, options, where, route, turn, share, total }) {
    const fieldsKey = [...new Set([state.x, state.y, state.color, state.metric, ...state.axes])].join(
        "\u0000",
    );
    const found = useMemo(() => {
        const known = new Map();
        for (const field of [...fieldsKey.split("\u0000"), ...state.brushes.keys()]) {
            if (field) known.set(field, axisOf(field, rows));
        }
        return known;
    }, [rows, fieldsKey, [...state.brushes.keys()].join("\u0000")]);
    const withLog = (field, log) => {
        const one = found.get(field);
        return one && log !== null && one.canLog ? { ...one, log } : one;
    };
    const x = useMemo(() => withLog(state.x, state.logs.x), [found, state.x, state.logs.x]);
    const y = useMemo(() => withLog(state.y, state.logs.y), [found, state.y, state.logs.y]);
    const color = found.get(state.color) ?? null;
    const axesKey = state.axes.join("\u0000");
    const axes = useMemo(() => {
        const all = state.axes.map((field) => found.get(field)).filter(Boolean);
        // /api/fields does not say whether a text is the same in all runs; such an axis would tell nothing.
        return route.params.has("axes") ? all : all.filter((one) => (one.categories?.length ?? 2) > 1);
    }, [found, axesKey]);
    const brushText = JSON.stringify([...state.brushes]);
    const chosen = useMemo(() => {
        const fits = (row) => isBrushed(state.brushes, (field) => placeOn(found.get(field), row));
        return new Set(rows.filter(fits));
    }, [rows, found, brushText]);
    const setBrushes = (changes) => {
        let next = state.brushes;
        for (const [field, one] of changes) next = withBrush(next, field, one);
        route.set(writeBrushes(next));
    };
    const conditions = [...state.brushes].map(([field, one]) => {
        const own = found.get(field);
        const values = own.originals ? one.map((name) => own.originals.get(name) ?? name) : one;
        return brushCondition(field, values, literalOn(own), own.kind === "category");
    });
    const common = { state, rows, chosen, brushes: state.brushes, brushText, setBrushes, route };
    const canLog = { x: x?.canLog ? x.log : undefined, y: y?.canLog ? y.log : undefined };
    const asked = [where, state.metric, turn];
    return html`<div class="explore-tools"><${Tools} state=${state} options=${options} set=${route.set}
            canLog=${canLog} /><span class="grow"></span>
            <${Word} drawn=${rows.length} total=${total} share=${share} /></div>
        <div class="figure-grid explore-grid">
            ${x && y && html`<${Scatter} ...${common} x=${x} y=${y} color=${color} axes=${axes} />`}
            <${Importance} asked=${asked} where=${where} state=${state} route=${route} />
            <${Parallel} ...${common} axes=${axes} options=${options} metric=${found.get(state.metric)} />
            <${Groups} asked=${asked} where=${where} axes=${axes} state=${state}
                options=${options} route=${route} />
        </div>
        <${Brushed} where=${where} conditions=${conditions} brushes=${state.brushes} chosen=${chosen.size}
            axisFor=${(field) => found.get(field)} setBrush=${(field, one) => setBrushes([[field, one]])}
            route=${route} />`;
}

function Nothing({ where, route }) {
    return html`<div class="empty"><h1>${where ? "No run matches" : "No runs yet"}</h1>
        ${
            where
                ? html`<p>The filter asks for <code>${visible(where)}</code>.</p>
            <p><button onClick=${() => route.set({ where: null })}>Clear the filter</button></p>`
                : html`<p>The archive has no run. Charts appear here with the first ones.</p>`
        }</div>`;
}

export default function Explore({ route }) {
    const where = joinWhere(route.params.getAll("where"));
    const [turn, setTurn] = useState(0);
    const input = useRef(null);
    useFollow(() => setTurn((before) => before + 1), REST_MS);
    const asked = route.params.get("metric");
    const fields = useLoad((signal) => readFields(where, asked, signal), [where, asked, turn]);
    const query = route.params.toString();
    const infos = fields.data?.fields ?? [];
    const own = fields.data?.own ?? NO_FIELDS;
    const state = useMemo(() => readState(route.params, own), [query, fields.data]);
    const options = useMemo(() => fieldOptions(infos), [fields.data]);
    const columns = fields.data
        ? [state.x, state.y, state.color, state.metric, ...state.axes, ...state.brushes.keys()].filter(
              Boolean,
          )
        : [];
    const { rows, total, error, share } = useDrawn(where, columns, turn);
    useKeys("Explore", [
        { keys: "/", does: "Write into the filter", run: () => input.current?.focus() },
        {
            keys: "Escape",
            does: "Clear the brushes",
            run: () => state.brushes.size > 0 && route.set({ brush: null }),
        },
    ]);
    const problem = [error, fields.error].find((one) => one?.kind === "FilterError");
    const failed = [error, fields.error].find((one) => one && one.kind !== "FilterError");
    const isBusy = rows === null && !error && !fields.error;
    return html`<div class="view explore-view" aria-busy=${isBusy ? "true" : "false"}>
        <${FilterLine} text=${where} problem=${problem ?? null} inputRef=${input}
            onApply=${(text, push) => route.set({ where: text || null }, { push })} />
        ${isBusy && html`<p class="reading" role="status">Reading the runs… <${Share} of=${share} /></p>`}
        ${failed && html`<${Problem} error=${failed} retry=${() => setTurn(turn + 1)} />`}
        ${rows !== null && rows.length === 0 && html`<${Nothing} where=${where} route=${route} />`}
        ${
            rows !== null &&
            rows.length > 0 &&
            html`<${Charts} state=${state} rows=${rows} options=${options} where=${where} route=${route}
            turn=${turn} share=${share} total=${total} />`
        }</div>`;
}
