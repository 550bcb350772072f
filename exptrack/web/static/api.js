/**
 * Asks the server: JSON and binary answers, and changes by POST.
 * Invariants: every failure is an ApiError; `connection` says whether the server answers, and since when not.
 */
import { signal } from "./vendor/ui.js";

/** What the server says of a request that failed. `status` is 0 if it did not answer. */
export class ApiError extends Error {
    constructor({ kind, message, position = null }, status) {
        super(message);
        this.name = "ApiError";
        this.kind = kind;
        this.position = position;
        this.status = status;
    }
}

/** {lost: Date|null, answered: Date|null}: when the server stopped answering, and when it last answered. */
export const connection = signal({ lost: null, answered: null });

/** What /api/archive says: {path, name, can_edit, …}; null before it answered. */
export const archive = signal(null);

function answered() {
    const { lost } = connection.peek();
    connection.value = { lost: null, answered: new Date() };
    return lost !== null;
}

function unanswered() {
    const { lost, answered: last } = connection.peek();
    if (lost === null) connection.value = { lost: new Date(), answered: last };
}

/** Builds a URL. A list in `params` repeats its parameter; null, undefined and "" leave it out. */
export function urlOf(path, params = {}) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(params)) {
        for (const one of Array.isArray(value) ? value : [value]) {
            if (one !== null && one !== undefined && one !== "") query.append(name, one);
        }
    }
    const text = query.toString();
    return text ? `${path}?${text}` : path;
}

async function errorOf(response) {
    const body = await response.json().catch(() => null);
    const error = body?.error ?? {
        kind: "HTTPError",
        message: `the server answered ${response.status}; try again`,
    };
    return new ApiError(error, response.status);
}

async function ask(url, options) {
    let response;
    try {
        response = await fetch(url, { credentials: "same-origin", ...options });
    } catch (error) {
        if (error.name === "AbortError") throw error;
        unanswered();
        throw new ApiError(
            { kind: "ServerLost", message: "the server does not answer; start exptrack ui again" },
            0,
        );
    }
    answered();
    if (!response.ok) throw await errorOf(response);
    return response;
}

/** Returns the parsed JSON of a GET. */
export async function get(path, params, abort) {
    return (await ask(urlOf(path, params), { signal: abort })).json();
}

/** Returns the bytes of a GET, and the archive's version that they are of. */
export async function getBinary(path, params, abort) {
    const response = await ask(urlOf(path, params), { signal: abort });
    return { buffer: await response.arrayBuffer(), version: response.headers.get("X-Archive-Version") };
}

/** Sends a change and returns the parsed JSON of the answer. */
export async function post(path, body, abort) {
    const headers = { "Content-Type": "application/json", "X-Exptrack": "1" };
    return (await ask(path, { method: "POST", headers, body: JSON.stringify(body), signal: abort })).json();
}

/** Whether an error only says that a newer request took this one's place. */
export const wasAborted = (error) => error?.name === "AbortError";
