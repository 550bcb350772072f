export { RegularTableElement } from "regular-table";
