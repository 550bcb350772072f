/**
 * The worker of the exported page. Messages to it are {id, start}, {id, open, about} and {id, url, body}; each
 * is answered by {id, …}: {json}, {buffer}, {opened} or {error}.
 */
import { answer, openFile, startEngine } from "./engine.js";
import { Problem } from "./problem.js";

async function handle({ start, open, about, url, body }) {
    if (start) {
        await startEngine(start);
        return { started: true };
    }
    return open ? { opened: openFile(open, about) } : answer(url, body);
}

function describe(error) {
    const problem =
        error instanceof Problem ? error : new Problem("ArchiveError", String(error.message ?? error));
    return { error: problem.describe() };
}

// One after the other: SQLite has one connection.
let last = Promise.resolve();
self.addEventListener("message", ({ data }) => {
    last = last.then(async () => {
        const found = await handle(data).catch(describe);
        self.postMessage({ id: data.id, ...found }, found.buffer ? [found.buffer] : []);
    });
});
