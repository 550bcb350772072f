/**
 * Paint parts of a chart on a canvas: lines with gaps, bands, dots, and marks for NaN and the infinities.
 *
 * `pixels` turns values into pixels of the canvas; NaN where a log axis has no place for a value.
 * @module
 */

/** Half the width of a mark in pixels. */
export const MARK_SIZE = 3.5;

/** Call `paint(from, to)` for each run of places that can be drawn. */
export function eachPiece(size, isDrawn, paint) {
    let from = -1;
    for (let place = 0; place <= size; place += 1) {
        const drawn = place < size && isDrawn(place);
        if (drawn && from < 0) from = place;
        if (!drawn && from >= 0) {
            paint(from, place);
            from = -1;
        }
    }
}

/** Stroke a line with its gaps. */
export function strokeLine(ctx, line, pixels, width, alpha) {
    const { xs, ys } = line;
    const tops = ys.map((value) => pixels.top(value));
    ctx.save();
    ctx.strokeStyle = line.color;
    ctx.globalAlpha = alpha;
    ctx.lineWidth = width;
    ctx.lineJoin = "round";
    ctx.setLineDash((line.dash ?? []).map((length) => length * devicePixelRatio));
    ctx.beginPath();
    eachPiece(
        xs.length,
        (place) => Number.isFinite(tops[place]),
        (from, to) => {
            ctx.moveTo(pixels.left(xs[from]), tops[from]);
            for (let place = from + 1; place < to; place += 1)
                ctx.lineTo(pixels.left(xs[place]), tops[place]);
        },
    );
    ctx.stroke();
    ctx.restore();
}

/** Fill the band between the least and greatest value of each bucket. */
export function fillBand(ctx, line, pixels, alpha) {
    const { xs, lows, highs } = line;
    const isDrawn = (place) =>
        Number.isFinite(pixels.top(lows[place])) && Number.isFinite(pixels.top(highs[place]));
    ctx.save();
    ctx.fillStyle = line.color;
    ctx.globalAlpha = alpha;
    eachPiece(xs.length, isDrawn, (from, to) => {
        ctx.beginPath();
        ctx.moveTo(pixels.left(xs[from]), pixels.top(highs[from]));
        for (let place = from + 1; place < to; place += 1)
            ctx.lineTo(pixels.left(xs[place]), pixels.top(highs[place]));
        for (let place = to - 1; place >= from; place -= 1)
            ctx.lineTo(pixels.left(xs[place]), pixels.top(lows[place]));
        ctx.fill();
    });
    ctx.restore();
}

/** Paint a dot for each point that no line reaches, or for every point. */
export function paintDots(ctx, line, pixels, ratio, isEvery) {
    const { xs, ys } = line;
    ctx.save();
    ctx.fillStyle = line.color;
    ctx.beginPath();
    eachPiece(
        xs.length,
        (place) => Number.isFinite(pixels.top(ys[place])),
        (from, to) => {
            if (!isEvery && to - from > 1) return;
            for (let place = from; place < to; place += 1) {
                const [left, top] = [pixels.left(xs[place]), pixels.top(ys[place])];
                ctx.moveTo(left + 2.5 * ratio, top);
                ctx.arc(left, top, 2.5 * ratio, 0, 2 * Math.PI);
            }
        },
    );
    ctx.fill();
    ctx.restore();
}

/**
 * Return where values are NaN (a cross on the x axis) or infinite (a triangle at the upper or lower edge), as
 * {kind, left, top}. Of marks that would lie on each other only the first is returned.
 */
export function placeMarks(lines, leftOf, area, size) {
    const found = new Map();
    for (const line of lines) {
        for (const { x, kind } of line.marks) {
            const left = Math.round(leftOf(x));
            const key = `${kind} ${Math.round(left / size / 2)}`;
            if (found.has(key) || !(left >= area.left && left <= area.right)) continue;
            found.set(key, { kind, left, top: kind === "infinity" ? area.top : area.bottom });
        }
    }
    return [...found.values()];
}

/** Paint the marks of values that are no numbers on the chart. */
export function paintMarks(ctx, lines, pixels, area, ratio, color) {
    const size = MARK_SIZE * ratio;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = color;
    ctx.lineWidth = 1.5 * ratio;
    ctx.setLineDash([]);
    for (const { kind, left, top } of placeMarks(lines, pixels.left, area, size)) {
        if (kind === "nan") paintCross(ctx, left, top, size);
        else paintTriangle(ctx, left, top, kind === "infinity" ? size : -size);
    }
    ctx.restore();
}

function paintCross(ctx, left, top, size) {
    ctx.beginPath();
    ctx.moveTo(left - size, top - size);
    ctx.lineTo(left + size, top + size);
    ctx.moveTo(left - size, top + size);
    ctx.lineTo(left + size, top - size);
    ctx.stroke();
}

function paintTriangle(ctx, left, top, size) {
    ctx.beginPath();
    ctx.moveTo(left, top);
    ctx.lineTo(left - size * 1.2, top + size * 2);
    ctx.lineTo(left + size * 1.2, top + size * 2);
    ctx.fill();
}
