/** Asks for the archive of an exported page that does not have it inside: it is dropped in, or picked. */
import { html, render, useEffect, useState } from "../../vendor/ui.js";
import { bytes, visible } from "../../format.js";
import { openArchive } from "./api.js";
import { ABOUT } from "./parts.js";

/** Shows the question. Calls `opened` with {name, hasWal} when an archive is open. */
export function pick(target, opened) {
    const end = (found) => {
        render(null, target);
        opened(found);
    };
    render(html`<${Picker} end=${end} />`, target);
}

function Picker({ end }) {
    const [state, setState] = useState({ file: null, problem: null });
    const open = async (file) => {
        if (!file) return;
        setState({ file, problem: null });
        try {
            const held = new Uint8Array(await file.arrayBuffer());
            const { hasWal } = await openArchive(held, file.name);
            end({ name: file.name, hasWal });
        } catch (error) {
            setState({ file: null, problem: error.message });
        }
    };
    useEffect(() => {
        const allow = (event) => event.preventDefault();
        const drop = (event) => {
            event.preventDefault();
            open(event.dataTransfer.files[0]);
        };
        addEventListener("dragover", allow);
        addEventListener("drop", drop);
        return () => {
            removeEventListener("dragover", allow);
            removeEventListener("drop", drop);
        };
    }, []);
    const { file, problem } = state;
    return html`<main class="empty" id="main">
        <h1>Drop the archive here</h1>
        <p>
            This page shows the archive <bdi>${visible(ABOUT.name)}</bdi>. It has ${bytes(ABOUT.bytes)}, too
            much to be inside the page.
        </p>
        <p>
            The browser keeps it in memory, and needs about ${bytes(2 * ABOUT.bytes)} for it. Nothing leaves
            this machine.
        </p>
        <p>
            <label
                >Archive
                <input
                    type="file"
                    disabled=${file !== null}
                    onChange=${(event) => open(event.target.files[0])}
            /></label>
        </p>
        ${file && html`<p role="status">Reading <bdi>${visible(file.name)}</bdi>…</p>`}
        ${problem && html`<p class="problem" role="alert">${visible(problem)}</p>`}
    </main>`;
}
