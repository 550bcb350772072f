"""One object of every public class, as the calls of a user return them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from PIL import Image

import exptrack
from exptrack import Archive, Dimension, RecordedArtifact, RecordedRun, Sampler, SweepPlan, Trial


def public_classes() -> dict[str, type]:
    """Every public class that is no error, by its name."""
    found = {name: getattr(exptrack, name) for name in exptrack.__all__}
    return {
        name: one for name, one in found.items() if isinstance(one, type) and not issubclass(one, BaseException)
    }


def promised_classes() -> set[str]:
    """The names of exptrack's classes that a public method of a public class says it returns."""
    known = {
        name: one
        for module in [one for key, one in sys.modules.items() if key.startswith("exptrack.")]
        for name, one in vars(module).items()
        if isinstance(one, type) and one.__module__.startswith("exptrack.") and not name.startswith("_")
    }
    words: set[str] = set()
    for one in public_classes().values():
        for name, member in inspect.getmembers(one):
            function = member.fget if isinstance(member, property) else member
            if not name.startswith("_") and callable(function):
                words |= set(re.findall(r"\w+", str(getattr(function, "__annotations__", {}).get("return"))))
    return {word for word in words if word in known and not issubclass(known[word], BaseException)}


def objective(trial: Trial) -> float:
    trial.suggest_float("lr", 0.1, 1.0)
    trial.report(0, 0.5)
    return 0.5


def walk(thing: object, depth: int = 4) -> Iterator[object]:
    """The object and what it holds openly: the elements of containers, the public fields of records."""
    yield thing
    if depth == 0 or isinstance(thing, (str, bytes)):
        return
    parts: list[object] = []
    if isinstance(thing, Mapping) and not isinstance(thing, (exptrack.Frame, exptrack.ExpConfig)):
        parts = [*thing.keys(), *thing.values()]
    elif isinstance(thing, (list, tuple, set)):
        parts = list(thing)
    elif dataclasses.is_dataclass(thing):
        parts = [getattr(thing, one.name) for one in dataclasses.fields(thing) if not one.name.startswith("_")]
    for part in parts:
        yield from walk(part, depth - 1)


def make(archive: Archive, folder: Path) -> dict[str, object]:
    """Use the archive as a user would; return an object of each class that came out, by the class's name."""
    (folder / "tree").mkdir()
    (folder / "tree" / "a.txt").write_text("a")
    first = archive.start_run({"lr": 0.1, "deep": {"a": [1, 2]}}, ["old"], group="g")
    first.log({"loss": 0.5, "acc": 0.1}, step=0)
    first.artifacts.register_data("words", "to be")
    first.artifacts.register_dir("tree", folder / "tree")
    first.complete()
    second = archive.start_run({"lr": 0.2}, ["new"], group="g", data={"train": "s3://x"})
    used = second.use_artifact(f"{first.run_id}/words")
    second.log({"loss": 0.4, "acc": 0.2}, step=0)
    second.log_image("dot", Image.new("RGB", (2, 2)))
    second.log_table("rows", [{"truth": "cat", "n": 3}])
    second.add_note("fine")
    second.complete()
    config = exptrack.ExpConfig({"lr": 0.3}).with_override("lr", 0.4)
    curve, kept = ([0, 1], [0.9, 0.4]), RecordedArtifact("model", b"w", aliases=("best",))
    old = RecordedRun({"lr": 0.3}, datetime(2024, 5, 1), 60, metrics={"loss": curve}, artifacts=[kept])
    (recorded,) = archive.record_runs([old])
    study = archive.create_study(exptrack.StudyConfig("s", sampler=Sampler.random(seed=1)))
    study.optimize(objective, n_trials=2)
    asked = study.ask()
    asked.suggest_float("lr", 0.1, 1.0)
    tail = archive.tail(second, ["loss"])
    space = {"lr": Dimension("float", 0.1, 1.0)}
    plan = SweepPlan("sweep", "loss", "minimize", space, sampler=Sampler.random(seed=1), max_trials=1)
    ended: list[exptrack.SweepTrial] = []
    code = "import exptrack; run = exptrack.start_run(); run.log({'loss': 1.0}); run.complete()"
    report = archive.run_sweep(plan, [sys.executable, "-c", code], after=ended.append)
    ran = exptrack.run_command([sys.executable, "-c", "pass"], path=folder / "ran.db")
    second.artifacts.register_data("gone", "x")
    archive.trash_run(archive.record_runs([old])[0])
    live = archive.start_run({"lr": 0.4})
    things: list[object] = [
        [ran, archive, live, first, study, asked, tail, used, old, plan, report, ended, study.optuna_study],
        [archive.runs().where("config.lr > 0"), archive.runs().page(1), exptrack.RunFilter.all()],
        [archive.list_runs(), archive.show_run(second.run_id), archive.best_run("loss", "minimize")],
        [archive.diff_runs(first, second), archive.compare([first, second]), archive.what_changed(second)],
        [
            archive.group_by("lr", "loss"),
            archive.importance("loss"),
            archive.count_left_out("loss"),
            archive.start_run(data=["s3://bucket/train"]).complete() or archive.lineage("s3://bucket/train"),
            archive.list_groups(),
            archive.list_trash(),
            archive.measure_deletion(first),
        ],
        [archive.series(second, "loss"), archive.series(second, "loss", buckets=1), tail.read()],
        [archive.curves([first, second], "loss"), archive.watch_runs(), archive.watch_runs().read()],
        [archive.runs().rows(["run_id"]), archive.fields(), archive.runs().summarize("config.lr")],
        archive.runs().only(first, second).tag("seen"),
        [archive.save_page_view("all", "/runs"), archive.list_page_views()],
        [archive.read_head(second), archive.read_config(second), archive.read_metrics(second)],
        archive.read_environment(second),
        [exptrack.TimeLimit(1.0), archive.complete_filter("ta")],
        second.artifacts.thumbnail("dot"),
        [archive.runs().artifact_names(), archive.runs().artifact_grid("words"), archive.runs().artifacts()],
        [
            archive.align([first, second], "loss"),
            archive.sql("SELECT 1"),
            archive.create_view("v", ["config.lr"]),
        ],
        [
            archive.get_run(first).config.deep,
            archive.get_run(recorded).config,
            config,
            first.artifacts,
            first.artifacts.list_artifacts(),
        ],
        [first.artifacts.list_files("tree"), archive.lineage(first), second.inputs, second.notes],
        [
            second.artifacts.remove("gone"),
            archive.storage(),
            archive.gc_artifacts(),
            archive.read_events(second),
        ],
        [study.trials, study.info, study.results(), study.frame(), archive.optuna_storage()],
        [Sampler.tpe(seed=1), exptrack.Pruner.median(), archive.info(), archive.recover(), archive.verify()],
        [second.get_metric("loss"), archive.backup(folder / "copy.db"), archive.delete_run(recorded)],
        exptrack.write_report(archive, folder / "report.html"),
        [
            archive.pack(folder / "packed.db", snapshot=True),
            exptrack.unpack(folder / "packed.db", folder / "living.db"),
        ],
        [
            archive.extract(folder / "part.db", [second]),
            exptrack.diff_archives(folder / "packed.db", folder / "part.db"),
            exptrack.diagnose(folder / "part.db"),
            exptrack.Fork("a", "b"),
            exptrack.ArtifactRef("a", "w", 1, "sha256:"),
            exptrack.DifferingRun("a", ("tags",), 1, 1),
            exptrack.LeftOut("a", "it is damaged"),
            archive.merge(folder / "part.db"),
        ],
        [
            config.source_of("lr"),
            config.leaves(),
            exptrack.StudyConfig("t"),
            exptrack.Problem("run", "r", "damaged"),
        ],
        exptrack.SalvageReport("in", "out", 1, (exptrack.SalvagedRun("r", "completed", 1, True),), 1, 0),
        second.artifacts.list_checkpoints(),
        exptrack.Checkpoint(first.artifacts.list_artifacts()[0], 0.5, True),
        exptrack.Reproduction(
            "r",
            "again",
            1,
            None,
            None,
            ("python", "train.py"),
            ".",
            "host",
            "CPython 3.11.4",
            "Linux",
            {"RANK": "0"},
            {"numpy": "2.0"},
            {"numpy": ("2.0", None)},
            ("It ran in a notebook.",),
        ),
        exptrack.Waiting("lab.db-wal", 1, None, "host", "open it"),
        exptrack.JournalReport("lab.db.points", 1, None, ""),
    ]
    live.complete()
    return {type(thing).__name__: thing for thing in walk(things)}
