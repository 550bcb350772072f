/**
 * The ten questions of schema/questions.sql, to begin from. `:metric`, `:run`, `:other` and `:hash` stand for
 * values of the archive that is shown; fillQuestion writes them in.
 */

export const QUESTIONS = [
    {
        name: "newest_runs",
        title: "The twenty newest runs, with status, name and duration",
        sql: `SELECT run_id, status, name, duration_s
FROM runs
ORDER BY started_at DESC
LIMIT 20`,
    },
    {
        name: "best_runs",
        title: "The ten best completed runs by the last value of a metric",
        sql: `SELECT run_id, last
FROM metrics
WHERE name = :metric AND completed = 1 AND last < 9e999
ORDER BY last DESC
LIMIT 10`,
    },
    {
        name: "runs_by_config",
        title: "All runs with lr below 0.01 and optimizer equal to adam",
        sql: `SELECT a.run_id
FROM configs AS a
JOIN configs AS b ON b.run_id = a.run_id
WHERE a.key = 'lr' AND a.num < 0.01 AND b.key = 'optimizer' AND b.text = 'adam'`,
    },
    {
        name: "learning_curve",
        title: "The learning curve of one metric of one run",
        sql: `SELECT step, value, time_s
FROM points
WHERE run_id = :run AND name = :metric
ORDER BY step, seq`,
        chart: { x: "step", y: ["value"] },
    },
    {
        name: "config_difference",
        title: "Which config keys differ between two runs, and in what",
        sql: `SELECT key, max(CASE WHEN run_id = :run THEN value END) AS a,
            max(CASE WHEN run_id = :other THEN value END) AS b
FROM configs
WHERE run_id IN (:run, :other)
GROUP BY key
HAVING a IS NOT b`,
    },
    {
        name: "spread_over_seeds",
        title: "Mean and spread of a metric over the runs that share a config but for the seed",
        sql: `SELECT count(*) AS runs, avg(m.last) AS mean, max(m.last) - min(m.last) AS spread
FROM runs AS r
JOIN metrics AS m ON m.run_id = r.run_id
WHERE r.family = (SELECT family FROM runs WHERE run_id = :run) AND m.name = :metric AND r.status = 'completed'`,
    },
    {
        name: "tags_counted",
        title: "Runs by tag, counted",
        sql: `SELECT tag, count(*) AS runs
FROM tags
GROUP BY tag`,
    },
    {
        name: "artifact_holders",
        title: "Which runs hold the artifact with this hash",
        sql: `SELECT run_id, name, version
FROM artifacts
WHERE hash = :hash`,
    },
    {
        name: "artifact_bytes",
        title: "How many bytes each run's artifacts take, and how many they share with others",
        sql: `SELECT run_id, stored_bytes, shared_bytes
FROM run_storage`,
    },
    {
        name: "failed_this_week",
        title: "The failed runs of this week, with their reasons",
        sql: `SELECT run_id, name, ended_at, reason
FROM runs
WHERE status = 'failed' AND ended_at >= datetime('now', '-7 days')
ORDER BY ended_at DESC`,
    },
];

/** A text as SQL writes it. */
export const sqlText = (text) => `'${text.replaceAll("'", "''")}'`;

/** A name as SQL writes it: plain where it can stand so, else in double quotes. */
export const sqlName = (name) => (/^[a-z_]\w*$/i.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

/** Writes values in the places of parameters; one without a value becomes an empty text. */
export function fillQuestion(sql, values) {
    return sql.replace(/:(metric|run|other|hash)\b/g, (_, name) => sqlText(values[name] ?? ""));
}
