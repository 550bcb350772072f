/**
 * The artifacts of a run: a list by name, and beside it the one that is chosen, with a slider over its
 * versions. The address names the artifact and its version.
 */
import { html, useMemo } from "../../vendor/ui.js";
import { get } from "../../api.js";
import {
    Aliases,
    ArtifactFacts,
    ArtifactPreview,
    Download,
    Picture,
    SortIcon,
    describe,
    sortOf,
} from "../../components/artifact.js";
import { Command, shellWord } from "../../components/copy.js";
import { Empty, Loaded, useLoad } from "../../components/load.js";
import { Moment } from "../../components/moment.js";
import { bytes, count, plural, visible } from "../../format.js";
import { useKeys } from "../../keys.js";

const MOST_NAMES = 500;
const MOST_VERSIONS = 10000; // that the server sends

/** Groups versions by name, each list from the oldest on. */
function groupVersions(artifacts) {
    const found = new Map();
    for (const artifact of artifacts) {
        if (!found.has(artifact.name)) found.set(artifact.name, []);
        found.get(artifact.name).push(artifact);
    }
    return [...found].map(([name, all]) => ({ name, versions: all.sort((a, b) => a.version - b.version) }));
}

export function Artifacts({ run, route, ticks }) {
    const artifacts = useLoad(
        (signal) => get(`/api/run/${encodeURIComponent(run.run_id)}/artifacts`, {}, signal),
        [run.run_id],
        ticks,
    );
    return html`<${Loaded} of=${artifacts}>${(answer) =>
        answer.artifacts.length === 0
            ? html`<${Empty} title="This run has no artifacts."><p>Store one by
            ${" "}<code>run.log_image("sample", image, step)</code> or
            ${" "}<code>run.artifacts.register_file("model", path)</code>.</p><//>`
            : html`<${List} artifacts=${answer.artifacts} route=${route} />
                ${
                    answer.artifacts.length >= MOST_VERSIONS &&
                    html`<p class="soft">The first ${count(MOST_VERSIONS)} versions are shown.
                    The view <code>artifacts</code> of SQL has all.</p>`
                }`}<//>`;
}

function List({ artifacts, route }) {
    const names = useMemo(() => groupVersions(artifacts), [artifacts]);
    const search = route.params.get("q") ?? "";
    const found = names.filter(({ name }) => name.toLowerCase().includes(search.toLowerCase()));
    const chosen = names.find(({ name }) => name === route.params.get("artifact")) ?? found[0] ?? null;
    const total = artifacts.reduce((sum, one) => sum + one.size_bytes, 0);
    const choose = (name) => route.set({ artifact: name, version: null });
    return html`<div class="artifacts-tab">
        <nav class="artifact-list" aria-label="Artifacts of the run">
            <input type="search" class="search" placeholder=${`Search ${plural(names.length, "artifact")}`}
                value=${search}
                aria-label="Search artifacts" onInput=${(event) =>
                    route.set({ q: event.target.value || null })} />
            <ul>${found.slice(0, MOST_NAMES).map(
                ({ name, versions }) => html`<li key=${name}>
                <${Entry} name=${name} versions=${versions} isChosen=${name === chosen?.name}
                    choose=${choose} /></li>`,
            )}</ul>
            <p class="soft">${
                found.length > MOST_NAMES
                    ? `The first ${count(MOST_NAMES)} are shown; search for the others.`
                    : `${plural(artifacts.length, "version")}, ${bytes(total)}`
            }</p>
        </nav>
        ${chosen && html`<${Chosen} key=${chosen.name} versions=${chosen.versions} route=${route} />`}
    </div>`;
}

function Entry({ name, versions, isChosen, choose }) {
    const newest = versions.at(-1);
    return html`<button type="button" class="artifact-entry" aria-current=${isChosen ? "true" : null}
        onClick=${() => choose(name)}>
        ${
            sortOf(newest) === "image"
                ? html`<${Picture} artifact=${newest} full=${false} size=${64} />`
                : html`<${SortIcon} artifact=${newest} />`
        }
        <span class="artifact-name"><bdi class="clip">${visible(name)}</bdi>
            <span class="faint clip">${describe(newest)}${
                versions.length > 1 && ` · ${plural(versions.length, "version")}`
            }</span></span>
        <${Aliases} names=${[...new Set(versions.flatMap((one) => one.aliases))]} />
    </button>`;
}

function Chosen({ versions, route }) {
    const wanted = Number(route.params.get("version"));
    const at = Math.max(
        0,
        wanted ? versions.findIndex((one) => one.version === wanted) : versions.length - 1,
    );
    const artifact = versions[at];
    const show = (place) => {
        const next = versions[Math.min(versions.length - 1, Math.max(0, place))];
        route.set({ artifact: next.name, version: next === versions.at(-1) ? null : next.version });
    };
    useKeys("Artifacts", [
        { keys: ",", does: "Show the version before", run: () => show(at - 1) },
        { keys: ".", does: "Show the version after", run: () => show(at + 1) },
    ]);
    const caption = artifact.metadata?.caption;
    const { run_id: run, name } = artifact;
    return html`<article class="artifact-chosen">
        <header class="row"><h2 class="clip"><bdi>${visible(name)}</bdi></h2>
            <span class="soft">version ${artifact.version}${
                artifact.step !== null && `, step ${count(artifact.step)}`
            },
                ${" "}<${Moment} at=${artifact.created_at} /></span>
            <span class="grow"></span>
            ${sortOf(artifact) !== "folder" && html`<${Download} artifact=${artifact} />`}</header>
        ${versions.length > 1 && html`<${Slider} versions=${versions} at=${at} show=${show} />`}
        ${caption && html`<p class="caption"><bdi>${visible(caption)}</bdi></p>`}
        <${ArtifactPreview} key=${artifact.version} artifact=${artifact} />
        <details class="artifact-more" open=${["bytes", "folder"].includes(sortOf(artifact))}>
            <summary>About this version</summary>
            <${ArtifactFacts} artifact=${artifact} />
            <${Command} text=${`exptrack artifacts get ${run} ${shellWord(
                name,
            )} --version ${artifact.version}`}>
                Save it from a terminal<//></details>
    </article>`;
}

/** A slider over the versions of an artifact, which are its steps. */
function Slider({ versions, at, show }) {
    const word = (one) => (one.step === null ? `version ${one.version}` : `step ${count(one.step)}`);
    return html`<div class="step-slider row">
        <button type="button" disabled=${at === 0} aria-label="The version before"
            title="The version before (,)" onClick=${() => show(at - 1)}>‹</button>
        <input type="range" min="0" max=${versions.length - 1} value=${at} aria-label="Step"
            aria-valuetext=${word(versions[at])}
            onInput=${(event) => show(Number(event.target.value))} />
        <button type="button" disabled=${at === versions.length - 1} aria-label="The version after"
            title="The version after (.)"
            onClick=${() => show(at + 1)}>›</button>
        <output>${word(versions[at])} <span class="faint">of ${word(versions.at(-1))}</span></output>
    </div>`;
}
