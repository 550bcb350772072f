/** What the charts of a study draw, as options of ECharts. All take the study that `arrange` returns. */
import { axis, lines, room, scaleColors, short, theme, tooltip, valueAxis } from "../../components/echart.js";
import { duration, number } from "../../format.js";
import { STATES } from "./states.js";
import { settingOf } from "./trials.js";

const DIM = 0.5;
const MOST_BARS = 12;

/** What the tooltip says of a trial. */
export const describe = (study, trial) => [
    [`trial ${trial.number}`, STATES[trial.state]?.word ?? trial.state],
    ...study.metrics.map((name, place) => [name, trial.values[place]]),
    ...Object.entries(trial.params),
    ...(trial.isFeasible ? [] : [["constraints", "broken"]]),
];

const tipOf = (study, colors) =>
    tooltip(colors, ({ data }) => (data?.trial ? lines(describe(study, data.trial)) : ""));

/** How a pruned trial looks. The empty symbols of ECharts are filled with white. */
const ring = (color) => ({ color: "transparent", borderColor: color, borderWidth: 1.5, opacity: 0.7 });

/** A point of a trial, in the colour of its score. */
function point(trial, value, colors, scale) {
    const color = trial.score === null ? colors.faint : scale[Math.round(trial.score * (scale.length - 1))];
    const isWhole = trial.state === "complete" && trial.isFeasible;
    const look = trial.state === "pruned" ? ring(color) : { color, opacity: isWhole ? 0.9 : DIM };
    return {
        value,
        trial,
        symbol: trial.isBest ? "diamond" : "circle",
        symbolSize: trial.isBest ? 14 : 8,
        itemStyle: trial.isBest
            ? { color, borderColor: colors.text, borderWidth: 1.5 }
            : look,
    };
}

/** Every value by the number of its trial, and the best value so far. */
export function historyOption(study) {
    const colors = theme();
    const dots = (state) => ({
        type: "scatter",
        name: STATES[state].word,
        symbolSize: 7,
        itemStyle:
            state === "pruned"
                ? ring(colors[STATES[state].color])
                : { color: colors[STATES[state].color], opacity: 0.85 },
        data: study.trials
            .filter((trial) => trial.state === state && trial.value !== null)
            .map((trial) => ({ value: [trial.number, trial.value], trial })),
    });
    const best = {
        type: "line",
        name: "best so far",
        step: "end",
        symbol: "none",
        silent: true,
        lineStyle: { color: colors.accent, width: 2 },
        itemStyle: { color: colors.accent },
        data: study.trials
            .filter(({ bestSoFar }) => bestSoFar !== null)
            .map(({ number: at, bestSoFar }) => [at, bestSoFar]),
    };
    const series = ["complete", "pruned", "running"].map(dots).filter(({ data }) => data.length);
    return {
        grid: room({ top: 36, left: 64 }),
        legend: { top: 4, right: 12, textStyle: { color: colors.soft }, itemWidth: 16, itemHeight: 8 },
        tooltip: tipOf(study, colors),
        xAxis: valueAxis(colors, "trial", {}, { nameGap: 26, minInterval: 1, scale: true }),
        yAxis: valueAxis(colors, study.objective, {}, { nameGap: 48 }),
        series: best.data.length ? [best, ...series] : series,
    };
}

/** Two objectives against each other; the trials that no other beats are marked. */
export function frontOption(study, x, y) {
    const colors = theme();
    const dots = study.trials.filter(({ values, state }) => state === "complete" && values.length > 1);
    const one = (trial) => ({
        value: [trial.values[x], trial.values[y]],
        trial,
        symbolSize: trial.isBest ? 10 : 7,
        itemStyle: { color: trial.isBest ? colors.accent : colors.faint, opacity: trial.isBest ? 1 : 0.6 },
    });
    const front = dots.filter(({ isBest }) => isBest).toSorted((a, b) => a.values[x] - b.values[x]);
    return {
        grid: room({ left: 64 }),
        tooltip: tipOf(study, colors),
        xAxis: valueAxis(colors, study.metrics[x], {}, { nameGap: 26 }),
        yAxis: valueAxis(colors, study.metrics[y], {}, { nameGap: 48 }),
        series: [
            {
                type: "line",
                silent: true,
                symbol: "none",
                lineStyle: { color: colors.accent, width: 1, type: "dashed" },
                data: study.metrics.length === 2 ? front.map(({ values }) => [values[x], values[y]]) : [],
            },
            { type: "scatter", data: dots.map(one) },
        ],
    };
}

/** Bars of shares, the largest on top; `rows` are [name, share]. */
export function barsOption(rows, name = "importance") {
    const colors = theme();
    const shown = rows.slice(0, MOST_BARS).toReversed();
    return {
        grid: room({ left: 12, right: 56, containLabel: true, bottom: 32, top: 4 }),
        tooltip: tooltip(colors, ({ dataIndex }) => lines([shown[dataIndex]])),
        xAxis: valueAxis(colors, name, {}, { nameGap: 22, min: 0, scale: false }),
        yAxis: axis(colors, "", {
            type: "category",
            data: shown.map(([one]) => short(one, 24)),
            axisTick: { show: false },
            axisLabel: { color: colors.text, fontSize: 12 },
        }),
        series: [
            {
                type: "bar",
                barMaxWidth: 18,
                itemStyle: { color: colors.accent, borderRadius: [0, 3, 3, 0] },
                label: {
                    show: true,
                    position: "right",
                    color: colors.text,
                    formatter: ({ dataIndex }) => number(shown[dataIndex][1]),
                },
                data: shown.map(([, share]) => share),
            },
        ],
    };
}

/** Values against one param. */
export function sliceOption(study, param) {
    const colors = theme();
    const scale = scaleColors();
    const data = study.trials
        .filter((trial) => trial.value !== null && param.id in trial.params)
        .toSorted((one, other) => one.isBest - other.isBest)
        .map((trial) => point(trial, [settingOf(trial, param), trial.value], colors, scale));
    return {
        grid: room({ left: 56, right: 12, top: 8, bottom: 40 }),
        tooltip: tipOf(study, colors),
        xAxis: valueAxis(colors, "", param, { min: param.min, max: param.max }),
        yAxis: valueAxis(colors, "", {}),
        series: [{ type: "scatter", data }],
    };
}

/** Two params against each other; the colour says how good the value is. */
export function planeOption(study, x, y) {
    const colors = theme();
    const scale = scaleColors();
    const data = study.trials
        .filter(({ value, params }) => value !== null && x.id in params && y.id in params)
        .toSorted((one, other) => (one.score ?? -1) - (other.score ?? -1))
        .map((trial) => {
            const made = point(trial, [settingOf(trial, x), settingOf(trial, y)], colors, scale);
            return { ...made, symbolSize: trial.isBest ? 18 : 12 };
        });
    return {
        grid: room({ left: 72 }),
        tooltip: tipOf(study, colors),
        xAxis: valueAxis(colors, x.label, x, { nameGap: 26, min: x.min, max: x.max }),
        yAxis: valueAxis(colors, y.label, y, { nameGap: 54, min: y.min, max: y.max }),
        series: [{ type: "scatter", data }],
    };
}

/** The values that trials reported on the way, which the pruner looks at. */
export function reportsOption(study) {
    const colors = theme();
    const scale = scaleColors();
    const some = study.trials.filter(({ reports }) => Object.keys(reports).length > 0);
    const color = ({ state, score }) =>
        state === "pruned" || score === null ? colors.faint : scale[Math.round(score * (scale.length - 1))];
    return {
        grid: room({ left: 64 }),
        tooltip: tipOf(study, colors),
        xAxis: valueAxis(colors, "step", {}, { nameGap: 26, minInterval: 1 }),
        yAxis: valueAxis(colors, study.objective, {}, { nameGap: 48 }),
        series: some.map((trial) => ({
            type: "line",
            symbol: "circle",
            symbolSize: 4,
            showSymbol: true,
            triggerLineEvent: true,
            z: trial.state === "pruned" ? 2 : trial.isBest ? 4 : 3,
            lineStyle: {
                color: color(trial),
                width: trial.isBest ? 2.5 : 1.2,
                opacity: trial.state === "pruned" ? 0.55 : 0.9,
                type: trial.state === "pruned" ? [3, 3] : "solid",
            },
            itemStyle: { color: color(trial), opacity: trial.state === "pruned" ? 0.55 : 0.9 },
            emphasis: { lineStyle: { width: 3 } },
            data: Object.entries(trial.reports)
                .map(([step, value]) => ({
                    value: [Number(step), typeof value === "number" ? value : null],
                    trial,
                }))
                .toSorted((one, other) => one.value[0] - other.value[0]),
        })),
    };
}

/** When each trial ran, in seconds since the first began. */
export function timelineOption(study) {
    const colors = theme();
    const ran = study.trials.filter(({ started_at: at }) => at !== null);
    const begin = Math.min(...ran.map(({ started_at: at }) => Date.parse(at)));
    const now = Math.max(
        ...ran.flatMap((one) => [one.started_at, one.ended_at].map((at) => Date.parse(at) || 0)),
    );
    const spans = ran.map((trial) => {
        const from = (Date.parse(trial.started_at) - begin) / 1000;
        const to = ((trial.ended_at === null ? now : Date.parse(trial.ended_at)) - begin) / 1000;
        return { trial, from, length: Math.max(to - from, 0) };
    });
    const most = spans.reduce((top, { from, length }) => Math.max(top, from + length), 0);
    const least = most / 400; // A trial of no time is seen all the same.
    return {
        grid: room({ left: 64 }),
        tooltip: tooltip(colors, ({ data }) =>
            data?.trial
                ? lines([...describe(study, data.trial).slice(0, 2), ["took", duration(data.length)]])
                : "",
        ),
        dataZoom: [{ type: "inside", yAxisIndex: 0, zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false }],
        xAxis: valueAxis(
            colors,
            "since the first trial began",
            {},
            {
                nameGap: 26,
                min: 0,
                scale: false,
                axisLabel: { color: colors.soft, fontSize: 11, formatter: (tick) => duration(tick) },
            },
        ),
        yAxis: axis(colors, "trial", {
            type: "category",
            inverse: true,
            nameGap: 44,
            data: spans.map(({ trial }) => String(trial.number)),
            splitLine: { show: false },
        }),
        series: [
            {
                type: "bar",
                stack: "time",
                silent: true,
                itemStyle: { color: "transparent" },
                data: spans.map(({ from }) => from),
            },
            {
                type: "bar",
                stack: "time",
                barMaxWidth: 14,
                barCategoryGap: "15%",
                data: spans.map(({ trial, length }) => ({
                    value: Math.max(length, least),
                    trial,
                    length,
                    itemStyle: { color: colors[STATES[trial.state]?.color ?? "faint"], borderRadius: 2 },
                })),
            },
        ],
    };
}
