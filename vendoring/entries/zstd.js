export { ZSTDDecoder } from "zstddec";
