/**
 * Images, tables and texts of many runs, at /media?where&name&step&by: a place for each run, all of one size,
 * and one slider that moves all of them through the steps; or a row for each run with its steps in columns.
 */
import { html, useEffect, useRef, useState } from "../vendor/ui.js";
import { get } from "../api.js";
import {
    ArtifactFacts,
    ArtifactPreview,
    Download,
    Picture,
    artifactUrl,
    sortOf,
} from "../components/artifact.js";
import { Icon } from "../components/icons.js";
import { Empty, Loaded, useLoad } from "../components/load.js";
import { Pages } from "../components/text.js";
import { STATUS, count, plural, visible } from "../format.js";
import { useKeys } from "../keys.js";
import { watch } from "../live.js";

const RUNS = 24;
const MOST_VERSIONS = 5000; // of one name, over the runs of a page
const MOST_STEPS = 12; // columns of the table of steps
const SIZES = { s: 128, m: 220, l: 360 };
const COLUMNS = ["run_id", "name", "status"];

const quoted = (text) => `'${text.replaceAll("'", "''")}'`;

/** Names of artifacts in these runs, those of most runs first, and an image to begin with. */
async function readNames(where, signal) {
    const [{ summary }, { artifacts }] = await Promise.all([
        get("/api/summary", { field: "artifact", where, top: 500 }, signal),
        get("/api/media", { where, kind: "image", size: 1 }, signal),
    ]);
    const names = summary.top.map(([name, runs]) => ({ name, runs }));
    return { names, first: artifacts[0]?.name ?? names[0]?.name ?? null };
}

/** The runs of a page that hold a name, and every version of it in them. */
async function readGrid(where, name, page, signal) {
    const holders = [...where, `artifact = ${quoted(name)}`];
    const { rows, total } = await get(
        "/api/runs",
        { where: holders, columns: COLUMNS, start: page * RUNS, size: RUNS },
        signal,
    );
    if (rows.length === 0) return { runs: [], total, steps: [] };
    const these = `id in (${rows.map((row) => quoted(row.run_id)).join(", ")})`;
    const { artifacts } = await get("/api/media", { where: these, name, size: MOST_VERSIONS }, signal);
    const versions = new Map(rows.map((row) => [row.run_id, []]));
    for (const artifact of artifacts) versions.get(artifact.run_id)?.push(artifact);
    for (const list of versions.values()) list.sort((a, b) => a.version - b.version);
    const steps = [...new Set(artifacts.map((one) => one.step).filter((step) => step !== null))].sort(
        (a, b) => a - b,
    );
    return { runs: rows.map((row) => ({ ...row, versions: versions.get(row.run_id) })), total, steps };
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

/** At most `most` of the steps, spread evenly, the first and the last among them. */
export function spreadSteps(steps, most) {
    if (steps.length <= most) return steps;
    return Array.from(
        { length: most },
        (_, place) => steps[Math.round((place * (steps.length - 1)) / (most - 1))],
    );
}

function useArchiveTicks() {
    const [ticks, setTicks] = useState(0);
    useEffect(() => {
        let timer = null;
        const stop = watch({ runs: true }, () => {
            timer ??= setTimeout(() => {
                timer = null;
                setTicks((before) => before + 1);
            }, 2000);
        });
        return () => {
            clearTimeout(timer);
            stop();
        };
    }, []);
    return ticks;
}

export default function MediaView({ route }) {
    const where = route.params.getAll("where");
    const key = where.join("\n");
    const ticks = useArchiveTicks();
    const names = useLoad((signal) => readNames(where, signal), [key, ticks]);
    return html`<div class="view media-view">
        <${WhereLine} where=${where} route=${route} />
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

function WhereLine({ where, route }) {
    const text = where.join(" and ");
    const field = useRef(null);
    const submit = (event) => {
        event.preventDefault();
        route.set({ where: field.current.value.trim() || null, page: null }, { push: true });
    };
    return html`<form class="media-where row" onSubmit=${submit}>
        <${Icon} name="list-filter" />
        <input ref=${field} class="mono grow" aria-label="Filter of runs"
            placeholder="Filter runs, for example config.lr < 0.01"
            key=${text} defaultValue=${text} />
        <button type="submit">Filter</button>
    </form>`;
}

function Media({ names, first, where, route, ticks }) {
    const name = route.params.get("name") ?? first;
    const page = Math.max(0, Number(route.params.get("page") ?? 1) - 1 || 0);
    const size = route.params.get("size") in SIZES ? route.params.get("size") : "m";
    const bySteps = route.params.get("by") === "steps";
    const grid = useLoad(
        (signal) => readGrid(where, name, page, signal),
        [where.join("\n"), name, page, ticks],
    );
    return html`<div class="media-tools tool-row">
            <label class="row">Artifact <select value=${name}
                onChange=${(event) => route.set({ name: event.target.value, step: null, page: null })}>
                ${
                    names.some((one) => one.name === name)
                        ? null
                        : html`<option
                    value=${name}>${visible(name)}</option>`
                }
                ${names.map(
                    (one) => html`<option key=${one.name}
                    value=${one.name}>${visible(one.name)} (${plural(one.runs, "run")})</option>`,
                )}
            </select></label>
            <div class="segments" role="group" aria-label="Arrange">
                <button type="button" aria-pressed=${String(!bySteps)}
                    onClick=${() => route.set({ by: null })}>One step</button>
                <button type="button" aria-pressed=${String(bySteps)}
                    onClick=${() => route.set({ by: "steps" })}>Steps side by side</button>
            </div>
            <div class="segments" role="group" aria-label="Size">${Object.keys(SIZES).map(
                (one) => html`
                <button type="button" key=${one} aria-pressed=${String(one === size)}
                    aria-label=${`Size ${one.toUpperCase()}`}
                    onClick=${() =>
                        route.set({ size: one === "m" ? null : one })}>${one.toUpperCase()}</button>`,
            )}</div>
        </div>
        <${Loaded} of=${grid}>${(answer) =>
            answer.runs.length === 0
                ? html`<${Empty} title=${`No run has the artifact “${visible(name)}”.`} />`
                : html`<${Grid} answer=${answer} route=${route} bySteps=${bySteps} size=${size} name=${name} />
                <${Pages} at=${page} pages=${Math.ceil(answer.total / RUNS)}
                    go=${(next) => route.set({ page: next === 0 ? null : next + 1 })}>
                    ${plural(answer.total, "run")} with it<//>`}<//>`;
}

function Grid({ answer: { runs, steps }, route, bySteps, size, name }) {
    const wanted = route.params.has("step") ? Number(route.params.get("step")) : null;
    const at =
        wanted === null || steps.length === 0
            ? steps.length - 1
            : Math.max(
                  0,
                  steps.findLastIndex((step) => step <= wanted),
              );
    const step = steps[at] ?? null;
    const show = (place) => {
        const next = Math.min(steps.length - 1, Math.max(0, place));
        route.set({ step: next === steps.length - 1 ? null : steps[next] });
    };
    const [open, setOpen] = useState(null);
    useKeys("Media", [
        { keys: ",", does: "Show the step before", run: () => show(at - 1) },
        { keys: ".", does: "Show the step after", run: () => show(at + 1) },
    ]);
    const openAt = (run, version) => setOpen({ run, version });
    const columns = bySteps ? spreadSteps(steps, MOST_STEPS) : null;
    return html`
        ${!bySteps && steps.length > 1 && html`<${StepSlider} steps=${steps} at=${at} show=${show} />`}
        ${
            columns?.length > 0
                ? html`<${StepTable} runs=${runs} columns=${columns} size=${size} openAt=${openAt}
                all=${steps.length} />`
                : html`<div class=${`media-grid size-${size}`}>${runs.map(
                      (run) => html`<${Place} key=${run.run_id}
                run=${run}
                artifact=${versionAt(run.versions, step)} step=${step} size=${size}
                    openAt=${openAt} />`,
                  )}</div>`
        }
        ${open && html`<${Large} runs=${runs} open=${open} setOpen=${setOpen} name=${name} />`}`;
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

/** One run at one step. A run whose last version is older says so. */
function Place({ run, artifact, step, size, openAt }) {
    return html`<figure class="media-place">
        <${Tile} artifact=${artifact} size=${size} open=${() => openAt(run.run_id, artifact.version)}
            run=${run} />
        <figcaption><${RunName} run=${run} />
            <span class="faint">${
                artifact?.step === null || artifact === null ? "" : `step ${count(artifact.step)}`
            }${artifact?.step > step && step !== null ? " (its first)" : ""}</span></figcaption></figure>`;
}

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

function StepTable({ runs, columns, size, openAt, all }) {
    const few =
        columns.length < all ? `${count(columns.length)} of ${plural(all, "step")}, spread evenly.` : null;
    return html`${few && html`<p class="soft">${few}</p>`}
        <div class="table-scroll" tabindex="0" role="region" aria-label="Runs by steps"><table
            class=${`media-table size-${size}`}>
        <thead><tr><th scope="col">Run</th>${columns.map(
            (step) => html`<th scope="col"
            key=${step}>step ${count(step)}</th>`,
        )}</tr></thead>
        <tbody>${runs.map(
            (run) => html`<tr key=${run.run_id}><th scope="row"><${RunName} run=${run} /></th>
            ${columns.map((step) => {
                const artifact = run.versions.findLast((one) => one.step === step) ?? null;
                return html`<td key=${step}><${Tile} artifact=${artifact} size=${size} run=${run}
                    open=${() => openAt(run.run_id, artifact.version)} /></td>`;
            })}</tr>`,
        )}</tbody></table></div>`;
}

/** One artifact as large as the window: arrows go through its steps, and up and down through the runs. */
function Large({ runs, open, setOpen, name }) {
    const dialog = useRef(null);
    useEffect(() => dialog.current.showModal(), []);
    const row = runs.findIndex((run) => run.run_id === open.run);
    const run = runs[row];
    const at = Math.max(
        0,
        run.versions.findIndex((one) => one.version === open.version),
    );
    const artifact = run.versions[at];
    const go = (steps, rows) => {
        const next = runs[Math.min(runs.length - 1, Math.max(0, row + rows))];
        const step = artifact.step;
        const version =
            rows === 0
                ? run.versions[Math.min(run.versions.length - 1, Math.max(0, at + steps))]
                : versionAt(next.versions, step);
        if (version !== null) setOpen({ run: next.run_id, version: version.version });
    };
    const press = (event) => {
        const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[
            event.key
        ];
        if (!move || event.target.closest(".lines, .table-scroll")) return;
        event.preventDefault();
        go(...move);
    };
    return html`<dialog class="media-large" ref=${dialog} aria-label=${visible(name)}
        onClose=${() => setOpen(null)} onKeyDown=${press}
        onClick=${(event) => event.target === dialog.current && dialog.current.close()}>
        <header class="dialog-head"><h2 class="clip"><bdi>${visible(name)}</bdi></h2><${RunName} run=${run} />
            <span class="soft">${
                artifact.step === null ? `version ${artifact.version}` : `step ${count(artifact.step)}`
            }</span>
            <span class="grow"></span>
            <button type="button" disabled=${at === 0} onClick=${() => go(-1, 0)} aria-label="The step before"
                title="The step before (←)">‹ step</button>
            <button type="button" disabled=${at === run.versions.length - 1} onClick=${() => go(1, 0)}
                aria-label="The step after"
                title="The step after (→)">step ›</button>
            <button type="button" disabled=${row === 0} onClick=${() => go(0, -1)} aria-label="The run before"
                title="The run before (↑)">‹ run</button>
            <button type="button" disabled=${row === runs.length - 1} onClick=${() => go(0, 1)}
                aria-label="The run after" title="The run after (↓)">run ›</button>
            <${Download} artifact=${artifact} />
            <button type="button" class="icon" aria-label="Close" onClick=${() => dialog.current.close()}>
                <${Icon} name="x" /></button></header>
        ${
            artifact.metadata?.caption &&
            html`<p class="caption"><bdi>${visible(artifact.metadata.caption)}</bdi>
            </p>`
        }
        <div class="media-large-body"><${ArtifactPreview} key=${artifactUrl(artifact)} artifact=${artifact} />
            </div>
        <details class="artifact-more"><summary>About this version</summary><${ArtifactFacts}
            artifact=${artifact} /></details>
    </dialog>`;
}
