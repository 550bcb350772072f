/**
 * Writes the browser packages of package-lock.json into exptrack/web/static/vendor:
 * one module for each file in entries/, the icons that the page draws, style sheets, SQLite's WASM, the licence
 * texts, and vendor.json, which says what each file holds. Run it by `npm ci --ignore-scripts && node build.mjs`.
 */
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "exptrack", "web", "static", "vendor");
const modules = join(here, "node_modules");

/** The pictures of the page, by their names in Lucide. */
const ICONS = [
    "arrow-down",
    "arrow-up",
    "bookmark",
    "chart-line",
    "check",
    "chevron-down",
    "chevron-right",
    "circle-question-mark",
    "clock",
    "columns-3",
    "copy",
    "crosshair",
    "database",
    "download",
    "ellipsis",
    "external-link",
    "eye",
    "file",
    "folder",
    "git-branch",
    "git-compare",
    "grip-vertical",
    "image",
    "info",
    "keyboard",
    "layers",
    "list-filter",
    "lock",
    "maximize-2",
    "monitor",
    "moon",
    "pencil",
    "pin",
    "pin-off",
    "play",
    "plus",
    "refresh-cw",
    "rotate-ccw",
    "scissors",
    "search",
    "settings-2",
    "sliders-horizontal",
    "square",
    "star",
    "sun",
    "table-2",
    "tag",
    "terminal",
    "trash",
    "triangle-alert",
    "undo-2",
    "unplug",
    "x",
];

/** Files that are taken as they are: the file's name, and where it lies in node_modules. */
const COPIES = {
    "uplot.css": "uplot/dist/uPlot.min.css",
    "sqlite3.wasm": "@sqlite.org/sqlite-wasm/dist/sqlite3.wasm",
};

/** A package without a licence text of its own is under the text that another one ships. */
const TEXTS_ELSEWHERE = { "@sqlite.org/sqlite-wasm": "htm" };

/**
 * What entries need besides. The exported page runs them in a classic worker, which knows no import.meta and
 * may not fetch: SQLite is handed its WASM, and zstddec decodes its own.
 */
const OPTIONS = {
    "sqlite.js": { define: { "import.meta.url": '"file:///exptrack/"' } },
    "zstd.js": { define: { fetch: "undefined" }, inject: ["./base64.js"] },
};

/** What a package is called whose file lies at this path, or null if no package owns it. */
function packageOf(path) {
    const found = [...path.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)/g)];
    return found.length ? found.at(-1)[1] : null;
}

/** Copies the licence texts of a package, and says where each came to lie. */
function copyLicences(name) {
    const from = join(modules, TEXTS_ELSEWHERE[name] ?? name);
    const texts = readdirSync(from).filter((file) => /^(licen[sc]e|notice|copying)(\.\w+)?$/i.test(file));
    const nested = readdirSync(from).filter((file) => file === "licenses");
    for (const folder of nested)
        texts.push(...readdirSync(join(from, folder)).map((file) => `${folder}/${file}`));
    if (!texts.some((file) => /^licen[sc]e/i.test(file)))
        throw new Error(`${name} ships no licence text; add it by hand`);
    return texts.sort().map((file) => {
        const owner = name.replace("@", "").replace("/", "-");
        const to = `licences/${owner}.${basename(file).replace(/\.\w+$/, "")}.txt`;
        copyFileSync(join(from, file), join(target, to));
        return to;
    });
}

function describePackage(name) {
    const { version, license } = JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8"));
    const source = `https://registry.npmjs.org/${name}/-/${name.split("/").at(-1)}-${version}.tgz`;
    return { name, version, licence: license, source, licence_texts: copyLicences(name) };
}

async function bundle(entry) {
    const result = await build({
        entryPoints: [join(here, "entries", entry)],
        outfile: join(target, entry),
        bundle: true,
        format: "esm",
        minify: true,
        target: "es2022",
        legalComments: "none",
        metafile: true,
        write: true,
        absWorkingDir: here,
        ...OPTIONS[entry],
        define: { "process.env.NODE_ENV": '"production"', ...OPTIONS[entry]?.define },
    });
    const [output] = Object.values(result.metafile.outputs);
    const used = Object.entries(output.inputs).filter(([, part]) => part.bytesInOutput > 0);
    return [...new Set(used.map(([path]) => packageOf(path)).filter(Boolean))].sort();
}

function writeIcons() {
    const nodes = JSON.parse(readFileSync(join(modules, "lucide-static", "icon-nodes.json"), "utf8"));
    const lines = ICONS.map((name) => {
        if (!nodes[name]) throw new Error(`Lucide has no icon ${name}`);
        return `${JSON.stringify(name)}:${JSON.stringify(nodes[name])},`;
    });
    writeFileSync(join(target, "icons.js"), `export default {\n${lines.join("\n")}\n};\n`);
}

rmSync(target, { recursive: true, force: true });
mkdirSync(join(target, "licences"), { recursive: true });
const packagesOf = { "icons.js": ["lucide-static"] };
writeIcons();
for (const entry of readdirSync(join(here, "entries")).sort()) packagesOf[entry] = await bundle(entry);
for (const [name, from] of Object.entries(COPIES)) {
    copyFileSync(join(modules, from), join(target, name));
    packagesOf[name] = [packageOf(`node_modules/${from}`)];
}
const files = Object.keys(packagesOf)
    .sort()
    .map((name) => {
        const bytes = readFileSync(join(target, name));
        const sha256 = createHash("sha256").update(bytes).digest("hex");
        return { file: name, bytes: bytes.length, sha256, packages: packagesOf[name] };
    });
const packages = [...new Set(Object.values(packagesOf).flat())].sort().map(describePackage);
writeFileSync(join(target, "vendor.json"), `${JSON.stringify({ files, packages }, null, 2)}\n`);
for (const { file, bytes, packages: parts } of files) console.log(file, bytes, parts.join(" "));
