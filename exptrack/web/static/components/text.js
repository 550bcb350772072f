/**
 * Shows texts and tables from the archive, and differences of texts. All of it is text: nothing is interpreted.
 */
import { html, useMemo, useState } from "../vendor/ui.js";
import { bytes, count, number, plural, visible } from "../format.js";
import { Copy } from "./copy.js";

const LINES = 2000;
const MOST_EDITS = 2000; // two texts that differ by more are told apart as a whole

/** A text with line numbers. `size` is that of the whole text, where only its beginning is here. */
export function TextPreview({ text, truncated = false, size = null, label = "text" }) {
    const lines = useMemo(() => splitLines(text), [text]);
    const [most, setMost] = useState(LINES);
    const [wrap, setWrap] = useState(false);
    const part = lines.slice(0, most);
    return html`<figure class="text-preview">
        <div class="tool-row">
            <span class="soft">${plural(lines.length, "line")}${
                truncated ? ` of the beginning${size === null ? "" : `; the whole is ${bytes(size)}`}` : ""
            }</span>
            <label class="check"><input type="checkbox" checked=${wrap}
                onChange=${() => setWrap(!wrap)} /> wrap long lines</label>
            <${Copy} text=${text} label=${label} />
        </div>
        <div class=${wrap ? "lines wrapped" : "lines"} tabindex="0" role="region" aria-label=${label}>
            ${
                wrap
                    ? html`<ol>${part.map(
                          (line, place) => html`<li
                    key=${place}>${visible(line) || " "}</li>`,
                      )}</ol>`
                    : html`<pre class="line-numbers" aria-hidden="true">${part
                          .map((_, place) => place + 1)
                          .join("\n")}</pre>
                    <pre class="line-texts">${part.map(visible).join("\n")}</pre>`
            }
        </div>
        ${
            lines.length > most &&
            html`<button type="button" class="more"
            onClick=${() => setMost(most + 10 * LINES)}>
            Show more lines</button>`
        }
    </figure>`;
}

/** Splits a text into lines without their ends. */
export function splitLines(text) {
    const lines = text.split(/\r\n|\n|\r/);
    if (lines.length > 1 && lines.at(-1) === "") lines.pop();
    return lines;
}

/** A cell of a table as text. */
export function cellText(cell) {
    if (cell === null || cell === undefined) return "";
    if (typeof cell === "number") return number(cell);
    return typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}

const isNumeric = (cell) =>
    typeof cell === "number" || cell === "NaN" || cell === "Infinity" || cell === "-Infinity";

/**
 * A table of `columns`, names, and `rows`, lists of cells. A click on a heading sorts; `total` is the number of
 * rows of the whole table. `linkOf(cell, column, row)` may return an address, which makes the cell a link.
 */
export function TablePreview({
    columns,
    rows,
    total = null,
    label = "table",
    pageSize = 100,
    linkOf = null,
}) {
    const [sort, setSort] = useState({ column: -1, down: false });
    const [page, setPage] = useState(0);
    const sorted = useMemo(() => sortRows(rows, sort), [rows, sort]);
    const numeric = useMemo(() => columns.map((_, place) => isNumericColumn(rows, place)), [columns, rows]);
    const most = useMemo(() => (isMatrix(columns, rows) ? greatestOf(rows) : 0), [columns, rows]);
    const pages = Math.max(1, Math.ceil(rows.length / pageSize));
    const at = Math.min(page, pages - 1);
    const order = (place) => {
        setSort((before) =>
            before.column === place
                ? { column: before.down ? -1 : place, down: true }
                : { column: place, down: false },
        );
        setPage(0);
    };
    const mark = (place) => (sort.column !== place ? "none" : sort.down ? "descending" : "ascending");
    return html`<div class="table-preview">
        <div class="table-scroll" tabindex="0" role="region" aria-label=${label}>
            <table class="listing"><thead><tr>${columns.map(
                (name, place) => html`
                <th scope="col" key=${place} aria-sort=${mark(place)} class=${numeric[place] ? "number" : ""}>
                    <button type="button" class="sort" onClick=${() => order(place)}><bdi>${visible(name)}</bdi>
                        <span aria-hidden="true">${
                            { none: "", ascending: "▲", descending: "▼" }[mark(place)]
                        }</span></button></th>`,
            )}
            </tr></thead>
            <tbody>${sorted.slice(at * pageSize, (at + 1) * pageSize).map(
                (row, line) => html`<tr key=${line}>
                ${row.map(
                    (cell, place) => html`<${Cell} key=${place} cell=${cell} isNumber=${numeric[place]}
                    shade=${place > 0 && most > 0 ? cell / most : 0}
                    href=${linkOf?.(cell, columns[place], row)} />`,
                )}</tr>`,
            )}</tbody></table>
        </div>
        <${Pages} at=${at} pages=${pages} go=${setPage}>
            ${
                total !== null && total > rows.length
                    ? `the first ${count(rows.length)} of ${plural(total, "row")}`
                    : plural(rows.length, "row")
            }<//>
    </div>`;
}

/**
 * Whether a table is a matrix, as of which digit was taken for which: after a first column that names the rows
 * it has a column for each row, and counts or shares in them. Its cells are shaded.
 */
export function isMatrix(columns, rows) {
    const isSquare = rows.length >= 2 && rows.length <= 100 && columns.length === rows.length + 1;
    return (
        isSquare && rows.every((row) => row.slice(1).every((cell) => typeof cell === "number" && cell >= 0))
    );
}

const greatestOf = (rows) => Math.max(...rows.map((row) => Math.max(...row.slice(1))));
const DARKEST = 55; // percent of the accent; the text still has enough contrast

/** The ground of a cell. By the root, a few mistakes among many right ones are seen too. */
const groundOf = (shade) =>
    shade > 0
        ? { background: `color-mix(in srgb, var(--accent) ${DARKEST * Math.sqrt(shade)}%, transparent)` }
        : null;

/** A matrix without its numbers, so that many can be seen beside each other. */
export function MatrixPicture({ columns, rows, label }) {
    const most = greatestOf(rows) || 1;
    const size = rows.length;
    return html`<svg class="matrix" viewBox=${`0 0 ${size} ${size}`} role="img" aria-label=${visible(label)}>
        ${rows.map((row, y) =>
            row.slice(1).map(
                (cell, x) => html`<rect key=${y * size + x} x=${x} y=${y} width="1" height="1"
                fill-opacity=${Math.sqrt(cell / most)}>
                <title>${`${visible(cellText(row[0]))}, ${visible(columns[x + 1])}: ${cellText(cell)}`}</title>
                </rect>`,
            ),
        )}</svg>`;
}

function Cell({ cell, isNumber, shade, href }) {
    if (cell === null || cell === undefined) return html`<td class="missing" title="null"></td>`;
    const odd = typeof cell === "string" && isNumeric(cell);
    const text = visible(cellText(cell));
    const long = text.length > 300;
    return html`<td class=${isNumber ? "number" : ""} style=${groundOf(shade)}
        title=${typeof cell === "number" ? String(cell) : null}>
        ${
            href
                ? html`<a href=${href}><bdi>${text}</bdi></a>`
                : html`<bdi class=${odd ? "special" : ""}>${long ? `${text.slice(0, 300)}…` : text}</bdi>`
        }</td>`;
}

/** Buttons for pages of anything, with a word on the whole. */
export function Pages({ at, pages, go, children }) {
    return html`<div class="pages"><span class="soft">${children}</span>
        ${
            pages > 1 &&
            html`
            <button type="button" disabled=${at === 0} onClick=${() => go(at - 1)}
                aria-label="Previous page">‹</button>
            <span>page ${count(at + 1)} of ${count(pages)}</span>
            <button type="button" disabled=${at >= pages - 1} onClick=${() => go(at + 1)}
                aria-label="Next page">›</button>`
        }
    </div>`;
}

function isNumericColumn(rows, place) {
    let numbers = 0;
    for (const row of rows) {
        const cell = row[place];
        if (cell === null || cell === undefined) continue;
        if (!isNumeric(cell)) return false;
        numbers += 1;
    }
    return numbers > 0;
}

/** The places of types in a sorted column: numbers, then texts; missing cells are last either way. */
export function sortRows(rows, { column, down }) {
    if (column < 0) return rows;
    const sign = down ? -1 : 1;
    return [...rows].sort((one, two) => {
        const [a, b] = [one[column], two[column]];
        const missing = (a === null || a === undefined) - (b === null || b === undefined);
        return missing || sign * compareCells(a, b);
    });
}

const SPECIAL = { "-Infinity": -Infinity, Infinity: Infinity };

function compareCells(a, b) {
    const [x, y] = [SPECIAL[a] ?? a, SPECIAL[b] ?? b];
    if (typeof x === "number" && typeof y === "number") return x - y;
    if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
    const [s, t] = [cellText(x), cellText(y)];
    return s < t ? -1 : s > t ? 1 : 0;
}

/**
 * The shortest edit from lines `a` to lines `b` (Myers): a list of `{kind, text, a, b}`. `kind` is same,
 * removed or added; lines count from 1. Beginnings and ends that agree are not searched.
 */
export function diffLines(a, b) {
    let head = 0;
    while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
    let tail = 0;
    while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
    const found = [];
    const same = (from, to, shift) => {
        for (let n = from; n < to; n += 1)
            found.push({ kind: "same", text: a[n], a: n + 1, b: n + 1 + shift });
    };
    same(0, head, 0);
    for (const edit of editsBetween(a.slice(head, a.length - tail), b.slice(head, b.length - tail))) {
        found.push({ ...edit, a: edit.a && edit.a + head, b: edit.b && edit.b + head });
    }
    same(a.length - tail, a.length, b.length - a.length);
    return found;
}

function editsBetween(a, b) {
    const trace = [];
    let ends = new Map([[1, 0]]);
    const most = Math.min(a.length + b.length, MOST_EDITS);
    for (let edits = 0; edits <= most; edits += 1) {
        trace.push(new Map(ends));
        for (let k = -edits; k <= edits; k += 2) {
            const down = k === -edits || (k !== edits && (ends.get(k - 1) ?? -1) < (ends.get(k + 1) ?? -1));
            let x = down ? ends.get(k + 1) : ends.get(k - 1) + 1;
            while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
            ends.set(k, x);
            if (x >= a.length && x - k >= b.length) return walkBack(a, b, trace);
        }
    }
    return [
        ...a.map((text, n) => ({ kind: "removed", text, a: n + 1, b: null })),
        ...b.map((text, n) => ({ kind: "added", text, a: null, b: n + 1 })),
    ];
}

function walkBack(a, b, trace) {
    const found = [];
    let [x, y] = [a.length, b.length];
    for (let edits = trace.length - 1; edits >= 0; edits -= 1) {
        const ends = trace[edits];
        const k = x - y;
        const down = k === -edits || (k !== edits && (ends.get(k - 1) ?? -1) < (ends.get(k + 1) ?? -1));
        const before = down ? k + 1 : k - 1;
        const fromX = edits === 0 ? 0 : ends.get(before);
        const fromY = edits === 0 ? 0 : fromX - before;
        while (x > fromX && y > fromY) {
            x -= 1;
            y -= 1;
            found.push({ kind: "same", text: a[x], a: x + 1, b: y + 1 });
        }
        if (edits === 0) break;
        if (down) found.push({ kind: "added", text: b[fromY], a: null, b: fromY + 1 });
        else found.push({ kind: "removed", text: a[fromX], a: fromX + 1, b: null });
        [x, y] = [fromX, fromY];
    }
    return found.reverse();
}

const SIGNS = { same: " ", removed: "−", added: "+" };
const AROUND = 3;

/** Two texts line by line: what `b` took away and added. Long stretches that agree are folded. */
export function TextDiff({ a, b, labelA = "before", labelB = "after" }) {
    const edits = useMemo(() => diffLines(splitLines(a), splitLines(b)), [a, b]);
    const [all, setAll] = useState(false);
    if (edits.every((edit) => edit.kind === "same"))
        return html`<p
        class="soft">The two texts are the same.</p>`;
    const near = nearChanges(edits);
    const rows = edits
        .map((edit, place) => ({ ...edit, near: near[place], place }))
        .filter((edit) => all || edit.near);
    return html`<figure class="text-diff">
        <div class="tool-row">
            <span class="soft">− <bdi>${visible(labelA)}</bdi>, + <bdi>${visible(labelB)}</bdi></span>
            <label class="check"><input type="checkbox" checked=${all}
                onChange=${() => setAll(!all)} /> show all lines</label>
        </div>
        <table class="diff-table" aria-label=${`Differences of ${labelA} and ${labelB}`}><tbody>
            ${rows.map(
                (edit, line) => html`<${DiffLine} key=${edit.place} edit=${edit}
                gap=${line > 0 && rows[line - 1].place !== edit.place - 1} />`,
            )}
        </tbody></table>
    </figure>`;
}

function DiffLine({ edit, gap }) {
    return html`${gap && html`<tr class="diff-gap"><td colspan="4">…</td></tr>`}
        <tr class=${`diff-${edit.kind}`}><td class="line-number">${edit.a ?? ""}</td><td
            class="line-number">${edit.b ?? ""}</td>
            <td class="diff-sign">${SIGNS[edit.kind]}</td><td class="diff-text">${visible(edit.text)}</td>
                </tr>`;
}

function nearChanges(edits) {
    const near = new Array(edits.length).fill(false);
    edits.forEach((edit, place) => {
        if (edit.kind === "same") return;
        near.fill(true, Math.max(0, place - AROUND), place + AROUND + 1);
    });
    return near;
}

/** A difference that git wrote, with its lines coloured by their signs. */
export function PatchPreview({ text }) {
    const kind = (line) => {
        if (line.startsWith("@@")) return "hunk";
        if (line.startsWith("+") && !line.startsWith("+++")) return "added";
        return line.startsWith("-") && !line.startsWith("---") ? "removed" : "same";
    };
    return html`<pre class="patch" tabindex="0" role="region"
        aria-label="Difference">${splitLines(text).map(
            (line, place) =>
                html`<span key=${place} class=${`diff-${kind(line)}`}>${visible(line)}${"\n"}</span>`,
        )}</pre>`;
}
