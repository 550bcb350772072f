"""Damage an archive that uses every table, salvage it, and compare what comes back with what it held.

The damage is a bit, a page of zeros or noise, 20 pages, the first page of a table or index, page 1, or an end
that is cut off. Every fourth try damages the log or the journal that a killed process left. Nothing wrong may
come back. Nothing may be lost but what was overwritten, and what has its proof in common with that. With
`unproven`, no point may be lost but those overwritten. The new archive verifies clean, and the damaged file
stays as it was.
"""

from __future__ import annotations

import atexit
import functools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import exptrack
from exptrack import Archive, ExptrackError
from exptrack.database.layout import known_layouts
from exptrack.portable.cells import Claims, parse_page, read_cells
from exptrack.portable.pages import PageFile
from exptrack.portable.tables import TableReader
from exptrack.runs.identity import started_of
from exptrack.times import utc_text
from tests.faults.alarms import TookTooLong, limited
from tests.faults.full_lab import build
from tests.faults.tally import Tally

LIMIT_S = 120
PAGE = 4096
BLOCK = 1024
MOST_LOST = 0.001  # of all rows, beyond what was overwritten and what has its proof in common with that
FEW = 30  # rows: a run of the small archive, of which one flipped bit may take the identity
SEVERAL = 20  # pages, or a twenty-fifth of a small archive
# A series of a run with other damage is known by these, and the id of the run by those.
NAMING = {"metric_name", "sqlite_autoindex_metric_name_1", "sqlite_autoindex_metric_series_1"}
IDENTIFYING = {"sqlite_autoindex_run_1", "run_by_start"}
SERIES, POINTS, RUNS = 3, 3_000, 10

_OF_RUN = "JOIN run AS r ON r.id = x.run"
_OF_ARTIFACT = "JOIN artifact AS a ON a.id = x.artifact JOIN run AS r ON r.id = a.run"
_OF_STUDY, _OF_TRIAL = "JOIN study AS s ON s.id = x.study", "JOIN trial AS t ON t.id = x.trial"
# What an archive says, whatever its row ids. The first column names the run or study.
CONTENT = {
    "point": f"""
        SELECT r.run_id, n.name, p.step, p.seq, p.time_ms, p.value FROM metric_point AS p
        JOIN metric_series AS x ON x.id = p.series JOIN metric_name AS n ON n.id = x.metric {_OF_RUN}""",
    "tag": f"SELECT r.run_id, x.tag, x.added_at FROM run_tag AS x {_OF_RUN} WHERE x.tag <> 'unproven'",
    "note": f"SELECT r.run_id, x.written_at, x.text FROM note AS x {_OF_RUN}",
    "event": f"""
        SELECT r.run_id, x.happened_at, x.kind, x.data, x.late FROM event AS x {_OF_RUN}
        WHERE x.kind <> 'salvage'""",
    "attribute": f"SELECT r.run_id, x.key, x.type, x.num, x.text, x.set_at FROM run_attribute AS x {_OF_RUN}",
    "alias": f"SELECT r.run_id, x.name, x.alias, x.version, x.set_at FROM artifact_alias AS x {_OF_RUN}",
    "input": f"""
        SELECT r.run_id, x.hash, x.from_run_id, x.name, x.version, x.used_at FROM run_input AS x {_OF_RUN}""",
    "ingest": f"SELECT r.run_id, x.source, x.sequence, x.stored_at FROM run_ingest AS x {_OF_RUN}",
    "leaf": f"""
        SELECT r.run_id, k.key, x.type, x.num, x.text FROM config_value AS x
        JOIN config_key AS k ON k.id = x.key {_OF_RUN}""",
    "source": f"""
        SELECT r.run_id, k.key, s.kind, s.name, s.line FROM config_value AS x
        JOIN config_key AS k ON k.id = x.key JOIN config_source AS s ON s.id = x.source {_OF_RUN}""",
    "artifact": f"""
        SELECT r.run_id, x.name, x.version, x.kind, x.hash, x.is_text, x.media_type, x.step, x.metadata,
               x.created_at
        FROM artifact AS x {_OF_RUN}""",
    "description": f"""
        SELECT r.run_id, x.name, x.version, x.description FROM artifact AS x {_OF_RUN}
        WHERE x.description <> ''""",
    "bytes": f"""
        SELECT r.run_id, x.name, x.version, b.hash FROM artifact AS x
        JOIN blob AS b ON b.id = x.blob {_OF_RUN}""",
    "entry": f"""
        SELECT r.run_id, a.name, a.version, x.path, x.mode, b.hash FROM artifact_entry AS x
        LEFT JOIN blob AS b ON b.id = x.blob {_OF_ARTIFACT}""",
    "group": "SELECT g.name, g.deleted_at FROM run_group AS g",
    "group attribute": """
        SELECT g.name, x.key, x.type, x.num, x.text, x.set_at FROM run_group_attribute AS x
        JOIN run_group AS g ON g.id = x.run_group""",
    "study": "SELECT s.name, s.uid FROM study AS s",
    "settings": "SELECT s.name, s.created_at, s.settings FROM study AS s WHERE s.settings <> '{}'",
    "objective": f"SELECT s.name, x.position, x.direction FROM study_objective AS x {_OF_STUDY}",
    "study attribute": f"SELECT s.name, x.scope, x.name, x.value FROM study_attribute AS x {_OF_STUDY}",
    "trial": f"""
        SELECT s.name, x.uid, x.number, x.state, x.run_id, x.started_at, x.ended_at, x.duration_ms,
               x.heartbeat_at
        FROM trial AS x {_OF_STUDY} WHERE coalesce(x.reason, '') NOT LIKE 'salvaged%'""",
    "param": f"""
        SELECT t.uid, x.position, x.name, x.value, x.type, x.num, x.text, x.distribution
        FROM trial_param AS x {_OF_TRIAL}""",
    "value": f"SELECT t.uid, x.position, x.value FROM trial_value AS x {_OF_TRIAL}",
    "report": f"SELECT t.uid, x.step, x.value FROM trial_report AS x {_OF_TRIAL}",
    "trial attribute": f"SELECT t.uid, x.scope, x.name, x.value FROM trial_attribute AS x {_OF_TRIAL}",
}
FACTS = """
run_id status reason traceback started_at ended_at duration_ms config_hash family fingerprint host vcs_commit
vcs_dirty name group_name parent_run_id external_id deleted_at
""".split()
ENVIRONMENT = (
    "python platform command script vcs_branch vcs_remote code_digest system variables data_references".split()
)
NEUTRAL = {None, "", "[]", "{}", 0}

Content = dict[str, Counter[tuple[Any, ...]]]


def read_content(path: Path) -> Content:
    """Return what an archive says, as rows by kind."""
    found: Content = {}
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        for name, sql in CONTENT.items():
            found[name] = Counter(connection.execute(sql))
        facts = Counter[tuple[Any, ...]]()
        for column in FACTS:
            facts.update(
                (row[0], column, row[1]) for row in connection.execute(f"SELECT run_id, {column} FROM run")
            )
        for column in ENVIRONMENT:
            sql = f"SELECT r.run_id, x.{column} FROM run_environment AS x {_OF_RUN}"
            facts.update((row[0], column, row[1]) for row in connection.execute(sql))
        found["fact"] = facts
    return found


class Excuse(NamedTuple):
    """What may be lost: of these runs all but points, these blocks of points, or all of these kinds."""

    runs: set[str]
    blocks: set[tuple[str, str, int]]
    kinds: set[str]


class Subject:
    """A sound archive: its bytes, what it says, and which rows stand on each page."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sound = path.read_bytes()
        self.content = read_content(path)
        self.total = sum(rows.total() for rows in self.content.values())
        self.used = [place for place, byte in enumerate(self.sound) if byte]
        self.maps = set(range(2, len(self.sound) // PAGE + 1, PAGE // 5 + 1))
        self.rows_on: dict[int, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        self._find_rows()
        with closing(sqlite3.connect(path)) as connection:
            self.run_ids = dict(connection.execute("SELECT id, run_id FROM run"))
            self.series = {
                row[0]: row[1:]
                for row in connection.execute(
                    "SELECT x.id, r.run_id, n.name FROM metric_series AS x"
                    f" JOIN metric_name AS n ON n.id = x.metric {_OF_RUN}"
                )
            }
            self.block_of: dict[tuple[str, str], dict[tuple[int, int], int]] = defaultdict(dict)
            for series, *key in connection.execute(
                "SELECT series, step, seq FROM metric_point ORDER BY series, step, seq"
            ):
                keys = self.block_of[self.series[series]]
                keys[key[0], key[1]] = len(keys) // BLOCK
            self.owners = defaultdict(set)
            for column, sql in OWNERS.items():
                for row_id, run in connection.execute(sql):
                    self.owners[column, row_id].add(run)

    def all_blocks(self) -> Iterator[tuple[str, str, int]]:
        for owner, keys in self.block_of.items():
            yield from ((*owner, block) for block in set(keys.values()))

    def _find_rows(self) -> None:
        with PageFile(self.path) as file:
            reader = TableReader(file)
            self.tree_on = {number: name for name in reader.layout for number in reader._pages[name]}
            for number, name in self.tree_on.items():
                if name not in known_tables():
                    continue
                tree = reader.layout[name]
                page = parse_page(file, number)
                assert page is not None
                for row_id, record in read_cells(file, page, Claims(), int):
                    values = dict(zip((one.name for one in tree.columns), record, strict=True))
                    if tree.row_id is not None:
                        values[tree.columns[tree.row_id].name] = row_id
                    self.rows_on[number].append((name, values))
            for number in range(2, file.count + 1):
                above = number
                while file.look_up(above).kind in (3, 4):  # a chain that goes on from a page of a table
                    above = file.look_up(above).parent
                if above != number:
                    self.rows_on[number] += self.rows_on.get(above, [])

    def excuse(self, pages: set[int]) -> Excuse:
        """Return what has its proof in common with the rows that stood on these pages."""
        if len(pages) > 1 and pages & self.maps:
            # A page whose owner and whose entry in the pointer map are lost may belong to any table.
            return Excuse(set(self.run_ids.values()), set(self.all_blocks()), set(CONTENT))
        found = Excuse(set(), set(), set())
        for name, values in (row for page in pages for row in self.rows_on.get(page, ())):
            if name == "metric_point":
                owner = self.series[values["series"]]
                found.blocks.add((*owner, self.block_of[owner][values["step"], values["seq"]]))
            elif name in ("metric_check", "metric_series"):
                owner = self.series[values["series" if name == "metric_check" else "id"]]
                found.runs.add(owner[0])
                found.blocks.update((*owner, block) for block in set(self.block_of[owner].values()))
            elif name.startswith(("study", "trial", "run_group")):
                found.kinds.update(kind for kind in CONTENT if kind in OF_STUDIES)
            elif name == "run":
                found.runs.add(values["run_id"])
            elif "run" in values:
                found.runs.add(self.run_ids.get(values["run"], ""))
            else:
                column = {"chunk_data": "chunk", "artifact_entry": "artifact", "blob_chunk": "blob"}.get(
                    name, name
                )
                found.runs.update(self.owners[column, values.get(column, values.get("id"))])
        if (NAMING | IDENTIFYING) & {self.tree_on.get(page) for page in pages}:
            found.blocks.update(block for block in self.all_blocks() if block[0] in found.runs)
        return found

    def points_on(self, pages: set[int]) -> set[tuple[Any, ...]]:
        """Return the keys of the points that stood on these pages: run, metric, step, seq."""
        rows = [row for page in pages for row in self.rows_on.get(page, ())]
        return {
            (*self.series[values["series"]], values["step"], values["seq"])
            for name, values in rows
            if name == "metric_point"
        }


OF_STUDIES = {
    *("group", "group attribute", "study", "settings", "objective", "study attribute"),
    *("trial", "param", "value", "report", "trial attribute"),
}
_BLOBS = """
SELECT x.blob, r.run_id FROM artifact AS x JOIN run AS r ON r.id = x.run WHERE x.blob IS NOT NULL
UNION SELECT x.blob, r.run_id FROM artifact_entry AS x JOIN artifact AS a ON a.id = x.artifact
JOIN run AS r ON r.id = a.run WHERE x.blob IS NOT NULL
"""
OWNERS = {
    "blob": _BLOBS,
    "chunk": f"SELECT c.chunk, o.run_id FROM blob_chunk AS c JOIN ({_BLOBS}) AS o ON o.blob = c.blob",
    "artifact": f"SELECT x.id, r.run_id FROM artifact AS x {_OF_RUN}",
}


@functools.cache
def known_tables() -> set[str]:
    return {name for name, tree in known_layouts()[0].items() if tree.table == name}


def build_lab(folder: Path, *, small: bool) -> Path:
    """Write a closed archive with rows in every table, and points in many blocks."""
    chance = random.Random(1)
    build(folder / "copy.db")
    (folder / "copy.db").unlink()
    path = folder / "live.db"
    with Archive(path) as archive:
        for number in range(0 if small else RUNS):
            config = {"lr": chance.random(), "model": {"depth": number, "name": "net", "seed": number}}
            with archive.start_run(config, ["many", f"t{number}"], name=f"many {number}", group="first") as run:
                for name in ("loss", "accuracy", "speed")[:SERIES]:
                    run.log_many(name, range(POINTS), [chance.random() for _ in range(POINTS)])
                run.add_note("a long note " * (1 + number * 60))
                run.artifacts.register_data("weights", chance.randbytes(400_000 if number % 4 == 0 else 5_000))
    return path


@functools.cache
def subject(*, small: bool = False) -> Subject:
    """The closed archive of this process."""
    folder = Path(tempfile.mkdtemp(prefix="exptrack-salvage-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Subject(build_lab(folder, small=small))


# The damage


def damage(lab: Subject, chance: random.Random) -> tuple[str, bytearray, set[int]]:
    """Return what was done, the damaged bytes, and the pages that were touched."""
    data = bytearray(lab.sound)
    pages = len(data) // PAGE
    kind = chance.choice(["bit", "bit", "page", "page", "noise", "several", "root", "page 1", "cut"])
    if kind == "bit":
        place = chance.choice(lab.used)
        data[place] ^= 1 << chance.randrange(8)
        return f"bit of byte {place}", data, {place // PAGE + 1}
    if kind == "cut":
        end = chance.randrange(4 * PAGE, len(data))  # before that no table begins, and the file is refused
        del data[end:]
        return f"cut at {end}", data, set(range(end // PAGE + 1, pages + 1))
    roots = [tree.root for tree in known_layouts()[0].values()]
    hit = {
        "page": lambda: {chance.randrange(2, pages + 1)},
        "noise": lambda: {chance.randrange(2, pages + 1)},
        "several": lambda: {chance.randrange(2, pages + 1) for _ in range(min(SEVERAL, pages // 25))},
        "root": lambda: {chance.choice(roots)},
        "page 1": lambda: {1},
    }[kind]()
    noisy = kind == "noise" or (kind != "page" and chance.random() < 0.5)
    for page in hit:
        data[(page - 1) * PAGE : page * PAGE] = chance.randbytes(PAGE) if noisy else bytes(PAGE)
    return f"{kind} {sorted(hit)}{' of noise' * noisy}", data, hit


# The judge


def find_wrong(found: Content, expected: Content) -> Iterator[str]:
    """Yield what came back although the archive did not hold it."""
    facts = dict.fromkeys(run_id for run_id, column, _ in found["fact"] if column == "run_id")
    known = {run_id for run_id, column, _ in expected["fact"] if column == "run_id"}
    yield from (f"the run {run_id}" for run_id in facts if run_id not in known)
    ended = {
        run_id for run_id, column, value in found["fact"] if column == "reason" and "salvaged" in str(value)
    }
    for name, rows in found.items():
        for row in rows - expected[name]:
            if name == "fact" and (row[2] in NEUTRAL or _is_of_salvage(row, ended, found)):
                continue
            yield f"{name} {str(row)[:300]}"


def _is_of_salvage(row: tuple[Any, ...], ended: set[str], found: Content) -> bool:
    """Whether a fact is one that the salvage itself states of a run that it ended."""
    run_id, column, value = row
    if run_id not in ended:
        return False
    if column in ("ended_at", "duration_ms") or (column, value) == ("status", "interrupted"):
        return True
    if column == "started_at" and value == utc_text(started_of(run_id)):
        return True  # the first event is lost too, and the id tells the start
    if column in ("config_hash", "family") and not any(leaf[0] == run_id for leaf in found["leaf"]):
        return True  # its config is lost
    return column == "fingerprint" or (column == "reason" and value.startswith("salvaged: "))


def find_lost(lab: Subject, found: Content, pages: set[int]) -> tuple[Counter[str], Counter[str]]:
    """Return how many rows are lost by kind, and how many of these beyond the excused ones."""
    excuse = lab.excuse(pages)
    lost, beyond = Counter[str](), Counter[str]()
    for name, rows in lab.content.items():
        for row in (rows - found[name]).elements():
            lost[name] += 1
            if name == "point":
                excused = (row[0], row[1], lab.block_of[row[0], row[1]][row[2], row[3]]) in excuse.blocks
            else:
                ended = name == "fact" and any(row[0] == block[0] for block in excuse.blocks)
                excused = row[0] in excuse.runs or name in excuse.kinds or ended
            beyond[name] += not excused
    return +lost, +beyond


def salvage_and_judge(lab: Subject, data: bytes, folder: Path, pages: set[int]) -> tuple[list[str], str]:
    """Salvage damaged bytes. Return what is wrong with what comes back, and in words what is lost."""
    path, out = folder / "damaged.db", folder / "out.db"
    path.write_bytes(data)
    report = exptrack.salvage(path, out)
    problems = list(find_untidy(folder, {path: data}))
    found = read_content(out)
    problems += [f"wrong: {one}" for one in find_wrong(found, lab.content)]
    lost, beyond = find_lost(lab, found, pages)
    if beyond.total() > max(FEW, MOST_LOST * lab.total):
        problems.append(f"lost: {dict(beyond)} of {lab.total}")
    if lost and report.ok:
        problems.append(f"untold: {dict(lost)}")
    whole = {run.run_id for run in report.runs if run.whole}
    problems += [
        f"untold: points of {one}" for one in whole & {row[0] for row in lab.content["point"] - found["point"]}
    ]
    return problems, f"lost {dict(lost)} beyond {dict(beyond)}"


def judge_unproven(lab: Subject, data: bytes, folder: Path, pages: set[int]) -> Iterator[str]:
    """Salvage damaged bytes with what nothing proves; yield what is lost of the points on other pages."""
    path, out = folder / "damaged.db", folder / "out.db"
    path.write_bytes(data)
    exptrack.salvage(path, out, unproven=True)
    yield from find_untidy(folder, {path: data})
    gone = lab.points_on(pages)
    # Whatever the ids of their runs, which may be new.
    wanted = Counter(row[1:] for row in lab.content["point"] if row[:4] not in gone)
    beyond = wanted - Counter(row[1:] for row in read_content(out)["point"].elements())
    if beyond.total() > MOST_LOST * lab.total:
        yield f"lost: {beyond.total()} points that stand on other pages, such as {next(iter(beyond))}"


def find_untidy(folder: Path, files: dict[Path, bytes]) -> Iterator[str]:
    """Yield what a salvage of these files did besides, and what ``verify`` says of the new archive."""
    for path, data in files.items():
        if path.read_bytes() != data:
            yield f"wrong: {path.name} was changed"
    others = set(os.listdir(folder)) - {path.name for path in files} - {"out.db"}
    if others:
        yield f"wrong: {others} were left"
    with Archive(folder / "out.db", mode="ro") as archive:
        yield from (f"wrong: {problem}" for problem in archive.verify().problems)


# The files of a killed process


class Left(NamedTuple):
    """What a killed process leaves: the file, its log and its journal, and what the archive says."""

    files: dict[str, bytes]  # by what their names have after that of the archive
    content: Content


@functools.cache
def left() -> Left:
    """Let a process die while it logs to the archive; return its files."""
    folder = Path(tempfile.mkdtemp(prefix="exptrack-salvage-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [sys.executable, "-m", "tests.faults.salvage", str(folder)]
    assert subprocess.run(command, cwd=Path(__file__).parent.parent.parent, check=False).returncode == -9
    path = folder / "live.db"
    files = {one.name.removeprefix("live.db"): one.read_bytes() for one in folder.glob("live.db*")}
    del files["-shm"]
    assert {name.rpartition(".")[2] for name in files} == {"", "-wal", "points"}
    with Archive(path):  # stores the points of the journal
        pass
    return Left(files, read_content(path))


def leave(folder: Path) -> None:
    """Write an archive, log to it, and die without a word."""
    path = build_lab(folder, small=True)
    archive = Archive(path)
    for number in range(3):
        run = archive.start_run({"lr": number}, ["left"], name=f"left {number}")
        for step in range(300):
            run.log({"loss": step / 7, "accuracy": -step}, step)
        run.flush()
        if number < 2:
            run.complete()
        for step in range(50 if number == 2 else 0):
            run.log({"loss": step / 3}, 1000 + step)  # in the journal alone
    os.kill(os.getpid(), signal.SIGKILL)


def try_left(seed: int, folder: Path) -> tuple[list[str], str]:
    """Damage the log, the journal or the file that a killed process left; salvage them."""
    chance = random.Random(seed)
    names = sorted(left().files)
    chosen = chance.choice([*names, "nothing"])
    data = {name: bytearray(content) for name, content in left().files.items()}
    used = [place for place, byte in enumerate(data.get(chosen, b"")) if byte]
    how = chance.choice(["bit", "hole", "cut"]) if used else "nothing"
    place = chance.choice(used) if used else 0
    if how == "bit":
        data[chosen][place] ^= 1 << chance.randrange(8)
    elif how == "hole":
        data[chosen][place : place + 512] = bytes(len(data[chosen][place : place + 512]))
    elif how == "cut":
        del data[chosen][place:]
    files = {folder / f"damaged.db{name}": bytes(content) for name, content in data.items()}
    for path, content in files.items():
        path.write_bytes(content)
    report = exptrack.salvage(folder / "damaged.db", folder / "out.db")
    problems = list(find_untidy(folder, files))
    found = read_content(folder / "out.db")
    problems += [f"wrong: {one}" for one in find_wrong(found, left().content)]
    lost = (left().content["point"] - found["point"]).total()
    if how == "nothing" and (lost or report.lost):
        problems.append(f"lost: {lost} points of sound files, {report.lost}")
    return problems, f"{how} of {chosen or 'the file'} at {place}: {lost} points lost"


def run(tries: int, seed: int) -> Tally:
    """Damage and salvage once a try. `lost`: more than had to be; `unreported`: a loss, or what is wrong."""
    tally = Tally()
    for number in range(seed, seed + tries):
        tally.tries += 1
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with limited(LIMIT_S):
                    problems, what = try_one(number, Path(folder))
            except TookTooLong:
                tally.blame("hung", f"seed {number}: no answer within {LIMIT_S} s")
                continue
        for problem in problems:
            tally.blame("lost" if problem.startswith("lost") else "unreported", f"{what}: {problem}")
    return tally


def try_one(seed: int, folder: Path, *, small: bool = False) -> tuple[list[str], str]:
    """Make the try that a seed stands for; return what is wrong, and what was done."""
    if seed % 4 == 0 and os.name == "posix":
        return try_left(seed, folder)
    lab = subject(small=small)
    what, data, pages = damage(lab, random.Random(seed))
    try:
        if seed % 4 == 3:
            return list(judge_unproven(lab, bytes(data), folder, pages)), what
        problems, lost = salvage_and_judge(lab, bytes(data), folder, pages)
    except ExptrackError as error:
        return [f"lost: {type(error).__name__}: {error}"], what
    return problems, f"{what}, {lost}"


if __name__ == "__main__":
    leave(Path(sys.argv[1]))
