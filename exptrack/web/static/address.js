/**
 * Where the browser finds files of the page and the bytes of artifacts. An exported page, which has no server,
 * has a module of its own in place of this one.
 */

/** The address of a file of the page, given as `/static/…`. */
export const staticUrl = (path) => path;

/** The address at which an <img> finds an image of the server; null while it is not there yet. A hook. */
export const useImageUrl = (url) => url;
