/**
 * One study, at /sweep/NAME: how the search went, what each param does to the value, and all of its trials.
 * The URL has the objective shown, the two params of the plane, the axes, the best k, and what is brushed.
 */
import { html, useEffect, useMemo } from "../vendor/ui.js";
import { get, urlOf } from "../api.js";
import {
    BrushChips,
    brushCondition,
    isBrushed,
    readBrushes,
    withBrush,
    writeBrushes,
} from "../components/brush.js";
import { Figure, Pick } from "../components/figure.js";
import { useFollow } from "../components/follow.js";
import { Empty, Loaded, useLoad } from "../components/load.js";
import { AxisChips, useParallel } from "../components/parallel.js";
import { dark } from "../colors.js";
import { plural, time, visible } from "../format.js";
import { configField } from "../runs/conditions.js";
import {
    barsOption,
    describe,
    frontOption,
    historyOption,
    planeOption,
    reportsOption,
    sliceOption,
    timelineOption,
} from "./sweep/charts.js";
import { Head } from "./sweep/head.js";
import { TrialTable } from "./sweep/table.js";
import { arrange, paramAxis, settingOf } from "./sweep/trials.js";

const MOST_SLICES = 12;

const open =
    (route) =>
    ({ data }) => {
        const id = data?.trial?.run_id ?? data?.run_id;
        if (id) route.go(`/run/${encodeURIComponent(id)}`);
    };

/** The table behind most charts: a row for each trial. */
export const trialRows = (study, some = study.trials) => ({
    columns: ["trial", "state", ...study.metrics, ...study.params, "run"],
    rows: some.map((trial) => [
        trial.number,
        trial.state,
        ...study.metrics.map((_, place) => trial.values[place] ?? null),
        ...study.params.map((name) => trial.params[name] ?? null),
        trial.run_id,
    ]),
});

function History({ study, route }) {
    const option = useMemo(() => historyOption(study), [study, dark.value]);
    const hasValues = study.trials.some(({ value }) => value !== null);
    return html`<${Figure} title="History" option=${option} events=${{ click: open(route) }} height=${320}
        empty=${hasValues ? null : "No trial has a value yet."}
        label=${`${study.objective} of each trial, and the best so far`}
        table=${() => ({
            columns: ["trial", "state", study.objective, "best so far"],
            rows: study.trials.map((one) => [one.number, one.state, one.value, one.bestSoFar]),
        })} />`;
}

function Front({ study, route }) {
    const x = study.place;
    const y = x === 0 ? 1 : 0;
    const option = useMemo(() => frontOption(study, x, y), [study, dark.value]);
    return html`<${Figure} title="Objectives" option=${option} events=${{ click: open(route) }} height=${320}
        label=${`${study.metrics[y]} against ${study.metrics[x]}, with the trials that no other beats`}
        table=${() => trialRows(study)} />`;
}

/** Whether there is something to rank: completed trials whose values and params differ. */
function canRank(answer) {
    const trials = answer?.trials.filter(({ state }) => state === "complete") ?? [];
    const differ = (of) => new Set(trials.map((trial) => JSON.stringify(of(trial)))).size > 1;
    return differ(({ values }) => values) && differ(({ params }) => params);
}

function Importances({ study, ranked }) {
    const rows = ranked.data?.importances.map((one) => [one.param, one.importance]) ?? [];
    const option = useMemo(() => barsOption(rows), [ranked.data, dark.value]);
    const waits = canRank(study) ? "Reading…" : "Importances need completed trials that differ.";
    const empty = ranked.error?.message ?? (ranked.data ? null : waits);
    return html`<${Figure} title="Importance of the params" option=${option} empty=${empty && visible(empty)}
        height=${320} label=${`How much each param matters for ${study.objective}`}
        table=${() => ({ columns: ["param", "importance"], rows })} />`;
}

function Parallel({ study, axes, known, brushes, brushText, best, route, setBrush }) {
    const rows = useMemo(() => {
        const chosen = best ? new Set(study.ranked.slice(0, best)) : null;
        return study.trials
            .filter(({ state, value }) => state === "complete" && value !== null)
            .map((trial) => ({
                trial,
                run_id: trial.run_id,
                values: axes.map((one) => valueOn(study, trial, one)),
                score: trial.score,
                isFaded: chosen !== null && !chosen.has(trial),
            }));
    }, [study, axes, best]);
    const drawn = useParallel({
        axes,
        rows,
        brushes,
        brushText,
        onBrush: setBrush,
        describe: ({ trial }) => describe(study, trial),
        onOpen: ({ run_id: id }) => id && route.go(`/run/${encodeURIComponent(id)}`),
    });
    const tools = html`<${BestPick} best=${best} of=${rows.length}
        onChange=${(value) => route.set({ best: value })} />`;
    return html`<${Figure} wide title="Parallel coordinates" ...${drawn} height=${340} tools=${tools}
        note=${html`<${AxisChips} axes=${axes} options=${known.map(({ id, label }) => [id, label])}
            onOrder=${(ids) => route.set({ axes: ids.length ? ids : null })} />`}
        empty=${rows.length ? (axes.length > 1 ? null : "Add an axis.") : "No trial is complete yet."}
        label="Parallel coordinates: params and value of each complete trial"
        table=${() => trialRows(study, study.counted)} />`;
}

/** How many of the best are drawn in colour. */
export function BestPick({ best, of, onChange }) {
    const steps = [5, 10, 20, 50, 100, 500].filter((one) => one < of);
    const options = [["", `all ${of}`], ...steps.map((one) => [String(one), `best ${one}`])];
    return html`<${Pick} label="Show" value=${best ? String(best) : ""} options=${options}
        onChange=${onChange} />`;
}

const valueOn = (study, trial, one) =>
    one.isObjective ? (trial.values[one.place] ?? null) : settingOf(trial, one);

function Slices({ study, axes, route }) {
    return html`<section class="wide slices" aria-label="Slices"><h2>Slices
        <span class="soft">${study.objective} against each param</span></h2>
        <div class="slice-grid">${axes
            .slice(0, MOST_SLICES)
            .map(
                (one) => html`<${Slice} key=${one.id} study=${study} param=${one} route=${route} />`,
            )}</div></section>`;
}

function Slice({ study, param, route }) {
    const option = useMemo(() => sliceOption(study, param), [study, param, dark.value]);
    return html`<${Figure} title=${param.label} option=${option} events=${{ click: open(route) }} height=${220}
        label=${`${study.objective} against ${param.label}`}
        table=${() => ({
            columns: ["trial", param.label, study.objective],
            rows: study.trials
                .filter(({ params }) => param.id in params)
                .map((trial) => [trial.number, trial.params[param.id], trial.value]),
        })} />`;
}

function Plane({ study, axes, route }) {
    const pick = (name, fallback) => axes.find(({ id }) => id === route.params.get(name)) ?? fallback;
    const x = pick("x", axes[0]);
    const y = pick("y", axes.find((one) => one !== x) ?? axes[0]);
    const option = useMemo(() => planeOption(study, x, y), [study, x, y, dark.value]);
    const options = axes.map(({ id, label }) => [id, label]);
    const tools = html`<${Pick} label="x" value=${x.id} options=${options}
            onChange=${(id) => route.set({ x: id })} />
        <${Pick} label="y" value=${y.id} options=${options} onChange=${(id) => route.set({ y: id })} />`;
    return html`<${Figure} title="Two params" option=${option} events=${{ click: open(route) }} tools=${tools}
        height=${340} label=${`${y.label} against ${x.label}; the colour says how good the value is`}
        table=${() => ({
            columns: ["trial", x.label, y.label, study.objective],
            rows: study.trials.map((one) => [
                one.number,
                one.params[x.id] ?? null,
                one.params[y.id] ?? null,
                one.value,
            ]),
        })} />`;
}

function Reports({ study, route }) {
    const option = useMemo(() => reportsOption(study), [study, dark.value]);
    const some = study.trials.some(({ reports }) => Object.keys(reports).length > 0);
    const onClick = ({ seriesIndex }) => {
        const reporting = study.trials.filter(({ reports }) => Object.keys(reports).length > 0);
        const id = reporting[seriesIndex]?.run_id;
        if (id) route.go(`/run/${encodeURIComponent(id)}`);
    };
    return html`<${Figure} title="Reported values" option=${option} height=${340} events=${{ click: onClick }}
        empty=${some ? null : "No trial reported a value on its way."}
        label="The values that each trial reported on its way; those of pruned trials are dashed"
        table=${() => ({
            columns: ["trial", "state", "step", "value"],
            rows: study.trials.flatMap((one) =>
                Object.entries(one.reports).map(([step, value]) => [
                    one.number,
                    one.state,
                    Number(step),
                    value,
                ]),
            ),
        })} />`;
}

function Timeline({ study, route }) {
    const option = useMemo(() => timelineOption(study), [study, dark.value]);
    const ran = study.trials.filter(({ started_at: at }) => at !== null);
    return html`<${Figure} wide title="Timeline" option=${option} events=${{ click: open(route) }}
        height=${Math.min(480, 90 + 12 * ran.length)} empty=${ran.length ? null : "No trial has begun."}
        label="When each trial ran, and how it ended"
        table=${() => ({
            columns: ["trial", "state", "started", "ended", "reason"],
            rows: study.trials.map((one) => [
                one.number,
                one.state,
                time(one.started_at),
                time(one.ended_at),
                one.reason,
            ]),
        })} />`;
}

/** What is brushed in words, and the way to the same runs in the table of runs. */
function Brushed({ study, axes, brushes, chosen, setBrush, route }) {
    if (brushes.size === 0) return null;
    const own = axes.filter(({ id }) => brushes.has(id));
    const where = [`study = ${JSON.stringify(study.study.name)}`];
    // The value of a trial is no field of its run, so what is brushed along it names the trials.
    if (own.some(({ isObjective }) => isObjective)) {
        where.push(`trial.number in (${chosen.map(({ number }) => number).join(", ") || -1})`);
    } else where.push(...own.map(({ id }) => brushCondition(configField(id), brushes.get(id))));
    const labelOf = (id) => axes.find((one) => one.id === id)?.label ?? id;
    return html`<div class="brush-bar wide" role="status">
        <strong>${plural(chosen.length, "trial")}</strong>
        <${BrushChips} brushes=${brushes} labelOf=${labelOf} onBrush=${setBrush} />
        <span class="grow"></span>
        <a class="button" href=${urlOf("/runs", { where })}>Show these in Runs</a>
        <button onClick=${() => route.set({ brush: null })}>Clear</button></div>`;
}

function Study({ answer, ranked, route, reload }) {
    const study = useMemo(
        () => arrange(answer, route.params.get("metric")),
        [answer, route.params.get("metric")],
    );
    const axes = useMemo(() => answer.space.map((space) => paramAxis(space, study.trials)), [study]);
    const known = useMemo(
        () => [
            ...axes,
            ...study.metrics.map((name, place) => ({
                id: `value:${name}`,
                label: name,
                kind: "number",
                isObjective: true,
                place,
            })),
        ],
        [axes],
    );
    const wanted = route.params.getAll("axes").join("\n");
    const shownAxes = useMemo(() => {
        const ids = wanted ? wanted.split("\n") : known.map(({ id }) => id);
        return ids.map((id) => known.find((one) => one.id === id)).filter(Boolean);
    }, [known, wanted]);
    const brushText = route.params.getAll("brush").join("\n");
    const brushes = useMemo(() => readBrushes(route.params), [brushText]);
    const setBrush = (id, chosen) => route.set(writeBrushes(withBrush(brushes, id, chosen)));
    const valueOf = (trial) => (id) => {
        const one = known.find((other) => other.id === id);
        return one ? valueOn(study, trial, one) : null;
    };
    const chosen = useMemo(
        () => study.trials.filter((trial) => isBrushed(brushes, valueOf(trial))),
        [study, brushes, known],
    );
    const best = Number(route.params.get("best")) || null;
    const common = { study, route };
    return html`<${Head} study=${study} reload=${reload} route=${route} />
        ${
            study.trials.length === 0
                ? html`<${Empty} title="No trial yet"><p>The charts appear with the first trial.</p><//>`
                : html`<div class="figure-grid">
            ${study.metrics.length > 1 ? html`<${Front} ...${common} />` : html`<${History} ...${common} />`}
            <${Importances} study=${study} ranked=${ranked} />
            <${Parallel} ...${common} axes=${shownAxes} known=${known} brushes=${brushes}
                brushText=${brushText} best=${best}
                setBrush=${setBrush} />
            ${axes.length > 0 && html`<${Slices} ...${common} axes=${axes} />`}
            ${axes.length > 0 && html`<${Plane} ...${common} axes=${axes} />`}
            ${
                study.metrics.length > 1
                    ? html`<${History} ...${common} />`
                    : html`<${Reports} ...${common} />`
            }
            <${Timeline} ...${common} />
            <${TrialTable} ...${common} trials=${chosen} params=${axes} />
            <${Brushed} ...${common} axes=${known} brushes=${brushes} chosen=${chosen} setBrush=${setBrush} />
        </div>`
        }`;
}

export default function Sweep({ route }) {
    const name = route.path.join("/");
    const path = `/api/sweep/${encodeURIComponent(name)}`;
    const study = useLoad((signal) => get(path, {}, signal), [name]);
    const metric = route.params.get("metric");
    const counted = study.data?.study.counts.complete ?? 0;
    const ranked = useLoad(
        async (signal) =>
            canRank(study.data) ? get("/api/sweep-importances", { name, metric }, signal) : null,
        [name, metric, counted],
    );
    useFollow(study.reload);
    useEffect(() => {
        if (study.data) document.title = `${visible(study.data.study.name)} · exptrack`;
    }, [study.data?.study.name]);
    return html`<div class="view sweep-view"><${Loaded} of=${study}>${(
        answer,
    ) => html`<${Study} answer=${answer}
        ranked=${ranked} route=${route} reload=${study.reload} />`}<//></div>`;
}
