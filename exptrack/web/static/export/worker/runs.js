/** Answers questions about many runs: tables of them, their fields, and how the values of one are spread. */
import { compareText } from "./canonical.js";
import { listOf, rows, value } from "./database.js";
import { readFields } from "./fields.js";
import { parseField } from "./filter.js";
import { IS_SHOWN, groupBy } from "./lookup.js";
import { cut, selectRuns } from "./selection.js";
import { toIso } from "./times.js";
import { attributeValue } from "./values.js";
import { writeField } from "./vocabulary.js";

const MAX_ROWS = 1_000;
const DEFAULT_COLUMNS = ["run_id", "name", "status", "started", "duration"];

/** Reads columns of runs, as an object for each; null for a run that the archive does not have. */
export function readRows(runs, columns) {
    const named = columns.map((column) => [column, parseField(column)]);
    const known = new Set(
        rows("SELECT id FROM run WHERE id IN (SELECT value FROM json_each(?))", [listOf(runs)]).flat(),
    );
    const found = readFields(runs, named);
    return Array.from(runs, (run, place) =>
        known.has(run) ? Object.fromEntries(found.map(([name, cells]) => [name, cells[place]])) : null,
    );
}

const columnsOf = (question) => {
    const columns = question.texts("columns");
    return columns.length ? columns : DEFAULT_COLUMNS;
};

function listRows(question) {
    const all = selectRuns(question);
    const found = cut(all, question.whole("start", 0), Math.min(question.whole("size", 100), MAX_ROWS));
    return { total: all.length, row_ids: [...found], rows: readRows(found, columnsOf(question)) };
}

/** The row ids of all runs, as bytes. */
function listIndex(question) {
    return { buffer: selectRuns(question).slice().buffer };
}

function readSome(question) {
    return { rows: readRows(question.wholes("ids").slice(0, MAX_ROWS), columnsOf(question)) };
}

const OF_RUNS = "IN (SELECT value FROM json_each(?))";
const COUNTS = "count(v.num), sum(v.text IS NOT NULL AND v.num IS NULL), min(v.num), max(v.num)";
const FIELDS = {
    config: `SELECT k.key, ${COUNTS} FROM config_value AS v JOIN config_key AS k ON k.id = v.key
        WHERE v.run ${OF_RUNS} GROUP BY v.key`,
    metric: `SELECT n.name, count(v.last_value), count(*) - count(v.last_value), min(v.last_value),
        max(v.last_value) FROM metric_series AS v JOIN metric_name AS n ON n.id = v.metric
        WHERE v.run ${OF_RUNS} AND ${IS_SHOWN} GROUP BY v.metric`,
    attribute: `SELECT v.key, ${COUNTS} FROM run_attribute AS v WHERE v.run ${OF_RUNS} GROUP BY v.key`,
};

// Of all runs: indexes alone tell it.
const NUMBER = "v.key = k.id AND v.num IS NOT NULL";
const OTHER = "v.key = k.id AND v.text IS NOT NULL AND v.num IS NULL";
const CONFIGS_OF_ALL = `SELECT k.key, (SELECT count(*) FROM config_value AS v WHERE ${NUMBER}),
    (SELECT count(*) FROM config_value AS v WHERE ${OTHER}),
    (SELECT min(v.num) FROM config_value AS v WHERE ${NUMBER}),
    (SELECT max(v.num) FROM config_value AS v WHERE ${NUMBER}) FROM config_key AS k`;

/** Lists the fields that runs have: how many have each, and its range. */
export function readFieldInfos(runs) {
    const isAll = runs.length === value("SELECT count(*) FROM run");
    return Object.entries(FIELDS).flatMap(([kind, ofRuns]) => {
        const [sql, asked] = kind === "config" && isAll ? [CONFIGS_OF_ALL, []] : [ofRuns, [listOf(runs)]];
        const found = rows(sql, asked).filter(([, numbers, others]) => numbers + others > 0);
        found.sort(([one], [other]) => compareText(one, other));
        return found.map(([name, numbers, others, least, greatest]) => ({
            name: writeField({ kind, name, statistic: kind === "metric" ? "last" : "" }),
            kind,
            numbers,
            others,
            least,
            greatest,
        }));
    });
}

let fieldsOf = { runs: null, fields: [] };

function listFields(question) {
    const runs = selectRuns(question);
    if (fieldsOf.runs !== runs) fieldsOf = { runs, fields: readFieldInfos(runs) };
    return { fields: fieldsOf.fields };
}

const GROUPS = `SELECT g.id, g.name, g.created_at,
    (SELECT count(*) FROM run AS r WHERE r.group_name = g.name AND r.deleted_at IS NULL) AS runs
    FROM run_group AS g WHERE g.deleted_at IS NULL ORDER BY g.name`;
const GROUP_ATTRIBUTES = `SELECT run_group, key, type, num, text FROM run_group_attribute
    WHERE type <> 'removed' AND key NOT GLOB 'exptrack:*' ORDER BY key`;

function listGroups() {
    const attributes = groupBy(
        rows(GROUP_ATTRIBUTES).map(([group, key, ...stored]) => [group, [key, stored]]),
    );
    return {
        groups: rows(GROUPS).map(([id, name, createdAt, runs]) => {
            const held = (attributes.get(id) ?? []).map(([key, stored]) => [key, attributeValue(...stored)]);
            return {
                name,
                runs,
                created_at: toIso(createdAt),
                attributes: Object.fromEntries(held),
                deleted_at: null,
            };
        }),
    };
}

/** How many runs the archive shows. */
export const countRuns = () => value("SELECT count(*) FROM run WHERE deleted_at IS NULL");

export const HANDLERS = [
    ["/api/runs", listRows],
    ["/api/runs/index", listIndex],
    ["/api/runs/rows", readSome],
    ["/api/fields", listFields],
    ["/api/groups-list", listGroups],
];
