CREATE TABLE artifact (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,       -- 1, 2, …: the same name registered again
    kind TEXT NOT NULL,             -- data, file, checkpoint, folder, image, text, table, histogram, or the caller's own
    blob INTEGER REFERENCES blob (id), -- of a folder: its manifest, JSON; NULL once removed
    hash TEXT NOT NULL,             -- of the blob; it stays when the version is removed
    is_text INTEGER NOT NULL CHECK (is_text IN (0, 1)), -- 1: UTF-8 text, handed back as text
    media_type TEXT,                -- as in HTTP, where it is known: image/png, text/csv, …
    step INTEGER,                   -- of a checkpoint, an image, …
    metadata TEXT NOT NULL,         -- JSON object
    description TEXT,               -- what a person says of it; may change
    created_at TEXT NOT NULL,
    removed_at TEXT CHECK ((removed_at IS NULL) = (blob IS NOT NULL)),
    checksum INTEGER NOT NULL,      -- CRC-32 over what was registered, the blob's hash included
    UNIQUE (run, name, version)
) STRICT;

CREATE TABLE artifact_alias (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    name TEXT NOT NULL,             -- of the artifact
    alias TEXT NOT NULL,
    version INTEGER,                -- NULL: it was removed
    set_at TEXT NOT NULL,           -- when it was set or removed
    PRIMARY KEY (run, name, alias)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifact_entry (
    artifact INTEGER NOT NULL REFERENCES artifact (id) ON DELETE CASCADE,
    path TEXT NOT NULL,             -- relative, parts separated by /
    mode INTEGER NOT NULL,          -- permission bits
    blob INTEGER REFERENCES blob (id), -- NULL: a folder
    PRIMARY KEY (artifact, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,      -- 'sha256:' and the hex digest of the whole; 'writing:…' while it is being written
    size_bytes INTEGER NOT NULL,
    list_sha256 BLOB CHECK (length(list_sha256) = 32) -- of the chunks' sha256 in order; NULL while being written
) STRICT;

CREATE TABLE blob_chunk (
    blob INTEGER NOT NULL REFERENCES blob (id) ON DELETE CASCADE,
    offset_bytes INTEGER NOT NULL,  -- where the chunk begins
    chunk INTEGER NOT NULL REFERENCES chunk (id),
    PRIMARY KEY (blob, offset_bytes)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob_writer (
    blob INTEGER NOT NULL REFERENCES blob (id) ON DELETE CASCADE,
    holder TEXT NOT NULL,           -- one intake, by chance
    host_id TEXT NOT NULL,          -- these four as in run_owner
    boot_id TEXT NOT NULL,
    pid INTEGER NOT NULL,
    pid_started TEXT NOT NULL,
    written_at TEXT NOT NULL,
    checksum INTEGER NOT NULL,      -- hash of the row
    PRIMARY KEY (blob, holder)
) STRICT, WITHOUT ROWID;

CREATE TABLE chunk (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32), -- of the raw bytes
    raw_bytes INTEGER NOT NULL CHECK (raw_bytes BETWEEN 1 AND 1048576),
    stored_bytes INTEGER NOT NULL,
    codec TEXT NOT NULL             -- 'raw'; 'zstd'; 'shuffle4+zstd': bytes sorted by their place modulo 4 first; so 2 and 8
) STRICT;

CREATE TABLE chunk_data (
    chunk INTEGER PRIMARY KEY REFERENCES chunk (id) ON DELETE CASCADE,
    data BLOB NOT NULL
) STRICT;

CREATE TABLE config_key (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE        -- dotted path; a part with a dot of its own stands in double quotes
) STRICT;

CREATE TABLE config_source (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('file', 'override', 'default', 'code', 'trial')),
    name TEXT NOT NULL,             -- file, relative to the config's folder; override; type that held it; study
    line INTEGER NOT NULL,          -- 0 where lines mean nothing
    UNIQUE (kind, name, line)
) STRICT;

CREATE TABLE config_value (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    key INTEGER NOT NULL REFERENCES config_key (id),
    type TEXT NOT NULL CHECK (type IN ('text', 'int', 'float', 'bool', 'null', 'list', 'map')),
    num REAL,                       -- int and float
    text TEXT,                      -- all others, and numbers whose 15 digits do not say them exactly
    source INTEGER REFERENCES config_source (id), -- which file or override set it, where known
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,           -- 0, 1, … in the order of happening
    happened_at TEXT NOT NULL,
    kind TEXT NOT NULL,             -- start, resume, tag, untag, note, artifact, use, fail, end, …, or the caller's own
    data TEXT NOT NULL,             -- JSON object
    late INTEGER NOT NULL CHECK (late IN (0, 1)), -- 1: the run was not running then
    checksum INTEGER NOT NULL,      -- CRC-32 of happened_at, kind and data, NUL-separated, in UTF-8
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric_check (
    series INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,
    step INTEGER NOT NULL,          -- of the first point of the block
    seq INTEGER NOT NULL,           -- of the first point of the block
    crc INTEGER NOT NULL,           -- CRC-32 over the points of the block in key order
    PRIMARY KEY (series, step, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric_journal (
    journal TEXT PRIMARY KEY,       -- the last part of its file's name
    drained INTEGER NOT NULL,       -- what lies before this address of the journal is in this file
    checksum INTEGER NOT NULL       -- hash of the row
) STRICT, WITHOUT ROWID;

CREATE TABLE metric_level (
    series INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,
    axis TEXT NOT NULL CHECK (axis IN ('step', 'time')), -- what the buckets lie along: steps, or milliseconds
    width INTEGER NOT NULL,         -- of a bucket, a power of two; bucket n begins at n times it
    buckets INTEGER NOT NULL CHECK (buckets BETWEEN 1 AND 1024), -- that have points
    points INTEGER NOT NULL,        -- the checksum that the series had when its points were read for this
    codec TEXT NOT NULL CHECK (codec IN ('raw', 'shuffle8+zstd')), -- how data is packed
    data BLOB NOT NULL,             -- the columns of the buckets; see docs/format.md
    checksum INTEGER NOT NULL,      -- CRC-32 over axis, codec, width, buckets, points and data
    PRIMARY KEY (series, axis)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric_name (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE metric_point (
    series INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    seq INTEGER NOT NULL,           -- 0, 1, …: repetitions of the same step, in the order of logging
    time_ms INTEGER NOT NULL,       -- since the run's start
    value REAL,                     -- NULL is NaN; the infinities are themselves
    PRIMARY KEY (series, step, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric_series (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    metric INTEGER NOT NULL REFERENCES metric_name (id),
    count INTEGER NOT NULL,         -- points
    nan_count INTEGER NOT NULL,     -- points that are NaN
    first_step INTEGER NOT NULL,
    first_value REAL,               -- NULL: NaN
    last_step INTEGER NOT NULL,     -- the point logged last, whatever its step
    last_value REAL,                -- NULL: NaN
    last_time_ms INTEGER NOT NULL,
    top_step INTEGER NOT NULL,      -- the largest step; an automatic step is one more
    min_step INTEGER,               -- where the minimum was reached first
    min_value REAL,                 -- NULL: every point is NaN
    max_step INTEGER,
    max_value REAL,
    value_sum REAL NOT NULL,        -- of the points that are not NaN
    completed INTEGER NOT NULL DEFAULT 0 CHECK (completed IN (0, 1)), -- 1: its run is completed
    checksum INTEGER,               -- CRC-32 over the checksums of the blocks of points, taken when the run ended
    rows_sum INTEGER NOT NULL DEFAULT 0, -- of this summary and its points
    UNIQUE (run, metric)
) STRICT;

CREATE TABLE migration (
    number INTEGER PRIMARY KEY,     -- equals the user_version it led to
    name TEXT NOT NULL,             -- file name in schema/
    sha256 TEXT NOT NULL,           -- of that file's text
    applied_at TEXT NOT NULL,
    library TEXT NOT NULL,          -- version of exptrack that applied it
    checksum INTEGER NOT NULL       -- hash of the row
) STRICT;

CREATE TABLE note (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,           -- 0, 1, … in the order of writing
    written_at TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE page_view (
    name TEXT PRIMARY KEY,
    path TEXT NOT NULL,             -- path, query and fragment of the address; it begins with /
    changed_at TEXT NOT NULL,       -- when it was last saved, deleted or renamed
    deleted_at TEXT,                -- when it was deleted or renamed; NULL: it was not
    checksum INTEGER NOT NULL       -- hash of the row
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    -- Local to this file; other files number differently. AUTOINCREMENT: the number of a deleted run is never given
    -- to another, so a handle that still has it finds no run.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL UNIQUE,    -- the public id: 9 characters of time, 7 of chance; sorts by time
    status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed', 'interrupted')),
    reason TEXT,                    -- why it failed or was interrupted
    traceback TEXT,                 -- of the exception that ended it
    name TEXT,
    group_name TEXT,                -- runs that belong together, for example one sweep
    parent_run_id TEXT,             -- the run that this one belongs to, also if this file does not have it
    external_id TEXT,               -- its name in another tracker, 'mlflow:…' or 'wandb:…'
    started_at TEXT NOT NULL,
    ended_at TEXT,                  -- NULL while running; not before started_at
    heartbeat_at TEXT NOT NULL,     -- when its process was last heard of
    duration_ms INTEGER NOT NULL DEFAULT 0, -- from start to end, and from each resumption to its end, added up
    config_hash TEXT NOT NULL,      -- SHA-256 (hex) of the canonical config
    family TEXT NOT NULL,           -- names the config without its seeds: equal for runs that differ by seed
    fingerprint TEXT NOT NULL,      -- SHA-256 (hex) of config, code and declared data: the same experiment
    host TEXT NOT NULL,
    vcs_commit TEXT,
    vcs_dirty INTEGER CHECK (vcs_dirty IN (0, 1)), -- 1: tracked files differed from the commit
    deleted_at TEXT,                -- when it was moved to the trash; NULL: it was not
    checksum TEXT,                  -- SHA-256 (hex) over the run's facts, config and series, taken at its end
    rows_sum INTEGER NOT NULL DEFAULT 0 -- of this row and the rows of all tables that name it; see docs/format.md
) STRICT;

CREATE TABLE run_attribute (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('text', 'int', 'float', 'bool', 'null', 'json', 'removed')),
    num REAL,                       -- int and float; NULL of a float: NaN
    text TEXT,                      -- all others, and numbers whose 15 digits do not say them exactly
    set_at TEXT NOT NULL,           -- when it was set or removed
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_config (
    run INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    format INTEGER NOT NULL,        -- version of the canonical form
    snapshot TEXT NOT NULL,         -- canonical JSON, ${env:…} unresolved; run.config_hash is its SHA-256
    source_files TEXT NOT NULL,     -- JSON list of the files it was composed from
    overrides TEXT NOT NULL         -- JSON list of the overrides that were applied
) STRICT;

CREATE TABLE run_environment (
    run INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    python TEXT NOT NULL,
    platform TEXT NOT NULL,
    command TEXT NOT NULL,          -- JSON list, secrets replaced by ***
    script TEXT,                    -- main script, relative to its repository
    vcs_branch TEXT,
    vcs_remote TEXT,                -- without credentials
    code_digest TEXT NOT NULL,      -- SHA-256 (hex) of commit, changed and untracked code, or of the script
    system TEXT NOT NULL,           -- JSON object
    variables TEXT NOT NULL,        -- JSON object: an allow-list of environment variables
    data_references TEXT NOT NULL   -- JSON object: name to the reference the caller declared
) STRICT;

CREATE TABLE run_group (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL,       -- when it was last made, moved to the trash, restored or renamed
    deleted_at TEXT,                -- when it was moved to the trash or renamed; NULL: it was not
    rows_sum INTEGER NOT NULL DEFAULT 0 -- of this row and its attributes
) STRICT;

CREATE TABLE run_group_attribute (
    run_group INTEGER NOT NULL REFERENCES run_group (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('text', 'int', 'float', 'bool', 'null', 'json', 'removed')),
    num REAL,                       -- as in run_attribute
    text TEXT,                      -- as in run_attribute
    set_at TEXT NOT NULL,           -- when it was set or removed
    PRIMARY KEY (run_group, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_ingest (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    source TEXT NOT NULL,           -- who sends
    sequence INTEGER NOT NULL,      -- of the newest batch that is stored; a later one has a larger number
    stored_at TEXT NOT NULL,
    PRIMARY KEY (run, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_input (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,           -- 0, 1, … in the order of use
    hash TEXT NOT NULL,             -- of the artifact's blob
    from_run_id TEXT NOT NULL,      -- the run that registered it
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    used_at TEXT NOT NULL,
    PRIMARY KEY (run, seq),
    UNIQUE (run, from_run_id, name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_owner (
    run INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    host_id TEXT NOT NULL,          -- digest of node name, machine id and pid namespace
    boot_id TEXT NOT NULL,          -- changes with every boot: pids from before mean nothing
    pid INTEGER NOT NULL,
    pid_started TEXT NOT NULL,      -- start time of that pid: a recycled pid has another
    -- Seconds without a heartbeat after which the run counts as dead. NULL: it is dead when its process is.
    lease_s REAL CHECK (lease_s > 0)
) STRICT;

CREATE TABLE run_tag (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    added_at TEXT NOT NULL,
    PRIMARY KEY (run, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE seal (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    format INTEGER NOT NULL,        -- version of the digest
    library TEXT NOT NULL,          -- version of exptrack that sealed it
    sealed_at TEXT NOT NULL,
    row_counts TEXT NOT NULL,       -- JSON object: table to number of rows
    content TEXT NOT NULL,          -- SHA-256 (hex) of what the file says, whatever its row ids
    points TEXT NOT NULL,           -- SHA-256 (hex) over all points
    checksum INTEGER NOT NULL       -- hash of the row
) STRICT;

CREATE TABLE study (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,       -- what tells it from a study of the same name in another file; made as a run_id
    name TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    settings TEXT NOT NULL,         -- JSON object: sampler, pruner, limits, base config; of a sweep also its plan and command
    rows_sum INTEGER NOT NULL DEFAULT 0 -- of this row, its objectives, attributes and the numbers of its trials
) STRICT;

CREATE TABLE study_attribute (
    id INTEGER PRIMARY KEY,         -- grows in the order of setting
    study INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
    scope TEXT NOT NULL CHECK (scope IN ('user', 'system')),
    name TEXT NOT NULL,
    value TEXT NOT NULL,            -- JSON
    UNIQUE (study, scope, name)
) STRICT;

CREATE TABLE study_objective (
    study INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,      -- 0 for the only or first objective
    direction TEXT NOT NULL CHECK (direction IN ('minimize', 'maximize')),
    metric TEXT,                    -- name of the metric it is, where one is
    PRIMARY KEY (study, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE trial (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,       -- made as a run_id; sorts as the numbers of its study do
    study INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,        -- 0, 1, … within the study
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'complete', 'pruned', 'fail')),
    run_id TEXT,                    -- its run, also if this file does not have it
    started_at TEXT,
    ended_at TEXT,                  -- set when it is complete, pruned or failed; not before started_at
    duration_ms INTEGER,            -- from start to end
    heartbeat_at TEXT,
    reason TEXT,                    -- why it failed
    owner TEXT,                     -- JSON: its process and its command's, as in run_owner; NULL unless running
    rows_sum INTEGER NOT NULL DEFAULT 0, -- of this row, its params, values, reports and attributes
    UNIQUE (study, number)
) STRICT;

CREATE TABLE trial_attribute (
    id INTEGER PRIMARY KEY,         -- grows in the order of setting
    trial INTEGER NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    scope TEXT NOT NULL CHECK (scope IN ('user', 'system')),
    name TEXT NOT NULL,
    value TEXT NOT NULL,            -- JSON
    UNIQUE (trial, scope, name)
) STRICT;

CREATE TABLE trial_param (
    trial INTEGER NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,      -- 0, 1, … in the order of suggestion
    name TEXT NOT NULL,
    value REAL,                     -- as the sampler sees it: a number, or the index of a choice; NULL is NaN
    type TEXT NOT NULL,             -- of what the objective saw: null, bool, int, float, text, other
    num REAL,                       -- that, of int and float; NULL of a float: NaN
    text TEXT,                      -- that, of bool, text and other; true and false; others as JSON; of an int beyond 2^53
    distribution TEXT NOT NULL,     -- JSON: the range or the choices it was drawn from
    PRIMARY KEY (trial, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE trial_report (
    id INTEGER PRIMARY KEY,         -- grows in the order of reporting
    trial INTEGER NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    value REAL,                     -- intermediate value; NULL is NaN
    UNIQUE (trial, step)
) STRICT;

CREATE TABLE trial_value (
    id INTEGER PRIMARY KEY,
    trial INTEGER NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,      -- which objective
    value REAL NOT NULL,
    UNIQUE (trial, position)
) STRICT;

CREATE TABLE user_view (
    name TEXT PRIMARY KEY,
    fields TEXT NOT NULL,           -- JSON list
    checksum INTEGER NOT NULL       -- hash of the row
) STRICT, WITHOUT ROWID;

CREATE INDEX artifact_alias_by_name ON artifact_alias (name, alias, set_at) WHERE version IS NOT NULL;

CREATE INDEX artifact_by_blob ON artifact (blob, run) WHERE blob IS NOT NULL;

CREATE INDEX artifact_by_name ON artifact (name, created_at) WHERE blob IS NOT NULL;

CREATE INDEX artifact_entry_by_blob ON artifact_entry (blob, artifact) WHERE blob IS NOT NULL;

CREATE INDEX blob_chunk_by_chunk ON blob_chunk (chunk);

CREATE INDEX blob_writer_by_holder ON blob_writer (holder);

CREATE INDEX config_value_by_num ON config_value (key, num) WHERE num IS NOT NULL;

CREATE INDEX config_value_by_source ON config_value (source) WHERE source IS NOT NULL;

CREATE INDEX config_value_by_text ON config_value (key, text, num) WHERE text IS NOT NULL;

CREATE INDEX metric_series_by_last ON metric_series (metric, last_value, run) WHERE completed = 1;

CREATE INDEX metric_series_by_max ON metric_series (metric, max_value, run) WHERE completed = 1;

CREATE INDEX metric_series_by_min ON metric_series (metric, min_value, run) WHERE completed = 1;

CREATE INDEX metric_series_failed_by_last ON metric_series (metric, last_value, run)
WHERE completed = 0 AND checksum IS NOT NULL;

CREATE INDEX metric_series_failed_by_max ON metric_series (metric, max_value, run)
WHERE completed = 0 AND checksum IS NOT NULL;

CREATE INDEX metric_series_failed_by_min ON metric_series (metric, min_value, run)
WHERE completed = 0 AND checksum IS NOT NULL;

CREATE INDEX metric_series_live ON metric_series (metric, run) WHERE completed = 0 AND checksum IS NULL;

CREATE INDEX run_attribute_by_num ON run_attribute (key, num) WHERE num IS NOT NULL;

CREATE INDEX run_attribute_by_text ON run_attribute (key, text, num) WHERE text IS NOT NULL;

CREATE INDEX run_by_config ON run (config_hash);

CREATE INDEX run_by_deletion ON run (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE INDEX run_by_end ON run (status, ended_at);

CREATE UNIQUE INDEX run_by_external_id ON run (external_id) WHERE external_id IS NOT NULL;

CREATE INDEX run_by_family ON run (family);

CREATE INDEX run_by_fingerprint ON run (fingerprint);

CREATE INDEX run_by_group ON run (group_name, started_at) WHERE group_name IS NOT NULL;

CREATE INDEX run_by_name ON run (name, started_at) WHERE name IS NOT NULL;

CREATE INDEX run_by_parent ON run (parent_run_id) WHERE parent_run_id IS NOT NULL;

CREATE INDEX run_by_start ON run (started_at);

CREATE INDEX run_by_status ON run (status, started_at);

CREATE INDEX run_environment_by_script ON run_environment (script) WHERE script IS NOT NULL;

CREATE INDEX run_input_by_hash ON run_input (hash);

CREATE INDEX run_input_by_origin ON run_input (from_run_id, name, version);

CREATE INDEX run_tag_by_tag ON run_tag (tag, run);

CREATE INDEX trial_by_run ON trial (run_id) WHERE run_id IS NOT NULL;

CREATE INDEX trial_by_state ON trial (study, state, number);

CREATE VIEW about AS
SELECT
    'exptrack archive: runs of experiments with their configs, metrics and artifacts' AS file,
    (SELECT max(m.number) FROM migration AS m) AS format, -- equals PRAGMA user_version
    'docs/format.md in the source of exptrack, the Python package exptrack-archive' AS described_in;

CREATE VIEW artifact_aliases AS
SELECT r.run_id, a.name, a.alias, a.version, a.set_at
FROM artifact_alias AS a
JOIN run AS r ON r.id = a.run
WHERE a.version IS NOT NULL AND r.deleted_at IS NULL;

CREATE VIEW artifact_files AS
SELECT r.run_id, a.name, a.version, e.path, e.mode, b.hash, b.size_bytes
FROM artifact_entry AS e
JOIN blob AS b ON b.id = e.blob
JOIN artifact AS a ON a.id = e.artifact
JOIN run AS r ON r.id = a.run
WHERE r.deleted_at IS NULL;

CREATE VIEW artifacts AS
SELECT
    r.run_id,
    a.name,
    a.version,
    a.kind,
    a.step,
    a.media_type,
    b.hash,
    b.size_bytes,                           -- of a folder: of its manifest; its files are in artifact_files
    a.metadata,
    a.description,
    a.created_at,
    CAST(EXISTS (
        SELECT 1 FROM artifact AS o WHERE o.blob = a.blob AND o.run <> a.run
    ) AS BIGINT) AS shared                  -- 1: another run holds the same bytes
FROM artifact AS a
JOIN blob AS b ON b.id = a.blob
JOIN run AS r ON r.id = a.run
WHERE r.deleted_at IS NULL;

CREATE VIEW attributes AS
SELECT
    r.run_id,
    a.key,
    a.type,
    CASE
        WHEN a.text IS NOT NULL THEN a.text
        WHEN a.type = 'int' THEN CAST(CAST(a.num AS BIGINT) AS TEXT)
        WHEN a.type = 'float' AND a.num IS NULL THEN 'nan'
        WHEN a.type = 'float' THEN CAST(a.num AS TEXT)
        ELSE 'null'
    END AS value,                           -- every value as text
    a.num,                                  -- numbers: compare these
    a.text,                                 -- text, true and false, lists and maps as JSON
    a.set_at
FROM run_attribute AS a
JOIN run AS r ON r.id = a.run
WHERE a.type <> 'removed' AND r.deleted_at IS NULL;

CREATE VIEW configs AS
SELECT
    r.run_id,
    k.key,
    v.type,
    CASE
        WHEN v.text IS NOT NULL THEN v.text
        WHEN v.type = 'int' THEN CAST(CAST(v.num AS BIGINT) AS TEXT)
        WHEN v.type = 'float' THEN CAST(v.num AS TEXT)
        ELSE 'null'
    END AS value,                           -- every value as text
    v.num,                                  -- numbers: compare these
    v.text,                                 -- text, true and false, lists and maps as JSON
    s.kind AS source_kind,
    s.name AS source_name,
    s.line AS source_line
FROM config_value AS v
JOIN config_key AS k ON k.id = v.key
JOIN run AS r ON r.id = v.run
LEFT JOIN config_source AS s ON s.id = v.source
WHERE r.deleted_at IS NULL;

CREATE VIEW events AS
SELECT r.run_id, e.seq, e.happened_at, e.kind, e.data, e.late
FROM event AS e
JOIN run AS r ON r.id = e.run
WHERE r.deleted_at IS NULL;

CREATE VIEW groups AS
SELECT
    g.name,
    (SELECT count(*) FROM run AS r WHERE r.group_name = g.name AND r.deleted_at IS NULL) AS runs,
    g.created_at
FROM run_group AS g
WHERE g.deleted_at IS NULL;

CREATE VIEW inputs AS
SELECT r.run_id, i.name, i.version, i.hash, i.from_run_id, i.used_at
FROM run_input AS i
JOIN run AS r ON r.id = i.run
WHERE r.deleted_at IS NULL;

CREATE VIEW lineage AS
SELECT
    r.run_id,
    a.name,
    a.version,
    b.hash,
    i.from_run_id,
    i.name AS from_name,
    i.version AS from_version,
    i.hash AS from_hash
FROM run_input AS i
JOIN run AS r ON r.id = i.run
JOIN artifact AS a ON a.run = i.run
JOIN blob AS b ON b.id = a.blob
WHERE r.deleted_at IS NULL;

CREATE VIEW metrics AS
SELECT
    r.run_id,
    n.name,
    s.count,
    s.nan_count,
    s.first_step,
    s.first_value AS first,                 -- NULL: NaN, here and in last
    s.last_step,
    s.last_value AS last,
    s.min_step,
    s.min_value AS min,                     -- of the points that are not NaN, as max and mean
    s.max_step,
    s.max_value AS max,
    s.value_sum / NULLIF(s.count - s.nan_count, 0) AS mean,
    s.completed,                            -- 1: the run is completed; ranking reads an index only with completed = 1
    r.family
FROM metric_series AS s
JOIN metric_name AS n ON n.id = s.metric
JOIN run AS r ON r.id = s.run
WHERE r.deleted_at IS NULL;

CREATE VIEW notes AS
SELECT r.run_id, n.seq, n.written_at, n.text
FROM note AS n
JOIN run AS r ON r.id = n.run
WHERE r.deleted_at IS NULL;

CREATE VIEW page_views AS
SELECT v.name, v.path, v.changed_at
FROM page_view AS v
WHERE v.deleted_at IS NULL;

CREATE VIEW point_times AS
SELECT
    r.run_id,
    n.name,
    p.step,
    p.seq,
    p.value,                                -- NULL: NaN
    strftime('%Y-%m-%d %H:%M:%f', r.started_at, (p.time_ms / 1000.0) || ' seconds') AS logged_at
FROM metric_point AS p
JOIN metric_series AS s ON s.id = p.series
JOIN metric_name AS n ON n.id = s.metric
JOIN run AS r ON r.id = s.run
WHERE r.deleted_at IS NULL;

CREATE VIEW points AS
SELECT
    r.run_id,
    n.name,
    p.step,
    p.seq,
    p.value,                                -- NULL: NaN
    CASE WHEN p.value IS NULL THEN 'nan' WHEN p.value IN (9e999, -9e999) THEN 'infinite' ELSE 'finite' END AS kind,
    p.time_ms / 1000.0 AS time_s            -- since the run's start
FROM metric_point AS p
JOIN metric_series AS s ON s.id = p.series
JOIN metric_name AS n ON n.id = s.metric
JOIN run AS r ON r.id = s.run
WHERE r.deleted_at IS NULL;

CREATE VIEW run_storage AS
SELECT
    r.run_id,
    u.chunks,
    u.stored_bytes,                         -- what the run's artifacts take in the file, each chunk once
    u.shared_bytes                          -- the part of it that other runs use too
FROM run AS r
JOIN (
    SELECT
        d.run,
        count(*) AS chunks,
        CAST(sum(c.stored_bytes) AS BIGINT) AS stored_bytes,
        CAST(sum(CASE WHEN EXISTS (
            SELECT 1 FROM blob_chunk AS bc
            JOIN artifact AS o ON o.blob = bc.blob
            WHERE bc.chunk = d.chunk AND o.run <> d.run
        ) OR EXISTS (
            SELECT 1 FROM blob_chunk AS bc
            JOIN artifact_entry AS e ON e.blob = bc.blob
            JOIN artifact AS o ON o.id = e.artifact
            WHERE bc.chunk = d.chunk AND o.run <> d.run
        ) THEN c.stored_bytes ELSE 0 END) AS BIGINT) AS shared_bytes
    FROM (
        SELECT a.run, bc.chunk FROM artifact AS a JOIN blob_chunk AS bc ON bc.blob = a.blob
        UNION
        SELECT a.run, bc.chunk
        FROM artifact_entry AS e
        JOIN artifact AS a ON a.id = e.artifact
        JOIN blob_chunk AS bc ON bc.blob = e.blob
    ) AS d
    JOIN chunk AS c ON c.id = d.chunk
    GROUP BY d.run
) AS u ON u.run = r.id
WHERE r.deleted_at IS NULL;

CREATE VIEW runs AS
SELECT
    r.run_id,
    r.status,
    r.name,
    r.group_name,
    r.parent_run_id,
    r.external_id,
    r.started_at,
    r.ended_at,
    r.heartbeat_at,
    r.duration_ms / 1000.0 AS duration_s,   -- of a running run: as of its last heartbeat
    r.reason,
    r.config_hash,
    r.family,
    r.fingerprint,
    r.host,
    r.vcs_commit,
    r.vcs_dirty
FROM run AS r
WHERE r.deleted_at IS NULL;

CREATE VIEW studies AS
SELECT
    s.name,
    s.created_at,
    (SELECT group_concat(o.direction, ', ') FROM study_objective AS o WHERE o.study = s.id) AS directions,
    (SELECT count(*) FROM trial AS t WHERE t.study = s.id) AS trials,
    s.settings
FROM study AS s;

CREATE VIEW tags AS
SELECT r.run_id, t.tag, t.added_at
FROM run_tag AS t
JOIN run AS r ON r.id = t.run
WHERE r.deleted_at IS NULL;

CREATE VIEW trash AS
SELECT r.run_id, r.status, r.name, r.group_name, r.started_at, r.ended_at, r.deleted_at
FROM run AS r
WHERE r.deleted_at IS NOT NULL;

CREATE VIEW trial_params AS
SELECT
    s.name AS study,
    t.number,
    t.run_id,
    p.name,
    CASE
        WHEN p.text IS NOT NULL THEN p.text
        WHEN p.type = 'int' THEN CAST(CAST(p.num AS BIGINT) AS TEXT)
        WHEN p.type = 'float' AND p.num IS NULL THEN 'nan'
        WHEN p.type = 'float' THEN CAST(p.num AS TEXT)
        ELSE 'null'
    END AS value,                           -- as the objective saw it, as text
    p.type,
    p.num,                                  -- numbers: compare these
    p.text                                  -- text, true and false, others as JSON
FROM trial_param AS p
JOIN trial AS t ON t.id = p.trial
JOIN study AS s ON s.id = t.study;

CREATE VIEW trials AS
SELECT
    s.name AS study,
    t.number,
    t.state,
    t.run_id,
    (SELECT v.value FROM trial_value AS v WHERE v.trial = t.id AND v.position = 0) AS value, -- of the first objective
    t.started_at,
    t.ended_at,
    t.duration_ms / 1000.0 AS duration_s,
    t.reason
FROM trial AS t
JOIN study AS s ON s.id = t.study;
