/**
 * Questions in SQL, at /sql#QUERY: one SELECT over the documented views. The query stands behind the # of the
 * address. It runs by the button or Ctrl+Enter only, never because somebody opened a link.
 */
import { html, useEffect, useMemo, useRef, useState } from "../vendor/ui.js";
import { get, post, wasAborted } from "../api.js";
import { Icon } from "../components/icons.js";
import { Empty, Problem, useLoad } from "../components/load.js";
import { SqlEditor } from "../components/sql_editor.js";
import { ResultChart } from "../components/sql_chart.js";
import { TablePreview } from "../components/text.js";
import { csv, duration, plural, visible } from "../format.js";
import { fragment, setFragment } from "../router.js";
import { toastError } from "../toasts.js";
import { QUESTIONS, fillQuestion, sqlName } from "./sql_questions.js";

const LIMITS = [1000, 10000];
const SCHEMA = `SELECT m.type, m.name, c.name, c.type
FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c
WHERE m.type IN ('view', 'table') AND m.name NOT LIKE 'sqlite_%'
ORDER BY m.type DESC, m.name, c.cid`;
/** Views in the order in which people want them; others follow by name. */
const FIRST_VIEWS = [
    "runs",
    "configs",
    "metrics",
    "points",
    "tags",
    "notes",
    "attributes",
    "artifacts",
    "events",
];

function readFragment() {
    try {
        return decodeURIComponent(fragment());
    } catch {
        return fragment(); // A lone % in a hand-written address stands for itself.
    }
}

/** The views and tables of the file: `{kind, name, columns: [{name, type}]}`. */
async function readSchema(signal) {
    const { rows } = await post("/api/sql", { query: SCHEMA, limit: 10000 }, signal);
    const found = new Map();
    for (const [kind, name, column, type] of rows) {
        if (!found.has(name)) found.set(name, { kind, name, columns: [] });
        found.get(name).columns.push({ name: column, type });
    }
    const rank = ({ name }) => (FIRST_VIEWS.includes(name) ? FIRST_VIEWS.indexOf(name) : FIRST_VIEWS.length);
    return [...found.values()].sort((a, b) => rank(a) - rank(b));
}

/** The newest runs that a filter admits. */
async function readNewest(where, size, signal) {
    const { rows } = await get("/api/runs", { where, columns: ["run_id"], size }, signal);
    return rows.map((row) => `/api/run/${encodeURIComponent(row.run_id)}`);
}

/** Values of this archive for the examples: two runs with a metric that many have,
    and the hash of an artifact. */
async function readExampleValues(signal) {
    const { fields } = await get("/api/fields", {}, signal);
    const metric = fields.filter((one) => one.kind === "metric").sort((a, b) => b.numbers - a.numbers)[0];
    const [[run, other], [holder]] = await Promise.all([
        readNewest(metric ? `exists ${metric.name}` : "", 2, signal),
        readNewest("artifact is not null", 1, signal),
    ]);
    const first = async (address, part) =>
        address ? (await get(`${address}/${part}`, { size: 1 }, signal))[part][0] : null;
    const [logged, artifact] = await Promise.all([first(run, "metrics"), first(holder, "artifacts")]);
    const id = (address) => address && decodeURIComponent(address.split("/").at(-1));
    return { run: id(run), other: id(other), metric: logged?.name, hash: artifact?.hash };
}

const NOTHING_ASKED = { result: null, error: null, running: false, stopped: false };

/** Runs queries one at a time: the newest replaces the one before, which the server then stops. */
function useQuery() {
    const [state, setState] = useState(NOTHING_ASKED);
    const stop = useRef(null);
    const run = async (query, limit) => {
        stop.current?.abort();
        const mine = new AbortController();
        stop.current = mine;
        setState((before) => ({ ...NOTHING_ASKED, result: before.result, running: true }));
        const began = performance.now();
        try {
            const result = await post("/api/sql", { query, limit }, mine.signal);
            const seconds = (performance.now() - began) / 1000;
            if (stop.current === mine) setState({ ...NOTHING_ASKED, result: { ...result, query, seconds } });
        } catch (error) {
            if (stop.current !== mine) return;
            setState(wasAborted(error) ? { ...NOTHING_ASKED, stopped: true } : { ...NOTHING_ASKED, error });
        }
    };
    useEffect(() => () => stop.current?.abort(), []);
    const clear = () => {
        stop.current?.abort();
        stop.current = null;
        setState(NOTHING_ASKED);
    };
    return { ...state, run, clear, cancel: () => stop.current?.abort() };
}

export default function SqlView({ route }) {
    const [text, setText] = useState(readFragment);
    const [limit, setLimit] = useState(LIMITS[0]);
    const schema = useLoad(readSchema, []);
    const examples = useRef(null); // read for the first example only: an archive may have many fields
    const query = useQuery();
    const handle = useRef(null);
    useEffect(() => {
        if (readFragment() === text) return;
        setText(readFragment());
        handle.current?.replace(readFragment());
        query.clear();
    }, [route]);
    const change = (typed) => {
        setText(typed);
        setFragment(encodeURIComponent(typed));
    };
    const run = () => text.trim() && query.run(text, limit);
    const choose = async (question) => {
        try {
            examples.current ??= readExampleValues();
            const filled = fillQuestion(question.sql, await examples.current);
            change(filled);
            handle.current?.replace(filled);
            handle.current?.focus();
        } catch (error) {
            examples.current = null;
            toastError(error);
        }
    };
    const byName = useMemo(
        () =>
            Object.fromEntries(
                (schema.data ?? [])
                    .filter((one) => one.kind === "view")
                    .map(({ name, columns }) => [name, columns.map((column) => column.name)]),
            ),
        [schema.data],
    );
    return html`<div class="view sql-view">
        <aside class="sql-side" aria-label="Views and examples">
            <${Schema} schema=${schema} insert=${(word) => handle.current?.insert(word)} />
        </aside>
        <section class="sql-main">
            <div class="sql-examples row">
                <label class="soft" for="sql-example">Examples</label>
                <select id="sql-example" value="" onChange=${(event) => {
                    choose(QUESTIONS[Number(event.target.value)]);
                    event.target.value = "";
                }}><option value="" disabled>Ten questions to begin from…</option>
                    ${QUESTIONS.map(
                        (one, place) => html`<option key=${one.name}
                        value=${place}>${one.title}</option>`,
                    )}
                </select>
            </div>
            <${SqlEditor} text=${text} schema=${byName} onChange=${change} onRun=${run} handle=${handle} />
            <div class="sql-run row">
                <button type="button" class="primary" disabled=${!text.trim() || query.running} onClick=${run}>
                    <${Icon} name="play" /> Run</button>
                ${query.running && html`<button type="button" onClick=${query.cancel}>Stop</button>`}
                <kbd>Ctrl</kbd> <kbd>Enter</kbd>
                <label class="row soft">at most <select value=${String(limit)}
                    onChange=${(event) => setLimit(Number(event.target.value))}>
                    ${LIMITS.map(
                        (one) => html`<option key=${one}
                        value=${String(one)}>${plural(one, "row")}</option>`,
                    )}
                    </select></label>
                <span class="soft grow">It can only read, and it stops if it takes too long.</span>
            </div>
            <div class="sql-answer" aria-live="polite">
                ${query.error && html`<${Problem} error=${query.error} />`}
                ${query.running && html`<p class="soft" aria-busy="true">Running…</p>`}
                ${query.stopped && html`<p class="soft">You stopped the query.</p>`}
                ${
                    query.result
                        ? html`<${Result} result=${query.result} />`
                        : !query.error &&
                          !query.running &&
                          !query.stopped &&
                          html`<${Beginning} choose=${choose}
                        hasText=${text.trim() !== ""} />`
                }
            </div>
        </section>
    </div>`;
}

function Beginning({ choose, hasText }) {
    if (hasText)
        return html`<${Empty} title="This query has not run yet.">
        <p>Read it, then run it by Ctrl+Enter.</p><//>`;
    return html`<div class="sql-beginning"><h2>Ask anything of the file</h2>
        <p class="soft">Each of these is one SELECT over the views on the left. Choose one, change it,
            and run it.</p>
        <ol>${QUESTIONS.map(
            (one) => html`<li key=${one.name}>
            <button type="button" class="link" onClick=${() => choose(one)}>${one.title}</button></li>`,
        )}</ol>
                </div>`;
}

/** The views with their columns; a click writes the name where the cursor is. Tables stand behind a fold. */
function Schema({ schema, insert }) {
    if (schema.error) return html`<${Problem} error=${schema.error} retry=${schema.reload} />`;
    if (!schema.data) return html`<p class="soft">Reading…</p>`;
    const part = (kind) => schema.data.filter((one) => one.kind === kind);
    return html`<h2>SQL views</h2><${Relations} of=${part("view")} insert=${insert} open="runs" />
        <details class="sql-tables"><summary>Tables under them</summary>
            <${Relations} of=${part("table")} insert=${insert} /></details>`;
}

function Relations({ of, insert, open = null }) {
    return of.map(
        ({ name, columns }) => html`<div key=${name} class="sql-relation"><details open=${name === open}>
        <summary class="mono">${visible(name)}</summary>
        <ul>${columns.map(
            (column) => html`<li key=${column.name}><button type="button" class="link mono"
            onClick=${() => insert(sqlName(column.name))}>${visible(column.name)}</button>
            <span class="faint">${column.type.toLowerCase()}</span></li>`,
        )}</ul></details>
        <button type="button" class="icon" title="Write this name into the query"
            aria-label=${`Write ${visible(name)}`}
            onClick=${() => insert(sqlName(name))}><${Icon} name="plus" size=${12} /></button></div>`,
    );
}

function save(name, content, type) {
    const url = URL.createObjectURL(new Blob([content], { type }));
    Object.assign(document.createElement("a"), { href: url, download: name }).click();
    setTimeout(URL.revokeObjectURL, 10000, url);
}

const linkOf = (cell, column) =>
    column === "run_id" && typeof cell === "string" ? `/run/${encodeURIComponent(cell)}` : null;

function Result({ result }) {
    const [asChart, setAsChart] = useState(false);
    const { columns, rows, truncated, seconds } = result;
    if (rows.length === 0) return html`<${Empty} title="The query found no rows." />`;
    return html`<div class="sql-result">
        <div class="row">
            <div class="segments" role="group" aria-label="Show the rows as">
                <button type="button" aria-pressed=${String(!asChart)} onClick=${() => setAsChart(false)}>
                    <${Icon} name="table-2" /> Table</button>
                <button type="button" aria-pressed=${String(asChart)} onClick=${() => setAsChart(true)}>
                    <${Icon} name="chart-line" /> Chart</button>
            </div>
            <span class="soft grow">${
                truncated
                    ? `the first ${plural(rows.length, "row")}; there are more`
                    : plural(rows.length, "row")
            }
                ${" "}in ${duration(seconds)}</span>
            <button type="button" onClick=${() => save("query.csv", csv([columns, ...rows]), "text/csv")}>
                <${Icon} name="download" /> CSV</button>
        </div>
        ${
            asChart
                ? html`<${ResultChart} columns=${columns} rows=${rows} />`
                : html`<${TablePreview} key=${result.query} columns=${columns} rows=${rows}
                label="rows of the query" linkOf=${linkOf} />`
        }
    </div>`;
}
