/**
 * Read the state of the charts from the URL, and say which axis it asks for.
 * @module
 */
import { number } from "../../format.js";

export const MOST_RUNS = 50;
const METRIC = "metric:";

/** Return what the parameters of the URL ask for. */
export function readState(params) {
    const list = (name) => params.getAll(name).filter((one) => one !== "");
    const zoom = (params.get("zoom") ?? "").split("..").map(Number);
    const x = params.get("x") ?? "step";
    const limit = (name) =>
        Number.isFinite(Number.parseFloat(params.get(name))) ? Number(params.get(name)) : null;
    return {
        runs: list("runs").flatMap((one) => one.split(",")),
        where: list("where"),
        limit: Number(params.get("limit")) || MOST_RUNS,
        search: params.get("search") ?? "",
        metrics: list("metrics"),
        chart: params.get("chart"),
        x,
        by: x.startsWith(METRIC) ? x.slice(METRIC.length) : x === "step" ? "step" : "time",
        logX: params.get("logx") === "1" && x !== "wall",
        logY: params.get("logy") === "1",
        linear: new Set(list("linear")), // charts whose log axis, which they chose themselves, was taken back
        ignoreOutliers: params.get("outliers") === "ignore",
        smooth: Math.max(0, Number(params.get("smooth")) || 0),
        color: params.get("color"),
        dash: params.get("dash"),
        split: params.get("split"),
        group: list("group"),
        band: params.get("band") === "range" ? "range" : "deviation",
        yLimits: [limit("ylow"), limit("yhigh")],
        zoom: zoom.length === 2 && zoom.every(Number.isFinite) && zoom[0] < zoom[1] ? zoom : null,
        hidden: new Set(list("hide")),
        paint: readPaint(list("paint")),
        folded: new Set(list("fold")),
        isSystemOpen: params.get("system") === "1",
    };
}

/** Colours that were chosen by hand, each as an id, a colon and a place in the palette. */
function readPaint(texts) {
    const pairs = texts.map((text) => [
        text.slice(0, text.lastIndexOf(":")),
        text.slice(text.lastIndexOf(":") + 1),
    ]);
    return new Map(
        pairs.filter(([, place]) => /^[0-7]$/.test(place)).map(([id, place]) => [id, Number(place)]),
    );
}

/** The parameters of the URL for colours that were chosen by hand. */
export const writePaint = (paint) => [...paint].map(([id, place]) => `${id}:${place}`);

/** The conditions that select the runs. */
export function conditionsOf({ runs, where }) {
    return runs.length === 0 ? where : [...where, conditionOf(runs)];
}

/** The condition that selects runs by their ids. */
export function conditionOf(runs) {
    return `id in (${runs.map((id) => `"${id.replace(/["\\]/g, "\\$&")}"`).join(", ")})`;
}

/** What the axis is called, its kind, and the parameter of a metric as the axis. */
export function axisOfState({ x }) {
    if (x === "step") return { name: "step", kind: "number", unit: "steps" };
    if (x === "time") return { name: "time since start", kind: "duration", unit: "s" };
    if (x === "wall") return { name: "local time", kind: "clock", unit: "s" };
    return { name: x.slice(METRIC.length), kind: "number", unit: "" };
}

export const metricAxis = (name) => METRIC + name;

const two = (value) => String(value).padStart(2, "0");

/** Return a function that writes a place of the axis; a bucket of several steps says the first and last. */
export function placeWriter({ x }) {
    if (x === "step") {
        return (step, width) => {
            const first = number(step);
            return width > 1 ? `steps ${first} – ${number(step + width - 1)}` : `step ${first}`;
        };
    }
    if (x === "time") return writeSeconds;
    if (x === "wall") return writeMoment;
    return (value) => `${x.slice(METRIC.length)} ${number(value)}`;
}

function writeSeconds(seconds, width) {
    const digits = width < 1 ? 3 : 0;
    const rest = Math.abs(seconds) % 60;
    const minutes = Math.floor(Math.abs(seconds) / 60);
    const tail = `${rest.toFixed(digits)} s`;
    if (minutes === 0) return tail;
    return minutes < 60
        ? `${minutes} min ${tail}`
        : `${Math.floor(minutes / 60)} h ${minutes % 60} min ${tail}`;
}

function writeMoment(seconds, width) {
    const at = new Date(seconds * 1000);
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const fraction = width < 1 ? (seconds - Math.floor(seconds)).toFixed(3).slice(1) : "";
    return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}${fraction}`;
}
