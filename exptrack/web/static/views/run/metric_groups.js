/** Puts the metrics of a run in groups by the first part of their names. */

/** The part of a name before its first slash or dot, by which metrics are grouped; "" without one. */
export function prefixOf(name) {
    const end = name.search(/[/.]/);
    return end <= 0 || end === name.length - 1 ? "" : name.slice(0, end);
}

/** Puts metrics in groups by prefix: those without one first, then by name. */
export function groupByPrefix(metrics) {
    const groups = new Map();
    for (const metric of metrics) {
        const prefix = prefixOf(metric.name);
        if (!groups.has(prefix)) groups.set(prefix, []);
        groups.get(prefix).push(metric);
    }
    return [...groups]
        .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
        .map(([prefix, all]) => ({ prefix, metrics: all }));
}

/** A name without the prefix under which it stands. */
export function titleOf(name) {
    const prefix = prefixOf(name);
    return prefix === "" ? name : name.slice(prefix.length + 1);
}
