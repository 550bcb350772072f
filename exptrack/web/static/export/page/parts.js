/** What the file of an exported page brings along besides the modules; boot.js has unpacked it. */

const { about, worker, wasm, archive } = globalThis.exptrackParts;

/** {name, exptrack, format, bytes}: the archive's name, who made the page, and what it reads. */
export const ABOUT = about;

/** The source of the worker, SQLite's WebAssembly, and the archive; null if it is not inside. */
export const WORKER = worker;
export const WASM = wasm;
export const ARCHIVE = archive;
