/** Starts an exported page: opens the archive that is inside, or asks for it; then shows the views. */
import { toast } from "../../toasts.js";
import { openArchive, start } from "./api.js";
import { ABOUT, ARCHIVE } from "./parts.js";
import { pick } from "./pick.js";

const target = document.getElementById("app");

function show({ name, hasWal }) {
    target.replaceChildren();
    if (hasWal) {
        const words = `${name} may have newer commits in a file ${name}-wal, which are not shown.`;
        toast(`${words} A copy by 'exptrack snapshot' has them.`, { kind: "error" });
    }
    return import("../../app.js");
}

async function open() {
    await start();
    if (ARCHIVE === null) {
        target.replaceChildren();
        pick(target, show);
        return;
    }
    await show({ name: ABOUT.name, ...(await openArchive(ARCHIVE, ABOUT.name)) });
}

open().catch((error) => {
    target.replaceChildren(`This page cannot be shown: ${error.message}`);
});
