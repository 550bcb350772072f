"""An archive that another program writes by docs/format.md is sound to exptrack.

Nothing of exptrack writes here: only SQL, hashes and the text of the schema.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

from exptrack import Archive

MIGRATIONS = sorted((Path(__file__).parent.parent / "schema").glob("[0-9]*.sql"))
LEFT_OUT = {"run", "run_group", "study", "trial", "seq", "checksum", "rows_sum"}
OF_RUN = (
    "run_owner run_environment run_config run_tag note event run_input artifact run_attribute artifact_alias"
    " run_ingest"
).split()
FACTS = (
    "run_id, status, reason, traceback, started_at, ended_at, duration_ms, config_hash, family, fingerprint,"
    " host, vcs_commit, vcs_dirty"
)
SUMMARY = (
    "count, nan_count, first_step, first_value, last_step, last_value, last_time_ms, top_step, min_step,"
    " min_value, max_step, max_value, value_sum"
)
LEAVES = """
SELECT k.key, v.type, v.num, v.text, s.kind, s.name, s.line
FROM config_value AS v JOIN config_key AS k ON k.id = v.key LEFT JOIN config_source AS s ON s.id = v.source
WHERE v.run = 1 ORDER BY k.key
"""
FACTORS = (0x9E3779B97F4A7C15, 0x3243F6A8885A308D, 0x313198A2E0370735, 0xA4093822299F31D1)
RUN = "1kdyak3se1kajg3c"
START, NOTED, END = (f"2026-01-02 03:04:{second}.678000" for second in ("05", "06", "10"))


def spelled(value: Any) -> Any:
    if isinstance(value, float):
        return struct.pack(">d", value).hex()
    return [spelled(one) for one in value] if isinstance(value, (list, tuple)) else value


def encoded(values: list[Any]) -> bytes:
    return json.dumps(spelled(values), separators=(",", ":"), ensure_ascii=False).encode()


def hashed(values: list[Any]) -> int:
    return int.from_bytes(hashlib.sha256(encoded(values)).digest()[:8], "big", signed=True)


def signed(total: int) -> int:
    return (total + 2**63) % 2**64 - 2**63


def bits_of(value: float | None) -> int:
    return 0x7FF8000000000000 if value is None else struct.unpack("<q", struct.pack("<d", value))[0]


class Writer:
    """Writes one archive with one run, as another program would."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.sql = connection.execute
        self.sql("PRAGMA auto_vacuum = INCREMENTAL")
        for number, schema in enumerate(MIGRATIONS, 1):
            text = schema.read_text(encoding="utf-8")
            connection.executescript(text)
            digest = hashlib.sha256(text.encode()).hexdigest()
            row = [number, schema.name, digest, "2026-01-01 00:00:00.000000", "another program"]
            self.sql("INSERT INTO migration VALUES (?, ?, ?, ?, ?, ?)", (*row, hashed(["migration", *row])))
        self.sql("PRAGMA application_id = 0x45585054")
        self.sql(f"PRAGMA user_version = {len(MIGRATIONS)}")
        self.sql("PRAGMA journal_mode = WAL")

    def rows_of(self, table: str, owner: str) -> list[list[Any]]:
        names = [row[1] for row in self.sql(f"PRAGMA table_info({table})") if row[1] not in LEFT_OUT]
        found = self.sql(f"SELECT {', '.join(names)} FROM {table} WHERE {owner} = 1")
        return [[table, *row] for row in found]

    def config(self) -> list[Any]:
        return ["config_value", *self.sql(LEAVES).fetchall()]

    def write_run(self) -> None:
        snapshot = '{"lr":0.1,"opt":{"name":"ä","steps":[1,2]},"seed":3}'
        leaves = [
            ["lr", "float", 0.1, None],
            ["opt.name", "text", None, "ä"],
            ["opt.steps", "list", None, "[1,2]"],
            ["seed", "int", 3.0, None],
        ]
        config_hash, code, data = hashlib.sha256(snapshot.encode()).hexdigest(), "ab" * 32, '{"train":"s3"}'
        family = hashlib.sha256(encoded(leaves[:3])).hexdigest()[:16]
        fingerprint = hashlib.sha256(encoded([config_hash, code, data])).hexdigest()
        self.sql(
            f"INSERT INTO run (name, heartbeat_at, {FACTS})"
            " VALUES ('by hand', ?, ?, 'completed', NULL, NULL, ?, ?, 5000, ?, ?, ?, 'node', NULL, NULL)",
            (END, RUN, START, END, config_hash, family, fingerprint),
        )
        self.sql(
            "INSERT INTO run_environment VALUES (1, '', '', '[]', NULL, NULL, NULL, ?, '{}', '{}', ?)",
            (code, data),
        )
        self.sql("INSERT INTO run_config VALUES (1, 1, ?, '[]', '[]')", (snapshot,))
        self.sql("INSERT INTO config_source VALUES (1, 'code', 'dict', 0)")
        for number, (key, *value) in enumerate(leaves):
            self.sql("INSERT INTO config_key VALUES (?, ?)", (number, key))
            self.sql("INSERT INTO config_value VALUES (1, ?, ?, ?, ?, 1)", (number, *value))
        self.write_event("start", {"name": "by hand", "tags": ["a"], "config_hash": config_hash}, START)
        self.sql("INSERT INTO run_tag VALUES (1, 'a', ?)", (START,))
        self.sql("INSERT INTO note VALUES (1, 0, ?, 'größer')", (NOTED,))
        self.write_event("note", {"characters": 6}, NOTED)

    def write_event(self, kind: str, data: dict[str, Any], at: str) -> None:
        text = json.dumps(data)
        ((seq,),) = self.sql("SELECT count(*) FROM event")
        checksum = zlib.crc32("\0".join((at, kind, text)).encode())
        self.sql("INSERT INTO event VALUES (1, ?, ?, ?, ?, 0, ?)", (seq, at, kind, text, checksum))

    def write_series(self) -> None:
        points = [(step, 0, 2 * step, None if step == 7 else 0.5 * step) for step in range(1500)]
        total = sum(value for *_, value in points if value is not None)
        summary = (1500, 1, 0, 0.0, 1499, 749.5, 2998, 1499, 0, 0.0, 1499, 749.5, total)
        self.sql("INSERT INTO metric_name VALUES (1, 'loss')")
        self.sql(
            f"INSERT INTO metric_series (id, run, metric, completed, {SUMMARY})"
            f" VALUES (1, 1, 1, 1, {', '.join('?' * 13)})",
            summary,
        )
        rows_sum, checksums = hashed(["metric_series", 1, 1, "loss", *summary]), []
        for *numbers, value in points:
            self.sql("INSERT INTO metric_point VALUES (1, ?, ?, ?, ?)", (*numbers, value))
            rows_sum += sum(a * b for a, b in zip((*numbers, bits_of(value)), FACTORS, strict=True))
        for begin in range(0, len(points), 1024):
            block = points[begin : begin + 1024]
            columns = [*zip(*[(*numbers, bits_of(value)) for *numbers, value in block], strict=True)]
            four = [zlib.crc32(struct.pack(f"<{len(column)}q", *column)) for column in columns]
            checksums.append(zlib.crc32(struct.pack("<4I", *four)))
            self.sql("INSERT INTO metric_check VALUES (1, ?, ?, ?)", (*block[0][:2], checksums[-1]))
        checksum = zlib.crc32(struct.pack(f"<{len(checksums)}I", *checksums))
        self.sql("UPDATE metric_series SET checksum = ?, rows_sum = ?", (checksum, signed(rows_sum)))

    def write_blob(self, content: bytes, *cuts: int) -> tuple[int, str, int]:
        name = f"sha256:{hashlib.sha256(content).hexdigest()}"
        blob = self.sql("INSERT INTO blob (hash, size_bytes) VALUES (?, ?)", (name, len(content))).lastrowid
        digests = b""
        for begin, end in zip((0, *cuts), (*cuts, len(content)), strict=True):
            part = content[begin:end]
            if part:
                digest = hashlib.sha256(part).digest()
                facts = (digest, len(part), len(part), "raw")
                chunk = self.sql("INSERT INTO chunk VALUES (NULL, ?, ?, ?, ?)", facts).lastrowid
                self.sql("INSERT INTO chunk_data VALUES (?, ?)", (chunk, part))
                self.sql("INSERT INTO blob_chunk VALUES (?, ?, ?)", (blob, begin, chunk))
                digests += digest
        self.sql("UPDATE blob SET list_sha256 = ? WHERE id = ?", (hashlib.sha256(digests).digest(), blob))
        assert blob is not None
        return blob, name, len(content)

    def write_folder(self) -> None:
        words, nothing = self.write_blob(b"cut in odd places", 3, 11), self.write_blob(b"")
        entries = [["a", 0o750], ["a/x.txt", 0o640, *words[1:]], ["e", 0o644, *nothing[1:]]]
        blob, name, _size = self.write_blob(encoded([1, entries]))
        said = ["tree", 1, "folder", name, 0, "application/vnd.exptrack.folder+json", None, "{}", NOTED]
        self.sql(
            "INSERT INTO artifact (run, blob, checksum, name, version, kind, hash, is_text, media_type, step,"
            " metadata, created_at) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (blob, zlib.crc32(encoded([RUN, *said])), *said),
        )
        for (path, mode, *_), inside in zip(entries, (None, words[0], nothing[0]), strict=True):
            self.sql("INSERT INTO artifact_entry VALUES (1, ?, ?, ?)", (path, mode, inside))
        self.write_event("artifact", {"name": "tree", "version": 1, "hash": name}, NOTED)

    def write_page_view(self) -> None:
        row = ["größer", "/runs?where=config.lr+%3E+0.01", NOTED, None]
        self.sql("INSERT INTO page_view VALUES (?, ?, ?, ?, ?)", (*row, hashed(["page_view", *row])))

    def seal(self) -> None:
        series = self.sql(f"SELECT {SUMMARY}, completed, checksum FROM metric_series").fetchone()
        lines = [
            ["run", *self.sql(f"SELECT {FACTS} FROM run").fetchone()],
            *self.rows_of("run_environment", "run"),
            *self.rows_of("run_config", "run"),
            self.config(),
            ["metric_series", "loss", *series],
        ]
        checksum = hashlib.sha256(b"".join(encoded(line) + b"\n" for line in lines)).hexdigest()
        rows = [row for table in OF_RUN for row in self.rows_of(table, "run")]
        rows += [*self.rows_of("run", "id"), self.config(), ["metric", "loss"], ["run_seal", checksum]]
        self.sql("UPDATE run SET checksum = ?, rows_sum = ?", (checksum, signed(sum(map(hashed, rows)))))


def test_what_another_program_writes_is_sound(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "lab.db", isolation_level=None)) as connection:
        writer = Writer(connection)
        writer.sql("PRAGMA foreign_keys = ON")
        writer.sql("BEGIN IMMEDIATE")
        writer.write_run()
        writer.write_series()
        writer.write_folder()
        writer.write_page_view()
        writer.write_event("end", {"status": "completed", "reason": None}, END)
        writer.seal()
        writer.sql("COMMIT")
    with Archive(tmp_path / "all.db") as archive:
        (merged,) = archive.merge(tmp_path / "lab.db").files
        assert (merged.new, merged.left_out) == ((RUN,), ())
        assert [view.name for view in archive.list_page_views()] == ["größer"]
    with Archive(tmp_path / "lab.db") as archive:
        assert archive.verify().problems == ()
        run = archive.get_run(RUN)
        assert run.config.get("opt.name") == "ä"
        assert len(run.get_metric("loss")) == 1500
        run.artifacts.export("tree", tmp_path / "tree")
        assert (tmp_path / "tree" / "a" / "x.txt").read_bytes() == b"cut in odd places"
        run.add_note("exptrack goes on with it")
        with archive.resume_run(RUN) as again:
            again.log({"loss": 1.0})
        assert archive.verify().problems == ()
