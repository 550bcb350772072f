/**
 * The state of the runs view, read from the URL and written to it.
 *
 * where=TEXT (repeated: all must hold) · facet=["status","failed"] · order=-metrics.acc · columns=… · pin=…
 * group=config.lr · metric=metrics.acc · open=[values of a group] · spark=metrics.loss
 * on=run ids on the chart · selected=row ids, or * with except=row ids
 */
import { facetCondition } from "./conditions.js";

const parse = (text) => {
    try {
        return JSON.parse(text);
    } catch {
        return null; // A hand-written URL; what cannot be read is left out.
    }
};
const numbers = (texts) =>
    texts
        .flatMap((text) => text.split(","))
        .filter((one) => /^\d+$/.test(one))
        .map(Number);

/** Joins the conditions that stand in the URL to the one text of the filter line. */
export function joinWhere(texts) {
    const full = texts.map((text) => text.trim()).filter(Boolean);
    return full.length > 1 ? full.map((text) => `(${text})`).join(" and ") : (full[0] ?? "");
}

/** Reads the state out of the parameters. */
export function readQuery(params) {
    const facets = new Map();
    for (const one of params.getAll("facet").map(parse)) {
        if (Array.isArray(one) && typeof one[0] === "string" && one.length > 1)
            facets.set(one[0], one.slice(1));
    }
    const all = params.get("selected") === "*";
    return {
        filter: joinWhere(params.getAll("where")),
        facets,
        order: params.getAll("order"),
        columns: params.has("columns") ? params.getAll("columns") : null,
        pinned: params.has("pin") ? params.getAll("pin") : ["name"],
        group: params.getAll("group"),
        metric: params.get("metric"),
        open: params.getAll("open"),
        spark: params.get("spark"),
        charted: new Set(params.getAll("on")),
        selection: { all, ids: new Set(numbers(params.getAll(all ? "except" : "selected"))) },
    };
}

/** The conditions of the filter line and the facets, without those of the facet named. */
export function conditionsOf({ filter, facets }, without = null) {
    const some = [...facets].filter(([field]) => field !== without);
    return [...(filter ? [filter] : []), ...some.map(([field, chosen]) => facetCondition(field, chosen))];
}

/** The parameters of facets. */
export const writeFacets = (facets) => ({
    facet: [...facets].map(([field, chosen]) => JSON.stringify([field, ...chosen])),
});

/** The parameters of a selection. A large one is kept as row ids all the same: it is the state of the page. */
export function writeSelection({ all, ids }) {
    const text = [...ids].join(",");
    return all ? { selected: "*", except: text || null } : { selected: text || null, except: null };
}

/** Adds a field to the order, turns it round or takes it away; `add` keeps the others. */
export function nextOrder(order, field, firstDown, add) {
    const [first, second] = firstDown ? [`-${field}`, field] : [field, `-${field}`];
    const place = order.findIndex((one) => one === first || one === second);
    const turned = place < 0 ? first : order[place] === first ? second : null;
    if (!add) return turned ? [turned] : [];
    if (place < 0) return [...order, first];
    return turned ? order.with(place, turned) : order.toSpliced(place, 1);
}
