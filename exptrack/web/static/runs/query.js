/**
 * The state of the runs view, read from the URL and written to it.
 *
 * where=TEXT (repeated: all must hold) · facet=["status","failed"] · order=-metrics.acc · columns=… · pin=…
 * group=config.lr · metric=metrics.acc · open=[values of a group] · spark=metrics.loss
 * on=run ids on the chart · selected=row ids as 3,7-12, or * with except=row ids
 */
import { facetCondition } from "./conditions.js";

const parse = (text) => {
    try {
        return JSON.parse(text);
    } catch {
        return null; // A hand-written URL; what cannot be read is left out.
    }
};
const MOST_CHARACTERS = 20_000; // of a selection in the address; the server takes 64 kB of all
const MOST_IDS = 1_000_000; // that a hand-written range may name

/** Reads row ids and ranges of them. */
function readIds(texts) {
    const ids = new Set();
    for (const one of texts.flatMap((text) => text.split(","))) {
        const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(one) ?? [];
        const end = Math.min(Number(last ?? first), Number(first) + MOST_IDS - ids.size);
        for (let id = Number(first); id <= end; id += 1) ids.add(id);
    }
    return ids;
}

/** Writes row ids in ascending order, those that follow each other as a range. */
function writeIds(ids) {
    const sorted = [...ids].sort((one, other) => one - other);
    const ranges = [];
    for (const id of sorted) {
        const last = ranges.at(-1);
        if (last && id === last[1] + 1) last[1] = id;
        else ranges.push([id, id]);
    }
    return ranges.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(",");
}

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
        selection: { all, ids: readIds(params.getAll(all ? "except" : "selected")) },
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

/** The parameters of a selection; null if it names so many single runs that no address can hold them. */
export function writeSelection({ all, ids }) {
    const text = writeIds(ids);
    if (text.length > MOST_CHARACTERS) return null;
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
