/** Keeps the token of the printed address in the storage of this origin, then goes on to the page. */
import { keepToken } from "./api.js";

keepToken(new URLSearchParams(location.search).get("token"));
location.replace(document.querySelector("a").href);
