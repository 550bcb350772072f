/** The log of what happened to a run, newest last, searched by any of its words. */
import { html, useState } from "../../vendor/ui.js";
import { get } from "../../api.js";
import { Loaded, useLoad } from "../../components/load.js";
import { Moment } from "../../components/moment.js";
import { Pages } from "../../components/text.js";
import { valueText } from "../../components/tree.js";
import { count, plural, visible } from "../../format.js";

const PAGE = 200;
const MOST_EVENTS = 10000; // that the server sends

export function Events({ run, ticks, route }) {
    const events = useLoad(
        (signal) => get(`/api/run/${encodeURIComponent(run.run_id)}/events`, {}, signal),
        [run.run_id],
        ticks,
    );
    const [page, setPage] = useState(0);
    const search = route.params.get("q") ?? "";
    const change = (text) => {
        route.set({ q: text || null });
        setPage(0);
    };
    return html`<${Loaded} of=${events}>${(answer) => {
        const found = answer.events.filter((event) => eventText(event).includes(search.toLowerCase()));
        const pages = Math.max(1, Math.ceil(found.length / PAGE));
        const at = Math.min(page, pages - 1);
        return html`<div class="tool-row"><input type="search" class="search" aria-label="Search events"
                placeholder=${`Search ${plural(answer.events.length, "event")}`} value=${search}
                onInput=${(event) => change(event.target.value)} /></div>
            <table class="listing events-table">
                <thead><tr><th scope="col">Time</th><th scope="col">Event</th><th scope="col">Data</th></tr>
                    </thead>
                <tbody>${found.slice(at * PAGE, (at + 1) * PAGE).map(
                    (event) => html`<tr key=${event.seq}>
                    <td><${Moment} at=${event.happened_at} seconds /></td>
                    <td><bdi class="event-kind">${visible(event.kind)}</bdi></td>
                    <td>${Object.entries(event.data)
                        .filter(([, value]) => value !== null)
                        .map(
                            ([key, value]) =>
                                html`
                        <span class="event-fact" key=${key}><span class="soft">${visible(key)}</span>${" "}
                            <bdi title=${visible(valueText(value))}>${visible(shorten(valueText(value)))}</bdi>
                                </span>`,
                        )}</td></tr>`,
                )}</tbody></table>
            <${Pages} at=${at} pages=${pages} go=${setPage}>${plural(found.length, "event")}<//>
            ${
                answer.events.length >= MOST_EVENTS &&
                html`<p class="soft">The first ${count(MOST_EVENTS)} are shown.
                The view <code>events</code> of SQL has all.</p>`
            }`;
    }}<//>`;
}

function eventText(event) {
    return `${event.kind} ${JSON.stringify(event.data)}`.toLowerCase();
}

const HASH = /^(sha256:)?[0-9a-f]{40,}$/;

/** A value as a line tells it: the beginning of a hash or of a long text; all of it is under the pointer. */
function shorten(text) {
    const most = HASH.test(text) ? 19 : 200;
    return text.length > most ? `${text.slice(0, most)}…` : text;
}
