/**
 * Where a run ran and what code it ran; and, in a tab of its own, why it failed and what it printed.
 */
import { html } from "../../vendor/ui.js";
import { get } from "../../api.js";
import { Copy, shellWord } from "../../components/copy.js";
import { Empty, Loaded, useLoad } from "../../components/load.js";
import { PatchPreview, TextPreview } from "../../components/text.js";
import { Tree } from "../../components/tree.js";
import { bytes, visible } from "../../format.js";

const useEnvironment = (run) =>
    useLoad(
        (signal) => get(`/api/run/${encodeURIComponent(run.run_id)}/environment`, {}, signal),
        [run.run_id, run.status],
    );
const useArtifactList = (run) =>
    useLoad(
        (signal) => get(`/api/run/${encodeURIComponent(run.run_id)}/artifacts`, {}, signal),
        [run.run_id, run.status],
    );

/** The newest version of each artifact that a test admits. */
function newest(artifacts, isWanted) {
    const found = new Map();
    for (const artifact of artifacts.filter(isWanted)) {
        if ((found.get(artifact.name)?.version ?? 0) < artifact.version) found.set(artifact.name, artifact);
    }
    return [...found.values()];
}

const isPatch = ({ name, media_type: type }) =>
    /\.(diff|patch)$/i.test(name) || /x-(diff|patch)$/.test(type ?? "");
const isPrinted = ({ name, is_text: isText }) =>
    isText && (/(^|\/)(stdout|stderr|output|console)(\.\w+)?$/i.test(name) || /\.log$/i.test(name));

/** Reads a text artifact and shows it by `Body`. */
function StoredText({ artifact, Body }) {
    const text = useLoad(
        (signal) =>
            get(
                "/api/artifact-text",
                {
                    run: artifact.run_id,
                    name: artifact.name,
                    version: artifact.version,
                },
                signal,
            ),
        [artifact.run_id, artifact.name, artifact.version],
    );
    return html`<section class="stored-text"><h2><bdi>${visible(artifact.name)}</bdi></h2>
        <${Loaded} of=${text}>${(answer) => html`<${Body} text=${answer.text} truncated=${answer.truncated}
            size=${artifact.size_bytes} label=${artifact.name} />`}<//></section>`;
}

export function Environment({ run }) {
    const environment = useEnvironment(run);
    const artifacts = useArtifactList(run);
    return html`<${Loaded} of=${environment}>${(answer) => {
        const { command, variables, system, data_references: data, ...rest } = answer.environment;
        const code = [
            ["script", rest.script],
            ["commit", run.vcs_commit],
            ["branch", rest.vcs_branch],
            ["remote", rest.vcs_remote],
            ["digest of the code", rest.code_digest],
        ].filter(([, value]) => value);
        return html`<div class="environment-tab">
            ${
                command?.length > 0 &&
                html`<section><h2>Command</h2>
                <div class="command-line"><code>${visible(command.map(shellWord).join(" "))}</code>
                    <${Copy} text=${command.map(shellWord).join(" ")} label="the command" /></div></section>`
            }
            <section><h2>Code</h2><${Pairs} pairs=${code} />
                <p class="soft">${codeState(run)}</p>
                ${newest(artifacts.data?.artifacts ?? [], isPatch).map(
                    (artifact) => html`
                    <${StoredText} key=${artifact.name} artifact=${artifact}
                        Body=${PatchPreview} />`,
                )}</section>
            <section><h2>Machine</h2><${Pairs} pairs=${[
                ["host", run.host],
                ["python", rest.python],
                ["platform", rest.platform],
                ...Object.entries(system ?? {}).map(inWords),
            ]} /></section>
            ${
                Object.keys(data ?? {}).length > 0 &&
                html`<section><h2>Data</h2><${Tree} value=${data}
                noun="data reference" /></section>`
            }
            ${
                Object.keys(variables ?? {}).length > 0 &&
                html`<section><h2>Variables of the environment</h2>
                <${Tree} value=${variables} noun="variable" /></section>`
            }
        </div>`;
    }}<//>`;
}

function codeState(run) {
    if (run.vcs_commit === null) return "The script was in no Git repository, so no commit is known.";
    if (run.vcs_dirty === null) return "It is not known whether the files differed from the commit.";
    return run.vcs_dirty ? "Files differed from the commit." : "The files were those of the commit.";
}

/** A number of bytes is shown in its unit. */
const inWords = ([key, value]) =>
    key === "memory_bytes" && typeof value === "number" ? ["memory", bytes(value)] : [key, value];

function Pairs({ pairs }) {
    return html`<dl class="pairs">${pairs
        .filter(([, value]) => value !== null && value !== undefined)
        .map(
            ([key, value]) => html`
        <div key=${key}><dt>${visible(key.replaceAll("_", " "))}</dt>
            <dd><bdi>${visible(typeof value === "object" ? JSON.stringify(value) : String(value))}</bdi></dd>
                </div>`,
        )}</dl>`;
}

export function Output({ run }) {
    const environment = useEnvironment(run);
    const artifacts = useArtifactList(run);
    return html`<${Loaded} of=${environment}>${({ traceback }) => html`<${Loaded}
        of=${artifacts}>${(answer) => {
            const printed = newest(answer.artifacts, isPrinted);
            if (!traceback && printed.length === 0) {
                return html`<${Empty} title="This run raised no error and stored no printed output.">
                <p>Store a text by <code>run.log_text("stdout.txt", text)</code>.</p><//>`;
            }
            return html`<div class="output-tab">
            ${
                traceback &&
                html`<section class="traceback"><h2>Traceback</h2>
                <${TextPreview} text=${traceback} label="traceback" /></section>`
            }
            ${printed.map(
                (artifact) => html`<${StoredText} key=${artifact.name} artifact=${artifact}
                Body=${TextPreview} />`,
            )}
        </div>`;
        }}<//>`}<//>`;
}
