/**
 * Keeps the token of the printed address in the storage of this origin, then goes on to the page.
 * It imports nothing, so that the page comes sooner; api.js reads the token under the same name.
 */
const link = document.querySelector("a");
try {
    localStorage.setItem("exptrack.token", new URLSearchParams(location.search).get("token"));
    location.replace(link.href);
} catch {
    const advice = "allow it cookies and site data, then load this address again";
    link.replaceWith(`The browser lets ${location.host} store nothing; ${advice}.`);
}
