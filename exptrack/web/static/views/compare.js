/**
 * Up to 20 runs side by side: facts, configs, metrics, curves, images, texts and tables.
 * @module
 */
import { html, useEffect, useMemo, useSignal, useState } from "../vendor/ui.js";
import { get } from "../api.js";
import { dark } from "../colors.js";
import { plural, visible } from "../format.js";
import { watch } from "../live.js";
import { Swatch } from "../components/chart.js";
import { ColorButton } from "../components/color_button.js";
import { Icon } from "../components/icons.js";
import { Empty, Loaded, useLoad } from "../components/load.js";
import { lookOf } from "../components/looks.js";
import { SearchField } from "../components/search_field.js";
import { Status } from "../components/status.js";
import { conditionsOf, readState, writePaint } from "./charts/state.js";
import { ConfigRows, FactRows, MetricRows } from "./compare/rows.js";
import { Curves } from "./compare/curves.js";
import { Media } from "./compare/media.js";

const MOST_RUNS = 20;
const SETTLE_MS = 500;
const COLUMNS = ["run_id", "status", "duration", "started", "name"];

/** The state of the view, from the URL. */
function readCompare(params) {
    const pairs = params
        .getAll("best")
        .map((one) => [one.slice(0, one.lastIndexOf(":")), one.slice(one.lastIndexOf(":") + 1)]);
    return {
        isAll: params.get("all") === "1",
        base: params.get("base"),
        statistic: params.get("by") ?? "last",
        search: params.get("search") ?? "",
        directions: new Map(pairs),
        curves: params.getAll("curves").filter(Boolean),
        artifact: params.get("artifact"),
        step: params.get("step"),
        against: params.get("against"),
    };
}

/** Read the runs that the URL names, in its order, or the newest that a filter selects. */
async function readRuns(state, signal) {
    const found = await get(
        "/api/runs",
        { where: conditionsOf(state), order: "-started", columns: COLUMNS, size: MOST_RUNS },
        signal,
    );
    const rows = found.rows.map((row, place) => ({ ...row, row_id: found.row_ids[place] }));
    const order = new Map(state.runs.map((id, place) => [id, place]));
    if (state.runs.length > 0) rows.sort((one, other) => order.get(one.run_id) - order.get(other.run_id));
    return { rows, total: found.total };
}

async function readComparison(state, isAll, signal) {
    const { rows, total } = await readRuns(state, signal);
    if (rows.length === 0) return { rows, total, comparison: null };
    const runs = rows.map((row) => row.run_id);
    const { comparison } = await get("/api/compare", { runs, all: isAll ? "1" : "0" }, signal);
    return { rows, total, comparison };
}

/** Count what happened to these runs, at most twice a second. */
function useTicks(rows) {
    const [ticks, setTicks] = useState(0);
    const ids = rows?.map((row) => row.row_id).join(",");
    useEffect(() => {
        if (!ids) return undefined;
        const own = new Set(ids.split(",").map(Number));
        let timer = null;
        const stop = watch({ runs: true }, (event) => {
            const isOurs =
                event.type === "again" || (event.type === "runs" && event.changed.some((id) => own.has(id)));
            if (!isOurs) return;
            timer ??= setTimeout(() => {
                timer = null;
                setTicks((before) => before + 1);
            }, SETTLE_MS);
        });
        return () => {
            clearTimeout(timer);
            stop();
        };
    }, [ids]);
    return ticks;
}

export default function Compare({ route }) {
    const query = route.params.toString();
    const state = useMemo(() => ({ ...readState(route.params), ...readCompare(route.params) }), [query]);
    const isAsked = state.runs.length > 0 || route.params.has("where");
    const [rows, setRows] = useState(null);
    const ticks = useTicks(rows);
    const asked = [state.runs.join(","), state.where.join("\n"), state.isAll, isAsked, ticks];
    const found = useLoad(async (signal) => {
        if (!isAsked) return { rows: [], total: 0, comparison: null };
        const read = await readComparison(state, state.isAll, signal);
        setRows(read.rows);
        return read;
    }, asked);
    return html`<div class="compare"><h1 class="unseen">Compare</h1><${Loaded} of=${found}>${(answer) =>
        answer.comparison === null
            ? html`<${Nothing} isAsked=${isAsked} />`
            : html`<${Comparison} ...${answer} state=${state} route=${route} />`}<//></div>`;
}

function Nothing({ isAsked }) {
    return html`<${Empty} title=${isAsked ? "No run matches" : "Choose runs to compare"}>
    <p>In <a href="/runs">Runs</a>, select some with <kbd>x</kbd> and press <kbd>c</kbd>.
      Up to ${MOST_RUNS} stand side by side.</p>
    <p><a class="button" href="/compare?where=">Compare the newest runs</a></p><//>`;
}

function Comparison({ comparison, rows, total, state, route }) {
    const { runs, config, metrics } = comparison;
    const set = route.set;
    const hover = useSignal(null);
    const { paint } = state;
    const look = useMemo(
        () => lookOf(rows, { color: null, dash: null, paint }),
        [rows, writePaint(paint).join("\n"), dark.value],
    );
    const onPaint = (next) => set({ paint: writePaint(next) });
    const base = Math.max(
        0,
        runs.findIndex((run) => run.run_id === state.base),
    );
    const setBase = (id) => set({ base: id });
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (name) => words.every((word) => name.toLowerCase().includes(word));
    const common = { runs, base, state, set, hover, look };
    const differing = config.filter((one) => one.differs).length;
    return html`<${Tools} state=${state} set=${set} total=${total} shown=${runs.length}
      differing=${differing} />
    <table class="compare-table"><thead><tr>
      <th class="compare-corner" scope="col"><span class="soft">${plural(runs.length, "run")}</span></th>
      ${runs.map(
          (run, place) => html`<${RunHead} key=${run.run_id} run=${run} look=${look(run)} hover=${hover}
        paint=${paint} onPaint=${onPaint} isBase=${place === base} onBase=${setBase}
        onRemove=${removal(runs, run, state, set)} />`,
      )}</tr></thead>
      <${FactRows} ...${common} matches=${matches} />
      <${ConfigRows} ...${common} config=${config.filter((one) => matches(one.key))} />
      <${MetricRows} ...${common} metrics=${metrics.filter((one) => matches(one.name))} />
    </table>
    <${Curves} ...${common} rows=${rows} metrics=${metrics} route=${route} />
    <${Media} ...${common} />`;
}

function removal(runs, run, state, set) {
    if (runs.length < 2) return null;
    return () =>
        set(
            {
                runs: runs.filter((one) => one !== run).map((one) => one.run_id),
                where: null,
                base: state.base === run.run_id ? null : state.base,
            },
            { push: true },
        );
}

function Tools({ state, set, total, shown, differing }) {
    const verb = differing === 1 ? "differs" : "differ";
    return html`<div class="compare-tools compare-wide">
    <${SearchField} label="Search keys and metrics" value=${state.search}
      onInput=${(text) => set({ search: text || null })} />
    <button class="toggle" aria-pressed=${String(!state.isAll)} title="Hide keys that are equal in all runs"
      onClick=${() => set({ all: state.isAll ? null : "1" })}>only what differs</button>
    <span class="soft">${differing === 0 ? "The configs are equal." : `${plural(differing, "key")} ${verb}.`}
      ${total > shown && html` The ${shown} newest of ${plural(total, "run")} are shown.`}</span></div>`;
}

function RunHead({ run, look, hover, paint, onPaint, isBase, onBase, onRemove }) {
    const label = visible(run.name ?? run.run_id);
    const point = (id) => () => {
        hover.value = id && { chart: null, x: null, id, left: 0, top: 0, pinned: false };
    };
    const kind = isBase ? "compare-run base" : "compare-run";
    return html`<th scope="col" class=${kind} onPointerEnter=${point(run.run_id)} onPointerLeave=${point(null)}>
    <div class="row"><${ColorButton} kind="icon compare-color" id=${run.run_id} label=${label}
        paint=${paint} onPaint=${onPaint}><${Swatch} ...${look} /><//>
      <a class="clip grow" href=${`/run/${run.run_id}`} title=${`${label} (${run.run_id})`}>
      <bdi>${label}</bdi></a>
      ${
          onRemove &&
          html`<button class="icon" title="Take it out" aria-label=${`Take out ${label}`} onClick=${onRemove}>
        <${Icon} name="x" size=${12} /></button>`
      }</div>
    <div class="row"><${Status} status=${run.status} reason=${run.reason} /><span class="grow"></span>
      ${
          isBase
              ? html`<span class="badge" title="The others are compared with this run">baseline</span>`
              : html`<button class="link compare-base" onClick=${() => onBase(run.run_id)}>as baseline</button>`
      }</div></th>`;
}
