/** Answers questions about the artifacts of many runs: their names, a list of them, a grid by run and step. */
import { compareText } from "./canonical.js";
import { listOf, rows } from "./database.js";
import { OF_LIST, makeArtifact, readArtifactRows } from "./lookup.js";
import { Problem } from "./problem.js";
import { readRows } from "./runs.js";
import { cut, selectRuns } from "./selection.js";

const MOST_NAMES = 10_000;
const MOST_ARTIFACTS = 10_000;
const SHOWN_STEPS = 10;
const RUN_COLUMNS = ["run_id", "name", "status"];
const VERSIONS = `SELECT id, run, name, step, version FROM artifact
    WHERE run ${OF_LIST} AND blob IS NOT NULL AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR step = ?3)
    AND (?4 IS NULL OR name = ?4)`;

function listNames(question) {
    const kind = question.text("kind");
    const sql = `SELECT name, kind, media_type, count(*), max(created_at) FROM artifact
        WHERE run ${OF_LIST} AND blob IS NOT NULL GROUP BY name ORDER BY name LIMIT ${MOST_NAMES}`;
    const found = rows(sql, [listOf(selectRuns(question))]).filter(
        ([, held]) => kind === "" || held === kind,
    );
    return {
        names: found.map(([name, held, type, versions]) => ({
            name,
            kind: held,
            media_type: type,
            versions,
        })),
    };
}

/** Reads versions, by run in the order of the runs, then by name, step and version. */
function readVersions(runs, name, kind, step) {
    const found = rows(VERSIONS, [listOf(runs), kind, step, name]);
    const places = new Map([...runs].map((run, place) => [run, place]));
    const versions = found.map(([id, run, called, at, version]) => ({
        id,
        run,
        name: called,
        step: at,
        version,
    }));
    return versions.sort(
        (a, b) =>
            places.get(a.run) - places.get(b.run) ||
            compareText(a.name, b.name) ||
            compareSteps(a.step, b.step) ||
            a.version - b.version,
    );
}

/** Orders steps; none comes first. */
function compareSteps(a, b) {
    if (a === b) return 0;
    if (a === null || b === null) return a === null ? -1 : 1;
    return a - b;
}

function readRecords(ids) {
    const found = readArtifactRows(`WHERE a.id ${OF_LIST}`, [listOf(ids)]);
    return new Map(found.map((row) => [row.id, makeArtifact(row)]));
}

function listArtifacts(question) {
    const step = question.text("step") === "" ? null : question.whole("step", 0);
    const all = readVersions(
        selectRuns(question),
        question.text("name") || null,
        question.text("kind") || null,
        step,
    );
    const page = cut(all, question.whole("start", 0), Math.min(question.whole("size", 100), MOST_ARTIFACTS));
    const records = readRecords(page.map(({ id }) => id));
    return { artifacts: page.map(({ id }) => records.get(id)) };
}

function showGrid(question) {
    const name = question.require("name");
    const all = selectRuns(question);
    const sql = `SELECT DISTINCT run FROM artifact WHERE run ${OF_LIST} AND name = ? AND blob IS NOT NULL`;
    const having = new Set(rows(sql, [listOf(all), name]).flat());
    const ordered = [...all].filter((run) => having.has(run));
    const page = cut(
        ordered,
        question.whole("start", 0),
        Math.min(question.whole("size", 20), MOST_ARTIFACTS),
    );
    const versions = readVersions(page, name, null, null);
    const allSteps = [...new Set(versions.map(({ step }) => step))].sort(compareSteps);
    const steps = question.texts("steps").length ? question.wholes("steps") : spread(allSteps);
    if (steps.length * page.length > MOST_ARTIFACTS) {
        throw new Problem(
            "InvalidValueError",
            `these are more than ${MOST_ARTIFACTS} artifacts; ask for fewer`,
        );
    }
    const chosen = page.map((run) => {
        const own = versions.filter((one) => one.run === run);
        return steps.map((step) => choose(own, step));
    });
    const records = readRecords(chosen.flat().filter((one) => one !== null));
    const cells = chosen.map((row) => row.map((one) => (one === null ? null : records.get(one))));
    const grid = { name, total: ordered.length, row_ids: page, steps, all_steps: allSteps, cells };
    return { grid, runs: readRows(page, RUN_COLUMNS) };
}

/** Chooses some steps, the first and the last among them, at equal distances in the list. */
function spread(steps) {
    if (steps.length <= SHOWN_STEPS) return steps;
    return Array.from(
        { length: SHOWN_STEPS },
        (_, n) => steps[roundEven((n * (steps.length - 1)) / (SHOWN_STEPS - 1))],
    );
}

/** Rounds a half to the even number, as Python does. */
function roundEven(number) {
    const low = Math.floor(number);
    const rest = number - low;
    return low + Number(rest > 0.5 || (rest === 0.5 && low % 2 === 1));
}

/** The last version up to a step, or the last without a step. */
function choose(versions, step) {
    const among = versions.filter(
        (one) => (one.step === null) === (step === null) && (one.step ?? 0) <= (step ?? 0),
    );
    return among.at(-1)?.id ?? null;
}

export const HANDLERS = [
    ["/api/media", listArtifacts],
    ["/api/media-names", listNames],
    ["/api/media-grid", showGrid],
];
