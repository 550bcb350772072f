/** Answers questions about one run, part by part, and compares it with the run before it. */
import { compareConfigs, compareMetrics } from "./comparison.js";
import { record, records, rows, value } from "./database.js";
import {
    IS_SHOWN,
    REWOUND,
    SERIES_COLUMNS,
    makeArtifact,
    readArtifactRows,
    readUses,
    resolveRun,
    summarizeRuns,
    summarizeSeries,
} from "./lookup.js";
import { toIso } from "./times.js";
import { attributeValue, parseJson } from "./values.js";

const MOST_COUNTED = 10_000;
const MOST_METRICS = 2_000;
const SHOWN_NOTES = 100;
const SYSTEM = "system/";
const countOf = (from) => `(SELECT count(*) FROM (SELECT 1 FROM ${from} LIMIT ${MOST_COUNTED}))`;
const SHOWN_SERIES = `metric_series AS s JOIN metric_name AS n ON n.id = s.metric
    WHERE s.run = ?1 AND ${IS_SHOWN}`;
const COUNTS = `SELECT ${[
    `${countOf(SHOWN_SERIES)} AS metric_count`,
    `${countOf("event WHERE run = ?1")} AS event_count`,
    `${countOf("artifact WHERE run = ?1 AND blob IS NOT NULL")} AS artifact_count`,
    `${countOf("run_input WHERE run = ?1")} AS input_count`,
    `${countOf("note WHERE run = ?1")} AS note_count`,
].join(", ")}`;
const EARLIER = `SELECT run_id FROM run WHERE (started_at, id) < (?, ?) AND deleted_at IS NULL
    ORDER BY started_at DESC, id DESC LIMIT 1`;
const LATER = `SELECT run_id FROM run WHERE (started_at, id) > (?, ?) AND deleted_at IS NULL
    ORDER BY started_at, id LIMIT 1`;

function showRun(question) {
    const row = resolveRun(question.part("run"));
    const place = [row.started_at, row.id];
    const notes = `SELECT written_at, text FROM note WHERE run = ? ORDER BY seq DESC LIMIT ${SHOWN_NOTES}`;
    const attributes = `SELECT key, type, num, text FROM run_attribute
        WHERE run = ? AND type <> 'removed' ORDER BY key`;
    return {
        run: {
            ...summarizeRuns([row], false)[0],
            row_id: row.id,
            attributes: Object.fromEntries(
                rows(attributes, [row.id]).map(([key, ...stored]) => [key, attributeValue(...stored)]),
            ),
            notes: rows(notes, [row.id]).map(([at, text]) => ({ written_at: toIso(at), text })),
            deleted_at: toIso(row.deleted_at),
            previous: value(EARLIER, place),
            next: value(LATER, place),
            ...record(COUNTS, [row.id]),
        },
    };
}

function showConfig(question) {
    const { id } = resolveRun(question.part("run"));
    const snapshot = value("SELECT snapshot FROM run_config WHERE run = ?", [id]);
    const sql = `SELECT k.key, s.kind, s.name, s.line FROM config_value AS v
        JOIN config_key AS k ON k.id = v.key JOIN config_source AS s ON s.id = v.source WHERE v.run = ?`;
    const sources = rows(sql, [id]).map(([key, kind, name, line]) => [key, { kind, name, line }]);
    return { config: parseJson(snapshot ?? "{}"), sources: Object.fromEntries(sources) };
}

function showMetrics(question) {
    const { id } = resolveRun(question.part("run"));
    const part = question.text("part");
    const start = Math.max(0, question.whole("start", 0));
    const end = start + Math.max(0, question.whole("size", MOST_METRICS));
    const sql = `SELECT ${SERIES_COLUMNS} FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
        WHERE s.run = ?1 AND (?2 = '' OR instr(lower(n.name), ?2))
        AND (${IS_SHOWN} OR instr(?2, '${REWOUND}') = 1) ORDER BY n.name`;
    const search = question.text("search").toLowerCase();
    const found = records(sql, [id, search]).filter(
        ({ name }) => part === "" || part === (name.startsWith(SYSTEM) ? "system" : "own"),
    );
    const total = found.length > Math.max(end, MOST_METRICS) ? null : found.length;
    return { metrics: found.slice(start, end).map(summarizeSeries), total };
}

function showEvents(question) {
    const { id } = resolveRun(question.part("run"));
    const sql =
        "SELECT seq, happened_at, kind, data FROM event WHERE run = ? AND seq >= ? ORDER BY seq LIMIT ?";
    const size = Math.min(question.whole("size", MOST_COUNTED), MOST_COUNTED);
    return {
        events: rows(sql, [id, question.whole("start", 0), size]).map(([seq, at, kind, data]) => ({
            seq,
            happened_at: toIso(at),
            kind,
            data: parseJson(data),
        })),
    };
}

function showArtifacts(question) {
    const { id } = resolveRun(question.part("run"));
    const size = Math.min(question.whole("size", MOST_COUNTED), MOST_COUNTED);
    const page = "WHERE a.run = ? ORDER BY a.name, a.version LIMIT ? OFFSET ?";
    return {
        artifacts: readArtifactRows(page, [id, size, question.whole("start", 0)]).map(makeArtifact),
        inputs: readUses("WHERE i.run = ? ORDER BY i.seq LIMIT ?", [id, size]),
    };
}

function showEnvironment(question) {
    const row = resolveRun(question.part("run"));
    const found = record("SELECT * FROM run_environment WHERE run = ?", [row.id]);
    if (found === null) return { environment: {}, traceback: row.traceback };
    const { run, ...facts } = found;
    for (const key of ["command", "system", "variables", "data_references"])
        facts[key] = parseJson(facts[key]);
    return { environment: facts, traceback: row.traceback };
}

// The run before

const BEFORE = `r.deleted_at IS NULL AND (r.started_at, r.id) < (?2, ?3)
    ORDER BY r.started_at DESC, r.id DESC LIMIT 1`;
const PREVIOUS = [
    [
        "script",
        `SELECT r.run_id FROM run AS r JOIN run_environment AS e ON e.run = r.id
            WHERE e.script = ?1 AND ${BEFORE}`,
    ],
    ["name", `SELECT r.run_id FROM run AS r WHERE r.name = ?1 AND ${BEFORE}`],
    ["group", `SELECT r.run_id FROM run AS r WHERE r.group_name = ?1 AND ${BEFORE}`],
];
const FACTS = `SELECT r.vcs_commit AS "commit", r.vcs_dirty AS dirty, e.vcs_branch AS branch, e.code_digest,
    r.host, e.script, e.python, e.platform, e.command, e.variables, e.data_references
    FROM run AS r LEFT JOIN run_environment AS e ON e.run = r.id WHERE r.id = ?`;

function findPrevious(row) {
    const script = value("SELECT script FROM run_environment WHERE run = ?", [row.id]);
    const held = { script, name: row.name, group: row.group_name };
    for (const [because, sql] of PREVIOUS) {
        if (held[because] === null) continue;
        const found = value(sql, [held[because], row.started_at, row.id]);
        if (found !== null) return { previous: found, because };
    }
    return null;
}

function showChanges(question) {
    const row = resolveRun(question.part("run"));
    const found = findPrevious(row);
    if (found === null) return { changes: null };
    const runs = [resolveRun(found.previous).id, row.id];
    const [a, b] = runs.map((run) => record(FACTS, [run]));
    const readMap = (text) => parseJson(text ?? "{}");
    return {
        changes: {
            run_id: row.run_id,
            ...found,
            config: compareConfigs(runs)
                .filter((key) => key.differs)
                .map(describeKey),
            code: compareFacts(a, b, ["commit", "dirty", "branch", "script", "code_digest"]),
            data: compareMaps(readMap(a.data_references), readMap(b.data_references)),
            environment: [
                ...compareFacts(a, b, ["host", "platform", "python", "command"]),
                ...compareMaps(readMap(a.variables), readMap(b.variables)),
            ],
            metrics: compareMetrics(runs).map(describeMetric),
        },
    };
}

const changeOf = (inA, inB) => (inA && inB ? "changed" : inA ? "removed" : "added");

const describeKey = ({ key, values, present, sources }) => ({
    key,
    change: changeOf(...present),
    a: values[0],
    b: values[1],
    source_a: sources[0],
    source_b: sources[1],
});

const describeMetric = ({ name, summaries: [a, b] }) => ({
    name,
    last_a: a ? a.last : null,
    last_b: b ? b.last : null,
    min_a: a ? a.min : null,
    min_b: b ? b.min : null,
    max_a: a ? a.max : null,
    max_b: b ? b.max : null,
});

function compareFacts(a, b, names) {
    const pick = (row) => Object.fromEntries(names.map((name) => [name, readFact(name, row[name])]));
    return compareMaps(pick(a), pick(b));
}

function readFact(name, stored) {
    if (stored === null) return null;
    if (name === "dirty") return Boolean(stored);
    return name === "command" ? parseJson(stored) : stored;
}

function compareMaps(a, b) {
    const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
    const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
    return names
        .map((name) => ({ name, a: a[name] ?? null, b: b[name] ?? null }))
        .filter(({ a: was, b: now }) => !same(was, now))
        .map(({ name, a: was, b: now }) => ({
            name,
            change: changeOf(was !== null, now !== null),
            a: was,
            b: now,
        }));
}

export const HANDLERS = [
    ["/api/run/{run}", showRun],
    ["/api/run/{run}/config", showConfig],
    ["/api/run/{run}/metrics", showMetrics],
    ["/api/run/{run}/events", showEvents],
    ["/api/run/{run}/artifacts", showArtifacts],
    ["/api/run/{run}/environment", showEnvironment],
    ["/api/changes/{run}", showChanges],
];
