/**
 * Where the browser finds images. An exported page, which has no server, has a module of its own in place of
 * this one.
 */

/** The address at which an <img> finds an image of the server; null while it is not there yet. A hook. */
export const useImageUrl = (url) => url;
