/** The config of a run as a tree, with what set each value. */
import { html } from "../../vendor/ui.js";
import { get } from "../../api.js";
import { Empty, Loaded, useLoad } from "../../components/load.js";
import { Copy } from "../../components/copy.js";
import { Tree } from "../../components/tree.js";

export function Config({ run }) {
    // The hash is a key, as a config may still grow while its run runs.
    const config = useLoad(
        (signal) => get(`/api/run/${encodeURIComponent(run.run_id)}/config`, {}, signal),
        [run.run_id, run.config_hash],
    );
    return html`<${Loaded} of=${config}>${({ config: value, sources }) =>
        Object.keys(value).length === 0
            ? html`<${Empty} title="This run has no config."><p>Give one to <code>exptrack.start_run(
            {"lr": 0.01})</code>.</p><//>`
            : html`<div class="config-tab">
            <${Tree} value=${value} sources=${sources} />
            <dl class="run-facts">
                <${Hash} term="Config" text=${run.config_hash} says="equal for runs with the same config" />
                <${Hash} term="Family" text=${run.family} says="equal for runs that differ in the seed only" />
                <${Hash} term="Fingerprint" text=${run.fingerprint}
                    says="equal for runs with the same config, code and data" />
            </dl></div>`}<//>`;
}

function Hash({ term, text, says }) {
    return html`<div title=${says}><dt>${term}</dt><dd><code>${text.slice(0, 16)}</code>
        <${Copy} text=${text} label=${`the ${term.toLowerCase()} hash`} /> <span class="soft">${says}</span>
            </dd></div>`;
}
