"""Flip single bits of an archive that uses every table, and see whether ``verify`` and the readers tell.

A flip that changes what any reader gets must be reported. No reading call may return other bytes of an
artifact, or raise an error that is not exptrack's.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import random
import shutil
import signal
import sqlite3
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exptrack import Archive, ExptrackError
from tests.faults.full_lab import build, tables
from tests.faults.tally import Tally

LIMIT_S = 30
# The stored form of a chunk may differ where its content does not: some bits of a frame mean nothing.
NO_ANSWER = {"chunk_data"}


class _Hung(BaseException):
    pass


@contextmanager
def _limit() -> Iterator[None]:
    """End the block after 30 s, where the system has timers."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        raise _Hung

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Subject:
    """The sound archive: its bytes, its runs and artifacts, and what readers get from it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "flipped.db"
        build(folder / "full.db")
        self.sound = (folder / "full.db").read_bytes()
        self.used = [place for place, byte in enumerate(self.sound) if byte]
        self.changed = 0  # flips that changed what a reader gets
        self.tables = tables(folder / "full.db")
        self.path.write_bytes(self.sound)
        with Archive(self.path, mode="ro") as archive:
            assert archive.verify().problems == ()
            self.runs = [run.run_id for run in archive.list_runs()]
            self.names = [
                (run_id, artifact.name, artifact.version)
                for run_id in self.runs
                for artifact in archive.show_run(run_id).artifacts
            ]
            self.readings = dict(self._readings())
        self.answers = self.ask()

    def _readings(self) -> Iterator[tuple[str, Callable[[Archive], Any]]]:
        yield "list_runs", lambda a: a.list_runs()
        yield "runs where", lambda a: [run.run_id for run in a.runs().where("config.lr < 0.45 and tag = smoke")]
        yield "runs by trial", lambda a: [r.run_id for r in a.runs().where("trial.state = complete")]
        yield "best_runs", lambda a: a.best_runs("loss", "minimize")
        yield "studies", lambda a: a.studies()
        yield "trials", lambda a: a.trials("widths")
        yield "study_results", lambda a: a.study_results("widths")
        yield "optuna", lambda a: _optuna_trials(a)
        yield "storage", lambda a: a.storage()
        yield "views", lambda a: a.list_views()
        yield "own view", lambda a: a.sql("SELECT * FROM best").rows
        yield "compare", lambda a: a.compare(self.runs[:3])
        yield "diff_runs", lambda a: a.diff_runs(self.runs[0], self.runs[1])
        yield "group_by", lambda a: a.group_by("loss", "config.lr")
        yield (
            "series",
            lambda a: [[list(s.steps), list(s.values)] for s in a.series(self.runs, "loss").values()],
        )
        for view in ("runs", "configs", "tags", "notes", "events", "metrics", "points", "artifacts"):
            yield f"view {view}", _selecting(view)
        for view in ("artifact_files", "inputs", "lineage", "run_storage", "studies", "trials", "trial_params"):
            yield f"view {view}", _selecting(view)
        for run_id in self.runs:
            yield f"show_run {run_id}", lambda a, r=run_id: a.show_run(r)  # type: ignore[misc]
            yield f"lineage {run_id}", lambda a, r=run_id: a.lineage(r)  # type: ignore[misc]
            yield f"handle {run_id}", lambda a, r=run_id: _read_handle(a, r)  # type: ignore[misc]
        for place in self.names:
            yield f"artifact {place}", lambda a, p=place: _read_artifact(a, *p)  # type: ignore[misc]

    def ask(self) -> dict[str, str]:
        """What each reading call, and SQL on each table, makes of the file as it is now."""
        found = {}
        with Archive(self.path, mode="ro") as archive:
            for name, reading in self.readings.items():
                try:
                    found[name] = repr(reading(archive))
                except ExptrackError as error:
                    found[name] = f"{type(error).__name__} {error}"
                except Exception as error:
                    found[name] = f"RAW {type(error).__name__} {error}"
        raw = sqlite3.connect(f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True)
        raw.text_factory = bytes
        for table in self.tables.keys() - NO_ANSWER:
            try:
                found[f"table {table}"] = repr(raw.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall())
            except sqlite3.Error as error:
                found[f"table {table}"] = str(error)
        raw.close()
        return found

    def flip(self, bit: int) -> None:
        """Write the archive with one bit flipped."""
        data = bytearray(self.sound)
        data[bit // 8] ^= 1 << bit % 8
        for suffix in ("-wal", "-shm", "-journal"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        self.path.write_bytes(data)

    def try_flip(self, bit: int) -> tuple[str, str] | None:
        """Flip a bit; return the failure and what it was, or None."""
        self.flip(bit)
        try:
            with _limit():
                return self._judge()
        except _Hung:
            return "hung", f"no answer within {LIMIT_S} s"

    def _judge(self) -> tuple[str, str] | None:
        try:
            answers = self.ask()
            with Archive(self.path, mode="ro") as archive:
                reported = not archive.verify().ok
        except ExptrackError:
            self.changed += 1
            return None  # it cannot be opened, and that is told
        except Exception as error:
            return "lost", f"opening or verify raised {type(error).__name__}: {error}"
        different = {name for name, answer in answers.items() if answer != self.answers[name]}
        self.changed += bool(different)
        for name in different:
            if answers[name].startswith("RAW"):
                return "lost", f"{name}: {answers[name]}"
            if name.startswith("artifact") and not _is_told(answers[name]):
                return "lost", f"{name} returned {answers[name]}"
        if different and not reported:
            return "unreported", str(sorted(different))
        return None


def _selecting(view: str) -> Callable[[Archive], Any]:
    return lambda archive: archive.sql(f"SELECT * FROM {view}").rows


def _is_told(answer: str) -> bool:
    return answer.startswith(("Archive", "ArtifactNotFoundError", "RunNotFoundError"))


def _optuna_trials(archive: Archive) -> Any:
    storage = archive.optuna_storage()
    study = storage.get_study_id_from_name("widths")
    facts = (storage.get_study_user_attrs(study), storage.get_study_directions(study))
    return facts, storage.get_all_trials(study)


def _read_handle(archive: Archive, run_id: str) -> Any:
    run = archive.get_run(run_id)
    metrics = {name: run.get_metric(name) for name in ("loss", "acc")}
    last = run.get_last_metric("loss")
    facts = (run.tags, run.notes, run.read_events(), run.inputs, run.status, run.config.to_sdn())
    return metrics, last, facts, run.artifacts.list_artifacts()


def _read_artifact(archive: Archive, run_id: str, name: str, version: int) -> Any:
    store = archive.artifacts(run_id)
    content = store.get_blob(name, version)
    data = content.encode() if isinstance(content, str) else content or b""
    used = archive.find_artifact(f"{run_id}/{name}:v{version}")
    files = []
    if used.kind == "folder":
        for file in store.list_files(name, version):
            with store.open(name, version, file=file.path) as stream:
                files.append((file, hashlib.sha256(stream.read()).hexdigest()))
    return used, hashlib.sha256(data).hexdigest(), files


@functools.cache
def subject() -> Subject:
    """The one sound archive of this process. Its ids and times are new in each process, so its bits are too."""
    folder = tempfile.mkdtemp(prefix="exptrack-flips-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Subject(Path(folder))


def run(tries: int, seed: int) -> Tally:
    """Flip one bit a try. `lost`: a reading call returned other bytes of an artifact, or an untyped error."""
    tally = Tally()
    archive = subject()
    for number in range(seed, seed + tries):
        chance = random.Random(number)
        # Most of a small file is unused; every second flip hits a byte that is not 0.
        place = chance.choice(archive.used) if number % 2 else chance.randrange(len(archive.sound))
        bit = 8 * place + chance.randrange(8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problem = archive.try_flip(bit)
        tally.tries += 1
        if problem:
            tally.blame(problem[0], f"bit {bit} of {len(archive.sound):,} bytes: {problem[1]}")
    return tally
