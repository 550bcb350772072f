-- Named views of the page.

-- A view of the page that a user gave a name: the address that restores it. One that was deleted or renamed leaves its
-- row, so that a copy of the file can learn of it.
CREATE TABLE page_view (
    name TEXT PRIMARY KEY,
    path TEXT NOT NULL,             -- path, query and fragment of the address; it begins with /
    changed_at TEXT NOT NULL,       -- when it was last saved, deleted or renamed
    deleted_at TEXT,                -- when it was deleted or renamed; NULL: it was not
    checksum INTEGER NOT NULL       -- hash of the row
) STRICT, WITHOUT ROWID;

-- One row for each named view of the page.
CREATE VIEW page_views AS
SELECT v.name, v.path, v.changed_at
FROM page_view AS v
WHERE v.deleted_at IS NULL;
