/** Groups the metrics that the charts show into sections. */

/** How many charts stand side by side in a wide window. */
export const COLUMNS = 3;
/** The prefix of metrics of the machine. */
export const SYSTEM = "system";
const FEW = 4 * COLUMNS; // so many metrics stand in one grid

/**
 * Group metrics by what stands before the first slash; those of the system apart.
 * No group is so small that it leaves most of a row empty: few metrics, and small groups, stand in one grid.
 */
export function groupMetrics(metrics, { search, metrics: chosen }) {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (name) => words.every((word) => name.toLowerCase().includes(word));
    const sections = new Map();
    for (const name of metrics) {
        if (!matches(name) || (chosen.length > 0 && !chosen.includes(name))) continue;
        const prefix = name.includes("/") ? name.slice(0, name.indexOf("/")) : "";
        sections.set(prefix, [...(sections.get(prefix) ?? []), name]);
    }
    const own = [...sections].filter(([prefix]) => prefix !== SYSTEM);
    const isFew = own.reduce((sum, [, names]) => sum + names.length, 0) <= FEW;
    const isJoined = ([prefix, names]) => prefix === "" || isFew || names.length < COLUMNS;
    const joined = own.filter(isJoined);
    for (const [prefix] of joined) sections.delete(prefix);
    if (joined.length > 0) sections.set("", joined.flatMap(([, names]) => names).sort());
    const order = (prefix) => (prefix === SYSTEM ? 2 : prefix === "" ? 0 : 1);
    return [...sections].sort(([one], [other]) => order(one) - order(other) || (one < other ? -1 : 1));
}
