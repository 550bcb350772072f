/** Writes conditions of the filter language out of values. */

/** Writes a value as the filter language reads it. */
export function literal(value) {
    if (typeof value === "number") return String(value);
    if (typeof value === "boolean") return String(value);
    if (Array.isArray(value)) return JSON.stringify(value);
    return `"${String(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/**
 * Writes the condition of a facet: `chosen` has values, null for runs without one, and ranges {from, to, last}.
 * A run must have one of them.
 */
export function facetCondition(field, chosen) {
    const values = chosen.filter((one) => one !== null && (typeof one !== "object" || Array.isArray(one)));
    const parts = [];
    if (values.length === 1) parts.push(`${field} = ${literal(values[0])}`);
    if (values.length > 1) parts.push(`${field} in (${values.map(literal).join(", ")})`);
    for (const one of chosen) {
        if (one === null) parts.push(`${field} is null`);
        else if (typeof one === "object" && !Array.isArray(one)) {
            parts.push(
                `${field} >= ${literal(one.from)} and ${field} <${one.last ? "=" : ""} ${literal(one.to)}`,
            );
        }
    }
    return parts.length === 1 ? parts[0] : parts.map((part) => `(${part})`).join(" or ");
}

/** Writes a path of config keys as the filter language does, with quotes where it needs them. */
export function configField(path) {
    const plain = /^[\p{L}\p{N}_/\-:@+%#~^&|$]+(\.[\p{L}\p{N}_/\-:@+%#~^&|$]+)*$/u;
    return `config.${plain.test(path) ? path : JSON.stringify(path)}`;
}

/**
 * The path of a config key as the library writes it, from its field. A field has quotes around what a filter
 * would not read, as a blank; a path has them only around parts that are empty or have a dot or a quote.
 */
export function keyPathOf(field) {
    const parts = field.replace(/^config\./, "").match(/"(?:[^"\\]|\\.)*"|[^."]+/gs) ?? [];
    return parts
        .map((part) => (part.startsWith('"') ? part.slice(1, -1).replace(/\\(.)/gs, "$1") : part))
        .map((key) =>
            key === "" || /[."]/.test(key)
                ? `"${key.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`
                : key,
        )
        .join(".");
}

/** Writes the conditions of a group: its config values, and the keys that its runs lack. */
export function groupConditions(config, fields) {
    return fields.map(({ field, path }) => {
        if (!(path in config)) return `not exists ${field}`;
        const value = config[path];
        return value === null ? `exists ${field} and ${field} is null` : `${field} = ${literal(value)}`;
    });
}

/** Splits a filter at each "and" that stands outside of quotes and brackets; whole if there is an "or". */
export function splitConditions(text) {
    const tokens = text.match(/"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[()[\]]|[^\s()[\]"']+|\s+/g) ?? [];
    const parts = [""];
    let depth = 0;
    for (const token of tokens) {
        if (token === "(" || token === "[") depth += 1;
        if (token === ")" || token === "]") depth -= 1;
        if (depth === 0 && /^or$/i.test(token)) return [text.trim()];
        if (depth === 0 && /^and$/i.test(token)) parts.push("");
        else parts[parts.length - 1] += token;
    }
    return parts.map((part) => part.trim()).filter(Boolean);
}
