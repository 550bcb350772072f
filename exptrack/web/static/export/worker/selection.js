/** Finds the runs that satisfy filters, in an order. As the archive does not change, answers are kept. */
import { compileOrder, compileTest } from "./compiler.js";
import { each } from "./database.js";
import { parseFilter, parseOrder } from "./filter.js";
import { Problem } from "./problem.js";

const KEPT = 32;
const kept = new Map();
const NEWEST_FIRST = [[{ kind: "fact", name: "started", statistic: "" }, true]];

/** Reads what `where` and `order` of a question say. */
export function readQuery(question) {
    const wheres = question.texts("where");
    const orders = question.texts("order");
    return { wheres, orders };
}

/** Forgets what was found; another archive was opened. */
export function forgetSelections() {
    kept.clear();
}

/** Makes one condition of several filters. */
export const joinFilters = (wheres) => ({ and: wheres.map(parseFilter) });

/** Returns the row ids of the runs of a question, in order, as Uint32Array. */
export function selectRuns(question) {
    const { wheres, orders } = readQuery(question);
    return selectBy(joinFilters(wheres), orders, JSON.stringify([wheres, orders]));
}

/** Returns the row ids of the runs that satisfy a condition; `key` names the question among those kept. */
export function selectBy(condition, orders, key) {
    const known = kept.get(key);
    if (known) {
        kept.delete(key);
        kept.set(key, known);
        return known;
    }
    const found = select(condition, orders.length ? orders.flatMap(parseOrder) : NEWEST_FIRST);
    // Filters of times mean another thing a moment later.
    if (!/[+-]?\d(s|min|m|h|d|w)\b|now|today|yesterday/i.test(key)) kept.set(key, found);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return found;
}

function select(condition, orders) {
    const test = compileTest(condition);
    const terms = orders.map(([field]) => compileOrder(field));
    const columns = terms.map(({ sql }, place) => `, ${sql} AS o${place}`).join("");
    const order = orders.map(([, descending], place) => `o${place}${descending ? " DESC" : " NULLS LAST"}`);
    const sql =
        `SELECT r.id${columns} FROM run AS r WHERE (${test.sql}) AND r.deleted_at IS NULL` +
        ` ORDER BY ${[...order, "r.id DESC"].join(", ")}`;
    const found = [];
    each(sql, [...terms.flatMap(({ values }) => values), ...test.values], ([run]) => found.push(run));
    return Uint32Array.from(found);
}

/** Returns a part of a list, from a place on. */
export function cut(list, start, size) {
    if (start < 0 || size < 0) throw new Problem("InvalidValueError", "start and size must be 0 or more");
    return list.slice(start, start + size);
}
