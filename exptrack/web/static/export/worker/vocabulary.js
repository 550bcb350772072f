/** The fields of runs, and the words by which a filter names them. They are those of the Python library. */

export const STATISTICS =
    "last min max first mean count nan_count last_step first_step min_step max_step".split(" ");
const TEXT_FACTS = (
    "id name group parent external_id reason host commit config_hash family fingerprint branch script python" +
    " study"
).split(" ");
const TIME_FACTS = ["started", "ended", "heartbeat"];
const SET_FACTS = ["tag", "note", "artifact", "data"];
const all = (names, kind) => names.map((name) => [name, kind]);

/** The kind of each fact: text, time, set, status, bool, seconds, number or state. */
export const FACTS = new Map([
    ...all(TEXT_FACTS, "text"),
    ...all(TIME_FACTS, "time"),
    ...all(SET_FACTS, "set"),
    ["status", "status"],
    ["dirty", "bool"],
    ["has_nan", "bool"],
    ["duration", "seconds"],
    ["trial.number", "number"],
    ["trial.state", "state"],
]);

export const PRUNED = "pruned";
const TRIAL_STATES = ["waiting", "running", "complete", "pruned", "fail"];
export const RUN_STATES = ["running", "completed", "failed", "interrupted"];
export const STATE_WORDS = { status: [...RUN_STATES, PRUNED], state: TRIAL_STATES };

export const SYNONYMS = new Map([
    ["run", "id"],
    ["run_id", "id"],
    ["run_name", "name"],
    ["group_name", "group"],
    ["started_at", "started"],
    ["start_time", "started"],
    ["ended_at", "ended"],
    ["end_time", "ended"],
    ["heartbeat_at", "heartbeat"],
    ["vcs_commit", "commit"],
    ["vcs_dirty", "dirty"],
    ["duration_s", "duration"],
    ["state", "status"],
    ["study_name", "study"],
    ["trial_number", "trial.number"],
    ["trial_state", "trial.state"],
    ...["tag", "note", "artifact"].map((name) => [`${name}s`, name]),
]);

export const ROOTS = {
    config: "config",
    params: "config",
    metrics: "metric",
    metric: "metric",
    attr: "attribute",
    attributes: "attribute",
};
/** `data.NAME = x` means that the data of this name is x. */
export const DATA = "data";
export const SECONDS = { s: 1, min: 60, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** What can be compared with a field: text, number, time, … A config key and an attribute take several. */
export function kindOf(field) {
    if (field.kind === "metric") return "number";
    return field.kind === "fact" ? FACTS.get(field.name) : "config";
}

const BARE = /^[\p{L}\p{N}_/\-:@+%#$~^&|]+$/u;
const quote = (part) => `"${part.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
const writePart = (part) => (BARE.test(part) ? part : quote(part));

/** Writes a field as a filter reads it. */
export function writeField({ kind, name, statistic }) {
    if (kind === "config") return ["config", ...splitPath(name).map(writePart)].join(".");
    if (kind === "attribute") return ["attr", ...name.split(".").map(writePart)].join(".");
    if (kind === "fact") return name;
    const parts = name.split(".");
    const last = parts.pop();
    const ending = statistic === "last" ? [] : [statistic];
    // Without quotes, the last part would be read as a statistic.
    const shown = !ending.length && STATISTICS.includes(last) ? quote(last) : writePart(last);
    return ["metrics", ...parts.map(writePart), shown, ...ending].join(".");
}

/** Splits a dotted path into its keys; a part with a dot of its own stands in double quotes. */
export function splitPath(path) {
    const parts = [];
    let at = 0;
    for (;;) {
        let part;
        if (path[at] === '"') {
            [part, at] = readQuoted(path, at + 1);
        } else {
            const dot = path.indexOf(".", at);
            const end = dot < 0 ? path.length : dot;
            part = path.slice(at, end);
            if (!part)
                throw new Error(`config path '${path}' has an empty part; write it as "" or remove the dot`);
            at = end;
        }
        parts.push(part);
        if (at === path.length) return parts;
        if (path[at] !== ".") throw new Error(`config path '${path}': expected a dot after the quote`);
        at += 1;
    }
}

function readQuoted(path, start) {
    let part = "";
    for (let at = start; at < path.length; at += 1) {
        if (path[at] === '"') return [part, at + 1];
        if (path[at] === "\\" && at + 1 < path.length) at += 1;
        part += path[at];
    }
    throw new Error(`config path '${path}' has an unclosed quote; close it`);
}

/** Joins keys to a dotted path: the inverse of splitPath. */
export function joinPath(keys) {
    return keys.map((key) => (!key || /[."]/.test(key) ? quote(key) : key)).join(".");
}
