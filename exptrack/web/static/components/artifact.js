/**
 * Shows an artifact by what it is: image, text, table, histogram or the files of a folder. All else can be
 * saved.
 */
import { html, useState } from "../vendor/ui.js";
import { useImageUrl } from "../address.js";
import { check, get, urlOf, withToken } from "../api.js";
import { bytes, count, number, plural, visible } from "../format.js";
import { Copy } from "./copy.js";
import { Icon } from "./icons.js";
import { Loaded, useLoad } from "./load.js";
import { MatrixPicture, TablePreview, TextPreview, isMatrix } from "./text.js";
import { toastError } from "../toasts.js";

const TABLE_ROWS = 1000;
const COMPACT_ROWS = 32;
const FOLDER = "application/vnd.exptrack.folder+json";
const SHOWN_BY_BROWSERS = /^image\/(png|jpeg|gif|webp|bmp|svg\+xml|avif)$/;

const address = (kind, { run_id: run, version, name }) =>
    `/${kind}/${encodeURIComponent(run)}/${version}/${name.split("/").map(encodeURIComponent).join("/")}`;

/** Where the bytes of an artifact are, or those of a file in a folder. */
export const artifactUrl = (artifact, file = null) => withToken(urlOf(address("artifact", artifact), { file }));

/** Where a small picture of an image is; its longer side has at most `size` pixels. */
const thumbnailUrl = (artifact, size) => withToken(urlOf(address("thumbnail", artifact), { size }));

/** What an artifact is to a reader: image, histogram, table, text, folder or bytes. */
export function sortOf({ kind, media_type: type, is_text: isText }) {
    if (type === FOLDER) return "folder";
    if (SHOWN_BY_BROWSERS.test(type ?? "")) return "image";
    if (kind === "histogram" || kind === "table") return kind;
    return isText ? "text" : "bytes";
}

const ICONS = {
    image: "image",
    table: "table-2",
    text: "file",
    folder: "folder",
    histogram: "chart-line",
    bytes: "database",
};

export function SortIcon({ artifact }) {
    return html`<${Icon} name=${ICONS[sortOf(artifact)]} />`;
}

/** Describes an artifact in a few words: size, and what its metadata say of its shape. */
export function describe(artifact) {
    const { width, height, rows, columns, lines } = artifact.metadata ?? {};
    const facts = [bytes(artifact.size_bytes)];
    if (width && height) facts.push(`${width} × ${height}`);
    if (Number.isInteger(rows)) facts.push(plural(rows, "row"));
    if (Array.isArray(columns)) facts.push(plural(columns.length, "column"));
    if (Number.isInteger(lines)) facts.push(plural(lines, "line"));
    return facts.join(" · ");
}

/** Saves what a link leads to, or says why it cannot be read: a browser would only say that it failed. */
async function saveLink(event) {
    const link = event.currentTarget;
    if (!event.isTrusted || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    try {
        await check(link.href);
        link.click();
    } catch (error) {
        toastError(error);
    }
}

/** A link that saves the artifact. */
export function Download({ artifact, title = null, kind = "button", children }) {
    const name = artifact.name.split("/").at(-1);
    return html`<a class=${kind} title=${title} href=${artifactUrl(artifact)} download=${name}
        onClick=${saveLink}>${children ?? html`<${Icon} name="download" /> Download`}</a>`;
}

/**
 * An image, whole or as a small picture of at most `size` pixels. A drawing is always sent whole, and so is an
 * image of which the server cannot make a small picture.
 */
export function Picture({ artifact, full = true, size = 256 }) {
    const [failed, setFailed] = useState([]);
    const whole = artifactUrl(artifact);
    const isSmall = !full && artifact.media_type !== "image/svg+xml";
    const src = [isSmall ? thumbnailUrl(artifact, size) : whole, whole].find((one) => !failed.includes(one));
    const shown = useImageUrl(src);
    if (src === undefined) return html`<${Broken} url=${whole} />`;
    const caption = artifact.metadata?.caption;
    const word = caption ?? `step ${artifact.step ?? "unknown"}`;
    const alt = `${artifact.name}: ${word}`;
    return html`<img class="picture" src=${shown} alt=${visible(alt)} loading=${full ? null : "lazy"}
        decoding="async"
        onError=${() => setFailed([...failed, src])} />`;
}

/** Instead of a picture: why it is not shown. */
function Broken({ url }) {
    const asked = useLoad(() => check(url), [url]);
    if (asked.loading) return null;
    return html`<span class="picture-broken"><${Icon} name="triangle-alert" />
        ${asked.error ? visible(asked.error.message) : "The browser cannot show it."}</span>`;
}

/** The content of an artifact, by what it is. `compact` leaves out what needs much room. */
export function ArtifactPreview({ artifact, compact = false }) {
    const Body = {
        image: ImageBody,
        text: TextBody,
        table: TableBody,
        histogram: HistogramBody,
        folder: FolderBody,
    };
    const Shown = Body[sortOf(artifact)] ?? BytesBody;
    return html`<div class=${`artifact-preview sort-${sortOf(artifact)}`}>
        <${Shown} artifact=${artifact} compact=${compact} /></div>`;
}

const versionKeys = ({ run_id: run, name, version }) => [run, name, version];
const versionParams = ({ run_id: run, name, version }) => ({ run, name, version });

function ImageBody({ artifact, compact }) {
    const [natural, setNatural] = useState(false);
    if (compact) return html`<${Picture} artifact=${artifact} full=${false} size=${512} />`;
    return html`<button type="button" class=${natural ? "picture-frame natural" : "picture-frame"}
        title=${natural ? "Fit it into the page" : "Show it in its own size"}
            onClick=${() => setNatural(!natural)}>
        <${Picture} artifact=${artifact} /></button>`;
}

const useText = (artifact) =>
    useLoad((signal) => get("/api/artifact-text", versionParams(artifact), signal), versionKeys(artifact));

function TextBody({ artifact, compact }) {
    const text = useText(artifact);
    return html`<${Loaded} of=${text}>${(answer) =>
        compact
            ? html`<pre class="text-compact">${visible(answer.text.slice(0, 2000))}</pre>`
            : html`<${TextPreview} text=${answer.text} truncated=${answer.truncated} size=${artifact.size_bytes}
            label=${artifact.name} />`}<//>`;
}

function TableBody({ artifact, compact }) {
    const most = compact ? COMPACT_ROWS : TABLE_ROWS;
    const table = useLoad(
        (signal) => get("/api/artifact-table", { ...versionParams(artifact), rows: most }, signal),
        [...versionKeys(artifact), most],
    );
    return html`<${Loaded} of=${table}>${({ columns, rows: total }) => {
        const names = columns.map((column) => column.name);
        const rows = rowsOf(columns);
        const isPicture = compact && rows.length === total && isMatrix(names, rows);
        const Shown = isPicture ? MatrixPicture : TablePreview;
        return html`<${Shown} columns=${names} rows=${rows} total=${total} label=${artifact.name} />`;
    }}<//>`;
}

/** Turns columns of cells into rows. */
function rowsOf(columns) {
    return Array.from({ length: columns[0]?.cells.length ?? 0 }, (_, row) =>
        columns.map(({ cells }) => cells[row]),
    );
}

function FolderBody({ artifact }) {
    const folder = useLoad(
        (signal) => get("/api/artifact-files", versionParams(artifact), signal),
        versionKeys(artifact),
    );
    const linkOf = (cell, column, row) =>
        column === "file" && row[1] !== null ? artifactUrl(artifact, cell) : null;
    return html`<${Loaded} of=${folder}>${({ files }) => html`<${TablePreview} columns=${["file", "bytes"]}
        label=${artifact.name} linkOf=${linkOf} rows=${files.map((file) => [
            file.path,
            file.size_bytes,
        ])} />`}<//>`;
}

function BytesBody({ artifact }) {
    return html`<p class="soft">These bytes have no preview.
        ${artifact.media_type && html` Their type is <code>${visible(artifact.media_type)}</code>.`}</p>`;
}

function HistogramBody({ artifact, compact }) {
    const text = useText(artifact);
    return html`<${Loaded} of=${text}>${(answer) =>
        answer.truncated
            ? html`<p class="soft">The histogram has too many bins to show; download it.</p>`
            : html`<${Histogram} data=${JSON.parse(answer.text)} compact=${compact}
            label=${artifact.name} />`}<//>`;
}

const WIDTH = 640;
const HEIGHT = 200;

/** Bars for counts between edges, with what lies outside of them. */
export function Histogram({ data: { edges, counts, nan = 0, low = 0, high = 0 }, compact = false, label }) {
    const most = Math.max(1, ...counts);
    const [from, to] = [edges[0], edges.at(-1)];
    const place = (edge) => ((edge - from) / (to - from)) * WIDTH;
    const outside = [
        [nan, "NaN"],
        [low, "below"],
        [high, "above"],
    ]
        .filter(([size]) => size > 0)
        .map(([size, word]) => `${count(size)} ${word}`);
    const total = counts.reduce((sum, one) => sum + one, 0);
    const says = `${count(total)} values from ${number(from)} to ${number(to)}`;
    return html`<figure class="histogram">
        <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img"
            aria-label=${`${label}: ${says}`}>
            ${counts.map(
                (size, bin) => html`<rect key=${bin} x=${place(edges[bin])}
                width=${Math.max(0.5, place(edges[bin + 1]) - place(edges[bin]) - 0.5)}
                y=${HEIGHT * (1 - size / most)} height=${(HEIGHT * size) / most}>
                <title>${`${number(edges[bin])} to ${number(edges[bin + 1])}: ${count(size)}`}</title></rect>`,
            )}
        </svg>
        <div class="histogram-axis"><span>${number(from)}</span><span>${number(to)}</span></div>
        <figcaption class="soft">${says}${outside.length > 0 && `; outside: ${outside.join(", ")}`}</figcaption>
        ${
            !compact &&
            html`<details><summary>Counts as a table</summary><${TablePreview}
            columns=${["from", "to", "values"]}
            rows=${counts.map((size, bin) => [edges[bin], edges[bin + 1], size])}
                label=${`counts of ${label}`} /></details>`
        }
    </figure>`;
}

/** What is known of one version of an artifact: type, size, hash, description and metadata. */
export function ArtifactFacts({ artifact }) {
    const { caption, columns, ...metadata } = artifact.metadata ?? {};
    return html`<dl class="pairs">
        <div><dt>kind</dt><dd>${visible(artifact.kind)}${
            artifact.media_type && html`, <code>${visible(artifact.media_type)}</code>`
        }</dd></div>
        <div><dt>size</dt><dd title=${`${count(artifact.size_bytes)} bytes`}>${describe(artifact)}</dd></div>
        ${artifact.step !== null && html`<div><dt>step</dt><dd>${count(artifact.step)}</dd></div>`}
        <div><dt>hash</dt><dd><code>${artifact.hash.slice(0, 19)}</code><${Copy} text=${artifact.hash}
            label="the hash" /></dd></div>
        ${
            artifact.aliases.length > 0 &&
            html`<div><dt>aliases</dt><dd><${Aliases} names=${artifact.aliases} />
            </dd></div>`
        }
        ${
            artifact.description &&
            html`<div><dt>description</dt><dd><bdi>${visible(artifact.description)}</bdi>
            </dd></div>`
        }
        ${Object.entries(metadata).map(
            ([key, item]) => html`<div key=${key}><dt><bdi>${visible(key)}</bdi></dt>
            <dd><bdi>${visible(typeof item === "object" ? JSON.stringify(item) : String(item))}</bdi></dd>
                </div>`,
        )}
    </dl>`;
}

export function Aliases({ names }) {
    return names.map((name) => html`<span class="alias" key=${name}><bdi>${visible(name)}</bdi></span>`);
}
