/** The columns of the runs table: which ones there are, how they are called, and how their cells look. */
import { h } from "../vendor/ui.js";
import { drawStatus } from "../components/status.js";
import { duration, exact, isSpecial, number, time, utc, value, visible } from "../format.js";
import { drawName, drawNotes, drawTags, textOfNotes } from "./edit.js";

const FACTS = {
    name: {
        label: "Name",
        width: 200,
        draw: drawName,
        tip: (row) => row.run_id,
        needs: ["run_id", "name"],
    },
    run_id: { label: "Id", width: 150, draw: (row) => h("code", null, row.run_id) },
    status: {
        label: "Status",
        width: 120,
        needs: ["status", "reason"],
        draw: (row) => drawStatus(row),
        tip: (row) => tipOf(row.reason),
    },
    tag: { label: "Tags", width: 170, draw: drawTags },
    note: { label: "Notes", width: 220, draw: drawNotes, tip: textOfNotes },
    started: {
        label: "Started",
        width: 140,
        draw: (row) => time(row.started),
        tip: (row) => utc(row.started),
    },
    ended: { label: "Ended", width: 140, draw: (row) => time(row.ended), tip: (row) => utc(row.ended) },
    heartbeat: {
        label: "Heartbeat",
        width: 140,
        draw: (row) => time(row.heartbeat),
        tip: (row) => utc(row.heartbeat),
    },
    duration: { label: "Duration", width: 104, number: true, draw: (row) => duration(row.duration) },
    group: { label: "Group", width: 130 },
    study: { label: "Study", width: 130 },
    "trial.number": { label: "Trial", width: 72, number: true },
    "trial.state": { label: "Trial state", width: 104 },
    script: { label: "Script", width: 160 },
    host: { label: "Host", width: 120 },
    branch: { label: "Branch", width: 120 },
    commit: {
        label: "Commit",
        width: 110,
        draw: (row) => h("code", null, row.commit?.slice(0, 9)),
        tip: (row) => row.commit,
    },
    dirty: { label: "Dirty", width: 72 },
    python: { label: "Python", width: 80 },
    reason: { label: "Reason", width: 220 },
    parent: { label: "Parent", width: 150 },
    external_id: { label: "External id", width: 150 },
    artifact: { label: "Artifacts", width: 200 },
    data: { label: "Data", width: 160 },
    has_nan: { label: "Has NaN", width: 80 },
    family: { label: "Family", width: 110 },
    config_hash: { label: "Config hash", width: 110 },
    fingerprint: { label: "Fingerprint", width: 110 },
};

/** The facts that a table can show, by their names in the filter language. */
export const FACT_NAMES = Object.keys(FACTS);

const FIRST = ["name", "status", "started", "duration", "tag"];
const MOST_METRICS = 5;
const MOST_KEYS = 8;
const STATISTIC = /\.(last|min|max|mean|first|count|nan_count|first_step|last_step|min_step|max_step)$/;

/** What stands under the pointer: the value in full. */
export function tipOf(x) {
    if (x === null || x === undefined) return null;
    return typeof x === "number" ? exact(x) : value(x);
}

/** Draws any value; NaN and the infinities stand out. */
export function drawValue(x) {
    if (x === null || x === undefined) return null;
    if (isSpecial(x)) return h("span", { class: "special" }, number(x));
    return typeof x === "number" ? number(x) : h("bdi", { class: "clip" }, value(x));
}

/** Whether runs differ in a field, as far as its extremes and counts tell. */
export function varies(info, total) {
    if (info.numbers > 0 && (info.least !== info.greatest || info.others > 0)) return true;
    return info.numbers + info.others < total || (info.others > 0 && (info.distinct ?? 2) > 1);
}

const isText = (info) => info.others > 0 && info.numbers === 0;

/** How a column is called: without the part that says where the value comes from. */
export function labelOf(name) {
    if (name in FACTS) return FACTS[name].label;
    return visible(
        name
            .replace(/^(config|metrics|attr)\./, "")
            .replace(/^"(.*)"$/, "$1")
            .replace(/\.last$/, ""),
    );
}

/** The field of a column as the server names it in /api/fields: without the statistic. */
export const baseOf = (name) => (name.startsWith("metrics.") ? name.replace(STATISTIC, "") : name);

/** The columns that are shown if the person chose none: facts, then metrics and config keys that vary. */
export function defaultColumns(fields, total) {
    if (!fields) return FIRST;
    const metrics = metricsOf(fields, total);
    const keys = fields
        .filter((info) => info.kind === "config" && varies(info, total))
        .sort((one, other) => runsOf(other) - runsOf(one));
    return [...FIRST, ...names(metrics.slice(0, MOST_METRICS)), ...names(keys.slice(0, MOST_KEYS))];
}

/** The metrics in which runs differ, those that tell most first. */
function metricsOf(fields, total) {
    const isShown = (info) =>
        info.kind === "metric" && varies(info, total) && !info.name.startsWith("metrics.system");
    return fields
        .filter(isShown)
        .sort((one, other) => isHeldOut(other) - isHeldOut(one) || runsOf(other) - runsOf(one));
}

/** The metric of groups if the person chose none; null while fields are read, or if there is none. */
export const firstMetric = (fields, total) => metricsOf(fields ?? [], total)[0]?.name ?? null;

/** Metrics on held-out data tell most. */
const isHeldOut = ({ name }) => /^metrics\."?(val|valid|eval|test|dev)/i.test(name);
const runsOf = (info) => info.numbers + info.others;
const names = (infos) => infos.map(({ name }) => name);

/** The fields that the server must send for some columns. */
export function fieldsOf(columns) {
    const needed = columns.flatMap((name) => FACTS[name]?.needs ?? [name]);
    return [...new Set(["run_id", "name", "status", ...needed])];
}

/** As wide as the name of the column needs, within bounds. */
export const widthOf = (label) => Math.min(180, 32 + 8 * label.length);

/** Describes a column for the table. */
export function describe(name, infos, widths) {
    const fact = FACTS[name];
    const info = infos.get(baseOf(name));
    const isNumber = fact
        ? fact.number === true
        : name.startsWith("metrics.") || (info ? !isText(info) : false);
    const draw = fact?.draw ?? ((row) => drawValue(row[name]));
    return {
        id: name,
        label: labelOf(name),
        title: name,
        number: isNumber,
        width: widths[name] ?? fact?.width ?? Math.max(isNumber ? 100 : 120, widthOf(labelOf(name))),
        movable: true,
        cell: (row, isActive) => (row.gone ? null : draw(row, isActive)),
        tip: fact?.draw ? fact.tip : (row) => tipOf(row[name]),
    };
}

/** A value as one cell of an exported table; a list of words becomes one text. */
export const plain = (x) => (Array.isArray(x) ? x.join("; ") : x);
