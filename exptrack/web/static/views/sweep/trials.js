/**
 * The trials of a study as the charts need them.
 * A trial gets `score`, from 0 (worst of the completed trials) to 1 (best), by rank where values are far apart.
 */
import { numeric, visible } from "../../format.js";

const finite = (value) => typeof value === "number" && Number.isFinite(value);

/** A share that outliers do not press to one end: by value between the quartile fences, clamped beyond. */
function scorer(values, isLess) {
    const sorted = values.toSorted((one, other) => one - other);
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    const spread = 1.5 * (at(0.75) - at(0.25));
    const low = Math.max(sorted[0], at(0.25) - spread);
    const high = Math.min(sorted.at(-1), at(0.75) + spread);
    return (value) => {
        const share = high > low ? Math.min(Math.max((value - low) / (high - low), 0), 1) : 1;
        return isLess ? 1 - share : share;
    };
}

/** The study with `place` of the objective shown, and trials that know their value and score there. */
export function arrange(answer, metric) {
    const place = Math.max(0, answer.metrics.indexOf(metric));
    const isLess = answer.study.directions[place] === "minimize";
    const infeasible = new Set(answer.infeasible);
    const best = new Set(answer.best);
    const history = new Map(answer.history.map((row) => [row.number, row]));
    const trials = answer.trials.map((trial) => {
        const value = numeric(trial.values[place] ?? null);
        return {
            ...trial,
            value: finite(value) ? value : null,
            isFeasible: !infeasible.has(trial.number),
            isBest: best.has(trial.number),
            bestSoFar: numeric(history.get(trial.number)?.best_value ?? null),
        };
    });
    const counted = trials.filter(({ state, value }) => state === "complete" && value !== null);
    const score = counted.length
        ? scorer(
              counted.map(({ value }) => value),
              isLess,
          )
        : () => null;
    for (const trial of trials) trial.score = trial.value === null ? null : score(trial.value);
    const sign = isLess ? 1 : -1;
    const ranked = counted.toSorted((one, other) => sign * (one.value - other.value));
    return { ...answer, place, isLess, objective: answer.metrics[place], trials, counted, ranked };
}

/** A param as an axis: {id, label, kind, log, categories}. */
export function paramAxis(space, trials) {
    const values = trials.map(({ params }) => params[space.param]).filter((one) => one !== undefined);
    const isNumber = space.kind !== "choice";
    const log = space.log && values.every((one) => one > 0);
    const axis = { id: space.param, label: space.param, kind: isNumber ? "number" : "category", log };
    if (isNumber)
        return { ...axis, min: numeric(space.low) ?? undefined, max: numeric(space.high) ?? undefined };
    const names = [...(space.choices ?? []), ...values].map(nameOf);
    return { ...axis, categories: [...new Set(names)] };
}

/** A setting of a choice, as its axis names it. */
export const nameOf = (value) => (typeof value === "string" ? visible(value) : JSON.stringify(value));

/** The place of a trial on the axis of a param; null if it does not have it. */
export function settingOf(trial, axis) {
    const value = trial.params[axis.id];
    if (value === undefined) return null;
    return axis.kind === "category" ? nameOf(value) : numeric(value);
}
