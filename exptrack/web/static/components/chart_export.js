/**
 * Save a chart as PNG, SVG or CSV.
 * @module
 */
import { csv, visible } from "../format.js";
import { axisOf, spaceOf } from "./axes.js";
import { bucketWidth } from "./lines.js";
import { MARK_SIZE, eachPiece, placeMarks } from "./plot_painting.js";

const LEGEND_ROW = 18;
const MOST_LEGEND_ROWS = 50;

/** Hand a file to the browser to save. */
export function saveFile(name, content, type) {
    const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name.replace(/[^\p{L}\p{N}._-]+/gu, "_");
    link.click();
    // The browser has begun to read by then; without this the bytes stay as long as the page.
    setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Return the points of lines as CSV, a row for each bucket. */
export function chartCsv(lines, { xName, metric }) {
    const head = ["run", "name", "metric", xName, "width", "value", "mean", "min", "max", "points", "nan"];
    const rows = [head];
    for (const line of lines) {
        for (const [place, x] of line.xs.entries()) {
            rows.push([
                line.id,
                line.label,
                metric,
                x,
                bucketWidth(line, place),
                line.ys[place],
                line.means[place],
                line.lows[place],
                line.highs[place],
                line.counts[place],
                line.members.length > 0 ? null : line.curve.nan_count[place],
            ]);
        }
    }
    return csv(rows);
}

/**
 * Return a chart as SVG with a legend below it.
 * @param {import('./plot.js').Plot} plot
 * @param {string} title
 */
export function chartSvg(plot, title) {
    const { uplot, lines, view, theme } = plot;
    const { width } = uplot;
    const area = areaOf(uplot);
    const legend = lines.slice(0, MOST_LEGEND_ROWS);
    const head = 28;
    const height = head + uplot.height + legend.length * LEGEND_ROW + 12;
    const pixels = plot.pixels(false);
    const at = {
        left: (x) => round(area.left + pixels.left(x)),
        top: (y) => round(head + area.top + pixels.top(y)),
    };
    const parts = [
        `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"` +
            ` viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11">`,
        `<rect width="${width}" height="${height}" fill="${theme.surface}"/>`,
        `<text x="12" y="19" font-size="13" font-weight="600" fill="${theme.text}">` +
            `${escape(visible(title))}</text>`,
        `<clipPath id="area"><rect x="${area.left}" y="${head + area.top}"` +
            ` width="${area.width}" height="${area.height}"/></clipPath>`,
        ...axesSvg(plot, area, head, at),
        '<g clip-path="url(#area)" fill="none" stroke-width="1.25">',
        ...(plot.hasBands ? lines.map((line) => bandSvg(line, view, at)) : []),
        ...lines.map((line) => lineSvg(line, view, at)),
        ...lines.map((line) => dotsSvg(line, view, at, plot.hasDots(line))),
        "</g>",
        ...marksSvg(lines, area, head, at, theme),
        ...legend.map((line, row) => legendSvg(line, head + uplot.height + 10 + row * LEGEND_ROW, theme)),
        "</svg>",
    ];
    return parts.join("\n");
}

function areaOf(uplot) {
    const { left, top, width, height } = uplot.bbox;
    return {
        left: left / devicePixelRatio,
        top: top / devicePixelRatio,
        width: width / devicePixelRatio,
        height: height / devicePixelRatio,
    };
}

function axesSvg({ uplot, view, theme }, area, head, at) {
    const parts = [];
    const { x, y } = uplot.scales;
    const [across, up] = [axisOf(view.xKind, view.logX), axisOf("number", view.logY)];
    const lefts = across.ticks(x.min, x.max, Math.max(2, area.width / spaceOf(view.xKind)));
    const tops = up.ticks(y.min, y.max, Math.max(2, area.height / 28));
    const texts = across.write(lefts);
    const bottom = head + area.top + area.height;
    up.write(tops).forEach((text, place) => {
        const top = at.top(tops[place]);
        parts.push(`<path d="M${area.left} ${top}h${area.width}" stroke="${theme.grid}"/>`);
        parts.push(
            `<text x="${area.left - 6}" y="${top + 4}" text-anchor="end" fill="${theme.muted}">` +
                `${escape(text)}</text>`,
        );
    });
    lefts.forEach((tick, place) => {
        const [text] = texts[place].split("\n");
        parts.push(
            `<text x="${at.left(tick)}" y="${bottom + 16}" text-anchor="middle" fill="${theme.muted}">` +
                `${escape(text)}</text>`,
        );
    });
    return parts;
}

/** Whether the axes have a place for a value. */
const hasPlace = (x, y, { logX, logY }) => Number.isFinite(y) && !(logY && y <= 0) && !(logX && x <= 0);

const pathOf = (places, xs, ys, at) =>
    places
        .map((place, order) => `${order === 0 ? "M" : "L"}${at.left(xs[place])} ${at.top(ys[place])}`)
        .join("");

const upTo = (from, to) => Array.from({ length: to - from }, (_, place) => from + place);

function bandSvg({ xs, lows, highs, color }, view, at) {
    let path = "";
    const isDrawn = (place) => [lows, highs].every((ys) => hasPlace(xs[place], ys[place], view));
    eachPiece(xs.length, isDrawn, (from, to) => {
        const places = upTo(from, to);
        const back = pathOf(places.toReversed(), xs, lows, at);
        path += `${pathOf(places, xs, highs, at)}L${back.slice(1)}Z`;
    });
    return `<path d="${path}" fill="${color}" fill-opacity="0.14" stroke="none"/>`;
}

/** A dot for each point that no line reaches, or for every point. */
function dotsSvg({ xs, ys, color }, view, at, isEvery) {
    const dots = [];
    eachPiece(
        xs.length,
        (place) => hasPlace(xs[place], ys[place], view),
        (from, to) => {
            if (!isEvery && to - from > 1) return;
            for (const place of upTo(from, to))
                dots.push(`<circle cx="${at.left(xs[place])}" cy="${at.top(ys[place])}" r="2.5"/>`);
        },
    );
    return dots.length > 0 ? `<g fill="${color}">${dots.join("")}</g>` : "";
}

/** Crosses where values are NaN, and triangles where they are infinite, as on the screen. */
function marksSvg(lines, area, head, at, theme) {
    const [top, right] = [head + area.top, area.left + area.width];
    const frame = { left: area.left, right, top, bottom: top + area.height };
    const size = MARK_SIZE;
    return placeMarks(lines, at.left, frame, size).map(({ kind, left, top: y }) => {
        const place = `transform="translate(${left} ${round(y)})"`;
        if (kind === "nan") {
            const cross = `M-${size} -${size}L${size} ${size}M-${size} ${size}L${size} -${size}`;
            return `<path ${place} d="${cross}" stroke="${theme.warning}" stroke-width="1.5" fill="none"/>`;
        }
        const [across, down] = [size * 1.2, kind === "infinity" ? size * 2 : size * -2];
        return `<path ${place} d="M0 0L-${across} ${down}L${across} ${down}Z" fill="${theme.warning}"/>`;
    });
}

function lineSvg({ xs, ys, ...line }, view, at) {
    let path = "";
    eachPiece(
        xs.length,
        (place) => hasPlace(xs[place], ys[place], view),
        (from, to) => {
            path += pathOf(upTo(from, to), xs, ys, at);
        },
    );
    const dash = line.dash.length > 0 ? ` stroke-dasharray="${line.dash.join(" ")}"` : "";
    return `<path d="${path}" stroke="${line.color}"${dash}/>`;
}

function legendSvg(line, top, theme) {
    const dash = line.dash.length > 0 ? ` stroke-dasharray="${line.dash.join(" ")}"` : "";
    return (
        `<path d="M12 ${top}h24" stroke="${line.color}" stroke-width="2"${dash}/>` +
        `<text x="44" y="${top + 4}" fill="${theme.text}">${escape(visible(line.label))}</text>`
    );
}

const round = (value) => Math.round(value * 100) / 100;
// XML 1.0 has no place for control characters, escaped or not.
const escape = (text) =>
    String(text)
        .replace(/[\u0000-\u001f\ufffe\uffff]/g, "\ufffd")
        .replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/**
 * Return a chart as PNG, with its title and a legend below it.
 * @returns {Promise<Blob>}
 */
export function chartPng(plot, title) {
    const { uplot, lines, theme } = plot;
    const legend = lines.slice(0, MOST_LEGEND_ROWS);
    const canvas = document.createElement("canvas");
    const ratio = devicePixelRatio;
    const source = uplot.ctx.canvas;
    canvas.width = source.width;
    canvas.height = source.height + (28 + legend.length * LEGEND_ROW + 12) * ratio;
    const ctx = canvas.getContext("2d");
    ctx.fillStyle = theme.surface;
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.drawImage(source, 0, 28 * ratio);
    ctx.scale(ratio, ratio);
    ctx.fillStyle = theme.text;
    ctx.font = theme.font.replace("11px", "600 13px");
    ctx.fillText(visible(title), 12, 19);
    ctx.font = theme.font;
    legend.forEach((line, row) => paintLegend(ctx, line, 38 + uplot.height + row * LEGEND_ROW, theme));
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function paintLegend(ctx, line, top, theme) {
    ctx.strokeStyle = line.color;
    ctx.lineWidth = 2;
    ctx.setLineDash(line.dash);
    ctx.beginPath();
    ctx.moveTo(12, top);
    ctx.lineTo(36, top);
    ctx.stroke();
    ctx.fillText(visible(line.label), 44, top + 4);
}
