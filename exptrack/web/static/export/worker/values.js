/** Values as the archive stores them, and as answers have them. */

const TOKENS = /"(?:[^"\\]|\\[^])*"|-?(?:Infinity|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|NaN/g;

/** Reads JSON. Whole numbers that JavaScript rounds become texts of their digits, NaN and infinities texts. */
export function parseJson(text) {
    if (!/\d{16}|NaN|Infinity/.test(text)) return JSON.parse(text);
    const safe = text.replace(TOKENS, (token) => {
        if (token.startsWith('"')) return token;
        const isRounded = /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token));
        return isRounded || /[NI]/.test(token) ? `"${token}"` : token;
    });
    return JSON.parse(safe);
}

/** Writes NaN and the infinities as answers do. */
export const specialText = (number) => (Number.isNaN(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity");

const toBase64 = (bytes) => {
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
};

const isSmall = (whole) => whole >= -(2n ** 53n) && whole <= 2n ** 53n;

/** Writes an answer as JSON, as the server does: large BigInt as digits, NaN as text, bytes as base64. */
export function writeAnswer(answer) {
    return JSON.stringify(answer, (_key, held) => {
        if (typeof held === "bigint") return isSmall(held) ? Number(held) : String(held);
        if (typeof held === "number" && !Number.isFinite(held)) return specialText(held);
        return held instanceof Uint8Array ? { base64: toBase64(held) } : held;
    });
}

/** Returns the value of a leaf of a config: type, number and text as they are stored. */
export function leafValue(kind, num, text) {
    if (kind === "text" || kind === "null") return text;
    if (kind === "bool") return text === "true";
    if (kind === "float") return text === null ? num : Number(text);
    if (kind === "int") return text === null ? num : BigInt(text);
    return parseJson(text ?? "null");
}

/** Returns the value of an attribute. */
export const attributeValue = (kind, num, text) =>
    kind === "float" && num === null ? Number.NaN : leafValue(kind, num, text);

/** What a stored metric value is: NULL is NaN. */
export const metricNumber = (stored) => (stored === null ? Number.NaN : stored);
