/** The head of a study: its best trial, its trials by state, what drives the search, the way to stop it. */
import { html, useState } from "../../vendor/ui.js";
import { archive, post, urlOf } from "../../api.js";
import { Pick } from "../../components/figure.js";
import { Dialog } from "../../components/dialog.js";
import { Icon } from "../../components/icons.js";
import { Moment } from "../../components/moment.js";
import { duration, exact, number, plural, value, visible } from "../../format.js";
import { toast, toastError } from "../../toasts.js";
import { Directions, States } from "./states.js";

function Best({ study }) {
    const best = study.trials.find(({ isBest }) => isBest);
    if (study.metrics.length > 1) {
        return html`<div class="sweep-best"><strong>${study.best.length}</strong>
            <span class="soft">trials that no other beats</span></div>`;
    }
    if (!best) return html`<div class="sweep-best soft">No trial has a value yet.</div>`;
    const trial = best.run_id
        ? html`<a href=${`/run/${encodeURIComponent(best.run_id)}`}>trial ${best.number}</a>`
        : `trial ${best.number}`;
    return html`<div class="sweep-best"><strong title=${exact(best.value)}>${number(best.value)}</strong>
        <span class="soft">best <bdi>${visible(study.objective)}</bdi></span> ${trial}
        <dl class="sweep-params">${Object.entries(best.params).map(
            ([name, setting]) => html`<div key=${name}><dt><bdi>${visible(name)}</bdi></dt>
            <dd title=${visible(String(setting))}><bdi>${value(setting)}</bdi></dd></div>`,
        )}</dl></div>`;
}

function Plan({ settings, created_at: created }) {
    const { sampler, pruner, max_trials: most, time_limit_s: seconds } = settings;
    const facts = [
        ["sampler", sampler?.name],
        ["pruner", pruner?.name],
        ["budget", [most && plural(most, "trial"), seconds && duration(seconds)].filter(Boolean).join(", ")],
    ];
    return html`<span class="soft sweep-plan">${facts
        .filter(([, one]) => one)
        .map(([name, one]) => html`<span key=${name}>${name} <b><bdi>${visible(one)}</bdi></b></span>`)}
        <span>created <${Moment} at=${created} /></span></span>`;
}

function Stop({ name, reload }) {
    const [asks, setAsks] = useState(false);
    const close = () => setAsks(false);
    const stop = async () => {
        close();
        try {
            await post("/api/stop-study", { name });
            toast("The sweep begins no more trials; those that run go on to their end.");
            reload();
        } catch (error) {
            toastError(error);
        }
    };
    return html`<button class="danger" onClick=${() => setAsks(true)}>
        <${Icon} name="square" size=${13} />Stop</button>
        ${
            asks &&
            html`<${Dialog} title="Stop this sweep?" onClose=${close}>
            <p>No more trials begin. Those that run go on to their end.</p>
            <div class="dialog-foot"><button onClick=${close}>Go on</button>
                <button class="primary dangerous" onClick=${stop}>Stop the sweep</button></div><//>`
        }`;
}

export function Head({ study, reload, route }) {
    const { study: info, unseen, metrics } = study;
    const isRunning = info.counts.running > 0 || info.counts.waiting > 0;
    return html`<header class="sweep-top">
        <div class="sweep-head"><h1><bdi>${visible(info.name)}</bdi></h1><${Directions} study=${info} />
            <span class="grow"></span>
            ${
                metrics.length > 1 &&
                html`<${Pick} label="Objective" value=${study.objective}
                options=${metrics.map((name) => [name, name])} onChange=${(metric) => route.set({ metric })} />`
            }
            <a class="button" href=${urlOf("/runs", { where: `study = ${JSON.stringify(info.name)}` })}>Runs</a>
            ${isRunning && archive.value?.can_edit && html`<${Stop} name=${info.name} reload=${reload} />`}
        </div>
        <div class="sweep-facts"><${Best} study=${study} /><div class="sweep-side">
            <${States} counts=${info.counts} /><${Plan} ...${info} /></div></div>
        ${
            unseen &&
            html`<p class="sweep-warning"><${Icon} name="triangle-alert" /><span>${visible(unseen)}</span></p>`
        }
    </header>`;
}
