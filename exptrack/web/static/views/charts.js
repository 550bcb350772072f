/**
 * The charts of runs: one for each metric, with one crosshair, one zoom and one list of runs for all.
 * @module
 */
import { html, useEffect, useMemo, useRef, useSignal, useState } from "../vendor/ui.js";
import { dark } from "../colors.js";
import { plural, visible } from "../format.js";
import { useKeys } from "../keys.js";
import { Icon } from "../components/icons.js";
import { BY_ORDER, groupRuns, lookOf, nameValue, shortName, slotLook } from "../components/looks.js";
import { ChartMenu, DataDialog } from "./charts/data.js";
import { useFeed } from "./charts/feed.js";
import { LegendTable, RunList } from "./charts/legend.js";
import { MetricChart, useLines } from "./charts/metric_chart.js";
import { COLUMNS, SYSTEM, groupMetrics } from "./charts/sections.js";
import { MOST_RUNS, placeWriter, readState, writePaint } from "./charts/state.js";
import { useSelection } from "./charts/selection.js";
import { Toolbar } from "./charts/toolbar.js";

const LIST_WIDTH = 240;

/** The charts of one metric: one, or one for each value of the key that splits it. */
function chartsOf(metric, runs, split) {
    if (!split) return [{ id: metric, metric, title: metric, runs }];
    return groupRuns(runs, [split]).map((group) => {
        const value = nameValue(group.runs[0][split]);
        return {
            id: `${metric}|${value}`,
            metric,
            title: `${metric}, ${shortName(split)} ${value}`,
            runs: group.runs,
        };
    });
}

function Section({ prefix, names, isFolded, onFold, children }) {
    const title = prefix === "" ? "Metrics" : prefix === SYSTEM ? "System" : prefix;
    return html`<section class="chart-section"><h2>
      <button class="chart-fold" aria-expanded=${String(!isFolded)} onClick=${() => onFold(!isFolded)}>
      <${Icon} name=${isFolded ? "chevron-right" : "chevron-down"} />
      <bdi>${visible(title)}</bdi> <span class="faint">${names.length}</span></button></h2>
    ${!isFolded && html`<div class="chart-grid">${children}</div>`}</section>`;
}

function Word({ selection, state, set }) {
    const { runs, total, added, again } = selection;
    const words = [];
    if (total > runs.length) {
        words.push(html`<span key="total">The ${runs.length} newest of ${plural(total, "run")} are shown.</span>
      <button key="more" class="link" onClick=${() => set({ limit: Math.min(total, state.limit + MOST_RUNS) })}>
        Show ${Math.min(MOST_RUNS, total - runs.length)} more</button>`);
    }
    if (state.metrics.length > 0) {
        words.push(html`<span key="only">Only <bdi>${visible(state.metrics.join(", "))}</bdi> is shown.</span>
      <button key="all" class="link" onClick=${() => set({ metrics: null })}>Show all metrics</button>`);
    }
    if (added > 0) {
        words.push(html`<button key="new" class="link" onClick=${again}>
      <${Icon} name="refresh-cw" size=${14} /> ${plural(added, "new run")}: read again</button>`);
    }
    return words.length > 0 && html`<p class="chart-word" role="status">${words}</p>`;
}

function Empty({ selection, state }) {
    if (selection.error) {
        return html`<div class="empty"><h1>The runs cannot be read</h1>
      <p>${visible(selection.error.message)}</p></div>`;
    }
    if (selection.runs.length === 0) {
        const asked = [...state.where, ...state.runs].join(", ");
        return html`<div class="empty"><h1>${asked ? "No run matches" : "No runs yet"}</h1>
      ${
          asked
              ? html`<p>The filter asks for <code>${visible(asked)}</code>.</p>`
              : html`<p>The archive has no run. Charts appear here as soon as a run logs a metric.</p>`
      }
      <p><a href="/runs">Go to the runs</a></p></div>`;
    }
    return html`<div class="empty">
    <h1>${selection.metrics.length > 0 ? "No metric matches" : "No points yet"}</h1>
    <p>${
        selection.metrics.length > 0
            ? "Change the search above."
            : "These runs logged no metric. Charts appear here with the first point."
    }</p></div>`;
}

/** Below an enlarged chart: every line with its exact values. */
function LargeLegend(props) {
    const lines = useLines({ ...props, isVisible: true });
    const writeX = useMemo(() => placeWriter(props.state), [props.state.x]);
    return html`<${LegendTable} id=${props.id} lines=${lines} hover=${props.hover} writeX=${writeX}
    isGrouped=${props.groups !== null} isSmoothed=${props.state.smooth > 0} />`;
}

export default function Charts({ route }) {
    const query = route.params.toString();
    const state = useMemo(() => readState(route.params), [query]);
    const set = route.set;
    const selection = useSelection(state);
    const isLarge = state.chart !== null;
    const width = (innerWidth - LIST_WIDTH) / (isLarge ? 1 : COLUMNS);
    const feed = useFeed(selection.runs, state.by, width);
    const hover = useSignal(null);
    const [menu, setMenu] = useState(null);
    const [data, setData] = useState(null);
    const scroll = useRef(0);
    const main = useRef(null);

    const runs = selection.runs;
    const { color, dash, group } = state;
    const { shown, entries, groups, look } = useMemo(
        () => arrange(runs ?? [], state),
        [
            runs,
            color,
            dash,
            group.join("\n"),
            [...state.hidden].join("\n"),
            writePaint(state.paint).join("\n"),
            dark.value,
        ],
    );
    useKeys("Charts", [
        {
            keys: "l",
            does: "Switch the logarithmic axis of values",
            run: () => set({ logy: state.logY ? null : "1" }),
        },
        {
            keys: "o",
            does: "Ignore outliers, or not",
            run: () => set({ outliers: state.ignoreOutliers ? null : "ignore" }),
        },
        { keys: "0", does: "Reset the zoom", run: () => set({ zoom: null }) },
        {
            keys: "Escape",
            does: "Unpin, leave an enlarged chart, reset the zoom",
            run: () => leave(hover, state, set),
        },
    ]);
    const onOpen = (id) => {
        if (id !== null) scroll.current = main.current.scrollTop;
        set({ chart: id, ylow: null, yhigh: null }, { push: true });
    };
    useEffect(() => {
        if (!isLarge && main.current) main.current.scrollTop = scroll.current;
    }, [isLarge]);

    if (runs === null || feed === null) return html`<div class="charts" aria-busy="true"></div>`;
    const sections = groupMetrics(selection.metrics, state);
    const onZoom = (zoom) =>
        set({ zoom: zoom && zoom.map((edge) => Number(edge.toPrecision(12))).join("..") }, { push: true });
    const onMenu = (anchor, chart) => setMenu({ anchor, chart });
    const onLinear = (id, isLinear) => {
        const others = [...state.linear].filter((one) => one !== id);
        set({ linear: isLinear ? [...others, id] : others });
    };
    const common = { feed, hover, look, groups, state, onZoom, onOpen, onMenu, onLinear };
    const isFolded = (prefix) => (prefix === SYSTEM ? !state.isSystemOpen : state.folded.has(prefix));
    const fold = (prefix) => (isShut) => {
        if (prefix === SYSTEM) set({ system: isShut ? null : "1" });
        else
            set({
                fold: isShut ? [...state.folded, prefix] : [...state.folded].filter((one) => one !== prefix),
            });
    };
    const large = isLarge && findChart(state.chart, selection.metrics, shown, state.split);
    return html`<div class="charts"><h1 class="unseen">Charts</h1>
    <${RunList} entries=${entries} state=${state} hidden=${state.hidden} hover=${hover}
      isGrouped=${groups !== null}
      onHide=${(ids) => set({ hide: ids })} onPaint=${(paint) => set({ paint: writePaint(paint) })} />
    <div class="charts-main" ref=${main}>
      ${
          runs.length > 0 &&
          html`<${Toolbar} isLarge=${isLarge} state=${state} set=${set} keys=${selection.keys}
        metrics=${selection.metrics} />`
      }
      <${Word} selection=${selection} state=${state} set=${set} />
      ${
          large
              ? html`<${MetricChart} key=${large.id} ...${common} ...${large} isLarge />
          <${LargeLegend} key=${`${large.id} legend`} ...${common} ...${large} />`
              : sections.map(
                    ([prefix, names]) => html`<${Section} key=${prefix} prefix=${prefix} names=${names}
          isFolded=${isFolded(prefix)} onFold=${fold(prefix)}>
          ${
              !isFolded(prefix) &&
              names
                  .flatMap((name) => chartsOf(name, shown, state.split))
                  .map(
                      (chart) => html`
            <${MetricChart} key=${chart.id} ...${common} ...${chart} />`,
                  )
          }<//>`,
                )
      }
      ${sections.length === 0 && html`<${Empty} selection=${selection} state=${state} />`}
    </div>
    ${
        menu &&
        html`<${ChartMenu} ...${menu} state=${state} onClose=${() => setMenu(null)}
      onTable=${setData} />`
    }
    ${data && html`<${DataDialog} chart=${data} state=${state} onClose=${() => setData(null)} />`}
  </div>`;
}

/** Unpins, goes back to all charts, or resets the zoom; false if Escape means something else. */
function leave(hover, state, set) {
    if (document.querySelector("dialog[open], .popup") !== null) return false;
    if (hover.value?.pinned) hover.value = null;
    else if (state.chart !== null) set({ chart: null, ylow: null, yhigh: null }, { push: true });
    else if (state.zoom !== null) set({ zoom: null });
    else return false;
    return true;
}

/** The chart that a part of the URL names; the metric alone if its value is gone. */
function findChart(id, metrics, runs, split) {
    for (const metric of metrics) {
        if (id !== metric && !id.startsWith(`${metric}|`)) continue;
        const found = chartsOf(metric, runs, split).find((chart) => chart.id === id);
        if (found) return found;
    }
    return metrics.includes(id) ? chartsOf(id, runs, null)[0] : null;
}

/** Decide which runs are drawn, how each looks, which groups there are, and what the list beside them shows. */
function arrange(runs, state) {
    const { color, dash, paint } = state;
    const look = lookOf(runs, { color, dash, paint });
    if (state.group.length === 0) {
        const entries = runs.map((run) => ({
            id: run.run_id,
            label: run.name ?? run.run_id,
            status: run.status,
            runs: [run],
            ...look(run),
        }));
        return { shown: runs.filter((run) => !state.hidden.has(run.run_id)), entries, groups: null, look };
    }
    const found = groupRuns(runs, state.group);
    const isByKey = color && color !== BY_ORDER;
    const entries = found.map((one, place) => {
        const own = isByKey ? look(one.runs[0]) : slotLook(place);
        const chosen = paint.has(one.id) ? { color: slotLook(paint.get(one.id)).color } : null;
        return { ...one, ...own, ...chosen };
    });
    const groups = entries.filter((one) => !state.hidden.has(one.id));
    return { shown: groups.flatMap((one) => one.runs), entries, groups, look };
}
