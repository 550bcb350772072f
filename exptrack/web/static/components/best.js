/**
 * Find the best of several values of a metric, and the direction that is better.
 * @module
 */

const LOWER =
    "loss err error mse mae rmse mape nll bce ce ppl perplexity wer cer fid kl regret latency".split(" ");
const HIGHER =
    "acc accuracy f1 auc auroc score reward return precision recall iou miou dice bleu r2 map psnr".split(
        " ",
    );

/**
 * Guess from a metric's name whether lower (`min`) or higher (`max`) values are better, or null.
 */
export function directionOf(name) {
    const words = name
        .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
        .toLowerCase()
        .split(/[^a-z0-9]+/)
        .map((word) => word.replace(/(?<=..)s$/, ""));
    if (words.some((word) => LOWER.includes(word) || LOWER.includes(`${word}s`))) return "min";
    return words.some((word) => HIGHER.includes(word)) ? "max" : null;
}

/** Return the places of the best finite values; none if there is no direction or nothing to choose from. */
export function bestPlaces(values, direction) {
    const finite = values.filter(Number.isFinite);
    const least = Math.min(...finite);
    const most = Math.max(...finite);
    if (direction === null || finite.length < 2 || least === most) return [];
    const best = direction === "min" ? least : most;
    return values.flatMap((value, place) => (value === best ? [place] : []));
}

/**
 * Compare two tables by their rows in order.
 * @param {any[][]} before rows of cells
 * @param {any[][]} after
 * @returns {{kind: string, cells: {value: any, before: any, differs: boolean}[]}[]}
 */
export function diffTables(before, after) {
    const rows = Math.max(before.length, after.length);
    return Array.from({ length: rows }, (_, row) => {
        const [old, now] = [before[row], after[row]];
        if (old === undefined)
            return { kind: "added", cells: now.map((value) => ({ value, before: null, differs: false })) };
        if (now === undefined)
            return { kind: "removed", cells: old.map((value) => ({ value, before: null, differs: false })) };
        const cells = Array.from({ length: Math.max(old.length, now.length) }, (_, place) => {
            const differs = JSON.stringify(old[place]) !== JSON.stringify(now[place]);
            return { value: now[place] ?? null, before: old[place] ?? null, differs };
        });
        return { kind: cells.some((cell) => cell.differs) ? "changed" : "same", cells };
    });
}
