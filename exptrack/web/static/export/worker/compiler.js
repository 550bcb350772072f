/**
 * Makes SQL of conditions and orders, over the tables that docs/schema.md describes.
 * Invariants: SQL is composed only of the fixed fragments in this file; every name and value of a filter is
 * bound. Every test is 0 or 1, never NULL, so that `not` inverts it.
 */
import { value } from "./database.js";
import { LIKE, patternOf } from "./patterns.js";
import { FACTS, PRUNED } from "./vocabulary.js";

const SMALL = 2 ** 53;
// An int of a config that no float equals has its digits in `text`.
const exact = (number) =>
    `CASE WHEN v.type = 'int' AND v.text IS NOT NULL THEN CAST(v.text AS INTEGER) ELSE ${number} END`;

const METRIC_VALUES = {
    last: "last_value",
    min: "min_value",
    max: "max_value",
    first: "first_value",
    mean: "value_sum / NULLIF(count - nan_count, 0)",
};

/** The SQL of a statistic, of a row of metric_series. */
export const metricValue = (statistic) => METRIC_VALUES[statistic] ?? statistic;

// Read from the newest trial of the run: a run that was tried again has several.
const ofTrial = (column, source) =>
    `(SELECT ${column} FROM ${source} WHERE t.run_id = r.run_id ORDER BY t.id DESC LIMIT 1)`;
const ofEnvironment = (column) => `(SELECT e.${column} FROM run_environment AS e WHERE e.run = r.id)`;
const TRIAL_STATE = ofTrial("t.state", "trial AS t");

/** The SQL of each fact that a run has once. */
export const FACT_VALUES = {
    id: "r.run_id",
    name: "r.name",
    group: "r.group_name",
    parent: "r.parent_run_id",
    external_id: "r.external_id",
    reason: "r.reason",
    host: "r.host",
    commit: "r.vcs_commit",
    config_hash: "r.config_hash",
    family: "r.family",
    fingerprint: "r.fingerprint",
    branch: ofEnvironment("vcs_branch"),
    script: ofEnvironment("script"),
    python: ofEnvironment("python"),
    started: "r.started_at",
    ended: "r.ended_at",
    heartbeat: "r.heartbeat_at",
    duration: "r.duration_ms / 1000.0",
    dirty: "r.vcs_dirty",
    has_nan: "EXISTS (SELECT 1 FROM metric_series AS s WHERE s.run = r.id AND s.nan_count > 0)",
    status: "r.status",
    study: ofTrial("y.name", "trial AS t CROSS JOIN study AS y ON y.id = t.study"),
    "trial.number": ofTrial("t.number", "trial AS t"),
    "trial.state": TRIAL_STATE,
};

// What a run says of its data: a name and a reference. Files end with a digest of what they held.
const DIGEST_AT = "instr(j.value, '@sha256:') + instr(j.value, '@sizes:')";
const REFERENCE = `CASE WHEN ${DIGEST_AT} THEN substr(j.value, 1, ${DIGEST_AT} - 1) ELSE j.value END`;
const DATA_WORDS = [
    "j.key",
    "j.value",
    REFERENCE,
    `substr(j.value, length(${REFERENCE}) + 2)`,
    "j.key || '=' || j.value",
    `j.key || '=' || ${REFERENCE}`,
].join(", ");

/**
 * Facts of which a run may have several words: the table, called x, its column, which rows count, and the
 * form of a word that is shown, if it is not the column.
 */
export const SETS = {
    tag: { source: "run_tag AS x", word: "x.tag", counts: "1" },
    note: { source: "note AS x", word: "x.text", counts: "1" },
    artifact: { source: "artifact AS x", word: "x.name", counts: "x.blob IS NOT NULL" },
    data: {
        source:
            "run_environment AS x, json_each(x.data_references) AS j," +
            ` json_each(json_array(${DATA_WORDS})) AS w`,
        word: "w.value",
        counts: "length(x.data_references) > 2",
        shown: "j.key",
    },
};

/** The row id of a config key or metric; null if no run has it. */
export const findKey = (name) => value("SELECT id FROM config_key WHERE key = ?", [name]);
export const findMetric = (name) => value("SELECT id FROM metric_name WHERE name = ?", [name]);

const part = (sql, values = []) => ({ sql, values });
const ALWAYS = part("1");
const NEVER = part("0");
const negate = ({ sql, values }) => part(`NOT (${sql})`, values);

/** Joins tests with a word between them. */
function join(tests, word, neutral) {
    if (!tests.length) return neutral;
    return part(
        tests.map(({ sql }) => `(${sql})`).join(word),
        tests.flatMap(({ values }) => values),
    );
}

/** Makes the test of a tree of conditions, for a run r. */
export function compileTest(condition) {
    if (condition.and) return join(condition.and.map(compileTest), " AND ", ALWAYS);
    if (condition.or) return join(condition.or.map(compileTest), " OR ", NEVER);
    if (condition.not) return negate(compileTest(condition.not));
    return testComparison(condition);
}

function testComparison(one) {
    const { kind, name } = one.field;
    if (kind === "config") return testConfig(one);
    if (kind === "metric") return testMetric(one);
    if (kind === "attribute") return testAttribute(one);
    if (name in SETS) return testSet(one);
    return name === "status" ? testStatus(one) : testFact(one);
}

function testConfig(one) {
    const { field, operator, values } = one;
    if (["is null", "exists", "is comparable"].includes(operator)) {
        const valued = operator === "exists" ? "" : " AND v.type <> 'null'";
        const found =
            "EXISTS (SELECT 1 FROM config_value AS v WHERE v.run = r.id AND v.key IN (" +
            `SELECT id FROM config_key WHERE key = ? OR (key >= ? AND key < ?))${valued})`;
        const bound = [field.name, `${field.name}.`, `${field.name}/`];
        return part(operator === "is null" ? `NOT ${found}` : found, bound);
    }
    if (operator === "!=") return differs(one, testConfig);
    const key = findKey(field.name);
    if (key === null) return NEVER;
    const match = matchAny(operator, values, "list");
    const source = "SELECT 1 FROM config_value AS v WHERE v.run = r.id AND v.key = ?";
    return part(`EXISTS (${source} AND (${match.sql}))`, [key, ...match.values]);
}

function differs({ field, values }, test) {
    const equal = test({ field, operator: "=", values });
    const present = test({ field, operator: "is comparable", values: [] });
    return part(`${present.sql} AND NOT (${equal.sql})`, [...present.values, ...equal.values]);
}

function testAttribute(one) {
    const { field, operator, values } = one;
    const row = "SELECT 1 FROM run_attribute AS v WHERE v.run = r.id AND v.key = ?";
    if (operator === "exists") return part(`EXISTS (${row} AND v.type <> 'removed')`, [field.name]);
    if (operator === "is null" || operator === "is comparable") {
        // Null and NaN are in neither column, and a removed one is not.
        const found = `EXISTS (${row} AND (v.num IS NOT NULL OR v.text IS NOT NULL))`;
        return part(operator === "is null" ? `NOT ${found}` : found, [field.name]);
    }
    if (operator === "!=") return differs(one, testAttribute);
    const match = matchAny(operator, values, "json");
    return part(`EXISTS (${row} AND (${match.sql}))`, [field.name, ...match.values]);
}

function testMetric({ field, operator, values }) {
    const metric = findMetric(field.name);
    if (metric === null) return operator === "is null" ? ALWAYS : NEVER;
    const column = `+${metricValue(field.statistic)}`;
    const series = "SELECT 1 FROM metric_series AS s WHERE s.run = r.id AND s.metric = ?";
    if (operator === "exists") return part(`EXISTS (${series})`, [metric]);
    if (operator === "is null" || operator === "is comparable") {
        const found = `EXISTS (${series} AND ${column} IS NOT NULL)`;
        return part(operator === "is null" ? `NOT ${found}` : found, [metric]);
    }
    const match = matchValue(column, operator, values);
    return part(`EXISTS (${series} AND ${match.sql})`, [metric, ...match.values]);
}

function testSet({ field, operator, values }) {
    const { source, word, counts } = SETS[field.name];
    const some = `EXISTS (SELECT 1 FROM ${source} WHERE ${counts} AND x.run = r.id`;
    if (["is null", "exists", "is comparable"].includes(operator)) {
        return part(`${operator === "is null" ? "NOT " : ""}${some})`);
    }
    const match = matchValue(word, operator === "!=" ? "=" : operator, values);
    return part(`${operator === "!=" ? "NOT " : ""}${some} AND ${match.sql})`, match.values);
}

function testFact({ field, operator, values }) {
    const column = FACT_VALUES[field.name];
    if (operator === "is null") return part(`${column} IS NULL`);
    if (operator === "exists" || operator === "is comparable") return part(`${column} IS NOT NULL`);
    const match = matchValue(column, operator, values);
    return part(`(${match.sql}) IS TRUE`, match.values);
}

function testStatus({ operator, values }) {
    if (operator === "is null") return NEVER;
    if (operator === "exists" || operator === "is comparable") return ALWAYS;
    const plain = values.filter((word) => word !== PRUNED);
    const ways = [];
    if (plain.length < values.length) {
        ways.push(part(`r.status = 'completed' AND ${TRIAL_STATE} IS 'pruned'`));
    }
    if (plain.length) ways.push(matchValue("r.status", "in", plain));
    const found = join(ways, " OR ", NEVER);
    return operator === "!=" ? negate(found) : found;
}

/** SQLite has no booleans. */
const bindable = (given) => (typeof given === "boolean" ? Number(given) : given);

function matchValue(column, operator, wanted) {
    const values = wanted.map(bindable);
    if (operator === "in") return part(`${column} IN (${values.map(() => "?").join(", ")})`, values);
    if (operator === "like") return part(`${column} ${LIKE}`, values.map(patternOf));
    return part(`${column} ${operator === "!=" ? "<>" : operator} ?`, values);
}

function matchAny(operator, values, listType) {
    return join(
        values.map((one) => matchStored(operator === "in" ? "=" : operator, one, listType)),
        " OR ",
        NEVER,
    );
}

/**
 * Compares a stored value of a config or attribute with a value of a filter; other types never match. By the
 * plus sign SQLite looks the value up by its run, and never walks along all values of the key for each run.
 */
function matchStored(operator, wanted, listType) {
    if (typeof wanted === "boolean") return part("+v.text = ? AND v.type = 'bool'", [String(wanted)]);
    if (typeof wanted === "object") return part("+v.text = ? AND v.type = ?", [wanted.list, listType]);
    if (typeof wanted === "string") {
        const match = matchValue("+v.text", operator, [wanted]);
        return part(`${match.sql} AND v.type = 'text'`, match.values);
    }
    const isExact = typeof wanted === "number" && Math.abs(wanted) < SMALL;
    if (isExact) return matchValue("+v.num", operator, [wanted]);
    // `num` is rounded here, so the digits are compared too. SQLite compares an int with a float exactly.
    const near = matchValue("+v.num", { "<": "<=", ">": ">=" }[operator] ?? operator, [Number(wanted)]);
    const whole = matchValue(exact("v.num"), operator, [wanted]);
    return part(`${near.sql} AND ${whole.sql}`, [...near.values, ...whole.values]);
}

/** Makes the expression, of a run r, by which a field orders runs. */
export function compileOrder({ kind, name, statistic }) {
    if (kind === "metric") {
        const column = metricValue(statistic);
        const sql = `(SELECT ${column} FROM metric_series AS s WHERE s.run = r.id AND s.metric = ?)`;
        return part(sql, [findMetric(name)]);
    }
    // SQLite orders numbers before texts.
    const stored = exact("coalesce(v.num, v.text)");
    if (kind === "config") {
        const sql = `(SELECT ${stored} FROM config_value AS v WHERE v.run = r.id AND v.key = ?)`;
        return part(sql, [findKey(name)]);
    }
    if (kind === "attribute") {
        const sql = `(SELECT ${stored} FROM run_attribute AS v WHERE v.run = r.id AND v.key = ?)`;
        return part(sql, [name]);
    }
    if (name in SETS) {
        const { source, word, counts, shown = word } = SETS[name];
        return part(`(SELECT min(${shown}) FROM ${source} WHERE ${counts} AND x.run = r.id)`);
    }
    return part(FACT_VALUES[name]);
}

/** Whether a filter itself says which trials count; otherwise rankings leave pruned ones out. */
export function namesPruned(condition) {
    const inner = condition.and ?? condition.or ?? (condition.not ? [condition.not] : null);
    if (inner) return inner.some(namesPruned);
    const { kind, name } = condition.field;
    return (
        kind === "fact" &&
        (name === "trial.state" || (name === "status" && condition.values.includes(PRUNED)))
    );
}

/** Whether a fact is one word among others, as a tag is. */
export const isSet = (field) => field.kind === "fact" && FACTS.get(field.name) === "set";
