/**
 * Chooses the colours of curves.
 * Invariants: a run has the same colour in every view, as it follows from its row id alone. Runs recorded one
 * after another differ. Two colours of a palette stay apart also for people who confuse red and green, or blue
 * and yellow; a test measures the distance.
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

/**
 * The place of a run's colour in the palette.
 *
 * Each eight runs begin one colour later than those before. So runs that are eight, four or two apart differ
 * too, as the runs of one learning rate in a search over four of them.
 */
export function placeOf(rowId) {
    const number = rowId - 1;
    return (number + Math.floor(number / LIGHT.length)) % LIGHT.length;
}

/** The colour of a run, from its row id. */
export const colorOf = (rowId) => palette()[placeOf(rowId)];

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
