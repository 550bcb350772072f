/**
 * The rows of a query, read where the table needs them.
 * Invariants: the order is frozen when the query is opened; rows never jump under the hand. Runs that came
 * later are counted, and shown when the person asks. Blocks of 100 rows are read; a request for rows that are
 * out of sight again is dropped.
 */
import { signal } from "../vendor/ui.js";
import { get, getBinary, wasAborted } from "../api.js";

const BLOCK = 100;
const REQUESTS = 3; // At one time. The server reads with two threads.
const CHANGED_MS = 400;

export class RunRows {
    /**
     * `query` is {where: [text], order: [text]}; `onChange` is called when rows came or changed. So does the
     * signal `stamp`, which the table alone follows: most often nothing else looks different.
     */
    constructor(query, columns, onChange, onError) {
        this.query = query;
        this.columns = columns;
        this.onChange = onChange;
        this.onError = onError;
        this.total = 0;
        this.stamp = signal(0);
        this.version = null;
        this.openedAt = null; // The version of which the order is.
        this.added = new Set();
        this._index = null;
        this._rows = new Map(); // By row id.
        this._fresh = new Set(); // Blocks that have the columns of now.
        this._loading = new Map(); // Block -> AbortController.
        this._wanted = [0, 0];
        this._changed = new Set();
        this._abort = new AbortController();
    }

    /** Reads the first block and the count; then the index of all. Fails as the request does. */
    async open(signal) {
        const found = await get("/api/runs", { ...this.query, columns: this.columns, size: BLOCK }, signal);
        this.total = found.total;
        this.version = found.version;
        this.openedAt = found.version;
        this._index = Uint32Array.from(found.row_ids);
        found.row_ids.forEach((id, place) => this._rows.set(id, withId(found.rows[place], id, 0)));
        this._fresh.add(0);
        return this;
    }

    /** Reads the order of all runs, if the first block is not all of them. */
    async readIndex() {
        if (this._index.length >= this.total) return;
        try {
            const { buffer } = await getBinary("/api/runs/index", this.query, this._abort.signal);
            const index = new Uint32Array(buffer);
            const first = this._index;
            if (first.some((id, place) => id !== index[place])) this._fresh.clear();
            this._index = index;
            this.total = index.length;
            this._changedNow();
            this.need(...this._wanted);
        } catch (error) {
            this._fail(error);
        }
    }

    close() {
        this._abort.abort();
        clearTimeout(this._timer);
        for (const abort of this._loading.values()) abort.abort();
    }

    /** The row at a place; undefined while it is not read, and `gone` if the run is no more. */
    at(place) {
        return this._rows.get(this._index[place]);
    }

    /** The row of a run; undefined if it was not read. */
    rowOf(id) {
        return this._rows.get(id);
    }

    idAt(place) {
        return this._index[place];
    }

    /** The place of a run in the order, or -1. */
    placeOf(id) {
        return this._index.indexOf(id);
    }

    /** All row ids in order; null until they are read. */
    get ids() {
        return this._index.length >= this.total ? this._index : null;
    }

    /** Lets rows from one place up to another be read, if they are not. */
    need(from, to) {
        this._wanted = [from, to];
        const blocks = this._blocks();
        for (const [block, abort] of this._loading) {
            if (!blocks.includes(block)) {
                abort.abort();
                this._loading.delete(block);
            }
        }
        for (const block of blocks) {
            if (this._loading.size >= REQUESTS) return;
            if (!this._fresh.has(block) && !this._loading.has(block)) this._read(block);
        }
    }

    /** Reads other columns from now on; what was read stays until they come. */
    show(columns) {
        if (columns.every((name) => this.columns.includes(name))) return;
        this.columns = columns;
        this._fresh.clear();
        for (const abort of this._loading.values()) abort.abort();
        this._loading.clear();
        this.need(...this._wanted);
    }

    /** Takes what the archive says about its runs since. */
    take({ added, changed, removed }) {
        for (const id of added) if (!this._rows.has(id)) this.added.add(id);
        for (const id of [...changed, ...removed]) if (this._rows.has(id)) this._changed.add(id);
        if (added.length) this._changedNow();
        if (this._changed.size && !this._timer) {
            this._timer = setTimeout(() => {
                this._timer = null;
                this.reread([...this._changed]);
                this._changed.clear();
            }, CHANGED_MS);
        }
    }

    /** Reads some rows anew; without ids all that are in sight. */
    async reread(ids = null) {
        if (ids === null) {
            this._fresh.clear();
            this.need(...this._wanted);
            return;
        }
        for (let from = 0; from < ids.length; from += BLOCK) {
            const some = ids.slice(from, from + BLOCK);
            try {
                this._keep(some, await this._ask(some, this._abort.signal));
            } catch (error) {
                this._fail(error);
                return;
            }
        }
    }

    _blocks() {
        const last = Math.min(this._wanted[1], this._index.length) - 1;
        const blocks = [];
        for (let block = Math.floor(this._wanted[0] / BLOCK); block <= last / BLOCK; block += 1)
            blocks.push(block);
        return blocks;
    }

    _ask(ids, signal) {
        return get("/api/runs/rows", { ids: ids.join(","), columns: this.columns }, signal);
    }

    async _read(block) {
        const abort = new AbortController();
        this._loading.set(block, abort);
        const ids = [...this._index.subarray(block * BLOCK, (block + 1) * BLOCK)];
        try {
            const found = await this._ask(ids, abort.signal);
            this._loading.delete(block);
            this._fresh.add(block);
            this._keep(ids, found);
            this.need(...this._wanted);
        } catch (error) {
            if (this._loading.get(block) === abort) this._loading.delete(block);
            this._fail(error);
        }
    }

    _keep(ids, found) {
        this.version = found.version;
        ids.forEach((id, place) => {
            const row = found.rows[place];
            const gone = { ...this._rows.get(id), id, gone: true };
            this._rows.set(id, row ? withId(row, id, this.stamp.peek()) : gone);
        });
        this._changedNow();
    }

    _changedNow() {
        this.stamp.value += 1;
        this.onChange();
    }

    _fail(error) {
        if (!wasAborted(error)) this.onError(error);
    }
}

/** `revision` tells one reading of a row from another. */
const withId = (row, id, revision) => Object.assign(row, { id, revision });
