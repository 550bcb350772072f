/**
 * Choose how the lines of a chart look: by run, or by the values of config keys; and gather runs into groups.
 * @module
 */
import { DASHES, colorOf, dark, palette, sequential } from "../colors.js";
import { value as writeValue } from "../format.js";

const SHADES_FROM = 9; // more different numbers than colours are told apart by a scale

/** Write the value of a config key, in words if a run lacks it. */
export function nameValue(value) {
    return value === null || value === undefined ? "not set" : writeValue(value);
}

const keyOf = (value) => (value === undefined ? "null" : JSON.stringify(value));

/** Return the different values of a column, numbers ascending, then texts, runs without the key last. */
export function distinctValues(runs, column) {
    const found = new Map(runs.map((run) => [keyOf(run[column]), run[column] ?? null]));
    const rank = (value) => (typeof value === "number" ? 0 : value === null ? 2 : 1);
    return [...found.values()].sort((one, other) => {
        if (rank(one) !== rank(other)) return rank(one) - rank(other);
        if (typeof one === "number") return one - other;
        return nameValue(one) < nameValue(other) ? -1 : 1;
    });
}

/** Return a function from a value of a column to its colour. */
function colorScale(values) {
    const places = new Map(values.map((value, place) => [keyOf(value), place]));
    const numbers = values.filter((value) => typeof value === "number");
    if (numbers.length >= SHADES_FROM) {
        const last = Math.max(1, numbers.length - 1);
        // By rank, so that values such as learning rates, decades apart, are spread over the scale.
        // Without the end of the scale that the background swallows.
        const shade = (share) => sequential(dark.value ? 0.25 + 0.75 * share : 0.82 * share);
        return (value) => (typeof value === "number" ? shade(places.get(keyOf(value)) / last) : "#808080");
    }
    return (value) => palette()[places.get(keyOf(value)) % palette().length];
}

/** Instead of a column: colours in the order of the runs, so that the first eight differ. */
export const BY_ORDER = "order";

/**
 * Return a function from a run to its colour and dash.
 *
 * By default a run's colour never depends on which others are shown. Of several runs with one colour, those
 * after the first have dashes; row ids grow, so a new run does not change those of the others.
 * @param {object[]} runs rows with run_id, row_id and the columns named
 * @param {object} by
 * @param {string|null} by.color the column that decides on the colour, or BY_ORDER
 * @param {string|null} by.dash the column that decides on the dash
 * @param {Map<string, number>} [by.paint] colours chosen by hand, as places in the palette, by run id
 */
export function lookOf(runs, { color, dash, paint = new Map() }) {
    const ordered = [...runs].sort((one, other) => one.row_id - other.row_id);
    const colorBy = color && color !== BY_ORDER && colorScale(distinctValues(runs, color));
    const chooseColor = (run, place) => {
        if (paint.has(run.run_id)) return slotLook(paint.get(run.run_id)).color;
        if (color === BY_ORDER) return slotLook(place).color;
        return colorBy ? colorBy(run[color] ?? null) : colorOf(run.row_id);
    };
    const dashPlaces =
        dash && new Map(distinctValues(runs, dash).map((value, place) => [keyOf(value), place]));
    const used = new Map();
    const looks = new Map();
    ordered.forEach((run, order) => {
        const own = chooseColor(run, order);
        const before = used.get(own) ?? 0;
        used.set(own, before + 1);
        const place = dash ? dashPlaces.get(keyOf(run[dash] ?? null)) : colorBy ? 0 : before;
        looks.set(run.run_id, { color: own, dash: DASHES[place % DASHES.length] });
    });
    return (run) => looks.get(run.run_id);
}

/** The colour and dash of the group at a place in the order of groups: eight colours, then dashes. */
export function slotLook(place) {
    const colors = palette();
    const dash = DASHES[Math.floor(place / colors.length) % DASHES.length];
    return { color: colors[place % colors.length], dash };
}

/**
 * Gather runs by the values of columns; runs without a key are a group of their own.
 * @returns {{id: string, label: string, runs: object[]}[]} groups in the order of their values
 */
export function groupRuns(runs, columns) {
    const groups = new Map();
    for (const run of runs) {
        const id = JSON.stringify(columns.map((column) => run[column] ?? null));
        if (!groups.has(id)) groups.set(id, { id, label: labelOf(run, columns), runs: [] });
        groups.get(id).runs.push(run);
    }
    const order = columns.map((column) => distinctValues(runs, column).map(keyOf));
    const rank = ({ runs: [run] }) =>
        columns.map((column, place) => order[place].indexOf(keyOf(run[column] ?? null)));
    return [...groups.values()].sort((one, other) => compareRanks(rank(one), rank(other)));
}

function compareRanks(one, other) {
    const place = one.findIndex((rank, index) => rank !== other[index]);
    return place < 0 ? 0 : one[place] - other[place];
}

function labelOf(run, columns) {
    return columns.map((column) => `${shortName(column)} ${nameValue(run[column])}`).join(", ");
}

/** The name of a config key without its root. */
export const shortName = (column) => column.replace(/^config\./, "");
