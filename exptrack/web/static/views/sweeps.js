/** The studies of the archive, at /sweeps: their trials by state, their best values, and which of them run. */
import { html, useState } from "../vendor/ui.js";
import { get } from "../api.js";
import { Command } from "../components/copy.js";
import { useFollow } from "../components/follow.js";
import { Empty, Loaded, useLoad } from "../components/load.js";
import { Moment } from "../components/moment.js";
import { SearchField } from "../components/search_field.js";
import { exact, number, plural, visible } from "../format.js";
import { Directions, States } from "./sweep/states.js";

const addressOf = (name) => `/sweep/${encodeURIComponent(name)}`;
const countOf = ({ counts }) => Object.values(counts).reduce((sum, one) => sum + one, 0);

function Best({ study }) {
    if (study.best_value === null)
        return study.directions.length > 1 && html`<span class="soft">a front of several objectives</span>`;
    return html`<span title=${exact(study.best_value)}>${number(study.best_value)}</span>
        <span class="soft"> of trial ${study.best_number}</span>`;
}

function Limits({ settings }) {
    const { max_trials: most, time_limit_s: seconds } = settings;
    return [most && `of ${plural(most, "trial")}`, seconds && `within ${number(seconds)} s`]
        .filter(Boolean)
        .join(", ");
}

function Row({ study }) {
    return html`<tr>
        <th scope="row"><a href=${addressOf(study.name)}><bdi>${visible(study.name)}</bdi></a></th>
        <td><${States} counts=${study.counts} /></td>
        <td class="number">${countOf(study)} <span class="soft">${Limits(study)}</span></td>
        <td><${Directions} study=${study} /></td>
        <td><${Best} study=${study} /></td>
        <td class="soft">${visible(study.settings.sampler?.name ?? "")}</td>
        <td class="soft">${visible(study.settings.pruner?.name ?? "")}</td>
        <td><${Moment} at=${study.created_at} /></td></tr>`;
}

function Listing({ studies, search }) {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = studies.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
    if (shown.length === 0) return html`<p class="soft">No sweep has this in its name.</p>`;
    return html`<div class="sweep-list"><table class="listing">
        <thead><tr><th scope="col">Sweep</th><th scope="col">State</th>
            <th scope="col" class="number">Trials</th>
            <th scope="col">Objective</th><th scope="col">Best value</th><th scope="col">Sampler</th>
            <th scope="col">Pruner</th><th scope="col">Created</th></tr></thead>
        <tbody>${shown.map((study) => html`<${Row} key=${study.name} study=${study} />`)}</tbody>
        </table></div>`;
}

export default function Sweeps() {
    const studies = useLoad((signal) => get("/api/sweeps", {}, signal), []);
    const [search, setSearch] = useState("");
    useFollow(studies.reload);
    return html`<div class="view sweeps-view"><${Loaded} of=${studies}>${({ studies: found }) =>
        found.length === 0
            ? html`<${Empty} title="No sweeps yet">
                <p>A sweep searches over configs. Each of its trials is a run.</p>
                <${Command} text="exptrack sweep run sweep.sdn -- python train.py">Start one<//><//>`
            : html`<div class="sweep-head"><h1>${plural(found.length, "sweep")}</h1><span class="grow"></span>
                <${SearchField} label="Search sweeps" value=${search} onInput=${setSearch} /></div>
                <${Listing} studies=${found} search=${search} />`}<//></div>`;
}
