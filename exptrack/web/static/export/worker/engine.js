/** Starts what reads archives, opens one, and answers questions about it. */
import { answer } from "./answers.js";
import { forgetFields } from "./completion.js";
import { startZstd } from "./content.js";
import { openArchive, readHeader, startSqlite } from "./database.js";
import { setAbout } from "./file.js";
import { forgetLevels } from "./levels.js";
import { forgetPoints } from "./points.js";
import { Problem } from "./problem.js";
import { forgetSelections } from "./selection.js";

/** Starts SQLite, whose WebAssembly is given, and zstd. */
export const startEngine = (wasm) => Promise.all([startSqlite(wasm), startZstd()]);

/**
 * Opens a file: `about` has its name, the exptrack that made this page, and the newest format that it reads.
 * Returns whether the file has the mark of a write-ahead log.
 */
export function openFile(bytes, about) {
    const { isArchive, format, hasWal } = readHeader(bytes);
    if (!isArchive) throw new Problem("NotAnArchiveError", `${about.name} is not an exptrack archive`);
    if (format > about.format) {
        const known = `this page reads formats up to ${about.format}`;
        throw new Problem(
            "ArchiveTooNewError",
            `${about.name} has format ${format}, and ${known}; export it anew`,
        );
    }
    openArchive(bytes);
    setAbout(about);
    forgetFields();
    forgetLevels();
    forgetPoints();
    forgetSelections();
    return { hasWal };
}

export { answer };
