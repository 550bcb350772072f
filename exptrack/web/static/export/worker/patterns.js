/**
 * Reads the patterns of `like`: % stands for any text, _ for one character, and a backslash takes that away. A
 * backslash before any other character is itself.
 */

/** How SQLite takes a pattern that `patternOf` returns. */
export const LIKE = "LIKE ? ESCAPE '\\'";

/** Returns a pattern as SQLite reads it: each backslash stands before what it escapes. */
export const patternOf = (text) =>
    text.replace(/\\([%_\\])|\\/g, (all, escaped) => (escaped === undefined ? "\\\\" : all));

/** Returns a pattern that only this text matches. */
export const escapeLike = (text) => text.replace(/[\\%_]/g, "\\$&");
