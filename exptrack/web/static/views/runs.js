/** The runs of the archive as a table: filtered, ordered, grouped, chosen and edited. */
import { html, useEffect, useMemo, useRef, useState } from "../vendor/ui.js";
import { archive, get } from "../api.js";
import { canEdit, readArchive } from "../archive.js";
import { dark } from "../colors.js";
import { Facets } from "../components/facets.js";
import { FilterLine } from "../components/filter.js";
import { Icon } from "../components/icons.js";
import { Table } from "../components/table.js";
import { count, plural, zone } from "../format.js";
import { useKeys } from "../keys.js";
import { toast, toastError } from "../toasts.js";
import { SelectionBar, exportCsv } from "../runs/actions.js";
import { baseOf, defaultColumns, describe, fieldsOf, firstMetric } from "../runs/columns.js";
import { Chips } from "../runs/chips.js";
import { CellEditor, onEdited } from "../runs/edit.js";
import { NoMatch, NoRuns } from "../runs/empty.js";
import { facetsOf } from "../runs/facet_fields.js";
import { drawGroup } from "../runs/groups.js";
import { SortButton, leadColumn, sparkColumn } from "../runs/heads.js";
import { conditionsOf, nextOrder, readQuery, writeFacets, writeSelection } from "../runs/query.js";
import { Tools } from "../runs/tools.js";
import { useFields } from "../runs/use_fields.js";
import { beginEarly, useRows } from "../runs/use_rows.js";
import { useWidths } from "../runs/widths.js";

const MEAN_WIDTH = 160; // A mean, its spread and a mark.
const TOO_MANY = "These are too many single runs for one selection; write a filter for them, and select all.";

/** What the address of the page asks for, before it is known which fields the runs have. */
export function beginRuns({ params }) {
    const query = readQuery(params);
    const grouping = groupingOf(query);
    const names = query.columns ?? withGrouping(defaultColumns(null, 0), grouping);
    return beginEarly({
        where: conditionsOf(query),
        order: query.order,
        columns: fieldsOf(names),
        grouping,
    });
}

/** How rows are grouped; `fallback` is the metric if the address names none. */
function groupingOf({ group, metric }, fallback = null) {
    const chosen = metric ?? fallback;
    return group.length && chosen ? { keys: group, metric: chosen } : null;
}

export default function Runs({ route }) {
    const query = useMemo(() => readQuery(route.params), [route.params]);
    const where = useMemo(() => conditionsOf(query), [query.filter, JSON.stringify([...query.facets])]);
    const scroller = useRef(null);
    const filterInput = useRef(null);
    const [cursor, setCursor] = useState(null);
    const [showsFacets, setShowsFacets] = useState(true);
    const [widths, setWidth] = useWidths();
    const [opened, setOpened] = useState(null);
    const { fields, infos, of, stamp } = useFields(opened);
    const fallback = query.group.length ? firstMetric(fields, of) : null;
    const grouping = useMemo(
        () => groupingOf(query, fallback),
        [query.group.join("\u0000"), query.metric, fallback],
    );
    const names = useMemo(
        () => query.columns ?? withGrouping(defaultColumns(fields, of), grouping),
        [query.columns?.join("\u0000"), fields, of, grouping],
    );
    const needed = useMemo(() => fieldsOf(names), [names]);
    const isAtTop = () => (scroller.current?.scrollTop ?? 0) === 0 && (cursor ?? 0) === 0;
    const { rows, problem, isLoading, reopen, begin } = useRows({
        where,
        order: query.order,
        columns: needed,
        grouping,
        open: query.open,
        isAtTop,
    });

    /** Changes what is asked for. The server reads it while the browser draws the new address. */
    const askFor = (changes, params, push = true) => {
        const next = { ...query, ...changes };
        begin({ where: conditionsOf(next), order: next.order, columns: needed, grouping });
        route.set(params, { push });
    };
    const total = rows?.runs ?? rows?.total ?? null;
    useEffect(() => setOpened(rows), [rows]);
    useEffect(() => {
        document.title = "Runs · exptrack";
    }, []);
    const counted = useRef(null); // The stamp of which the count of all runs is.
    useEffect(() => {
        if (counted.current !== null) readArchive();
        counted.current = stamp;
    }, [stamp]);
    useEffect(() => {
        onEdited.value = (ids) => rows?.reread(ids);
    }, [rows]);
    useEffect(() => {
        if (rows && cursor !== null && cursor >= rows.total) setCursor(rows.total ? rows.total - 1 : null);
    }, [rows, rows?.total]);

    const { selection } = query;
    const lastTurned = useRef(null); // Where a range begins that a click with shift selects.
    const isSelected = (id) => selection.ids.has(id) !== selection.all;
    const size = selection.all ? (total ?? 0) - selection.ids.size : selection.ids.size;
    const toggle = (id, isRange) => {
        const ids = new Set(selection.ids);
        const turn = (one, on) => (on !== selection.all ? ids.add(one) : ids.delete(one));
        const on = !isSelected(id);
        const [begin, end] = [rows.placeOf(lastTurned.current), rows.placeOf(id)];
        lastTurned.current = id;
        if (isRange && begin >= 0 && end >= 0) {
            const [from, to] = [Math.min(begin, end), Math.max(begin, end)];
            for (let place = from; place <= to; place += 1) {
                if (typeof rows.idAt(place) === "number") turn(rows.idAt(place), on);
            }
        } else {
            turn(id, on);
        }
        const changes = writeSelection({ all: selection.all, ids });
        if (changes) route.set(changes);
        else toast(TOO_MANY, { kind: "error" });
    };
    const selectAll = () => route.set(writeSelection({ all: size === 0 || size < total, ids: new Set() }));
    const clearSelection = () => route.set(writeSelection({ all: false, ids: new Set() }));
    const afterDeleting = () => {
        clearSelection();
        reopen();
    };
    const chart = (run) => {
        const on = new Set(query.charted);
        if (!on.delete(run)) on.add(run);
        route.set({ on: [...on] });
    };
    const fold = (key) => {
        const isOpen = query.open.includes(key);
        route.set({ open: isOpen ? query.open.filter((one) => one !== key) : [...query.open, key] });
    };
    const open = (place) => {
        const row = rows?.at(place);
        if (row?.isGroup) fold(row.key);
        else if (row) route.go(`/run/${row.run_id}`);
    };
    const move = (step) => {
        if (!rows?.total) return;
        setCursor(cursor === null ? 0 : Math.min(Math.max(cursor + step, 0), rows.total - 1));
        scroller.current?.focus({ preventScroll: true });
    };
    const current = () => (cursor === null ? undefined : rows?.at(cursor));
    const toggleCurrent = () => {
        const row = current();
        if (row && !row.isGroup) toggle(row.id);
    };
    const chartCurrent = () => {
        const row = current();
        if (row?.run_id) chart(row.run_id);
    };
    const compare = async () => {
        if (selection.all || size < 2 || size > 50) return;
        const { rows: found } = await get("/api/runs/rows", {
            ids: [...selection.ids].join(","),
            columns: ["run_id"],
        });
        route.go("/compare", { runs: found.filter(Boolean).map((row) => row.run_id) });
    };
    useKeys("Runs", [
        { keys: "/", does: "Write a filter", run: () => filterInput.current?.focus() },
        { keys: "j", does: "Next run", run: () => move(1) },
        { keys: "k", does: "Previous run", run: () => move(-1) },
        { keys: "ArrowDown", does: "Next run", run: () => move(1) },
        { keys: "ArrowUp", does: "Previous run", run: () => move(-1) },
        {
            keys: "Enter",
            does: "Open the run, or fold the group",
            run: ({ target }) => (target.closest("button, a") || cursor === null ? false : open(cursor)),
        },
        { keys: "x", does: "Select the run", run: toggleCurrent },
        { keys: "v", does: "Put the run on the chart", run: chartCurrent },
        { keys: "c", does: "Compare the selected runs", run: () => compare().catch(toastError) },
        { keys: "Escape", does: "Clear the selection", run: () => (size ? clearSelection() : false) },
    ]);

    const { pinned } = query;
    const moveColumn = (moved, before) => {
        const others = names.filter((name) => name !== moved);
        route.set({ columns: others.toSpliced(others.indexOf(before), 0, moved) });
    };
    const sort = (name, add) => {
        const firstDown = name === "started" || describe(name, infos, {}).number;
        const order = nextOrder(query.order, name, firstDown, add);
        askFor({ order }, { order });
    };
    const sparkline = useMemo(() => query.spark && sparkColumn(query.spark), [query.spark]);
    // A new filter alone draws no row again; its rows do, when they come.
    const looks = String([...route.params].filter(([name]) => name !== "where" && name !== "facet"));
    const columns = useMemo(() => {
        const described = names.map((name) => {
            const column = describe(name, infos, widths);
            const { cell } = column;
            const isMean = grouping?.metric === name;
            return {
                ...column,
                pinned: pinned.includes(name),
                width: isMean ? Math.max(column.width, MEAN_WIDTH) : column.width,
                head: html`<${SortButton} column=${column} order=${query.order} onSort=${sort} />`,
                sorted: sortedAs(query.order, name),
                cell: (row, isActive) =>
                    row.isGroup
                        ? drawGroup(name, row, { ...grouping, fields: rows.fields }, fold)
                        : cell(row, isActive),
            };
        });
        const lead = leadColumn({
            isSelected,
            toggle,
            chart,
            charted: query.charted,
            size,
            total,
            selectAll,
        });
        const spark = sparkline ? [{ ...sparkline, width: widths[sparkline.id] ?? sparkline.width }] : [];
        const isPinned = (column) => column.pinned;
        const isFree = (column) => !column.pinned;
        return [lead, ...described.filter(isPinned), ...spark, ...described.filter(isFree)];
    }, [names, infos, widths, looks, grouping, rows, size, total, canEdit(), dark.value]);

    const choose = (field, chosen) => {
        const facets = new Map(query.facets);
        if (chosen.length) facets.set(field, chosen);
        else facets.delete(field);
        askFor({ facets }, writeFacets(facets));
    };
    const isBare = archive.value?.runs === 0 && total === 0;
    if (isBare) return html`<${NoRuns} name=${archive.value.name} />`;
    const added = rows?.added.size ?? 0;
    const tableQuery = { where, order: query.order };
    return html`<div class="runs">
        <h1 class="unseen">Runs</h1>
        <div class="runs-head">
            <button class="icon" aria-pressed=${showsFacets ? "true" : "false"} title="Facets"
                aria-label="Facets" onClick=${() => setShowsFacets(!showsFacets)}>
                <${Icon} name="sliders-horizontal" /></button>
            <${FilterLine} text=${query.filter} problem=${problem} inputRef=${filterInput}
                onApply=${(text, isFinal) => askFor({ filter: text }, { where: text || null }, isFinal)} />
            <${Tools} query=${query} names=${names} pinned=${pinned} fields=${fields ?? []} total=${of}
                set=${route.set} onCsv=${() => exportCsv(null, tableQuery, names)} />
        </div>
        <div class="runs-state">
            <span role="status">${describeCount(rows, isLoading)}</span>
            ${
                added > 0 &&
                html`<button class="new-runs" onClick=${reopen}><${Icon} name="refresh-cw" size=${13} />
                ${plural(added, "new run")}</button>`
            }
            <${Chips} query=${query} onChoose=${choose} set=${route.set} go=${route.go} />
            <span class="grow"></span>
            <span class="faint">Times in ${zone()}</span>
        </div>
        <${CellEditor} rows=${rows} />
        <div class="runs-body" aria-busy=${String(isLoading)}>
            ${
                showsFacets &&
                html`<${Facets} facets=${facetsOf(fields, of)} chosen=${query.facets} onChoose=${choose}
                whereOf=${(field) => conditionsOf(query, field)} stamp=${stamp} />`
            }
            ${rows && rows.total === 0 && archive.value && html`<${NoMatch} query=${query} set=${route.set} />`}
            ${
                rows &&
                rows.total > 0 &&
                html`<${Table} label="Runs" columns=${columns} rows=${rows} view=${scroller}
                cursor=${cursor} onCursor=${setCursor} onOpen=${open} onSize=${setWidth} onMove=${moveColumn}
                revision=${columns} classesOf=${(row) => classesOf(row, isSelected)} />`
            }
        </div>
        ${
            size > 0 &&
            html`<${SelectionBar} selection=${selection} size=${size} total=${total} query=${tableQuery}
            columns=${names} onClear=${clearSelection} onDeleted=${afterDeleting} go=${route.go}
            onAll=${() => route.set(writeSelection({ all: true, ids: new Set() }))} />`
        }
    </div>`;
}

function describeCount(rows, isLoading) {
    if (!rows) return isLoading ? "Reading…" : "";
    if (rows.segments)
        return `${plural(rows.runs, "completed run")} in ${plural(rows.segments.length, "group")}`;
    const { total } = rows;
    const all = archive.value?.runs ?? total;
    return total < all ? `${count(total)} of ${plural(all, "run")}` : plural(total, "run");
}

const classesOf = (row, isSelected) => {
    if (row.isGroup) return "group";
    return `${isSelected(row.id) ? "chosen" : ""}${row.gone ? " gone" : ""}`;
};

const sortedAs = (order, name) => {
    const base = (text) => (baseOf(text) === text ? text : text.replace(/\.last$/, ""));
    const found = order.find((one) => base(one.replace(/^-/, "")) === base(name));
    if (!found) return null;
    return found.startsWith("-") ? "descending" : "ascending";
};

/** In groups, the keys and the metric stand first. */
function withGrouping(names, grouping) {
    if (!grouping) return names;
    const first = ["name", ...grouping.keys, grouping.metric];
    return [...first, ...names.filter((name) => !first.includes(name))];
}
