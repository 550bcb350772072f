/** Finds a run by its id, and reads the records that several answers have: runs, metrics, artifacts. */
import { compareText } from "./canonical.js";
import { listOf, record, records, rows } from "./database.js";
import { Problem } from "./problem.js";
import { toIso } from "./times.js";
import { metricNumber, parseJson } from "./values.js";

export const OF_LIST = "IN (SELECT value FROM json_each(?))";
/** The metrics that hold what a rewinding of their run has hidden have names that begin so. */
export const REWOUND = "exptrack:rewound/";
/** Of `n`, a metric: it is none of these. */
export const IS_SHOWN = `substr(n.name, 1, ${REWOUND.length}) <> '${REWOUND}'`;
const RUN_COLUMNS = `
    SELECT r.*, y.name AS study, t.number AS trial_number, t.state AS trial_state
    FROM run AS r
    LEFT JOIN trial AS t ON t.id = (SELECT max(o.id) FROM trial AS o WHERE o.run_id = r.run_id)
    LEFT JOIN study AS y ON y.id = t.study`;
const LAST_TEXT = "\u{10ffff}";

/** Returns the row of the run with an id, or of the only run whose id begins so. */
export function resolveRun(text) {
    const wanted = text.toLowerCase();
    const found = record(`${RUN_COLUMNS} WHERE r.run_id = ?`, [wanted]);
    if (found) return found;
    const among = (state) =>
        rows(`SELECT run_id FROM run WHERE run_id >= ? AND run_id < ? AND deleted_at IS ${state} LIMIT 21`, [
            wanted,
            wanted + LAST_TEXT,
        ]).flat();
    const [shown, trashed] = [among("NULL"), among("NOT NULL")];
    const ids = shown.length ? shown : trashed;
    if (!wanted || !ids.length) throw new Problem("RunNotFoundError", `no run '${text}' is in this archive`);
    if (ids.length > 1) {
        throw new Problem("AmbiguousRunError", `'${text}' begins the ids of several runs; give more of it`);
    }
    return record(`${RUN_COLUMNS} WHERE r.run_id = ?`, ids);
}

/** Reads the rows of runs by their row ids, in this order. */
export function readRuns(runs) {
    const found = new Map(
        records(`${RUN_COLUMNS} WHERE r.id ${OF_LIST}`, [listOf(runs)]).map((row) => [row.id, row]),
    );
    return [...runs].filter((run) => found.has(run)).map((run) => found.get(run));
}

/** Lists the rows of the trash, the last first. */
export const readTrash = () =>
    records(`${RUN_COLUMNS} WHERE r.deleted_at IS NOT NULL ORDER BY r.deleted_at DESC, r.id DESC`);

/** Turns rows of runs into records, with tags and, if asked for, the last values of metrics. */
export function summarizeRuns(found, withMetrics = true) {
    const ids = listOf(found.map((row) => row.id));
    const tags = groupBy(rows(`SELECT run, tag FROM run_tag WHERE run ${OF_LIST}`, [ids]));
    const metrics = new Map();
    if (withMetrics) {
        const sql = `SELECT s.run, n.name, s.last_value FROM metric_series AS s
            JOIN metric_name AS n ON n.id = s.metric WHERE s.run ${OF_LIST} AND ${IS_SHOWN}`;
        const sorted = rows(sql, [ids]).sort(([, one], [, other]) => compareText(one, other));
        for (const [run, name, last] of sorted) {
            if (!metrics.has(run)) metrics.set(run, []);
            metrics.get(run).push([name, metricNumber(last)]);
        }
    }
    return found.map((row) => ({
        run_id: row.run_id,
        status: row.status,
        name: row.name,
        group: row.group_name,
        parent: row.parent_run_id,
        started_at: toIso(row.started_at),
        ended_at: toIso(row.ended_at),
        heartbeat_at: toIso(row.heartbeat_at),
        duration_s: row.duration_ms / 1000,
        reason: row.reason,
        config_hash: row.config_hash,
        family: row.family,
        fingerprint: row.fingerprint,
        host: row.host,
        vcs_commit: row.vcs_commit,
        vcs_dirty: row.vcs_dirty === null ? null : Boolean(row.vcs_dirty),
        tags: tags.get(row.id) ?? [],
        metrics: Object.fromEntries(metrics.get(row.id) ?? []),
        study: row.study,
        trial_number: row.trial_number,
        trial_state: row.trial_state,
        external_id: row.external_id,
    }));
}

/** Collects pairs: the first of each -> the second ones. */
export function groupBy(pairs) {
    const found = new Map();
    for (const [key, held] of pairs) {
        if (!found.has(key)) found.set(key, []);
        found.get(key).push(held);
    }
    return found;
}

/** The columns of a series that a summary has; `s` is the series and `n` its name. */
export const SERIES_COLUMNS = `n.name, s.count, s.nan_count, s.first_value, s.first_step, s.last_value,
    s.last_step, s.min_value, s.min_step, s.max_value, s.max_step, s.value_sum`;

/** Turns a row with these columns into a summary. */
export function summarizeSeries(row) {
    const valued = row.count - row.nan_count;
    return {
        name: row.name,
        count: row.count,
        nan_count: row.nan_count,
        first: metricNumber(row.first_value),
        first_step: row.first_step,
        last: metricNumber(row.last_value),
        last_step: row.last_step,
        min: row.min_value,
        min_step: row.min_step,
        max: row.max_value,
        max_step: row.max_step,
        mean: valued > 0 ? row.value_sum / valued : null,
    };
}

const ARTIFACT_COLUMNS = `
    SELECT a.id, a.run, r.run_id, a.name, a.version, a.kind, b.hash, b.size_bytes, a.is_text, a.media_type,
        a.step, a.metadata, a.created_at, a.description, a.blob,
        (SELECT json_group_array(alias) FROM (SELECT x.alias FROM artifact_alias AS x
            WHERE x.run = a.run AND x.name = a.name AND x.version = a.version ORDER BY x.alias)) AS aliases
    FROM artifact AS a JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run`;

/** Reads the rows of artifacts; `rest` is what follows in SQL. */
export const readArtifactRows = (rest, values) => records(`${ARTIFACT_COLUMNS} ${rest}`, values);

/** Turns such a row into a record. */
export function makeArtifact(row) {
    return {
        run_id: row.run_id,
        name: row.name,
        version: row.version,
        kind: row.kind,
        hash: row.hash,
        size_bytes: row.size_bytes,
        is_text: Boolean(row.is_text),
        media_type: row.media_type,
        step: row.step,
        metadata: parseJson(row.metadata),
        created_at: toIso(row.created_at),
        description: row.description,
        aliases: JSON.parse(row.aliases),
    };
}

const USE_COLUMNS = `SELECT r.run_id, i.from_run_id AS from_run, i.name, i.version, i.hash, i.used_at
    FROM run_input AS i JOIN run AS r ON r.id = i.run`;

/** Reads uses of artifacts. */
export const readUses = (rest, values) =>
    records(`${USE_COLUMNS} ${rest}`, values).map((row) => ({ ...row, used_at: toIso(row.used_at) }));
