/** In an exported page, takes the place of ../../live.js: nothing changes in it. */
import { signal } from "../../vendor/ui.js";

export const liveState = signal("export");

export const watch = () => () => {};
