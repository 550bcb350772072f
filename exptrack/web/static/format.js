/**
 * Writes values as text by fixed rules, whatever the browser's locale is.
 * Numbers have four significant digits and times are local. Characters that hide or reorder text become signs.
 */

/** How each status looks: its sign, its word; the CSS class `status-NAME` has its colour. */
export const STATUS = {
    completed: { sign: "✓", word: "completed" },
    running: { sign: "●", word: "running" },
    failed: { sign: "✕", word: "failed" },
    interrupted: { sign: "■", word: "interrupted" },
    pruned: { sign: "✂", word: "pruned" },
};

const SPECIAL = { NaN: "NaN", Infinity: "∞", "-Infinity": "−∞" };

/** Whether a value is NaN or infinite; the server sends these as texts. */
export const isSpecial = (value) =>
    typeof value === "string" ? value in SPECIAL : typeof value === "number" && !Number.isFinite(value);

/** The number that a value of the server means: texts "NaN" and "Infinity" become numbers, all else stays. */
export const numeric = (value) => (typeof value === "string" && value in SPECIAL ? Number(value) : value);

/** Writes a number with four significant digits; whole numbers below 10^15 in full. */
export function number(value) {
    if (value === null || value === undefined) return "";
    const x = Number(value);
    if (!Number.isFinite(x)) return SPECIAL[String(x)];
    if (Number.isInteger(x) && Math.abs(x) < 1e15) return minus(String(x));
    const size = Math.abs(x);
    if (size >= 1e6 || size < 1e-3) return minus(trim(x.toExponential(3)));
    return minus(
        size >= 1000 ? x.toFixed(size >= 10000 ? 0 : 1).replace(/\.0$/, "") : trim(x.toPrecision(4)),
    );
}

/** Writes a number in full, as Python would read it. */
export function exact(value) {
    if (value === null || value === undefined) return "";
    return Number.isFinite(Number(value)) ? String(value) : String(Number(value));
}

const minus = (text) => text.replace(/^-/, "−");
const trim = (text) =>
    text
        .replace(/(\.\d*?)0+(e|$)/, "$1$2")
        .replace(/\.(e|$)/, "$1")
        .replace("e+", "e");

/** Writes a count with commas between thousands. */
export const count = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, ",");

/** Writes a count and its noun: "1 run", "3,000 runs". */
export const plural = (value, noun, nouns = `${noun}s`) => `${count(value)} ${value === 1 ? noun : nouns}`;

const two = (value) => String(value).padStart(2, "0");

/** Writes a time of the server as local date and minute. */
export function time(iso) {
    if (!iso) return "";
    const at = new Date(iso);
    return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(at)}`;
}

/** Writes the hour and minute of a moment. */
export const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;

/** Writes a time of the server in UTC and in full. */
export const utc = (iso) => (iso ? `${iso.replace("T", " ").replace("Z", "")} UTC` : "");

/** Writes how long ago a time was, with one unit. */
export function ago(iso, now = Date.now()) {
    if (!iso) return "";
    const seconds = Math.max(0, (now - new Date(iso).getTime()) / 1000);
    if (seconds < 45) return "now";
    if (seconds < 3570) return `${Math.round(seconds / 60)} min ago`;
    if (seconds < 84600) return `${Math.round(seconds / 3600)} h ago`;
    return `${count(Math.round(seconds / 86400))} d ago`;
}

/** Names the local time zone by its distance from UTC. */
export function zone(at = new Date()) {
    const minutes = -at.getTimezoneOffset();
    if (minutes === 0) return "UTC";
    const size = Math.abs(minutes);
    return `UTC${minutes < 0 ? "−" : "+"}${Math.floor(size / 60)}${size % 60 ? `:${two(size % 60)}` : ""}`;
}

/** Writes a length of time in the two units that matter. */
export function duration(seconds) {
    if (seconds === null || seconds === undefined) return "";
    const s = Number(seconds);
    if (!Number.isFinite(s)) return number(s);
    if (s < 1) return `${Math.round(s * 1000)} ms`;
    if (s < 59.95) return `${s < 10 ? trim(s.toFixed(1)) : Math.round(s)} s`;
    const whole = Math.round(s);
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
    const minutes = Math.round(s / 60);
    if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
    return `${count(Math.floor(minutes / 1440))} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/** Writes a number of bytes in steps of 1,000. */
export function bytes(size) {
    if (size === null || size === undefined) return "";
    if (size < 1000) return `${size} B`;
    const units = ["kB", "MB", "GB", "TB"];
    let value = size / 1000;
    let unit = 0;
    while (value >= 999.5 && unit < units.length - 1) {
        value /= 1000;
        unit += 1;
    }
    return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

const HIDDEN = new RegExp(
    "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e" +
        "\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]|[\\ud800-\\udbff](?![\\udc00-\\udfff])" +
        "|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]",
    "g",
);

/** Shows control characters, and those that hide or reorder text, as signs. Tabs and line ends stay. */
export function visible(text) {
    return String(text).replace(HIDDEN, (sign) => {
        const code = sign.charCodeAt(0);
        if (code < 0x20) return String.fromCharCode(0x2400 + code);
        return code === 0x7f ? "␡" : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
    });
}

/** Writes any value of a config or a cell as one line of text. */
export function value(x) {
    if (x === null || x === undefined) return "";
    if (typeof x === "number" || isSpecial(x)) return number(x);
    if (typeof x === "string") return visible(x).replace(/\s*\n\s*/g, " ⏎ ");
    if (Array.isArray(x)) return `[${x.map(value).join(", ")}]`;
    return typeof x === "object" ? visible(JSON.stringify(x)) : String(x);
}

/** Writes a text as CSV holds it; a cell that a spreadsheet would compute gets an apostrophe. */
export function csvCell(x) {
    if (x === null || x === undefined) return "";
    const text = typeof x === "object" ? JSON.stringify(x) : String(x);
    const safe = typeof x === "string" && /^[=+\-@\t\r]/.test(text) && !isSpecial(x) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Writes rows as CSV; the first has the names of the columns. */
export const csv = (rows) => rows.map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");
