/** The fields that can be drawn, and what the values of one are: numbers, times or categories. */
import { labelOf, varies } from "../../runs/columns.js";
import { literal } from "../../runs/conditions.js";
import { isSpecial, number, numeric, time, value } from "../../format.js";

export const FACTS = [
    "started",
    "duration",
    "status",
    "group",
    "study",
    "trial.number",
    "script",
    "host",
    "branch",
];
const TIMES = new Set(["started", "ended", "heartbeat"]);
const STATISTICS = ["min", "max", "mean", "first"];
const MOST_NAMES = 150;
const MOST_AXES = 7;
const LOG_SPAN = 100;
const LESS_IS_BETTER = /loss|err|perplexity|mse|mae|rmse|nll|latency|time|bytes|cost/i;

/** The choices of a field, in groups: [value, text] pairs. */
export function fieldOptions(fields) {
    const of = (kind) => fields.filter((info) => info.kind === kind).map(({ name }) => [name, labelOf(name)]);
    const metrics = of("metric");
    const statistics =
        metrics.length <= MOST_NAMES
            ? metrics.flatMap(([name, text]) =>
                  STATISTICS.map((one) => [`${name}.${one}`, `${text} (${one})`]),
              )
            : [];
    return [
        { label: "Metrics, last values", options: metrics },
        { label: "Config", options: of("config") },
        { label: "Attributes", options: of("attribute") },
        { label: "Facts", options: FACTS.map((name) => [name, labelOf(name)]) },
        { label: "Metrics, other values", options: statistics },
    ].filter(({ options }) => options.length > 0);
}

const runsOf = (info) => info.numbers + info.others;
const isHeldOut = ({ name }) => /^metrics\."?(val|valid|eval|test|dev)/i.test(name);

const some = (fields, kind, total) =>
    fields
        .filter((info) => info.kind === kind && runsOf(info) > 0 && varies(info, total))
        .toSorted((one, other) => runsOf(other) - runsOf(one));

/** The metric that tells most, if the URL names none: on held-out data, and of most runs. */
export function chooseMetric(fields, total) {
    const metrics = some(fields, "metric", total)
        .filter(({ name }) => !name.startsWith("metrics.system"))
        .toSorted((one, other) => isHeldOut(other) - isHeldOut(one) || runsOf(other) - runsOf(one));
    return metrics[0]?.name ?? null;
}

/**
 * What is drawn if the URL names nothing: a metric against the keys that most of its runs differ in. `fields`
 * are those of the runs that have the metric; keys of other runs would leave the charts empty.
 */
export function choose(fields, total, target) {
    const keys = some(fields, "config", total).filter(({ name }) => !/(^|\.)seed$/.test(name));
    const spans = ({ least, greatest }) => least > 0 && greatest / least >= LOG_SPAN;
    // What was tried over decades, as a learning rate, tells more than what was tried over a few values.
    const telling = keys.toSorted((one, other) => spans(other) - spans(one));
    const numbers = telling.filter((info) => info.numbers > 0 && info.least !== info.greatest);
    const axes = [...telling.slice(0, MOST_AXES - 1).map(({ name }) => name), ...(target ? [target] : [])];
    return { target, x: numbers[0]?.name ?? "started", y: target ?? "duration", axes };
}

/** Which way a metric is better, guessed from its name. */
export const guessBetter = (field) => (LESS_IS_BETTER.test(field ?? "") ? "min" : "max");

const nameOf = (one) => (typeof one === "string" ? value(one) : JSON.stringify(one));

/** Describes a field as an axis by the values that rows have there: {id, label, kind, log, categories, …}. */
export function axisOf(field, rows, log = null) {
    const axis = { id: field, label: labelOf(field), kind: "number", log: false, originals: null };
    if (TIMES.has(field)) return { ...axis, kind: "time" };
    let [least, greatest] = [Infinity, -Infinity];
    let isNumber = true;
    for (const row of rows) {
        const one = numeric(row[field] ?? null);
        if (one === null) continue;
        if (typeof one !== "number") {
            isNumber = false;
            break;
        }
        if (!Number.isFinite(one)) continue;
        least = Math.min(least, one);
        greatest = Math.max(greatest, one);
    }
    if (isNumber)
        return { ...axis, log: least > 0 && (log ?? greatest / least >= LOG_SPAN), canLog: least > 0 };
    const originals = new Map();
    for (const row of rows) {
        const one = row[field];
        if (one !== null && one !== undefined) originals.set(nameOf(one), one);
    }
    const categories = [...originals.keys()].toSorted((one, other) => (one < other ? -1 : 1));
    return { ...axis, kind: "category", categories, originals };
}

/** The place of a row on an axis; null if it has no finite value there. */
export function placeOn(axis, row) {
    const one = row[axis.id];
    if (one === null || one === undefined) return null;
    if (axis.kind === "category") return nameOf(one);
    if (axis.kind === "time") return Date.parse(one);
    const x = numeric(one);
    return isSpecial(x) ? null : x;
}

/** How a brush on this axis is written in the filter language. */
export function literalOn(axis) {
    if (axis.kind === "time") return (x) => `"${new Date(x).toISOString()}"`;
    return literal;
}

/** How a place on this axis is shown. */
export const writerOf = (axis) => (axis?.kind === "time" ? (x) => time(new Date(x).toISOString()) : number);
