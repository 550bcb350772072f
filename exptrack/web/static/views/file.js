/**
 * The file itself, at /file: what it holds and how large it is, the trash, whether all data are sound, what
 * waits beside it, and the commands of the terminal that deal with whole files.
 */
import { html, useEffect, useRef, useState } from "../vendor/ui.js";
import { archive, get, post, send, urlOf } from "../api.js";
import { Command, Copy, shellWord } from "../components/copy.js";
import { Icon } from "../components/icons.js";
import { Loaded, useLoad } from "../components/load.js";
import { useNews } from "../components/news.js";
import { Moment } from "../components/moment.js";
import { Status } from "../components/status.js";
import { Pages } from "../components/text.js";
import { STATUS, bytes, count, plural, time, visible } from "../format.js";
import { toast, toastError } from "../toasts.js";

const MOST_RUNS = 20;
const PAUSE_MS = 5000; // between two readings while runs log

async function readFile(signal) {
    const [file, { trash, freed_bytes: freed }] = await Promise.all([
        get("/api/file", {}, signal),
        get("/api/trash", {}, signal),
    ]);
    return { ...file, trash, freed };
}

export default function FileView() {
    const file = useLoad(readFile, [], useNews({ runs: true }, PAUSE_MS));
    const isExport = archive.value?.is_export ?? false;
    return html`<div class="view file-view"><${Loaded} of=${file}>${(answer) => html`
        <${Head} info=${answer.info} />
        <div class="file-grid">
            <${Sizes} info=${answer.info} />
            <div class="file-stack">
                ${isExport ? html`<${Exported} />` : html`<${Verify} />`}
                ${!isExport && html`<${Waiting} waiting=${answer.info.waiting} />`}</div>
            <${Versions} info=${answer.info} />
            <${Largest} storage=${answer.storage} holders=${answer.holders} />
            ${
                !isExport &&
                html`<${Trash} trash=${answer.trash} freed=${answer.freed} reload=${file.reload} />`
            }
            ${!isExport && html`<${Commands} path=${answer.info.path} />`}
        </div>`}<//></div>`;
}

function Head({ info }) {
    const runs = Object.values(info.runs).reduce((sum, one) => sum + one, 0);
    const numbers = [
        [bytes(info.file_bytes), "file", `${count(info.file_bytes)} bytes`],
        [count(runs), runs === 1 ? "run" : "runs", null],
        [bytes(info.artifact_bytes), "of artifacts", `${count(info.artifact_bytes)} bytes`],
        [bytes(info.stored_bytes), "stored for them", "Equal pieces are stored once, and packed."],
    ];
    return html`<header class="file-head">
        <h1><bdi>${visible(info.path)}</bdi><${Copy} text=${info.path} label="the path" /></h1>
        <div class="file-numbers">${numbers.map(
            ([value, word, title]) => html`<div key=${word} title=${title}>
            <strong>${value}</strong> <span class="soft">${word}</span></div>`,
        )}</div>
        <div class="row file-statuses">${Object.entries(STATUS)
            .filter(([name]) => info.runs[name])
            .map(
                ([name, { sign, word }]) => html`
            <a class=${`status status-${name}`} key=${name} href=${urlOf("/runs", {
                where: `status = ${name}`,
            })}>
                <i>${sign}</i>${count(info.runs[name])} ${word}</a>`,
            )}
            ${
                info.first_run &&
                html`<span class="soft">from <${Moment} at=${info.first_run} /> to <${Moment}
                at=${info.last_run} /></span>`
            }
        </div>
        ${
            info.network &&
            html`<p class="file-warning"><${Icon}
            name="triangle-alert" /> The file lies on ${visible(info.network)},
            which other machines share. Only one machine may write to it.</p>`
        }
    </header>`;
}

function Card({ title, children, wide = false }) {
    return html`<section class=${wide ? "card wide" : "card"}><h2>${title}</h2>${children}</section>`;
}

function Sizes({ info }) {
    const rest = Math.max(0, info.file_bytes - info.stored_bytes - info.free_bytes);
    const parts = [
        ["artifacts", info.stored_bytes],
        ["runs, metrics and the rest", rest],
        ["free inside the file", info.free_bytes],
    ];
    return html`<${Card} title="Size">
        <div class="size-bar" aria-hidden="true">${parts.map(
            ([name, size], place) => html`<svg key=${name}
            class=${`part-${place}`} width=${`${(100 * size) / Math.max(1, info.file_bytes)}%`} height="12">
                <rect width="100%" height="12" /></svg>`,
        )}</div>
        <table class="pairs-table"><tbody>${parts.map(
            ([name, size], place) => html`<tr key=${name}>
                <th scope="row"><span class=${`size-swatch part-${place}`}
                    aria-hidden="true">■</span> ${name}</th>
                <td class="number" title=${`${count(size)} bytes`}>${bytes(size)}</td></tr>`,
        )}
            <tr><th scope="row">write-ahead log beside it</th><td class="number">${bytes(info.wal_bytes)}</td>
                </tr>
            <tr><th scope="row">saved by storing equal pieces once</th>
                <td class="number">${bytes(Math.max(0, info.artifact_bytes - info.stored_bytes))}</td></tr>
            <tr><th scope="row">levels of long metrics, for charts</th>
                <td class="number">${bytes(info.level_bytes)}</td></tr>
        </tbody></table><//>`;
}

function Versions({ info }) {
    const pairs = [
        ["format of the file", info.format],
        ["this exptrack", info.library],
        ["its SQLite", info.sqlite],
    ];
    if (info.sealed_at) pairs.push(["sealed", time(info.sealed_at)]);
    return html`<${Card} title="Versions"><table class="pairs-table"><tbody>${pairs.map(
        ([name, value]) => html`
        <tr key=${name}><th scope="row">${name}</th><td>${visible(String(value))}</td></tr>`,
    )}</tbody></table>
            <//>`;
}

function Waiting({ waiting }) {
    return html`<${Card} title="Beside the file">${
        waiting.length === 0
            ? html`<p class="soft">No journal waits: all that was logged is in the file.</p>`
            : html`<ul class="waiting">${waiting.map(
                  (one) => html`<li key=${one.path}><bdi>
            <code>${visible(one.path)}</code></bdi>
            <span>${one.points === null ? bytes(one.size_bytes) : plural(one.points, "point")}${
                one.owner && html` of <bdi>${visible(one.owner)}</bdi>`
            }</span>
            <span class="soft">${visible(one.advice)}</span></li>`,
              )}</ul>`
    }<//>`;
}

function Largest({ storage, holders }) {
    const [page, setPage] = useState(0);
    const most = Math.max(1, storage[0]?.stored_bytes ?? 1);
    const pages = Math.max(1, Math.ceil(storage.length / MOST_RUNS));
    const all = `${plural(holders, "run")} with artifacts`;
    return html`<${Card} title="Largest runs" wide>${
        storage.length === 0
            ? html`<p class="soft">No run has artifacts.</p>`
            : html`<table class="listing"><thead><tr><th scope="col">Run</th><th scope="col"
            class="number">Artifacts</th>
            <th scope="col" class="number">Size</th><th scope="col" class="number">Stored</th><th scope="col">
                <span class="unseen">Share</span></th>
            <th scope="col" class="number" title="What deleting it alone gives back">Deleting gives back</th>
                </tr></thead>
            <tbody>${storage.slice(page * MOST_RUNS, (page + 1) * MOST_RUNS).map(
                (one) => html`<tr
                key=${one.run_id}>
                <td><a href=${`/run/${encodeURIComponent(one.run_id)}?tab=artifacts`}>
                    <bdi>${visible(one.name ?? one.run_id)}</bdi></a></td>
                <td class="number">${count(one.artifacts)}</td><td class="number">${bytes(one.size_bytes)}</td>
                <td class="number">${bytes(one.stored_bytes)}</td>
                <td class="share"><svg aria-hidden="true" width="100%" height="8"><rect height="8"
                    width=${`${(100 * one.stored_bytes) / most}%`} /></svg></td>
                <td class="number">${bytes(one.stored_bytes - one.shared_bytes)}</td></tr>`,
            )}</tbody></table>
            <${Pages} at=${page} pages=${pages} go=${setPage}>${plural(
                storage.length,
                "run",
            )} with artifacts<//>`
    }<//>`;
}

function Trash({ trash, freed, reload }) {
    const [chosen, setChosen] = useState(() => new Set());
    const dialog = useRef(null);
    const canEdit = archive.value?.can_edit ?? false;
    const ids = trash.map(({ run }) => run.run_id);
    const picked = ids.filter((id) => chosen.has(id));
    const act = async (path, body, done) => {
        try {
            const report = await post(path, body);
            setChosen(new Set());
            reload();
            toast(done(report));
        } catch (error) {
            toastError(error);
        }
    };
    const restore = () =>
        act("/api/restore", { runs: picked }, () => `${plural(picked.length, "run")} restored.`);
    const empty = () => {
        dialog.current.close();
        return act(
            "/api/delete",
            { runs: ids, forever: true },
            ({ report }) =>
                `${plural(report.runs.length, "run")} deleted; the file shrank by ${bytes(report.file_bytes)}.`,
        );
    };
    const flip = (id) =>
        setChosen((before) => {
            const after = new Set(before);
            if (!after.delete(id)) after.add(id);
            return after;
        });
    return html`<${Card} title="Trash" wide>${
        trash.length === 0
            ? html`<p class="soft">The trash is empty. A deleted run comes here first,
            with everything it holds.</p>`
            : html`<div class="tool-row">
                <button type="button" disabled=${!canEdit || picked.length === 0} onClick=${restore}>
                    <${Icon} name="undo-2" /> Restore ${picked.length > 0 && count(picked.length)}</button>
                <button type="button" class="danger" disabled=${!canEdit}
                    onClick=${() => dialog.current.showModal()}>
                    <${Icon} name="trash" /> Empty the trash…</button>
                <span class="soft">${plural(
                    trash.length,
                    "run",
                )}. They keep all they hold until the trash is emptied.
                    ${freed > 0 && ` That gives back ${bytes(freed)} of artifacts.`}</span></div>
            <table class="listing"><thead><tr><th scope="col"><input type="checkbox"
                aria-label="Choose all runs in the trash"
                    checked=${picked.length === ids.length} onChange=${() =>
                        setChosen(new Set(picked.length === ids.length ? [] : ids))} /></th>
                <th scope="col">Run</th><th scope="col">Started</th><th scope="col">Deleted</th>
                <th scope="col">Status</th></tr></thead>
            <tbody>${trash.slice(0, 500).map(
                ({ run, deleted_at: at }) => html`<tr key=${run.run_id}>
                <td><input type="checkbox" aria-label=${`Choose ${visible(run.name ?? run.run_id)}`}
                    checked=${chosen.has(run.run_id)} onChange=${() => flip(run.run_id)} /></td>
                <td><a href=${`/run/${encodeURIComponent(run.run_id)}`}>
                    <bdi>${visible(run.name ?? run.run_id)}</bdi></a></td>
                <td><${Moment} at=${run.started_at} /></td><td><${Moment} at=${at} /></td>
                <td><${Status} status=${run.status} reason=${run.reason} /></td></tr>`,
            )}</tbody></table>
            ${trash.length > 500 && html`<p class="soft">The 500 deleted last are shown.</p>`}
            <dialog ref=${dialog} aria-labelledby="empty-title"><h2
                id="empty-title">Delete ${plural(trash.length, "run")} for good?</h2>
                <p>Their configs, metrics and artifacts go too. Artifacts that other runs share stay.
                    This cannot be undone.</p>
                <p>${
                    freed > 0
                        ? html`<b>${bytes(freed)}</b> of artifacts that only they have come back to the disk,
                    and the space of their metrics.`
                        : "They hold no artifacts of their own; only the space of their metrics comes back."
                }</p>
                <div class="dialog-foot"><button type="button"
                    onClick=${() => dialog.current.close()}>Keep them</button>
                    <button type="button" class="danger" onClick=${empty}>Delete them for good</button></div>
                        </dialog>`
    }<//>`;
}

/** Reads the answer of /api/verify: a line of JSON for each step, and the report on the last one. */
async function verify(tell, signal) {
    const response = await send("/api/verify", {}, signal);
    const lines = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
        const { done, value } = await lines.read();
        if (done) throw new Error("the server stopped before all was checked; try again");
        const parts = (rest + value).split("\n");
        rest = parts.pop();
        for (const part of parts.filter(Boolean)) {
            const step = JSON.parse(part);
            if (step.error) throw new Error(step.error.message);
            if (step.report) return step.report;
            tell(step);
        }
    }
}

/** What an exported page cannot do. */
function Exported() {
    return html`<${Card} title="Check all data">
        <p class="soft">This page has no server, and proves no checksums. Save the archive that it has
            inside, and check that by <code>exptrack verify</code>.</p>
        <div class="row"><a class="button" href="/artifact/archive" download=${archive.value.name}><${Icon}
            name="download" /> Save the archive</a></div><//>`;
}

function Verify() {
    const [state, setState] = useState({ steps: null, report: null, error: null });
    const stop = useRef(null);
    const running = state.steps !== null && !state.report && !state.error;
    const start = async () => {
        stop.current = new AbortController();
        setState({ steps: new Map(), report: null, error: null });
        const tell = ({ part, done, total }) =>
            setState((before) => ({
                ...before,
                steps: new Map(before.steps).set(part, { done, total }),
            }));
        try {
            const report = await verify(tell, stop.current.signal);
            setState((before) => ({ ...before, report }));
        } catch (error) {
            setState((before) =>
                error.name === "AbortError"
                    ? { steps: null, report: null, error: null }
                    : { ...before, error },
            );
        }
    };
    useEffect(() => () => stop.current?.abort(), []);
    return html`<${Card} title="Check all data">
        ${
            state.report
                ? html`<${Report} report=${state.report} />`
                : html`<p class="soft">Reads the whole file and compares everything with its checksums.</p>`
        }
        ${state.error && html`<p class="problem" role="alert">${state.error.message}</p>`}
        ${
            running &&
            html`<div class="verify-steps">${[...state.steps].map(
                ([part, { done, total }]) => html`
            <label key=${part}><span>${part}</span><progress max=${Math.max(1, total)} value=${done}></progress>
                <span class="number soft">${count(done)} of ${count(total)}</span></label>`,
            )}</div>`
        }
        <div class="row">${
            running
                ? html`<button type="button" onClick=${() => stop.current.abort()}>Stop</button>`
                : html`<button type="button" onClick=${start}><${Icon}
                name="check" /> ${state.report ? "Check again" : "Check now"}</button>`
        }</div>
    <//>`;
}

function Report({ report }) {
    if (report.problems.length === 0)
        return html`<p class="status status-completed" role="status">
        <i>✓</i>Everything is sound.</p>`;
    return html`<div role="alert"><p class="status status-failed">
        <i>✕</i>${plural(report.problems.length, "problem")} found</p>
        <ul class="problems">${report.problems.slice(0, 200).map(
            (one, place) => html`<li key=${place}>
            <b>${one.part}</b> <bdi>${visible(one.where)}</bdi>: ${visible(one.message)}</li>`,
        )}</ul>
        <p class="soft">Save what is sound by <code>exptrack salvage</code>.</p></div>`;
}

function Commands({ path }) {
    const file = shellWord(path);
    const db = `exptrack --db ${file}`;
    return html`<${Card} title="In a terminal" wide><div class="file-commands">
        <${Command} text=${`${db} snapshot copy.db`}>Copy the file, also while runs write<//>
        <${Command} text=${`${db} pack sealed.db`}>Seal a copy to send away or to keep<//>
        <${Command} text=${`${db} extract some.db --where 'tag = "paper"'`}>Copy some runs to a new file<//>
        <${Command} text=${`exptrack merge all.db ${file} other.db`}>Bring several files together<//>
        <${Command} text=${`exptrack verify ${file}`}>Check all data against its checksums<//>
        <${Command} text=${`${db} recover`}>Store points that dead processes left<//>
        <${Command} text=${`sqlite3 ${file} 'SELECT * FROM runs LIMIT 20'`}>Read it with SQLite alone<//></div>
            <//>`;
}
