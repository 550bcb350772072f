/** Tells how the values of one field are spread over runs: quantiles, a histogram, the most frequent ones. */
import { compareText } from "./canonical.js";
import { isSet } from "./compiler.js";
import { readFields, readTypes } from "./fields.js";
import { parseField } from "./filter.js";
import { Problem } from "./problem.js";
import { selectRuns } from "./selection.js";
import { toSeconds } from "./times.js";
import { FACTS } from "./vocabulary.js";

const DECADES_FROM = 100; // the greatest number by the least, from which bins follow decades
// Which digits begin a bin in a decade, and which decades have bins; the finest that fits is taken.
const ROUND = [
    [[1, 2, 3, 4, 5, 6, 7, 8, 9], 1],
    [[1, 2, 5], 1],
    ...[1, 2, 3, 5, 10, 20, 50, 100].map((step) => [[1], step]),
];
const SHARES = ["0.0", "0.05", "0.25", "0.5", "0.75", "0.95", "1.0"];
const MAX_BINS = 1_000;
const WHOLE = new Set("count nan_count last_step first_step min_step max_step".split(" "));

function summarize(question) {
    const text = question.require("field");
    const bins = question.whole("bins", 20);
    if (bins < 1 || bins > MAX_BINS) throw new Problem("InvalidValueError", `bins must be 1 to ${MAX_BINS}`);
    const field = parseField(text);
    const runs = selectRuns(question);
    const [[, values]] = readFields(runs, [[text, field]]);
    const types = readTypes(runs, field);
    const held = values
        .map((one, place) => ({ one, type: types === null ? typeOf(one, field) : types[place] }))
        .filter(({ one }) => one !== null && !(Array.isArray(one) && isSet(field) && one.length === 0));
    const words = isSet(field)
        ? held.flatMap(({ one }) => one.map((word) => ({ one: word, type: "text" })))
        : held;
    const found = summarizeValues(words, bins, question.whole("top", 10));
    return { summary: { name: text, runs: runs.length, missing: runs.length - held.length, ...found } };
}

/** What the value of a fact or metric is called: text, int, float, bool or time. */
function typeOf(held, field) {
    if (typeof held === "boolean") return "bool";
    const kind = FACTS.get(field.name);
    if (typeof held === "string") return field.kind === "fact" && kind === "time" ? "time" : "text";
    const isWhole = field.kind === "metric" ? WHOLE.has(field.statistic) : kind === "number";
    return isWhole ? "int" : "float";
}

function summarizeValues(held, bins, most) {
    const types = new Map();
    const seen = new Map();
    const numbers = [];
    let nanCount = 0;
    let infiniteCount = 0;
    for (const { one, type } of held) {
        types.set(type, (types.get(type) ?? 0) + 1);
        if (["int", "float", "time"].includes(type)) {
            const number = type === "time" ? toSeconds(one.replace("T", " ").replace("Z", "")) : Number(one);
            if (Number.isNaN(number)) {
                nanCount += 1;
                continue; // NaN is no value to be frequent.
            }
            if (Number.isFinite(number)) numbers.push(number);
            else infiniteCount += 1;
        }
        const key = `${type}:${type === "list" ? JSON.stringify(one) : one}`;
        const entry = seen.get(key) ?? { one, type, count: 0 };
        entry.count += 1;
        seen.set(key, entry);
    }
    numbers.sort((a, b) => a - b);
    const edges = cutRange(numbers, bins);
    const frequent = [...seen.values()].sort(byCount).slice(0, most);
    return {
        types: Object.fromEntries([...types].sort(([a], [b]) => compareText(a, b))),
        nan_count: nanCount,
        infinite_count: infiniteCount,
        mean: numbers.length ? numbers.reduce((sum, one) => sum + one / numbers.length, 0) : null,
        quantiles: Object.fromEntries(
            numbers.length ? SHARES.map((one) => [one, quantile(numbers, Number(one))]) : [],
        ),
        edges,
        counts: countBins(numbers, edges),
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
    const decades = first > 0 && last / first >= DECADES_FROM ? cutDecades(first, last, bins) : null;
    if (decades) return decades;
    const edges = Array.from({ length: bins + 1 }, (_, place) =>
        Math.min(Math.max(mix(first, last, place / bins), first), last),
    );
    return [...new Set(edges)].sort((a, b) => a - b);
}

/** Edges at round numbers, from `first` or below to `last` or above; null if those are too many. */
function cutDecades(first, last, bins) {
    const from = Math.floor(Math.log10(first)) - 1;
    const decades = Array.from({ length: Math.floor(Math.log10(last)) + 2 - from }, (_, place) => from + place);
    for (const [digits, step] of ROUND) {
        const rounds = decades
            .filter((decade) => decade % step === 0)
            .flatMap((decade) => digits.map((digit) => Number(`${digit}e${decade}`)));
        const inner = rounds.filter((edge) => first < edge && edge < last);
        const below = rounds.findLast((edge) => edge > 0 && edge <= first) ?? first;
        const above = rounds.find((edge) => edge >= last && Number.isFinite(edge)) ?? last;
        if (inner.length < bins) return [below, ...inner, above];
    }
    return null;
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
