/**
 * Reads the filter language: a line of text becomes a tree of conditions. The grammar and the checks are those
 * of the Python library; tests compare the two.
 * Invariant: a tree holds names and values, never SQL. Places in a text count in units of UTF-16.
 */
import { filterProblem } from "./problem.js";
import { DATA, FACTS, ROOTS, SECONDS, STATE_WORDS, STATISTICS, SYNONYMS } from "./vocabulary.js";
import { joinPath, kindOf, splitPath, writeField } from "./vocabulary.js";
import { readList } from "./canonical.js";
import { escapeLike } from "./patterns.js";
import { readMoment } from "./times.js";

const MAX_CHARS = 100_000;
const MAX_CONDITIONS = 1_000;
const MAX_DEPTH = 100;
const MAX_DIGITS = 400;
const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
const BEYOND = "the number is beyond every float; compare with inf";
const KEYWORDS = new Set("and or not in like is null exists".split(" "));
const OPERATORS = { "==": "=", "<>": "!=" };
const DATA_FIELD = { kind: "fact", name: DATA, statistic: "" };
const FIELD_LIKE = "config.lr, metrics.acc.max or started";

const SPACE = "(?:[^\\S\\ufeff]|[\\x1c-\\x1f\\x85])";
const W = "[\\p{L}\\p{N}_]";
const D = "\\p{Nd}";
const QUOTED = `"(?:[^"\\\\]|\\\\[^])*"`;
const BARE_PART = "[\\p{L}\\p{N}_/\\-:@+%#$~^&|]+";
const DAY = `${D}{4}-${D}{2}-${D}{2}`;
const CLOCK = `[T ]${D}{2}:${D}{2}(?::${D}{2}(?:\\.${D}+)?)?`;
const END = `(?![\\p{L}\\p{N}_.])`;
const DIGITS = `${D}+(?:_${D}+)*`;
const TOKEN = new RegExp(
    `${SPACE}*(?:${[
        `(?<time>${DAY}(?:${CLOCK})?(?:Z|[+-]${D}{2}:${D}{2})?)${END}`,
        `(?<span>[+-]?${D}+(?:\\.${D}+)?(?:s|min|m|h|d|w))${END}`,
        `(?<number>[+-]?(?:${DIGITS}\\.?(?:${DIGITS})?|\\.${D}+)(?:[eE][+-]?${D}+)?)${END}`,
        `(?<bare>${D}${W}(?:${W}|-)*)`,
        `(?<signed>[+-](?:inf|infinity|nan))(?!${W})`,
        "(?<operator><=|>=|!=|<>|==|=|<|>)",
        "(?<sign>[(),?])",
        "(?<list>\\[)",
        `(?<word>[\\p{L}\\p{Nl}\\p{No}_](?:${BARE_PART})?(?:\\.(?:${QUOTED}|${BARE_PART}))*)`,
        `(?<text>'(?:[^']|'')*'|${QUOTED})`,
    ].join("|")})`,
    "uy",
);
const SPACES = new RegExp(`${SPACE}*`, "uy");
const SPAN = /^([+-]?)(\d+(?:\.\d+)?)(s|min|m|h|d|w)$/;

/** Reads a filter. An empty one is true of every run. */
export const parseFilter = (text) => new Parser(text).filter();

/** Reads the name of one field: {kind, name, statistic}. */
export function parseField(text) {
    const parser = new Parser(text);
    const token = parser.take();
    if (token.kind !== "word" || parser.token.kind !== "end") {
        throw parser.error(`expected one field, like ${FIELD_LIKE}`, token);
    }
    return parser.field(token);
}

/** Reads fields with commas between them; a minus sign before one means descending: [field, descending]. */
export function parseOrder(text) {
    const found = [];
    let at = 0;
    for (;;) {
        SPACES.lastIndex = at;
        at += SPACES.exec(text)[0].length;
        const sign = "+-".includes(text[at] ?? "x") ? text[at] : "";
        const parser = new Parser(text, at + sign.length);
        const name = parser.take();
        if (name.kind !== "word") throw parser.error(`expected a field, like -${FIELD_LIKE}`, name);
        const field = parser.field(name);
        let descending = sign === "-";
        const word = parser.token.text.toLowerCase();
        if (parser.token.kind === "word" && (word === "asc" || word === "desc")) {
            parser.take();
            descending = word === "desc";
        }
        found.push([field, descending]);
        if (parser.token.kind === "end") return found;
        if (parser.token.kind !== ",") throw parser.error("expected asc, desc, a comma or the end");
        at = parser.token.position + 1;
    }
}

class Parser {
    constructor(text, start = 0) {
        if (text.length > MAX_CHARS) throw filterProblem(`the text has more than ${MAX_CHARS} characters`, 0);
        this.text = text;
        this.at = start;
        this.conditions = 0;
        this.token = this.readToken();
    }

    readToken() {
        TOKEN.lastIndex = this.at;
        const match = TOKEN.exec(this.text);
        if (match === null) {
            SPACES.lastIndex = this.at;
            const position = this.at + SPACES.exec(this.text)[0].length;
            if (position >= this.text.length) return { kind: "end", text: "", position: this.text.length };
            const sign = String.fromCodePoint(this.text.codePointAt(position));
            const isQuote = sign === "'" || sign === '"';
            throw filterProblem(
                isQuote ? "the quote is not closed" : `'${sign}' means nothing here`,
                position,
            );
        }
        const [kind, text] = Object.entries(match.groups).find(([, found]) => found !== undefined);
        this.at = TOKEN.lastIndex;
        const token = { kind, text, position: this.at - text.length };
        if (kind === "word" && KEYWORDS.has(text.toLowerCase())) token.kind = text.toLowerCase();
        if (kind === "sign") token.kind = text;
        return token;
    }

    take() {
        const { token } = this;
        this.token = this.readToken();
        return token;
    }

    error(problem, token = this.token) {
        return filterProblem(problem, token.position);
    }

    expect(kind, what) {
        if (this.token.kind !== kind) throw this.error(`expected ${what}`);
        return this.take();
    }

    // Conditions

    filter() {
        if (this.token.kind === "end") return { and: [] };
        const found = this.disjunction(1);
        if (this.token.kind !== "end") throw this.error("expected 'and', 'or' or the end");
        return found;
    }

    checkDepth(depth) {
        if (depth > MAX_DEPTH) {
            throw this.error(`the filter is nested deeper than ${MAX_DEPTH} levels; simplify it`);
        }
    }

    disjunction(depth) {
        this.checkDepth(depth);
        const found = [this.conjunction(depth)];
        while (this.token.kind === "or") {
            this.take();
            found.push(this.conjunction(depth));
        }
        return found.length === 1 ? found[0] : { or: found };
    }

    conjunction(depth) {
        const found = [this.negation(depth)];
        while (this.token.kind === "and") {
            this.take();
            found.push(this.negation(depth));
        }
        return found.length === 1 ? found[0] : { and: found };
    }

    negation(depth) {
        const { token } = this;
        if (token.kind === "not") {
            this.take();
            this.checkDepth(depth);
            return { not: this.negation(depth + 1) };
        }
        if (token.kind === "(") {
            this.take();
            const found = this.disjunction(depth + 1);
            this.expect(")", "a closing parenthesis");
            return found;
        }
        this.conditions += 1;
        if (this.conditions > MAX_CONDITIONS) {
            throw this.error("the filter has more than 1,000 conditions; use 'in'");
        }
        return token.kind === "exists" ? this.existence() : this.comparison();
    }

    existence() {
        this.take();
        const closing = this.token.kind === "(";
        if (closing) this.take();
        const name = this.expect("word", "a field");
        const called = this.readDataName(name);
        const field = called === null ? this.field(name) : DATA_FIELD;
        // The name stands before the parenthesis, as in the library.
        if (closing) this.expect(")", "a closing parenthesis");
        if (called !== null) return { field, operator: "=", values: [called] };
        return { field, operator: "exists", values: [] };
    }

    comparison() {
        const name = this.expect("word", "a field, like config.lr or status");
        const called = this.readDataName(name);
        if (called !== null) return this.compareData(called, name);
        const field = this.field(name);
        if (kindOf(field) === "bool" && ["end", "and", "or", ")"].includes(this.token.kind)) {
            return { field, operator: "=", values: [true] };
        }
        return this.compare(field, name);
    }

    /** Returns NAME of a word `data.NAME`, else null. */
    readDataName(token) {
        const dot = token.text.indexOf(".");
        if (dot < 0 || token.text.slice(0, dot).toLowerCase() !== DATA) return null;
        return this.split(token.text.slice(dot + 1), token).join(".");
    }

    /** Reads a comparison of the data of one name, as one of those words of the run's data with that name. */
    compareData(called, name) {
        const found = this.compare(DATA_FIELD, name);
        let negated = "not" in found;
        let one = negated ? found.not : found;
        if (one.operator === "is null") {
            one = { ...one, operator: "=", values: [called] };
            negated = !negated;
        } else {
            const begin = one.operator === "like" ? escapeLike(`${called}=`) : `${called}=`;
            one = { ...one, values: one.values.map((value) => begin + value) };
        }
        return negated ? { not: one } : one;
    }

    /** Reads what stands behind a field: an operator and its values. */
    compare(field, name) {
        let token = this.take();
        if (token.kind === "operator") {
            const operator = OPERATORS[token.text] ?? token.text;
            this.checkOperator(field, operator, token);
            return { field, operator, values: [this.readValue(field, operator)] };
        }
        if (token.kind === "is") {
            const negated = this.token.kind === "not";
            if (negated) this.take();
            this.expect("null", "null");
            const found = { field, operator: "is null", values: [] };
            return negated ? { not: found } : found;
        }
        const negated = token.kind === "not";
        if (negated) token = this.take();
        const found = this.readSet(field, token, name);
        if (!negated) return found;
        // A run without tags has none of the named ones, so it satisfies 'not in', as it satisfies !=. In other
        // fields, a run without a value satisfies neither 'in' nor 'not in'.
        const present = { field, operator: "is comparable", values: [] };
        return kindOf(field) === "set" ? { not: found } : { and: [present, { not: found }] };
    }

    readSet(field, token, name) {
        if (token.kind === "like") {
            this.checkOperator(field, "like", token);
            return { field, operator: "like", values: [this.readValue(field, "like")] };
        }
        if (token.kind !== "in") {
            throw this.error(`expected =, !=, <, <=, >, >=, in, like or is after ${name.text}`, token);
        }
        this.expect("(", "an opening parenthesis");
        const values = [this.readValue(field, "=")];
        while (this.token.kind === ",") {
            this.take();
            values.push(this.readValue(field, "="));
        }
        this.expect(")", "a comma or a closing parenthesis");
        return { field, operator: "in", values };
    }

    checkOperator(field, operator, token) {
        const kind = kindOf(field);
        const isState = kind in STATE_WORDS;
        const shown = writeField(field);
        if (operator === "like" && (isState || ["number", "time", "seconds", "bool"].includes(kind))) {
            throw this.error(`'like' cannot be used with ${shown}: it is not text`, token);
        }
        const isSimple = ["=", "!=", "like"].includes(operator);
        if (!isSimple && (isState || kind === "set" || kind === "bool")) {
            throw this.error(`${operator} cannot be used with ${shown}; use = or !=`, token);
        }
    }

    // Fields

    field(token) {
        const dot = token.text.indexOf(".");
        const root = ROOTS[(dot < 0 ? "" : token.text.slice(0, dot)).toLowerCase()];
        const rest = token.text.slice(dot + 1);
        if (root === "config")
            return { kind: "config", name: joinPath(this.split(rest, token)), statistic: "" };
        if (root === "metric") return this.readMetric(rest, token);
        if (root) return { kind: "attribute", name: this.split(rest, token).join("."), statistic: "" };
        const whole = token.text.toLowerCase();
        const name = SYNONYMS.get(whole) ?? whole;
        if (FACTS.has(name)) return { kind: "fact", name, statistic: "" };
        const { text } = token;
        if (dot >= 0 && text.slice(0, dot).toLowerCase() === DATA) {
            throw this.error(`${text} can only be compared, in a filter; the field data has all names`, token);
        }
        const hint = dot < 0 ? `; did you mean config.${text}, metrics.${text} or attr.${text}?` : "";
        throw this.error(`there is no field '${text}'${hint}`, token);
    }

    readMetric(rest, token) {
        const parts = this.split(rest, token);
        // Only an unquoted last part can be a statistic.
        const hasStatistic = parts.length > 1 && STATISTICS.includes(parts.at(-1)) && !rest.endsWith('"');
        const statistic = hasStatistic ? parts.pop() : "last";
        return { kind: "metric", name: parts.join("."), statistic };
    }

    split(rest, token) {
        try {
            return splitPath(rest);
        } catch (error) {
            throw this.error(error.message, token);
        }
    }

    // Values

    readValue(field, operator) {
        if (this.token.kind === "list") {
            // A list is JSON, not tokens of this language, so it is read without lookahead.
            const { token } = this;
            return this.checkValue(field, operator, this.readList(token), token);
        }
        const token = this.take();
        return this.checkValue(field, operator, this.readScalar(field, token), token);
    }

    readScalar(field, token) {
        const kind = kindOf(field);
        const isText = kind === "text" || kind === "set";
        if (token.kind === "?") throw this.error("there is no value for this question mark", token);
        if (token.kind === "text") return unquote(token.text);
        if (token.kind === "number") {
            const found = readNumber(token.text);
            if (!isText && (found === Infinity || found === -Infinity)) throw this.error(BEYOND, token);
            return found;
        }
        if (token.kind === "bare") {
            // Ids and hashes often begin with a digit. In other fields this is more likely a mistyped number.
            if (!isText) throw this.error("not a number; quote text that begins with a digit", token);
            return token.text;
        }
        if (!["time", "span", "signed", "word", "null"].includes(token.kind)) {
            throw this.error("expected a value: a number, 'text', true, -7d, …", token);
        }
        return this.readWord(field, token);
    }

    readWord(field, token) {
        const lowered = token.text.toLowerCase();
        const kind = kindOf(field);
        if (lowered === "true" || lowered === "false") return lowered === "true";
        // Python's None is more often meant than a text, which has to be quoted.
        if (token.kind === "null" || token.text === "None") {
            throw this.error(`${token.text} cannot be compared; write: ${writeField(field)} is null`, token);
        }
        const bare = lowered.replace(/^[+-]+/, "");
        if ((kind === "number" || kind === "config") && ["inf", "infinity", "nan"].includes(bare)) {
            if (bare === "nan") return Number.NaN;
            return lowered.startsWith("-") ? -Infinity : Infinity;
        }
        return token.text;
    }

    readList(token) {
        let found;
        try {
            found = readList(this.text, token.position);
        } catch (error) {
            throw this.error(`expected a list as in JSON: ${error.message}`, token);
        }
        this.at = found.end;
        this.token = this.readToken();
        return { list: found.canonical };
    }

    /** Returns the value as it will be compared, if it can be compared with the field. */
    checkValue(field, operator, given, token) {
        const kind = kindOf(field);
        const isText = kind === "text" || kind === "set";
        const isNumber = typeof given === "number" || typeof given === "bigint";
        const found = !isText && typeof given === "bigint" ? this.checkWhole(given, token) : given;
        const shown = writeField(field);
        if (Number.isNaN(found)) {
            throw this.error(`nothing equals NaN; to find NaN, write: ${shown} is null`, token);
        }
        if (typeof found === "string" && !found.isWellFormed()) {
            throw this.error("the value has half of a surrogate pair; remove it", token);
        }
        if (operator === "like") {
            if (typeof found !== "string") throw this.error("a pattern is text, like 'resnet%'", token);
            return found;
        }
        if (kind === "config") {
            if (!["=", "!="].includes(operator) && !isNumber && typeof found !== "string") {
                throw this.error("only numbers and texts have an order; use = or !=", token);
            }
            return found;
        }
        if (kind === "number" && !isNumber) {
            throw this.error(`${shown} is a number; '${token.text}' is not`, token);
        }
        if (kind === "time") return this.readTime(found, token);
        if (kind === "seconds") return isNumber ? found : this.readSeconds(shown, found, token);
        if (kind === "bool" && typeof found !== "boolean")
            throw this.error(`${shown} is true or false`, token);
        if (kind in STATE_WORDS) {
            const word = String(typeof found === "object" ? token.text : found).toLowerCase();
            const known = STATE_WORDS[kind];
            if (!known.includes(word)) throw this.error(`a ${shown} is one of ${known.join(", ")}`, token);
            return word;
        }
        if (isText && typeof found === "object") {
            throw this.error(`${shown} is one text, and a list is none; write: ${shown} in (?)`, token);
        }
        // A run may be called 42 or 1e3, so the value is the text as it was written.
        return isText && typeof found !== "string" ? token.text : found;
    }

    /** Returns a whole number as one of 64 bits, or as the float that equals it. */
    checkWhole(found, token) {
        if (found >= INT64_MIN && found <= INT64_MAX) return found;
        const near = Number(found);
        if (!Number.isFinite(near)) throw this.error(BEYOND, token);
        if (BigInt(near) !== found) throw this.error(`no number of 64 bits equals ${token.text}`, token);
        return near;
    }

    readTime(found, token) {
        const moment = typeof found === "string" ? readMoment(found) : null;
        if (moment === null) throw this.error("a time (UTC) is like 2026-01-31, -7d, -12h or today", token);
        return moment;
    }

    readSeconds(shown, found, token) {
        const span = SPAN.exec(typeof found === "string" ? found : "");
        if (span === null || span[1]) {
            throw this.error(`${shown} is in seconds; expected a number, 90s, 10min, 2h, …`, token);
        }
        return Number(span[2]) * SECONDS[span[3]];
    }
}

function unquote(text) {
    const inner = text.slice(1, -1);
    return text[0] === "'" ? inner.replaceAll("''", "'") : inner.replace(/\\([^])/gu, "$1");
}

/** Returns a whole number beyond 2^53 as a BigInt, any other as a number. */
function readNumber(text) {
    const plain = text.replaceAll("_", "");
    const isWhole = /^[+-]?\d+$/.test(plain) && plain.length <= MAX_DIGITS;
    const number = Number(plain);
    if (!isWhole || Number.isSafeInteger(number)) return number;
    return BigInt(plain.replace("+", ""));
}
