/**
 * Answers the questions that the server of the page answers, by the same addresses, over the archive in memory.
 * What cannot be answered without the server is an error that says so.
 */
import { HANDLERS as ARTIFACTS } from "./artifacts.js";
import { HANDLERS as COMPARISON } from "./comparison.js";
import { HANDLERS as COMPLETION } from "./completion.js";
import { HANDLERS as FILE } from "./file.js";
import { HANDLERS as MEDIA } from "./media.js";
import { HANDLERS as RUN } from "./run.js";
import { HANDLERS as RUNS } from "./runs.js";
import { HANDLERS as SERIES } from "./series.js";
import { HANDLERS as SQL } from "./sql.js";
import { HANDLERS as STUDIES } from "./studies.js";
import { HANDLERS as SUMMARY } from "./summary.js";
import { withLimit } from "./database.js";
import { Problem } from "./problem.js";
import { Question } from "./question.js";
import { writeAnswer } from "./values.js";

const ALL = [ARTIFACTS, COMPARISON, COMPLETION, FILE, MEDIA, RUN, RUNS, SERIES, SQL, STUDIES, SUMMARY];
const ROUTES = ALL.flat().map(([path, handle]) => ({ ...compilePath(path), handle }));

/** Makes a pattern of a path: `{name}` is one part of it, `{name:path}` takes the rest. */
function compilePath(path) {
    const names = [...path.matchAll(/\{(\w+)(?::path)?\}/g)].map(([, name]) => name);
    const pattern = path.replace(/\{\w+:path\}/g, "(.+)").replace(/\{\w+\}/g, "([^/]+)");
    return { names, pattern: new RegExp(`^${pattern}$`, "s") };
}

function find(path) {
    for (const { names, pattern, handle } of ROUTES) {
        const match = pattern.exec(path);
        if (!match) continue;
        const parts = match.slice(1).map(decodeURIComponent);
        return { handle, parts: Object.fromEntries(names.map((name, place) => [name, parts[place]])) };
    }
    const why = "this page has no server, so it cannot answer that; open the archive by 'exptrack ui'";
    throw new Problem("NotAvailable", why);
}

/** Answers a question: {json}, {buffer}, or {error}. `body` is what was posted, or null. */
export async function answer(url, body = null) {
    try {
        const [path, query = ""] = url.split(/\?(.*)/s);
        const { handle, parts } = find(path);
        const found = await withLimit(() => handle(new Question(query, parts), body));
        if (found.buffer) return found;
        return { json: writeAnswer({ version: "export", ...found }) };
    } catch (error) {
        const problem = error instanceof Problem ? error : new Problem("ArchiveError", describe(error));
        return { error: problem.describe() };
    }
}

/** Says what SQLite or the engine says is wrong. */
const describe = (error) =>
    `the archive cannot answer that: ${error.message.replace(/^.*sqlite3 result code \d+: /, "")}`;
