/**
 * The curves of the compared runs, one chart for each metric that was chosen.
 * @module
 */
import { html, useEffect, useMemo, useState } from "../../vendor/ui.js";
import { urlOf } from "../../api.js";
import { visible } from "../../format.js";
import { directionOf } from "../../components/best.js";
import { Icon } from "../../components/icons.js";
import { ChartMenu, DataDialog } from "../charts/data.js";
import { useFeed } from "../charts/feed.js";
import { MetricChart } from "../charts/metric_chart.js";
import { writePaint } from "../charts/state.js";

const FIRST_CHARTS = 3;
const COLUMNS = 3;

/** The metrics shown before one chooses: those of most runs, of which losses and scores first. */
function firstMetrics(metrics) {
    const shared = (one) => one.summaries.filter((summary) => summary !== null && summary.count > 1).length;
    const rank = (one) => shared(one) * 2 + (directionOf(one.name) === null ? 0 : 1);
    const able = metrics.filter((one) => !one.name.startsWith("system/") && shared(one) > 0);
    return able
        .sort((one, other) => rank(other) - rank(one))
        .slice(0, FIRST_CHARTS)
        .map((one) => one.name);
}

export function Curves({ rows, metrics, state, hover, look, route }) {
    const feed = useFeed(rows, state.by, innerWidth / COLUMNS);
    const [menu, setMenu] = useState(null);
    const [data, setData] = useState(null);
    const names = useMemo(
        () => (state.curves.length > 0 ? state.curves : firstMetrics(metrics)),
        [state.curves.join("\n"), metrics],
    );
    useEffect(
        () => () => {
            hover.value = null;
        },
        [],
    );
    const left = metrics.filter((one) => !names.includes(one.name));
    const set = route.set;
    if (metrics.length === 0 || feed === null) return null;
    const onZoom = (zoom) =>
        set({ zoom: zoom && zoom.map((edge) => Number(edge.toPrecision(12))).join("..") }, { push: true });
    const add = (event) => set({ curves: [...names, event.target.value] });
    const inCharts = { runs: rows.map((row) => row.run_id), paint: writePaint(state.paint) };
    const onOpen = (metric) => route.go("/charts", { ...inCharts, chart: metric });
    const common = {
        feed,
        hover,
        look,
        groups: null,
        state,
        onZoom,
        onOpen,
        runs: rows,
        onMenu: (anchor, chart) => setMenu({ anchor, chart }),
    };
    return html`<section class="compare-section compare-wide"><div class="row"><h2>Curves</h2>
      <select aria-label="Add a chart" value="" onChange=${add}>
        <option value="">Add a metric …</option>
        ${left.map(({ name }) => html`<option key=${name} value=${name}>${visible(name)}</option>`)}</select>
      ${
          state.zoom &&
          html`<button onClick=${() => set({ zoom: null })}>
        <${Icon} name="rotate-ccw" size=${14} /> Reset zoom</button>`
      }
      <a class="button" href=${urlOf("/charts", inCharts)}>
        <${Icon} name="chart-line" size=${14} /> All charts</a></div>
    <div class="chart-grid">${names.map(
        (metric) => html`<${MetricChart} key=${metric} ...${common} id=${metric}
      metric=${metric} title=${metric} />`,
    )}</div>
    ${
        menu &&
        html`<${ChartMenu} ...${menu} state=${state} onClose=${() => setMenu(null)}
      onTable=${setData} />`
    }
    ${data && html`<${DataDialog} chart=${data} state=${state} onClose=${() => setData(null)} />`}</section>`;
}
