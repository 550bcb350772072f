/** The buttons beside the filter line: group, curve, columns, export. */
import { html, useState } from "../vendor/ui.js";
import { Icon } from "../components/icons.js";
import { Popup } from "../components/popup.js";
import { firstMetric, labelOf, varies } from "./columns.js";
import { ColumnPicker } from "./picker.js";

function Tool({ icon, label, value, children }) {
    const [anchor, setAnchor] = useState(null);
    return html`<button aria-haspopup="dialog" aria-expanded=${anchor ? "true" : "false"}
            onClick=${({ currentTarget }) => setAnchor(anchor ? null : currentTarget)}>
            <${Icon} name=${icon} />${label}${value && html`<b class="clip tool-value">${value}</b>`}</button>
        ${
            anchor &&
            html`<${Popup} anchor=${anchor} label=${label} onClose=${() => setAnchor(null)}>
            ${children}</${Popup}>`
        }`;
}

export function Tools({ query, names, pinned, fields, total, set, onCsv }) {
    const metrics = fields.filter(({ kind }) => kind === "metric").map(({ name }) => name);
    const setColumns = (columns) => set({ columns });
    const pin = (list) => set({ pin: list.length ? list : ["none"] });
    const grouped = query.group.map(labelOf).join(", ");
    return html`<div class="tools">
        <${Tool} icon="layers" label="Group" value=${grouped}>
            <${Grouping} ...${{ query, fields, metrics, total, set }} /></${Tool}>
        <${Tool} icon="chart-line" label="Curve" value=${query.spark && labelOf(query.spark)}>
            <${Choice} label="Draw a small curve of" names=${metrics} chosen=${query.spark} none="No curve"
                onChoose=${(name) => set({ spark: name })} /></${Tool}>
        <${Tool} icon="columns-3" label="Columns">
            <${ColumnPicker} columns=${names} pinned=${pinned} fields=${fields} total=${total}
                onChange=${setColumns} onPin=${pin}
                onReset=${() => set({ columns: null, pin: null })} /></${Tool}>
        <button class="icon" title="Export all runs that match as CSV" aria-label="Export as CSV"
            onClick=${onCsv}>
            <${Icon} name="download" /></button>
    </div>`;
}

/** A list of fields, one of which may be chosen. */
function Choice({ label, names, chosen, none, onChoose }) {
    const [search, setSearch] = useState("");
    const shown = names
        .filter((name) => name.toLowerCase().includes(search.trim().toLowerCase()))
        .slice(0, 200);
    return html`<div class="choice stack pad"><h3>${label}</h3>
        ${
            names.length > 12 &&
            html`<input type="search" aria-label="Search" placeholder="Search" value=${search}
            onInput=${({ target }) => setSearch(target.value)} />`
        }
        <ul>${
            none &&
            html`<li><label><input type="radio" name=${label} checked=${!chosen}
                onChange=${() => onChoose(null)} />${none}</label></li>`
        }
            ${shown.map(
                (name) => html`<li key=${name}><label title=${name}><input type="radio" name=${label}
                checked=${chosen === name} onChange=${() => onChoose(name)} />
                <bdi class="clip">${labelOf(name)}</bdi></label></li>`,
            )}</ul></div>`;
}

function Grouping({ query, fields, metrics, total, set }) {
    const keys = fields
        .filter((info) => info.kind === "config" && varies(info, total))
        .map(({ name }) => name);
    const toggle = (name) => {
        const group = query.group.includes(name)
            ? query.group.filter((one) => one !== name)
            : [...query.group, name];
        set({ group, metric: group.length ? query.metric : null, open: null });
    };
    return html`<div class="row top"><div class="choice stack pad"><h3>Group by</h3>
            <ul>${keys.map(
                (name) => html`<li key=${name}><label title=${name}><input type="checkbox"
                checked=${query.group.includes(name)} onChange=${() => toggle(name)} />
                <bdi class="clip">${labelOf(name)}</bdi></label></li>`,
            )}</ul></div>
        <${Choice} label="Mean and spread of" names=${metrics}
            chosen=${query.metric ?? firstMetric(fields, total)}
            onChoose=${(metric) => set({ metric })} /></div>`;
}
