/**
 * Asks the server: JSON and binary answers, and changes by POST.
 * Invariants: every failure is an ApiError; `connection` says whether the server answers, and since when not.
 * Every request bears the token that the printed address brought. Of the cookie other servers of this machine
 * may learn, so it opens the files of the page alone.
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

/**
 * {lost: Date|null, answered: Date|null, isLocked}: when the server stopped answering, and when it last did.
 * It is locked when the server was started anew, with another token.
 */
export const connection = signal({ lost: null, answered: null, isLocked: false });

const TOKEN = "exptrack.token"; // kept by login.js
const TOKEN_HEADER = "X-Exptrack-Token";

// Read each time: another tab may have logged in since.
function token() {
    try {
        return localStorage.getItem(TOKEN) ?? "";
    } catch {
        return ""; // Storage is forbidden. Then so is the cookie, and the server says what to do.
    }
}

/** Calls back when another tab was opened by the address of a server that was started anew. */
export function onNewToken(callback) {
    addEventListener("storage", ({ key }) => key === TOKEN && callback());
}

const headersOf = (more = {}) => ({ [TOKEN_HEADER]: token(), ...more });

/** The URL of what the browser itself asks for, without headers of ours: images, files and streams. */
export const withToken = (url) => `${url}${url.includes("?") ? "&" : "?"}token=${encodeURIComponent(token())}`;

/** What /api/archive says: {path, name, can_edit, …}; null before it answered. */
export const archive = signal(null);

function answered() {
    connection.value = { lost: null, answered: new Date(), isLocked: false };
}

function unanswered(isLocked = false) {
    const before = connection.peek();
    if (before.lost === null || before.isLocked !== isLocked)
        connection.value = { ...before, lost: before.lost ?? new Date(), isLocked };
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
        response = await fetch(url, { credentials: "same-origin", headers: headersOf(), ...options });
    } catch (error) {
        if (error.name === "AbortError") throw error;
        unanswered();
        throw new ApiError(
            { kind: "ServerLost", message: "the server does not answer; start exptrack ui again" },
            0,
        );
    }
    const problem = response.ok ? null : await errorOf(response);
    if (problem?.kind === "TokenMissing") unanswered(true);
    else answered();
    if (problem) throw problem;
    return response;
}

/** Returns the parsed JSON of a GET. */
export async function get(path, params, abort) {
    return (await ask(urlOf(path, params), { signal: abort })).json();
}

/** Asks whether a URL, as one of a link, would be answered; fails as a GET does. The bytes are not read. */
export async function check(url) {
    const abort = new AbortController();
    await ask(url, { signal: abort.signal });
    abort.abort();
}

/** Returns the bytes of a GET, and the archive's version that they are of. */
export async function getBinary(path, params, abort) {
    const response = await ask(urlOf(path, params), { signal: abort });
    return { buffer: await response.arrayBuffer(), version: response.headers.get("X-Archive-Version") };
}

/** Sends a change and returns the answer, whose body comes piece by piece. */
export function send(path, body, abort) {
    const headers = headersOf({ "Content-Type": "application/json", "X-Exptrack": "1" });
    return ask(path, { method: "POST", headers, body: JSON.stringify(body), signal: abort });
}

/** Sends a change and returns the parsed JSON of the answer. */
export async function post(path, body, abort) {
    return (await send(path, body, abort)).json();
}

/** Whether an error only says that a newer request took this one's place. */
export const wasAborted = (error) => error?.name === "AbortError";
