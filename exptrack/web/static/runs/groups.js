/**
 * Runs grouped by config keys: a row for each group with the mean and spread of a metric, and its runs below it
 * when it is unfolded.
 */
import { html, signal } from "../vendor/ui.js";
import { get } from "../api.js";
import { Icon } from "../components/icons.js";
import { count, exact, number, plural, value, visible } from "../format.js";
import { groupConditions, keyPathOf } from "./conditions.js";
import { joinWhere } from "./query.js";
import { RunRows } from "./rows.js";

/** The metric and the statistic of a field: metrics.acc.max is ["acc", "max"]. */
export function splitMetric(field) {
    const text = field.replace(/^metrics\./, "");
    const quoted = text.match(/^"((?:[^"\\]|\\.)*)"(?:\.(\w+))?$/);
    if (quoted) return [JSON.parse(`"${quoted[1]}"`), quoted[2] ?? "last"];
    const named = text.match(/^(.*)\.(last|min|max|mean|first)$/);
    return named ? [named[1], named[2]] : [text, "last"];
}

export class GroupedRows {
    constructor({ query, keys, metric, columns, onChange, onError }) {
        Object.assign(this, { query, metric, columns, onChange, onError });
        this.fields = keys.map((field) => ({ field, path: keyPathOf(field) }));
        this.segments = [];
        this.total = 0;
        this.runs = 0;
        this.stamp = signal(0);
        this.added = new Set();
        this.ids = null;
    }

    async open(signal) {
        const [metric, by] = splitMetric(this.metric);
        const where = joinWhere(this.query.where) || null;
        const keys = this.fields.map(({ path }) => path);
        const { groups } = await get("/api/groups", { keys, metric, by, where }, signal);
        this.segments = groups.map((group) => {
            const key = JSON.stringify(this.fields.map(({ path }) => group.config[path] ?? null));
            return { group, key, row: { isGroup: true, id: key, group, key, isOpen: false }, rows: null };
        });
        this._sort();
        this.runs = groups.reduce((sum, group) => sum + group.count, 0);
        this._count();
        return this;
    }

    async readIndex() {}

    /** Orders the groups by the mean or a key, if the runs are ordered so; else their values order them. */
    _sort() {
        const [first = ""] = this.query.order;
        const field = first.replace(/^-/, "");
        const key = this.fields.find((one) => one.field === field);
        const sign = first.startsWith("-") ? -1 : 1;
        if (field === this.metric) {
            const none = sign * Infinity; // Groups without a mean come last.
            const mean = ({ group }) => group.mean ?? none;
            this.segments.sort((one, other) => sign * (mean(one) - mean(other)) || 0);
        } else if (key && sign < 0) {
            this.segments.reverse();
        }
    }

    /** Unfolds the groups of these keys, and folds all others. */
    async unfold(keys) {
        for (const segment of this.segments) {
            const isOpen = keys.includes(segment.key);
            if (isOpen === segment.row.isOpen) continue;
            segment.row = { ...segment.row, isOpen };
            if (isOpen && !segment.rows) this._read(segment);
        }
        this._changed();
    }

    async _read(segment) {
        const own = groupConditions(segment.group.config, this.fields);
        // The runs that /api/groups counts.
        const counted = [
            `exists metrics.${JSON.stringify(splitMetric(this.metric)[0])}`,
            "status = completed",
        ];
        const where = [...this.query.where, ...own, ...counted, "not status = pruned"];
        const rows = new RunRows({ ...this.query, where }, this.columns, () => this._changed(), this.onError);
        try {
            segment.rows = await rows.open();
            this._changed();
            rows.readIndex();
        } catch (error) {
            this.onError(error);
        }
    }

    _changed() {
        this._count();
        this.stamp.value += 1;
        this.onChange();
    }

    _count() {
        this.total = this.segments.reduce((sum, segment) => sum + 1 + sizeOf(segment), 0);
    }

    /** Finds the segment of a place, and the place within it: 0 is the row of the group. */
    _find(place) {
        let left = place;
        for (const segment of this.segments) {
            const size = 1 + sizeOf(segment);
            if (left < size) return [segment, left];
            left -= size;
        }
        return [null, 0];
    }

    at(place) {
        const [segment, inside] = this._find(place);
        if (!segment) return undefined;
        return inside === 0 ? segment.row : segment.rows.at(inside - 1);
    }

    rowOf(id) {
        for (const { rows } of this.segments) {
            const row = rows?.rowOf(id);
            if (row) return row;
        }
        return undefined;
    }

    idAt(place) {
        return this.at(place)?.id;
    }

    placeOf(id) {
        for (let place = 0; place < this.total; place += 1) if (this.idAt(place) === id) return place;
        return -1;
    }

    need(from, to) {
        let begin = 0;
        for (const segment of this.segments) {
            const size = sizeOf(segment);
            const [first, last] = [Math.max(from - begin - 1, 0), Math.min(to - begin - 1, size)];
            if (size && first < last) segment.rows.need(first, last);
            begin += 1 + size;
            if (begin >= to) return;
        }
    }

    show(columns) {
        this.columns = columns;
        for (const { rows } of this.segments) rows?.show(columns);
    }

    take(event) {
        for (const { rows } of this.segments) rows?.take({ ...event, added: [] });
        for (const id of event.added) this.added.add(id);
        if (event.added.length) this._changed();
    }

    async reread(ids) {
        for (const { rows } of this.segments) rows?.reread(ids?.filter((id) => rows.placeOf(id) >= 0));
    }

    close() {
        for (const { rows } of this.segments) rows?.close();
    }
}

const sizeOf = ({ row, rows }) => (row.isOpen && rows ? rows.total : 0);

/** Draws a cell of a group's row. `grouped` has the fields and the metric of the grouping. */
export function drawGroup(name, row, grouped, onFold) {
    const { group, isOpen } = row;
    if (name === "name") {
        const values = grouped.fields.map(({ path }) => [path, describe(group.config, path)]);
        const label = values.map(([, text]) => text).join(" · ");
        const long = values.map((pair) => pair.join(" = ")).join(", ");
        return html`<button class="fold" aria-expanded=${isOpen ? "true" : "false"} title=${visible(long)}
            onClick=${() => onFold(row.key)}>
            <${Icon} name=${isOpen ? "chevron-down" : "chevron-right"} size=${14} />
            <bdi class="clip">${visible(label)}</bdi>
            <span class="faint">${plural(group.count, "run")}</span></button>`;
    }
    const field = grouped.fields.find((one) => one.field === name);
    if (field) return html`<b>${describe(group.config, field.path)}</b>`;
    return name === grouped.metric ? drawMean(group) : null;
}

const describe = (config, path) => (path in config ? value(config[path]) || "null" : "(none)");

function drawMean({ mean, std, min, max, finite, nan_count: nans, infinite_count: infinite }) {
    const bad = nans + infinite;
    const lost = bad > 0 && html` <span class="special" title=${`${count(bad)} NaN or infinite`}>!</span>`;
    if (mean === null) return html`<span class="special">${nans ? "NaN" : "∞"}</span>`;
    const title = `mean ${exact(mean)} of ${count(finite)}, from ${exact(min)} to ${exact(max)}`;
    return html`<span title=${title}><b>${number(mean)}</b>${
        std !== null &&
        html` <span class="soft">± ${spread(std)}</span
        >`
    }${lost}</span>`;
}

/** A spread has two significant digits; more would pretend. */
const spread = (std) => number(Number(std.toPrecision(2)));
