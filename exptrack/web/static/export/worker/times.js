/** Times as the archive stores them: UTC, `YYYY-MM-DD HH:MM:SS.ffffff`. */
import { SECONDS } from "./vocabulary.js";

const SPAN = /^([+-]?)(\d+(?:\.\d+)?)(s|min|m|h|d|w)$/;
const CLOCK = "(\\d\\d)(?::?(\\d\\d)(?::?(\\d\\d)(?:[.,](\\d+))?)?)?";
const ZONE = "(Z|[+-]\\d\\d(?::?\\d\\d(?::?\\d\\d)?)?)?";
const ISO = new RegExp(`^(\\d{4})-(\\d\\d)-(\\d\\d)(?:.${CLOCK}${ZONE})?$`, "s");
const DAY_MS = 86_400_000;
const EARLIEST = Date.UTC(2000, 0, 1) - 1999 * 365.2425 * DAY_MS; // about the year 1
const two = (number) => String(number).padStart(2, "0");

function write(ms, micros) {
    const at = new Date(ms);
    const year = String(at.getUTCFullYear()).padStart(4, "0");
    const day = `${year}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
    const clock = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()].map(two).join(":");
    return `${day} ${clock}.${String(micros).padStart(6, "0")}`;
}

function writeMs(ms) {
    const micros = Math.round((ms - Math.floor(ms / 1000) * 1000) * 1000);
    return write(Math.floor(ms / 1000) * 1000, micros);
}

/** Reads a time of a filter: ISO 8601, `-7d`, now, today or yesterday. Null if the text is none of them. */
export function readMoment(text, now = Date.now()) {
    const span = SPAN.exec(text);
    if (span) {
        const ms = now + Number(span[1] + span[2]) * SECONDS[span[3]] * 1000;
        return ms > EARLIEST && ms < Date.UTC(9999, 11, 31) ? writeMs(ms) : null;
    }
    const midnight = Math.floor(now / DAY_MS) * DAY_MS;
    const words = { now, today: midnight, yesterday: midnight - DAY_MS };
    const word = text.toLowerCase();
    if (Object.hasOwn(words, word)) return writeMs(words[word]);
    return readIso(text);
}

function readIso(text) {
    const found = ISO.exec(text);
    if (!found) return null;
    const [year, month, day, hour, minute, second] = found.slice(1, 7).map((part) => Number(part ?? 0));
    const date = new Date(0);
    date.setUTCFullYear(year, month - 1, day);
    const isDate = year > 0 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
    if (!isDate || hour > 23 || minute > 59 || second > 59) return null;
    const offset = readZone(found[8]);
    if (offset === null) return null;
    const micros = Number((found[7] ?? "").slice(0, 6).padEnd(6, "0"));
    const ms = date.getTime() + ((hour * 60 + minute) * 60 + second - offset) * 1000;
    const written = write(ms, micros);
    return written.startsWith("0000") || written.startsWith("-") || written[4] !== "-" ? null : written;
}

function readZone(text) {
    if (text === undefined || text === "Z") return 0;
    const [hours, minutes, seconds] = text.slice(1).replaceAll(":", "").match(/\d\d/g).map(Number);
    if (hours > 23 || (minutes ?? 0) > 59 || (seconds ?? 0) > 59) return null;
    return (text[0] === "-" ? -1 : 1) * (hours * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0));
}

/** Writes a stored time as ISO 8601 in UTC; null stays null. */
export const toIso = (stored) =>
    stored === null ? null : `${stored.replace(" ", "T").replace(/\.000000$/, "")}Z`;

/** Returns the seconds since 1970 of a stored time. */
export const toSeconds = (stored) =>
    Date.parse(`${stored.slice(0, 19).replace(" ", "T")}Z`) / 1000 + Number(`0${stored.slice(19)}`);
