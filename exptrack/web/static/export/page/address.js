/**
 * In an exported page, takes the place of ../../address.js: images are read out of the archive in memory.
 */
import { useEffect, useState } from "../../vendor/ui.js";
import { wasAborted } from "../../api.js";
import { getBytes } from "./api.js";

const REVOKED_MS = 10_000;
// Content is shown as what it says it is only if it is an image. As a blob in <img> it never runs.
const IMAGES = /^image\/(png|jpeg|gif|webp|avif|bmp|svg\+xml)$/;

/** Reads an artifact as a blob. The server's small pictures are the whole images here. */
export async function readBlob(url, signal) {
    const { buffer, mediaType } = await getBytes(
        url.replace(/^\/thumbnail\/([^?]*)\?.*$/, "/artifact/$1"),
        signal,
    );
    return new Blob([buffer], {
        type: IMAGES.test(mediaType ?? "") ? mediaType : "application/octet-stream",
    });
}

export function useImageUrl(url) {
    const [shown, setShown] = useState(null);
    useEffect(() => {
        if (url === undefined) return undefined;
        const stop = new AbortController();
        let made = null;
        readBlob(url, stop.signal).then(
            (blob) => {
                if (stop.signal.aborted) return;
                made = URL.createObjectURL(blob);
                setShown(made);
            },
            (error) => {
                // An image that cannot be read is shown as one that the browser cannot show.
                if (!wasAborted(error)) setShown("data:,");
            },
        );
        return () => {
            stop.abort();
            // The browser may still be about to load it.
            if (made) setTimeout(() => URL.revokeObjectURL(made), REVOKED_MS);
        };
    }, [url]);
    return shown;
}
