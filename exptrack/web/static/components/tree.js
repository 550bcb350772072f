/**
 * Shows nested values as a tree: maps fold, every value can be copied, and a search keeps what matches.
 * Paths are written as filters write them: a key with a dot or a quote in it stands in quotes.
 */
import { html, useMemo, useState } from "../vendor/ui.js";
import { count, plural, visible } from "../format.js";
import { Copy } from "./copy.js";
import { Icon } from "./icons.js";

const MOST_OPEN = 80; // more leaves than this, and maps below the first level begin folded
const PAGE = 500;

/** Appends a key to a dotted path, as the library's keypath does. */
export function joinPath(path, key) {
    const plain = key && !key.includes(".") && !key.includes('"');
    const part = plain ? key : `"${key.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
    return path ? `${path}.${part}` : part;
}

const isMap = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** Lists the nodes of a map from the top, each with its path and depth: maps before what is in them. */
export function listNodes(map, path = "", depth = 0, found = []) {
    for (const [key, value] of Object.entries(map)) {
        const own = joinPath(path, key);
        const folds = isMap(value) && Object.keys(value).length > 0;
        const node = { path: own, key, value, depth, folds, leaves: 0 };
        found.push(node);
        if (!folds) {
            node.leaves = 1;
            continue;
        }
        const before = found.length;
        listNodes(value, own, depth + 1, found);
        for (let place = before; place < found.length; place += 1) node.leaves += found[place].folds ? 0 : 1;
    }
    return found;
}

/** A value as text,
    with the marks that tell its type: texts in quotes only where they could be taken for more. */
export function valueText(value) {
    if (value === null) return "null";
    if (typeof value === "string") return value;
    return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The type of a value, as a style and a word for people who see no colours. */
export function typeOf(value) {
    if (value === null) return "null";
    if (Array.isArray(value)) return "list";
    return { string: "text", number: "number", boolean: "bool", object: "map" }[typeof value];
}

/** The nodes that a search keeps: values whose path or text has it, and the maps around them. */
function matching(nodes, search) {
    const sought = search.trim().toLowerCase();
    if (!sought) return null;
    const kept = new Set();
    const around = [];
    for (const node of nodes) {
        around.length = node.depth;
        if (node.folds) around.push(node);
        else if (
            node.path.toLowerCase().includes(sought) ||
            valueText(node.value).toLowerCase().includes(sought)
        ) {
            kept.add(node.path);
            for (const map of around) kept.add(map.path);
        }
    }
    return kept;
}

/** The nodes to draw: those that match, or those in no folded map. */
function shown(nodes, kept, folded) {
    if (kept) return nodes.filter((node) => kept.has(node.path));
    let hiddenBelow = Infinity;
    return nodes.filter((node) => {
        if (node.depth > hiddenBelow) return false;
        hiddenBelow = node.folds && folded(node) ? node.depth : Infinity;
        return true;
    });
}

/**
 * A tree of `value`, a map. `sources` names by path what set each value: `{kind, name, line}`.
 * `noun` is what one value is called in messages.
 */
export function Tree({ value, sources = null, noun = "value" }) {
    const nodes = useMemo(() => listNodes(value), [value]);
    const leaves = nodes.reduce((sum, node) => sum + (node.folds ? 0 : 1), 0);
    const [search, setSearch] = useState("");
    const [flipped, setFlipped] = useState(() => new Set());
    const [most, setMost] = useState(PAGE);
    const folds = nodes.filter((node) => node.folds);
    const startsFolded = (node) =>
        leaves > MOST_OPEN && node.depth >= (folds.some((one) => one.depth === 0) ? 0 : 1);
    const folded = (node) => startsFolded(node) !== flipped.has(node.path);
    const kept = useMemo(() => matching(nodes, search), [nodes, search]);
    const rows = shown(nodes, kept, folded);
    const flip = (path) =>
        setFlipped((before) => {
            const after = new Set(before);
            if (!after.delete(path)) after.add(path);
            return after;
        });
    const foldAll = (close) =>
        setFlipped(new Set(folds.filter((node) => startsFolded(node) !== close).map((node) => node.path)));
    return html`<div class="tree">
        <div class="tool-row">
            <input type="search" class="search" placeholder=${`Search ${plural(leaves, noun)}`}
                aria-label=${`Search ${noun}s`} value=${search}
                    onInput=${(event) => setSearch(event.target.value)} />
            ${
                folds.length > 0 &&
                !kept &&
                html`
                <button type="button" onClick=${() => foldAll(false)}>Unfold all</button>
                <button type="button" onClick=${() => foldAll(true)}>Fold all</button>`
            }
            ${kept && html`<span class="soft">${count(rows.filter((node) => !node.folds).length)} match</span>`}
        </div>
        <table class="tree-table">
            <thead><tr><th scope="col">Key</th><th scope="col">Value</th>${
                sources &&
                html`<th
                scope="col">Set by</th>`
            }</tr></thead>
            <tbody>${rows.slice(0, most).map(
                (node) => html`<${Node} key=${node.path} node=${node}
                source=${sources?.[node.path]} withSource=${sources !== null}
                isFolded=${!kept && folded(node)} flip=${flip} />`,
            )}</tbody>
        </table>
        ${
            rows.length > most &&
            html`<button type="button" class="more" onClick=${() => setMost(most + PAGE)}>
            Show ${Math.min(PAGE, rows.length - most)} more of ${count(rows.length)}</button>`
        }
        ${rows.length === 0 && html`<p class="soft">No ${noun} matches “${visible(search)}”.</p>`}
    </div>`;
}

function Node({ node, source, withSource, isFolded, flip }) {
    const text = valueText(node.value);
    return html`<tr class=${node.folds ? "tree-map" : "tree-leaf"}>
        <th scope="row" class=${`depth-${Math.min(node.depth, 12)}`}>
            ${
                node.folds
                    ? html`<button type="button" class="tree-fold" aria-expanded=${String(!isFolded)}
                    onClick=${() => flip(node.path)}>
                    <${Icon} name=${isFolded ? "chevron-right" : "chevron-down"} />
                        <bdi>${visible(node.key)}</bdi></button>`
                    : html`<bdi class="tree-key">${visible(node.key)}</bdi>`
            }
            <${Copy} text=${node.path} label=${`the path ${node.path}`} />
        </th>
        <td>${
            node.folds
                ? html`<span class="soft">${isFolded ? plural(node.leaves, "value") : ""}</span>`
                : html`<bdi class=${`value type-${typeOf(node.value)}`}
                title=${typeOf(node.value)}>${visible(text)}</bdi>
                <${Copy} text=${text} label=${`the value of ${node.path}`} />`
        }</td>
        ${withSource && html`<td>${source && html`<${Source} source=${source} />`}</td>`}
    </tr>`;
}

const placeOf = ({ kind, name, line }) => (kind === "file" && line ? `${name}:${line}` : name);

/** Names in words what set a value. */
export const sourceText = (source) => `${source.kind} ${placeOf(source)}`;

/** What set a value: a file with its line, an override, a default, code or a trial. */
export function Source({ source }) {
    const place = placeOf(source);
    return html`<span class="source"><span class="source-kind">${source.kind}</span>${" "}<bdi>${visible(
        place,
    )}</bdi></span>`;
}
