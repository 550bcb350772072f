"""Read archives by plain SQL, and tell what of some files is not in the file that they were merged into.

Nothing of exptrack is used, so that it cannot be wrong in the same way.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import zstandard

Row: TypeAlias = tuple[Any, ...]

# What tells the history of a run itself. Where one history continues another, the end of the other is not its.
SKELETON = {"start", "resume", "end", "fail", "inherit", "hand over", "fork"}

OF_RUNS = {
    "facts": "SELECT run_id, status, started_at, ended_at, reason FROM run",
    "leaves": """
        SELECT r.run_id, k.key, v.type, v.num, v.text
        FROM config_value AS v JOIN config_key AS k ON k.id = v.key JOIN run AS r ON r.id = v.run""",
    "points": """
        SELECT r.run_id, n.name, p.step, p.seq, p.time_ms, p.value
        FROM metric_point AS p JOIN metric_series AS s ON s.id = p.series
        JOIN metric_name AS n ON n.id = s.metric JOIN run AS r ON r.id = s.run""",
    "tags": "SELECT r.run_id, t.tag FROM run_tag AS t JOIN run AS r ON r.id = t.run",
    "notes": "SELECT r.run_id, n.written_at, n.text FROM note AS n JOIN run AS r ON r.id = n.run",
    "events": "SELECT r.run_id, e.happened_at, e.kind, e.data FROM event AS e JOIN run AS r ON r.id = e.run",
    "attributes": "SELECT r.run_id, a.key, a.set_at FROM run_attribute AS a JOIN run AS r ON r.id = a.run",
    "aliases": """
        SELECT r.run_id, a.name, a.alias, a.set_at FROM artifact_alias AS a JOIN run AS r ON r.id = a.run""",
    "artifacts": """
        SELECT r.run_id, a.name, a.hash, a.created_at, a.kind, a.media_type, a.step, a.metadata, a.is_text
        FROM artifact AS a JOIN run AS r ON r.id = a.run""",
    "removed": """
        SELECT r.run_id, a.name, a.hash, a.created_at
        FROM artifact AS a JOIN run AS r ON r.id = a.run WHERE a.blob IS NULL""",
    "entries": """
        SELECT r.run_id, a.name, a.hash, a.created_at, e.path, e.mode, b.hash
        FROM artifact_entry AS e JOIN artifact AS a ON a.id = e.artifact JOIN run AS r ON r.id = a.run
        LEFT JOIN blob AS b ON b.id = e.blob""",
    "inputs": "SELECT r.run_id, i.name, i.hash FROM run_input AS i JOIN run AS r ON r.id = i.run",
}
TRIALS = "SELECT s.uid, t.uid, t.state FROM trial AS t JOIN study AS s ON s.id = t.study"
OF_TRIALS = {
    "params": "SELECT t.uid, p.name, p.value, p.text FROM trial_param AS p JOIN trial AS t ON t.id = p.trial",
    "values": "SELECT t.uid, v.position, v.value FROM trial_value AS v JOIN trial AS t ON t.id = v.trial",
    "reports": "SELECT t.uid, v.step, v.value FROM trial_report AS v JOIN trial AS t ON t.id = v.trial",
}
CHUNKS = """
SELECT b.hash, c.codec, d.data
FROM blob AS b LEFT JOIN blob_chunk AS l ON l.blob = b.id LEFT JOIN chunk AS c ON c.id = l.chunk
LEFT JOIN chunk_data AS d ON d.chunk = c.id
WHERE b.list_sha256 IS NOT NULL ORDER BY b.id, l.offset_bytes
"""
GROUPS = "SELECT name FROM run_group"
# Of two rows of one name the greater stays.
PAGE_VIEWS = "SELECT name, changed_at, deleted_at IS NOT NULL, path, coalesce(deleted_at, '') FROM page_view"


@dataclass
class OneRun:
    """What a file says of one run: the rows of each kind of `OF_RUNS`, without the id."""

    rows: dict[str, Counter[Row]] = field(default_factory=lambda: defaultdict(Counter))

    @property
    def facts(self) -> Row:
        (row,) = self.rows["facts"]
        return row

    @property
    def of(self) -> str | None:
        """The run that this one is a fork of."""
        for _at, kind, data in self.rows["events"]:
            if kind == "fork":
                return str(json.loads(data)["of"])
        return None


@dataclass
class Content:
    """What a file says, by natural keys. A group of runs here is a run together with its forks."""

    runs: dict[str, OneRun]
    trials: dict[tuple[str, str], str]  # state by the uids of study and trial
    of_trials: dict[str, dict[str, Counter[Row]]]  # by uid
    blobs: dict[str, bytes]
    groups: set[str]
    page_views: dict[str, Row]  # by name

    def branches(self) -> dict[str, list[OneRun]]:
        """The histories of each run, by the id of the run that they are forks of."""
        found: dict[str, list[OneRun]] = defaultdict(list)
        for run_id, run in self.runs.items():
            found[run.of or run_id].append(run)
        return found


def read_content(path: Path) -> Content:
    """Read a closed file."""
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        runs: dict[str, OneRun] = defaultdict(OneRun)
        for kind, query in OF_RUNS.items():
            for run_id, *row in connection.execute(query):
                runs[run_id].rows[kind][tuple(row)] += 1
        trials = {(study, trial): state for study, trial, state in connection.execute(TRIALS)}
        of_trials: dict[str, dict[str, Counter[Row]]] = defaultdict(lambda: defaultdict(Counter))
        for kind, query in OF_TRIALS.items():
            for uid, *row in connection.execute(query):
                of_trials[uid][kind][tuple(row)] += 1
        groups = {name for (name,) in connection.execute(GROUPS)}
        views = {name: tuple(row) for name, *row in connection.execute(PAGE_VIEWS)}
        return Content(dict(runs), trials, of_trials, _read_blobs(connection), groups, views)
    finally:
        connection.close()


def _read_blobs(connection: sqlite3.Connection) -> dict[str, bytes]:
    blobs: dict[str, bytes] = defaultdict(bytes)
    for name, codec, data in connection.execute(CHUNKS):
        blobs[name] += b"" if data is None else _unpack(codec, data)
    for name, content in blobs.items():
        assert name == f"sha256:{hashlib.sha256(content).hexdigest()}"
    return dict(blobs)


def _unpack(codec: str, data: bytes) -> bytes:
    if codec == "raw":
        return data
    unpacked = zstandard.ZstdDecompressor().decompress(data)
    if codec == "zstd":
        return unpacked
    width = int(codec.removeprefix("shuffle").removesuffix("+zstd"))
    whole = bytearray(len(unpacked))
    begin = 0
    for lane in range(width):
        size = len(range(lane, len(unpacked), width))
        whole[lane::width] = unpacked[begin : begin + size]
        begin += size
    return bytes(whole)


def find_losses(sources: Sequence[Path], merged: Path) -> list[str]:
    """Return what the sources say and the merged file does not, and what it says that no source does."""
    contents = [read_content(path) for path in sources]
    into = read_content(merged)
    found: list[str] = []
    branches = [content.branches() for content in contents]
    merged_branches = into.branches()
    for run_id in sorted({one for by_run in branches for one in by_run}):
        before = [run for by_run in branches for run in by_run.get(run_id, [])]
        found += [f"{run_id}: {what}" for what in _compare_run(before, merged_branches.get(run_id, []))]
    found += [f"run {one} is of no source" for one in merged_branches if not any(one in by for by in branches)]
    for content in contents:
        found += [f"no bytes of {name}" for name in _missing_bytes(content, into, contents)]
        found += [f"no group {name}" for name in content.groups - into.groups]
        found += [f"no trial {uids}" for uids in content.trials.keys() - into.trials.keys()]
    newest: dict[str, Row] = {}
    for content in contents:
        newest |= {name: max(row, newest.get(name, row)) for name, row in content.page_views.items()}
    if into.page_views != newest:
        found.append(f"the page views are {into.page_views}, not {newest}")
    found += [f"trial {uid[1]}: {what}" for uid in into.trials for what in _compare_trial(uid, contents, into)]
    return found


def _compare_run(before: list[OneRun], after: list[OneRun]) -> Iterable[str]:
    """Compare the histories of one run in all sources with those in the merged file."""
    if not after:
        yield "is not there"
        return
    for source in before:
        if not any(source.rows["points"] <= one.rows["points"] for one in after):
            yield f"no history has the points {sorted(source.rows['points'], key=repr)}"
        if not any(
            {leaf[0] for leaf in source.rows["leaves"]} <= {leaf[0] for leaf in one.rows["leaves"]}
            for one in after
        ):
            yield f"no history has the config {sorted(source.rows['leaves'], key=repr)}"
    for one in after:
        for kind in ("points", "leaves"):
            if not any(one.rows[kind] == source.rows[kind] for source in before):
                yield f"no source has these {kind}: {sorted(one.rows[kind], key=repr)}"
        if not any(_is_end_of(source.facts, one.facts) for source in before):
            yield f"no source has these facts: {one.facts}"
    removed = _largest(run.rows["removed"] for run in before)
    for kind in ("notes", "events", "artifacts", "inputs", "removed", "entries"):
        had, has = _largest(run.rows[kind] for run in before), _largest(run.rows[kind] for run in after)
        if kind == "events":
            had, has = _without_skeleton(had), _without_skeleton(has)
        if kind == "notes":
            gone = _notes_gone(before)
            had = Counter({note: count for note, count in had.items() if _name_note(*note) not in gone})
        if kind == "entries":
            had = Counter({row: count for row, count in had.items() if row[:3] not in removed})
        if had - has:
            yield f"{kind} are lost: {sorted(had - has, key=repr)}"
        if has - had:
            yield f"{kind} are new: {sorted(has - had, key=repr)}"
    yield from _compare_tags(before, after)
    for kind in ("attributes", "aliases"):
        newest: dict[Row, str] = {}
        for run in before:
            for *key, at in run.rows[kind]:
                newest[tuple(key)] = max(at, newest.get(tuple(key), ""))
        found = [{tuple(key): at for *key, at in one.rows[kind]} for one in after]
        for each, at in newest.items():
            # An alias is there where its artifact is, which may belong to one of the histories.
            enough = any if kind == "aliases" else all
            if not enough(times.get(each, "") >= at for times in found):
                yield f"{kind}: {each} was set at {at}, and is not"


def _notes_gone(before: list[OneRun]) -> set[str]:
    """The notes that a file says were removed or replaced, by the hashes of their rows."""
    said = [json.loads(data) for run in before for _at, kind, data in run.rows["events"] if kind == "note"]
    return {one[key] for one in said for key in ("removed", "replaces") if key in one}


def _name_note(written_at: str, text: str) -> str:
    listed = json.dumps(["note", written_at, text], ensure_ascii=False, separators=(",", ":"))
    return str(int.from_bytes(hashlib.sha256(listed.encode()).digest()[:8], "big", signed=True))


def _compare_tags(before: list[OneRun], after: list[OneRun]) -> Iterable[str]:
    removals: dict[str, str] = {}
    for run in before:
        for at, kind, data in run.rows["events"]:
            if kind == "untag":
                tag = json.loads(data)["tag"]
                removals[tag] = max(at, removals.get(tag, ""))
    for (tag,) in {tag for run in before for tag in run.rows["tags"]}:
        if tag not in removals and not all((tag,) in one.rows["tags"] for one in after):
            yield f"tag {tag} is lost"
    for (tag,) in {tag for one in after for tag in one.rows["tags"]}:
        if not any((tag,) in run.rows["tags"] for run in before):
            yield f"tag {tag} is new"


def _missing_bytes(source: Content, into: Content, sources: list[Content]) -> Iterable[str]:
    """Name the bytes of a source that are gone, though no file has removed an artifact that holds them."""
    removed = {row[1] for one in sources for run in one.runs.values() for row in run.rows["removed"]}
    for name, content in source.blobs.items():
        if into.blobs.get(name) != content and not _was_in_removed(name, removed, sources):
            yield name


def _was_in_removed(name: str, removed: set[str], sources: list[Content]) -> bool:
    if name in removed:
        return True
    entries = {row for one in sources for run in one.runs.values() for row in run.rows["entries"]}
    return any(row[5] == name and row[1] in removed for row in entries)


def _compare_trial(uid: tuple[str, str], contents: list[Content], into: Content) -> Iterable[str]:
    """A trial is that of one of the sources, whole, and goes on from none that had gone further."""
    rank = {"waiting": 0, "running": 1}
    known = [content for content in contents if uid in content.trials]
    if not known:
        return  # the copy of a trial that two files have gone on with
    furthest = max(rank.get(content.trials[uid], 2) for content in known)
    if rank.get(into.trials[uid], 2) < furthest:
        yield f"is {into.trials[uid]}, and had ended"
    mine = {kind: into.of_trials[uid[1]][kind] for kind in OF_TRIALS}
    if not any(mine == {kind: content.of_trials[uid[1]][kind] for kind in OF_TRIALS} for content in known):
        yield f"is that of no source: {mine}"


def _without_skeleton(events: Counter[Row]) -> Counter[Row]:
    return Counter({row: count for row, count in events.items() if row[1] not in SKELETON})


def _largest(counters: Iterable[Counter[Row]]) -> Counter[Row]:
    """Count each row as often as the counter does that has it most often."""
    total: Counter[Row] = Counter()
    for one in counters:
        total |= one
    return total


def _is_end_of(before: Row, after: Row) -> bool:
    """Whether a run is as it was in a source, or was found dead since."""
    return before == after or (before[:2] == ("running", after[1]) and after[0] == "interrupted")
