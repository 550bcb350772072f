/**
 * The metrics of a run: small charts or a table of their summaries, grouped by prefix, searched, and paged, as
 * a run may have a million names. The metrics of the system stand apart.
 */
import { html, signal, useCallback, useEffect, useMemo, useRef, useState } from "../../vendor/ui.js";
import { get, urlOf } from "../../api.js";
import { colorOf, dark } from "../../colors.js";
import { Chart, LogSwitch } from "../../components/chart.js";
import { Icon } from "../../components/icons.js";
import { makeLine, wantsLog } from "../../components/lines.js";
import { Empty, Loaded, useLoad } from "../../components/load.js";
import { Segments } from "../../components/segments.js";
import { Pages } from "../../components/text.js";
import { count, duration, exact, isSpecial, number, plural, visible } from "../../format.js";
import { useCurves } from "./curves.js";
import { joinSmall } from "../charts/sections.js";
import { groupByPrefix, titleOf } from "./metric_groups.js";

const PAGE = 60;

export function Metrics({ run, route, ticks }) {
    const search = route.params.get("q") ?? "";
    const system = route.params.get("part") === "system";
    const asTable = route.params.get("show") === "table";
    const page = Math.max(0, Number(route.params.get("page") ?? 1) - 1 || 0);
    const params = { search, part: system ? "system" : "own", start: page * PAGE, size: PAGE };
    const metrics = useLoad(
        (abort) => get(`/api/run/${encodeURIComponent(run.run_id)}/metrics`, params, abort),
        [run.run_id, search, system, page],
        ticks,
    );
    const set = (changes) => route.set({ page: null, ...changes });
    return html`<div class="metrics-tab">
        <div class="tool-row">
            <input type="search" class="search" placeholder="Search metrics" aria-label="Search metrics"
                value=${search}
                onInput=${(event) => set({ q: event.target.value || null })} />
            <${Segments} label="Which metrics" chosen=${system}
                choose=${(value) => set({ part: value ? "system" : null })}
                options=${[
                    [false, "Logged"],
                    [true, "System"],
                ]} />
            <${Segments} label="Show metrics as" chosen=${asTable}
                choose=${(value) => route.set({ show: value ? "table" : null })}
                options=${[
                    [false, "Charts"],
                    [true, "Table"],
                ]} />
            <span class="grow"></span>
            <a class="button" href=${urlOf("/charts", { runs: run.run_id })}><${Icon}
                name="chart-line" /> Open in Charts</a>
        </div>
        <${Loaded} of=${metrics}>${(answer) =>
            answer.total === 0
                ? html`<${NoMetrics} run=${run} search=${search} system=${system} />`
                : html`<${Shown} key=${run.run_id} run=${run} metrics=${answer.metrics} asTable=${asTable}
                points=${ticks} />
                <${Pages} at=${page} pages=${pagesOf(answer, page)}
                    go=${(next) => route.set({ page: next === 0 ? null : next + 1 })}>
                    ${answer.total === null ? "more than 2,000 metrics" : plural(answer.total, "metric")}
                <//>`}<//>
    </div>`;
}

/** How many pages there are; of very many metrics only that there is one more. */
function pagesOf({ metrics, total }, page) {
    if (total !== null) return Math.ceil(total / PAGE);
    return page + (metrics.length === PAGE ? 2 : 1);
}

function NoMetrics({ run, search, system }) {
    if (search) return html`<${Empty} title=${`No metric has “${visible(search)}” in its name.`} />`;
    if (system) {
        return html`<${Empty} title="This run recorded no metrics of the system.">
            <p>Record them by <code>exptrack.start_run(system_metrics=True)</code>.</p><//>`;
    }
    if (run.status === "running") {
        const seconds = (Date.now() - Date.parse(run.started_at)) / 1000;
        return html`<${Empty} title=${`No points yet. The run has been running for ${duration(seconds)}.`}>
            <p>Its curves appear here as soon as it logs.</p><//>`;
    }
    return html`<${Empty} title="This run logged no metrics.">
        <p>Log them by <code>run.log({"loss": 0.5})</code>.</p><//>`;
}

function Shown({ run, metrics, asTable, points }) {
    const groups = useMemo(() => groupByPrefix(metrics), [metrics]);
    const joined = useMemo(
        () => joinSmall(groups.map(({ prefix, metrics: own }) => [prefix, own])),
        [groups],
    );
    if (asTable) return html`<${Table} groups=${groups} run=${run} />`;
    return html`<${Charts} groups=${joined} run=${run} points=${points} />`;
}

/** The names of the elements that are on the screen, or nearly. */
function useInView() {
    const [names, setNames] = useState(() => new Set());
    const observer = useRef(null);
    observer.current ??= new IntersectionObserver(
        (entries) =>
            setNames((before) => {
                const after = new Set(before);
                for (const { target, isIntersecting } of entries) {
                    if (isIntersecting) after.add(target.dataset.metric);
                    else after.delete(target.dataset.metric);
                }
                return after;
            }),
        { rootMargin: "300px" },
    );
    useEffect(() => () => observer.current.disconnect(), []);
    const observe = useCallback((element) => element && observer.current.observe(element), []);
    return [names, observe];
}

const VIEW = { xKind: "number", logX: false, logY: false, ignoreOutliers: false, yLimits: [null, null] };

function Charts({ groups, run, points }) {
    const [inView, observe] = useInView();
    const curves = useCurves(run.run_id, [...inView], points);
    const hover = useMemo(() => signal(null), []);
    const [zoom, setZoom] = useState([null, null]);
    const view = useMemo(() => ({ ...VIEW, zoom }), [zoom]);
    const onZoom = (range) => setZoom(range ?? [null, null]);
    return groups.map(
        ([prefix, metrics]) => html`<${Group} key=${prefix} prefix=${prefix}
        size=${metrics.length}>
        <div class="metric-grid">${metrics.map(
            (metric) => html`<${Card} key=${metric.name} metric=${metric}
            title=${prefix === "" ? metric.name : titleOf(metric.name)} run=${run}
            curve=${curves.get(metric.name)}
            isInView=${inView.has(metric.name)} view=${view} hover=${hover} onZoom=${onZoom}
                observe=${observe} />`,
        )}</div><//>`,
    );
}

function Group({ prefix, size, children }) {
    if (prefix === "") return html`<section class="metric-group">${children}</section>`;
    return html`<details class="metric-group" open><summary><h2><bdi>${visible(prefix)}</bdi></h2>
        <span class="soft">${count(size)}</span></summary>${children}</details>`;
}

const writeStep = (x, width) =>
    width > 1 ? `step ${count(x)} to ${count(x + width - 1)}` : `step ${count(x)}`;

function Card({ metric, title, run, curve, isInView, view, hover, onZoom, observe }) {
    const place = useRef(null);
    useEffect(() => observe(place.current), []);
    const lines = useMemo(
        () =>
            curve === undefined || curve.size === 0
                ? []
                : [
                      makeLine(curve, {
                          id: run.run_id,
                          label: run.name ?? run.run_id,
                          color: colorOf(run.row_id),
                          dash: [],
                      }),
                  ],
        [curve, run.run_id, run.row_id, run.name, dark.value],
    );
    const offersLog = useMemo(() => wantsLog(lines), [lines]);
    const [isLinear, setLinear] = useState(false);
    const logY = offersLog && !isLinear;
    const ownView = useMemo(() => ({ ...view, logY }), [view, logY]);
    // A chart is made once it comes near the screen; one page has many.
    if (!isInView && curve === undefined) {
        return html`<div class="metric-card" ref=${place} data-metric=${metric.name}></div>`;
    }
    return html`<div class="metric-card" ref=${place} data-metric=${metric.name}>
        <${Chart} id=${metric.name} title=${title} lines=${lines}
            view=${ownView} hover=${hover} writeX=${writeStep} xName="step" stepsOf=${metric.name}
            onZoom=${onZoom} empty="">
            ${offersLog && html`<${LogSwitch} isOn=${logY} onChange=${(on) => setLinear(!on)} />`}
            <strong class="metric-last" title=${`last value, ${exact(metric.last)}`}><${Value}
                value=${metric.last} /></strong>
            <a class="icon" href=${urlOf("/charts", { runs: run.run_id, metrics: metric.name })}
                aria-label=${`Open ${visible(metric.name)} in Charts`} title="Open in Charts"><${Icon}
                    name="maximize-2" /></a><//>
        <p class="metric-facts soft"><span title=${exact(metric.min)}>min ${number(metric.min)}</span>
            <span title=${exact(metric.max)}>max ${number(metric.max)}</span>
                <span>${plural(metric.count, "point")}</span>
            ${metric.nan_count > 0 && html`<span class="special">${count(metric.nan_count)} NaN</span>`}</p>
    </div>`;
}

/** A number with its exact value under the pointer; NaN and the infinities in the colour of a warning. */
export function Value({ value }) {
    return html`<span class=${isSpecial(value) ? "special" : ""} title=${exact(value)}>${number(value)}</span>`;
}

const COLUMNS = [
    ["last", "Last"],
    ["min", "Least"],
    ["max", "Greatest"],
    ["mean", "Mean"],
    ["first", "First"],
];

function Table({ groups, run }) {
    return html`<div class="table-scroll"><table class="listing metrics-table"><thead><tr><th
        scope="col">Metric</th>
        ${COLUMNS.map(([name, word]) => html`<th scope="col" class="number" key=${name}>${word}</th>`)}
        <th scope="col" class="number">Points</th><th scope="col" class="number">NaN</th>
        <th scope="col" class="number">Steps</th></tr></thead>
        ${groups.map(
            ({ prefix, metrics }) => html`<tbody key=${prefix}>
            ${
                prefix !== "" &&
                html`<tr class="metrics-prefix"><th scope="rowgroup"
                colspan=${COLUMNS.length + 4}>
                <bdi>${visible(prefix)}</bdi> <span class="soft">${count(metrics.length)}</span></th></tr>`
            }
            ${metrics.map(
                (metric) => html`<${Row} key=${metric.name} metric=${metric}
                run=${run} />`,
            )}</tbody>`,
        )}
    </table></div>`;
}

function Row({ metric, run }) {
    const at = { min: metric.min_step, max: metric.max_step };
    const href = urlOf("/charts", { runs: run.run_id, metrics: metric.name });
    return html`<tr><th scope="row"><a href=${href}><bdi>${visible(metric.name)}</bdi></a></th>
        ${COLUMNS.map(
            ([name]) => html`<td class="number" key=${name}><${Value} value=${metric[name]} />
            ${
                (at[name] ?? null) !== null && html`<span class="faint at-step"> at ${count(at[name])}</span>`
            }</td>`,
        )}
        <td class="number">${count(metric.count)}</td>
        <td class="number special">${metric.nan_count > 0 ? count(metric.nan_count) : ""}</td>
        <td class="number">${count(metric.first_step)} – ${count(metric.last_step)}</td></tr>`;
}
