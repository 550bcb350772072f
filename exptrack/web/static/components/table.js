/**
 * A table of any length: only the rows and columns in sight are in the document.
 * Invariants: rows have one height. A row that did not change is not drawn again while the table scrolls. A
 * scrolled place never changes under the hand: rows without data yet are drawn empty. The elements of rows that
 * leave are used for those that come, so a cell with a state of its own needs a key. However often rows come
 * and the scroll moves, they are drawn once a frame.
 *
 * A column is {id, label, width, pinned, number, title, cell(row, isActive), tip(row), head}; the row under the
 * pointer and the current one are active. `rows` is {total, at(index), need(from, to), stamp}; the signal
 * `stamp` changes when rows did.
 */
import { h, html, useId, useLayoutEffect, useMemo, useRef, useState } from "../vendor/ui.js";

export const ROW_HEIGHT = 28;
const OVERSCAN = 4;
const MAX_HEIGHT = 15_000_000; // Browsers limit the height of an element; the least limit is 17 million pixels.
const MIN_WIDTH = 48;
const PAGE = 10;
const REST_MS = 150; // after a scroll; what passes under the pointer until then is not pointed at

/** Which rows and columns are in sight, from the scroll position. */
function visiblePart(view, total, columns) {
    const height = Math.max(view.clientHeight - ROW_HEIGHT, 0);
    const full = total * ROW_HEIGHT;
    const scale = full > MAX_HEIGHT ? (full - height) / (MAX_HEIGHT - height) : 1;
    const top = view.scrollTop * scale;
    const first = Math.max(Math.floor(top / ROW_HEIGHT) - OVERSCAN, 0);
    const last = Math.min(Math.ceil((top + height) / ROW_HEIGHT) + OVERSCAN, total);
    const pool = Math.ceil(height / ROW_HEIGHT) + 2 * OVERSCAN + 2;
    const isShifted = view.scrollLeft > 0;
    const shift = view.scrollTop - top; // Of rows that are drawn on a shorter scale; else 0.
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
    return { first, last, pool, shift, isShifted, from, to, skipped };
}

const ALL = { from: 0, to: Infinity, skipped: 0 };
const SKIPPED = h("div", { key: "skipped", role: "presentation", class: "skipped" });
const same = (one, other) => one && Object.keys(other).every((name) => one[name] === other[name]);

/**
 * Keeps the widths of columns in a style sheet of the document: cells need no style of their own, and a column
 * that is sized draws no row again. Returns the class that scopes it.
 */
function useColumnStyles(columns) {
    const scope = `table-${useId()}`;
    const sheet = useRef(null);
    sheet.current ??= new CSSStyleSheet();
    useLayoutEffect(() => {
        document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet.current];
        return () => {
            document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet.current);
        };
    }, []);
    const text = columns.map(({ width }, place) => `.${scope} .col-${place}{width:${width}px}`).join("\n");
    useLayoutEffect(() => sheet.current.replaceSync(text), [text]);
    return scope;
}

const classOf = (column, place) => `cell col-${place}${column.number ? " number" : ""}`;

/** The head of one column: drag its edge for the width, its label for the place. */
function HeadCell({ column, place, onSize, onMove }) {
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
    return html`<div class=${classOf(column, place)} role="columnheader" title=${column.title}
        aria-sort=${column.sorted ?? null} ...${props}>
        ${column.head ?? html`<span class="clip">${column.label}</span>`}
        ${column.movable && html`<span class="edge" onPointerDown=${resize} aria-hidden="true"></span>`}
    </div>`;
}

/** The cells of a line. Pinned ones share one box, which sticks once the columns are scrolled. */
function drawLine(columns, part, drawCell) {
    const pins = [];
    const cells = [h("div", { key: "pins", role: "presentation", class: "pins" }, pins)];
    if (part.skipped > 0) cells.push(SKIPPED);
    columns.forEach((column, place) => {
        if (column.pinned) pins.push(drawCell(column, place));
        else if (place >= part.from && place < part.to) cells.push(drawCell(column, place));
    });
    return cells;
}

/** What the elements of a column's cells have in common. */
const propsOf = (column, place) => ({
    key: column.id,
    role: "gridcell",
    "aria-colindex": place + 1,
    class: classOf(column, place),
});

function drawRow({ index, classes, part, cells }) {
    const props = {
        key: index % part.pool,
        id: `row-${index}`,
        role: "row",
        "aria-rowindex": index + 2,
        "data-index": index,
        class: `line ${classes}`,
        // Each row has its own place: one that comes into sight moves no other, so only that one is painted.
        style: `top:${index * ROW_HEIGHT + part.shift}px`,
    };
    return h("div", props, cells);
}

/**
 * Returns a function after which `draw` is called once, in the next frame. The browser scrolls, then calls what
 * waits for the frame, then paints: so the rows are in the same picture as the scroll.
 */
function useFrame(draw) {
    const latest = useRef(null);
    latest.current = draw;
    const frame = useRef(0);
    useLayoutEffect(() => () => cancelAnimationFrame(frame.current), []);
    return useMemo(
        () => () => {
            frame.current ||= requestAnimationFrame(() => {
                frame.current = 0;
                latest.current();
            });
        },
        [],
    );
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
    const drawn = useRef({ key: null, lines: new Map(), cells: [] });
    const [pointed, setPointed] = useState(null); // The index of the row under the pointer.
    const pointer = useRef({ scrolledAt: -Infinity, timer: 0, cell: null }); // The cell has its tip.
    const takeTip = () => {
        pointer.current.cell?.removeAttribute("title");
        pointer.current.cell = null;
    };
    const update = () => {
        const stamp = rows.stamp.peek();
        const next = { ...visiblePart(scroller.current, rows.total, columns), stamp };
        setPart((before) => (same(before, next) ? before : next));
        rows.need(next.first, next.last);
        takeTip();
    };
    const updateSoon = useFrame(update);
    const onScroll = () => {
        pointer.current.scrolledAt = performance.now();
        updateSoon();
    };
    useLayoutEffect(() => () => clearTimeout(pointer.current.timer), []);
    useLayoutEffect(update, [rows, rows.total, columns]);
    useLayoutEffect(() => rows.stamp.subscribe(updateSoon), [rows]);
    // The end of a plain effect may come after the element is gone; the observer would tell that as a new size.
    useLayoutEffect(() => {
        const observer = new ResizeObserver(() => update());
        observer.observe(scroller.current);
        return () => observer.disconnect();
    }, [rows, columns]);
    useLayoutEffect(() => {
        if (cursor !== null) keepInSight(scroller.current, cursor, rows.total);
    }, [cursor]);
    const width = columns.reduce((sum, column) => sum + column.width, 0);
    const scope = useColumnStyles(columns);
    const props = useMemo(() => columns.map(propsOf), [columns]);
    const lines = part ? drawLines() : [];
    function drawCells(row, isActive) {
        const draw = ({ cell }, place) => h("div", props[place], row && cell(row, isActive));
        return drawLine(columns, part, draw);
    }
    function drawLines() {
        const key = [columns, revision, part.from, part.to, part.shift, part.pool, rows];
        if (!drawn.current.key || key.some((one, place) => one !== drawn.current.key[place])) {
            drawn.current = { key, lines: new Map(), cells: [] };
        }
        const { lines: before, cells } = drawn.current;
        const next = new Map();
        for (let index = part.first; index < Math.min(part.last, rows.total); index += 1) {
            const row = rows.at(index);
            const classes = `${row ? classesOf(row, index) : "waits"}${index === cursor ? " current" : ""}`;
            const isActive = index === cursor || index === pointed;
            let line = before.get(index);
            if (!line || line.row !== row || line.classes !== classes || line.isActive !== isActive) {
                const slot = index % part.pool;
                // A row that is not read yet hides the cells of the one before, which saves to draw twice.
                if (row || !cells[slot]) cells[slot] = drawCells(row, isActive);
                const vnode = drawRow({ index, classes, part, cells: cells[slot] });
                line = { row, classes, isActive, vnode };
            }
            next.set(index, line);
        }
        drawn.current.lines = next;
        // In the order of their elements, which are used again: nothing is moved, made or thrown away.
        return [...next.values()].map(({ vnode }) => vnode).sort((one, other) => one.key - other.key);
    }
    const acts = useRef(null);
    acts.current = { onSize, onMove };
    const head = useMemo(() => {
        const given = {
            onSize: (...size) => acts.current.onSize(...size),
            onMove: (...move) => acts.current.onMove(...move),
        };
        return html`<div role="rowgroup" class="grid-head" style=${{ width: `${width}px` }}>
            <div role="row" aria-rowindex="1" class="line head">${drawLine(
                columns,
                ALL,
                (column, place) => html`<${HeadCell} key=${column.id} ...${{ column, place, ...given }} />`,
            )}</div>
        </div>`;
    }, [columns]);
    const height = Math.min(rows.total * ROW_HEIGHT, MAX_HEIGHT);
    const indexOf = (event) => {
        const line = event.target.closest(".line");
        return line ? Number(line.dataset.index) : null;
    };
    const onClick = (event) => {
        const index = indexOf(event);
        if (index === null) return;
        onCursor(index);
        // The element under the mouse may soon be that of another row.
        if (!event.target.closest("a, .fold")) scroller.current.focus({ preventScroll: true });
    };
    /** Makes the row at an element active, and gives its cell a tip: few that scroll by are ever looked at. */
    const pointAt = (target) => {
        const line = target.closest(".grid-body .line");
        const index = line && Number(line.dataset.index);
        setPointed(index);
        const cell = line && target.closest(".cell");
        if (cell !== null && cell === pointer.current.cell) return;
        takeTip();
        const row = cell && rows.at(index);
        if (!row) return;
        pointer.current.cell = cell;
        const tip = !row.isGroup && columns[cell.ariaColIndex - 1]?.tip?.(row);
        if (tip) cell.title = tip;
    };
    const latest = useRef(null);
    latest.current = pointAt;
    // A scroll brings other elements under the pointer, too, with and without a move of it.
    const onPointer = ({ target }) => {
        clearTimeout(pointer.current.timer);
        const rest = pointer.current.scrolledAt + REST_MS - performance.now();
        if (rest <= 0) pointAt(target);
        else pointer.current.timer = setTimeout(() => latest.current(target), rest);
    };
    const onPointerLeave = () => {
        clearTimeout(pointer.current.timer);
        setPointed(null);
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
    const shifted = part?.isShifted ? " shifted" : "";
    return html`<div ref=${scroller} class=${`grid ${scope}${shifted}`} role="grid" tabindex="0"
        aria-label=${label}
        aria-rowcount=${rows.total + 1} aria-colcount=${columns.length} aria-multiselectable="true"
        aria-activedescendant=${cursor === null ? null : `row-${cursor}`}
        onScroll=${onScroll} onKeyDown=${onKeyDown}
        onClick=${onClick} onPointerOver=${onPointer} onPointerMove=${onPointer}
        onPointerLeave=${onPointerLeave}
        onDblClick=${(event) => indexOf(event) !== null && onOpen(indexOf(event), event)}>
        ${head}
        <div role="rowgroup" class="grid-body" style=${{ width: `${width}px`, height: `${height}px` }}>
            <div role="presentation" class="grid-part"
                style=${{ "--skipped": `${part?.skipped ?? 0}px` }}>${lines}</div>
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
