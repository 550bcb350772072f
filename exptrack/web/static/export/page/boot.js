/**
 * The only script that stands in the file of an exported page. It unpacks what follows it in the file, makes
 * the modules known under their names, and starts the first one. A browser loads no module from a file:.
 */
(async () => {
    const { nonce } = document.currentScript;
    const textOf = (name) => document.getElementById(`exptrack-${name}`)?.textContent ?? null;
    const decode = (text) => {
        if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
        const signs = atob(text);
        const bytes = new Uint8Array(signs.length);
        for (let place = 0; place < signs.length; place += 1) bytes[place] = signs.charCodeAt(place);
        return bytes;
    };
    const unpack = async (name) => {
        const text = textOf(name);
        if (text === null) return null;
        document.getElementById(`exptrack-${name}`).remove();
        const packed = new Blob([decode(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
        return new Uint8Array(await new Response(packed).arrayBuffer());
    };
    const read = async (name) => JSON.parse(new TextDecoder().decode(await unpack(name)));
    const encode = (source) => {
        let signs = "";
        for (const byte of new TextEncoder().encode(source)) signs += String.fromCharCode(byte);
        return `data:text/javascript;base64,${btoa(signs)}`;
    };
    try {
        const { modules, worker, about } = await read("modules");
        globalThis.exptrackParts = {
            about,
            worker,
            wasm: await unpack("sqlite"),
            archive: await unpack("archive"),
        };
        const imports = Object.entries(modules).map(([name, source]) => [name, encode(source)]);
        const map = document.createElement("script");
        map.type = "importmap";
        map.nonce = nonce;
        map.textContent = JSON.stringify({ imports: Object.fromEntries(imports) });
        document.head.append(map);
        await import("page/export/page/main.js");
    } catch (error) {
        document.getElementById("app").textContent = `This page cannot be shown: ${error.message}`;
    }
})();
