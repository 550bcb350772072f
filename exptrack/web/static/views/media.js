/**
 * Images, tables and texts of many runs, at /media?where&name&step&by: a place for each run, all of one size,
 * and one slider that moves all of them through the steps; or a row for each run with its steps in columns.
 */
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/ui.js";
import { get } from "../api.js";
import {
    ArtifactFacts,
    ArtifactPreview,
    Download,
    Picture,
    artifactUrl,
    sortOf,
} from "../components/artifact.js";
import { FilterLine } from "../components/filter.js";
import { Icon } from "../components/icons.js";
import { Empty, Loaded, useLoad } from "../components/load.js";
import { useNews } from "../components/news.js";
import { Segments } from "../components/segments.js";
import { Pages } from "../components/text.js";
import { STATUS, count, plural, visible } from "../format.js";
import { useKeys } from "../keys.js";
import { toastError } from "../toasts.js";

const RUNS = 24;
const PAUSE_MS = 3000; // between two readings while runs log
const MOST_VERSIONS = 2000; // of one run, to step through
const SIZES = { s: 128, m: 220, l: 360 };

/** Names of artifacts in these runs, and an image to begin with. */
async function readNames(where, signal) {
    const { names } = await get("/api/media-names", { where }, signal);
    const first = names.find((one) => one.kind === "image") ?? names[0];
    return { names, first: first?.name ?? null };
}

/**
 * The runs of a page that have a name, each with the artifact that it shows at each of `steps`. Without steps
 * the server chooses some, the last among them.
 */
async function readGrid(where, name, page, steps, signal) {
    const asked = { where, name, steps, start: page * RUNS, size: RUNS };
    const { grid, runs } = await get("/api/media-grid", asked, signal);
    const rows = runs.map((run, place) => ({ ...run, cells: grid.cells[place] }));
    return {
        rows: rows.filter((row) => row.run_id !== undefined),
        total: grid.total,
        steps: grid.steps,
        allSteps: grid.all_steps.filter((step) => step !== null),
    };
}

/** The version that a run shows at a step: the last one at or before it; the first one if all come later. */
export function versionAt(versions, step) {
    if (versions.length === 0) return null;
    if (step === null) return versions.at(-1);
    let found = null;
    for (const one of versions) {
        if (one.step === null || one.step > step) continue;
        if (found === null || one.step >= found.step) found = one;
    }
    return found ?? versions[0];
}

/** Filters of an address as one. */
const joinFilters = (where) =>
    where.length > 1 ? where.map((one) => `(${one})`).join(" and ") : (where[0] ?? "");

/** What the line says under a filter that is wrong. */
const problemOf = (error) => (error?.kind === "FilterError" ? error : null);

export default function MediaView({ route }) {
    const where = route.params.getAll("where");
    const key = where.join("\n");
    const ticks = useNews({ runs: true }, PAUSE_MS);
    const names = useLoad((signal) => readNames(where, signal), [key], ticks);
    return html`<div class="view media-view">
        <${FilterLine} text=${joinFilters(where)} problem=${problemOf(names.error)}
            onApply=${(text, isFinal) => route.set({ where: text || null, page: null }, { push: isFinal })} />
        <${Loaded} of=${names}>${(answer) =>
            answer.first === null
                ? html`<${Empty} title=${
                      where.length > 0
                          ? "No run that matches has an artifact."
                          : "No run has an artifact yet."
                  }>
                <p>Log an image by <code>run.log_image("sample", image, step)</code>; texts and tables too.</p>
                    <//>`
                : html`<${Media} names=${answer.names} first=${answer.first} where=${where} route=${route}
                ticks=${ticks} />`}<//>
    </div>`;
}

function Media({ names, first, where, route, ticks }) {
    const name = route.params.get("name") ?? first;
    const page = Math.max(0, Number(route.params.get("page") ?? 1) - 1 || 0);
    const size = route.params.get("size") in SIZES ? route.params.get("size") : "m";
    const bySteps = route.params.get("by") === "steps";
    const step = bySteps ? null : route.params.get("step");
    const grid = useLoad(
        (signal) => readGrid(where, name, page, step, signal),
        [where.join("\n"), name, page, step],
        ticks,
    );
    return html`<div class="media-tools tool-row">
            <${NamePicker} names=${names} name=${name}
                choose=${(next) => route.set({ name: next, step: null, page: null })} />
            <${Segments} label="Arrange" options=${[
                [false, "One step"],
                [true, "Steps side by side"],
            ]}
                chosen=${bySteps} choose=${(value) => route.set({ by: value ? "steps" : null })} />
            <${Segments} label="Size" options=${Object.keys(SIZES).map((one) => [one, one.toUpperCase()])}
                chosen=${size} choose=${(value) => route.set({ size: value === "m" ? null : value })} />
        </div>
        <${Loaded} of=${grid}>${(answer) =>
            answer.rows.length === 0
                ? html`<${Empty} title=${`No run has the artifact “${visible(name)}”.`} />`
                : html`<${Grid} answer=${answer} route=${route} bySteps=${bySteps} size=${size} name=${name} />
                <${Pages} at=${page} pages=${Math.ceil(answer.total / RUNS)}
                    go=${(next) => route.set({ page: next === 0 ? null : next + 1 })}>
                    ${plural(answer.total, "run")} with it<//>`}<//>`;
}

function NamePicker({ names, name, choose }) {
    const known = names.some((one) => one.name === name);
    return html`<label class="row">Artifact <select value=${name}
        onChange=${(event) => choose(event.target.value)}>
        ${!known && html`<option value=${name}>${visible(name)}</option>`}
        ${names.map(
            (one) => html`<option key=${one.name} value=${one.name}>
            ${visible(one.name)} (${plural(one.versions, "version")})</option>`,
        )}</select></label>`;
}

function Grid({ answer, route, bySteps, size, name }) {
    const { rows, steps, allSteps } = answer;
    const wanted = route.params.has("step") ? Number(route.params.get("step")) : Infinity;
    const at = Math.max(
        0,
        allSteps.findLastIndex((step) => step <= wanted),
    );
    const show = (place) => {
        const next = Math.min(allSteps.length - 1, Math.max(0, place));
        route.set({ step: next === allSteps.length - 1 ? null : allSteps[next] });
    };
    const [open, setOpen] = useState(null);
    useKeys("Media", [
        { keys: ",", does: "Show the step before", run: () => show(at - 1) },
        { keys: ".", does: "Show the step after", run: () => show(at + 1) },
    ]);
    const openAt = (run, artifact) => setOpen({ run, artifact });
    return html`
        ${!bySteps && allSteps.length > 1 && html`<${StepSlider} steps=${allSteps} at=${at} show=${show} />`}
        ${
            bySteps
                ? html`<${StepTable} rows=${rows} steps=${steps} size=${size} openAt=${openAt}
                    all=${allSteps.length} />`
                : html`<div class=${`media-grid size-${size}`}>${rows.map(
                      (
                          row,
                      ) => html`<${Place} key=${row.run_id} run=${row} artifact=${row.cells.at(-1) ?? null}
                        size=${size} openAt=${openAt} />`,
                  )}</div>`
        }
        ${open && html`<${Large} rows=${rows} open=${open} setOpen=${setOpen} name=${name} />`}`;
}

function StepSlider({ steps, at, show }) {
    return html`<div class="step-slider row">
        <button type="button" disabled=${at === 0} aria-label="The step before" title="The step before (,)"
            onClick=${() => show(at - 1)}>‹</button>
        <input type="range" min="0" max=${steps.length - 1} value=${at} aria-label="Step of all"
            aria-valuetext=${`step ${count(steps[at])}`}
            onInput=${(event) => show(Number(event.target.value))} />
        <button type="button" disabled=${at === steps.length - 1} aria-label="The step after"
            title="The step after (.)"
            onClick=${() => show(at + 1)}>›</button>
        <output>step ${count(steps[at])} <span class="faint">of ${count(steps.at(-1))}</span></output>
    </div>`;
}

function RunName({ run }) {
    const { sign, word } = STATUS[run.status] ?? STATUS.completed;
    return html`<a class="media-run" href=${`/run/${encodeURIComponent(run.run_id)}?tab=artifacts`}>
        <span class=${`status-${run.status}`} title=${word} aria-hidden="true">${sign}</span>
        <bdi class="clip">${visible(run.name ?? run.run_id)}</bdi></a>`;
}

/** One run at one step. A run whose last version is older shows that, with its own step. */
function Place({ run, artifact, size, openAt }) {
    return html`<figure class="media-place">
        <${Tile} artifact=${artifact} size=${size} open=${() => openAt(run, artifact)} run=${run} />
        <figcaption><${RunName} run=${run} />
            <span class="faint">${artifact === null ? "" : placeOf(artifact)}</span></figcaption></figure>`;
}

/** The step of an artifact, or its version where it has none. */
const placeOf = ({ step, version }) => (step === null ? `version ${version}` : `step ${count(step)}`);

function Tile({ artifact, size, open, run }) {
    if (artifact === null) return html`<div class="media-tile missing"><span class="faint">none</span></div>`;
    const isImage = sortOf(artifact) === "image";
    return html`<button type="button" class=${isImage ? "media-tile" : "media-tile media-words"} onClick=${open}
        aria-label=${`Open ${visible(artifact.name)} of ${visible(run.name ?? run.run_id)}`}>
        ${
            isImage
                ? html`<${Picture} artifact=${artifact} full=${false} size=${2 * SIZES[size]} />`
                : html`<${WhenSeen}><${ArtifactPreview} artifact=${artifact} compact /><//>`
        }</button>`;
}

/** Shows what is in it once it is near the screen, as texts and tables are read one by one. */
function WhenSeen({ children }) {
    const place = useRef(null);
    const [seen, setSeen] = useState(false);
    useEffect(() => {
        const observer = new IntersectionObserver(([entry]) => entry.isIntersecting && setSeen(true), {
            rootMargin: "200px",
        });
        observer.observe(place.current);
        return () => observer.disconnect();
    }, []);
    return html`<div class="when-seen" ref=${place} inert>${seen && children}</div>`;
}

function StepTable({ rows, steps, size, openAt, all }) {
    const few =
        steps.length < all ? `${count(steps.length)} of ${plural(all, "step")}, spread evenly.` : null;
    const heading = (step) => (step === null ? "no step" : `step ${count(step)}`);
    return html`${few && html`<p class="soft">${few}</p>`}
        <div class="table-scroll" tabindex="0" role="region" aria-label="Runs by steps">
        <table class=${`media-table size-${size}`}>
        <thead><tr><th scope="col">Run</th>
            ${steps.map((step) => html`<th scope="col" key=${step}>${heading(step)}</th>`)}</tr></thead>
        <tbody>${rows.map(
            (row) => html`<tr key=${row.run_id}><th scope="row"><${RunName} run=${row} /></th>
            ${row.cells.map((artifact, place) => {
                // A version that an earlier column shows already is not shown again.
                const shown = artifact !== null && artifact.step === steps[place] ? artifact : null;
                return html`<td key=${steps[place]}><${Tile} artifact=${shown} size=${size} run=${row}
                    open=${() => openAt(row, shown)} /></td>`;
            })}</tr>`,
        )}</tbody></table></div>`;
}

/** The versions of a name in a run, from the first on. */
async function readVersions(run, name, signal) {
    const where = `id = '${run}'`;
    const { artifacts } = await get("/api/media", { where, name, size: MOST_VERSIONS }, signal);
    return artifacts.sort((a, b) => a.version - b.version);
}

/** One artifact as large as the window: arrows go through its steps, and up and down through the runs. */
function Large({ rows, open: { run, artifact }, setOpen, name }) {
    const dialog = useRef(null);
    useLayoutEffect(() => dialog.current.showModal(), []);
    const versions = useLoad((signal) => readVersions(run.run_id, name, signal), [run.run_id, name]);
    const all = versions.data ?? [artifact];
    const at = all.findIndex((one) => one.version === artifact.version);
    const row = rows.findIndex((one) => one.run_id === run.run_id);
    const showStep = (place) => all[place] && at >= 0 && setOpen({ run, artifact: all[place] });
    const showRun = async (place) => {
        const next = rows[place];
        if (!next) return;
        const there = await readVersions(next.run_id, name).catch(toastError);
        const found = there && versionAt(there, artifact.step);
        if (found) setOpen({ run: next, artifact: found });
    };
    const press = (event) => {
        if (event.target.closest(".lines, .table-scroll")) return;
        const moves = {
            ArrowLeft: () => showStep(at - 1),
            ArrowRight: () => showStep(at + 1),
            ArrowUp: () => showRun(row - 1),
            ArrowDown: () => showRun(row + 1),
        };
        if (!(event.key in moves)) return;
        event.preventDefault();
        moves[event.key]();
    };
    const caption = artifact.metadata?.caption;
    return html`<dialog class="media-large" ref=${dialog} aria-label=${visible(name)} onKeyDown=${press}
        onClose=${() => setOpen(null)}
        onClick=${(event) => event.target === dialog.current && dialog.current.close()}>
        <header class="dialog-head"><h2 class="clip"><bdi>${visible(name)}</bdi></h2><${RunName} run=${run} />
            <span class="soft">${placeOf(artifact)}</span><span class="grow"></span>
            <${Move} to=${all[at - 1]} go=${() => showStep(at - 1)} title="The step before (←)">‹ step<//>
            <${Move} to=${at >= 0 && all[at + 1]} go=${() => showStep(at + 1)}
                title="The step after (→)">step ›<//>
            <${Move} to=${rows[row - 1]} go=${() => showRun(row - 1)} title="The run before (↑)">‹ run<//>
            <${Move} to=${rows[row + 1]} go=${() => showRun(row + 1)} title="The run after (↓)">run ›<//>
            <${Download} artifact=${artifact} />
            <button type="button" class="icon" aria-label="Close" onClick=${() => dialog.current.close()}>
                <${Icon} name="x" /></button></header>
        ${caption && html`<p class="caption"><bdi>${visible(caption)}</bdi></p>`}
        <div class="media-large-body">
            <${ArtifactPreview} key=${artifactUrl(artifact)} artifact=${artifact} /></div>
        <details class="artifact-more"><summary>About this version</summary>
            <${ArtifactFacts} artifact=${artifact} /></details>
    </dialog>`;
}

/** A button that leads to another step or run, where there is one. */
function Move({ to, go, title, children }) {
    return html`<button type="button" disabled=${!to} onClick=${go} title=${title}>${children}</button>`;
}
