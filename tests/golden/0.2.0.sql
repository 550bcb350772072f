PRAGMA auto_vacuum = 2;
PRAGMA application_id = 1163415636;
PRAGMA user_version = 1;
BEGIN;
CREATE TABLE migration (
    number INTEGER PRIMARY KEY,     -- equals the user_version it led to
    name TEXT NOT NULL,             -- file name in schema/
    sha256 TEXT NOT NULL,           -- of that file's text
    applied_at TEXT NOT NULL,
    library TEXT NOT NULL,          -- version of exptrack that applied it
    checksum INTEGER NOT NULL       -- hash of the row
) STRICT;
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
CREATE TABLE run_owner (
    run INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    host_id TEXT NOT NULL,          -- digest of node name, machine id and pid namespace
    boot_id TEXT NOT NULL,          -- changes with every boot: pids from before mean nothing
    pid INTEGER NOT NULL,
    pid_started TEXT NOT NULL,      -- start time of that pid: a recycled pid has another
    -- Seconds without a heartbeat after which the run counts as dead. NULL: it is dead when its process is.
    lease_s REAL CHECK (lease_s > 0)
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
CREATE TABLE run_config (
    run INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    format INTEGER NOT NULL,        -- version of the canonical form
    snapshot TEXT NOT NULL,         -- canonical JSON, ${env:…} unresolved; run.config_hash is its SHA-256
    source_files TEXT NOT NULL,     -- JSON list of the files it was composed from
    overrides TEXT NOT NULL         -- JSON list of the overrides that were applied
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
CREATE TABLE run_tag (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    added_at TEXT NOT NULL,
    PRIMARY KEY (run, tag)
) STRICT, WITHOUT ROWID;
CREATE TABLE note (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,           -- 0, 1, … in the order of writing
    written_at TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, seq)
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
CREATE TABLE run_attribute (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('text', 'int', 'float', 'bool', 'null', 'json', 'removed')),
    num REAL,                       -- int and float; NULL of a float: NaN
    text TEXT,                      -- all others, and numbers whose 15 digits do not say them exactly
    set_at TEXT NOT NULL,           -- when it was set or removed
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE metric_name (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
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
CREATE TABLE metric_point (
    series INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    seq INTEGER NOT NULL,           -- 0, 1, …: repetitions of the same step, in the order of logging
    time_ms INTEGER NOT NULL,       -- since the run's start
    value REAL,                     -- NULL is NaN; the infinities are themselves
    PRIMARY KEY (series, step, seq)
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
CREATE TABLE blob (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,      -- 'sha256:' and the hex digest of the whole; 'writing:…' while it is being written
    size_bytes INTEGER NOT NULL,
    list_sha256 BLOB CHECK (length(list_sha256) = 32) -- of the chunks' sha256 in order; NULL while being written
) STRICT;
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
CREATE TABLE artifact_entry (
    artifact INTEGER NOT NULL REFERENCES artifact (id) ON DELETE CASCADE,
    path TEXT NOT NULL,             -- relative, parts separated by /
    mode INTEGER NOT NULL,          -- permission bits
    blob INTEGER REFERENCES blob (id), -- NULL: a folder
    PRIMARY KEY (artifact, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE artifact_alias (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    name TEXT NOT NULL,             -- of the artifact
    alias TEXT NOT NULL,
    version INTEGER,                -- NULL: it was removed
    set_at TEXT NOT NULL,           -- when it was set or removed
    PRIMARY KEY (run, name, alias)
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
CREATE TABLE study (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,       -- what tells it from a study of the same name in another file; made as a run_id
    name TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    settings TEXT NOT NULL,         -- JSON object: sampler, pruner, limits, base config; of a sweep also its plan and command
    rows_sum INTEGER NOT NULL DEFAULT 0 -- of this row, its objectives, attributes and the numbers of its trials
) STRICT;
CREATE TABLE study_objective (
    study INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,      -- 0 for the only or first objective
    direction TEXT NOT NULL CHECK (direction IN ('minimize', 'maximize')),
    metric TEXT,                    -- name of the metric it is, where one is
    PRIMARY KEY (study, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE study_attribute (
    id INTEGER PRIMARY KEY,         -- grows in the order of setting
    study INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
    scope TEXT NOT NULL CHECK (scope IN ('user', 'system')),
    name TEXT NOT NULL,
    value TEXT NOT NULL,            -- JSON
    UNIQUE (study, scope, name)
) STRICT;
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
CREATE TABLE trial_value (
    id INTEGER PRIMARY KEY,
    trial INTEGER NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,      -- which objective
    value REAL NOT NULL,
    UNIQUE (trial, position)
) STRICT;
CREATE TABLE trial_report (
    id INTEGER PRIMARY KEY,         -- grows in the order of reporting
    trial INTEGER NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    value REAL,                     -- intermediate value; NULL is NaN
    UNIQUE (trial, step)
) STRICT;
CREATE TABLE trial_attribute (
    id INTEGER PRIMARY KEY,         -- grows in the order of setting
    trial INTEGER NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
    scope TEXT NOT NULL CHECK (scope IN ('user', 'system')),
    name TEXT NOT NULL,
    value TEXT NOT NULL,            -- JSON
    UNIQUE (trial, scope, name)
) STRICT;
CREATE TABLE user_view (
    name TEXT PRIMARY KEY,
    fields TEXT NOT NULL,           -- JSON list
    checksum INTEGER NOT NULL       -- hash of the row
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
DELETE FROM migration;
INSERT INTO migration VALUES (1, '0001_create_archive.sql', 'e1360e2026e3d8cc49b20a52a036002e3d29f634998eedd5157ff301ff2e637b', '2026-11-28 15:26:57.783652', '0.2.0', 8319902064214475217);
DELETE FROM run;
INSERT INTO run VALUES (1, '1m8hc8h7yqh5kzbm', 'completed', NULL, NULL, 'run 0', 'first', NULL, NULL, '2026-11-28 15:26:57.790000', '2026-11-28 15:26:58.113765', '2026-11-28 15:26:58.113765', 323, 'da7ac77be391956a41d780427b0dbdc82b435fbfcabfc5713e4c957f698ac29f', 'cfa8daa1730c2711', 'fe77b0686ef655a480d4fc35248e8957cc59e0e4d149ff4f514a8c5f35ef4c73', 'node01', '0123456789abcdef0123456789abcdef01234567', 1, NULL, 'c4ce66e0b57dec6ab0f01bd1143797fa13c3fcde7f563882c28693f2beec1987', -3596428619938857453);
INSERT INTO run VALUES (2, '1m8hc8hj5jk4xyth', 'completed', NULL, NULL, 'run 1', 'first', '1m8hc8h7yqh5kzbm', NULL, '2026-11-28 15:26:58.117000', '2026-11-28 15:26:58.142667', '2026-11-28 15:26:58.142667', 25, '0cc0495caa8ba07f08270409b411780d9d8ecfac0a940a19a59849549ac1aac0', '2ea8143b454556ed', 'e55c6a87541926d21d4e65f7e397e076eb0d35e0ada4bb5fa0f87195a7aa1710', 'node01', '0123456789abcdef0123456789abcdef01234567', 1, NULL, '1c4bf4c1e9d3df44bb30ab71c1d2715eb6b801c2dd3e9644fafdc68c76a4d17f', 9014964562530246448);
INSERT INTO run VALUES (3, '1m8hc8hk07k76qjg', 'failed', 'out of memory', NULL, 'run 2', 'first', '1m8hc8hj5jk4xyth', NULL, '2026-11-28 15:26:58.144000', '2026-11-28 15:26:58.159707', '2026-11-28 15:26:58.159707', 15, '301e57385da1af857eea67f6b1b859e4c7724d7b05cad5b451fdf37d91d06f95', '7474f803d8632738', '5a66476604691715eef9886db7f5981afc9b1443ad2fc260401f4f9973ea5083', 'node01', '0123456789abcdef0123456789abcdef01234567', 1, NULL, '9807a9e0e685401f115945a15eff5389cac701a72a724104adebe47404076fc1', 5941419228070900053);
INSERT INTO run VALUES (4, '1m8hc8hnvp2am1nc', 'completed', NULL, NULL, 'widths #0', 'widths', NULL, NULL, '2026-11-28 15:26:58.235000', '2026-11-28 15:26:58.248327', '2026-11-28 15:26:58.248327', 13, 'c9b38fa3263cc3f52f6851d05c8a8eb0cfdfe974ad42779974e6d246d9eb72a3', '14d1d51089546aab', '793d4a730006aa9752a465e0302461b7f978120964d6f0d3f1a3962fb7a7fd9d', 'node01', '0123456789abcdef0123456789abcdef01234567', 1, NULL, '2d938e3f94fd67b2f6b0241fb07d72978b88d8cabe06554982d43adb93e2aa73', 2954451183628052857);
INSERT INTO run VALUES (5, '1m8hc8hpd79e8m4g', 'completed', NULL, NULL, 'widths #1', 'widths', NULL, NULL, '2026-11-28 15:26:58.253000', '2026-11-28 15:26:58.263745', '2026-11-28 15:26:58.263745', 10, '132ee41959c9bff317f37ca05108a1c12b081a77dbbcda6411b90855bb207c3d', '64bbdf184e6b051c', 'b8a39e8b3f7cd67123e7999e62d849d3cc0d8ceca207eba100058a7d3f9b1596', 'node01', '0123456789abcdef0123456789abcdef01234567', 1, NULL, 'c43d86c9769996eddc1b25f845e1991cd6b2cd429f591b82154a572354addf84', -5642039619567696889);
INSERT INTO run VALUES (6, '1m8hc8hq0j0jgzgs', 'completed', NULL, NULL, 'long', NULL, NULL, NULL, '2026-11-28 15:26:58.272000', '2026-11-28 15:26:58.282951', '2026-11-28 15:26:58.282951', 10, '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', '4f53cda18c2baa0c', 'e6586265e948466e219b66d541f0705f1642cdfd073e307d23deb305745d2f13', 'node01', '0123456789abcdef0123456789abcdef01234567', 1, NULL, 'be090f7d2a6d3e5b55cf83c8c2a37cbd5120246507c4658437ca18d5c3a517fb', 4566155613186576706);
INSERT INTO run VALUES (7, '1m8hc8hqfgeh0hqc', 'running', NULL, NULL, 'still running', NULL, NULL, NULL, '2026-11-28 15:26:58.287000', NULL, '2026-11-28 15:26:58.294834', 7, '6638319e284a605b46305e9dc5621b40c8e5ee5c2bd7d516ee6a83b77138b95d', '51dce321c9bfa9f3', 'cf43f35c6e3401a61225ee8271f42e42093877669cfd3d17067db3fe0a6a6987', 'node01', '0123456789abcdef0123456789abcdef01234567', 1, NULL, NULL, 9102234969755645505);
DELETE FROM run_owner;
INSERT INTO run_owner VALUES (7, '115bf007722d436f', '2cf6e34c-033f-407e-932d-0cd8c42a8e65', 23275, '5427589+140728480069696', NULL);
DELETE FROM run_environment;
INSERT INTO run_environment VALUES (1, '3.11.9', 'Linux-6.1-x86_64', '["python", "train.py", "lr=0.1"]', 'train.py', 'main', 'https://example.org/lab.git', '4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f', '{"cpu_count": 8}', '{"CUDA_VISIBLE_DEVICES": "0"}', '{"train":"s3://x"}');
INSERT INTO run_environment VALUES (2, '3.11.9', 'Linux-6.1-x86_64', '["python", "train.py", "lr=0.1"]', 'train.py', 'main', 'https://example.org/lab.git', '4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f', '{"cpu_count": 8}', '{"CUDA_VISIBLE_DEVICES": "0"}', '{"train":"s3://x"}');
INSERT INTO run_environment VALUES (3, '3.11.9', 'Linux-6.1-x86_64', '["python", "train.py", "lr=0.1"]', 'train.py', 'main', 'https://example.org/lab.git', '4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f', '{"cpu_count": 8}', '{"CUDA_VISIBLE_DEVICES": "0"}', '{"train":"s3://x"}');
INSERT INTO run_environment VALUES (4, '3.11.9', 'Linux-6.1-x86_64', '["python", "train.py", "lr=0.1"]', 'train.py', 'main', 'https://example.org/lab.git', '4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f', '{"cpu_count": 8}', '{"CUDA_VISIBLE_DEVICES": "0"}', '{}');
INSERT INTO run_environment VALUES (5, '3.11.9', 'Linux-6.1-x86_64', '["python", "train.py", "lr=0.1"]', 'train.py', 'main', 'https://example.org/lab.git', '4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f', '{"cpu_count": 8}', '{"CUDA_VISIBLE_DEVICES": "0"}', '{}');
INSERT INTO run_environment VALUES (6, '3.11.9', 'Linux-6.1-x86_64', '["python", "train.py", "lr=0.1"]', 'train.py', 'main', 'https://example.org/lab.git', '4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f', '{"cpu_count": 8}', '{"CUDA_VISIBLE_DEVICES": "0"}', '{}');
INSERT INTO run_environment VALUES (7, '3.11.9', 'Linux-6.1-x86_64', '["python", "train.py", "lr=0.1"]', 'train.py', 'main', 'https://example.org/lab.git', '4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f', '{"cpu_count": 8}', '{"CUDA_VISIBLE_DEVICES": "0"}', '{}');
DELETE FROM run_config;
INSERT INTO run_config VALUES (1, 1, '{"big":1152921504606846977,"lr":0.1,"opt":{"betas":[0.9,0.99],"name":"adam"}}', '[]', '[]');
INSERT INTO run_config VALUES (2, 1, '{"big":1152921504606846977,"lr":0.2,"opt":{"betas":[0.9,0.99],"name":"adam"}}', '[]', '[]');
INSERT INTO run_config VALUES (3, 1, '{"big":1152921504606846977,"lr":0.30000000000000004,"opt":{"betas":[0.9,0.99],"name":"adam"}}', '[]', '[]');
INSERT INTO run_config VALUES (4, 1, '{"act":"tanh","lr":0.1001029373356104}', '[]', '[]');
INSERT INTO run_config VALUES (5, 1, '{"act":"relu","lr":0.183104735291918}', '[]', '[]');
INSERT INTO run_config VALUES (6, 1, '{}', '[]', '[]');
INSERT INTO run_config VALUES (7, 1, '{"live":true,"lr":0.5}', '[]', '[]');
DELETE FROM config_key;
INSERT INTO config_key VALUES (1, 'lr');
INSERT INTO config_key VALUES (2, 'opt.name');
INSERT INTO config_key VALUES (3, 'opt.betas');
INSERT INTO config_key VALUES (4, 'big');
INSERT INTO config_key VALUES (5, 'act');
INSERT INTO config_key VALUES (6, 'live');
DELETE FROM config_source;
INSERT INTO config_source VALUES (1, 'code', 'dict', 0);
INSERT INTO config_source VALUES (2, 'trial', 'widths', 0);
DELETE FROM config_value;
INSERT INTO config_value VALUES (1, 1, 'float', 0.1, NULL, 1);
INSERT INTO config_value VALUES (1, 2, 'text', NULL, 'adam', 1);
INSERT INTO config_value VALUES (1, 3, 'list', NULL, '[0.9,0.99]', 1);
INSERT INTO config_value VALUES (1, 4, 'int', 1.152921504606847e+18, '1152921504606846977', 1);
INSERT INTO config_value VALUES (2, 1, 'float', 0.2, NULL, 1);
INSERT INTO config_value VALUES (2, 2, 'text', NULL, 'adam', 1);
INSERT INTO config_value VALUES (2, 3, 'list', NULL, '[0.9,0.99]', 1);
INSERT INTO config_value VALUES (2, 4, 'int', 1.152921504606847e+18, '1152921504606846977', 1);
INSERT INTO config_value VALUES (3, 1, 'float', 0.30000000000000004, '0.30000000000000004', 1);
INSERT INTO config_value VALUES (3, 2, 'text', NULL, 'adam', 1);
INSERT INTO config_value VALUES (3, 3, 'list', NULL, '[0.9,0.99]', 1);
INSERT INTO config_value VALUES (3, 4, 'int', 1.152921504606847e+18, '1152921504606846977', 1);
INSERT INTO config_value VALUES (4, 1, 'float', 0.1001029373356104, '0.1001029373356104', 2);
INSERT INTO config_value VALUES (4, 5, 'text', NULL, 'tanh', 2);
INSERT INTO config_value VALUES (5, 1, 'float', 0.183104735291918, NULL, 2);
INSERT INTO config_value VALUES (5, 5, 'text', NULL, 'relu', 2);
INSERT INTO config_value VALUES (7, 1, 'float', 0.5, NULL, 1);
INSERT INTO config_value VALUES (7, 6, 'bool', NULL, 'true', 1);
DELETE FROM run_tag;
INSERT INTO run_tag VALUES (1, 'smoke', '2026-11-28 15:26:57.790000');
INSERT INTO run_tag VALUES (1, 'tag0', '2026-11-28 15:26:57.790000');
INSERT INTO run_tag VALUES (2, 'tag1', '2026-11-28 15:26:58.117000');
INSERT INTO run_tag VALUES (3, 'smoke', '2026-11-28 15:26:58.144000');
INSERT INTO run_tag VALUES (3, 'tag2', '2026-11-28 15:26:58.144000');
INSERT INTO run_tag VALUES (7, 'live', '2026-11-28 15:26:58.287000');
DELETE FROM note;
INSERT INTO note VALUES (1, 0, '2026-11-28 15:26:57.800569', 'the labels of epoch 0 are wrong');
INSERT INTO note VALUES (2, 0, '2026-11-28 15:26:58.124264', 'the labels of epoch 1 are wrong');
INSERT INTO note VALUES (3, 0, '2026-11-28 15:26:58.148956', 'the labels of epoch 2 are wrong');
INSERT INTO note VALUES (7, 0, '2026-11-28 15:26:58.293358', 'watch this one');
DELETE FROM event;
INSERT INTO event VALUES (1, 0, '2026-11-28 15:26:57.790000', 'start', '{"name":"run 0","tags":["smoke","tag0"],"config_hash":"da7ac77be391956a41d780427b0dbdc82b435fbfcabfc5713e4c957f698ac29f"}', 0, 794065620);
INSERT INTO event VALUES (1, 1, '2026-11-28 15:26:57.800569', 'note', '{"characters":31}', 0, 878012012);
INSERT INTO event VALUES (1, 2, '2026-11-28 15:26:57.801134', 'milestone', '{"epoch":0,"words":["a","b"]}', 0, 830083160);
INSERT INTO event VALUES (1, 3, '2026-11-28 15:26:57.814846', 'artifact', '{"name":"words","version":1,"hash":"sha256:6bd88e1783b96d975dc5fda2341892e32968e5445e9161baee3ecee656c05185"}', 0, 2311520168);
INSERT INTO event VALUES (1, 4, '2026-11-28 15:26:57.815696', 'artifact', '{"name":"weights","version":1,"hash":"sha256:0da7755f513b1bfbddee31624a1569863e685383ec7b7a27dc01542e8c8df9b0"}', 0, 3315922711);
INSERT INTO event VALUES (1, 5, '2026-11-28 15:26:57.819102', 'artifact', '{"name":"tree","version":1,"hash":"sha256:9eb59bf1abe6980252788aabe26c88dd6cdd28e61b9205331867a8af3061d7c2"}', 0, 2308139645);
INSERT INTO event VALUES (1, 6, '2026-11-28 15:26:57.819673', 'alias', '{"name":"weights","alias":"best","version":1}', 0, 547948224);
INSERT INTO event VALUES (1, 7, '2026-11-28 15:26:57.820227', 'describe', '{"name":"weights","version":1,"characters":20}', 0, 1455003006);
INSERT INTO event VALUES (1, 8, '2026-11-28 15:26:58.111038', 'artifact', '{"name":"rows","version":1,"hash":"sha256:131a2592d1085886231ca452a39d75e5a90635a890be43478a7962c61ffd463f"}', 0, 1561267237);
INSERT INTO event VALUES (1, 9, '2026-11-28 15:26:58.114112', 'end', '{"status":"completed","reason":null}', 0, 936366785);
INSERT INTO event VALUES (2, 0, '2026-11-28 15:26:58.117000', 'start', '{"name":"run 1","tags":["smoke","tag1"],"config_hash":"0cc0495caa8ba07f08270409b411780d9d8ecfac0a940a19a59849549ac1aac0"}', 0, 2077579582);
INSERT INTO event VALUES (2, 1, '2026-11-28 15:26:58.124264', 'note', '{"characters":31}', 0, 650218442);
INSERT INTO event VALUES (2, 2, '2026-11-28 15:26:58.124802', 'milestone', '{"epoch":1,"words":["a","b"]}', 0, 3431112839);
INSERT INTO event VALUES (2, 3, '2026-11-28 15:26:58.126013', 'artifact', '{"name":"words","version":1,"hash":"sha256:bd39531e8d14ca46e904f21814d8a01c1470dcb1fb26049658cc41c5a2716829"}', 0, 1983608817);
INSERT INTO event VALUES (2, 4, '2026-11-28 15:26:58.126889', 'artifact', '{"name":"weights","version":1,"hash":"sha256:965d8d4493507f0f8685570edecc9db08369d5e782d5fcb0be4beb70c1117e8c"}', 0, 362926525);
INSERT INTO event VALUES (2, 5, '2026-11-28 15:26:58.128895', 'artifact', '{"name":"tree","version":1,"hash":"sha256:9eb59bf1abe6980252788aabe26c88dd6cdd28e61b9205331867a8af3061d7c2"}', 0, 479346123);
INSERT INTO event VALUES (2, 6, '2026-11-28 15:26:58.129383', 'alias', '{"name":"weights","alias":"best","version":1}', 0, 585281301);
INSERT INTO event VALUES (2, 7, '2026-11-28 15:26:58.129840', 'describe', '{"name":"weights","version":1,"characters":20}', 0, 3281716547);
INSERT INTO event VALUES (2, 8, '2026-11-28 15:26:58.133834', 'artifact', '{"name":"rows","version":1,"hash":"sha256:131a2592d1085886231ca452a39d75e5a90635a890be43478a7962c61ffd463f"}', 0, 2149809424);
INSERT INTO event VALUES (2, 9, '2026-11-28 15:26:58.136419', 'use', '{"hash":"sha256:6bd88e1783b96d975dc5fda2341892e32968e5445e9161baee3ecee656c05185","from_run":"1m8hc8h7yqh5kzbm","name":"words","version":1}', 0, 901903207);
INSERT INTO event VALUES (2, 10, '2026-11-28 15:26:58.137282', 'artifact', '{"name":"words","version":2,"hash":"sha256:ebfa015966891a400bf353bdf8ef30444a71b1751e2808ef6c014db34d168d85"}', 0, 3761505381);
INSERT INTO event VALUES (2, 11, '2026-11-28 15:26:58.138005', 'artifact-removed', '{"name":"words","version":1}', 0, 4206748387);
INSERT INTO event VALUES (2, 12, '2026-11-28 15:26:58.140676', 'untag', '{"tag":"smoke"}', 0, 2830825354);
INSERT INTO event VALUES (2, 13, '2026-11-28 15:26:58.142818', 'end', '{"status":"completed","reason":null}', 0, 591796844);
INSERT INTO event VALUES (3, 0, '2026-11-28 15:26:58.144000', 'start', '{"name":"run 2","tags":["smoke","tag2"],"config_hash":"301e57385da1af857eea67f6b1b859e4c7724d7b05cad5b451fdf37d91d06f95"}', 0, 3774239909);
INSERT INTO event VALUES (3, 1, '2026-11-28 15:26:58.148956', 'note', '{"characters":31}', 0, 3407250003);
INSERT INTO event VALUES (3, 2, '2026-11-28 15:26:58.149382', 'milestone', '{"epoch":2,"words":["a","b"]}', 0, 2175180413);
INSERT INTO event VALUES (3, 3, '2026-11-28 15:26:58.150211', 'artifact', '{"name":"words","version":1,"hash":"sha256:1814090ac7e4fe23a05824a3f6eed68ea3804e967359444713f113a0abc2a699"}', 0, 4016847182);
INSERT INTO event VALUES (3, 4, '2026-11-28 15:26:58.151035', 'artifact', '{"name":"weights","version":1,"hash":"sha256:23c61805e187b5463aab014785990e7f7db0028c85a6abeeaf76cca27e5c676f"}', 0, 146430374);
INSERT INTO event VALUES (3, 5, '2026-11-28 15:26:58.152915', 'artifact', '{"name":"tree","version":1,"hash":"sha256:9eb59bf1abe6980252788aabe26c88dd6cdd28e61b9205331867a8af3061d7c2"}', 0, 2422612045);
INSERT INTO event VALUES (3, 6, '2026-11-28 15:26:58.153365', 'alias', '{"name":"weights","alias":"best","version":1}', 0, 1801860860);
INSERT INTO event VALUES (3, 7, '2026-11-28 15:26:58.153816', 'describe', '{"name":"weights","version":1,"characters":20}', 0, 774064667);
INSERT INTO event VALUES (3, 8, '2026-11-28 15:26:58.157538', 'artifact', '{"name":"rows","version":1,"hash":"sha256:131a2592d1085886231ca452a39d75e5a90635a890be43478a7962c61ffd463f"}', 0, 3438061062);
INSERT INTO event VALUES (3, 9, '2026-11-28 15:26:58.158249', 'use', '{"hash":"sha256:ebfa015966891a400bf353bdf8ef30444a71b1751e2808ef6c014db34d168d85","from_run":"1m8hc8hj5jk4xyth","name":"words","version":2}', 0, 1021193025);
INSERT INTO event VALUES (3, 10, '2026-11-28 15:26:58.159855', 'fail', '{"reason":"out of memory"}', 0, 3094364462);
INSERT INTO event VALUES (3, 11, '2026-11-28 15:26:58.159955', 'end', '{"status":"failed","reason":"out of memory"}', 0, 2096505903);
INSERT INTO event VALUES (4, 0, '2026-11-28 15:26:58.235000', 'start', '{"name":"widths #0","tags":[],"config_hash":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}', 0, 388729329);
INSERT INTO event VALUES (4, 1, '2026-11-28 15:26:58.248482', 'end', '{"status":"completed","reason":null}', 0, 3093320878);
INSERT INTO event VALUES (5, 0, '2026-11-28 15:26:58.253000', 'start', '{"name":"widths #1","tags":[],"config_hash":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}', 0, 3188219685);
INSERT INTO event VALUES (5, 1, '2026-11-28 15:26:58.263940', 'end', '{"status":"completed","reason":null}', 0, 1733705514);
INSERT INTO event VALUES (6, 0, '2026-11-28 15:26:58.272000', 'start', '{"name":"long","tags":[],"config_hash":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}', 0, 1366430227);
INSERT INTO event VALUES (6, 1, '2026-11-28 15:26:58.283204', 'end', '{"status":"completed","reason":null}', 0, 775944506);
INSERT INTO event VALUES (7, 0, '2026-11-28 15:26:58.287000', 'start', '{"name":"still running","tags":["live"],"config_hash":"6638319e284a605b46305e9dc5621b40c8e5ee5c2bd7d516ee6a83b77138b95d"}', 0, 950573459);
INSERT INTO event VALUES (7, 1, '2026-11-28 15:26:58.293358', 'note', '{"characters":14}', 0, 1231412193);
DELETE FROM run_attribute;
INSERT INTO run_attribute VALUES (1, 'best', 'float', 0.5, NULL, '2026-11-28 15:26:57.820518');
INSERT INTO run_attribute VALUES (1, 'gone', 'removed', NULL, NULL, '2026-11-28 15:26:57.821112');
INSERT INTO run_attribute VALUES (1, 'note', 'text', NULL, 'slow', '2026-11-28 15:26:57.820518');
INSERT INTO run_attribute VALUES (1, 'steps', 'int', 1.152921504606847e+18, '1152921504606846977', '2026-11-28 15:26:57.820518');
INSERT INTO run_attribute VALUES (1, 'worst', 'float', NULL, NULL, '2026-11-28 15:26:57.820518');
INSERT INTO run_attribute VALUES (2, 'best', 'float', 0.5, NULL, '2026-11-28 15:26:58.130231');
INSERT INTO run_attribute VALUES (2, 'gone', 'removed', NULL, NULL, '2026-11-28 15:26:58.130738');
INSERT INTO run_attribute VALUES (2, 'note', 'text', NULL, 'slow', '2026-11-28 15:26:58.130231');
INSERT INTO run_attribute VALUES (2, 'steps', 'int', 1.152921504606847e+18, '1152921504606846977', '2026-11-28 15:26:58.130231');
INSERT INTO run_attribute VALUES (2, 'worst', 'float', NULL, NULL, '2026-11-28 15:26:58.130231');
INSERT INTO run_attribute VALUES (3, 'best', 'float', 0.5, NULL, '2026-11-28 15:26:58.154218');
INSERT INTO run_attribute VALUES (3, 'gone', 'removed', NULL, NULL, '2026-11-28 15:26:58.154713');
INSERT INTO run_attribute VALUES (3, 'note', 'text', NULL, 'slow', '2026-11-28 15:26:58.154218');
INSERT INTO run_attribute VALUES (3, 'steps', 'int', 1.152921504606847e+18, '1152921504606846977', '2026-11-28 15:26:58.154218');
INSERT INTO run_attribute VALUES (3, 'worst', 'float', NULL, NULL, '2026-11-28 15:26:58.154218');
DELETE FROM run_group;
INSERT INTO run_group VALUES (1, 'first', '2026-11-28 15:26:57.790000', '2026-11-28 15:26:57.790000', NULL, -4398017335423789761);
INSERT INTO run_group VALUES (2, 'empty', '2026-11-28 15:26:58.164326', '2026-11-28 15:26:58.164834', '2026-11-28 15:26:58.164834', -4842324779581190407);
INSERT INTO run_group VALUES (3, 'widths', '2026-11-28 15:26:58.235000', '2026-11-28 15:26:58.235000', NULL, -8930292372849397633);
DELETE FROM run_group_attribute;
INSERT INTO run_group_attribute VALUES (1, 'owner', 'text', NULL, 'ada', '2026-11-28 15:26:58.269590');
DELETE FROM run_ingest;
INSERT INTO run_ingest VALUES (1, 'worker', 0, '2026-11-28 15:26:57.823071');
INSERT INTO run_ingest VALUES (2, 'worker', 1, '2026-11-28 15:26:58.131856');
INSERT INTO run_ingest VALUES (3, 'worker', 2, '2026-11-28 15:26:58.155705');
DELETE FROM metric_name;
INSERT INTO metric_name VALUES (1, 'loss');
INSERT INTO metric_name VALUES (2, 'acc');
INSERT INTO metric_name VALUES (3, 'x');
DELETE FROM metric_series;
INSERT INTO metric_series VALUES (1, 1, 1, 14, 0, 0, 1.0, 20, 0.25, 31, 20, 11, 0.08333333333333333, 0, 1.0, 3.476667467210678, 1, 1077241711, -6419179785448272631);
INSERT INTO metric_series VALUES (2, 1, 2, 13, 0, 0, 0.0, 20, 1.0, 31, 20, 0, 0.0, 20, 1.0, 5.620000000000001, 1, 1112868778, -6948119305143634492);
INSERT INTO metric_series VALUES (3, 2, 1, 14, 0, 0, 0.5, 20, 0.25, 13, 20, 11, 0.07692307692307693, 0, 0.5, 2.5535905441337556, 1, 2953672929, -5592133919229032098);
INSERT INTO metric_series VALUES (4, 2, 2, 13, 0, 0, 0.0, 20, 1.0, 13, 20, 0, 0.0, 20, 1.0, 5.620000000000001, 1, 794073543, 7336863291382722269);
INSERT INTO metric_series VALUES (5, 3, 1, 14, 0, 0, 0.3333333333333333, 20, 0.25, 10, 20, 11, 0.07142857142857142, 0, 0.3333333333333333, 2.1250191155623264, 0, 97501676, 8472543588152375230);
INSERT INTO metric_series VALUES (6, 3, 2, 13, 0, 0, 0.0, 20, 1.0, 10, 20, 0, 0.0, 20, 1.0, 5.620000000000001, 0, 3562705042, 679431334029478836);
INSERT INTO metric_series VALUES (7, 4, 2, 3, 0, 0, 0.1001029373356104, 2, 0.1001029373356104, 11, 2, 1, 0.0333676457785368, 0, 0.1001029373356104, 0.2335735204497576, 1, 3650997772, 6026740778318429824);
INSERT INTO metric_series VALUES (8, 5, 2, 3, 0, 0, 0.183104735291918, 2, 0.183104735291918, 9, 2, 1, 0.06103491176397267, 0, 0.183104735291918, 0.4272443823478087, 1, 53234095, -3657324035537520905);
INSERT INTO metric_series VALUES (9, 6, 3, 1100, 0, 0, 0.5, 1099, 0.5, 3, 1099, 0, 0.5, 0, 0.5, 550.0, 1, 1550736483, 2745286166389216641);
INSERT INTO metric_series VALUES (10, 7, 1, 2, 0, 0, 0.987654321, 7, 0.5, 4, 7, 7, 0.5, 0, 0.987654321, 1.487654321, 0, NULL, 519650769123753689);
DELETE FROM metric_point;
INSERT INTO metric_point VALUES (1, 0, 0, 5, 1.0);
INSERT INTO metric_point VALUES (1, 1, 0, 10, 0.5);
INSERT INTO metric_point VALUES (1, 2, 0, 10, 0.3333333333333333);
INSERT INTO metric_point VALUES (1, 3, 0, 10, 0.25);
INSERT INTO metric_point VALUES (1, 3, 1, 10, 0.123456789);
INSERT INTO metric_point VALUES (1, 4, 0, 10, 0.2);
INSERT INTO metric_point VALUES (1, 5, 0, 10, 0.16666666666666666);
INSERT INTO metric_point VALUES (1, 6, 0, 10, 0.14285714285714285);
INSERT INTO metric_point VALUES (1, 7, 0, 10, 0.125);
INSERT INTO metric_point VALUES (1, 8, 0, 10, 0.1111111111111111);
INSERT INTO metric_point VALUES (1, 9, 0, 10, 0.1);
INSERT INTO metric_point VALUES (1, 10, 0, 10, 0.09090909090909091);
INSERT INTO metric_point VALUES (1, 11, 0, 10, 0.08333333333333333);
INSERT INTO metric_point VALUES (1, 20, 0, 31, 0.25);
INSERT INTO metric_point VALUES (2, 0, 0, 5, 0.0);
INSERT INTO metric_point VALUES (2, 1, 0, 10, 0.07);
INSERT INTO metric_point VALUES (2, 2, 0, 10, 0.14);
INSERT INTO metric_point VALUES (2, 3, 0, 10, 0.21000000000000002);
INSERT INTO metric_point VALUES (2, 4, 0, 10, 0.28);
INSERT INTO metric_point VALUES (2, 5, 0, 10, 0.35000000000000003);
INSERT INTO metric_point VALUES (2, 6, 0, 10, 0.42000000000000004);
INSERT INTO metric_point VALUES (2, 7, 0, 10, 0.49000000000000005);
INSERT INTO metric_point VALUES (2, 8, 0, 10, 0.56);
INSERT INTO metric_point VALUES (2, 9, 0, 10, 0.6300000000000001);
INSERT INTO metric_point VALUES (2, 10, 0, 10, 0.7000000000000001);
INSERT INTO metric_point VALUES (2, 11, 0, 10, 0.77);
INSERT INTO metric_point VALUES (2, 20, 0, 31, 1.0);
INSERT INTO metric_point VALUES (3, 0, 0, 5, 0.5);
INSERT INTO metric_point VALUES (3, 1, 0, 6, 0.3333333333333333);
INSERT INTO metric_point VALUES (3, 2, 0, 6, 0.25);
INSERT INTO metric_point VALUES (3, 3, 0, 6, 0.2);
INSERT INTO metric_point VALUES (3, 3, 1, 6, 0.123456789);
INSERT INTO metric_point VALUES (3, 4, 0, 6, 0.16666666666666666);
INSERT INTO metric_point VALUES (3, 5, 0, 6, 0.14285714285714285);
INSERT INTO metric_point VALUES (3, 6, 0, 6, 0.125);
INSERT INTO metric_point VALUES (3, 7, 0, 6, 0.1111111111111111);
INSERT INTO metric_point VALUES (3, 8, 0, 6, 0.1);
INSERT INTO metric_point VALUES (3, 9, 0, 6, 0.09090909090909091);
INSERT INTO metric_point VALUES (3, 10, 0, 6, 0.08333333333333333);
INSERT INTO metric_point VALUES (3, 11, 0, 6, 0.07692307692307693);
INSERT INTO metric_point VALUES (3, 20, 0, 13, 0.25);
INSERT INTO metric_point VALUES (4, 0, 0, 5, 0.0);
INSERT INTO metric_point VALUES (4, 1, 0, 6, 0.07);
INSERT INTO metric_point VALUES (4, 2, 0, 6, 0.14);
INSERT INTO metric_point VALUES (4, 3, 0, 6, 0.21000000000000002);
INSERT INTO metric_point VALUES (4, 4, 0, 6, 0.28);
INSERT INTO metric_point VALUES (4, 5, 0, 6, 0.35000000000000003);
INSERT INTO metric_point VALUES (4, 6, 0, 6, 0.42000000000000004);
INSERT INTO metric_point VALUES (4, 7, 0, 6, 0.49000000000000005);
INSERT INTO metric_point VALUES (4, 8, 0, 6, 0.56);
INSERT INTO metric_point VALUES (4, 9, 0, 6, 0.6300000000000001);
INSERT INTO metric_point VALUES (4, 10, 0, 6, 0.7000000000000001);
INSERT INTO metric_point VALUES (4, 11, 0, 6, 0.77);
INSERT INTO metric_point VALUES (4, 20, 0, 13, 1.0);
INSERT INTO metric_point VALUES (5, 0, 0, 2, 0.3333333333333333);
INSERT INTO metric_point VALUES (5, 1, 0, 4, 0.25);
INSERT INTO metric_point VALUES (5, 2, 0, 4, 0.2);
INSERT INTO metric_point VALUES (5, 3, 0, 4, 0.16666666666666666);
INSERT INTO metric_point VALUES (5, 3, 1, 4, 0.123456789);
INSERT INTO metric_point VALUES (5, 4, 0, 4, 0.14285714285714285);
INSERT INTO metric_point VALUES (5, 5, 0, 4, 0.125);
INSERT INTO metric_point VALUES (5, 6, 0, 4, 0.1111111111111111);
INSERT INTO metric_point VALUES (5, 7, 0, 4, 0.1);
INSERT INTO metric_point VALUES (5, 8, 0, 4, 0.09090909090909091);
INSERT INTO metric_point VALUES (5, 9, 0, 4, 0.08333333333333333);
INSERT INTO metric_point VALUES (5, 10, 0, 4, 0.07692307692307693);
INSERT INTO metric_point VALUES (5, 11, 0, 4, 0.07142857142857142);
INSERT INTO metric_point VALUES (5, 20, 0, 10, 0.25);
INSERT INTO metric_point VALUES (6, 0, 0, 2, 0.0);
INSERT INTO metric_point VALUES (6, 1, 0, 4, 0.07);
INSERT INTO metric_point VALUES (6, 2, 0, 4, 0.14);
INSERT INTO metric_point VALUES (6, 3, 0, 4, 0.21000000000000002);
INSERT INTO metric_point VALUES (6, 4, 0, 4, 0.28);
INSERT INTO metric_point VALUES (6, 5, 0, 4, 0.35000000000000003);
INSERT INTO metric_point VALUES (6, 6, 0, 4, 0.42000000000000004);
INSERT INTO metric_point VALUES (6, 7, 0, 4, 0.49000000000000005);
INSERT INTO metric_point VALUES (6, 8, 0, 4, 0.56);
INSERT INTO metric_point VALUES (6, 9, 0, 4, 0.6300000000000001);
INSERT INTO metric_point VALUES (6, 10, 0, 4, 0.7000000000000001);
INSERT INTO metric_point VALUES (6, 11, 0, 4, 0.77);
INSERT INTO metric_point VALUES (6, 20, 0, 10, 1.0);
INSERT INTO metric_point VALUES (7, 0, 0, 8, 0.1001029373356104);
INSERT INTO metric_point VALUES (7, 1, 0, 10, 0.0333676457785368);
INSERT INTO metric_point VALUES (7, 2, 0, 11, 0.1001029373356104);
INSERT INTO metric_point VALUES (8, 0, 0, 6, 0.183104735291918);
INSERT INTO metric_point VALUES (8, 1, 0, 8, 0.06103491176397267);
INSERT INTO metric_point VALUES (8, 2, 0, 9, 0.183104735291918);
INSERT INTO metric_point VALUES (9, 0, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 2, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 3, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 4, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 5, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 6, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 7, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 8, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 9, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 10, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 11, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 12, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 13, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 14, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 15, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 16, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 17, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 18, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 19, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 20, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 21, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 22, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 23, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 24, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 25, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 26, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 27, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 28, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 29, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 30, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 31, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 32, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 33, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 34, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 35, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 36, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 37, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 38, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 39, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 40, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 41, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 42, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 43, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 44, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 45, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 46, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 47, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 48, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 49, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 50, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 51, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 52, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 53, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 54, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 55, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 56, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 57, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 58, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 59, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 60, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 61, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 62, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 63, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 64, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 65, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 66, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 67, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 68, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 69, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 70, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 71, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 72, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 73, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 74, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 75, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 76, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 77, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 78, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 79, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 80, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 81, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 82, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 83, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 84, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 85, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 86, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 87, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 88, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 89, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 90, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 91, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 92, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 93, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 94, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 95, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 96, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 97, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 98, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 99, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 100, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 101, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 102, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 103, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 104, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 105, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 106, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 107, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 108, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 109, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 110, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 111, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 112, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 113, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 114, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 115, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 116, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 117, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 118, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 119, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 120, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 121, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 122, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 123, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 124, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 125, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 126, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 127, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 128, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 129, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 130, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 131, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 132, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 133, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 134, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 135, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 136, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 137, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 138, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 139, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 140, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 141, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 142, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 143, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 144, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 145, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 146, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 147, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 148, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 149, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 150, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 151, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 152, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 153, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 154, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 155, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 156, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 157, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 158, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 159, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 160, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 161, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 162, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 163, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 164, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 165, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 166, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 167, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 168, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 169, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 170, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 171, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 172, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 173, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 174, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 175, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 176, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 177, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 178, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 179, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 180, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 181, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 182, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 183, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 184, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 185, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 186, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 187, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 188, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 189, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 190, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 191, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 192, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 193, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 194, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 195, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 196, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 197, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 198, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 199, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 200, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 201, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 202, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 203, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 204, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 205, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 206, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 207, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 208, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 209, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 210, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 211, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 212, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 213, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 214, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 215, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 216, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 217, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 218, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 219, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 220, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 221, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 222, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 223, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 224, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 225, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 226, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 227, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 228, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 229, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 230, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 231, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 232, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 233, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 234, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 235, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 236, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 237, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 238, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 239, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 240, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 241, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 242, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 243, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 244, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 245, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 246, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 247, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 248, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 249, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 250, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 251, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 252, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 253, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 254, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 255, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 256, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 257, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 258, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 259, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 260, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 261, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 262, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 263, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 264, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 265, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 266, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 267, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 268, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 269, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 270, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 271, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 272, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 273, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 274, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 275, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 276, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 277, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 278, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 279, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 280, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 281, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 282, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 283, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 284, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 285, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 286, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 287, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 288, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 289, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 290, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 291, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 292, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 293, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 294, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 295, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 296, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 297, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 298, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 299, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 300, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 301, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 302, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 303, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 304, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 305, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 306, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 307, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 308, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 309, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 310, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 311, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 312, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 313, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 314, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 315, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 316, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 317, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 318, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 319, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 320, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 321, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 322, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 323, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 324, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 325, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 326, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 327, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 328, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 329, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 330, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 331, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 332, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 333, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 334, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 335, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 336, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 337, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 338, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 339, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 340, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 341, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 342, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 343, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 344, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 345, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 346, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 347, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 348, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 349, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 350, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 351, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 352, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 353, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 354, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 355, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 356, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 357, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 358, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 359, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 360, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 361, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 362, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 363, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 364, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 365, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 366, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 367, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 368, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 369, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 370, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 371, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 372, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 373, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 374, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 375, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 376, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 377, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 378, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 379, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 380, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 381, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 382, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 383, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 384, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 385, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 386, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 387, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 388, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 389, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 390, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 391, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 392, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 393, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 394, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 395, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 396, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 397, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 398, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 399, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 400, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 401, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 402, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 403, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 404, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 405, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 406, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 407, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 408, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 409, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 410, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 411, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 412, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 413, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 414, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 415, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 416, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 417, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 418, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 419, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 420, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 421, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 422, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 423, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 424, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 425, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 426, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 427, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 428, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 429, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 430, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 431, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 432, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 433, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 434, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 435, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 436, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 437, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 438, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 439, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 440, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 441, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 442, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 443, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 444, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 445, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 446, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 447, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 448, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 449, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 450, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 451, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 452, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 453, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 454, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 455, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 456, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 457, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 458, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 459, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 460, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 461, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 462, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 463, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 464, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 465, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 466, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 467, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 468, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 469, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 470, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 471, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 472, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 473, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 474, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 475, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 476, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 477, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 478, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 479, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 480, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 481, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 482, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 483, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 484, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 485, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 486, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 487, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 488, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 489, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 490, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 491, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 492, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 493, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 494, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 495, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 496, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 497, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 498, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 499, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 500, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 501, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 502, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 503, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 504, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 505, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 506, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 507, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 508, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 509, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 510, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 511, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 512, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 513, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 514, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 515, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 516, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 517, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 518, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 519, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 520, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 521, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 522, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 523, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 524, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 525, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 526, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 527, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 528, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 529, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 530, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 531, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 532, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 533, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 534, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 535, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 536, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 537, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 538, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 539, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 540, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 541, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 542, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 543, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 544, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 545, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 546, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 547, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 548, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 549, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 550, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 551, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 552, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 553, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 554, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 555, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 556, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 557, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 558, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 559, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 560, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 561, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 562, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 563, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 564, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 565, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 566, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 567, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 568, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 569, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 570, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 571, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 572, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 573, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 574, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 575, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 576, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 577, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 578, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 579, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 580, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 581, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 582, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 583, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 584, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 585, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 586, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 587, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 588, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 589, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 590, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 591, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 592, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 593, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 594, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 595, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 596, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 597, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 598, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 599, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 600, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 601, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 602, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 603, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 604, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 605, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 606, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 607, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 608, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 609, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 610, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 611, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 612, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 613, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 614, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 615, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 616, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 617, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 618, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 619, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 620, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 621, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 622, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 623, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 624, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 625, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 626, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 627, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 628, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 629, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 630, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 631, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 632, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 633, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 634, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 635, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 636, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 637, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 638, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 639, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 640, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 641, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 642, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 643, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 644, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 645, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 646, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 647, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 648, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 649, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 650, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 651, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 652, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 653, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 654, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 655, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 656, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 657, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 658, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 659, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 660, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 661, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 662, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 663, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 664, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 665, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 666, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 667, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 668, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 669, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 670, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 671, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 672, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 673, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 674, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 675, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 676, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 677, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 678, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 679, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 680, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 681, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 682, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 683, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 684, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 685, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 686, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 687, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 688, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 689, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 690, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 691, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 692, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 693, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 694, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 695, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 696, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 697, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 698, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 699, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 700, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 701, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 702, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 703, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 704, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 705, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 706, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 707, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 708, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 709, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 710, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 711, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 712, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 713, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 714, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 715, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 716, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 717, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 718, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 719, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 720, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 721, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 722, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 723, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 724, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 725, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 726, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 727, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 728, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 729, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 730, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 731, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 732, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 733, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 734, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 735, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 736, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 737, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 738, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 739, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 740, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 741, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 742, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 743, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 744, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 745, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 746, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 747, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 748, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 749, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 750, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 751, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 752, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 753, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 754, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 755, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 756, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 757, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 758, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 759, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 760, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 761, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 762, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 763, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 764, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 765, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 766, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 767, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 768, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 769, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 770, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 771, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 772, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 773, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 774, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 775, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 776, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 777, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 778, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 779, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 780, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 781, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 782, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 783, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 784, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 785, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 786, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 787, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 788, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 789, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 790, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 791, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 792, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 793, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 794, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 795, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 796, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 797, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 798, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 799, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 800, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 801, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 802, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 803, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 804, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 805, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 806, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 807, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 808, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 809, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 810, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 811, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 812, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 813, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 814, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 815, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 816, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 817, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 818, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 819, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 820, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 821, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 822, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 823, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 824, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 825, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 826, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 827, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 828, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 829, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 830, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 831, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 832, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 833, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 834, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 835, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 836, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 837, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 838, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 839, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 840, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 841, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 842, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 843, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 844, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 845, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 846, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 847, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 848, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 849, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 850, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 851, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 852, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 853, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 854, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 855, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 856, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 857, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 858, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 859, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 860, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 861, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 862, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 863, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 864, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 865, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 866, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 867, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 868, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 869, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 870, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 871, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 872, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 873, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 874, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 875, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 876, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 877, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 878, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 879, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 880, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 881, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 882, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 883, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 884, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 885, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 886, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 887, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 888, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 889, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 890, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 891, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 892, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 893, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 894, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 895, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 896, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 897, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 898, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 899, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 900, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 901, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 902, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 903, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 904, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 905, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 906, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 907, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 908, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 909, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 910, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 911, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 912, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 913, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 914, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 915, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 916, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 917, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 918, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 919, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 920, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 921, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 922, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 923, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 924, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 925, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 926, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 927, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 928, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 929, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 930, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 931, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 932, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 933, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 934, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 935, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 936, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 937, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 938, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 939, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 940, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 941, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 942, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 943, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 944, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 945, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 946, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 947, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 948, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 949, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 950, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 951, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 952, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 953, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 954, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 955, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 956, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 957, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 958, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 959, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 960, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 961, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 962, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 963, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 964, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 965, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 966, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 967, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 968, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 969, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 970, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 971, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 972, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 973, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 974, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 975, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 976, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 977, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 978, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 979, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 980, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 981, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 982, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 983, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 984, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 985, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 986, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 987, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 988, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 989, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 990, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 991, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 992, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 993, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 994, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 995, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 996, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 997, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 998, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 999, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1000, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1001, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1002, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1003, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1004, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1005, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1006, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1007, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1008, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1009, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1010, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1011, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1012, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1013, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1014, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1015, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1016, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1017, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1018, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1019, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1020, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1021, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1022, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1023, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1024, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1025, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1026, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1027, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1028, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1029, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1030, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1031, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1032, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1033, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1034, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1035, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1036, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1037, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1038, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1039, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1040, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1041, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1042, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1043, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1044, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1045, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1046, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1047, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1048, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1049, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1050, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1051, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1052, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1053, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1054, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1055, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1056, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1057, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1058, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1059, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1060, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1061, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1062, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1063, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1064, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1065, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1066, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1067, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1068, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1069, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1070, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1071, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1072, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1073, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1074, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1075, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1076, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1077, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1078, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1079, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1080, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1081, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1082, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1083, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1084, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1085, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1086, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1087, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1088, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1089, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1090, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1091, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1092, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1093, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1094, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1095, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1096, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1097, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1098, 0, 3, 0.5);
INSERT INTO metric_point VALUES (9, 1099, 0, 3, 0.5);
INSERT INTO metric_point VALUES (10, 0, 0, 3, 0.987654321);
INSERT INTO metric_point VALUES (10, 7, 0, 4, 0.5);
DELETE FROM metric_check;
INSERT INTO metric_check VALUES (9, 0, 0, 1409653119);
INSERT INTO metric_check VALUES (9, 1024, 0, 2759211870);
DELETE FROM metric_journal;
INSERT INTO metric_journal VALUES ('2428dbba', 5, 1779656604259094351);
INSERT INTO metric_journal VALUES ('85932d6f', 4, 1189622231976365056);
INSERT INTO metric_journal VALUES ('988662b3', 5, 2155584615007419058);
INSERT INTO metric_journal VALUES ('b909f3cf', 29, 4471045797943704935);
INSERT INTO metric_journal VALUES ('d2524e0a', 29, -9008864277014048656);
INSERT INTO metric_journal VALUES ('ea860e38', 29, 8515506599755345052);
DELETE FROM blob;
INSERT INTO blob VALUES (1, 'sha256:6bd88e1783b96d975dc5fda2341892e32968e5445e9161baee3ecee656c05185', 300, x'f653f01a57720f4ef7b88defb2df55bbab5ca082a00f4012369674b245ccccaf');
INSERT INTO blob VALUES (2, 'sha256:0da7755f513b1bfbddee31624a1569863e685383ec7b7a27dc01542e8c8df9b0', 900, x'719627c33c61624fe3cfb042ddf3f330a059cbd58d7b52ea20c18da07abd400f');
INSERT INTO blob VALUES (3, 'sha256:5796b30f30b55f0c047f57b32d1f0dd787dd5d5b06deb8f7111f5bcc690a6c39', 1640, x'4792ce3c3904df609de3a374ae4ce9bb096a7559b2da6a2d5e9faa8416f7542f');
INSERT INTO blob VALUES (4, 'sha256:10fc3c51a152e90e5b90319b601d92ccf37290ef53c35ff92507687d8a911a08', 2048, x'd5b3931c2c1fb7a97e894feba5e2d7a8a7e0da594296aec3c4aba8f8cbf9a988');
INSERT INTO blob VALUES (5, 'sha256:9eb59bf1abe6980252788aabe26c88dd6cdd28e61b9205331867a8af3061d7c2', 207, x'bec67c478875d7bc4bb2b7c6cfada0811e8752f4606f2bc27a5c1b86706bea8c');
INSERT INTO blob VALUES (6, 'sha256:131a2592d1085886231ca452a39d75e5a90635a890be43478a7962c61ffd463f', 757, x'589d7b3ce1d42c93188a0572f01859891c1752e09e7116d1461ae12af83fd7a2');
INSERT INTO blob VALUES (8, 'sha256:965d8d4493507f0f8685570edecc9db08369d5e782d5fcb0be4beb70c1117e8c', 900, x'525d631c53376e04d1e733f251bd18d3c38e3710523c213a453cf64179dcab9a');
INSERT INTO blob VALUES (9, 'sha256:ebfa015966891a400bf353bdf8ef30444a71b1751e2808ef6c014db34d168d85', 14, x'4eea493bb4b7ea71081b0657b2853856078bd0408bf4e684938d0e33676f5085');
INSERT INTO blob VALUES (10, 'sha256:1814090ac7e4fe23a05824a3f6eed68ea3804e967359444713f113a0abc2a699', 302, x'0ef15af0a69c99bb099164e6c506aab18c6797e98002f03bc58f83885f25a764');
INSERT INTO blob VALUES (11, 'sha256:23c61805e187b5463aab014785990e7f7db0028c85a6abeeaf76cca27e5c676f', 900, x'44aeb592f696fdc1347e748d23df79cb7ae845b20e90b32d425b57916cad90af');
INSERT INTO blob VALUES (12, 'writing:fdc34b0a3dde262c-81291ce5', 3000, NULL);
DELETE FROM chunk;
INSERT INTO chunk VALUES (1, x'6bd88e1783b96d975dc5fda2341892e32968e5445e9161baee3ecee656c05185', 300, 62, 'zstd');
INSERT INTO chunk VALUES (2, x'0da7755f513b1bfbddee31624a1569863e685383ec7b7a27dc01542e8c8df9b0', 900, 900, 'raw');
INSERT INTO chunk VALUES (3, x'5796b30f30b55f0c047f57b32d1f0dd787dd5d5b06deb8f7111f5bcc690a6c39', 1640, 62, 'zstd');
INSERT INTO chunk VALUES (4, x'10fc3c51a152e90e5b90319b601d92ccf37290ef53c35ff92507687d8a911a08', 2048, 276, 'zstd');
INSERT INTO chunk VALUES (5, x'9eb59bf1abe6980252788aabe26c88dd6cdd28e61b9205331867a8af3061d7c2', 207, 153, 'zstd');
INSERT INTO chunk VALUES (6, x'131a2592d1085886231ca452a39d75e5a90635a890be43478a7962c61ffd463f', 757, 458, 'zstd');
INSERT INTO chunk VALUES (8, x'965d8d4493507f0f8685570edecc9db08369d5e782d5fcb0be4beb70c1117e8c', 900, 900, 'raw');
INSERT INTO chunk VALUES (9, x'ebfa015966891a400bf353bdf8ef30444a71b1751e2808ef6c014db34d168d85', 14, 14, 'raw');
INSERT INTO chunk VALUES (10, x'1814090ac7e4fe23a05824a3f6eed68ea3804e967359444713f113a0abc2a699', 302, 62, 'zstd');
INSERT INTO chunk VALUES (11, x'23c61805e187b5463aab014785990e7f7db0028c85a6abeeaf76cca27e5c676f', 900, 900, 'raw');
INSERT INTO chunk VALUES (12, x'15df9aceb4b257886518f4d98c692787ef079a447556eb7485619ce0699c61f2', 3000, 3000, 'raw');
DELETE FROM chunk_data;
INSERT INTO chunk_data VALUES (1, x'28b52ffd602c00a501009402746f206265206f72206e6f7420746f2062652c207468617420697320746865207175657374696f6e0a02007ba608e4db5906');
INSERT INTO chunk_data VALUES (2, x'12d8e0411a149e3349bf80dfbcc80f6310a1c0b8ae3e7ea07f08cbd9411241c48374875733679598b40fce5f4892072235a8780ccff638892561b34658f95db3b1ede4f0f20dda7a4ac6319cfa06dfac91936e6099a9d8b2df75f21c6e14275920247bc75da0b80aa9b7abed5c073020255c72d5a7632605a2e480407d9a591b2be2a81f5c3c05b6cc8d8cbc7579c9e4284fdc0ba1cad16ecfca379db39a5e3d10259d69f1bf1063b56999e285ced24474ca95ab5c82b7589581e7ef994c2dd4cc2aa4be8882e48d81e2e90fc21f60cfd762cc145a5b3a04503c49231833c7abb41b9f50564d4114fc10be811ad4eda0041ddf2f12217f5f4970a4ae5c92d5162f10b5257ef144083f20b0ddd05e827394246e556f784af4a013730bc644c1aa456fb1f860cb01a373b0413b0c4900810892e2dc83ed068ef46aa597ffa9c374c55df42f0d8ce4eeba1839941e100ee17e747ea7d36b33fbb0e948e16a22a18a534c665905fe815c215ab8f716df7419a98f9e206860a30061e9eb1a15b56f037f15cff50542757224a3dc0ab45eeb14c6a270601026a8e1c1defe6cdac881e79227cf058509d7fa7136538bee6fd6df5dbe4c6223de1b59e11d65c3670166ce80299f4cdf3986dd3187371dbe811cb781d98b7cfa4d82ee0dee298e63b646332b3e389c30688f560609c90fe115351b88b28bdb9a30f86f5a4fc88a51051ed248b10ec4e73158a0253587ea1766192e77e7e17b2712136e3805060183073e4dd46704729d9ff341bfc8426a86379e4b63fc9a5f5eb02ced2656792ad17771a2a54fcf83b3f19488501b30c53a982fb0d3d846f51634475992ae10c68639310a5cd4d895233e8ef87b3050acfc0175c8daaea99bd1e19a48471228d9330c331d5573d2f0f80aa03b89034811cfd39b8a10f643dc544e719e2d55973143ad08dcca060ad93511eb90c6662090f0c40d7f7b36b44940d83ea261e90af734f5a541504af11a17dcf5ec9e35d57963a739b16ce0aaa0cd9a1b7655af0b9955a99e7ce08cdef77374301299a4683f4294b02f716da75e24a899e57eaff10df37e9f05b282469a0175727c6063ffbe56082994fb7018f00228982c0272ad492d4110ecc4e51d7e42f89077d0aa78c0d85390acd125e21b7deec4be2ac600574c6e8ebd27de124a985405d06e6f99b63313af61dde6665c9c5c21016db1befc60956430bce56260d320d01a2f4b3811de6b7ccdb6661f03ea1189b82e543967a26d673fc89c5f79');
INSERT INTO chunk_data VALUES (3, x'28b52ffd606805a501009402746f206265206f72206e6f7420746f2062652c207468617420697320746865207175657374696f6e0a02003732f5415e9865');
INSERT INTO chunk_data VALUES (4, x'28b52ffd6000075508000410000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff010000fd0efc6b0a');
INSERT INTO chunk_data VALUES (5, x'28b52ffd20cf850400a24b211a80276d030028432d06b1ddbe05ccc084f4d2d2924d1fd5c5a880044120f342067aaaca8418d1c15fc9eeb3b5ebe259d07ab724d78f66d953af7816e52ad5ad6dbf080694a00096860c35288c811037a7c848db939e6757afab0a1b69c1e77a7ccc8890f95d5c4cf11acdf77da7b7bee949bc807325091406793164141c1410d21806524302007090b5de2d66');
INSERT INTO chunk_data VALUES (6, x'28b52ffd60f501050e00a659583e406b9b0ec337c20551c1149da17ebe8e31a7688b69fa1d14d674078569ce323c9a26ac222806b733d1a551c4aadfd07353fb57090c345c7da122b8c9de29450047004700d1144d9eb64d0142b1d5ce954f8cd3b6b43300382222e4ba67f23ecc23b18582165ac8ce9d085889f57a1fc6f613729dedc7f608507db832486c09ef5c0dca523bb7b27d239655a12a510bcb85acd772bd732735b2362b62a0d1029d54da0a815c51a5a56c4d2a5527b5264e3232d736a5e14847c80143884946a4f55c0e42a6a3fb80265758d419494cfd04d9c5ff02d7754db8fc3f76c19ef167ff7ff931ec5e76ef4f700f7be75f70edff3dcb755dd7153b4c061a30d8b64b1355fd5ca09135a9e44007440d96ac60450f346ed0c4b9940395ed1bb6acb6299b9ad40a8500c5425169be071f602642d5f940909bd86cba8930c3f100b94d35f9c0b739c048d830fe6bd87f0c0e0dc1bb5fc19f5dc3ae7174b07b1907fbffbf73112820708239447be302b0dd92db727562a640240b969cc6da95080e6ddda5c511369d8ef672a18b795b8bd25fad85e075cee014e256ce6170c62f08fc34f56ada061ea45499c1fe4ba4070c853d464b6037627a3c8676fb63919d9d28');
INSERT INTO chunk_data VALUES (8, x'ae7eb96d277715e4ca76e1ea7ed95bfbda0e362d8a16cb35838949f45afa02b1c75a68afbd71be1e5d0536956d521d0964e386f409443790c265469a02d8342b303e09b1de0bdeca554a6ea43457f12a2ea8b98c833db78b0f78c69d475409b4462054211ca38309bb69921cdbd1a0b0c463df6a82502138824de8bd43040f87aba6f96334c38715961bc66c8a4895d9a95a7859630196d90dc3e64d820519a1b954c3d772a856d6bc0938a51ccdf82506fffc765512ec4294419c743884a84006dd4a256f988fb4e8fadccc2a9b0753dfe8ac1eafeea873944bf1bc0d2b40df3e66048091b35f3abe636bd31defd28406c67bab2c0221fb7bfb0179ffd90ce084f419f809f5a0948ebbfdb3dae3da74a1c04fbc5ae15d3f51aa1d05504a1932ade1c2b364af1b858d16f1ce7117a35c9bbed0161d255fd36502a111381b8d315ae1f463b8652853b57185aa38bc895ed9320c0073cd6a463b500a6a0173224935ddbb07063662a7142de2bc2a39aa154cd45ac493ffd03d21963985c8ec9cc1b85317f6addcc388ccc5d04d83e5a36311e508725bc9d3449ac4cd5eda8b5e331dcdf688c311b1adce9bde278ed9990d65368a495eccf4efd9d9e9f4f97b755509cf480876082b450032de2fb3c7714d454dc8f85e7970f1507cfc76520dac1f6c01a0fc339036ef76820a8c0f5a4d6e1b3e180de4b8bf2530fd7288827b285354e1cbb1f9e6c493398132fff1e85a29704a9d1db1c8550d319df23292aed83e3d351ad64d69d55e584763dd01aebb3b05e46fe89d0f5aab44dd612ae119e083bbdb8326ad5411cf3c3908883cde7aa0b22f40f14954066f01cb16b986db9d6f31a82a4733bac6c50b32238023183a208d9bc454b59daf5132732c2d2770e4d42007300f1f92763e737cb94c19a630bfd5b4c52e898c7f2d9c63d31f924d450143f0361579ec1373b560966cd46a4e3b490a52e7647496c4809d13f15bf3a4c28da029abdec4a306658426401c88ffb6a4649e7e674468bbe9bc4360332a1b84a90db3c18e5c2172f15b5683eb82f869f27e39bb0c79f98860c5339f07768c0eacc14c1cf9dcd86b1d23071650aa989f3b9509cdc0b7ac52852173f0e5eb81aa5c37068a184cbc198443d9f389b325590cc4aa3973e5a6e29f5637cd51d9e2e6d7b1e5586c05195806af0a32bb71d31421539e358a69b7be3174da9216198054a7d419fecb591fa77341c22e871671bb0bddabb0bf9ce3f39e47ce717c136d22cba9e7b4');
INSERT INTO chunk_data VALUES (9, x'7365636f6e642076657273696f6e');
INSERT INTO chunk_data VALUES (10, x'28b52ffd602e00a501009402746f206265206f72206e6f7420746f2062652c207468617420697320746865207175657374696f6e0a02007da608e4db5906');
INSERT INTO chunk_data VALUES (11, x'ce6943bbb9e8fae814003b8fba217ebc7e2d4151a58db2e34813f1080dffaa2c72137e6b3e1864a605960da76ee571348435e1321369b9fb810b883c7c8c5eb5f21c8f5ac5e7c610630835859be9e7e493645592e75480aba1c41f98be5c9de04adc814a37314d8554c3d519f5f0a1fdb56bd7157dbbce21257349d886d8ae10075a536184111227da27990c480a0763d7c1568504fb833326fc705ef89352a00e80b4221932509c0c203bc4b56ccb1d659d9f63e390fc072ff841a990fac859faf083e95390c392ad61ff7a5c1a4efd8feb2b398179bddb295f41e611a04b4678737bba7bfe97057eff0ebc1711c18435577d0d57e8c6308b2a6f265746fa12068d733d67c7ca1688cf7e569602f4eef70bbe056060029a4fabaffa01b85ec2f7735449d3c5babe17e1fbaa5b6441ecde222f5ffe5c05c8a73f3a91301deb50d60372e2a2cc44365ac5b51485f673644379887d5fb5065988d19d17cf1cb33240922a031dbcd99f4c9097ffdc6f5a975a3484b572b116423e103d13ea3f411a565af4daf8444faad455c3b2dd6f8a755798ce50382f841c3925fa0e83fab7832216de93988bd0407059eb508cfe1bef4f0794bee8dd76ca909d98a525b16061b72de8f4eb2b31d2612367a01a107c91b22d102d4aa9dd7ea6b81f7bce11a52a3bea8f07b4287e0cdd5dbf4331418d6723c87763ef21f5e2161158f96da188b89ecf70db6dcec7887a9a988b34971e595bdb8e3d6a935efc50a95b64ea02fa1fe3b93e744731238c37a6b3cac809b082c1772523338aa868ae11bf4418ed878599f2aafcd98fbe164c24c70b97bd9e0e03404dbba9943df20b831b871d448552506a8ef6b888b86cee57ab43c36dea00ad6aae5fc113121a494d3099bbc158c517e0de0015bb3b777914bcbf8627419bf8cd392eedd66bf05a73a38f226b0801b533e6b24b773e59fde0c2dc27413b7991d05d734d6a6400b28f2ce43d770637d0193d70fb409f976a07c8c99e75be04b4318790e0ba5b4458ddfb988cf0eb434ef6ff9de635e4d07ad2c1d264be643b8127a412831d2720c18dd16a0e5d04da843693841cf08aeb9cf126a6537737dbb2b526ac40f816e4135da07332afade0a930efdc8c4f2e1b0f803e86849eae4d80d20594bbd6860a31f952cc01118c33992364b9e110bd6825004bff5518b7b1bacf2c2ffebe30b9823e799707314077dcbf212ca68a0d90bea41d84814153bb84f5426c9b1735eac79eacb3be679a4997d5cc55');
INSERT INTO chunk_data VALUES (12, x'395eb19d1d743f9d96738b479f6d891c6ec9ce8d1da0ae8afd39f844dc82092dbc64056770b8c4e08f94947466f34af5b4dd481e49601381070a20f1b705bfa55b3641c4a3909eb8c3cf7046d97ce98e2eb5aee0beaae54df2322456dd703cf48b86b41dada966fb295336c486ad8b6ec4d5654f398eeed678e8ff40817db0559f2442668ae8f6f068cc75e6a2dca28a6130f1198a3fcca997194d0194ed88c82590f4338ec475b683fcc02f5e5a64b92829e1bb0db77ed9acc3f11563bf6dcfb55bf05adc67383f9bdd1840b05cbe9e6bae3ad48844caa6fc63fca85e0d051050119119348a92bcf41cb201d6615b4cc41e763630ed6ddbf98fa88d977ead36958e11b237d313fbca235bfb05f6210e3f12fbea1b147084007c69ed4e045fa16f4314ca67689dfc964791a0c19320ceeab07943b75048690c123366b965615f60a68c31a7deeaf4f3642ac6cd09516de6f971c35ebd4d5a84067b62166848df4ea606a65b194c83318c84ed1eb4bcbc10ecdb20339796b7a49168ac23faee5ba74124ef1e90b42e968b383ff7e67870721fce484e49f25a9567d034dfcc03674c098dc28a1406d9f9d2c4dc84dd076b5eb9affd6c1b50422c2eb87d1265a6cc16aa8be987ae443385b4f1d207c8ddc296bd7a418df47376ddc563657d75309b0733574c18a4ca0970a6f2bbf354dee7005200c0b5ce8149947134cf9f95242e9a9708eb021127c557254149a6ebd145a11491d48b8c06398880f8ef36a5d6161a60f06292f4d68ec842c6662e4f72e182319aa17ea65ffd8d7aed79172c2be69b06886e7d4e89bc35931550ffd8f9e317452e70416e392effebdc862857949f456bd951e2770eb7338a2acded2c236b85e6e1c05bc6a9fec276602e598cf5a97418edc42f393bf8da417d979ad8e44aa4f66aad87b8d93b0d3bc7bc25db445951673ffb1182197df0d03044f474347e031886bc41e9b4290137749675db4ebacdaa790d1bcb1eb4a46882ae8b5b58d6f3bfc16699a4cb2866d8e1785f7f06a4b532c938c4cfde39aaf7a63cd07f25361cd8063113b7f21a222ce91d81b202ba128a2dff5e14992399438dd14c7c9d5f9fe77f517c150afa516289a3951c20f5c76e6a16142ab1bc15a33c829f9232d16952db7ba8e7f36c81f4b56274f7a0f0c8102b728f432f8210230e3e3d46a5b38617f8d62d35efb878c0f954eb69568d672e61e2af35a31e39313dcf0f8ec886dbbfc60b4ecde9db161fef9cfb11e6d95f96aede8cac58c709149cc84d3c128b19aa1356d0f525edb9e077d1c1f5ef287ba29aba87fc6c882591fa0d2d359c0b0f419a96e02bc0f0ea0b4e1922e43643d8c78dc8605494cc5ab9c70521fd7a23c3aad1925fa26751add9eb63e2f9dfd1defddc7c0cbe7f437315435a6308057c529c55203d248991dd64341f023ab831880ebd826cb8e00dc630a73733bba4189441ef9dd17f81f957c1c44f7440722d456b95ab80ff763d778d017172ab9958947a392a776fbecb9a66950e7af8512c02c8297fc73d3b1664b7c54e32d0d079097929d86c1b8025e4e20438418cd040ff1dc56de42a4cc0ecdb68215b9509bd39a42ba6cf2984b23702e94cdbe2234e9e5ae69d654b085722293d660bb8c76deb4cf1fd3c7695c55e2f8f50ea2c92ec9f274646ea76db25caf2f06b2d163da87762b255642725aeb3aee5371a796f8904e1e71cd95a410dda431ce5872d7965a848deb9c34d60a1ec1f797921bc871e0118b1a7481c39e2983b1d3c060a1606065908ba23ad66b96d536ec87ac92ae312ad3bd076f710ac9e95e8d79571f6380e0edbfdc014b3827754ad9f79e586352cbf7353ab593fb224cc3574be510dcdfb0d222e3945ba8e874015db86bf5c9ad3f79bdd7a5c1384e0f45ac7a9936a1b2c3b0a8d09635e79b69c7481dd85922bec0ead74364416290997fed7028628d3a1da8538c2a098ec4f977c306b92a322aba150ab388f468c3080e8f482a01c9b58840990d2e51f7f5a88c48ca4d9236117c2057b4b65aef47e2ceb061d8169a02b9de51d5375e1ce89f96f1f72fef9127f4c39f742567359297922a5d035a4349f17750feb3a048579b78d57f7f7ad72545143142b388387ce4bf07f5aaa42d55f6749ec2aa62b567d58554cb03e3f77ca0989f71d7c76c9eb663a0236bbeacba5e77b177f83c5617fbba262e9bacc242f81430a65947c4dd8a5d205a53a8d90288c6c75a8746d54c4eec288757ceeb90d05f1cbad2117ace6ee08020a511415bc7fcf010f767ba33ee618be51c5da35aa4eebca4b53854c9b93c4ebfb2ccffee812dce0f1e13b1563aaf47c8d7b0a62cf9cd9de4ec0b89cec744d04721b6596d2111e32d31f1753ba2c5595929d54d75ede06c16bf0a254689def14bc146640bb7c2e19aadb2f59c45430d7553d0929b84179e13ee7cce41de391b0147e401d0d1ed10d35462ca2904430655dbe04e2d12a3a8071bde1e5815438f6fddba9d9f790792a1c676b936a15488d4b5f47a31c6fa269bc426cdb4acab5af14fc4422f167347c1c2d539481fa0fcf57056b911c31a9c6493836c67a98a8d8dcaba234354847f5927ec37675f12f18b4e702d3d07c410dba3d95f34762055c9419ae8a9cc97d2621042d77b49a108dc337e9d4756c3b0d987502233c9d266f47b09e5468a3b9cfe1af7f41e1d3cd20d8da0eb3d5dde04aae1730107af10080b8d567eb1103ef0ed9b0f2e17d21ad3bd28251e63822b94ed286ae846d14f07e154869929293cfc0845cd3b0d0f1a738d2cbe99ea953b4688f8d89c163d1852c4a8ff16cc3e15b40f4692bb6736a71015e34d372d202bb2d890672f74fabebc8db4ed2435b5d930d2b1f1fc7e8ac290dbfbd35f27402a48963f77e3191752246b7b740929b3cc20db0f8cf7715661c43c918179e00c08b996db04e73a8f82bc12db95658f12e0c550ef4a6729a22d1ac55d8c776dd6e291339e21f3c3c2716755b4c8192949ed6f4da21bd31df83cdb39794c10e1be3c49b7ba3626124591e4fd41f93a868f00c5d90bff36c1bdd55b3489ceb25ea616fd65872323a2269ddb7064384ab1869b391aec14bff06205aebf8959b7e95934a6e3be9a6ebc60825a1c7a1e724fef61fca69e3ecbb42f5c8ea2f9c7fb2b5a031498faa98820e24a06f774f4e740380fbd085bc4a4cdd9ebd9e305230af3fb30c4f68e237701ee697a6f3d524914dc37b82186d2ac54f94e24aea64e9bfcd6d90e4439e4470182bff3047ff4771cab895866949db1a45bce1b91d53fb6672b794dadc6c9ed68bec9993b277ff87031001357c83d20956700911b1a82f977d1dfe8eba9aded0fb50db59a597d26889f034bb442f829e4913a500e4700c103b2bdddc622d53b3b57d2f66cb43875da5c90a85ed5f825ebaef339c5d9e2eebd1d001f0f6fc9c6200522cc49462d510e176361457814111144ffc400362ca3f3417c2e263a8aada86a2162aef6cf35407373ba97b13c0b2edc4f2a9ac01e748a7db7fd523a8e1f1ff0d483849e1a2ae79af0e4341d57092392ccf6cd7ea7a9b1e111dcaacd148a1941a57996c6eab71426733fcd7e58d220b5db462afed757f15a612830a9525f1593b019270200ff825acd7ba783e846f3e6261716b45d394c71270cc83a89996968e0152b816e2183fd7e1b98571ab7592426d8f79d5a7866fdbb606b4339be7ea6c3f3456e810349ed4789d972735d88c4a6c8614520616275d167d52b0ab9ab6a19f80d98681058492f93db596602a907cb61344fb985e08d7955a912d333c5da36ec30b64f14452222b8343d9d56a775edaa800a8e0dd5a99bd808fd1992f6f6671c133f2df3d82f056b57bb283b11b8b1423a7acdd01a8270539ed13297e5ad985b12640d00216fd3a5ddd8f7d2192e517313b81c4b838cdfaa1b2b19499b72fd2e0c922a6f768d7bc6aa36db25403b20acc0ee3f6bd3170ad47bed122b9c753fbe1ea9b2390264f8fe9b1b9e74f881460918a60281f3a06306645b885c824bb06dd13722262a724a282b9e568f613dd9be957d4959c486c86d08384e0cb82ef10f724facc2cb5dc12f5c3d66634afb1b3ac643a96defa6f0f1f82672ba67b3a53c400d29cc41b826aebd217848db4597329274021ac9a5fcae97d8252d18af66958c2ee26b278274ce668608f0f6e51af0f76477c669901e40f7c0cfa8aa4efff802e5a5256ed75817baccc9c23');
DELETE FROM blob_chunk;
INSERT INTO blob_chunk VALUES (1, 0, 1);
INSERT INTO blob_chunk VALUES (2, 0, 2);
INSERT INTO blob_chunk VALUES (3, 0, 3);
INSERT INTO blob_chunk VALUES (4, 0, 4);
INSERT INTO blob_chunk VALUES (5, 0, 5);
INSERT INTO blob_chunk VALUES (6, 0, 6);
INSERT INTO blob_chunk VALUES (8, 0, 8);
INSERT INTO blob_chunk VALUES (9, 0, 9);
INSERT INTO blob_chunk VALUES (10, 0, 10);
INSERT INTO blob_chunk VALUES (11, 0, 11);
INSERT INTO blob_chunk VALUES (12, 0, 12);
DELETE FROM blob_writer;
INSERT INTO blob_writer VALUES (12, 'fdc34b0a3dde262c', '115bf007722d436f', '2cf6e34c-033f-407e-932d-0cd8c42a8e65', 23275, '5427589+140728480069696', '2026-11-28 15:26:58.296201', 5903358458896754109);
DELETE FROM artifact;
INSERT INTO artifact VALUES (1, 1, 'words', 1, 'data', 1, 'sha256:6bd88e1783b96d975dc5fda2341892e32968e5445e9161baee3ecee656c05185', 1, NULL, NULL, '{"lines":0}', NULL, '2026-11-28 15:26:57.814846', NULL, 1479141159);
INSERT INTO artifact VALUES (2, 1, 'weights', 1, 'data', 2, 'sha256:0da7755f513b1bfbddee31624a1569863e685383ec7b7a27dc01542e8c8df9b0', 0, NULL, NULL, '{}', 'after the last epoch', '2026-11-28 15:26:57.815696', NULL, 838938851);
INSERT INTO artifact VALUES (3, 1, 'tree', 1, 'folder', 5, 'sha256:9eb59bf1abe6980252788aabe26c88dd6cdd28e61b9205331867a8af3061d7c2', 0, 'application/vnd.exptrack.folder+json', NULL, '{}', NULL, '2026-11-28 15:26:57.819102', NULL, 487648953);
INSERT INTO artifact VALUES (4, 1, 'rows', 1, 'table', 6, 'sha256:131a2592d1085886231ca452a39d75e5a90635a890be43478a7962c61ffd463f', 0, 'application/vnd.apache.parquet', NULL, '{"columns":[{"name":"truth","type":"string"},{"name":"n","type":"int64"}],"format":"parquet","rows":2}', NULL, '2026-11-28 15:26:58.111038', NULL, 425491763);
INSERT INTO artifact VALUES (5, 2, 'words', 1, 'data', NULL, 'sha256:bd39531e8d14ca46e904f21814d8a01c1470dcb1fb26049658cc41c5a2716829', 1, NULL, NULL, '{"lines":1}', NULL, '2026-11-28 15:26:58.126013', '2026-11-28 15:26:58.137769', 4073202677);
INSERT INTO artifact VALUES (6, 2, 'weights', 1, 'data', 8, 'sha256:965d8d4493507f0f8685570edecc9db08369d5e782d5fcb0be4beb70c1117e8c', 0, NULL, NULL, '{}', 'after the last epoch', '2026-11-28 15:26:58.126889', NULL, 2602039884);
INSERT INTO artifact VALUES (7, 2, 'tree', 1, 'folder', 5, 'sha256:9eb59bf1abe6980252788aabe26c88dd6cdd28e61b9205331867a8af3061d7c2', 0, 'application/vnd.exptrack.folder+json', NULL, '{}', NULL, '2026-11-28 15:26:58.128895', NULL, 4061728899);
INSERT INTO artifact VALUES (8, 2, 'rows', 1, 'table', 6, 'sha256:131a2592d1085886231ca452a39d75e5a90635a890be43478a7962c61ffd463f', 0, 'application/vnd.apache.parquet', NULL, '{"columns":[{"name":"truth","type":"string"},{"name":"n","type":"int64"}],"format":"parquet","rows":2}', NULL, '2026-11-28 15:26:58.133834', NULL, 2954137322);
INSERT INTO artifact VALUES (9, 2, 'words', 2, 'data', 9, 'sha256:ebfa015966891a400bf353bdf8ef30444a71b1751e2808ef6c014db34d168d85', 1, NULL, NULL, '{}', NULL, '2026-11-28 15:26:58.137282', NULL, 675518484);
INSERT INTO artifact VALUES (10, 3, 'words', 1, 'data', 10, 'sha256:1814090ac7e4fe23a05824a3f6eed68ea3804e967359444713f113a0abc2a699', 1, NULL, NULL, '{"lines":2}', NULL, '2026-11-28 15:26:58.150211', NULL, 2426273155);
INSERT INTO artifact VALUES (11, 3, 'weights', 1, 'data', 11, 'sha256:23c61805e187b5463aab014785990e7f7db0028c85a6abeeaf76cca27e5c676f', 0, NULL, NULL, '{}', 'after the last epoch', '2026-11-28 15:26:58.151035', NULL, 2686200234);
INSERT INTO artifact VALUES (12, 3, 'tree', 1, 'folder', 5, 'sha256:9eb59bf1abe6980252788aabe26c88dd6cdd28e61b9205331867a8af3061d7c2', 0, 'application/vnd.exptrack.folder+json', NULL, '{}', NULL, '2026-11-28 15:26:58.152915', NULL, 1863934189);
INSERT INTO artifact VALUES (13, 3, 'rows', 1, 'table', 6, 'sha256:131a2592d1085886231ca452a39d75e5a90635a890be43478a7962c61ffd463f', 0, 'application/vnd.apache.parquet', NULL, '{"columns":[{"name":"truth","type":"string"},{"name":"n","type":"int64"}],"format":"parquet","rows":2}', NULL, '2026-11-28 15:26:58.157538', NULL, 4144675160);
DELETE FROM artifact_entry;
INSERT INTO artifact_entry VALUES (3, 'a.txt', 420, 3);
INSERT INTO artifact_entry VALUES (3, 'sub', 493, NULL);
INSERT INTO artifact_entry VALUES (3, 'sub/b.bin', 420, 4);
INSERT INTO artifact_entry VALUES (7, 'a.txt', 420, 3);
INSERT INTO artifact_entry VALUES (7, 'sub', 493, NULL);
INSERT INTO artifact_entry VALUES (7, 'sub/b.bin', 420, 4);
INSERT INTO artifact_entry VALUES (12, 'a.txt', 420, 3);
INSERT INTO artifact_entry VALUES (12, 'sub', 493, NULL);
INSERT INTO artifact_entry VALUES (12, 'sub/b.bin', 420, 4);
DELETE FROM artifact_alias;
INSERT INTO artifact_alias VALUES (1, 'weights', 'best', 1, '2026-11-28 15:26:57.819673');
INSERT INTO artifact_alias VALUES (2, 'weights', 'best', 1, '2026-11-28 15:26:58.129383');
INSERT INTO artifact_alias VALUES (3, 'weights', 'best', 1, '2026-11-28 15:26:58.153365');
DELETE FROM run_input;
INSERT INTO run_input VALUES (2, 0, 'sha256:6bd88e1783b96d975dc5fda2341892e32968e5445e9161baee3ecee656c05185', '1m8hc8h7yqh5kzbm', 'words', 1, '2026-11-28 15:26:58.136315');
INSERT INTO run_input VALUES (3, 0, 'sha256:ebfa015966891a400bf353bdf8ef30444a71b1751e2808ef6c014db34d168d85', '1m8hc8hj5jk4xyth', 'words', 2, '2026-11-28 15:26:58.158208');
DELETE FROM study;
INSERT INTO study VALUES (1, '1m8hc8hnny3w78ek', 'widths', '2026-11-28 15:26:58.229803', '{"sampler": {"name": "random", "seed": 1, "options": {}}, "pruner": {"name": "median", "options": {}}, "max_trials": null, "time_limit_s": null, "base": {}}', 8015646845412972201);
DELETE FROM study_objective;
INSERT INTO study_objective VALUES (1, 0, 'maximize', 'acc');
DELETE FROM study_attribute;
INSERT INTO study_attribute VALUES (1, 1, 'system', 'exptrack:sessions', '1');
INSERT INTO study_attribute VALUES (2, 1, 'user', 'owner', '{"team": "vision"}');
DELETE FROM trial;
INSERT INTO trial VALUES (1, '1m8hc8hntcervp6s', 1, 0, 'complete', '1m8hc8hnvp2am1nc', '2026-11-28 15:26:58.234285', '2026-11-28 15:26:58.250870', 17, NULL, NULL, NULL, 7024835734781774914);
INSERT INTO trial VALUES (2, '1m8hc8hpcdtwfy3j', 1, 1, 'complete', '1m8hc8hpd79e8m4g', '2026-11-28 15:26:58.252676', '2026-11-28 15:26:58.265993', 13, NULL, NULL, NULL, 3457947989320510781);
INSERT INTO trial VALUES (3, '1m8hc8hpvskwapen', 1, 2, 'running', NULL, '2026-11-28 15:26:58.267743', NULL, NULL, NULL, NULL, '{"host_id": "115bf007722d436f", "boot_id": "2cf6e34c-033f-407e-932d-0cd8c42a8e65", "pid": 23275, "started": "5427589+140728480069696", "shown": true}', -7907166188381959786);
DELETE FROM trial_param;
INSERT INTO trial_param VALUES (1, 0, 'act', 1.0, 'text', NULL, 'tanh', '{"name": "CategoricalDistribution", "attributes": {"choices": ["relu", "tanh"]}}');
INSERT INTO trial_param VALUES (1, 1, 'lr', 0.1001029373356104, 'float', 0.1001029373356104, NULL, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO trial_param VALUES (2, 0, 'act', 0.0, 'text', NULL, 'relu', '{"name": "CategoricalDistribution", "attributes": {"choices": ["relu", "tanh"]}}');
INSERT INTO trial_param VALUES (2, 1, 'lr', 0.183104735291918, 'float', 0.183104735291918, NULL, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO trial_param VALUES (3, 0, 'depth', 3.0, 'int', 3.0, NULL, '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 2, "high": 9}}');
DELETE FROM trial_value;
INSERT INTO trial_value VALUES (1, 1, 0, 0.1001029373356104);
INSERT INTO trial_value VALUES (2, 2, 0, 0.183104735291918);
DELETE FROM trial_report;
INSERT INTO trial_report VALUES (1, 1, 0, 0.1001029373356104);
INSERT INTO trial_report VALUES (2, 1, 1, 0.0333676457785368);
INSERT INTO trial_report VALUES (3, 2, 0, 0.183104735291918);
INSERT INTO trial_report VALUES (4, 2, 1, 0.06103491176397267);
DELETE FROM trial_attribute;
INSERT INTO trial_attribute VALUES (1, 3, 'user', 'note', '"slow"');
DELETE FROM user_view;
INSERT INTO user_view VALUES ('best', '["config.lr", "metrics.loss"]', 1661597064980976143);
DELETE FROM seal;
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES ('run', 7);
INSERT INTO sqlite_sequence VALUES ('study', 1);
INSERT INTO sqlite_sequence VALUES ('trial', 3);
CREATE INDEX run_by_start ON run (started_at);
CREATE INDEX run_by_status ON run (status, started_at);
CREATE INDEX run_by_end ON run (status, ended_at);
CREATE INDEX run_by_name ON run (name, started_at) WHERE name IS NOT NULL;
CREATE INDEX run_by_group ON run (group_name, started_at) WHERE group_name IS NOT NULL;
CREATE INDEX run_by_parent ON run (parent_run_id) WHERE parent_run_id IS NOT NULL;
CREATE UNIQUE INDEX run_by_external_id ON run (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX run_by_deletion ON run (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX run_by_config ON run (config_hash);
CREATE INDEX run_by_family ON run (family);
CREATE INDEX run_by_fingerprint ON run (fingerprint);
CREATE INDEX run_environment_by_script ON run_environment (script) WHERE script IS NOT NULL;
CREATE INDEX config_value_by_num ON config_value (key, num) WHERE num IS NOT NULL;
CREATE INDEX config_value_by_text ON config_value (key, text, num) WHERE text IS NOT NULL;
CREATE INDEX config_value_by_source ON config_value (source) WHERE source IS NOT NULL;
CREATE INDEX run_tag_by_tag ON run_tag (tag, run);
CREATE INDEX run_attribute_by_num ON run_attribute (key, num) WHERE num IS NOT NULL;
CREATE INDEX run_attribute_by_text ON run_attribute (key, text, num) WHERE text IS NOT NULL;
CREATE INDEX metric_series_by_last ON metric_series (metric, last_value, run) WHERE completed = 1;
CREATE INDEX metric_series_by_min ON metric_series (metric, min_value, run) WHERE completed = 1;
CREATE INDEX metric_series_by_max ON metric_series (metric, max_value, run) WHERE completed = 1;
CREATE INDEX metric_series_failed_by_last ON metric_series (metric, last_value, run)
WHERE completed = 0 AND checksum IS NOT NULL;
CREATE INDEX metric_series_failed_by_min ON metric_series (metric, min_value, run)
WHERE completed = 0 AND checksum IS NOT NULL;
CREATE INDEX metric_series_failed_by_max ON metric_series (metric, max_value, run)
WHERE completed = 0 AND checksum IS NOT NULL;
CREATE INDEX metric_series_live ON metric_series (metric, run) WHERE completed = 0 AND checksum IS NULL;
CREATE INDEX blob_chunk_by_chunk ON blob_chunk (chunk);
CREATE INDEX blob_writer_by_holder ON blob_writer (holder);
CREATE INDEX artifact_by_blob ON artifact (blob, run) WHERE blob IS NOT NULL;
CREATE INDEX artifact_by_name ON artifact (name, created_at) WHERE blob IS NOT NULL;
CREATE INDEX artifact_entry_by_blob ON artifact_entry (blob, artifact) WHERE blob IS NOT NULL;
CREATE INDEX artifact_alias_by_name ON artifact_alias (name, alias, set_at) WHERE version IS NOT NULL;
CREATE INDEX run_input_by_hash ON run_input (hash);
CREATE INDEX run_input_by_origin ON run_input (from_run_id, name, version);
CREATE INDEX trial_by_state ON trial (study, state, number);
CREATE INDEX trial_by_run ON trial (run_id) WHERE run_id IS NOT NULL;
CREATE VIEW about AS
SELECT
    'exptrack archive: runs of experiments with their configs, metrics and artifacts' AS file,
    (SELECT max(m.number) FROM migration AS m) AS format, -- equals PRAGMA user_version
    'docs/format.md in the source of exptrack, the Python package exptrack-archive' AS described_in;
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
CREATE VIEW trash AS
SELECT r.run_id, r.status, r.name, r.group_name, r.started_at, r.ended_at, r.deleted_at
FROM run AS r
WHERE r.deleted_at IS NOT NULL;
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
CREATE VIEW tags AS
SELECT r.run_id, t.tag, t.added_at
FROM run_tag AS t
JOIN run AS r ON r.id = t.run
WHERE r.deleted_at IS NULL;
CREATE VIEW notes AS
SELECT r.run_id, n.seq, n.written_at, n.text
FROM note AS n
JOIN run AS r ON r.id = n.run
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
CREATE VIEW groups AS
SELECT
    g.name,
    (SELECT count(*) FROM run AS r WHERE r.group_name = g.name AND r.deleted_at IS NULL) AS runs,
    g.created_at
FROM run_group AS g
WHERE g.deleted_at IS NULL;
CREATE VIEW events AS
SELECT r.run_id, e.seq, e.happened_at, e.kind, e.data, e.late
FROM event AS e
JOIN run AS r ON r.id = e.run
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
CREATE VIEW studies AS
SELECT
    s.name,
    s.created_at,
    (SELECT group_concat(o.direction, ', ') FROM study_objective AS o WHERE o.study = s.id) AS directions,
    (SELECT count(*) FROM trial AS t WHERE t.study = s.id) AS trials,
    s.settings
FROM study AS s;
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
CREATE VIEW best AS -- checksum -672924186241205247
SELECT
    r.run_id,
    r.name,
    r.status,
    r.started_at,
    (SELECT CASE v.type WHEN 'int' THEN CAST(coalesce(v.text, v.num) AS INTEGER) WHEN 'float' THEN v.num WHEN 'bool' THEN v.text = 'true' ELSE v.text END FROM config_value AS v WHERE v.run = r.id AND v.key = 1) AS "lr",
    (SELECT last_value FROM metric_series AS s WHERE s.run = r.id AND s.metric = 1) AS "loss"
FROM run AS r
WHERE r.deleted_at IS NULL;
COMMIT;
