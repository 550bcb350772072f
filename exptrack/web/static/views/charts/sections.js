/** Groups the metrics that charts show into sections. */

/** How many charts stand side by side in a wide window. */
export const COLUMNS = 3;
/** The prefix of metrics of the machine. */
export const SYSTEM = "system";
const FEW = 4 * COLUMNS; // so many metrics stand in one grid

/**
 * Joins sections so that none leaves most of a row empty: all of few metrics, and those of one or two, to that
 * without a prefix. `sections` maps prefixes to lists.
 */
export function joinSmall(sections) {
    const all = [...sections];
    const isFew = all.reduce((sum, [, list]) => sum + list.length, 0) <= FEW;
    const isJoined = ([prefix, list]) => prefix === "" || isFew || list.length < COLUMNS;
    const joined = all.filter(isJoined).flatMap(([, list]) => list);
    const rest = all.filter((section) => !isJoined(section));
    return joined.length > 0 ? [["", joined], ...rest] : rest;
}

/** Groups metrics by what stands before the first slash; those of the system come last. */
export function groupMetrics(metrics, { search, metrics: chosen }) {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (name) => words.every((word) => name.toLowerCase().includes(word));
    const sections = new Map();
    for (const name of metrics) {
        if (!matches(name) || (chosen.length > 0 && !chosen.includes(name))) continue;
        const prefix = name.includes("/") ? name.slice(0, name.indexOf("/")) : "";
        sections.set(prefix, [...(sections.get(prefix) ?? []), name]);
    }
    const system = sections.get(SYSTEM);
    sections.delete(SYSTEM);
    const own = joinSmall([...sections].sort(([one], [other]) => (one < other ? -1 : 1)));
    return system ? [...own, [SYSTEM, system]] : own;
}
