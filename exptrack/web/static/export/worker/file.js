/** Answers questions about the file: its sizes and counts, the trash, and the named views of the page. */
import { exportArchive, records, rows, sqliteVersion, value } from "./database.js";
import { readTrash, summarizeRuns } from "./lookup.js";
import { countRuns } from "./runs.js";
import { toIso } from "./times.js";

const LARGEST_RUNS = 500;
const HAS_LEVELS = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'metric_level'";
const LEVEL_BYTES = "SELECT coalesce(sum(length(data)), 0) FROM metric_level";
const STORAGE = `SELECT s.run_id, r.name,
    (SELECT count(*) FROM artifact AS a WHERE a.run = r.id AND a.blob IS NOT NULL) AS artifacts,
    (SELECT coalesce(sum(b.size_bytes), 0)
        FROM artifact AS a JOIN blob AS b ON b.id = a.blob WHERE a.run = r.id)
    + (SELECT coalesce(sum(b.size_bytes), 0) FROM artifact AS a JOIN artifact_entry AS e ON e.artifact = a.id
        JOIN blob AS b ON b.id = e.blob WHERE a.run = r.id) AS size_bytes,
    s.stored_bytes, s.shared_bytes
    FROM run_storage AS s JOIN run AS r ON r.run_id = s.run_id ORDER BY s.stored_bytes DESC, s.run_id`;

const PAGE_VIEWS = "SELECT name, path, changed_at FROM page_views ORDER BY name";
const HAS_PAGE_VIEWS = "SELECT count(*) FROM sqlite_schema WHERE name = 'page_views'"; // not in format 1

let about = { name: "", exptrack: "" };

/** Says what the file is called, and which exptrack made this page. */
export function setAbout(facts) {
    about = facts;
}

const describeArchive = () => ({
    path: about.name,
    name: about.name,
    can_edit: false,
    is_export: true,
    runs: countRuns(),
    exptrack: about.exptrack,
    pid: 0,
});

/** The bytes of stored levels of metrics; older formats have none. */
function countLevels() {
    return value(HAS_LEVELS) ? value(LEVEL_BYTES) : 0;
}

function showFile() {
    const page = value("PRAGMA page_size");
    const [[first, last]] = rows("SELECT min(started_at), max(started_at) FROM run WHERE deleted_at IS NULL");
    const counts = "SELECT status, count(*) FROM run WHERE deleted_at IS NULL GROUP BY status";
    const storage = records(STORAGE);
    return {
        info: {
            path: about.name,
            format: value("PRAGMA user_version"),
            library: about.exptrack,
            sqlite: sqliteVersion(),
            file_bytes: value("PRAGMA page_count") * page,
            wal_bytes: 0,
            free_bytes: value("PRAGMA freelist_count") * page,
            runs: Object.fromEntries(rows(counts)),
            rows: {},
            artifact_bytes: value(
                "SELECT coalesce(sum(b.size_bytes), 0) FROM artifact AS a JOIN blob AS b ON b.id = a.blob",
            ),
            stored_bytes: value("SELECT coalesce(sum(stored_bytes), 0) FROM chunk"),
            first_run: toIso(first),
            last_run: toIso(last),
            waiting: [],
            trashed: value("SELECT count(*) FROM run WHERE deleted_at IS NOT NULL"),
            network: "",
            sealed_at: toIso(value("SELECT sealed_at FROM seal")),
            level_bytes: countLevels(),
        },
        storage: storage.slice(0, LARGEST_RUNS),
        holders: storage.length,
    };
}

/** The archive itself, to be saved as a file. */
const sendArchive = () => ({ buffer: exportArchive().buffer, media_type: null });

function listTrash() {
    const found = readTrash();
    const runs = summarizeRuns(found);
    const trash = runs.map((run, place) => ({ run, deleted_at: toIso(found[place].deleted_at) }));
    return { trash, freed_bytes: 0 };
}

function listPageViews() {
    const found = value(HAS_PAGE_VIEWS) ? records(PAGE_VIEWS) : [];
    return { page_views: found.map((view) => ({ ...view, changed_at: toIso(view.changed_at) })) };
}

export const HANDLERS = [
    ["/api/archive", describeArchive],
    ["/api/file", showFile],
    ["/artifact/archive", sendArchive],
    ["/api/trash", listTrash],
    ["/api/page-views", listPageViews],
];
