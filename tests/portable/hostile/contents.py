"""Archives whose artifacts are not what they say."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

from exptrack.artifacts.stored_folder import build_manifest
from tests.portable.hostile.kinds import (
    LEFT_OUT,
    REFUSED,
    edit,
    forge,
    kind,
    page_bytes_of,
    patch,
    program,
    seal_again,
    varint,
)


@kind("a wrong chunk under a right name", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE chunk_data SET data = zeroblob(length(data)) WHERE chunk = (SELECT min(id) FROM chunk)")


def replace_chunk(path: Path, data: bytes, **facts: Any) -> None:
    """Put other bytes into the first chunk."""
    edit(path, "UPDATE chunk_data SET data = ? WHERE chunk = (SELECT min(id) FROM chunk)", data)
    for column, value in {"stored_bytes": len(data), "codec": "zstd", **facts}.items():
        edit(path, f"UPDATE chunk SET {column} = ? WHERE id = (SELECT min(id) FROM chunk)", value)


@kind("a frame that unpacks to a gigabyte", LEFT_OUT)
def _(path: Path) -> None:
    import zstandard

    stream = zstandard.ZstdCompressor().compressobj(size=1 << 30)
    out = b"".join(stream.compress(bytes(1 << 24)) for _ in range(64)) + stream.flush()
    replace_chunk(path, out)


@kind("a frame that says it is short, and is not", LEFT_OUT)
def _(path: Path) -> None:
    import zstandard

    stream = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    replace_chunk(path, stream.compress(bytes(1 << 26)) + stream.flush())


@kind("a chunk of no known codec", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "UPDATE chunk SET codec = 'pickle' WHERE id = (SELECT min(id) FROM chunk)")


@kind("a content that is one chunk a hundred thousand times", LEFT_OUT)
def _(path: Path) -> None:
    # 1 MiB of zeros, packed, 100,000 times: 100 GB of a small file.
    import zstandard

    data, times = bytes(1 << 20), 100_000
    digest = hashlib.sha256(data).digest()
    with program(path) as raw:
        raw.execute("BEGIN")
        packed = zstandard.compress(data)
        chunk = raw.execute(
            "INSERT INTO chunk (sha256, raw_bytes, stored_bytes, codec) VALUES (?, ?, ?, 'zstd')",
            (digest, len(data), len(packed)),
        ).lastrowid
        raw.execute("INSERT INTO chunk_data VALUES (?, ?)", (chunk, packed))
        (blob,) = raw.execute("SELECT blob FROM artifact WHERE run = 1 AND name = 'words'").fetchone()
        raw.execute("DELETE FROM blob_chunk WHERE blob = ?", (blob,))
        raw.executemany(
            "INSERT INTO blob_chunk VALUES (?, ?, ?)", ((blob, at * len(data), chunk) for at in range(times))
        )
        listed = hashlib.sha256(digest * times).digest()
        raw.execute(
            "UPDATE blob SET size_bytes = ?, list_sha256 = ? WHERE id = ?", (times * len(data), listed, blob)
        )
        raw.execute("COMMIT")


@kind("a content without its chunks", LEFT_OUT)
def _(path: Path) -> None:
    edit(
        path, "DELETE FROM blob_chunk WHERE blob = (SELECT blob FROM artifact WHERE run = 1 AND name = 'words')"
    )


@kind("a content of another size than it says", LEFT_OUT)
def _(path: Path) -> None:
    edit(
        path,
        "UPDATE blob SET size_bytes = size_bytes + 1"
        " WHERE id = (SELECT blob FROM artifact WHERE run = 1 AND name = 'words')",
    )


@kind("a content under the hash of another one", LEFT_OUT)
def _(path: Path) -> None:
    forged = "sha256:" + "ab" * 32
    edit(
        path,
        "UPDATE blob SET hash = ? WHERE id = (SELECT blob FROM artifact WHERE run = 1 AND name = 'words')",
        forged,
    )
    forge(path, "UPDATE artifact SET hash = ? WHERE run = 1 AND name = 'words'", forged)


@kind("a folder that lacks a file of its manifest", LEFT_OUT)
def _(path: Path) -> None:
    edit(path, "DELETE FROM artifact_entry WHERE artifact = (SELECT min(artifact) FROM artifact_entry)")


@kind("a folder with a file outside of it", LEFT_OUT)
def _(path: Path) -> None:
    forge_folder(path, "../../outside")


@kind("a folder with a file at the top", LEFT_OUT)
def _(path: Path) -> None:
    forge_folder(path, "/etc/cron.d/x")


@kind("a folder with a file that is a device on Windows", LEFT_OUT)
def _(path: Path) -> None:
    forge_folder(path, "sub/CON.txt")


def forge_folder(path: Path, name: str) -> None:
    """Rename the first file of the folders, and make manifests that agree."""
    with program(path) as raw:
        raw.execute("UPDATE artifact_entry SET path = ? WHERE path = 'a.txt'", (name,))
        rows = raw.execute(
            "SELECT e.path, e.mode, b.hash, b.size_bytes FROM artifact_entry AS e LEFT JOIN blob AS b"
            " ON b.id = e.blob WHERE e.artifact = (SELECT min(artifact) FROM artifact_entry)"
        ).fetchall()
        manifest = build_manifest((one[0], one[1], one[2:] if one[2] else None) for one in rows)
        whole = hashlib.sha256(manifest)
        (blob,) = raw.execute("SELECT blob FROM artifact WHERE name = 'tree' LIMIT 1").fetchone()
        chunk = raw.execute(
            "INSERT INTO chunk (sha256, raw_bytes, stored_bytes, codec) VALUES (?, ?, ?, 'raw')",
            (whole.digest(), len(manifest), len(manifest)),
        ).lastrowid
        raw.execute("INSERT INTO chunk_data VALUES (?, ?)", (chunk, manifest))
        raw.execute("DELETE FROM blob_chunk WHERE blob = ?", (blob,))
        raw.execute("INSERT INTO blob_chunk VALUES (?, 0, ?)", (blob, chunk))
        raw.execute(
            "UPDATE blob SET hash = ?, size_bytes = ?, list_sha256 = ? WHERE id = ?",
            (f"sha256:{whole.hexdigest()}", len(manifest), hashlib.sha256(whole.digest()).digest(), blob),
        )
        raw.execute("UPDATE artifact SET hash = ? WHERE name = 'tree'", (f"sha256:{whole.hexdigest()}",))
    seal_again(path)


@kind("an artifact whose hash is none", LEFT_OUT)
def _(path: Path) -> None:
    forge(path, "UPDATE artifact SET hash = 'sha256:../../x' WHERE run = 1 AND name = 'weights'")


@kind("a note that claims a hundred megabytes on a page that leads to itself", REFUSED)
def _(path: Path) -> None:
    edit(path, "UPDATE note SET text = ? WHERE run = 1 AND seq = 0", "x" * 3_000_000)
    data, size = path.read_bytes(), page_bytes_of(path)

    def begin(chars: int) -> bytes:  # of the cell: its length, the types of its four columns
        return varint(chars + 34) + b"\x08\x09\x08\x41" + varint(2 * chars + 13)

    patch(path, data.index(begin(3_000_000)), begin(100_000_000))
    last = data.rindex(b"x" * 1000) // size
    assert data[last * size : last * size + 4] == bytes(4)  # the page after this one
    patch(path, last * size, struct.pack(">I", last + 1))
