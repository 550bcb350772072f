/** What the file of an exported page brings along besides the modules; boot.js has unpacked it. */

const { icon, about, worker, wasm, archive } = globalThis.exptrackParts;

/** The icon of the page, as a data: URL. */
export const ICON = icon;

/** {name, exptrack, format, bytes, exported}: the archive's name, who made the page, and what it reads. */
export const ABOUT = about;

/** The source of the worker, SQLite's WebAssembly, and the archive; null if it is not inside. */
export const WORKER = worker;
export const WASM = wasm;
export const ARCHIVE = archive;
