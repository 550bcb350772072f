/**
 * In an exported page, takes the place of ../../api.js: a worker answers, over the archive in memory.
 * Invariants: one question is asked at a time. One that was aborted before its turn is never asked.
 */
import { ApiError, urlOf } from "../../api.js";
import { ABOUT, WASM, WORKER } from "./parts.js";

// What is exported below takes the place of what has the same name there.
export * from "../../api.js";

const address = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
const worker = new Worker(address);
const waiting = [];
let asked = null;

function next() {
    if (asked) return;
    asked = waiting.shift() ?? null;
    if (!asked) return;
    if (asked.signal?.aborted) {
        const { refuse } = asked;
        asked = null;
        refuse(new DOMException("a newer question took its place", "AbortError"));
        next();
        return;
    }
    worker.postMessage(asked.message, asked.transfer);
}

worker.addEventListener("message", ({ data }) => {
    const { fulfil, refuse, signal } = asked;
    asked = null;
    if (signal?.aborted) refuse(new DOMException("nobody waits for the answer", "AbortError"));
    else if (data.error) refuse(new ApiError(data.error, data.error.status));
    else fulfil(data);
    next();
});
worker.addEventListener("error", ({ message }) => {
    const problem = {
        kind: "WorkerError",
        message: `the page cannot read the archive (${message}); reload it`,
    };
    for (const { refuse } of asked ? [asked, ...waiting] : waiting) refuse(new ApiError(problem, 0));
    waiting.length = 0;
    asked = null;
});

function ask(message, { signal = null, transfer = [] } = {}) {
    return new Promise((fulfil, refuse) => {
        waiting.push({ message, signal, transfer, fulfil, refuse });
        next();
    });
}

/** Starts SQLite in the worker. */
export const start = () => ask({ start: WASM });

/** Opens the bytes of an archive, which go to the worker. Returns whether it has the mark of a log. */
export async function openArchive(bytes, name) {
    const { opened } = await ask({ open: bytes, about: { ...ABOUT, name } }, { transfer: [bytes.buffer] });
    return opened;
}

export async function get(path, params, signal) {
    return JSON.parse((await ask({ url: urlOf(path, params) }, { signal })).json);
}

export async function getBinary(path, params, signal) {
    const { buffer } = await ask({ url: urlOf(path, params) }, { signal });
    return { buffer, version: "export" };
}

/** Returns the bytes at the address of an artifact, and the type that it says it has. */
export async function getBytes(url, signal) {
    const { buffer, media_type: mediaType } = await ask({ url }, { signal });
    return { buffer, mediaType };
}

/** There is no server that asks for a token. */
export const withToken = (url) => url;

/** Fails if the bytes at the address of a link cannot be had. The browser puts the file system before it. */
export const check = (url) => getBytes(url.replace(/^file:\/\/(?:\/[A-Za-z]:)?/, ""));

export async function post(path, body, signal) {
    return JSON.parse((await ask({ url: path, body }, { signal })).json);
}
