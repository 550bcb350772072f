/**
 * Tells how the values of one field are spread over runs: quantiles, a histogram, the most frequent ones. Where
 * runs share values, SQLite counts them.
 */
import { compareText } from "./canonical.js";
import { FACT_VALUES, SETS, findKey, isSet } from "./compiler.js";
import { listOf, rows, value } from "./database.js";
import { factValue, readFields, readTypes } from "./fields.js";
import { parseField } from "./filter.js";
import { OF_LIST } from "./lookup.js";
import { Problem } from "./problem.js";
import { selectRuns } from "./selection.js";
import { toSeconds } from "./times.js";
import { leafValue } from "./values.js";
import { FACTS } from "./vocabulary.js";

const SHARES = ["0.0", "0.05", "0.25", "0.5", "0.75", "0.95", "1.0"];
const MAX_BINS = 1_000;
const WHOLE = new Set("count nan_count last_step first_step min_step max_step".split(" "));
const DECADES_FROM = 100; // The greatest number by the least, from which bins follow decades.
// Which digits begin a bin in a decade, and which decades have bins; the finest that fits is taken.
const ROUND = [
    [[1, 2, 3, 4, 5, 6, 7, 8, 9], 1],
    [[1, 2, 5], 1],
    ...[1, 2, 3, 5, 10, 20, 50, 100].map((step) => [[1], step]),
];
const COUNTED = ["text", "status", "state", "bool"];

function summarize(question) {
    const text = question.require("field");
    const bins = question.whole("bins", 20);
    if (bins < 1 || bins > MAX_BINS) throw new Problem("InvalidValueError", `bins must be 1 to ${MAX_BINS}`);
    const field = parseField(text);
    const runs = selectRuns(question);
    const { missing, counts } = countValues(field, runs);
    const found = summarizeCounts(counts, bins, question.whole("top", 10));
    return { summary: { name: text, runs: runs.length, missing, ...found } };
}

/** Counts the values that runs have: {one, type, count}. `missing` runs have none. */
function countValues(field, runs) {
    const isAll = runs.length === value("SELECT count(*) FROM run");
    const within = (column) =>
        isAll ? { test: "1", asked: [] } : { test: `${column} ${OF_LIST}`, asked: [listOf(runs)] };
    if (isSet(field)) return countWords(SETS[field.name], runs, within("x.run"));
    if (field.kind === "config") return countLeaves(findKey(field.name), runs, within("run"));
    if (field.kind === "fact" && COUNTED.includes(FACTS.get(field.name))) {
        return countFacts(field.name, runs, within("r.id"));
    }
    const types = readTypes(runs, field);
    const [[, values]] = readFields(runs, [["value", field]]);
    const held = values.map((one, place) => ({
        one,
        type: types ? types[place] : typeOf(one, field),
        count: 1,
    }));
    const counts = held.filter(({ one }) => one !== null);
    return { missing: runs.length - counts.length, counts };
}

function countWords({ source, word, counts, shown = word }, runs, { test, asked }) {
    const from = `FROM ${source} WHERE ${counts} AND ${test}`;
    const having = value(`SELECT count(DISTINCT x.run) ${from}`, asked);
    const found = rows(`SELECT ${shown} AS word, count(DISTINCT x.run) ${from} GROUP BY word`, asked);
    return {
        missing: runs.length - having,
        counts: found.map(([one, count]) => ({ one, type: "text", count })),
    };
}

function countLeaves(key, runs, { test, asked }) {
    const sql = `SELECT type, num, text, count(*) FROM config_value
        WHERE key = ? AND type <> 'null' AND ${test} GROUP BY type, num, text`;
    const counts = rows(sql, [key, ...asked]).map(([type, num, text, count]) => ({
        one: leafValue(type, num, text),
        type: type === "map" ? "list" : type,
        count,
    }));
    return { missing: runs.length - addUp(counts), counts };
}

function countFacts(name, runs, { test, asked }) {
    const sql = `SELECT ${FACT_VALUES[name]} AS value, count(*) FROM run AS r WHERE ${test} GROUP BY value`;
    const held = rows(sql, asked).filter(([one]) => one !== null);
    const type = FACTS.get(name) === "bool" ? "bool" : "text";
    const counts = held.map(([one, count]) => ({ one: factValue(name, one), type, count }));
    return { missing: runs.length - addUp(counts), counts };
}

const addUp = (counts) => counts.reduce((total, { count }) => total + count, 0);

/** What the value of a fact or metric is called that is not counted in SQL: int, float or time. */
function typeOf(held, field) {
    const kind = field.kind === "metric" ? "metric" : FACTS.get(field.name);
    if (kind === "time") return "time";
    return (kind === "metric" ? WHOLE.has(field.statistic) : kind === "number") ? "int" : "float";
}

function summarizeCounts(counts, bins, most) {
    const types = new Map();
    const seen = new Map();
    const numbers = [];
    let nanCount = 0;
    let infiniteCount = 0;
    for (const { one, type, count } of counts) {
        types.set(type, (types.get(type) ?? 0) + count);
        if (["int", "float", "time"].includes(type)) {
            const number = type === "time" ? toSeconds(one.replace("T", " ").replace("Z", "")) : Number(one);
            if (Number.isNaN(number)) {
                nanCount += count;
                continue; // NaN is no value to be frequent.
            }
            if (Number.isFinite(number)) for (let n = 0; n < count; n += 1) numbers.push(number);
            else infiniteCount += count;
        }
        const key = `${type}:${type === "list" ? JSON.stringify(one) : one}`;
        const entry = seen.get(key) ?? { one, type, count: 0 };
        entry.count += count;
        seen.set(key, entry);
    }
    const sorted = Float64Array.from(numbers).sort();
    const edges = cutRange(sorted, bins);
    const frequent = [...seen.values()].sort(byCount).slice(0, most);
    return {
        types: Object.fromEntries([...types].sort(([a], [b]) => compareText(a, b))),
        nan_count: nanCount,
        infinite_count: infiniteCount,
        mean: sorted.length ? sorted.reduce((sum, one) => sum + one / sorted.length, 0) : null,
        quantiles: Object.fromEntries(
            sorted.length ? SHARES.map((one) => [one, quantile(sorted, Number(one))]) : [],
        ),
        edges,
        counts: countBins(sorted, edges),
        distinct: seen.size,
        top: frequent.map(({ one, count }) => [one, count]),
    };
}

function byCount(a, b) {
    if (a.count !== b.count) return b.count - a.count;
    if (a.type !== b.type) return compareText(a.type, b.type);
    if (typeof a.one === "string") return compareText(a.one, b.one);
    if (typeof a.one === "object") return compareText(JSON.stringify(a.one), JSON.stringify(b.one));
    return a.one < b.one ? -1 : Number(a.one > b.one);
}

const mix = (one, other, share) => (one === other ? one : one * (1 - share) + other * share);

function quantile(ordered, share) {
    const place = share * (ordered.length - 1);
    const low = Math.floor(place);
    return mix(ordered[low], ordered[Math.min(low + 1, ordered.length - 1)], place - low);
}

/** The edges of bins: of each decade, or of equal width; one bin if all numbers are equal. */
function cutRange(ordered, bins) {
    if (!ordered.length) return [];
    const [first, last] = [ordered[0], ordered.at(-1)];
    if (first === last) return [first, last];
    const decades = first > 0 && last / first >= DECADES_FROM ? cutDecades(first, last, bins) : [];
    if (decades.length) return decades;
    const edges = Array.from({ length: bins + 1 }, (_, place) =>
        Math.min(Math.max(mix(first, last, place / bins), first), last),
    );
    return [...new Set(edges)].sort((a, b) => a - b);
}

/** Edges at round numbers, from the first number or below to the last or above; none if they are too many. */
function cutDecades(first, last, bins) {
    const [low, high] = [Math.floor(Math.log10(first)) - 1, Math.floor(Math.log10(last)) + 1];
    for (const [digits, step] of ROUND) {
        const rounds = [];
        for (let decade = low; decade <= high; decade += 1) {
            if (decade % step === 0) rounds.push(...digits.map((digit) => Number(`${digit}e${decade}`)));
        }
        const inner = rounds.filter((edge) => first < edge && edge < last);
        const below = rounds.filter((edge) => edge > 0 && edge <= first).at(-1) ?? first;
        const above = rounds.find((edge) => edge >= last && Number.isFinite(edge)) ?? last;
        if (inner.length < bins) return [below, ...inner, above];
    }
    return [];
}

function countBins(ordered, edges) {
    if (!edges.length) return [];
    const places = edges.slice(0, -1).map((edge) => lowerBound(ordered, edge));
    return places.map((begin, place) => (places[place + 1] ?? ordered.length) - begin);
}

/** The place of the first number that is not below another. */
function lowerBound(ordered, wanted) {
    let [low, high] = [0, ordered.length];
    while (low < high) {
        const middle = (low + high) >> 1;
        if (ordered[middle] < wanted) low = middle + 1;
        else high = middle;
    }
    return low;
}

export const HANDLERS = [["/api/summary", summarize]];
