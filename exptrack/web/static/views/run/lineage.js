/** What a run read and what others read of it: artifacts that went in, and the runs behind and after them. */
import { html } from "../../vendor/ui.js";
import { get } from "../../api.js";
import { Copy } from "../../components/copy.js";
import { Empty, Loaded, useLoad } from "../../components/load.js";
import { Moment } from "../../components/moment.js";
import { visible } from "../../format.js";

export function Lineage({ run, ticks }) {
    const lineage = useLoad(
        (signal) => get(`/api/lineage/${encodeURIComponent(run.run_id)}`, {}, signal),
        [run.run_id],
        ticks,
    );
    return html`<${Loaded} of=${lineage}>${(answer) => {
        const { upstream, downstream } = answer.lineage;
        if (upstream.length + downstream.length === 0) {
            return html`<${Empty} title="This run used no artifact, and no run used one of its artifacts.">
                <p>Record a use by <code>run.use_artifact("model:best")</code>.</p><//>`;
        }
        const own = upstream.filter((use) => use.run_id === run.run_id);
        return html`<div class="lineage-tab">
            <${Uses} title="Used by this run" uses=${own} self=${run.run_id} />
            <${Uses} title="Further back" uses=${upstream.filter((use) => use.run_id !== run.run_id)}
                self=${run.run_id} />
            <${Uses} title="Made from it" uses=${downstream} self=${run.run_id} />
        </div>`;
    }}<//>`;
}

function Uses({ title, uses, self }) {
    if (uses.length === 0) return null;
    return html`<section><h2>${title}</h2><table class="listing">
        <thead><tr><th scope="col">Artifact</th><th scope="col">Made by</th><th scope="col">Used by</th>
            <th scope="col">Used at</th><th scope="col">Hash</th></tr></thead>
        <tbody>${uses.map(
            (use) => html`<tr key=${`${use.run_id} ${use.from_run} ${use.name} ${use.version}`}>
            <td><bdi>${visible(use.name)}</bdi> <span class="soft">version ${use.version}</span></td>
            <td><${RunLink} id=${use.from_run} self=${self} tab="artifacts" /></td>
            <td><${RunLink} id=${use.run_id} self=${self} tab="lineage" /></td>
            <td><${Moment} at=${use.used_at} /></td>
            <td><code>${use.hash.slice(0, 19)}</code><${Copy} text=${use.hash} label="the hash" /></td>
                </tr>`,
        )}</tbody></table></section>`;
}

function RunLink({ id, self, tab }) {
    return id === self
        ? html`this run`
        : html`<a href=${`/run/${encodeURIComponent(id)}?tab=${tab}`}>${id}</a>`;
}
