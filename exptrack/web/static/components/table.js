/**
 * A table of any length: only the rows and columns in sight are in the document.
 * Invariants: rows have one height. A row that did not change is not drawn again while the table scrolls. A
 * scrolled place never changes under the hand: rows without data yet are drawn empty.
 *
 * A column is {id, label, width, pinned, number, title, cell(row, index), head}. `rows` is {total, at(index),
 * need(from, to), stamp}; `stamp` changes when rows did.
 */
import { html, useLayoutEffect, useRef, useState } from "../vendor/ui.js";

export const ROW_HEIGHT = 28;
const OVERSCAN = 8;
const MAX_HEIGHT = 15_000_000; // Browsers limit the height of an element; the least limit is 17 million pixels.
const MIN_WIDTH = 48;
const PAGE = 10;

/** Which rows and columns are in sight, from the scroll position. */
function visiblePart(view, total, columns) {
    const height = Math.max(view.clientHeight - ROW_HEIGHT, 0);
    const full = total * ROW_HEIGHT;
    const scale = full > MAX_HEIGHT ? (full - height) / (MAX_HEIGHT - height) : 1;
    const top = view.scrollTop * scale;
    const first = Math.max(Math.floor(top / ROW_HEIGHT) - OVERSCAN, 0);
    const last = Math.min(Math.ceil((top + height) / ROW_HEIGHT) + OVERSCAN, total);
    const shift = scale === 1 ? first * ROW_HEIGHT : first * ROW_HEIGHT - top + view.scrollTop;
    let left = 0;
    let from = 0;
    let to = 0;
    let skipped = 0;
    columns.forEach((column, place) => {
        const right = left + column.width;
        if (!column.pinned && right < view.scrollLeft) {
            from = place + 1;
            skipped += column.width;
        }
        if (left <= view.scrollLeft + view.clientWidth) to = place + 1;
        left = right;
    });
    return { first, last, shift, from, to, skipped };
}

const same = (one, other) => one && Object.keys(other).every((name) => one[name] === other[name]);

/** Handles of one column: drag its edge for the width, its label for the place. */
function HeadCell({ column, left, onSize, onMove }) {
    const resize = (event) => {
        event.preventDefault();
        event.stopPropagation();
        const begin = event.clientX - column.width;
        const move = ({ clientX }) => onSize(column.id, Math.max(clientX - begin, MIN_WIDTH));
        const handle = event.currentTarget;
        handle.setPointerCapture(event.pointerId);
        handle.addEventListener("pointermove", move);
        handle.addEventListener("pointerup", () => handle.removeEventListener("pointermove", move), {
            once: true,
        });
    };
    const drop = (event) => {
        const moved = event.dataTransfer.getData("text/x-column");
        if (!moved || moved === column.id) return;
        event.preventDefault();
        onMove(moved, column.id);
    };
    const props = column.movable
        ? {
              draggable: true,
              onDragStart: (event) => event.dataTransfer.setData("text/x-column", column.id),
              onDragOver: (event) => event.preventDefault(),
              onDrop: drop,
          }
        : {};
    const classes = ["cell", column.pinned && "pinned", column.number && "number"].filter(Boolean).join(" ");
    const style = { width: `${column.width}px`, left: column.pinned ? `${left}px` : null };
    return html`<div class=${classes} style=${style} role="columnheader" title=${column.title}
        aria-sort=${column.sorted ?? null} ...${props}>
        ${column.head ?? html`<span class="clip">${column.label}</span>`}
        ${column.movable && html`<span class="edge" onPointerDown=${resize} aria-hidden="true"></span>`}
    </div>`;
}

function drawRow({ index, row, columns, part, lefts, classes, id }) {
    const cells = columns.map((column, place) => {
        if (!column.pinned && (place < part.from || place >= part.to)) return null;
        const kinds = `cell${column.pinned ? " pinned" : ""}${column.number ? " number" : ""}`;
        const style = { width: `${column.width}px`, left: column.pinned ? `${lefts[place]}px` : null };
        return html`<div key=${column.id} role="gridcell" aria-colindex=${place + 1} class=${kinds}
            style=${style}>${row && column.cell(row, index)}</div>`;
    });
    const pins = columns.filter(({ pinned }) => pinned).length;
    cells.splice(
        pins,
        0,
        html`<div key="" role="presentation" style=${{ width: `${part.skipped}px` }}></div>`,
    );
    return html`<div key=${index} id=${id} role="row" aria-rowindex=${index + 2} data-index=${index}
        class=${`line ${classes}`}>${cells}</div>`;
}

/**
 * `cursor` is the index of the current row, `classesOf(row, index)` adds classes to a row, and `revision` must
 * change when cells look different though rows and columns did not.
 */
export function Table({
    label,
    columns,
    rows,
    cursor,
    onCursor,
    onOpen,
    onSize,
    onMove,
    classesOf,
    revision,
    view,
}) {
    const own = useRef(null);
    const scroller = view ?? own;
    const [part, setPart] = useState(null);
    const drawn = useRef({ key: null, lines: new Map() });
    const update = () => {
        if (!scroller.current) return; // The observer may tell of a table that is gone.
        const next = visiblePart(scroller.current, rows.total, columns);
        setPart((before) => (same(before, next) ? before : next));
        rows.need(next.first, next.last);
    };
    useLayoutEffect(update, [rows, rows.total, columns]);
    // The end of a plain effect may come after the element is gone, which the observer tells as a change of size.
    useLayoutEffect(() => {
        const observer = new ResizeObserver(() => update());
        observer.observe(scroller.current);
        return () => observer.disconnect();
    }, [rows, columns]);
    useLayoutEffect(() => {
        if (cursor !== null) keepInSight(scroller.current, cursor, rows.total);
    }, [cursor]);
    const lefts = [];
    let width = 0;
    for (const column of columns) {
        lefts.push(width);
        width += column.width;
    }
    const lines = part ? drawLines() : [];
    function drawLines() {
        const key = [columns, revision, part.from, part.to, rows];
        if (!drawn.current.key || key.some((one, place) => one !== drawn.current.key[place])) {
            drawn.current = { key, lines: new Map() };
        }
        const next = new Map();
        for (let index = part.first; index < Math.min(part.last, rows.total); index += 1) {
            const row = rows.at(index);
            const classes = `${row ? classesOf(row, index) : "waits"}${index === cursor ? " current" : ""}`;
            const before = drawn.current.lines.get(index);
            const kept = before && before.row === row && before.classes === classes;
            const id = `row-${index}`;
            const vnode = kept ? before.vnode : drawRow({ index, row, columns, part, lefts, classes, id });
            next.set(index, { row, classes, vnode });
        }
        drawn.current.lines = next;
        return [...next.values()].map(({ vnode }) => vnode);
    }
    const height = Math.min(rows.total * ROW_HEIGHT, MAX_HEIGHT);
    const indexOf = (event) => {
        const line = event.target.closest(".line");
        return line ? Number(line.dataset.index) : null;
    };
    const onKeyDown = (event) => {
        if (event.target !== scroller.current) return;
        const jump = {
            Home: 0,
            End: rows.total - 1,
            PageUp: (cursor ?? 0) - PAGE,
            PageDown: (cursor ?? 0) + PAGE,
        };
        if (!(event.key in jump) || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        onCursor(Math.min(Math.max(jump[event.key], 0), rows.total - 1));
    };
    return html`<div ref=${scroller} class="grid" role="grid" tabindex="0" aria-label=${label}
        aria-rowcount=${rows.total + 1} aria-colcount=${columns.length} aria-multiselectable="true"
        aria-activedescendant=${cursor === null ? null : `row-${cursor}`}
        onScroll=${update} onKeyDown=${onKeyDown}
        onClick=${(event) => indexOf(event) !== null && onCursor(indexOf(event))}
        onDblClick=${(event) => indexOf(event) !== null && onOpen(indexOf(event), event)}>
        <div role="rowgroup" class="grid-head" style=${{ width: `${width}px` }}>
            <div role="row" aria-rowindex="1" class="line head">${columns.map(
                (column, place) => html`<${HeadCell}
                key=${column.id} column=${column} left=${lefts[place]} onSize=${onSize} onMove=${onMove} />`,
            )}</div>
        </div>
        <div role="rowgroup" class="grid-body" style=${{ width: `${width}px`, height: `${height}px` }}>
            <div role="presentation" class="grid-part"
                style=${{ transform: `translateY(${part?.shift ?? 0}px)` }}>${lines}</div>
        </div>
    </div>`;
}

/** Scrolls as little as needed for a row to be in sight below the head. */
function keepInSight(view, index, total) {
    const height = view.clientHeight - ROW_HEIGHT;
    const full = total * ROW_HEIGHT;
    const scale = full > MAX_HEIGHT ? (full - height) / (MAX_HEIGHT - height) : 1;
    const top = view.scrollTop * scale;
    const at = index * ROW_HEIGHT;
    if (at < top) view.scrollTop = at / scale;
    else if (at + ROW_HEIGHT > top + height) view.scrollTop = (at + ROW_HEIGHT - height) / scale;
}
