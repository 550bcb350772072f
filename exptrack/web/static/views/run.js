/**
 * One run, at /run/ID?tab: its head, and a tab for each kind of thing that it holds. Live while the run runs.
 */
import { html, useEffect, useRef } from "../vendor/ui.js";
import { get } from "../api.js";
import { Loaded, useLoad } from "../components/load.js";
import { useNews } from "../components/news.js";
import { count, visible } from "../format.js";
import { useKeys } from "../keys.js";
import { Artifacts } from "./run/artifacts.js";
import { Config } from "./run/config.js";
import { Environment, Output } from "./run/environment.js";
import { Events } from "./run/events.js";
import { Head } from "./run/head.js";
import { Lineage } from "./run/lineage.js";
import { Metrics } from "./run/metrics.js";

const TABS = [
    { name: "metrics", title: "Metrics", Body: Metrics, countOf: (run) => run.metric_count },
    { name: "config", title: "Config", Body: Config },
    { name: "artifacts", title: "Artifacts", Body: Artifacts, countOf: (run) => run.artifact_count },
    { name: "lineage", title: "Inputs and lineage", Body: Lineage },
    { name: "events", title: "Events", Body: Events, countOf: (run) => run.event_count },
    { name: "environment", title: "Environment and code", Body: Environment },
    { name: "output", title: "Output", Body: Output },
];
const MOST_COUNTED = 10000;
const PAUSE_MS = 1000; // a run that logs without a break is read again once a second

/** Whether runs that came, went or changed have this row id; of a run that is not read yet they may. */
const concerns = ({ type, added, changed, removed }, rowId) =>
    type !== "runs" || rowId === null || [added, changed, removed].some((ids) => ids.includes(rowId));

/** Reads a run; without an id, the newest. */
async function readRun(id, signal) {
    if (id !== "") return get(`/api/run/${encodeURIComponent(id)}`, {}, signal);
    const { rows } = await get("/api/runs", { columns: ["run_id"], size: 1 }, signal);
    if (rows.length === 0) throw new Error("The archive has no runs yet. Start one by exptrack.start_run().");
    return readRun(rows[0].run_id, signal);
}

export default function RunView({ route }) {
    const id = route.path[0] ?? "";
    const rowId = useRef(null);
    const ticks = useNews({ runs: true, points: [id] }, PAUSE_MS, (event) => concerns(event, rowId.current));
    const run = useLoad((signal) => readRun(id, signal), [id], ticks);
    rowId.current = run.data?.run.row_id ?? null;
    return html`<div class="view run-view"><${Loaded} of=${run}>
        ${(answer) => html`<${Run} key=${answer.run.run_id} answer=${answer} route=${route} ticks=${ticks}
            reload=${run.reload} />`}<//></div>`;
}

function Run({ answer, route, ticks, reload }) {
    const current = TABS.find((tab) => tab.name === route.params.get("tab")) ?? TABS[0];
    const choose = (tab) =>
        route.set({ tab: tab.name === TABS[0].name ? null : tab.name, q: null }, { push: true });
    const { run } = answer;
    const goTo = (id) => id && route.go(`/run/${encodeURIComponent(id)}`, keepTab(route));
    useEffect(() => {
        document.title = `${visible(run.name ?? run.run_id)} · exptrack`;
    }, [run.name, run.run_id]);
    useKeys("Run", [
        { keys: "[", does: "Go to the run started before", run: () => goTo(run.previous) },
        { keys: "]", does: "Go to the run started after", run: () => goTo(run.next) },
    ]);
    return html`
        <${Head} run=${run} goTo=${goTo} reload=${reload} />
        <${TabList} run=${run} current=${current} choose=${choose} />
        <section id="run-panel" role="tabpanel" aria-labelledby=${`tab-${current.name}`}>
            <${current.Body} key=${current.name} run=${run} route=${route} ticks=${ticks}
                reload=${reload} />
        </section>`;
}

/** The parameters that stay when one goes to another run: the tab, and what was searched in it. */
function keepTab(route) {
    const kept = {};
    for (const name of ["tab", "q"]) if (route.params.get(name)) kept[name] = route.params.get(name);
    return kept;
}

function TabList({ run, current, choose }) {
    const press = (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const next = TABS[(TABS.indexOf(current) + step + TABS.length) % TABS.length];
        choose(next);
        document.getElementById(`tab-${next.name}`).focus();
    };
    return html`<div class="tabs" role="tablist" aria-label="Parts of the run"
        onKeyDown=${press}>${TABS.map(
            (tab) => html`
        <button type="button" role="tab" id=${`tab-${tab.name}`} key=${tab.name} aria-controls="run-panel"
            aria-selected=${String(tab === current)} tabindex=${tab === current ? 0 : -1}
            onClick=${() => choose(tab)}>${tab.title}<${Amount} of=${tab.countOf?.(run) ?? 0} /></button>`,
        )}</div>`;
}

/** How many of them a run has; the server counts to 10,000. */
function Amount({ of }) {
    if (of === 0) return null;
    return html`<span class="tab-amount">${of < MOST_COUNTED ? count(of) : `${count(MOST_COUNTED)}+`}</span>`;
}
