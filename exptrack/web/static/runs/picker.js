/** The window in which columns are chosen, ordered and pinned. */
import { html, useState } from "../vendor/ui.js";
import { Icon } from "../components/icons.js";
import { count, number } from "../format.js";
import { FACT_NAMES, labelOf, varies } from "./columns.js";

const MOST = 300; // That are listed at once; the search finds the others.
const STATISTICS = ["last", "min", "max", "mean", "first"];
const KINDS = [
    ["metric", "Metrics"],
    ["config", "Config keys"],
    ["attribute", "Attributes"],
];

/**
 * `columns` are those shown, `fields` what /api/fields says, `total` the number of runs that it is of.
 * `onChange(columns)` and `onPin(pinned)` take the new ones; `onReset()` takes the choice back.
 */
export function ColumnPicker({ columns, pinned, fields, total, onChange, onPin, onReset }) {
    const [search, setSearch] = useState("");
    const wanted = search.trim().toLowerCase();
    const matches = (name) => name.toLowerCase().includes(wanted);
    const toggle = (name) =>
        onChange(columns.includes(name) ? columns.filter((one) => one !== name) : [...columns, name]);
    const onlyDiffering = () => {
        const facts = columns.filter((name) => FACT_NAMES.includes(name));
        const differing = fields.filter((info) => info.kind !== "metric" && varies(info, total));
        const metrics = columns.filter((name) => name.startsWith("metrics."));
        onChange([...facts, ...differing.map(({ name }) => name), ...metrics]);
    };
    const facts = FACT_NAMES.filter((name) => matches(name) || matches(labelOf(name)));
    const listed = KINDS.map(([kind, title]) => [
        title,
        fields.filter((one) => one.kind === kind && matches(one.name)),
    ]);
    return html`<div class="picker">
        <div class="row">
            <input type="search" placeholder="Search columns" aria-label="Search columns" value=${search}
                onInput=${({ target }) => setSearch(target.value)} />
            <button onClick=${onlyDiffering} title="Show the config keys in which these runs differ">
                Only what differs</button>
            <button onClick=${onReset}>Reset</button>
        </div>
        <div class="picker-parts">
            <section><h3>Shown, in this order</h3>
                <${Order} columns=${columns} pinned=${pinned} onChange=${onChange} onPin=${onPin} /></section>
            <section class="picker-all">
                <${Offered} title="Run" names=${facts} columns=${columns} toggle=${toggle} />
                ${listed.map(
                    ([title, infos]) =>
                        infos.length > 0 &&
                        html`<${Offered} key=${title} title=${title}
                    names=${infos.slice(0, MOST).map(({ name }) => name)} infos=${infos} columns=${columns}
                    toggle=${toggle} left=${infos.length - MOST} />`,
                )}
            </section>
        </div></div>`;
}

function Offered({ title, names, infos = [], columns, toggle, left = 0 }) {
    const ofName = new Map(infos.map((info) => [info.name, info]));
    return html`<h3>${title}</h3><ul>${names.map((name) => {
        const info = ofName.get(name);
        return html`<li key=${name}><label title=${name}>
            <input type="checkbox" checked=${columns.includes(name)} onChange=${() => toggle(name)} />
            <bdi class="clip">${labelOf(name)}</bdi>
            ${info && html`<span class="faint number">${rangeOf(info)}</span>`}</label>
            ${info?.kind === "metric" && html`<${Statistics} ...${{ name, columns, toggle }} />`}</li>`;
    })}</ul>${left > 0 && html`<p class="faint">${count(left)} more; search for them</p>`}`;
}

/** Which other value of a metric is shown: its least, greatest, mean or first one. */
function Statistics({ name, columns, toggle }) {
    const isChosen = STATISTICS.some((one) => columns.includes(`${name}.${one}`));
    return html`<span class=${isChosen ? "statistics chosen" : "statistics"}>${STATISTICS.slice(1).map(
        (one) => {
            const field = `${name}.${one}`;
            return html`<button key=${one} class="tiny" aria-pressed=${String(columns.includes(field))}
            onClick=${() => toggle(field)} title=${field}>${one}</button>`;
        },
    )}</span>`;
}

const rangeOf = ({ numbers, least, greatest }) => {
    if (!numbers) return "";
    return least === greatest ? number(least) : `${number(least)} … ${number(greatest)}`;
};

function Order({ columns, pinned, onChange, onPin }) {
    const [over, setOver] = useState(null);
    const move = (name, place) => {
        const others = columns.filter((one) => one !== name);
        onChange(others.toSpliced(Math.min(Math.max(place, 0), others.length), 0, name));
    };
    const drop = (event, place) => {
        event.preventDefault();
        setOver(null);
        const name = event.dataTransfer.getData("text/x-column");
        if (columns.includes(name)) move(name, place);
    };
    const onKeyDown = (event, name, place) => {
        const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
        if (!step || !event.altKey) return;
        event.preventDefault();
        move(name, place + step);
    };
    const pin = (name) =>
        onPin(pinned.includes(name) ? pinned.filter((one) => one !== name) : [...pinned, name]);
    return html`<ol class="picker-order">${columns.map(
        (name, place) => html`<li key=${name} draggable="true"
            class=${over === place ? "over" : null}
            onDragStart=${(event) => event.dataTransfer.setData("text/x-column", name)}
            onDragOver=${(event) => {
                event.preventDefault();
                setOver(place);
            }}
            onDrop=${(event) => drop(event, place)}>
            <button class="icon tiny grip" title="Drag, or move by Alt and the arrow keys"
                aria-label=${`Move ${labelOf(name)}`} onKeyDown=${(event) => onKeyDown(event, name, place)}>
                <${Icon} name="grip-vertical" size=${14} /></button>
            <bdi class="clip" title=${name}>${labelOf(name)}</bdi>
            <button class="icon tiny" aria-pressed=${pinned.includes(name) ? "true" : "false"}
                aria-label=${`Pin ${labelOf(name)}`} title="Keep at the left" onClick=${() => pin(name)}>
                <${Icon} name="pin" size=${13} /></button>
            <button class="icon tiny" aria-label=${`Hide ${labelOf(name)}`} title="Hide"
                onClick=${() => onChange(columns.filter((one) => one !== name))}>
                <${Icon} name="x" size=${13} /></button></li>`,
    )}</ol>
        ${columns.length === 0 && html`<p class="faint">No column is shown.</p>`}
        <p class="faint">Pinned columns stay at the left.</p>`;
}
