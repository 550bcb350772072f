/**
 * Chooses the colours of curves.
 * Invariants: a run has the same colour in every view, as it follows from its id. Two colours of a palette stay
 * apart also for people who confuse red and green, or blue and yellow; a test measures the distance.
 */
import { signal } from "./vendor/ui.js";

export const LIGHT = ["#145400", "#701c4c", "#c88804", "#50187c", "#f04868", "#ac64f4", "#5c14f4", "#2c9cbc"];
export const DARK = ["#f82810", "#08f8f8", "#a4688c", "#f4e01c", "#ac98f4", "#c85454", "#5c68f4", "#b4f07c"];

/** After eight colours the dashes change. */
export const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];

/** Viridis, from low to high. */
export const VIRIDIS = [
    "#440154",
    "#482878",
    "#3e4989",
    "#31688e",
    "#26828e",
    "#1f9e89",
    "#35b779",
    "#6ece58",
    "#b5de2b",
    "#fde725",
];

const STORED = "exptrack.theme";
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function storedTheme() {
    try {
        return localStorage.getItem(STORED) ?? "system";
    } catch {
        return "system"; // Storage may be forbidden; the system's wish still holds.
    }
}

/** "system", "light" or "dark": what the person chose. */
export const theme = signal(storedTheme());

/** Whether the page is dark now. */
export const dark = signal(false);

function applyTheme() {
    dark.value = theme.value === "dark" || (theme.value === "system" && systemDark.matches);
    document.documentElement.dataset.theme = dark.value ? "dark" : "light";
}

/** Chooses "system", "light" or "dark", and remembers it. */
export function setTheme(name) {
    theme.value = name;
    try {
        localStorage.setItem(STORED, name);
    } catch {
        // Without storage the choice lasts as long as the page.
    }
    applyTheme();
}

systemDark.addEventListener("change", applyTheme);
applyTheme();

/** The eight colours of the scheme that is shown. */
export const palette = () => (dark.value ? DARK : LIGHT);

/** Hashes a text to 32 bits (FNV-1a with a last mix). */
function hash(text) {
    let h = 0x811c9dc5;
    for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
    h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
    return (h ^ (h >>> 13)) >>> 0;
}

/** The place of a run among the 32 pairs of colour and dash, from its id alone. */
export const slotOf = (runId) => hash(runId) % (LIGHT.length * DASHES.length);

/** The colour of a run; `slot` replaces the place that follows from its id. */
export const colorOf = (runId, slot = slotOf(runId)) => palette()[slot % LIGHT.length];

/** The dashes of a run's curve, as lengths in pixels. */
export const dashOf = (runId, slot = slotOf(runId)) =>
    DASHES[Math.floor(slot / LIGHT.length) % DASHES.length];

/** The colour at a place between 0 and 1 on the sequential scale. */
export function sequential(share) {
    const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
    const low = Math.min(Math.floor(place), VIRIDIS.length - 2);
    const channel = (color, at) => Number.parseInt(color.slice(1 + 2 * at, 3 + 2 * at), 16);
    const parts = [0, 1, 2].map((at) => {
        const [from, to] = [channel(VIRIDIS[low], at), channel(VIRIDIS[low + 1], at)];
        return Math.round(from + (to - from) * (place - low))
            .toString(16)
            .padStart(2, "0");
    });
    return `#${parts.join("")}`;
}
