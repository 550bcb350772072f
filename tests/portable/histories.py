"""Make sets of archives that descend from each other: runs, annotations, kills, copies, merges.

A history is a list of operations on up to six files. Each is a few small numbers, so that Hypothesis shrinks a
history to what matters. :class:`Lab` makes them happen, by the public calls of an archive. No process is
started: a running run has a lease, or is that of a process which is not there.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from hypothesis import strategies as st

from exptrack import (
    Archive,
    ArtifactNotFoundError,
    ExternalIdError,
    GroupExistsError,
    GroupNotFoundError,
    NotFoundError,
    RecordedArtifact,
    RecordedRun,
    Run,
    RunBusyError,
    RunFinishedError,
    RunTrashedError,
    Sampler,
    StudyConfig,
)
from exptrack.errors import ConflictError
from exptrack.runs.row_sums import changing_run
from tests.portable.moments import BEGINS, HOST, Clock

FILES = 6
LONG_S, SHORT_S = 1e9, 30.0
VALUES = (0.5, 0.25, math.nan, -0.0, 3.0, math.inf, -math.inf, 1e-300)
TAGS, KEYS, GROUPS, NAMES = ("a", "b", "c"), ("k", "note", "score"), ("g", "h", "i"), ("model", "data")
STUDIES, ALIASES = ("s", "t"), ("best", "prod")
CODE, MACHINE = {"commit": "c0ffee", "script": "train.py"}, {"host": "box", "python": "3.11"}

SELECT_RUNS = "SELECT run_id FROM run ORDER BY run_id"
SELECT_RUNNING = "SELECT run_id FROM run WHERE status = 'running' ORDER BY run_id"
NUMBER_OF_RUN = "SELECT id FROM run WHERE run_id = ?"
SELECT_PROCESSES = f"""
SELECT DISTINCT pid FROM run_owner WHERE host_id = '{HOST}' AND lease_s IS NULL ORDER BY pid
"""
# A process that is not there, which lives until the history kills it.
BECOME_PROCESS = f"""
UPDATE run_owner SET host_id = '{HOST}', boot_id = 'b', pid = ?, pid_started = 's', lease_s = NULL WHERE run = ?
"""

# What a call refuses, where the run, group or artifact is not in the state that it needs.
REFUSED = (
    ArtifactNotFoundError, ConflictError, ExternalIdError, GroupExistsError, GroupNotFoundError, RunBusyError,
    RunFinishedError, RunTrashedError,
)  # fmt: skip


class Op(NamedTuple):
    """One operation: what, in which file, on which of the things there, with what value, and when."""

    kind: str
    slot: int
    pick: int
    value: int
    wait_s: float


class Lab:
    """The files of one history. Close it before you read the files."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.clock = clock
        self._open: dict[int, Archive] = {}
        self._pids = 0

    def path(self, slot: int) -> Path:
        return self.folder / f"{slot}.db"

    def paths(self) -> list[Path]:
        """The files that there are."""
        return [self.path(slot) for slot in range(FILES) if self.path(slot).exists()]

    def archive(self, slot: int) -> Archive:
        if slot not in self._open:
            if not self.path(slot).exists():
                self.path(slot).write_bytes(empty_archive())
            self._open[slot] = Archive(self.path(slot))
        return self._open[slot]

    def close(self, *slots: int) -> None:
        """Close these files, or all."""
        for slot in slots or list(self._open):
            if slot in self._open:
                self._open.pop(slot).close()

    def play(self, ops: list[Op]) -> list[Path]:
        """Make all of it happen; return the files, closed."""
        try:
            for op in ops:
                self.clock.move(op.wait_s)
                self.clock.tick_us = int(op.wait_s != 0)  # it stands still where nothing was waited
                try:
                    OPS[op.kind](self, op)
                except REFUSED:
                    continue
        finally:
            self.close()
        return self.paths()

    # Choosing

    def pick(self, op: Op, query: str = SELECT_RUNS) -> Run | None:
        """Return a run of the file, or None if there is none."""
        archive = self.archive(op.slot)
        found = archive._connection.fold(query, (), list)
        return archive.get_run(found[op.pick % len(found)][0]) if found else None

    def pick_or_begin(self, op: Op, query: str = SELECT_RUNS) -> Run:
        return self.pick(op, query) or self.begin(op)

    def rows(self, op: Op) -> list[tuple[Any, ...]]:
        """Rows whose steps rise, repeat or fall, with values of every kind."""
        first, value = op.pick % 5, op.value
        values = [VALUES[(value + n) % len(VALUES)] for n in range(4)]
        at = self.clock.now
        return [
            ("loss", values[0], first, at),
            ("loss", values[1], max(0, first - value % 3), at + timedelta(milliseconds=value)),
            ("acc", values[2]),
            ("loss", values[3]),
        ][: 1 + value % 4]

    def own(self, slot: int, run: Run) -> None:
        """Let a process that is not there own a run, in place of its lease."""
        connection = self.archive(slot)._connection
        self._pids += 1

        def change() -> None:
            with connection.transaction():
                number = connection.value(NUMBER_OF_RUN, (run.run_id,))
                with changing_run(connection, number):
                    connection.execute(BECOME_PROCESS, (self._pids, number))

        connection.section(change)

    def processes(self, op: Op) -> list[int]:
        """The processes that own runs of the file."""
        return [row[0] for row in self.archive(op.slot)._connection.fold(SELECT_PROCESSES, (), list)]

    # Runs

    def begin(self, op: Op) -> Run:
        archive, value = self.archive(op.slot), op.value
        parent = self.pick(op) if value % 3 == 0 else None
        run = archive.start_run(
            {"lr": value, "model": {"depth": op.pick}, "a.b": [value], "seed": value % 2},
            TAGS[: value % 3],
            name=f"run {value}" if value % 2 else None,
            group=GROUPS[value % 3] if value % 4 else None,
            parent=parent if parent is None or parent.deleted_at is None else None,
            data={"train": f"s3://{value % 2}"},
            external_id=f"peer:{value}" if value % 5 == 4 else None,
            code=CODE,
            environment=MACHINE,
            owner="lease",
            lease_s=SHORT_S if op.pick == 7 else LONG_S,
        )
        if op.pick % 2:
            self.own(op.slot, run)
        return run

    def start(self, op: Op) -> None:
        self.begin(op)

    def whole(self, op: Op) -> None:
        """A run of this process, which ends at once."""
        run = self.archive(op.slot).start_run({"lr": op.value}, code=CODE, environment=MACHINE)
        run.log({"loss": VALUES[op.value % len(VALUES)], "acc": 0.5}, step=op.pick)
        run.finish(("completed", "failed", "interrupted")[op.pick % 3], "why" if op.pick % 3 else None)

    def record(self, op: Op) -> None:
        value = op.value
        steps = [0, 1, value % 2, 5, 5 - value % 3]
        values = [VALUES[(value + n) % len(VALUES)] for n in range(5)]
        record = RecordedRun(
            {"lr": value},
            BEGINS - timedelta(days=1, seconds=value),
            60.0,
            "failed" if value % 4 == 1 else "completed",
            "reason" if value % 4 == 1 else None,
            group=GROUPS[value % 3] if value % 2 else None,
            tags=["a", ("late", BEGINS + timedelta(days=1))],
            notes=["twice", "twice"][: value % 3],
            metrics={"loss": (steps[: 2 + op.pick % 4], values[: 2 + op.pick % 4])},
            external_id=f"peer:{value}" if value % 3 else None,
            events=[("mark", {"n": 1}), ("mark", {"n": 1})],
            attributes={"k": value},
            artifacts=[RecordedArtifact("model", b"twice"), RecordedArtifact("model", b"twice")][: value % 3],
        )
        self.archive(op.slot).record_runs([record], known="skip")

    def log(self, op: Op) -> None:
        self.pick_or_begin(op, SELECT_RUNNING).log_rows(self.rows(op))

    def send(self, op: Op) -> None:
        """Rows of a sender; a batch that is sent again is ignored."""
        self.pick_or_begin(op, SELECT_RUNNING).log_rows(self.rows(op), source="w", sequence=1 + op.value % 3)

    def amend(self, op: Op) -> None:
        self.pick_or_begin(op).log_rows(self.rows(op))

    def grow(self, op: Op) -> None:
        self.pick_or_begin(op).update_config({KEYS[op.pick % 3]: op.value}, allow_change=True)

    def end(self, op: Op) -> None:
        run = self.pick_or_begin(op, SELECT_RUNNING)
        (run.complete, lambda: run.fail("broken"), lambda: run.interrupt("stopped"))[op.value % 3]()

    def kill(self, op: Op) -> None:
        """Kill a process; whoever looks at a file in which it has runs finds them dead."""
        found = self.processes(op)
        if found:
            self.clock.dead.add(found[op.pick % len(found)])

    def hide(self, op: Op) -> None:
        """Take a process to where nobody sees it; and back."""
        found = self.processes(op)
        if found:
            self.clock.hidden ^= {found[op.pick % len(found)]}

    def resume(self, op: Op) -> None:
        run = self.pick_or_begin(op)
        run = self.archive(op.slot).resume_run(run.run_id, take_over=True, owner="lease", lease_s=LONG_S)
        if op.value % 2:
            self.own(op.slot, run)

    def end_of_dead(self, op: Op) -> None:
        run = self.pick_or_begin(op)
        self.archive(op.slot).end_run(run.run_id, "failed", "supervised", exit_code=op.value)

    def take_over(self, op: Op) -> None:
        self.archive(op.slot).recover(take_over=True)

    # Annotations

    def tag(self, op: Op) -> None:
        self.pick_or_begin(op).add_tag(TAGS[op.value % 3])

    def untag(self, op: Op) -> None:
        self.pick_or_begin(op).remove_tag(TAGS[op.value % 3])

    def note(self, op: Op) -> None:
        self.pick_or_begin(op).add_note(f"note {op.value % 3}")

    def edit_note(self, op: Op) -> None:
        run = self.pick_or_begin(op)
        if run.notes:
            run.edit_note(run.notes[op.pick % len(run.notes)], f"note {op.value % 3}")

    def remove_note(self, op: Op) -> None:
        run = self.pick_or_begin(op)
        if run.notes:
            run.remove_note(run.notes[op.pick % len(run.notes)])

    def event(self, op: Op) -> None:
        self.pick_or_begin(op).append_event("mark", {"n": op.value % 3})

    def attribute(self, op: Op) -> None:
        value: Any = (op.value, f"{op.value}", [op.value], math.nan, None)[op.value % 5]
        self.pick_or_begin(op).set_attribute(KEYS[op.pick % 3], value)

    def unset(self, op: Op) -> None:
        self.pick_or_begin(op).delete_attribute(KEYS[op.value % 3])

    def rename(self, op: Op) -> None:
        self.pick_or_begin(op).rename(f"name {op.value % 3}" if op.value % 4 else None)

    def regroup(self, op: Op) -> None:
        self.pick_or_begin(op).set_group(GROUPS[op.value % 3] if op.value % 4 else None)

    def trash(self, op: Op) -> None:
        self.archive(op.slot).trash_run(self.pick_or_begin(op).run_id)

    def restore(self, op: Op) -> None:
        self.archive(op.slot).restore_run(self.pick_or_begin(op).run_id)

    def delete(self, op: Op) -> None:
        run = self.pick(op)
        if run is not None:
            self.archive(op.slot).delete_run(run.run_id)

    # Artifacts

    def artifact(self, op: Op) -> None:
        content = (f"text {op.value % 3}", b"bytes %d" % (op.value % 3), b"")[op.value % 3]
        aliases = [ALIASES[op.pick % 2]] if op.value % 4 == 0 else []
        self.pick_or_begin(op).artifacts.register_data(
            NAMES[op.pick % 2], content, {"n": op.value % 2}, kind="checkpoint" if op.value % 2 else "data",
            aliases=aliases, description="as made" if op.value % 5 == 0 else None,
        )  # fmt: skip

    def folder_artifact(self, op: Op) -> None:
        self.pick_or_begin(op).artifacts.register_dir("folder", folder_of(op.value % 2))

    def alias(self, op: Op) -> None:
        store = self.pick_or_begin(op).artifacts
        store.set_alias(NAMES[op.pick % 2], ALIASES[op.value % 2], None if op.value % 3 else 1)

    def unalias(self, op: Op) -> None:
        self.pick_or_begin(op).artifacts.remove_alias(NAMES[op.pick % 2], ALIASES[op.value % 2])

    def describe(self, op: Op) -> None:
        text = f"said {op.value}" if op.value % 4 else None
        self.pick_or_begin(op).artifacts.describe(NAMES[op.pick % 2], text, None if op.value % 3 else 1)

    def remove_artifact(self, op: Op) -> None:
        self.pick_or_begin(op).artifacts.remove(NAMES[op.pick % 2], None if op.value % 3 else 1)

    def use(self, op: Op) -> None:
        self.pick_or_begin(op).use_artifact(NAMES[op.value % 2])

    # Groups

    def rename_group(self, op: Op) -> None:
        self.archive(op.slot).rename_group(GROUPS[op.pick % 3], GROUPS[op.value % 3])

    def trash_group(self, op: Op) -> None:
        self.archive(op.slot).trash_group(GROUPS[op.value % 3])

    def restore_group(self, op: Op) -> None:
        self.archive(op.slot).restore_group(GROUPS[op.value % 3])

    def create_group(self, op: Op) -> None:
        self.archive(op.slot).create_group(GROUPS[op.value % 3])

    def group_attribute(self, op: Op) -> None:
        archive, group = self.archive(op.slot), GROUPS[op.pick % 3]
        if op.value % 3:
            archive.set_group_attribute(group, KEYS[op.value % 3], op.value)
        else:
            archive.delete_group_attribute(group, KEYS[op.pick % 3])

    # Named views of the page

    def save_view(self, op: Op) -> None:
        self.archive(op.slot).save_page_view(NAMES[op.pick % 2], f"/runs?where=config.lr+%3D+{op.value}")

    def rename_view(self, op: Op) -> None:
        with suppress(NotFoundError):
            self.archive(op.slot).rename_page_view(NAMES[op.pick % 2], NAMES[op.value % 2])

    def delete_view(self, op: Op) -> None:
        with suppress(NotFoundError):
            self.archive(op.slot).delete_page_view(NAMES[op.pick % 2])

    # Studies

    def study(self, op: Op) -> Any:
        """Open a study, or make it."""
        archive, name = self.archive(op.slot), STUDIES[op.pick % 2]
        if any(one.name == name for one in archive.studies()):
            return archive.study(name, sampler=Sampler.random(seed=op.value))
        return archive.create_study(StudyConfig(name, sampler=Sampler.random(seed=op.value), base={"lr": 1.0}))

    def make_study(self, op: Op) -> None:
        self.study(op)

    def trial(self, op: Op) -> None:
        """A trial that ends, or goes on for ever."""
        study = self.study(op)
        trial = study.ask()
        trial.suggest_float("lr", 0.0, 1.0)
        trial.suggest_choice("kind", ["x", "y", None])
        if op.value % 2:
            trial.report(0, VALUES[op.value % len(VALUES)])
            trial.report(op.value % 3, 0.5)
        if op.value % 5:
            values = None if op.value % 5 in (1, 2) else float(op.value)
            reason = "no good" if op.value % 5 == 1 else None
            study.tell(trial, values, pruned=op.value % 5 == 2, reason=reason)

    def tell(self, op: Op) -> None:
        """End the first trial that is running, whoever runs it."""
        study = self.study(op)
        running = [trial.number for trial in study.trials if trial.state == "running"]
        if running:
            study.optuna_study.tell(running[0], float(op.value))

    def search(self, op: Op) -> None:
        """A trial with a run."""
        study = self.study(op)
        study.optimize(lambda trial: trial.suggest_float("lr", 0.0, 1.0), n_trials=1)

    def enqueue(self, op: Op) -> None:
        self.study(op).enqueue({"lr": 0.5})

    def study_attribute(self, op: Op) -> None:
        self.study(op).optuna_study.set_user_attr(KEYS[op.value % 3], op.value)

    def trial_attribute(self, op: Op) -> None:
        study = self.study(op)
        running = [trial.number for trial in study.trials if trial.state == "running"]
        if running:
            storage = study.optuna_study._storage
            trial = study.optuna_study.trials[running[0]]._trial_id
            storage.set_trial_user_attr(trial, KEYS[op.value % 3], op.value)

    def delete_study(self, op: Op) -> None:
        name = STUDIES[op.pick % 2]
        if any(one.name == name for one in self.archive(op.slot).studies()):
            self.archive(op.slot).delete_study(name)

    # Files

    def copy(self, op: Op) -> None:
        """Copy the file over another one: a backup that goes its own way."""
        self.archive(op.slot)
        target = self.other(op)
        self.close(op.slot, target)
        shutil.copyfile(self.path(op.slot), self.path(target))

    def reopen(self, op: Op) -> None:
        """Opening finds the runs whose processes are gone."""
        self.close(op.slot)
        self.archive(op.slot)

    def merge(self, op: Op) -> None:
        source = self.other(op)
        if self.path(source).exists():
            if op.pick % 2:  # an open file is read another way
                self.close(source)
            self.archive(op.slot).merge(self.path(source))

    def other(self, op: Op) -> int:
        return (op.slot + 1 + op.value % (FILES - 1)) % FILES


# Each as often as labs do it: copies often, so that things part.
WEIGHTS: dict[Callable[[Lab, Op], None], int] = {
    Lab.start: 4, Lab.whole: 2, Lab.record: 3, Lab.log: 4, Lab.send: 1, Lab.amend: 2, Lab.grow: 2, Lab.end: 4,
    Lab.kill: 4, Lab.hide: 1, Lab.resume: 4, Lab.end_of_dead: 1, Lab.take_over: 1,
    Lab.tag: 3, Lab.untag: 2, Lab.note: 3, Lab.edit_note: 1, Lab.remove_note: 1, Lab.event: 2,
    Lab.attribute: 2, Lab.unset: 1, Lab.rename: 2, Lab.regroup: 2, Lab.trash: 2, Lab.restore: 2, Lab.delete: 1,
    Lab.artifact: 4, Lab.folder_artifact: 1,
    Lab.alias: 2, Lab.unalias: 1, Lab.describe: 2, Lab.remove_artifact: 2, Lab.use: 2, Lab.rename_group: 1,
    Lab.trash_group: 1, Lab.restore_group: 1, Lab.create_group: 1, Lab.group_attribute: 1, Lab.make_study: 1,
    Lab.trial: 3, Lab.tell: 1, Lab.search: 1, Lab.enqueue: 1, Lab.study_attribute: 1, Lab.trial_attribute: 1,
    Lab.delete_study: 1, Lab.save_view: 2, Lab.rename_view: 1, Lab.delete_view: 1, Lab.copy: 12, Lab.reopen: 2,
    Lab.merge: 3,
}  # fmt: skip
OPS = {deed.__name__: deed for deed in WEIGHTS}

KINDS = [deed.__name__ for deed, weight in WEIGHTS.items() for _ in range(weight)]
# The clock mostly goes on. It may stand, and it may be set back.
WAITS_S = (1.0, 1.0, 60.0, 0.001, 0.0, 3600.0, -5.0, -7200.0)


def histories(max_size: int = 30, files: int = 4) -> st.SearchStrategy[list[Op]]:
    """Lists of operations on so many files."""
    op = st.builds(
        Op,
        st.sampled_from(KINDS),
        st.integers(0, files - 1),
        st.integers(0, 7),
        st.integers(0, 11),
        st.sampled_from(WAITS_S),
    )
    return st.lists(op, min_size=2, max_size=max_size)


@cache
def empty_archive() -> bytes:
    """Return the bytes of a new archive: copying them takes a thirtieth of the time of making one."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        Archive(path).close()
        return path.read_bytes()


@cache
def folder_of(number: int) -> Path:
    """Return a folder with a few files, one of them empty, and an empty folder."""
    folder = Path(tempfile.mkdtemp())
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / "sub" / "a.txt").write_text(f"a {number}")
    (folder / "b.bin").write_bytes(b"")
    return folder
