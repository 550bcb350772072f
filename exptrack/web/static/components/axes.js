/**
 * Choose the ticks of an axis and write them: linear, logarithmic, durations and clock times.
 *
 * Everything follows fixed rules, not the browser's locale. Ticks of a log axis stand at the true values.
 * @module
 */

/** Return ticks at multiples of 1, 2 or 5 times a power of ten, at most `most`. */
export function linearTicks(low, high, most) {
    const span = high - low;
    if (!(span > 0) || !Number.isFinite(span)) return Number.isFinite(low) ? [low] : [];
    return multiples(low, high, niceStep(span / Math.max(1, most)));
}

function niceStep(least) {
    const power = 10 ** Math.floor(Math.log10(least));
    return [1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9)) * power;
}

function multiples(low, high, step) {
    const ticks = [];
    const first = Math.ceil(low / step - 1e-9);
    const last = Math.floor(high / step + 1e-9);
    // toPrecision takes away the error of the product: 3 * 0.1 is 0.3.
    for (let place = first; place <= last; place += 1) ticks.push(Number((place * step).toPrecision(12)));
    return ticks;
}

/** Return ticks for positive values on a log axis: powers of ten, with 2 and 5 or linear ones if few fit. */
export function logTicks(low, high, most) {
    const decades = Math.log10(high) - Math.log10(low);
    if (!(low > 0) || !Number.isFinite(decades)) return [];
    if (decades < 0.7) return linearTicks(low, high, most).filter((tick) => tick > 0);
    const first = Math.floor(Math.log10(low));
    const last = Math.ceil(Math.log10(high));
    const factors = decades * 3 <= most ? [1, 2, 5] : decades * 2 <= most ? [1, 3] : [1];
    const stride = Math.max(1, Math.ceil(decades / Math.max(1, most)));
    const ticks = [];
    for (let power = first; power <= last; power += 1) {
        if (power % stride !== 0) continue;
        for (const factor of factors) ticks.push(Number(`${factor}e${power}`));
    }
    return ticks.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
}

const UNITS = [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
];

/** Write ticks so that neighbours differ, with as few digits as that takes. */
export function writeTicks(ticks, isLog = false) {
    if (ticks.length === 0) return [];
    if (isLog && Math.max(...ticks) / Math.min(...ticks) >= 5) return ticks.map((tick) => writeNumber(tick));
    const largest = Math.max(...ticks.map(Math.abs));
    const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : largest;
    const isExtreme = largest !== 0 && (largest < 1e-3 || largest >= 1e12);
    if (isExtreme) return ticks.map((tick) => writeExponent(tick, step));
    const unit = largest >= 1e4 ? UNITS.find(([size]) => largest >= size && step >= size / 100) : undefined;
    const [size, sign] = unit ?? [1, ""];
    const digits = Math.max(0, Math.min(12, -Math.floor(Math.log10(step / size) + 1e-9)));
    return ticks.map((tick) => (tick === 0 ? "0" : minus((tick / size).toFixed(digits)) + sign));
}

function writeExponent(tick, step) {
    if (tick === 0) return "0";
    const power = Math.floor(Math.log10(Math.abs(tick)));
    const digits = Math.max(0, Math.min(6, power - Math.floor(Math.log10(step) + 1e-9)));
    return minus(tick.toExponential(digits).replace("e+", "e"));
}

function writeNumber(tick) {
    const size = Math.abs(tick);
    if (size < 1e-3 || size >= 1e12) return minus(tick.toExponential().replace("e+", "e"));
    const [unit, sign] = size >= 1e4 ? UNITS.find(([one]) => size >= one) : [1, ""];
    return minus(String(Number((tick / unit).toPrecision(6)))) + sign;
}

const minus = (text) => text.replace("-", "−").replace("e−", "e-");

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
const TIME_STEPS = [
    ...[1, 2, 5, 10, 15, 30],
    ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
    ...[1, 2, 3, 6, 12].map((count) => count * HOUR),
    ...[1, 2, 7, 14, 30, 90, 365].map((count) => count * DAY),
];

function timeStep(least) {
    if (least < 1) return niceStep(least);
    return TIME_STEPS.find((step) => step >= least) ?? niceStep(least / DAY) * DAY;
}

/** Return ticks for seconds since a start. */
export function durationTicks(low, high, most) {
    if (!(high > low)) return [low];
    return multiples(low, high, timeStep((high - low) / Math.max(1, most)));
}

/** Write seconds as `90s`, `5m`, `1h30m` or `2d6h`. */
export function writeDurations(ticks) {
    const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
    if (step < 1) return writeTicks(ticks).map((text) => `${text}s`);
    return ticks.map(writeDuration);
}

function writeDuration(seconds) {
    const sign = seconds < 0 ? "−" : "";
    const whole = Math.round(Math.abs(seconds));
    const parts = [
        [Math.floor(whole / DAY), "d"],
        [Math.floor((whole % DAY) / HOUR), "h"],
        [Math.floor((whole % HOUR) / MINUTE), "m"],
        [whole % MINUTE, "s"],
    ].filter(([count]) => count > 0);
    return parts.length === 0 ? "0" : sign + parts.map(([count, unit]) => count + unit).join("");
}

/** Return ticks for seconds since 1970, at round times of the local clock. */
export function clockTicks(low, high, most) {
    if (!(high > low)) return [low];
    const shift = new Date(low * 1000).getTimezoneOffset() * -MINUTE;
    const step = timeStep((high - low) / Math.max(1, most));
    return multiples(low + shift, high + shift, step).map((tick) => tick - shift);
}

const two = (number) => String(number).padStart(2, "0");

/** Write seconds since 1970 as local times, with the date below the first and wherever the day changes. */
export function writeClock(ticks) {
    const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
    let before = "";
    return ticks.map((tick) => {
        const time = new Date(tick * 1000);
        const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
        if (step >= DAY) return day;
        const digits = step < 1 ? Math.ceil(-Math.log10(step)) : 0;
        const fraction = digits > 0 ? (tick - Math.floor(tick)).toFixed(digits).slice(1) : "";
        const seconds = step < MINUTE ? `:${two(time.getSeconds())}${fraction}` : "";
        const clock = `${two(time.getHours())}:${two(time.getMinutes())}${seconds}`;
        const text = day === before ? clock : `${clock}\n${day}`;
        before = day;
        return text;
    });
}

const SPACES = { number: 50, duration: 64, clock: 84 };

/** How many pixels apart the ticks of a horizontal axis are at least. */
export const spaceOf = (kind) => SPACES[kind];

/**
 * Return what an axis needs: its ticks for a range, and how to write them.
 * @param {'number'|'duration'|'clock'} kind
 * @param {boolean} isLog
 */
export function axisOf(kind, isLog) {
    if (isLog) {
        const unit = kind === "duration" ? "s" : "";
        return { ticks: logTicks, write: (ticks) => writeTicks(ticks, true).map((text) => text + unit) };
    }
    if (kind === "duration") return { ticks: durationTicks, write: writeDurations };
    if (kind === "clock") return { ticks: clockTicks, write: writeClock };
    return { ticks: linearTicks, write: (ticks) => writeTicks(ticks) };
}
