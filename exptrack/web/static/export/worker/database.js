/**
 * Holds the archive in memory and asks it by SQL. SQLite runs as WebAssembly.
 * Invariants: the copy in memory is read-only, and every statement is bounded in time. Values are bound, never
 * written into SQL. Whole numbers beyond 2^53 are BigInt.
 */
import start from "../../vendor/sqlite.js";
import { Problem } from "./problem.js";

const MAGIC = "SQLite format 3\0";
const APPLICATION = 0x45585054; // "EXPT"
const WAL = 2;
const PAGE_OF_JOURNAL = 1; // what bytes 18 and 19 of the header say of a file without a write-ahead log
const LOOK_EVERY = 20_000; // instructions of SQLite's machine
const LIMIT_MS = 30_000;
const SMALL = 2n ** 53n;

let sqlite = null;
let database = null;
let deadline = Infinity;
let readers = null; // The functions of SQLite that read a cell, called without a wrapper.
const decoder = new TextDecoder();

/** Loads SQLite, whose WebAssembly is given. */
export async function startSqlite(wasm) {
    globalThis.sqlite3ApiConfig = { disable: { vfs: { opfs: true, "opfs-wl": true, "opfs-sahpool": true } } };
    const quiet = () => {};
    sqlite = await start({ wasmBinary: wasm, print: quiet, printErr: quiet });
    readers = sqlite.wasm.exports;
}

/** What the header of a file says: whether it is an archive, its format, and whether it has the WAL mark. */
export function readHeader(bytes) {
    const isSqlite = bytes.length >= 100 && decoder.decode(bytes.subarray(0, 16)) === MAGIC;
    if (!isSqlite) return { isArchive: false, format: 0, hasWal: false };
    const view = new DataView(bytes.buffer, bytes.byteOffset, 100);
    return {
        isArchive: view.getUint32(68) === APPLICATION && view.getUint32(60) > 0,
        format: view.getUint32(60),
        hasWal: bytes[18] === WAL,
    };
}

/** Opens an archive whose bytes are given. */
export function openArchive(bytes) {
    const { capi, wasm, oo1 } = sqlite;
    const place = readers.sqlite3_malloc64(BigInt(bytes.length));
    if (!place)
        throw new Problem("MemoryError", `there is no room for ${bytes.length} bytes; close other tabs`);
    wasm.heap8u().set(bytes, place);
    // A database with the mark of a write-ahead log does not open from memory.
    wasm.heap8u().set([PAGE_OF_JOURNAL, PAGE_OF_JOURNAL], place + 18);
    const flags = capi.SQLITE_DESERIALIZE_FREEONCLOSE | capi.SQLITE_DESERIALIZE_READONLY;
    database = new oo1.DB(":memory:", "c");
    const size = BigInt(bytes.length);
    const code = capi.sqlite3_deserialize(database.pointer, "main", place, size, size, flags);
    database.checkRc(code);
    database.exec("PRAGMA trusted_schema = OFF; PRAGMA query_only = ON");
    const look = () => (performance.now() > deadline ? 1 : 0);
    capi.sqlite3_progress_handler(database.pointer, LOOK_EVERY, look, 0);
    try {
        value("SELECT count(*) FROM sqlite_schema");
    } catch (error) {
        throw new Problem("ArchiveCorruptError", `the file cannot be read: ${error.message}`);
    }
}

/** Calls `work`; every statement in it together may take this long. */
export function withLimit(work, limitMs = LIMIT_MS) {
    deadline = performance.now() + limitMs;
    try {
        return work();
    } catch (error) {
        const stopped = sqlite.capi.SQLITE_INTERRUPT;
        if (error.resultCode !== stopped) throw error;
        const seconds = Math.round(limitMs / 1000);
        throw new Problem("QueryStoppedError", `it took more than ${seconds} seconds; ask for less`, 504);
    } finally {
        deadline = Infinity;
    }
}

function readText(statement, place) {
    const from = readers.sqlite3_column_text(statement, place);
    const size = readers.sqlite3_column_bytes(statement, place);
    return decoder.decode(sqlite.wasm.heap8u().subarray(from, from + size));
}

function readBlob(statement, place) {
    const from = readers.sqlite3_column_blob(statement, place);
    const size = readers.sqlite3_column_bytes(statement, place);
    return sqlite.wasm.heap8u().slice(from, from + size);
}

function readWhole(statement, place) {
    const found = readers.sqlite3_column_int64(statement, place);
    return found >= -SMALL && found <= SMALL ? Number(found) : found;
}

function readCell(statement, place) {
    switch (readers.sqlite3_column_type(statement, place)) {
        case 1:
            return readWhole(statement, place);
        case 2:
            return readers.sqlite3_column_double(statement, place);
        case 3:
            return readText(statement, place);
        case 4:
            return readBlob(statement, place);
        default:
            return null;
    }
}

function bind(statement, place, held) {
    // As a whole number of 64 bits, a large float would be another one.
    const isLarge = typeof held === "number" && !Number.isSafeInteger(held);
    if (isLarge) sqlite.capi.sqlite3_bind_double(statement.pointer, place, held);
    else statement.bind(place, held);
}

/** Calls `take` with the values of each row, up to `most` rows. Returns the names of the columns. */
export function each(sql, values, take, most = Infinity) {
    const statement = database.prepare(sql);
    try {
        values.forEach((held, place) => bind(statement, place + 1, held));
        const width = statement.columnCount;
        const columns = statement.getColumnNames([]);
        for (let count = 0; count < most && statement.step(); count += 1) {
            const row = new Array(width);
            for (let place = 0; place < width; place += 1) row[place] = readCell(statement.pointer, place);
            take(row);
        }
        return columns;
    } finally {
        statement.finalize();
    }
}

/** Returns every row as a list of values. */
export function rows(sql, values = []) {
    const found = [];
    each(sql, values, (row) => found.push(row));
    return found;
}

/** Returns every row as an object, by the names of the columns in SQL. */
export function records(sql, values = []) {
    const found = [];
    const columns = each(sql, values, (row) => found.push(row));
    return found.map((row) => Object.fromEntries(columns.map((name, place) => [name, row[place]])));
}

/** Returns the first row as an object, or null. */
export const record = (sql, values = []) => records(sql, values)[0] ?? null;

/** Returns the first value of the first row, or null if there is none. */
export const value = (sql, values = []) => rows(sql, values)[0]?.[0] ?? null;

/** Returns a list as the JSON text that json_each() takes. */
export const listOf = (items) => JSON.stringify([...items]);

/** Returns the text of the first statement in a text of SQL, and what the columns of its rows are called. */
export function describeStatement(sql) {
    const statement = database.prepare(sql);
    try {
        const columns = statement.columnCount ? statement.getColumnNames([]) : [];
        return { text: sqlite.capi.sqlite3_sql(statement.pointer), columns };
    } finally {
        statement.finalize();
    }
}

/** The version of SQLite. */
export const sqliteVersion = () => sqlite.version.libVersion;

/** Returns a copy of the bytes of the archive. */
export const exportArchive = () => sqlite.capi.sqlite3_js_db_export(database.pointer);
