/** The shell: one bar on top, the view below it, messages, keys and the help dialog. */
import { html, render, signal, useEffect, useErrorBoundary, useRef, useState } from "./vendor/ui.js";
import { archive, connection, onNewToken } from "./api.js";
import { readArchive } from "./archive.js";
import { setTheme, theme } from "./colors.js";
import { Help, openHelp } from "./components/help.js";
import { Icon } from "./components/icons.js";
import { clock, visible } from "./format.js";
import { onKeyDown, useKeys } from "./keys.js";
import { liveState } from "./live.js";
import { VIEWS } from "./places.js";
import { followLinks, go, route } from "./router.js";
import { Toasts, toastError } from "./toasts.js";
import Runs, { beginRuns } from "./views/runs.js";

const RETRY_MS = 3000;
const PATIENCE_MS = 80; // A page that stays empty for longer seems to be broken.
/** Views that come with the shell. The others are loaded when they are first shown. */
const AT_ONCE = { runs: Runs };
const THEMES = { system: ["monitor", "light"], light: ["sun", "dark"], dark: ["moon", "system"] };
const LIVE = {
    live: "Live: the page follows the archive.",
    paused: "Paused while this tab is hidden.",
    lost: "The server does not answer.",
    idle: "This view does not follow the archive.",
    export: "This page is a file. It shows the archive as it was.",
};

function ThemeSwitch() {
    const [icon, next] = THEMES[theme.value];
    const label = `Colours: ${theme.value}. Change to ${next}.`;
    return html`<button class="icon" title=${label} aria-label=${label} onClick=${() => setTheme(next)}>
        <${Icon} name=${icon} /></button>`;
}

/** The menu of named views while it is open: {NamedViews, anchor}. It is loaded when it is first opened. */
const menu = signal(null);

async function openNamedViews() {
    try {
        const { NamedViews } = await import("./components/named_views.js");
        menu.value = { NamedViews, anchor: document.getElementById("named-views") };
    } catch (error) {
        toastError(error);
    }
}

const closeNamedViews = () => {
    menu.value = null;
};

function NamedViewsButton() {
    const { NamedViews, anchor } = menu.value ?? {};
    return html`<button id="named-views" title="Named views (b)" aria-haspopup="dialog"
            aria-expanded=${NamedViews ? "true" : "false"}
            onClick=${NamedViews ? closeNamedViews : openNamedViews}>
            <${Icon} name="bookmark" />Views</button>
        ${NamedViews && html`<${NamedViews} anchor=${anchor} onClose=${closeNamedViews} />`}`;
}

/** The picture of favicon.svg. As an element it needs neither a request nor a document of its own. */
function Mark() {
    return html`<svg viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
        <rect width="32" height="32" rx="7" fill="#0b5cad" />
        <path d="M6 22 L12 13 L18 18 L26 8" fill="none" stroke="#fff" stroke-width="3"
            stroke-linecap="round" stroke-linejoin="round" />
        <circle cx="26" cy="8" r="2.6" fill="#ffd166" /></svg>`;
}

function Bar() {
    const view = route.value.view;
    const links = Object.entries(VIEWS).filter(([, { label }]) => label);
    const state = liveState.value;
    return html`<header class="bar">
        <a class="brand" href="/runs">
            <${Mark} />exptrack</a>
        ${
            archive.value &&
            html`<span class="archive" title=${archive.value.path}>
            <bdi>${visible(archive.value.name)}</bdi></span>`
        }
        <nav aria-label="Views">${links.map(
            ([name, { label }]) => html`<a key=${name} href=${`/${name}`}
            aria-current=${name === view || name === VIEWS[view]?.of ? "page" : null}>${label}</a>`,
        )}</nav>
        <span class="grow"></span>
        ${
            archive.value &&
            !archive.value.can_edit &&
            html`<span class="badge" title="The file cannot be changed here.">
            <${Icon} name="lock" size=${12} /> read only</span>`
        }
        <span class=${`pulse ${state}`} title=${LIVE[state]}><i></i>${state}</span>
        <${NamedViewsButton} />
        <button class="icon" title="Keys (?)" aria-label="Show all keys" onClick=${openHelp}>
            <${Icon} name="keyboard" /></button>
        <${ThemeSwitch} />
    </header>`;
}

function LostBar() {
    const { lost, answered, isLocked } = connection.value;
    useEffect(() => onNewToken(readArchive), []);
    useEffect(() => {
        if (!lost || isLocked) return undefined;
        const timer = setInterval(() => document.hidden || readArchive(), RETRY_MS);
        return () => clearInterval(timer);
    }, [lost, isLocked]);
    if (!lost) return null;
    const since = clock(answered ?? lost);
    const words = isLocked
        ? `exptrack ui was started anew; shown as of ${since}. Open the address that it printed to go on.`
        : `exptrack ui stopped; shown as of ${since}. Start it again to go on.`;
    return html`<div class="lost-bar" role="status"><${Icon} name="unplug" />
        <span>${words}</span>
        <button class="link" onClick=${readArchive}>Try now</button></div>`;
}

function Failed({ error, retry }) {
    return html`<div class="empty"><h1>This view cannot be shown</h1><p>${visible(error.message)}</p>
        <p><button onClick=${retry}>Try again</button> <a href="/runs">Go to the runs</a></p></div>`;
}

/** If a view cannot be loaded, the server may have another version of the page by now. */
const reload = () => location.reload();

function Shown({ View, route: shown }) {
    const [error, reset] = useErrorBoundary();
    return error ? html`<${Failed} error=${error} retry=${reset} />` : html`<${View} route=${shown} />`;
}

function Main() {
    const shown = route.value;
    const [late, setLate] = useState(null);
    const main = useRef(null);
    const first = useRef(true);
    useEffect(() => {
        if (shown.view in AT_ONCE) return undefined;
        if (!(shown.view in VIEWS)) {
            setLate({
                name: shown.view,
                error: new Error(`there is no view ${shown.view}; choose one in the bar`),
            });
            return undefined;
        }
        let wanted = true;
        import(`./views/${shown.view}.js`).then(
            (module) => wanted && setLate({ name: shown.view, View: module.default }),
            (error) => wanted && setLate({ name: shown.view, error }),
        );
        return () => {
            wanted = false;
        };
    }, [shown.view]);
    const loaded = shown.view in AT_ONCE ? { name: shown.view, View: AT_ONCE[shown.view] } : late;
    useEffect(() => {
        if (!loaded) return;
        const { label, title } = VIEWS[loaded.name] ?? { title: "Nothing" };
        if (!document.title.startsWith(label ?? "\u0000")) document.title = `${label ?? title} · exptrack`;
        if (!first.current) main.current.focus({ preventScroll: true });
        first.current = false;
    }, [loaded?.name]);
    const ready = loaded?.name === shown.view;
    return html`<main id="main" ref=${main} tabindex="-1" aria-busy=${!ready}>
        ${ready && loaded.error && html`<${Failed} error=${loaded.error} retry=${reload} />`}
        ${ready && loaded.View && html`<${Shown} key=${loaded.name} View=${loaded.View} route=${shown} />`}
    </main>`;
}

function App() {
    useKeys("Everywhere", [
        ...Object.entries(VIEWS)
            .filter(([, { key }]) => key)
            .map(([name, { label, key }]) => ({
                keys: `g ${key}`,
                does: `Go to ${label}`,
                run: () => go(`/${name}`),
            })),
        { keys: "b", does: "Show the named views, and name this one", run: openNamedViews },
        { keys: "?", does: "Show all keys", run: openHelp },
    ]);
    // After the first frame: the view's own question goes first.
    useEffect(() => {
        readArchive();
    }, []);
    return html`<a class="skip" href="#main">Skip to the content</a>
        <${Bar} /><${LostBar} /><${Main} /><${Toasts} /><${Help} />`;
}

/** Draws the page. If it begins with the runs, they are waited for: one frame is drawn instead of two. */
async function start() {
    const shown = route.peek();
    if (shown.view === "runs") {
        await Promise.race([beginRuns(shown), new Promise((done) => setTimeout(done, PATIENCE_MS))]);
    }
    render(html`<${App} />`, document.getElementById("app"));
}

document.addEventListener("click", followLinks);
document.addEventListener("keydown", onKeyDown);
start();
