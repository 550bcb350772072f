/** What the server computes over all runs of the filter: which keys matter for a metric, and means by group. */
import { html, useMemo } from "../../vendor/ui.js";
import { get, urlOf } from "../../api.js";
import { dark } from "../../colors.js";
import { Figure, Pick } from "../../components/figure.js";
import { useLoad } from "../../components/load.js";
import { number, numeric, value, visible } from "../../format.js";
import { groupConditions, keyPathOf } from "../../runs/conditions.js";
import { labelOf } from "../../runs/columns.js";
import { splitMetric } from "../../runs/groups.js";
import { barsOption } from "../sweep/charts.js";
import { groupsOption } from "./charts.js";

// Ranks see only what rises or falls all the way, and a learning rate has its best place in between.
const METHODS = [
    ["groups", "by groups"],
    ["spearman", "by ranks"],
    ["forest", "by a forest"],
];

/** Nobody is asked if there is no metric. */
const ask = (path, metric, params, signal) => {
    const [name, by] = splitMetric(metric);
    return get(path, { metric: name, by, ...params }, signal);
};

export function Importance({ asked, where, state, route }) {
    const { metric } = state;
    const method = route.params.get("method") ?? "groups";
    const found = useLoad(
        async (signal) => (metric ? ask("/api/importance", metric, { where, method }, signal) : null),
        [...asked, method],
    );
    const ranked = found.data?.importance ?? [];
    const rows = ranked.map((one) => [one.key, numeric(one.importance)]);
    const option = useMemo(() => barsOption(rows), [found.data, dark.value]);
    const empty =
        found.error?.message ??
        (!metric
            ? "No run logged a metric."
            : found.loading && !found.data
              ? "Reading…"
              : rows.length
                ? null
                : "No key of these runs varies.");
    const byName = new Map(ranked.map((one) => [one.key, one]));
    return html`<${Figure} title=${`What matters for ${metric ? labelOf(metric) : "a metric"}`} option=${option}
        empty=${empty && visible(empty)} height=${380}
        tools=${html`<${Pick} label="Method" value=${method} options=${METHODS}
            onChange=${(one) => route.set({ method: one === "groups" ? null : one })} />`}
        label=${`How much of ${metric} each config key explains`}
        table=${() => ({
            columns: ["key", "importance", "correlation", "runs", "values"],
            rows: [...byName.values()].map((one) => [
                one.key,
                numeric(one.importance),
                numeric(one.correlation),
                one.runs,
                one.values,
            ]),
        })} />`;
}

export function Groups({ asked, where, state, axes, options, route }) {
    const { metric } = state;
    const keys = options.find(({ label }) => label === "Config")?.options ?? [];
    const own = route.params.getAll("group");
    const shown = axes.filter(({ id }) => id.startsWith("config."));
    const named = (shown.find(({ kind }) => kind === "category") ?? shown[0])?.id ?? keys[0]?.[0];
    const fields = own.length ? own : named ? [named] : [];
    const found = useLoad(
        async (signal) =>
            metric && fields.length
                ? ask("/api/groups", metric, { where, keys: fields.map(keyPathOf) }, signal)
                : null,
        [...asked, fields.join("\u0000")],
    );
    const pairs = fields.map((field) => ({ field, path: keyPathOf(field) }));
    const groups = useMemo(
        () =>
            (found.data?.groups ?? []).map((group) => ({
                ...group,
                mean: numeric(group.mean),
                std: numeric(group.std),
                min: numeric(group.min),
                max: numeric(group.max),
                label: pairs
                    .map(({ path }) => (path in group.config ? value(group.config[path]) : "–"))
                    .join(", "),
            })),
        [found.data],
    );
    const metricName = metric ? labelOf(metric) : "";
    const option = useMemo(() => groupsOption(groups, metricName), [groups, metricName, dark.value]);
    const empty =
        found.error?.message ??
        (!metric || !fields.length
            ? "Groups need a metric and a config key."
            : found.loading && !found.data
              ? "Reading…"
              : groups.length
                ? null
                : "No completed run has this metric.");
    const second = keys.filter(([field]) => field !== fields[0]);
    const set = (place) => (field) => {
        const next = place === 0 ? [field, fields[1]] : [fields[0], field];
        route.set({ group: next.filter((one, at) => one && next.indexOf(one) === at) });
    };
    const tools = html`<${Pick} label="Group by" value=${fields[0]} options=${keys} onChange=${set(0)} />
        <${Pick} label="and" value=${fields[1]} options=${[["", "nothing"], ...second]} onChange=${set(1)} />`;
    const onClick = ({ data }) => {
        if (!data?.group) return;
        const conditions = groupConditions(data.group.config, pairs);
        route.go(urlOf("/runs", { where: [...(where ? [where] : []), ...conditions] }));
    };
    return html`<${Figure} wide title=${`Mean of ${metricName} by group`} option=${option} tools=${tools}
        empty=${empty && visible(empty)} height=${Math.min(90 + 26 * Math.max(3, groups.length), 560)}
        events=${{ click: onClick }}
        label=${`Mean of ${metricName} in each group, one standard deviation to both sides, and the extremes`}
        table=${() => ({
            columns: [...fields.map(labelOf), "runs", "mean", "std", "least", "greatest", "NaN"],
            rows: groups.map((group) => [
                ...pairs.map(({ path }) => group.config[path] ?? null),
                group.count,
                group.mean,
                group.std,
                group.min,
                group.max,
                group.nan_count,
            ]),
        })} />`;
}
