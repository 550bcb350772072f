/** Helps to write filters and fields: what is wrong, and what could stand at the cursor. */
import { compareText, writeFloat } from "./canonical.js";
import { FACT_VALUES, SETS, findKey } from "./compiler.js";
import { rows } from "./database.js";
import { parseField, parseFilter, parseOrder } from "./filter.js";
import { Problem } from "./problem.js";
import { readFieldInfos } from "./runs.js";
import { selectBy } from "./selection.js";
import { FACTS, STATE_WORDS, kindOf } from "./vocabulary.js";

const MOST = 50;
const MOST_VALUES = 500;
const KEYWORDS = new Set("and or not in like is null exists".split(" "));
const ORDERS = ["=", "!=", "<", "<=", ">", ">="];
const SPANS = {
    time: ["-1h", "-1d", "-7d", "-30d", "today", "yesterday"],
    seconds: ["1min", "10min", "1h", "1d"],
};
const TOKEN = new RegExp(
    `\\s*(?:${[
        `(?<text>'(?:[^']|'')*'|"(?:[^"\\\\]|\\\\[^])*")`,
        `(?<open>['"][^]*)`,
        "(?<operator><=|>=|!=|<>|==|[=<>!])",
        "(?<sign>[(),?[])",
        `(?<word>(?:[^\\s'"()[,?<>=!]|(?<=\\.)"(?:[^"\\\\]|\\\\[^])*(?:"|$))+)`,
    ].join("|")})`,
    "y",
);

// What follows in a filter, by what is read so far. Any other token leads to the state called "".
const STATES = {
    condition: { not: "condition", exists: "exists", "(": "condition", "": "operator" },
    exists: { "(": "exists (", "": "done" },
    "exists (": { "": "exists )" },
    "exists )": { "": "done" },
    operator: { operator: "value", like: "value", in: "in", is: "is", not: "not", "": "operator" },
    not: { like: "value", in: "in", "": "not" },
    is: { not: "is not", "": "done" },
    "is not": { "": "done" },
    in: { "(": "in list", "": "in" },
    "in list": { "": "in list," },
    "in list,": { ",": "in list", ")": "done", "": "in list," },
    value: { "": "done" },
    done: { and: "condition", or: "condition", "": "done" },
};
const CLOSING = {
    "is not": ["null"],
    in: ["("],
    "in list,": [",", ")"],
    "exists )": [")"],
    is: ["null", "not null"],
};

let known = null;

/** Forgets the fields of the archive; another one was opened. */
export function forgetFields() {
    known = null;
}

function listFields() {
    known ??= readFieldInfos(selectBy({ and: [] }, [], "[[],[]]"));
    return known;
}

function problemOf(read) {
    try {
        read();
        return null;
    } catch (error) {
        if (!(error instanceof Problem)) throw error;
        return { message: error.message, position: error.position ?? 0 };
    }
}

/** Splits what stands before the cursor into tokens, and the word that is being written. */
function split(text, cursor) {
    const before = text.slice(0, cursor);
    const tokens = [];
    TOKEN.lastIndex = 0;
    for (let found = TOKEN.exec(before); found; found = TOKEN.exec(before)) {
        const [kind, word] = Object.entries(found.groups).find(([, held]) => held !== undefined);
        const lowered = word.toLowerCase();
        const name = kind === "sign" ? word : kind === "word" && KEYWORDS.has(lowered) ? lowered : kind;
        tokens.push({ kind: name, text: word, start: TOKEN.lastIndex - word.length, end: TOKEN.lastIndex });
    }
    const last = tokens.at(-1);
    const isBegun =
        last && last.end === cursor && (["word", "open"].includes(last.kind) || KEYWORDS.has(last.kind));
    if (!isBegun) return { tokens, word: { text: "", from: cursor, to: cursor } };
    const rest = last.kind === "open" ? "" : /^[^\s'"()[\],?<>=!]*/.exec(text.slice(cursor))[0];
    return {
        tokens: tokens.slice(0, -1),
        word: { text: last.text, from: last.start, to: cursor + rest.length },
    };
}

function completeFilter(question) {
    const text = question.text("text");
    const cursor = question.whole("cursor", text.length);
    const { tokens, word } = split(text, cursor);
    return { problem: problemOf(() => parseFilter(text)), completions: complete(tokens, word) };
}

function complete(tokens, word) {
    let [state, name, operator, depth] = ["condition", "", "", 0];
    for (const token of tokens) {
        if (state === "condition" || state === "done")
            depth += Number(token.kind === "(") - Number(token.kind === ")");
        if (state === "condition") name = token.text;
        if (state === "operator" && token.kind === "operator") operator = token.text;
        state = STATES[state][token.kind] ?? STATES[state][""];
    }
    const match = (texts, kind) =>
        texts
            .filter((text) => text.startsWith(word.text.toLowerCase()))
            .map((text) => ({ text, kind, from: word.from, to: word.to }));
    if (state === "condition") return [...matchFields(word), ...match(["not", "exists", "("], "keyword")];
    if (state === "exists" || state === "exists (") return matchFields(word);
    if (state === "done") return match(depth > 0 ? ["and", "or", ")"] : ["and", "or"], "keyword");
    if (state === "value" || state === "in list") return matchValues(name, operator, word);
    if (state === "operator") return match(operatorsOf(name), "operator");
    return match(state === "not" ? ["in (", "like"] : CLOSING[state], "keyword");
}

function readName(name) {
    try {
        return parseField(name);
    } catch {
        return null; // A name that is no field has no operators of its own.
    }
}

function operatorsOf(name) {
    const field = readName(name);
    const kind = field === null ? "config" : kindOf(field);
    const isText = ["text", "set", "config"].includes(kind);
    const orders = ["set", "bool", ...Object.keys(STATE_WORDS)].includes(kind) ? ["=", "!="] : ORDERS;
    return [...orders, "in (", ...(isText ? ["like"] : []), "is null", "is not null", "not in ("];
}

/** Lists fields whose names hold a word, those that begin with it first. */
function matchFields(word, among = ["fact", "config", "metric", "attribute"]) {
    const wanted = word.text.toLowerCase().replaceAll('"', "");
    const facts = [...FACTS.keys()].map((name) => ({ name, kind: "fact" }));
    const fields = [...facts, ...listFields()].filter(({ kind }) => among.includes(kind));
    const ranked = fields.flatMap(({ name }) => {
        const plain = name.toLowerCase().replaceAll('"', "");
        const place = plain.indexOf(wanted);
        if (place < 0) return [];
        const isPart = place > 0 && /[./]/.test(plain[place - 1]);
        return [{ name, rank: place === 0 ? 0 : isPart ? 1 : 2 }];
    });
    ranked.sort((a, b) => a.rank - b.rank);
    return ranked
        .slice(0, MOST)
        .map(({ name }) => ({ text: name, kind: "field", from: word.from, to: word.to }));
}

function matchValues(name, operator, word) {
    const field = readName(name);
    if (field === null || field.kind === "metric") return [];
    const begun = word.text.replace(/^['"]/, "").toLowerCase();
    const values = listValues(field).filter((text) => text.replace(/^'/, "").toLowerCase().includes(begun));
    const begins = (text) => Number(!text.replace(/^'/, "").toLowerCase().startsWith(begun));
    const shown = operator === "like" ? values.filter((text) => text.startsWith("'")) : values;
    return shown
        .sort((a, b) => begins(a) - begins(b))
        .slice(0, MOST)
        .map((text) => ({ text, kind: "value", from: word.from, to: word.to }));
}

const quote = (text) => `'${text.replaceAll("'", "''")}'`;

function listValues(field) {
    const kind = kindOf(field);
    const fixed = STATE_WORDS[kind] ?? SPANS[kind] ?? (kind === "bool" ? ["true", "false"] : null);
    if (fixed) return [...fixed];
    if (field.kind === "fact") return listWords(field.name).map(quote);
    const isConfig = field.kind === "config";
    const [table, key] = isConfig ? ["config_value", findKey(field.name)] : ["run_attribute", field.name];
    const sql = `SELECT type, num, text FROM ${table} WHERE key = ? AND type IN ('text', 'int', 'float', 'bool')
        GROUP BY type, num, text ORDER BY count(*) DESC LIMIT ${MOST_VALUES}`;
    return rows(sql, [key]).flatMap(([type, num, text]) => {
        if (type === "text") return [quote(text)];
        if (type === "float" && num === null) return [];
        return [text ?? (type === "float" ? writeFloat(num) : String(num))];
    });
}

function listWords(name) {
    const set = SETS[name];
    const sql = set
        ? `SELECT ${set.shown ?? set.word} AS word FROM ${set.source} WHERE ${set.counts}`
        : `SELECT ${FACT_VALUES[name]} AS word FROM run AS r WHERE r.deleted_at IS NULL`;
    const found = rows(
        `SELECT word FROM (${sql}) WHERE word IS NOT NULL AND length(word) <= 200
            GROUP BY word ORDER BY count(*) DESC LIMIT ${MOST_VALUES}`,
    );
    return found.flat().map(String).sort(compareText);
}

function completeField(question) {
    const text = question.text("text");
    const cursor = question.whole("cursor", text.length);
    const kind = question.text("kind", "field");
    const among = question.texts("among");
    const { tokens, word } = split(text, cursor);
    const sign = kind === "order" && /^[-+]/.test(word.text) ? 1 : 0;
    const begun = { ...word, text: word.text.slice(sign), from: word.from + sign };
    const isStart = !tokens.length || tokens.at(-1).kind === ",";
    const problem = problemOf(() => (kind === "field" ? parseField(text) : parseOrder(text)));
    return { problem, completions: isStart ? matchFields(begun, among.length ? among : undefined) : [] };
}

export const HANDLERS = [
    ["/api/filter", completeFilter],
    ["/api/complete-field", completeField],
];
