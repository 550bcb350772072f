/**
 * Keeps the token of the printed address in the storage of this origin, then goes on to the page.
 * It imports nothing, so that the page comes sooner; api.js reads the token under the same name.
 */
localStorage.setItem("exptrack.token", new URLSearchParams(location.search).get("token"));
location.replace(document.querySelector("a").href);
