/** Answers questions about artifacts: their bytes, texts, tables and files, and what was made from what. */
import { parquetReadObjects, parquetSchema, parquetMetadata } from "../../vendor/hyparquet.js";
import { findFile, readBlob, unpackZstd } from "./content.js";
import { records, rows } from "./database.js";
import { makeArtifact, readArtifactRows, readUses, resolveRun } from "./lookup.js";
import { Problem } from "./problem.js";

const TEXT_BYTES = 256 * 1024;
const TABLE_BYTES = 32 * 1024 * 1024;
const TABLE_ROWS = 1_000;
const FOLDER = "application/vnd.exptrack.folder+json";
const PARQUET = "application/vnd.apache.parquet";
const CSV = "text/csv";
const FIELD = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;

/** Finds a version of an artifact, the newest without a number. */
function findArtifact(runId, name, version) {
    const { id } = resolveRun(runId);
    const rest =
        "WHERE a.run = ?1 AND a.name = ?2 AND (?3 IS NULL OR a.version = ?3) ORDER BY a.version DESC LIMIT 1";
    const [found] = readArtifactRows(rest, [id, name, version || null]);
    if (!found) throw new Problem("ArtifactNotFoundError", `run ${runId} has no artifact '${name}'`);
    return found;
}

const findAsked = (question) =>
    findArtifact(question.require("run"), question.require("name"), question.whole("version", 0));

function sendBytes(question) {
    const row = findArtifact(question.part("run"), question.part("name"), Number(question.part("version")));
    const path = question.text("file");
    if (path === "") refuseFolder(row);
    const found = path === "" ? { blob: row.blob, size: row.size_bytes } : findFile(row.id, path);
    if (found === null) throw new Problem("ArtifactNotFoundError", `the folder has no file '${path}'`);
    const mediaType = path === "" ? row.media_type : null;
    return { buffer: readBlob(found.blob, found.size).buffer, media_type: mediaType };
}

function refuseFolder({ name, media_type: mediaType }) {
    if (mediaType !== FOLDER) return;
    throw new Problem("InvalidValueError", `artifact '${name}' is a folder; name a file in it`);
}

function readText(question) {
    const row = findAsked(question);
    refuseFolder(row);
    const content = readBlob(row.blob, row.size_bytes, TEXT_BYTES);
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(content);
    return { artifact: makeArtifact(row), text, truncated: content.length < row.size_bytes };
}

async function readTable(question) {
    const row = findAsked(question);
    if (row.kind !== "table") {
        throw new Problem("InvalidValueError", `artifact '${row.name}' is of kind ${row.kind}, not a table`);
    }
    if (row.size_bytes > TABLE_BYTES) {
        throw new Problem(
            "InvalidValueError",
            `the table '${row.name}' is too large to show; save it as a file`,
        );
    }
    const most = Math.min(question.whole("rows", 100), TABLE_ROWS);
    const content = readBlob(row.blob, row.size_bytes);
    const read = { [PARQUET]: readParquet, [CSV]: readCsv }[row.media_type];
    if (!read)
        throw new Problem("InvalidValueError", `a table is ${PARQUET} or ${CSV}, not '${row.media_type}'`);
    return { artifact: makeArtifact(row), ...(await read(content, most)) };
}

async function readParquet(content, most) {
    const file = content.buffer;
    try {
        const metadata = parquetMetadata(file);
        const total = Number(metadata.num_rows);
        const names = parquetSchema(metadata).children.map((one) => one.element.name);
        const compressors = { ZSTD: (packed, size) => unpackZstd(packed, size) };
        const found = await parquetReadObjects({
            file,
            metadata,
            rowEnd: Math.min(most, total),
            compressors,
        });
        const columns = names.map((name) => ({ name, cells: found.map((cells) => toCell(cells[name])) }));
        return { rows: total, columns };
    } catch (error) {
        throw new Problem("InvalidValueError", `the Parquet table cannot be read: ${error.message}`);
    }
}

function toCell(held) {
    if (held === undefined || held === null) return null;
    if (held instanceof Date) return held.toISOString().replace(/\.000Z$/, "Z");
    return ArrayBuffer.isView(held) && !(held instanceof Uint8Array) ? [...held] : held;
}

function readCsv(content, most) {
    const text = new TextDecoder("utf-8").decode(content);
    const lines = [];
    let line = [];
    let at = 0;
    while (at < text.length || line.length) {
        FIELD.lastIndex = at;
        const found = FIELD.exec(text);
        if (!found) throw new Problem("InvalidValueError", `the table is not CSV from character ${at} on`);
        const [, quoted, bare, end] = found;
        line.push(quoted === undefined ? bare || null : quoted.replaceAll('""', '"'));
        at = FIELD.lastIndex;
        if (end === ",") continue;
        lines.push(line);
        line = [];
    }
    const [head = [], ...body] = lines;
    const columns = head.map((name, place) => ({
        name,
        cells: body.slice(0, most).map((cells) => cells[place] ?? null),
    }));
    return { rows: body.length, columns };
}

function listFiles(question) {
    const row = findAsked(question);
    const sql = `SELECT e.path, e.mode, b.size_bytes, b.hash FROM artifact_entry AS e
        LEFT JOIN blob AS b ON b.id = e.blob WHERE e.artifact = ? ORDER BY e.path`;
    const files = rows(sql, [row.id]).map(([path, mode, bytes, hash]) => ({
        path,
        mode,
        size_bytes: bytes,
        hash,
    }));
    return { artifact: makeArtifact(row), files };
}

// What was made from what

const DATA_OF_RUN = `SELECT r.run_id, j.key AS name, j.value AS reference
    FROM run AS r CROSS JOIN run_environment AS e ON e.run = r.id, json_each(e.data_references) AS j
    WHERE r.run_id = ?`;
const inputsOf = (runId) => readUses("WHERE r.run_id = ? ORDER BY i.seq", [runId]);
const usesOf = (runId) =>
    readUses("WHERE i.from_run_id = ? AND r.deleted_at IS NULL ORDER BY i.used_at, i.run, i.seq", [runId]);

/** Lists uses and all that follow from them, the nearest first, each once. */
function follow(first, onward) {
    const found = new Map();
    const waiting = [...first];
    for (let place = 0; place < waiting.length; place += 1) {
        const use = waiting[place];
        const key = JSON.stringify(use);
        if (found.has(key)) continue;
        found.set(key, use);
        waiting.push(...onward(use));
    }
    return [...found.values()];
}

function showLineage(question) {
    const name = resolveRun(question.part("run")).run_id;
    const upstream = follow(inputsOf(name), (use) => inputsOf(use.from_run));
    const downstream = follow(usesOf(name), (use) => usesOf(use.run_id));
    const involved = [name, ...upstream.map((use) => use.from_run), ...downstream.map((use) => use.run_id)];
    const artifacts = [...new Set(involved)].flatMap((runId) =>
        readArtifactRows("WHERE r.run_id = ? ORDER BY a.name, a.version", [runId]).map(makeArtifact),
    );
    const origins = [...new Set([name, ...upstream.map((use) => use.from_run)])];
    const data = origins.flatMap((runId) => records(DATA_OF_RUN, [runId]));
    return { lineage: { subject: name, upstream, downstream, artifacts, data } };
}

export const HANDLERS = [
    ["/artifact/{run}/{version}/{name:path}", sendBytes],
    ["/api/artifact-text", readText],
    ["/api/artifact-table", readTable],
    ["/api/artifact-files", listFiles],
    ["/api/lineage/{run}", showLineage],
];
