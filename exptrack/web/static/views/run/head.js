/**
 * The head of a run: how it stands, what it is called, and what people wrote about it, edited in place.
 */
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../vendor/ui.js";
import { archive, get, post, urlOf } from "../../api.js";
import { Copy } from "../../components/copy.js";
import { Icon } from "../../components/icons.js";
import { useLoad } from "../../components/load.js";
import { Notes } from "../../components/notes.js";
import { Status } from "../../components/status.js";
import { Moment } from "../../components/moment.js";
import { typeOf, valueText } from "../../components/tree.js";
import { duration, number, visible } from "../../format.js";
import { toast, toastError } from "../../toasts.js";

const runAddress = (id) => `/run/${encodeURIComponent(id)}`;

/** Sends one change of a run, then reads the run again; what went wrong is said at the bottom of the page. */
function useEdit(id, reload) {
    return async (action, value, key) => {
        try {
            await post("/api/edit", { runs: [id], action, value, key });
            reload();
            return true;
        } catch (error) {
            toastError(error);
            return false;
        }
    };
}

export function Head({ run, goTo, reload }) {
    const change = useEdit(run.run_id, reload);
    const edit = archive.value?.can_edit && run.deleted_at === null ? change : null;
    return html`<header class="run-head">
        ${
            run.deleted_at !== null &&
            html`<p class="run-trashed"
            role="status">This run has been in the trash since
            ${" "}<${Moment} at=${run.deleted_at} />. Restore it on the page <a href="/file">File</a>.</p>`
        }
        <div class="run-title">
            <${Status} status=${statusOf(run)} />
            <${Name} run=${run} edit=${edit} />
            <span class="run-steps">
                <button type="button" disabled=${!run.previous} title="The run started before ([)"
                    onClick=${() => goTo(run.previous)}>‹ previous</button>
                <button type="button" disabled=${!run.next} title="The run started after (])"
                    onClick=${() => goTo(run.next)}>next ›</button>
            </span>
        </div>
        <dl class="run-facts"><${Facts} run=${run} /></dl>
        ${
            run.reason &&
            html`<p class=${`run-reason status-${run.status}`}>
            <b>Reason</b> <bdi>${visible(run.reason)}</bdi></p>`
        }
        <div class="run-words">
            <${Tags} tags=${run.tags} edit=${edit} />
            <${Attributes} attributes=${run.attributes} edit=${edit} />
            ${
                edit &&
                html`<${AddLine} label="note" placeholder="New note"
                add=${(text) => edit("add_note", text)} />`
            }
        </div>
        <${Notes} notes=${run.notes} total=${run.note_count} edit=${edit} />
        <${Changes} id=${run.run_id} status=${run.status} />
    </header>`;
}

/** The status that people see: a pruned trial is completed, and is called pruned. */
const statusOf = (run) =>
    run.status === "completed" && run.trial_state === "pruned" ? "pruned" : run.status;

function Fact({ term, children }) {
    return html`<div><dt>${term}</dt><dd>${children}</dd></div>`;
}

function Facts({ run }) {
    const since = useElapsed(run);
    return html`
        <${Fact} term="Id"><code>${run.run_id}</code><${Copy} text=${run.run_id} label="the id of the run" />
            <//>
        <${Fact} term="Started"><${Moment} at=${run.started_at} /><//>
        <${Fact} term=${run.status === "running" ? "Running for" : "Duration"}>${duration(since)}<//>
        ${
            run.group !== null &&
            html`<${Fact} term="Group">
            <a href=${runsWith("group", run.group)}><bdi>${visible(run.group)}</bdi></a><//>`
        }
        ${
            run.parent !== null &&
            html`<${Fact} term="Parent"><a href=${runAddress(run.parent)}>${run.parent}</a>
            <//>`
        }
        ${
            run.study !== null &&
            html`<${Fact} term="Study">
            <a href=${`/sweep/${encodeURIComponent(run.study)}`}><bdi>${visible(run.study)}</bdi></a>,
            trial ${run.trial_number} (${run.trial_state})<//>`
        }
        ${run.host && html`<${Fact} term="Host"><bdi>${visible(run.host)}</bdi><//>`}
        ${
            run.vcs_commit !== null &&
            html`<${Fact} term="Commit"><code>${run.vcs_commit.slice(0, 10)}</code>
            <${Copy} text=${run.vcs_commit} label="the commit" />${run.vcs_dirty ? " with changes" : ""}<//>`
        }
        ${
            run.external_id !== null &&
            html`<${Fact} term="External id"><bdi>${visible(run.external_id)}</bdi>
            <//>`
        }`;
}

/** The runs in which a field has a text. */
const runsWith = (field, text) => urlOf("/runs", { where: `${field} = '${text.replaceAll("'", "''")}'` });

/** The seconds that a run took; of a running run they go on counting. */
function useElapsed(run) {
    const [now, setNow] = useState(() => Date.now());
    const running = run.status === "running";
    useEffect(() => {
        if (!running) return undefined;
        const timer = setInterval(() => setNow(Date.now()), 1000);
        return () => clearInterval(timer);
    }, [running]);
    return running ? Math.max(run.duration_s, (now - Date.parse(run.started_at)) / 1000) : run.duration_s;
}

function Name({ run, edit }) {
    const [draft, setDraft] = useState(null);
    const field = useRef(null);
    useLayoutEffect(() => {
        if (draft !== null) field.current?.select();
    }, [draft !== null]);
    if (draft === null) {
        return html`<h1 class="run-name"><bdi>${visible(run.name ?? run.run_id)}</bdi>
            ${
                edit &&
                html`<button type="button" class="icon" title="Rename the run" aria-label="Rename the run"
                onClick=${() => setDraft(run.name ?? "")}><${Icon} name="pencil" /></button>`
            }</h1>`;
    }
    const save = async (event) => {
        event.preventDefault();
        if (draft === (run.name ?? "") || (await edit("rename", draft.trim() || null))) setDraft(null);
    };
    return html`<form class="run-name" onSubmit=${save}>
        <input ref=${field} aria-label="Name of the run" value=${draft}
            onInput=${(event) => setDraft(event.target.value)}
            onKeyDown=${(event) => event.key === "Escape" && setDraft(null)} />
        <button type="submit" class="primary">Rename</button>
        <button type="button" onClick=${() => setDraft(null)}>Cancel</button>
    </form>`;
}

/** A button that turns into a field for one line. */
function AddLine({ label, placeholder, add }) {
    const [draft, setDraft] = useState(null);
    const field = useRef(null);
    // Before the next key comes: a later effect would lose what is typed at once.
    useLayoutEffect(() => {
        if (draft !== null) field.current?.focus();
    }, [draft !== null]);
    if (draft === null) {
        return html`<button type="button" class="add" onClick=${() => setDraft("")}><${Icon}
            name="plus" /> ${label}</button>`;
    }
    const save = async (event) => {
        event.preventDefault();
        if (draft.trim() === "" || (await add(draft.trim()))) setDraft(null);
    };
    return html`<form class="add-line" onSubmit=${save}>
        <input ref=${field} aria-label=${placeholder} placeholder=${placeholder} value=${draft}
            onInput=${(event) => setDraft(event.target.value)}
            onKeyDown=${(event) => event.key === "Escape" && setDraft(null)} />
        <button type="submit">Save</button></form>`;
}

function Tags({ tags, edit }) {
    if (!edit && tags.length === 0) return null;
    return html`<div class="run-tags" role="group" aria-label="Tags">${tags.map(
        (tag) => html`<span class="tag"
        key=${tag}>
        <a href=${runsWith("tag", tag)}><bdi>${visible(tag)}</bdi></a>
        ${
            edit &&
            html`<button type="button" class="tag-remove" title="Remove this tag"
            aria-label=${`Remove the tag ${visible(tag)}`}
            onClick=${() => edit("remove_tag", tag)}><${Icon} name="x" /></button>`
        }</span>`,
    )}
        ${
            edit &&
            html`<${AddLine} label="tag" placeholder="New tag"
            add=${(text) => edit("add_tag", text)} />`
        }</div>`;
}

function Attributes({ attributes, edit }) {
    const names = Object.keys(attributes);
    const add = (text) => {
        const [key, value] = text.split(/=(.*)/s);
        if (value === undefined || !key.trim()) {
            toast("An attribute needs a key and a value; write KEY=VALUE.", { kind: "error" });
            return false;
        }
        return edit("set_attribute", readValue(value.trim()), key.trim());
    };
    if (!edit && names.length === 0) return null;
    return html`<div class="run-attributes" role="group" aria-label="Attributes">${names.map(
        (name) => html`
        <span class="attribute" key=${name}><bdi class="attribute-key">${visible(name)}</bdi> =${" "}
            <bdi class=${`value type-${typeOf(attributes[name])}`}>${visible(valueText(attributes[name]))}</bdi>
            ${
                edit &&
                html`<button type="button" class="tag-remove"
                aria-label=${`Delete the attribute ${visible(name)}`}
                title="Delete this attribute" onClick=${() => edit("delete_attribute", null, name)}><${Icon}
                    name="x" /></button>`
            }
        </span>`,
    )}
        ${edit && html`<${AddLine} label="attribute" placeholder="key=value" add=${add} />`}</div>`;
}

/** A value as it was typed: a number, true, false or null where it reads as one, else text. */
function readValue(text) {
    try {
        const value = JSON.parse(text);
        return typeof value === "object" && value !== null ? text : value;
    } catch {
        return text;
    }
}

const PARTS = ["config", "code", "data", "environment"];
const BECAUSE = { script: "of the same script", name: "of the same name", group: "of the same group" };

/** What changed since the run before: one line, and on a click all of it. */
function Changes({ id, status }) {
    const changes = useLoad(
        (signal) => get(`/api/changes/${encodeURIComponent(id)}`, {}, signal),
        [id, status],
    );
    const found = changes.data?.changes;
    if (!found) return null;
    const counts = PARTS.filter((part) => found[part].length > 0).map(
        (part) => `${found[part].length} in ${part === "config" ? "the config" : part}`,
    );
    return html`<details class="run-changes">
        <summary>${
            counts.length > 0
                ? `Changed since the run before: ${counts.join(", ")}`
                : "Nothing changed since the run before"
        }
            </summary>
        <p>The run before is <a href=${runAddress(found.previous)}>${found.previous}</a>,
            the last one ${BECAUSE[found.because]}.
            ${" "}<a href=${urlOf("/compare", { runs: [found.previous, id] })}>Compare the two</a></p>
        <table class="changes-table"><thead><tr><th scope="col">What</th><th scope="col">Before</th><th
            scope="col">Now</th></tr></thead>
            <tbody>${PARTS.flatMap((part) =>
                found[part].map(
                    (one) => html`<tr
                key=${part + (one.key ?? one.name)}>
                <th scope="row"><span class="soft">${part}</span> <bdi>${visible(one.key ?? one.name)}</bdi>
                    </th>
                <td>${
                    one.change === "added"
                        ? html`<span class="soft">–</span>`
                        : html`<${Value}
                    value=${one.a} />`
                }</td>
                <td>${
                    one.change === "removed"
                        ? html`<span class="soft">–</span>`
                        : html`<${Value}
                    value=${one.b} />`
                }</td></tr>`,
                ),
            )}
            ${found.metrics.slice(0, 50).map(
                (one) => html`<tr key=${`metric ${one.name}`}>
                <th scope="row"><span class="soft">last</span> <bdi>${visible(one.name)}</bdi></th>
                <td>${one.last_a === null ? "" : number(one.last_a)}</td>
                    <td>${one.last_b === null ? "" : number(one.last_b)}</td></tr>`,
            )}
        </tbody></table></details>`;
}

function Value({ value }) {
    return html`<bdi class=${`value type-${typeOf(value)}`}>${visible(valueText(value))}</bdi>`;
}
