/** What the server says about the archive: its name, whether it can be changed, how many runs it has. */
import { signal } from "./vendor/ui.js";
import { get } from "./api.js";
import { toastError } from "./toasts.js";

/** The answer of /api/archive, or null before it came. */
export const archive = signal(null);

/** Asks anew. */
export async function readArchive() {
    try {
        archive.value = await get("/api/archive");
    } catch (error) {
        toastError(error);
    }
}

/** Whether names, tags and notes can be changed here. */
export const canEdit = () => archive.value?.can_edit === true;
