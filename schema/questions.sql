-- Ten questions, each one SELECT over the views of the archive.
--
-- In the sqlite3 shell, give a parameter its value first, for example:  .param set :metric "'val_accuracy'"

-- name: newest_runs
-- The twenty newest runs, with status, name and duration.
SELECT run_id, status, name, duration_s
FROM runs
ORDER BY started_at DESC
LIMIT 20;

-- name: best_runs
-- The ten best completed runs by the last value of a metric (likewise min, max).
SELECT run_id, last
FROM metrics
WHERE name = :metric AND completed = 1 AND last < 9e999
ORDER BY last DESC
LIMIT 10;

-- name: runs_by_config
-- All runs with lr below 0.01 and optimizer equal to adam.
SELECT a.run_id
FROM configs AS a
JOIN configs AS b ON b.run_id = a.run_id
WHERE a.key = 'lr' AND a.num < 0.01 AND b.key = 'optimizer' AND b.text = 'adam';

-- name: learning_curve
-- The learning curve of one metric of one run.
SELECT step, value, time_s
FROM points
WHERE run_id = :run AND name = :metric
ORDER BY step, seq;

-- name: config_difference
-- Which config keys differ between two runs, and in what.
SELECT key, max(CASE WHEN run_id = :run THEN value END) AS a, max(CASE WHEN run_id = :other THEN value END) AS b
FROM configs
WHERE run_id IN (:run, :other)
GROUP BY key
HAVING a IS NOT b;

-- name: spread_over_seeds
-- Mean and spread of a metric over the runs that share a run's config but for the seed.
SELECT count(*) AS runs, avg(m.last) AS mean, max(m.last) - min(m.last) AS spread
FROM runs AS r
JOIN metrics AS m ON m.run_id = r.run_id
WHERE r.family = (SELECT family FROM runs WHERE run_id = :run) AND m.name = :metric AND r.status = 'completed';

-- name: tags_counted
-- Runs by tag, counted.
SELECT tag, count(*) AS runs
FROM tags
GROUP BY tag;

-- name: artifact_holders
-- Which runs hold the artifact with this hash.
SELECT run_id, name, version
FROM artifacts
WHERE hash = :hash;

-- name: artifact_bytes
-- How many bytes each run's artifacts take, and how many they share with others.
SELECT run_id, stored_bytes, shared_bytes
FROM run_storage;

-- name: failed_this_week
-- The failed runs of this week, with their reasons.
SELECT run_id, name, ended_at, reason
FROM runs
WHERE status = 'failed' AND ended_at >= datetime('now', '-7 days')
ORDER BY ended_at DESC;
