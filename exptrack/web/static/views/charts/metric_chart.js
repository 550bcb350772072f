/**
 * One chart of the grid: reads its metric while it is on the screen, and turns curves into lines.
 * @module
 */
import { html, useEffect, useMemo, useRef, useState } from "../../vendor/ui.js";
import { Chart, LogSwitch } from "../../components/chart.js";
import { Icon } from "../../components/icons.js";
import { groupLine, makeLine, wantsLog } from "../../components/lines.js";
import { axisOfState, placeWriter } from "./state.js";

const REDRAW_MS = 90;
const NEARBY = "240px";

/** Whether an element is on the screen or near it. */
export function useVisible(ref) {
    const [isVisible, setVisible] = useState(false);
    useEffect(() => {
        const observer = new IntersectionObserver(([entry]) => setVisible(entry.isIntersecting), {
            rootMargin: NEARBY,
        });
        observer.observe(ref.current);
        return () => observer.disconnect();
    }, []);
    return isVisible;
}

/** The version of a metric's curves; changes at most every 90 ms, the first at once. */
function useVersion(feed, metric, isVisible) {
    const [version, setVersion] = useState(0);
    useEffect(() => {
        if (!isVisible) return undefined;
        let timer = null;
        let last = -Infinity;
        const draw = () => {
            timer = null;
            last = performance.now();
            setVersion(feed.store.want(metric).version);
        };
        const stop = feed.listen(metric, () => {
            timer ??= setTimeout(draw, Math.max(0, last + REDRAW_MS - performance.now()));
        });
        draw();
        feed.store.catchUp(metric);
        return () => {
            clearTimeout(timer);
            stop();
        };
    }, [feed, metric, isVisible]);
    return version;
}

const startOf = (run) => Date.parse(run.started) / 1000;
const zero = () => 0;

/** Return the lines of a metric: one a run that has it, or one a group. */
export function useLines({ feed, metric, isVisible, runs, look, groups, state }) {
    const version = useVersion(feed, metric, isVisible);
    const shiftOf = state.x === "wall" ? startOf : zero;
    const lines = useMemo(() => {
        if (!isVisible) return [];
        const curves = feed.store.want(metric);
        const found = [];
        for (const run of runs) {
            const curve = curves.curveOf(run.run_id);
            if (!curve?.size) continue;
            const label = run.name ?? run.run_id;
            found.push(makeLine(curve, { id: run.run_id, label, ...look(run) }, state.smooth, shiftOf(run)));
        }
        if (groups === null) return found;
        const byRun = new Map(found.map((line) => [line.id, line]));
        return groups.flatMap(({ id, label, color, dash, runs: members }) => {
            const own = members.map((run) => byRun.get(run.run_id)).filter(Boolean);
            return own.length === 0 ? [] : [groupLine(own, { id, label, color, dash }, state.band)];
        });
    }, [feed, metric, version, isVisible, runs, look, groups, state.smooth, state.x, state.band]);
    useEffect(() => {
        if (isVisible) feed.store.zoom(metric, state.zoom, shiftOf);
    }, [feed, metric, isVisible, version, state.zoom?.join()]);
    return lines;
}

/** Return how a chart is to be drawn. Limits of values hold for an enlarged chart only. */
function useChartView(state, logY, isLarge) {
    const { logX, ignoreOutliers, zoom } = state;
    const yLimits = isLarge ? state.yLimits : [null, null];
    const xKind = axisOfState(state).kind;
    return useMemo(
        () => ({ xKind, logX, logY, ignoreOutliers, zoom: zoom ?? [null, null], yLimits }),
        [xKind, logX, logY, ignoreOutliers, zoom?.join(), yLimits.join()],
    );
}

/**
 * @param {object} props
 * @param {string} props.id the metric, and the value that splits it, if any
 * @param {object[]} props.runs the runs that this chart shows
 */
export function MetricChart(props) {
    const { id, metric, title, feed, hover, state, onZoom, onOpen, onMenu, onLinear, isLarge = false } = props;
    const box = useRef(null);
    const plot = useRef(null);
    const isVisible = useVisible(box);
    const lines = useLines({ ...props, isVisible });
    // What the person chose for all charts goes before what the values of one ask for.
    const offersLog = useMemo(() => wantsLog(lines), [lines]) && !state.logY && !state.ignoreOutliers;
    const choosesLog = offersLog && !state.linear.has(id);
    const view = useChartView(state, state.logY || choosesLog, isLarge);
    const writeX = useMemo(() => placeWriter(state), [state.x]);
    const curves = isVisible ? feed.store.want(metric) : null;
    const showMenu = (event) => onMenu(event.currentTarget, { metric, title, lines, plot: plot.current });
    const open = isLarge ? ["undo-2", "Back to all charts"] : ["maximize-2", `Enlarge ${title}`];
    return html`<div ref=${box} class=${isLarge ? "chart-box large" : "chart-box"}>${
        isVisible &&
        html`
    <${Chart} id=${id} title=${title} lines=${lines} view=${view} hover=${hover} writeX=${writeX} plot=${plot}
      xName=${axisOfState(state).name} empty=${emptyText(curves, props.runs)} onZoom=${onZoom}
      stepsOf=${state.x === "step" ? metric : null} notes=${curves.error ? [curves.error.message] : []}>
      ${offersLog && html`<${LogSwitch} isOn=${choosesLog} onChange=${(on) => onLinear(id, !on)} />`}
      <button class="icon" title="Save or show the data" aria-label=${`Save or show the data of ${title}`}
        aria-haspopup="menu" onClick=${showMenu}>
        <${Icon} name="ellipsis" /></button>
      <button class="icon" title=${open[1]} aria-label=${open[1]} onClick=${() => onOpen(isLarge ? null : id)}>
        <${Icon} name=${open[0]} size=${14} /></button>
    <//>`
    }</div>`;
}

function emptyText(curves, runs) {
    if (curves.error) return null;
    if (!curves.isLoaded) return "Reading …";
    return runs.length === 0 ? "All runs are hidden." : "No point yet.";
}
