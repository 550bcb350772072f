/** Answers questions about studies: a list of them, and one with its trials and the way the search went. */
import { listOf, record, records, rows } from "./database.js";
import { groupBy } from "./lookup.js";
import { Problem } from "./problem.js";
import { toIso } from "./times.js";
import { metricNumber, parseJson } from "./values.js";
import { STATE_WORDS } from "./vocabulary.js";

const STUDY = "SELECT id, name, created_at, settings FROM study";
const KINDS = { FloatDistribution: "float", IntDistribution: "int", CategoricalDistribution: "choice" };
// A constraint is met at 0 and below. Older samplers store all as one list, newer ones each under its own name.
const BROKEN = `EXISTS (
    SELECT 1 FROM trial_attribute AS a, json_each(CASE WHEN json_valid(a.value) THEN a.value ELSE '[]' END) AS c
    WHERE a.trial = t.id AND a.scope = 'system' AND (a.name = 'constraints' OR a.name GLOB 'constraints:*')
    AND c.value > 0)`;
const BEST = `SELECT t.number, v.value FROM trial AS t
    JOIN trial_value AS v ON v.trial = t.id AND v.position = 0
    WHERE t.study = ?1 AND t.state = 'complete' AND NOT ${BROKEN}
    ORDER BY v.value * ?2, t.number LIMIT 1`;
const SPACE = `SELECT p.name, p.distribution, max(p.trial) FROM trial_param AS p
    JOIN trial AS t ON t.id = p.trial WHERE t.study = ? GROUP BY p.name`;

function describeStudy({ id, name, created_at: createdAt, settings }) {
    const objectives = rows(
        "SELECT direction, metric FROM study_objective WHERE study = ? ORDER BY position",
        [id],
    );
    const counts = new Map(rows("SELECT state, count(*) FROM trial WHERE study = ? GROUP BY state", [id]));
    const directions = objectives.map(([direction]) => direction);
    const sign = directions[0] === "minimize" ? 1 : -1;
    const best = directions.length === 1 ? record(BEST, [id, sign]) : null;
    return {
        name,
        created_at: toIso(createdAt),
        directions,
        metrics: objectives.map(([, metric]) => metric),
        counts: Object.fromEntries(STATE_WORDS.state.map((state) => [state, counts.get(state) ?? 0])),
        best_value: best?.value ?? null,
        best_number: best?.number ?? null,
        settings: parseJson(settings),
    };
}

const listStudies = () => ({
    studies: records(`${STUDY} ORDER BY created_at DESC, id DESC`).map(describeStudy),
});

function readTrials(study) {
    const found = records("SELECT * FROM trial WHERE study = ? ORDER BY number", [study]);
    const ids = [listOf(found.map((row) => row.id))];
    const from = (columns, table, order) => {
        const sql = `SELECT x.trial, ${columns} FROM json_each(?) AS j JOIN ${table} AS x ON x.trial = j.value`;
        return groupBy(
            rows(`${sql} ORDER BY x.trial, ${order}`, ids).map(([trial, ...rest]) => [trial, rest]),
        );
    };
    const values = from("x.value", "trial_value", "x.position");
    const params = from("x.name, x.value, x.distribution", "trial_param", "x.position");
    const reports = from("x.step, x.value", "trial_report", "x.step");
    return found.map((row) => ({
        number: row.number,
        state: row.state,
        values: (values.get(row.id) ?? []).map(([held]) => held),
        params: Object.fromEntries(
            (params.get(row.id) ?? []).map(([name, ...drawn]) => [name, decodeParam(...drawn)]),
        ),
        reports: Object.fromEntries(
            (reports.get(row.id) ?? []).map(([step, held]) => [step, metricNumber(held)]),
        ),
        run_id: row.run_id,
        started_at: toIso(row.started_at),
        ended_at: toIso(row.ended_at),
        reason: row.reason,
    }));
}

/** Returns a param as the objective saw it. */
function decodeParam(stored, distribution) {
    const held = metricNumber(stored);
    const drawn = parseJson(distribution);
    return drawn.name === "CategoricalDistribution" ? drawn.attributes.choices[held] : held;
}

function findBest(study, trials, infeasible) {
    if (study.directions.length === 1) return study.best_number === null ? [] : [study.best_number];
    const signs = study.directions.map((direction) => (direction === "minimize" ? 1 : -1));
    const scored = trials
        .filter((trial) => trial.state === "complete" && !infeasible.includes(trial.number))
        .map(({ number, values }) => ({ number, scores: values.map((held, place) => signs[place] * held) }))
        .sort((a, b) => compareScores(a.scores, b.scores) || a.number - b.number);
    // No later trial in this order beats an earlier one, so each is compared to the front so far only.
    const front = [];
    for (const one of scored) if (!front.some((other) => beats(other.scores, one.scores))) front.push(one);
    return front.map(({ number }) => number).sort((a, b) => a - b);
}

function compareScores(a, b) {
    const place = a.findIndex((score, at) => score !== b[at]);
    return place < 0 ? 0 : a[place] - b[place];
}

const beats = (one, other) =>
    one.every((score, at) => score <= other[at]) && one.some((score, at) => score < other[at]);

function showStudy(question) {
    const name = question.part("name");
    const row = record(`${STUDY} WHERE name = ?`, [name]);
    if (row === null) throw new Problem("StudyNotFoundError", `there is no study '${name}'`);
    const study = describeStudy(row);
    const trials = readTrials(row.id);
    const broken = rows(`SELECT t.number FROM trial AS t WHERE t.study = ? AND ${BROKEN}`, [row.id]).flat();
    const params = [...new Set(trials.flatMap((trial) => Object.keys(trial.params)))];
    const space = new Map(rows(SPACE, [row.id]).map(([param, drawn]) => [param, parseJson(drawn)]));
    const isOne = study.metrics.length === 1;
    const metrics = study.metrics.map(
        (metric, place) => metric ?? (isOne ? "objective" : `objective_${place}`),
    );
    return {
        study,
        metrics,
        params,
        trials,
        best: findBest(study, trials, broken),
        history: listHistory(study, metrics, trials, broken),
        space: params.map((param) => describeParam(param, space.get(param))),
        infeasible: broken.sort((a, b) => a - b),
        unseen: "",
    };
}

function listHistory(study, metrics, trials, broken) {
    const isOne = metrics.length === 1;
    const better = study.directions[0] === "minimize" ? Math.min : Math.max;
    let best = null;
    return trials.map((trial) => {
        const isFeasible = !broken.includes(trial.number);
        if (isOne && isFeasible && trial.state === "complete") {
            best = best === null ? trial.values[0] : better(best, trial.values[0]);
        }
        const several = metrics.map((metric, place) => [`values.${metric}`, trial.values[place] ?? null]);
        return {
            number: trial.number,
            state: trial.state,
            ...(isOne ? { value: trial.values[0] ?? null, best_value: best } : Object.fromEntries(several)),
            feasible: isFeasible,
            started_at: trial.started_at,
            ended_at: trial.ended_at,
        };
    });
}

function describeParam(param, { name, attributes }) {
    const { low = null, high = null, step = null, log = false, choices = null } = attributes;
    return { param, kind: KINDS[name], low, high, step, log: Boolean(log), choices };
}

function rankParams() {
    throw new Problem("NotAvailable", "importances of params need Python; open the archive by 'exptrack ui'");
}

export const HANDLERS = [
    ["/api/sweeps", listStudies],
    ["/api/sweep/{name:path}", showStudy],
    ["/api/sweep-importances", rankParams],
];
