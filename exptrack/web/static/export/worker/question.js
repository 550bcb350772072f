/** The parameters of a question, checked: an error names the one that is wrong. */
import { Problem } from "./problem.js";

export class Question {
    /** `query` is the part of an address behind the question mark; `parts` are those of its path. */
    constructor(query, parts = {}) {
        this.values = new URLSearchParams(query);
        this.parts = parts;
    }

    part(name) {
        return this.parts[name];
    }

    texts(name) {
        return this.values.getAll(name);
    }

    text(name, otherwise = "") {
        const found = this.values.getAll(name);
        if (found.length > 1) {
            throw new Problem("InvalidValueError", `${name} is given ${found.length} times; give it once`);
        }
        return found[0] ?? otherwise;
    }

    require(name) {
        if (!this.values.has(name)) {
            throw new Problem("InvalidValueError", `the parameter ${name} is missing; give it`);
        }
        return this.text(name);
    }

    whole(name, otherwise) {
        const text = this.text(name);
        return text === "" ? otherwise : readWhole(name, text);
    }

    wholes(name) {
        const parts = this.texts(name).flatMap((text) => text.split(",").filter(Boolean));
        return parts.map((text) => readWhole(name, text));
    }

    /** A number, or null if it is missing. */
    number(name) {
        const text = this.text(name);
        if (text === "") return null;
        const found = Number(text);
        if (Number.isNaN(found))
            throw new Problem("InvalidValueError", `${name} must be a number, not '${text}'`);
        return found;
    }

    flag(name) {
        return ["1", "true"].includes(this.text(name, "0"));
    }
}

function readWhole(name, text) {
    if (!/^-?\d{1,19}$/.test(text)) {
        throw new Problem("InvalidValueError", `${name} must be a whole number, not '${text}'`);
    }
    return Number(text);
}
