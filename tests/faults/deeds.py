"""Make public calls of an archive, and tell a ledger about each before and after it.

Every deed changes something that no other deed changes, so that afterwards each call can be judged by itself.
"""

from __future__ import annotations

import hashlib
import importlib
import random
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.artifact_kills import content_of
from exptrack import Archive, ExptrackError, MetricNotFoundError, Run
from tests.faults.ledger import DELETED, RAW, REFUSED, STUCK, WILL_DELETE, Ledger, State

_T = TypeVar("_T")

ATTEMPTS = 6
SIZES = (0, 1_000, 100_000, 700_000)


# What a call imports when it is first made: an import that fails or is interrupted is not ours.
LATE = """
    exptrack.analysis.comparison exptrack.analysis.difference exptrack.artifacts.lineage
    exptrack.artifacts.listing exptrack.tracking.recording exptrack.tracking.recorded_run
    exptrack.artifacts.restore exptrack.artifacts.retention exptrack.artifacts.store exptrack.query.details
    exptrack.query.ranking exptrack.query.run_lists exptrack.query.run_query exptrack.query.views
    exptrack.config.composition exptrack.portable.verification exptrack.open_pages exptrack.runs.notes
    psutil pyfastcdc sqlite_utils zstandard
""".split()


def import_everything() -> None:
    """Import what calls import late."""
    for module in LATE:
        importlib.import_module(module)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest_folder(files: Mapping[str, bytes]) -> str:
    return digest("\n".join(f"{name} {digest(files[name])}" for name in sorted(files)).encode())


class Deeds:
    """The calls of one process on one archive. `prefix` begins the names of its runs."""

    def __init__(self, archive: Archive, ledger: Ledger, seed: int = 0, prefix: str = "r") -> None:
        self.archive = archive
        self.ledger = ledger
        self.chance = random.Random(seed)
        self.prefix = prefix
        self.run: Run | None = None
        self.name = ""
        self.ended: list[str] = []  # names of runs that a call has ended
        self.stored: list[str] = []  # names of artifacts of the present run
        self.tags: list[str] = []
        self._count = 0

    def next(self) -> int:
        self._count += 1
        return self._count

    # Calls

    def call(self, work: Callable[[], _T]) -> _T:
        """Make the call itself; a kind of fault may put something around it."""
        return work()

    def act(self, states: Mapping[str, State], work: Callable[[], _T]) -> _T | None:
        """Make a call that is to bring each key into a state; return its result, None if it raised an error."""
        self.ledger.will(states)
        try:
            result = self.call(work)
        except ExptrackError as error:
            said = f"{type(error).__name__}: {error}"
            self.ledger.say(REFUSED, next(iter(states), ""), said, traceback.format_exc(limit=-8))
            return None
        except Exception:
            self.ledger.say(RAW, next(iter(states), ""), traceback.format_exc(limit=-6))
            return None
        self.ledger.did(states)
        return result

    # Deeds. Each returns at once where there is no run that it could be done to.

    def start(self) -> None:
        self.name = f"{self.prefix}{self.next()}"
        self.stored, self.tags = [], []
        states: dict[str, State] = {f"run {self.name}": "running", f"tag {self.name}/begun": "there"}
        work = lambda: self.archive.start_run({"lr": 0.1, "n": self.name}, ["begun"], name=self.name)  # noqa: E731
        self.run = self.act(states, work)

    def log(self) -> None:
        if (run := self.run) is not None:
            step = self.next()
            value = step / 7
            states = {f"point {self.name}/{metric}/{step}": value for metric in ("loss", "acc")}
            self.act(states, lambda: run.log({"loss": value, "acc": value}, step))

    def log_metric(self) -> None:
        if (run := self.run) is not None:
            step = self.next()
            self.act({f"point {self.name}/x/{step}": step / 3}, lambda: run.log_metric("x", step / 3, step))

    def log_many(self) -> None:
        if (run := self.run) is not None:
            steps = [self.next() for _ in range(self.chance.randrange(1, 40))]
            states = {f"point {self.name}/many/{step}": step / 9 for step in steps}
            self.act(states, lambda: run.log_many("many", steps, [step / 9 for step in steps]))

    def flush(self) -> None:
        if (run := self.run) is not None:
            self.act({}, run.flush)

    def tag(self) -> None:
        if (run := self.run) is not None:
            tag = f"t{self.next()}"
            self.tags.append(tag)
            states = {f"tag {self.name}/{tag}": "there", f"tagged {self.name}/{tag}": "there"}
            self.act(states, lambda: run.add_tag(tag))

    def untag(self) -> None:
        if (run := self.run) is not None and self.tags:
            tag = self.tags.pop()
            self.act({f"tag {self.name}/{tag}": None}, lambda: run.remove_tag(tag))

    def note(self) -> None:
        if (run := self.run) is not None:
            text = f"note {self.next()}"
            self.act({f"note {self.name}/{text}": "there"}, lambda: run.add_note(text))

    def event(self) -> None:
        if (run := self.run) is not None:
            number = self.next()
            states = {f"event {self.name}/{number}": "there"}
            self.act(states, lambda: run.append_event("mark", {"number": number}))

    def put(self, size: int | None = None) -> None:
        if (run := self.run) is not None:
            number = self.next()
            name = f"a{number}"
            content = content_of(number, self.chance.choice(SIZES) if size is None else size)
            pieces = (content[begin : begin + 100_000] for begin in range(0, len(content), 100_000))
            self.stored.append(name)
            self.act(
                {f"artifact {self.name}/{name}": digest(content)},
                lambda: run.artifacts.register_data(name, pieces),
            )

    def put_text(self) -> None:
        if (run := self.run) is not None:
            name = f"text{self.next()}"
            self.act(
                {f"artifact {self.name}/{name}": digest(name.encode())},
                lambda: run.artifacts.register_data(name, name),
            )

    def put_folder(self) -> None:
        if (run := self.run) is not None:
            number = self.next()
            top = Path(self.archive.path).parent / "tree" / f"{self.prefix}{number}"
            files = {f"below/{one}": content_of(number + one, 20_000) for one in range(3)}
            try:
                (top / "below").mkdir(parents=True)
                for name, content in files.items():
                    (top / name).write_bytes(content)
            except OSError:
                return  # the fault hit what is not the archive's
            self.stored.append(f"a{number}")
            self.act(
                {f"artifact {self.name}/a{number}": digest_folder(files)},
                lambda: run.artifacts.register_dir(f"a{number}", top),
            )

    def remove(self) -> None:
        if (run := self.run) is not None and self.stored:
            name = self.stored.pop(self.chance.randrange(len(self.stored)))
            self.act({f"artifact {self.name}/{name}": None}, lambda: run.artifacts.remove(name))

    def collect(self) -> None:
        self.act({}, self.archive.gc_artifacts)

    def complete(self) -> None:
        if (run := self.run) is not None:
            self.ended.append(self.name)
            self.act({f"run {self.name}": "completed"}, run.complete)
            self.run = None

    def fail(self) -> None:
        if (run := self.run) is not None:
            self.ended.append(self.name)
            self.act({f"run {self.name}": "failed"}, lambda: run.fail("no good"))
            self.run = None

    def resume(self) -> None:
        if self.run is None and self.ended:
            name = self.ended.pop()
            if found := self.act({}, lambda: self._find(name)):
                self.stored, self.tags = [], []
                self.name = name
                self.run = self.act({f"run {name}": "running"}, lambda: self.archive.resume_run(found))

    def delete(self) -> None:
        if self.ended:
            name = self.ended.pop(0)
            if found := self.act({}, lambda: self._find(name)):
                self.ledger.say(WILL_DELETE, name)
                if self.act({}, lambda: self.archive.delete_run(found)):
                    self.ledger.say(DELETED, name)

    def _find(self, name: str) -> str | None:
        found = [run.run_id for run in self.archive.list_runs() if run.name == name and run.status != "running"]
        return found[0] if len(found) == 1 else None

    # Readings

    def read(self) -> None:
        """Ask one question that a page, a notebook or a script asks."""
        archive, run = self.archive, self.run
        questions: list[Callable[[], Any]] = [
            archive.list_runs,
            archive.info,
            archive.storage,
            lambda: _if_logged(lambda: archive.best_runs("loss", "minimize")),
            lambda: archive.sql("SELECT count(*) FROM runs"),
            lambda: list(archive.runs().where("tag = 'begun'")),
            lambda: list(archive.runs()),
            archive.verify,
        ]
        if run is not None:
            questions += [
                lambda: archive.show_run(run.run_id),
                lambda: archive.compare([run.run_id]),
                lambda: archive.what_changed(run.run_id),
                lambda: _if_logged(lambda: run.get_metric("loss")),
                lambda: run.get_last_metric("x"),
                lambda: run.tags,
                lambda: run.notes,
                run.read_events,
                run.artifacts.list_artifacts,
            ]
        if run is not None and self.stored:
            name = self.stored[-1]
            questions.append(lambda: run.artifacts.get_artifact(name))
        self.act({}, self.chance.choice(questions))

    # All of them

    def any(self) -> None:
        """Do one deed by chance, of those that are possible now."""
        if self.run is None:
            self.chance.choice([self.start, self.start, self.resume, self.delete, self.collect, self.read])()
            return
        common = [self.log, self.log_metric, self.log, self.log_metric, self.tag, self.read, self.flush]
        rare = [
            self.log_many, self.untag, self.note, self.event, self.put, self.put_text, self.put_folder,
            self.remove, self.complete, self.fail, self.delete, self.collect,
        ]  # fmt: skip
        self.chance.choice(common * 2 + rare)()

    def afterwards(self) -> None:
        """Show that the archive works once the fault has passed.

        An injected error comes once in each thread, and a later call tells of a failed drain. So the calls may
        fail a few times.
        """
        for _ in range(ATTEMPTS):
            name = f"{self.prefix}afterwards{self.next()}"
            if all(self._try_everything(name)):
                return
        self.ledger.say(STUCK, name, "the archive works no more; see the refused calls in the ledger")

    def _try_everything(self, name: str) -> Iterator[bool]:
        run = self.act({f"run {name}": "running"}, lambda: self.archive.start_run(name=name))
        yield run is not None
        assert run is not None
        calls: list[tuple[dict[str, State], Callable[[], object]]] = [
            ({f"point {name}/loss/1": 0.5}, lambda: run.log({"loss": 0.5}, 1)),
            ({f"tag {name}/t": "there"}, lambda: run.add_tag("t")),
            ({f"artifact {name}/a": digest(b"x")}, lambda: run.artifacts.register_data("a", b"x")),
            ({}, lambda: run.get_metric("loss")),
            ({}, run.flush),
            ({f"run {name}": "completed"}, run.complete),
        ]
        for states, work in calls:
            yield self.act(states, lambda work=work: (work(),)) is not None  # type: ignore[misc]


def _if_logged(read: Callable[[], object]) -> None:
    """Read a metric that may have no point yet; the judge knows which points must be there."""
    with suppress(MetricNotFoundError):
        read()
