/** Asks what the archive is: its name, whether it can be changed, how many runs it has. */
import { archive, get } from "./api.js";
import { toastError } from "./toasts.js";

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
