/** What the explorer draws, as options of ECharts: runs as points, and groups as means with their spread. */
import { colorOf, palette } from "../../colors.js";
import { axis, lines, room, scaleColors, short, theme, tooltip, valueAxis } from "../../components/echart.js";
import { number } from "../../format.js";
import { placeOn, writerOf } from "./fields.js";

const MOST_GROUPS = 40;
const MOST_COLORS = 8;
const MANY = 1500;

/** What the tooltip says of a run. */
export const describeRun = (axes, row) => [
    [row.name ?? row.run_id, " "],
    ...axes.map((one) => {
        const at = placeOn(one, row);
        return [one.label, one.kind === "time" && at !== null ? writerOf(one)(at) : row[one.id]];
    }),
];

function colorRange(color, rows) {
    let [least, greatest] = [Infinity, -Infinity];
    for (const row of rows) {
        const at = placeOn(color, row);
        if (at === null || (color.log && at <= 0)) continue;
        least = Math.min(least, at);
        greatest = Math.max(greatest, at);
    }
    return [least, greatest];
}

/** How points get their colours: {colorOf(row), legend}. Legend is a list of [text, colour]. */
export function coloring(color, rows, colors) {
    if (!color) return { colorOf: (row) => colorOf(row.row_id), legend: [] };
    if (color.kind === "category") {
        const counts = new Map();
        for (const row of rows) {
            const name = placeOn(color, row);
            if (name !== null) counts.set(name, (counts.get(name) ?? 0) + 1);
        }
        const most = [...counts].toSorted((one, other) => other[1] - one[1]).slice(0, MOST_COLORS);
        const chosen = new Map(
            most
                .map(([name]) => name)
                .toSorted()
                .map((name, place) => [name, palette()[place]]),
        );
        const rest = counts.size > MOST_COLORS ? [["others", colors.faint]] : [];
        return {
            colorOf: (row) => chosen.get(placeOn(color, row)) ?? colors.faint,
            legend: [...chosen, ...rest],
        };
    }
    const scale = scaleColors();
    const [least, greatest] = colorRange(color, rows);
    const on = color.log ? Math.log : (x) => x;
    const span = on(greatest) - on(least);
    const write = writerOf(color);
    const shareOf = (at) => (span > 0 ? (on(at) - on(least)) / span : 0.5);
    return {
        colorOf: (row) => {
            const at = placeOn(color, row);
            return at === null ? colors.faint : scale[Math.round(shareOf(at) * (scale.length - 1))];
        },
        legend: Number.isFinite(least)
            ? [
                  [write(least), scale[0]],
                  [write(greatest), scale.at(-1)],
              ]
            : [],
        scale: Number.isFinite(least) ? scale : null,
    };
}

/** Runs as points; those outside of the brushes are faded. */
export function scatterOption({ x, y, color, paint, rows, isChosen, axes }) {
    const colors = theme();
    const size = rows.length > MANY ? 4 : rows.length > 300 ? 6 : 8;
    const point = (row) => ({
        value: [placeOn(x, row), placeOn(y, row)],
        row,
        itemStyle: { color: paint.colorOf(row) },
    });
    const placed = rows.filter((row) => placeOn(x, row) !== null && placeOn(y, row) !== null);
    const shown = placed.filter(isChosen);
    const faded = placed.filter((row) => !isChosen(row));
    const told = [x, y, ...(color ? [color] : []), ...axes].filter(
        (one, place, all) => all.findIndex(({ id }) => id === one.id) === place,
    );
    return {
        grid: room({ left: 68, right: 20 }),
        tooltip: tooltip(colors, ({ data }) => (data?.row ? lines(describeRun(told, data.row)) : "")),
        brush: {
            xAxisIndex: 0,
            yAxisIndex: 0,
            brushStyle: { color: colors.accent, opacity: 0.12, borderColor: colors.accent, borderWidth: 1 },
            outOfBrush: { colorAlpha: 1 },
            throttleType: "debounce",
        },
        xAxis: valueAxis(colors, x.label, x, { nameGap: 26 }),
        yAxis: valueAxis(colors, y.label, y, { nameGap: 52 }),
        series: [
            {
                type: "scatter",
                silent: true,
                symbolSize: size,
                z: 1,
                data: faded.map((row) => ({
                    ...point(row),
                    itemStyle: { color: colors.line, opacity: 0.5 },
                })),
            },
            {
                type: "scatter",
                symbolSize: size,
                z: 2,
                itemStyle: { opacity: rows.length > MANY ? 0.55 : 0.85 },
                emphasis: { itemStyle: { borderColor: colors.text, borderWidth: 1.5 } },
                data: shown.map(point),
            },
        ],
    };
}

/** The mean of each group as a point, one standard deviation to both sides as a line, and the extremes. */
export function groupsOption(groups, metric) {
    const colors = theme();
    const shown = groups.slice(0, MOST_GROUPS).toReversed();
    const spans = shown.flatMap(({ mean, std }, place) =>
        mean === null || std === null
            ? []
            : [
                  [mean - std, place],
                  [mean + std, place],
                  [null, null],
              ],
    );
    const ends = shown.flatMap((group, place) =>
        group.min === null
            ? []
            : [
                  [group.min, place],
                  [group.max, place],
                  [null, null],
              ],
    );
    const line = (data, width, opacity) => ({
        type: "line",
        silent: true,
        symbol: "none",
        connectNulls: false,
        lineStyle: { color: colors.accent, width, opacity, cap: "round" },
        data,
    });
    return {
        grid: room({ left: 12, right: 24, top: 4, containLabel: true }),
        tooltip: tooltip(colors, ({ data }) =>
            data?.group
                ? lines(
                      [
                          [data.group.label, ""],
                          ["mean", number(data.group.mean)],
                          ["std", number(data.group.std)],
                          ["runs", data.group.count],
                          ["least", number(data.group.min)],
                          ["greatest", number(data.group.max)],
                      ].map(([name, one]) => [name, one === "" ? " " : one]),
                  )
                : "",
        ),
        xAxis: valueAxis(colors, metric, {}, { nameGap: 24 }),
        yAxis: axis(colors, "", {
            type: "category",
            data: shown.map(({ label }) => short(label, 36)),
            axisTick: { show: false },
            axisLabel: { color: colors.text, fontSize: 12 },
            splitLine: { show: true, lineStyle: { color: colors.grid } },
        }),
        series: [
            line(ends, 1, 0.5),
            line(spans, 5, 0.4),
            {
                type: "scatter",
                symbolSize: 9,
                itemStyle: { color: colors.accent },
                data: shown
                    .map((group, place) => ({ value: [group.mean, place], group }))
                    .filter(({ group }) => group.mean !== null),
            },
        ],
    };
}
