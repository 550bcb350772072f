"""Give every parameter of every public call a nasty value, alone or two at once.

The calls are found by walking the public classes and their signatures. A call returns, or raises an error of
exptrack, TypeError, ValueError or LookupError, with a message that can be printed. What it refuses leaves no
row and no file, and the archive verifies clean. What a value raises to end the process passes through.
"""

from __future__ import annotations

import atexit
import functools
import inspect
import os
import random
import shutil
import sqlite3
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import optuna

import exptrack
from exptrack import sdn, validation
from exptrack.sweeps.optuna_storage import OptunaStorage
from tests.faults import nasty_values
from tests.faults.alarms import TookTooLong, limited
from tests.faults.nasty_values import LIE, VALUES, Raised, special_files
from tests.faults.tally import Tally

LONGEST_S = 120.0
CALL_S = 40  # no call takes longer on a machine that others use too
MESSAGE_CHARS = 4_000

# The elements of a column that are read before an endless one is refused: fewer here, to save time.
COLUMN = 100_000
CALLBACKS = ("read", "progress", "after", "listener", "objective", "failed_trial_callback")


class Call(NamedTuple):
    """A public call: what makes the callable, and its parameters."""

    name: str
    bind: Callable[[Lab], Callable[..., Any]]
    signature: inspect.Signature


class Lab:
    """A small archive with a handle of each public class, each made again once it was used up."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="exptrack-arguments-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = self.folder / "lab.db"
        self.work = self.folder / "work"
        self.special = special_files(self.folder / "special")
        self.tree = self.folder / "tree"
        self.tree.mkdir()
        (self.tree / "config.sdn").write_text("lr: 0.1\n")
        (self.folder / "sweep.sdn").write_text(
            "name: sweep\nmetric: loss\ndirection: minimize\nspace:\n  lr:\n    float: [0.1, 1.0]\n"
        )
        self.work.mkdir()
        self._archive: exptrack.Archive | None = None
        self._run: exptrack.Run | None = None
        with self.archive.start_run({"lr": 0.1, "loss": 1}, ["smoke"], name="first", external_id="x:1") as run:
            run.log({"loss": 0.5, "acc": 0.25}, 0)
            run.log({"loss": 0.25, "acc": 0.5}, 1)
            run.artifacts.register_data("words", "to be or not to be")
            run.artifacts.register_dir("tree", self.tree)
            run.log_table("rows", [{"a": 1}])
            run.log_image("dot", nasty_values.np.zeros((2, 2), dtype="uint8"))
        self.first = run.run_id
        with self.archive.start_run({"lr": 0.2, "loss": 2}, ["smoke"], name="second") as run:
            run.log({"loss": 0.75, "acc": 0.25}, 0)
        self.second = run.run_id
        study = self.archive.create_study("widths", sampler=exptrack.Sampler.random(seed=1), metric="loss")
        study.optimize(lambda trial: trial.suggest_float("lr", 0.1, 1.0), n_trials=2, start_runs=False)
        self.archive.create_view("best", ["config.lr"])
        self.archive.save_page_view("kept", "/runs")

    # Handles

    @property
    def archive(self) -> exptrack.Archive:
        if self._archive is None or self._archive._connection.closed:
            self._archive = exptrack.Archive(self.path)
        return self._archive

    def run(self) -> exptrack.Run:
        if self._run is None or self._run._connection.closed or self._run.status != "running":
            self._run = self.archive.start_run({"lr": 0.5}, name="live")
        return self._run

    def artifacts(self) -> exptrack.ArtifactStore:
        return self.archive.get_run(self.first).artifacts

    def used(self) -> exptrack.UsedArtifact:
        return self.run().use_artifact(f"{self.first}/words")

    def study(self) -> exptrack.Study:
        return self.archive.study("widths")

    def trial(self) -> exptrack.Trial:
        return self.study().ask()

    def storage(self) -> OptunaStorage:
        return self.archive.optuna_storage()

    def config(self) -> exptrack.ExpConfig:
        return exptrack.ExpConfig({"lr": 0.1, "loss": {"a": [1]}})

    def note(self) -> exptrack.Note:
        run = self.run()
        run.add_note("a note")
        return run.notes[-1]

    def open_trial(self) -> int:
        storage = self.storage()
        return storage.create_new_trial(storage.get_study_id_from_name("widths"))

    @functools.cached_property
    def packed(self) -> Path:
        path = self.folder / "packed.db"
        self.archive.pack(path, snapshot=True)
        return path

    def group(self) -> str:
        name = f"group{os.urandom(4).hex()}"
        self.archive.create_group(name)
        return name

    # What stays as it was after a refusal

    def state(self) -> tuple[dict[str, int], list[str]]:
        rows = dict(self.archive.info(count_rows=True).rows)
        files = sorted(str(path) for path in self.work.rglob("*"))
        return rows, files + [name for name in os.listdir(self.folder) if not name.startswith("lab.db")]

    def wrong(self) -> list[str]:
        """What the file holds that it should not."""
        return [str(problem) for problem in self.archive.verify().problems]


HANDLES: dict[type, Callable[[Lab], Any]] = {
    exptrack.Archive: lambda lab: lab.archive,
    exptrack.Run: Lab.run,
    exptrack.ArtifactStore: Lab.artifacts,
    exptrack.UsedArtifact: Lab.used,
    exptrack.RunQuery: lambda lab: lab.archive.runs(),
    exptrack.ExpConfig: lambda lab: lab.config(),
    exptrack.ConfigSection: lambda lab: lab.config().loss,
    exptrack.Frame: lambda lab: lab.archive.study_results("widths").frame(),
    exptrack.Study: Lab.study,
    exptrack.Trial: Lab.trial,
    exptrack.StudyResults: lambda lab: lab.archive.study_results("widths"),
    OptunaStorage: Lab.storage,
}


# Sound values for the parameters that have no default, by the call and by name alone.
SOUND: dict[str, Callable[[Lab], Any]] = {
    "run_id": lambda lab: lab.first,
    "run_a": lambda lab: lab.first,
    "run_b": lambda lab: lab.second,
    "read": lambda lab: lab.archive.list_runs,
    "row_ids": lambda _lab: [1, 2],
    "run_ids": lambda lab: [lab.first, lab.second],
    "subject": lambda lab: lab.first,
    "metric": lambda _lab: "loss",
    "direction": lambda _lab: "minimize",
    "name": lambda _lab: "loss",
    "names": lambda _lab: ["loss"],
    "keys": lambda _lab: "lr",
    "kind": lambda _lab: "milestone",
    "fields": lambda _lab: ["config.lr"],
    "columns": lambda _lab: ["name"],
    "column": lambda _lab: "params.lr",
    "group": lambda _lab: "group",
    "count": lambda _lab: 2,
    "text": lambda _lab: "lr: 1",
    "sql": lambda _lab: "SELECT * FROM runs",
    "reference": lambda lab: f"{lab.first}/words",
    "content": lambda _lab: b"bytes",
    "said": lambda _lab: None,
    "step": lambda _lab: 3,
    "value": lambda _lab: 0.5,
    "values": lambda _lab: {"loss": 0.5},
    "image": lambda _lab: nasty_values.np.zeros((2, 2), dtype="uint8"),
    "table": lambda _lab: [{"a": 1}],
    "status": lambda _lab: "failed",
    "note": Lab.note,
    "reason": lambda _lab: "because",
    "config": lambda _lab: {"lr": 1},
    "started_at": lambda _lab: datetime(2024, 1, 1, tzinfo=UTC),
    "external_id": lambda _lab: "x:1",
    "thing": lambda _lab: {"lr": 1},
    "model": lambda _lab: dict,
    "low": lambda _lab: 1,
    "high": lambda _lab: 2,
    "choices": lambda _lab: ["a", "b"],
    "params": lambda _lab: {"lr": 0.5},
    "objective": lambda _lab: lambda trial: trial.suggest_float("lr", 0.1, 1.0),
    "number": lambda _lab: 0,
    "sampler": lambda _lab: "random",
    "pruner": lambda _lab: "none",
    "sweep": lambda lab: "widths",
    "base": lambda _lab: {"a": 1},
    "overlay": lambda _lab: {"b": 1},
    "argv": lambda _lab: ["lr=1"],
    "space": lambda _lab: {"lr": exptrack.Dimension("float", 0.1, 1.0)},
    "records": lambda _lab: [exptrack.RecordedRun({"lr": 1}, datetime(2024, 1, 1, tzinfo=UTC))],
    "row": lambda _lab: {"loss": 0.5, "words": "x"},
    "alias": lambda _lab: "best",
    "run_filter": lambda _lab: exptrack.RunFilter(),
    "target": lambda lab: lab.work / f"out{os.urandom(4).hex()}",
    "path": lambda lab: lab.tree / "config.sdn",
    "base_dir": lambda lab: lab.tree,
    "study": lambda _lab: "widths",
    "settings": lambda _lab: {},
    "study_id": lambda lab: lab.storage().get_study_id_from_name("widths"),
    "trial_id": Lab.open_trial,
    "trial_number": lambda _lab: 0,
    "trial_state": lambda _lab: optuna.trial.TrialState.RUNNING,
    "state": lambda _lab: optuna.trial.TrialState.COMPLETE,
    "study_name": lambda _lab: "widths",
    "directions": lambda _lab: [optuna.study.StudyDirection.MINIMIZE],
    "key": lambda _lab: "key",
    "param_name": lambda _lab: "lr",
    "param_value_internal": lambda _lab: 0.5,
    "distribution": lambda _lab: optuna.distributions.FloatDistribution(0.1, 1.0),
    "intermediate_value": lambda _lab: 0.5,
    "trial": Lab.trial,
    # Where the name alone says too little
    "Archive.path": lambda lab: lab.path,
    "Archive.backup.path": lambda lab: lab.work / f"copy{os.urandom(4).hex()}.db",
    "Archive.pack.path": lambda lab: lab.work / f"packed{os.urandom(4).hex()}.db",
    "Archive.create_group.name": lambda _lab: f"group{os.urandom(4).hex()}",
    "Archive.rename_group.old": Lab.group,
    "Archive.rename_group.new": lambda _lab: f"group{os.urandom(4).hex()}",
    "Archive.set_group_attribute.name": Lab.group,
    "Archive.delete_group_attribute.name": Lab.group,
    "Archive.trash_group.name": Lab.group,
    "Archive.restore_group.name": Lab.group,
    "Archive.create_view.name": lambda _lab: f"view_{os.urandom(4).hex()}",
    "Archive.drop_view.name": lambda _lab: "best",
    "Archive.save_page_view.name": lambda _lab: "new",
    "Archive.save_page_view.path": lambda _lab: "/runs",
    "Archive.rename_page_view.old": lambda _lab: "kept",
    "Archive.rename_page_view.new": lambda _lab: "kept",
    "Archive.delete_page_view.name": lambda _lab: "new",
    "Archive.study.name": lambda _lab: "widths",
    "Archive.stop_study.name": lambda _lab: "widths",
    "Archive.delete_study.name": lambda _lab: "no such study",
    "Archive.create_study.config": lambda _lab: f"study{os.urandom(4).hex()}",
    "Archive.run_sweep.command": lambda _lab: ["true"],
    "Archive.run_sweep.max_trials": lambda _lab: 1,
    "Study.create.name": lambda _lab: f"study{os.urandom(4).hex()}",
    "Study.create.archive": lambda lab: lab.archive,
    "Study.optimize.n_trials": lambda _lab: 1,
    "Study.optimize.time_limit": lambda _lab: 0.2,
    "Study.tell.values": lambda _lab: 0.5,
    "Run.log_rows.rows": lambda _lab: [("loss", 0.5, 3), ("acc", 0.25)],
    "Run.log_many.steps": lambda _lab: None,
    "Run.log_many.values": lambda _lab: [0.5],
    "Run.log_histogram.values": lambda _lab: [0.5, 1.0],
    "ArtifactStore.register_dir.path": lambda lab: lab.tree,
    "ArtifactStore.export.name": lambda _lab: "words",
    "ArtifactStore.thumbnail.name": lambda _lab: "dot",
    "ArtifactStore.set_alias.name": lambda _lab: "words",
    "ArtifactStore.describe.name": lambda _lab: "words",
    "ArtifactStore.get_table.name": lambda _lab: "rows",
    "ArtifactStore.list_files.name": lambda _lab: "tree",
    "ArtifactStore.open.name": lambda _lab: "words",
    "ExpConfig.path": lambda _lab: "lr",
    "ConfigSection.path": lambda _lab: "a[0]",
    "RunQuery.artifact_grid.name": lambda _lab: "words",
    "RunQuery.where.text": lambda _lab: "config.lr = ?",
    "RunQuery.where.parameters": lambda _lab: 1,
    "RunQuery.order_by.fields": lambda _lab: "name",
    "RunQuery.summarize.field": lambda _lab: "config.lr",
    "RunQuery.values.fields": lambda _lab: "name",
    "Sampler.grid.space": lambda _lab: {"lr": [1, 2]},
    "Dimension.kind": lambda _lab: "float",
    "StudyResults.check_param.name": lambda _lab: "lr",
    "OptunaStorage.create_new_study.study_name": lambda _lab: f"study{os.urandom(4).hex()}",
    "OptunaStorage.delete_study.study_id": lambda _lab: 2**40,
    "OptunaStorage.set_trial_state_values.values": lambda _lab: [0.5],
    "salvage.path": lambda lab: lab.packed,
    "salvage.out": lambda lab: lab.work / f"saved{os.urandom(4).hex()}.db",
    "Archive.extract.out": lambda lab: lab.work / f"part{os.urandom(4).hex()}.db",
    "Archive.extract.runs": lambda lab: [lab.first],
    "Archive.reproduce.out": lambda lab: lab.work / f"code{os.urandom(4).hex()}",
    "Archive.reproduce.repository": lambda lab: lab.folder,
    "Archive.merge.sources": lambda lab: lab.packed,
    "diff_archives.a": lambda lab: lab.path,
    "diff_archives.b": lambda lab: lab.packed,
    "unpack.packed": lambda lab: lab.packed,
    "unpack.out": lambda lab: lab.work / f"living{os.urandom(4).hex()}.db",
    "write_report.archive": lambda lab: lab.archive,
    "write_report.out": lambda lab: lab.work / f"report{os.urandom(4).hex()}.html",
    "local_archive.folder": lambda lab: lab.work / f"spool{os.urandom(4).hex()}",
    "diagnose.path": lambda lab: lab.path,
    "run_command.words": lambda _lab: ["true"],
    "run_command.path": lambda lab: lab.work / f"ran{os.urandom(4).hex()}.db",
    "load_sweep.path": lambda lab: lab.folder / "sweep.sdn",
    "sdn.set_value.path": lambda _lab: "lr",
}


def sound_value(lab: Lab, call: str, parameter: str) -> Any:
    names = (f"{call}.{parameter}", f"{call.partition('.')[0]}.{parameter}", parameter)
    return next(SOUND[name] for name in names if name in SOUND)(lab)


def _made(make: Callable[[Lab, Any], Any], kind: type) -> tuple[Callable[[Lab], Callable[..., Any]], type]:
    return lambda lab: lambda *args, **words: make(lab, kind(*args, **words)), kind


# Records that a user makes: the call that takes each is what looks at it.
TAKEN: dict[str, tuple[Callable[[Lab], Callable[..., Any]], type]] = {
    "RecordedRun": _made(lambda lab, one: lab.archive.record_runs([one]), exptrack.RecordedRun),
    "RecordedArtifact": _made(
        lambda lab, one: lab.archive.record_runs(
            [exptrack.RecordedRun({}, datetime(2024, 1, 1, tzinfo=UTC), artifacts=[one])]
        ),
        exptrack.RecordedArtifact,
    ),
    "RunFilter": _made(lambda lab, one: lab.archive.list_runs(one), exptrack.RunFilter),
    "StudyConfig": _made(lambda lab, one: lab.archive.create_study(one), exptrack.StudyConfig),
    "SweepPlan": _made(lambda _lab, one: one.to_settings(), exptrack.SweepPlan),
    "Dimension": _made(
        lambda _lab, one: exptrack.SweepPlan("plan", "loss", "minimize", {"x": one}), exptrack.Dimension
    ),
    "Sampler": _made(lambda lab, one: lab.archive.study("widths", sampler=one).ask(), exptrack.Sampler),
    "Pruner": _made(lambda lab, one: lab.archive.study("widths", pruner=one).ask(), exptrack.Pruner),
    "ExpConfig": _made(lambda lab, one: one.to_sdn(), exptrack.ExpConfig),
    "Archive": _made(lambda _lab, one: one.close(), exptrack.Archive),
}


@functools.cache
def find_calls() -> tuple[Call, ...]:
    """Return every public call that has parameters, by name."""
    return tuple(call for call in _walk() if call.signature.parameters)


def _walk() -> Iterator[Call]:
    for name in exptrack.__all__:
        thing = getattr(exptrack, name)
        if inspect.isfunction(thing):
            yield Call(name, lambda _lab, thing=thing: thing, inspect.signature(thing))
        elif inspect.isclass(thing) and not issubclass(thing, BaseException):
            yield from _walk_class(thing)
    yield from _walk_class(OptunaStorage)
    for name in sdn.__all__:
        if inspect.isfunction(thing := getattr(sdn, name)):
            yield Call(f"sdn.{name}", lambda _lab, thing=thing: thing, inspect.signature(thing))


def _walk_class(kind: type) -> Iterator[Call]:
    if kind.__name__ in TAKEN:
        bind, made = TAKEN[kind.__name__]
        yield Call(kind.__name__, bind, inspect.signature(made))
    for name in dir(kind):
        found = inspect.getattr_static(kind, name)
        called = f"{kind.__name__}.{name}"
        home = getattr(inspect.unwrap(getattr(found, "__func__", found)), "__module__", None)
        if not str(home).startswith("exptrack") or (
            name[0] == "_" and name not in ("__getitem__", "__contains__")
        ):
            continue
        if isinstance(found, (classmethod, staticmethod)):
            method = getattr(kind, name)
            yield Call(called, lambda _lab, method=method: method, inspect.signature(method))
        elif inspect.isfunction(found) and kind in HANDLES:
            whole = inspect.signature(found)
            signature = whole.replace(parameters=list(whole.parameters.values())[1:])
            yield Call(called, lambda lab, name=name, kind=kind: getattr(HANDLES[kind](lab), name), signature)


class Try(NamedTuple):
    """One call with the names of its nasty values by parameter."""

    call: Call
    nasty: dict[str, str]

    def __str__(self) -> str:
        return f"{self.call.name}({', '.join(f'{name}: {value}' for name, value in self.nasty.items())})"


def value_names() -> list[str]:
    return [*VALUES, *(f"file: {name}" for name in lab().special), "file: archive"]


@functools.cache
def singles() -> tuple[tuple[Call, str], ...]:
    return tuple((call, name) for call in find_calls() for name in call.signature.parameters)


def describe(seed: int) -> Try:
    """Return what a seed stands for: the even ones go through all single values, the odd ones through pairs."""
    names = value_names()
    half, odd = divmod(seed, 2)
    if not odd:
        index, value = half % len(singles()), half // len(singles())
        call, parameter = singles()[index]
        # Each parameter begins with another value.
        return Try(call, {parameter: names[(value + 31 * index) % len(names)]})
    chance = random.Random(seed)
    call = chance.choice([one for one in find_calls() if len(one.signature.parameters) > 1])
    return Try(call, {name: chance.choice(names) for name in chance.sample(list(call.signature.parameters), 2)})


@functools.cache
def lab() -> Lab:
    """Return the one lab of this process."""
    validation.MAX_COLUMN = COLUMN
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Lab()


def _value(name: str) -> Any:
    if name == "file: archive":
        return lab().path
    if name.startswith("file: "):
        return lab().special[name.removeprefix("file: ")]
    return VALUES[name]()


def make_arguments(one: Try) -> tuple[list[Any], dict[str, Any]]:
    """Return what is given by place and by name: the nasty values, and sound ones where a value is needed."""
    args: list[Any] = []
    words: dict[str, Any] = {}
    parameters = one.call.signature.parameters.values()
    has_star = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    for parameter in parameters:
        name, kind = parameter.name, parameter.kind
        is_optional = parameter.default is not parameter.empty or kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if name in one.nasty:
            value = _value(one.nasty[name])
        elif is_optional and f"{one.call.name}.{name}" not in SOUND:
            continue
        else:
            value = sound_value(lab(), one.call.name, name)
        # What stands before a star cannot be given by name.
        if kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL) or (
            has_star and kind is parameter.POSITIONAL_OR_KEYWORD
        ):
            args.append(value)
        else:
            words["option" if kind is parameter.VAR_KEYWORD else name] = value
    return args, words


@contextmanager
def _inside_lab() -> Iterator[None]:
    """Make the lab the default archive, and its folder the working folder, within the block."""
    here, before = os.getcwd(), os.environ.get("EXPTRACK_DB")
    os.chdir(lab().folder)
    os.environ["EXPTRACK_DB"] = str(lab().path)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.pop("EXPTRACK_DB")
        if before is not None:
            os.environ["EXPTRACK_DB"] = before


def _consume(found: Any) -> None:
    """Read what a call returns lazily, and close what it opened."""
    if inspect.isgenerator(found):
        for _ in found:
            pass
    elif isinstance(found, exptrack.RunQuery):
        found.list()
    elif isinstance(found, exptrack.Tail):
        found.read()
    elif (
        isinstance(found, exptrack.Run)
        and found is not lab()._run
        and found.status == "running"
        and found._live
    ):
        found.complete()
    elif hasattr(found, "close") and not isinstance(found, (exptrack.Archive, exptrack.Run)):
        found.close()


def is_of_callback(one: Try) -> bool:
    """Whether the call was given a function that raises: its error is the caller's own."""
    return any(one.nasty.get(name) == "bad __call__" for name in CALLBACKS)


def judge(error: BaseException) -> str:
    """What is wrong with an error; empty if nothing is."""
    # A storage of Optuna's raises Optuna's errors too.
    allowed = (exptrack.ExptrackError, TypeError, ValueError, LookupError, optuna.exceptions.OptunaError)
    if not isinstance(error, allowed) or isinstance(error, UnicodeError):
        place = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in place if "exptrack" in frame.filename and "faults" not in frame.filename]
        where = ours[-1] if ours else place[-1]
        return f"{type(error).__name__}: {str(error)[:200]} ({where.filename}:{where.lineno})"
    try:
        text = str(error)
        text.encode()
    except Exception as problem:
        return f"the message of {type(error).__name__} cannot be printed: {type(problem).__name__}"
    if isinstance(error, exptrack.ExptrackError) and len(text) > MESSAGE_CHARS:
        return f"a message of {len(text):,} characters"
    return ""


def try_one(one: Try, *, look: bool = True) -> Tally:
    """Make one call; with `look`, compare what the archive and the folder hold, and verify."""
    tally = Tally(tries=1)
    before = None
    with warnings.catch_warnings(), _inside_lab():
        warnings.simplefilter("ignore")
        try:
            bound = one.call.bind(lab())
            args, words = make_arguments(one)
            before = lab().state() if look else None
            asked = Raised.count
            with limited(CALL_S):
                _consume(bound(*args, **words))
            if "exits" in str(one) and Raised.count > asked:
                tally.blame("unreported", f"{one}: the end of the process was swallowed")
        except TookTooLong:
            tally.blame("hung", f"{one} did not return")
        except exptrack.TrialPruned:  # it is a SystemExit
            if one.call.name != "Trial.prune":
                tally.blame("unreported", f"{one}: pruned a trial")
        except SystemExit:
            if "exit" not in str(one):
                tally.blame("unreported", f"{one}: ended the process")
        except Exception as error:
            if not is_of_callback(one) and (wrong := judge(error)):
                tally.blame("unreported", f"{one}: {wrong}")
            if before is not None and (after := lab().state()) != before:
                tally.blame("doubled", f"{one}: left something half done: {_differences(before, after)}")
        if look:
            for problem in lab().wrong():
                tally.blame("unreported", f"{one}: {problem}")
    return tally


def _differences(before: tuple[dict[str, int], list[str]], after: tuple[dict[str, int], list[str]]) -> str:
    rows = {
        name: (before[0].get(name), count) for name, count in after[0].items() if before[0].get(name) != count
    }
    return f"{rows} {sorted(set(after[1]) ^ set(before[1]))}"


def find_lies() -> list[str]:
    """Return the tables of the lab that hold what a lying text showed."""
    lab().archive.info()
    connection = sqlite3.connect(lab().path)
    found = []
    try:
        for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                if any(LIE in str(value) for value in row):
                    found.append(f"{table}: {str(row)[:300]}")
    finally:
        connection.close()
    return found


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    total = Tally()
    for number in range(seed, seed + tries):
        total.add(try_one(describe(number)))
        if "liar" in str(describe(number)):
            for lie in find_lies():
                total.blame("lost", f"{describe(number)}: the file holds what a text is not: {lie}")
    return total
