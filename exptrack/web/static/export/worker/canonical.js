/**
 * Reads JSON so that whole numbers stay apart from floats, and writes it in the canonical form in which the
 * archive stores lists: a list of a filter is compared with that text.
 */

const DEEPEST = 900; // Deeper lists no config can hold.
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;
const WORDS = { true: "true", false: "false", null: "null" };

/** Writes a float with the fewest digits that say it, as Python does. */
export function writeFloat(number) {
    if (Object.is(number, -0)) return "-0.0";
    if (!Number.isFinite(number)) return number > 0 ? "inf" : "-inf"; // No stored list has it.
    const [digits, power] = number.toExponential().split("e");
    const exponent = Number(power);
    if (exponent < -4 || exponent > 15) {
        const size = String(Math.abs(exponent)).padStart(2, "0");
        return `${digits}e${exponent < 0 ? "-" : "+"}${size}`;
    }
    const sign = number < 0 ? "-" : "";
    const plain = digits.replace(/[-.]/g, "");
    if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${plain}`;
    const whole = plain.slice(0, exponent + 1).padEnd(exponent + 1, "0");
    return `${sign}${whole}.${plain.slice(exponent + 1) || "0"}`;
}

/** Reads the list that begins at a place of a text. Returns its canonical form and the place behind it. */
export function readList(text, start) {
    let at = start;
    const skip = () => {
        while (" \t\n\r".includes(text[at] ?? "x")) at += 1;
    };
    const fail = (what) => {
        throw new Error(what);
    };
    const match = (pattern) => {
        pattern.lastIndex = at;
        const found = pattern.exec(text);
        if (found) at = pattern.lastIndex;
        return found;
    };
    const readNumber = ([shown, fraction, power]) => {
        if (fraction === undefined && power === undefined) return String(BigInt(shown));
        return writeFloat(Number(shown));
    };
    const readString = () => {
        const found = match(STRING) ?? fail("a text is not closed");
        const plain = JSON.parse(found[0]);
        return plain.isWellFormed() ? plain : fail("a text has half of a surrogate pair");
    };
    const readItems = (end, readItem) => {
        const items = [];
        at += 1;
        skip();
        if (text[at] === end) {
            at += 1;
            return items;
        }
        for (;;) {
            items.push(readItem());
            skip();
            if (text[at] === end) {
                at += 1;
                return items;
            }
            if (text[at] !== ",") fail(`expected a comma or ${end}`);
            at += 1;
            skip();
        }
    };
    const readValue = (depth) => {
        if (depth > DEEPEST) fail("it is nested too deeply");
        skip();
        if (text[at] === "[") return `[${readItems("]", () => readValue(depth + 1)).join(",")}]`;
        if (text[at] === "{") {
            const members = readItems("}", () => {
                const key = readString();
                skip();
                if (text[at] !== ":") fail("expected a colon");
                at += 1;
                return [key, readValue(depth + 1)];
            });
            const sorted = [...new Map(members)].sort(([one], [other]) => compareText(one, other));
            return `{${sorted.map(([key, held]) => `${JSON.stringify(key)}:${held}`).join(",")}}`;
        }
        if (text[at] === '"') return JSON.stringify(readString());
        const word = Object.keys(WORDS).find((one) => text.startsWith(one, at));
        if (word) {
            at += word.length;
            return WORDS[word];
        }
        return readNumber(match(NUMBER) ?? fail("expected a value"));
    };
    const canonical = readValue(1);
    return { canonical, end: at };
}

/** Orders texts by code point, as SQLite and Python do; JavaScript orders them by UTF-16 units. */
export function compareText(one, other) {
    const size = Math.min(one.length, other.length);
    for (let at = 0; at < size; at += 1) {
        const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
        if (a === b) continue;
        const surrogates = [a, b].filter((unit) => unit >= 0xd800 && unit < 0xe000).length;
        // A surrogate stands for a code point above every other.
        if (surrogates === 1) return a >= 0xd800 && a < 0xe000 ? 1 : -1;
        return a - b;
    }
    return one.length - other.length;
}
