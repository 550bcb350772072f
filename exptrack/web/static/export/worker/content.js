/** Reads the bytes that artifacts hold: chunks, as docs/format.md describes them. */
import { ZSTDDecoder } from "../../vendor/zstd.js";
import { each, rows } from "./database.js";
import { Problem } from "./problem.js";

const CODEC = /^(?:raw|(?:shuffle([248])\+)?zstd)$/;
const zstd = new ZSTDDecoder();

/** Makes ready to read compressed chunks. */
export const startZstd = () => zstd.init();

/** Decompresses bytes of zstd to a size that is known. */
export const unpackZstd = (packed, size) => zstd.decode(packed, size);

/** Unpacks a chunk, which has one of these sizes: a frame of zstd says which. */
export function unpackChunk(codec, packed, sizes) {
    const found = CODEC.exec(codec);
    if (!found) throw new Problem("ArchiveCorruptError", `a chunk has the unknown codec '${codec}'`);
    const plain = codec === "raw" ? packed : unpackZstd(packed, Math.max(...sizes));
    const size = plain.length;
    if (!sizes.includes(size)) throw new Problem("ArchiveCorruptError", "a chunk of an artifact is damaged");
    const width = Number(found[1] ?? 1);
    if (width === 1) return plain;
    const sorted = new Uint8Array(size);
    let from = 0;
    for (let lane = 0; lane < width; lane += 1) {
        for (let to = lane; to < size; to += width) {
            sorted[to] = plain[from];
            from += 1;
        }
    }
    return sorted;
}

/** Reads the first `most` bytes of a blob, whose size is known. */
export function readBlob(blob, size, most = size) {
    const wanted = Math.min(size, most);
    const whole = new Uint8Array(wanted);
    const sql = `SELECT b.offset_bytes, c.codec, c.raw_bytes, d.data FROM blob_chunk AS b
        JOIN chunk AS c ON c.id = b.chunk JOIN chunk_data AS d ON d.chunk = c.id
        WHERE b.blob = ? AND b.offset_bytes < ? ORDER BY b.offset_bytes`;
    let end = 0;
    each(sql, [blob, wanted], ([offset, codec, bytes, data]) => {
        const plain = unpackChunk(codec, data, [bytes]);
        if (offset !== end) throw new Problem("ArchiveCorruptError", "a chunk of an artifact is missing");
        whole.set(plain.subarray(0, wanted - offset), offset);
        end = offset + plain.length;
    });
    if (end < wanted) throw new Problem("ArchiveCorruptError", "a chunk of an artifact is missing");
    return whole;
}

/** Reads the blob and the size of a file inside an artifact that is a folder; null if there is none. */
export function findFile(artifact, path) {
    const sql = `SELECT b.id, b.size_bytes FROM artifact_entry AS e JOIN blob AS b ON b.id = e.blob
        WHERE e.artifact = ? AND e.path = ?`;
    const [found] = rows(sql, [artifact, path]);
    return found ? { blob: found[0], size: found[1] } : null;
}
