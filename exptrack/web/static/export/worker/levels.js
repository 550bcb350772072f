/**
 * Reads levels: what a long series of an ended run holds in at most 1,024 buckets, as docs/format.md describes
 * them. Buckets of twice the width are made of two.
 */
import { unpackChunk } from "./content.js";
import { record, value } from "./database.js";

const ROWS = `SELECT l.width, l.buckets, l.codec, l.data FROM metric_level AS l JOIN metric_series AS s
    ON s.id = l.series WHERE l.series = ? AND l.axis = ? AND l.points = s.checksum`;
const WHOLE = ["cell", "count", "nan", "first_step", "last_step", "first_ms", "last_ms"];
const FLOATS = ["first", "last", "min", "max", "sum"];
const FINITE = 2; // Columns at the end that are left out if no value is infinite.

let known = null;

/** Forgets whether the archive has levels; another one was opened. */
export function forgetLevels() {
    known = null;
}

/** Returns the level of a series along steps or times: {width, low, high, cells}; null if there is none. */
export function readLevel(series, axis) {
    known ??= value("SELECT count(*) FROM sqlite_schema WHERE name = 'metric_level'") > 0;
    const row = known ? record(ROWS, [series, axis]) : null;
    if (row === null) return null;
    const columns = WHOLE.length + FLOATS.length;
    const size = 8 * row.buckets;
    const sizes = [columns * size, (columns + FINITE) * size];
    const data = unpackChunk(row.codec, row.data, sizes);
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const cells = Array.from({ length: row.buckets }, (_, place) => {
        const at = (column) => column * size + 8 * place;
        const whole = WHOLE.map((name, column) => [name, Number(view.getBigInt64(at(column), true))]);
        const floats = FLOATS.map((name, column) => [name, view.getFloat64(at(WHOLE.length + column), true)]);
        return Object.fromEntries([...whole, ...floats]);
    });
    const [first, last] = [cells[0], cells.at(-1)];
    const [low, high] = axis === "step" ? [first.first_step, last.last_step] : [first.first_ms, last.last_ms];
    return { width: row.width, low, high, cells };
}

const chooseNumber = (choose, one, other) => {
    if (Number.isNaN(one)) return other;
    return Number.isNaN(other) ? one : choose(one, other);
};

/** Joins buckets to those of a width that is a multiple of theirs. */
export function widen({ width, cells }, wanted) {
    const found = [];
    for (const one of cells) {
        const cell = Math.floor((one.cell * width) / wanted);
        const held = found.at(-1);
        if (held?.cell !== cell) {
            found.push({ ...one, cell });
            continue;
        }
        held.count += one.count;
        held.nan += one.nan;
        held.sum += one.sum;
        held.last = one.last;
        held.min = chooseNumber(Math.min, held.min, one.min);
        held.max = chooseNumber(Math.max, held.max, one.max);
    }
    return found;
}
