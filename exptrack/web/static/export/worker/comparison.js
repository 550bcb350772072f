/** Compares runs side by side, groups them by config keys, and rates how much each key says about a metric. */
import { compareText } from "./canonical.js";
import { compileTest, findKey, findMetric, metricValue, namesPruned } from "./compiler.js";
import { listOf, records, rows } from "./database.js";
import { readAllLeaves, readLeaves } from "./fields.js";
import { parseFilter } from "./filter.js";
import { IS_SHOWN, OF_LIST, SERIES_COLUMNS, resolveRun, summarizeRuns, summarizeSeries } from "./lookup.js";
import { Problem } from "./problem.js";
import { leafValue, metricNumber } from "./values.js";
import { STATISTICS } from "./vocabulary.js";

const LEAST_RUNS = 3; // Two points always lie on a line.
const MOST_GROUPS = 8; // of the numbers of one key
const LEAST_IN_GROUP = 3;
const SAMPLE = 2_000; // Runs tell as much as 100,000 do.

/** Compares every config key that one of the runs has; values are compared with their types. */
export function compareConfigs(runs) {
    const sql = `SELECT v.run, k.key, s.kind, s.name, s.line FROM config_value AS v
        JOIN config_key AS k ON k.id = v.key JOIN config_source AS s ON s.id = v.source WHERE v.run ${OF_LIST}`;
    const keyOf = (run, key) => `${run} ${key}`;
    const sources = new Map(
        rows(sql, [listOf(runs)]).map(([run, key, kind, name, line]) => [
            keyOf(run, key),
            { kind, name, line },
        ]),
    );
    return [...readAllLeaves(runs)].map(([key, stored]) => {
        const held = runs.map((run) => stored.get(run) ?? null);
        return {
            key,
            values: held.map((leaf) => (leaf === null ? null : leafValue(...leaf))),
            present: held.map((leaf) => leaf !== null),
            sources: runs.map((run) => sources.get(keyOf(run, key)) ?? null),
            differs: new Set(held.map(identify)).size > 1,
        };
    });
}

const identify = (leaf) => (leaf === null ? "" : leaf.join("\u0000"));

/** Lists every metric that one of the runs logged, with its summary in each run. */
export function compareMetrics(runs) {
    const sql = `SELECT s.run, ${SERIES_COLUMNS} FROM metric_series AS s
        JOIN metric_name AS n ON n.id = s.metric
        WHERE s.run ${OF_LIST} AND ${IS_SHOWN}`;
    const found = new Map();
    for (const row of records(sql, [listOf(runs)])) {
        if (!found.has(row.name)) found.set(row.name, new Map());
        found.get(row.name).set(row.run, summarizeSeries(row));
    }
    const names = [...found.keys()].sort(compareText);
    return names.map((name) => ({ name, summaries: runs.map((run) => found.get(name).get(run) ?? null) }));
}

function compareRuns(question) {
    const found = question.texts("runs").map(resolveRun);
    const chosen = [...new Map(found.map((row) => [row.id, row])).values()];
    if (!chosen.length) {
        throw new Problem("InvalidValueError", "there is no run to compare; give at least one run id");
    }
    const runs = chosen.map((row) => row.id);
    const isAll = question.flag("all");
    return {
        comparison: {
            runs: summarizeRuns(chosen),
            config: compareConfigs(runs).filter((key) => key.differs || isAll),
            metrics: compareMetrics(runs),
        },
    };
}

// A metric of many runs

/** Returns a value of a metric for each completed run that logged it and satisfies the filter. */
function readMetric(question) {
    const name = question.require("metric");
    const statistic = question.text("by", "last");
    if (!STATISTICS.includes(statistic)) {
        throw new Problem(
            "InvalidValueError",
            `a statistic is one of ${STATISTICS.join(", ")}, not '${statistic}'`,
        );
    }
    const metric = findMetric(name);
    if (metric === null) throw new Problem("MetricNotFoundError", `no run has logged the metric '${name}'`);
    const condition = parseFilter(question.text("where"));
    const test = compileTest(condition);
    const pruned = compileTest(parseFilter("status = pruned"));
    const kept = namesPruned(condition)
        ? { sql: "1", values: [] }
        : { sql: `NOT (${pruned.sql})`, values: pruned.values };
    const sql = `SELECT m.run, m.value FROM
        (SELECT run, ${metricValue(statistic)} AS value FROM metric_series
            WHERE metric = ? AND completed = 1) AS m
        JOIN run AS r ON r.id = m.run
        WHERE r.deleted_at IS NULL AND (${test.sql}) AND (${kept.sql}) ORDER BY m.run`;
    const found = rows(sql, [metric, ...test.values, ...kept.values]);
    return new Map(found.map(([run, stored]) => [run, metricNumber(stored)]));
}

/** Returns why each run that logged the metric and satisfies the filter is left out of the groups. */
function findLeftOut(question) {
    const condition = parseFilter(question.text("where"));
    const test = compileTest(condition);
    const isPruned = namesPruned(condition)
        ? { sql: "0", values: [] }
        : compileTest(parseFilter("status = pruned"));
    const sql = `SELECT r.id, CASE WHEN ${isPruned.sql} THEN 'pruned' ELSE r.status END
        FROM metric_series AS m JOIN run AS r ON r.id = m.run
        WHERE m.metric = ? AND r.deleted_at IS NULL AND (${test.sql})
        AND (r.status <> 'completed' OR (${isPruned.sql}))`;
    const { values } = isPruned;
    const metric = findMetric(question.require("metric"));
    return new Map(rows(sql, [...values, metric, ...test.values, ...values]));
}

function rankStored(leaf) {
    if (leaf === null) return [4, 0, "", ""];
    const [kind, num, text] = leaf;
    const rank = { int: 0, float: 0, bool: 1, text: 2 }[kind] ?? 3;
    return [rank, numberOf(leaf) ?? num ?? 0, text ?? "", kind];
}

const numberOf = ([kind, num, text]) => (kind === "int" && text !== null ? Number(text) : num);

function compareRanks(one, other) {
    for (let place = 0; place < one.length; place += 1) {
        const [a, b] = [one[place], other[place]];
        if (a === b) continue;
        if (typeof a === "string") return compareText(a, b);
        return a < b ? -1 : 1;
    }
    return 0;
}

function groupRuns(question) {
    const keys = [...new Set(question.texts("keys"))];
    if (!keys.length) throw new Problem("InvalidValueError", "no config key is given; name at least one");
    const unknown = keys.find((key) => findKey(key) === null);
    if (unknown !== undefined) throw new Problem("InvalidValueError", `no run has a config key '${unknown}'`);
    const values = readMetric(question);
    const leftOut = findLeftOut(question);
    const asked = listOf([...values.keys(), ...leftOut.keys()]);
    const leaves = keys.map((key) => readLeaves(asked, key));
    const ids = new Map(rows(`SELECT id, run_id FROM run WHERE id ${OF_LIST}`, [asked]));
    const groups = new Map();
    for (const run of values.keys()) {
        const held = leaves.map((stored) => stored.get(run) ?? null);
        const name = JSON.stringify(held);
        if (!groups.has(name)) groups.set(name, { held, ranks: held.flatMap(rankStored), runs: [] });
        groups.get(name).runs.push(run);
    }
    const lost = new Map();
    for (const [run, reason] of leftOut) {
        const name = JSON.stringify(leaves.map((stored) => stored.get(run) ?? null));
        if (!lost.has(name)) {
            lost.set(name, { pruned: 0, failed: 0, interrupted: 0, running: 0, not_finite: 0 });
        }
        lost.get(name)[reason] += 1;
    }
    const none = { pruned: 0, failed: 0, interrupted: 0, running: 0, not_finite: 0 };
    const sorted = [...groups.values()].sort((one, other) => compareRanks(one.ranks, other.ranks));
    return {
        groups: sorted.map(({ held, runs }) => ({
            config: Object.fromEntries(
                keys.flatMap((key, place) =>
                    held[place] === null ? [] : [[key, leafValue(...held[place])]],
                ),
            ),
            run_ids: runs.map((run) => ids.get(run)),
            ...describeSpread(runs.map((run) => values.get(run))),
            left_out: lost.get(JSON.stringify(held)) ?? none,
        })),
    };
}

function describeSpread(values) {
    const finite = values.filter(Number.isFinite);
    const nanCount = values.filter(Number.isNaN).length;
    const mean = finite.reduce((sum, one) => sum + one / finite.length, 0);
    const square = finite.reduce((sum, one) => sum + (one - mean) ** 2, 0);
    return {
        count: values.length,
        finite: finite.length,
        nan_count: nanCount,
        infinite_count: values.length - finite.length - nanCount,
        mean: finite.length ? mean : null,
        std: finite.length > 1 ? Math.sqrt(square / (finite.length - 1)) : null,
        min: finite.length ? finite.reduce((least, one) => Math.min(least, one)) : null,
        max: finite.length ? finite.reduce((most, one) => Math.max(most, one)) : null,
    };
}

// Importance

function rankKeys(question) {
    const method = question.text("method", "groups");
    if (method !== "spearman" && method !== "groups") {
        throw new Problem(
            "NotAvailable",
            "a forest needs Python; choose ranks, or open the archive by 'exptrack ui'",
        );
    }
    const finite = new Map([...readMetric(question)].filter(([, held]) => Number.isFinite(held)));
    const most = question.whole("sample", SAMPLE);
    if (finite.size < LEAST_RUNS) {
        const name = question.require("metric");
        const needs = `${method} needs ${LEAST_RUNS} completed runs with a finite value of '${name}'`;
        throw new Problem("InvalidValueError", `${needs}; there are ${finite.size}`);
    }
    if (most > 0 && finite.size > most) thin(finite, most);
    const found = [];
    const ranks = new Map(zip([...finite.keys()], rankValues([...finite.values()])));
    for (const [key, stored] of readAllLeaves([...finite.keys()])) {
        const rate = method === "groups" ? rateByGroups : rateKey;
        const one = rate(key, stored, finite, ranks);
        if (one) found.push(one);
    }
    found.sort((a, b) => b.importance - a.importance || compareText(a.key, b.key));
    return { importance: found };
}

/** Keeps so many of the runs, at equal distances. */
function thin(finite, most) {
    const step = finite.size / most;
    const kept = new Set(Array.from({ length: most }, (_, place) => Math.floor(place * step)));
    for (const [place, run] of [...finite.keys()].entries()) if (!kept.has(place)) finite.delete(run);
}

const zip = (one, other) => one.map((held, place) => [held, other[place]]);

function rateKey(key, stored, finite, ranks) {
    const different = new Set([...stored.values()].map(identify)).size + Number(stored.size < finite.size);
    if (different < 2) return null;
    const numbers = [...stored].map(([run, leaf]) => [run, numberOf(leaf)]).filter(([, one]) => one !== null);
    const kinds = new Set([...stored.values()].map(([kind]) => kind));
    const isNumeric =
        [...kinds].every((kind) => ["int", "float", "null"].includes(kind)) && numbers.length > 0;
    const values = new Set(numbers.map(([, one]) => one)).size;
    if (isNumeric && values > 1 && numbers.length >= LEAST_RUNS) {
        const ofMetric = rankValues(numbers.map(([run]) => finite.get(run)));
        const rho = correlate(rankValues(numbers.map(([, one]) => one)), ofMetric);
        return {
            key,
            importance: rho * rho,
            method: "spearman",
            correlation: rho,
            runs: numbers.length,
            values,
        };
    }
    const groups = new Map();
    for (const [run, rank] of ranks) {
        const name = identify(stored.get(run) ?? null);
        if (!groups.has(name)) groups.set(name, []);
        groups.get(name).push(rank);
    }
    // A key with a different value in each run explains nothing.
    if (groups.size >= finite.size) return null;
    const share = etaSquared([...groups.values()]);
    return {
        key,
        importance: share,
        method: "eta_squared",
        correlation: null,
        runs: finite.size,
        values: groups.size,
    };
}

function rateByGroups(key, stored, finite, ranks) {
    const held = new Map([...finite.keys()].map((run) => [run, stored.get(run) ?? null]));
    const values = new Set([...held.values()].map(identify)).size;
    const kinds = [...stored.values()].map(([kind]) => kind);
    const isNumeric =
        kinds.every((kind) => ["int", "float", "null"].includes(kind)) &&
        kinds.some((kind) => kind !== "null");
    const groupOf = isNumeric
        ? cutNumbers(held)
        : new Map([...held].map(([run, leaf]) => [run, identify(leaf)]));
    const groups = new Map();
    for (const [run, rank] of ranks) {
        const name = groupOf.get(run);
        if (!groups.has(name)) groups.set(name, []);
        groups.get(name).push(rank);
    }
    const runs = finite.size;
    if (groups.size < 2 || groups.size >= runs) return null;
    const left = ((1 - etaSquared([...groups.values()])) * (runs - 1)) / (runs - groups.size);
    return { key, importance: Math.max(0, 1 - left), method: "groups", correlation: null, runs, values };
}

/** The group of each run: about as many runs in each, equal numbers together, null for no number. */
function cutNumbers(held) {
    const numbers = new Map([...held].map(([run, leaf]) => [run, leaf === null ? null : numberOf(leaf)]));
    const counts = new Map();
    for (const one of numbers.values()) if (one !== null) counts.set(one, (counts.get(one) ?? 0) + 1);
    const most = Math.min(MOST_GROUPS, Math.max(2, Math.floor(held.size / LEAST_IN_GROUP)));
    // A grid of a few values with a few seeds each: merged values would hide what the key explains.
    const isGrid = counts.size <= MOST_GROUPS && [...counts.values()].every((count) => count > 1);
    if (counts.size <= most || isGrid) return numbers;
    const size = sum([...counts.values()]) / most;
    const places = new Map();
    let below = 0;
    for (const one of [...counts.keys()].sort((a, b) => a - b)) {
        places.set(one, Math.floor((below + counts.get(one) / 2) / size));
        below += counts.get(one);
    }
    return new Map([...numbers].map(([run, one]) => [run, one === null ? null : places.get(one)]));
}

/** Ranks from 1; equal values share their mean rank. */
function rankValues(values) {
    const counts = new Map();
    for (const one of values) counts.set(one, (counts.get(one) ?? 0) + 1);
    const ranks = new Map();
    let below = 0;
    for (const one of [...counts.keys()].sort((a, b) => a - b)) {
        ranks.set(one, below + (counts.get(one) + 1) / 2);
        below += counts.get(one);
    }
    return values.map((one) => ranks.get(one));
}

const sum = (values) => values.reduce((total, one) => total + one, 0);
const clamp = (number, low) => Math.max(low, Math.min(1, number));

function correlate(xs, ys) {
    const [meanX, meanY] = [sum(xs) / xs.length, sum(ys) / ys.length];
    const product = sum(xs.map((x, place) => (x - meanX) * (ys[place] - meanY)));
    const scale =
        Math.sqrt(sum(xs.map((x) => (x - meanX) ** 2))) * Math.sqrt(sum(ys.map((y) => (y - meanY) ** 2)));
    return scale ? clamp(product / scale, -1) : 0;
}

function etaSquared(groups) {
    const all = groups.flat();
    const mean = sum(all) / all.length;
    const whole = sum(all.map((one) => (one - mean) ** 2));
    const between = sum(groups.map((group) => group.length * (sum(group) / group.length - mean) ** 2));
    return whole ? clamp(between / whole, 0) : 0;
}

export const HANDLERS = [
    ["/api/compare", compareRuns],
    ["/api/groups", groupRuns],
    ["/api/importance", rankKeys],
];
