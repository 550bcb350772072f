/**
 * The controls above the charts: axis, smoothing, scales, and what decides on colour, dash, chart and group.
 * @module
 */
import { html, useEffect, useState } from "../../vendor/ui.js";
import { visible } from "../../format.js";
import { Icon } from "../../components/icons.js";
import { BY_ORDER, shortName } from "../../components/looks.js";
import { SearchField } from "../../components/search_field.js";
import { axisOfState, metricAxis } from "./state.js";

const MOST_OPTIONS = 300;
const SETTLE_MS = 200;
// 1, 2, 5, 10 … 5 million
const LENGTHS = [
    0,
    ...Array.from({ length: 21 }, (_, place) => [1, 2, 5][place % 3] * 10 ** Math.floor(place / 3)),
];

function Select({ label, value, options, onChange }) {
    return html`<label class="field"><span>${label}</span>
    <select value=${value ?? ""} onChange=${(event) => onChange(event.target.value || null)}>
      ${options.map(([one, text]) => html`<option key=${one} value=${one}>${visible(text)}</option>`)}
    </select></label>`;
}

function Toggle({ label, title, isOn, onChange, isDisabled = false }) {
    return html`<button class="toggle" aria-pressed=${String(isOn)} title=${title} disabled=${isDisabled}
    onClick=${() => onChange(!isOn)}>${label}</button>`;
}

/** A value that is shown at once, and handed on when it settles. */
function useSettled(value, onSettle) {
    const [shown, setShown] = useState(value);
    useEffect(() => setShown(value), [value]);
    useEffect(() => {
        if (shown === value) return undefined;
        const timer = setTimeout(() => onSettle(shown), SETTLE_MS);
        return () => clearTimeout(timer);
    }, [shown]);
    return [shown, setShown];
}

function Smoothing({ state, set }) {
    const [length, setLength] = useSettled(state.smooth, (next) => set({ smooth: next > 0 ? next : null }));
    const place = LENGTHS.findLastIndex((one) => one <= length);
    const { unit } = axisOfState(state);
    const title = "A point weighs 1/e at this distance. The mean does not depend on the zoom.";
    return html`<div class="field smoothing" title=${title}><label for="smoothing">Smooth</label>
    <input id="smoothing" type="range" min="0" max=${LENGTHS.length - 1} step="1" value=${place}
      aria-valuetext=${length > 0 ? `over ${length} ${unit}` : "off"}
      onInput=${(event) => setLength(LENGTHS[Number(event.target.value)])} />
    <input class="number" type="text" inputmode="decimal" aria-label=${`Length of smoothing in ${unit}`}
      value=${length > 0 ? length : ""} placeholder="off"
      onChange=${(event) => setLength(Math.max(0, Number(event.target.value) || 0))} />
    <span class="unit">${unit}</span></div>`;
}

function Search({ state, set }) {
    const [text, setText] = useSettled(state.search, (next) => set({ search: next || null }));
    return html`<${SearchField} label="Search metrics" value=${text} onInput=${setText} />`;
}

/** The least and greatest value that an enlarged chart shows; empty means as the data are. */
function Limits({ state, set }) {
    const field = (name, label, value) => html`<input type="text" inputmode="decimal" class="number limit"
      aria-label=${label} placeholder="auto" value=${value ?? ""}
      onChange=${(event) => set({ [name]: event.target.value.trim() || null })} />`;
    return html`<span class="field">Y ${field("ylow", "Least value shown", state.yLimits[0])} –
      ${field("yhigh", "Greatest value shown", state.yLimits[1])}</span>`;
}

function Grouping({ state, set, keys }) {
    const left = keys.filter((key) => !state.group.includes(key));
    const remove = (key) => set({ group: state.group.filter((one) => one !== key) });
    return html`<div class="field"><label for="group-by">Group</label>
    ${state.group.map(
        (key) => html`<span key=${key} class="chip"><bdi class="clip">${visible(shortName(key))}</bdi>
      <button class="chip-remove" aria-label=${`Do not group by ${key}`} onClick=${() => remove(key)}>
        <${Icon} name="x" size=${12} /></button></span>`,
    )}
    <select id="group-by" value="" onChange=${(event) => set({ group: [...state.group, event.target.value] })}>
      <option value="">${state.group.length > 0 ? "and by …" : "no"}</option>
      ${left.map((key) => html`<option key=${key} value=${key}>${visible(shortName(key))}</option>`)}</select>
    ${
        state.group.length > 0 &&
        html`<select aria-label="Band of a group" value=${state.band}
      onChange=${(event) => set({ band: event.target.value === "range" ? "range" : null })}>
      <option value="deviation">± std</option><option value="range">min – max</option></select>`
    }
  </div>`;
}

/**
 * @param {{state: object, set: Function, keys: string[], metrics: string[], isLarge: boolean}} props
 *     `set` changes the URL
 */
export function Toolbar({ state, set, keys, metrics, isLarge }) {
    const choices = ["group", "status", ...keys].slice(0, MOST_OPTIONS);
    const columns = (none) => [["", none], ...choices.map((key) => [key, shortName(key)])];
    const [byRun, ...byColumn] = columns("by run");
    const colors = [byRun, [BY_ORDER, "in order"], ...byColumn];
    const axes = [
        ["step", "Step"],
        ["time", "Time since start"],
        ["wall", "Local time"],
        ...metrics.slice(0, MOST_OPTIONS).map((name) => [metricAxis(name), `Metric ${name}`]),
    ];
    const canLogX = state.x !== "wall";
    return html`<div class="chart-tools" role="toolbar" aria-label="Charts">
    <${Search} state=${state} set=${set} />
    <${Select} label="X" value=${state.x} options=${axes}
      onChange=${(x) => set({ x: x === "step" ? null : x, zoom: null, smooth: null })} />
    <${Smoothing} state=${state} set=${set} />
    <div class="toggles">
      <${Toggle} label="log x" isOn=${state.logX} isDisabled=${!canLogX} title="Draw x on a logarithmic axis"
        onChange=${(on) => set({ logx: on ? "1" : null })} />
      <${Toggle} label="log y" isOn=${state.logY} title="Draw values on a logarithmic axis"
        onChange=${(on) => set({ logy: on ? "1" : null })} />
      <${Toggle} label="ignore outliers" isOn=${state.ignoreOutliers}
        title="Fit the axis to values within 3 distances of the quartiles. Each chart says what is out of view."
        onChange=${(on) => set({ outliers: on ? "ignore" : null })} />
    </div>
    <${Select} label="Colour" value=${state.color} options=${colors}
      onChange=${(color) => set({ color })} />
    <${Select} label="Dash" value=${state.dash} options=${columns("by run")}
      onChange=${(dash) => set({ dash })} />
    <${Select} label="Chart" value=${state.split} options=${columns("one a metric")}
      onChange=${(split) => set({ split })} />
    <${Grouping} state=${state} set=${set} keys=${choices} />
    ${isLarge && html`<${Limits} state=${state} set=${set} />`}
    ${
        state.zoom &&
        html`<button onClick=${() => set({ zoom: null })}><${Icon} name="rotate-ccw" size=${14} />
      Reset zoom</button>`
    }
  </div>`;
}
