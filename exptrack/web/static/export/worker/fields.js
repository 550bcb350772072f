/**
 * Reads the values that runs have in fields, in the order of the runs. A run without a value has null, or [] of
 * words such as tags. A metric whose value is NaN has NaN.
 */
import { compareText } from "./canonical.js";
import { FACT_VALUES, SETS, findKey, findMetric, isSet, metricValue } from "./compiler.js";
import { each, listOf, rows } from "./database.js";
import { toIso } from "./times.js";
import { attributeValue, leafValue, metricNumber } from "./values.js";
import { FACTS } from "./vocabulary.js";

const OF_RUNS = "IN (SELECT value FROM json_each(?))";
// Every series has a first and a last point, so NULL means NaN there. In other statistics it means no value.
const ALWAYS_LOGGED = ["last", "first"];

/** Reads fields: {name: field} becomes {name: values}, both in pairs. */
export function readFields(runs, named) {
    const asked = listOf(runs);
    return named.map(([name, field]) => [name, readField(runs, asked, field)]);
}

function readField(runs, asked, field) {
    if (field.kind === "config")
        return spread(runs, readLeaves(asked, field.name), (leaf) => leafValue(...leaf));
    if (field.kind === "metric") return readMetric(runs, asked, field);
    if (field.kind === "attribute") return readAttribute(runs, asked, field.name);
    return isSet(field) ? readWords(runs, asked, field.name) : readFact(runs, asked, field.name);
}

/** Lists the values of runs; `make` makes one of what was read. */
function spread(runs, found, make, missing = null) {
    return Array.from(runs, (run) => (found.has(run) ? make(found.get(run)) : missing));
}

/** Reads one config key of runs as it is stored: row id of the run -> [type, number, text]. */
export function readLeaves(asked, name) {
    const key = findKey(name);
    const sql = `SELECT run, type, num, text FROM config_value WHERE run ${OF_RUNS} AND key = ?`;
    return collect(key === null ? null : sql, [asked, key]);
}

function collect(sql, values) {
    const found = new Map();
    if (sql !== null) each(sql, values, ([run, ...rest]) => found.set(run, rest));
    return found;
}

function readMetric(runs, asked, { name, statistic }) {
    const metric = findMetric(name);
    const column = metricValue(statistic);
    const sql = `SELECT run, ${column} FROM metric_series WHERE run ${OF_RUNS} AND metric = ?`;
    const found = collect(metric === null ? null : sql, [asked, metric]);
    const make = ALWAYS_LOGGED.includes(statistic) ? ([held]) => metricNumber(held) : ([held]) => held;
    return spread(runs, found, make);
}

function readAttribute(runs, asked, key) {
    const sql = `SELECT run, type, num, text FROM run_attribute
        WHERE run ${OF_RUNS} AND key = ? AND type <> 'removed'`;
    return spread(runs, collect(sql, [asked, key]), (held) => attributeValue(...held));
}

function readWords(runs, asked, name) {
    const { source, word, counts, shown = word } = SETS[name];
    const found = new Map();
    each(
        `SELECT x.run, ${shown} FROM ${source} WHERE x.run ${OF_RUNS} AND ${counts}`,
        [asked],
        ([run, text]) => {
            if (!found.has(run)) found.set(run, new Set());
            found.get(run).add(text);
        },
    );
    return spread(runs, found, (words) => [...words].sort(compareText), []);
}

/** Turns a stored fact into that of an answer. */
export function factValue(name, stored) {
    if (stored === null) return null;
    const kind = FACTS.get(name);
    if (kind === "time") return toIso(stored);
    return kind === "bool" ? Boolean(stored) : stored;
}

function readFact(runs, asked, name) {
    const sql = `SELECT r.id, ${FACT_VALUES[name]} FROM run AS r WHERE r.id ${OF_RUNS}`;
    return spread(runs, collect(sql, [asked]), ([stored]) => factValue(name, stored));
}

/** Reads the stored types of one config key or attribute, as text, int, float, …; null for other fields. */
export function readTypes(runs, { kind, name }) {
    if (kind !== "config" && kind !== "attribute") return null;
    const asked = listOf(runs);
    const sql = `SELECT run, type FROM run_attribute WHERE run ${OF_RUNS} AND key = ?`;
    const found = kind === "config" ? readLeaves(asked, name) : collect(sql, [asked, name]);
    return spread(runs, found, ([type]) => (["list", "map", "json"].includes(type) ? "list" : type));
}

/** Reads every leaf of the configs of runs: key -> row id of the run -> [type, number, text], by key. */
export function readAllLeaves(runs) {
    const found = new Map();
    const sql = `SELECT k.key, v.run, v.type, v.num, v.text FROM config_value AS v
        JOIN config_key AS k ON k.id = v.key WHERE v.run ${OF_RUNS}`;
    for (const [key, run, ...leaf] of rows(sql, [listOf(runs)])) {
        if (!found.has(key)) found.set(key, new Map());
        found.get(key).set(run, leaf);
    }
    return new Map([...found].sort(([one], [other]) => compareText(one, other)));
}
