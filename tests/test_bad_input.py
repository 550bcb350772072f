"""Every public call answers wrong input with a typed, clear error and changes nothing."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import exptrack
from exptrack import (
    AmbiguousRunError,
    Archive,
    ArchiveClosedError,
    ArchiveNotFoundError,
    ArchiveReadOnlyError,
    ArtifactNotFoundError,
    ConfigError,
    ConfigKeyError,
    ExpConfig,
    ExportError,
    ExptrackError,
    InvalidTypeError,
    InvalidValueError,
    MetricNotFoundError,
    NotAnArchiveError,
    OwnFileError,
    QueryError,
    Run,
    RunBusyError,
    RunFilter,
    RunFinishedError,
    RunNotFoundError,
    UnsafePathError,
)

SURROGATE = "\ud800"
HUGE_NAME = "x" * 1001


class Lab(NamedTuple):
    """An archive with a finished run, a live one, and a folder."""

    archive: Archive
    done: Run
    live: Run
    folder: Path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """All calls get the same archive, as none changes it. In the end it is sound and the live run works."""
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch, Archive(folder / "lab.db") as archive:
        patch.setattr("exptrack.tracking.run.Run.beat", lambda run: None)  # a heartbeat would be a change
        with archive.start_run({"lr": 0.1}, ["t"], name="done") as done:
            done.log({"acc": 0.5})
            done.artifacts.register_data("model", b"first")
            done.artifacts.register_data("model", b"second")
            done.artifacts.register_data("a/..", b"unsafe")
        done.artifacts.remove("model", 1)
        live = archive.start_run(name="live")
        yield Lab(archive, done, live, folder)
        live.log_metric("sound", 1.0)
        live.complete()
        assert archive.sql("SELECT name, count FROM metrics").rows == (("acc", 1), ("sound", 1))
        assert archive.verify().problems == ()


def nested(depth: int) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for _ in range(depth):
        tree = {"a": tree}
    return tree


def cyclic() -> dict[str, Any]:
    tree: dict[str, Any] = {}
    tree["self"] = tree
    return tree


CASES: dict[str, tuple[type[ExptrackError], str, Callable[[Lab], object]]] = {
    # Opening
    "path of wrong type": (InvalidTypeError, "int", lambda lab: Archive(3)),  # type: ignore[arg-type]
    "empty path": (InvalidValueError, "path", lambda lab: Archive("")),
    "NUL in path": (InvalidValueError, "path", lambda lab: Archive("a\0b")),
    "unknown mode": (InvalidValueError, "append", lambda lab: Archive(mode="append")),
    "missing folder": (ArchiveNotFoundError, "nowhere", lambda lab: Archive("nowhere/lab.db")),
    "missing file to read": (ArchiveNotFoundError, "none.db", lambda lab: Archive("none.db", mode="ro")),
    "missing file not to create": (
        ArchiveNotFoundError,
        "none.db",
        lambda lab: Archive("none.db", create=False),
    ),
    "a folder": (NotAnArchiveError, "folder", lambda lab: Archive(lab.folder)),
    # Starting
    "config is a list": (ConfigError, "list", lambda lab: lab.archive.start_run([1])),  # type: ignore[arg-type]
    "config is text": (ConfigError, "str", lambda lab: lab.archive.start_run("lr=1")),  # type: ignore[arg-type]
    "config of its own with NaN": (ConfigError, "'lr'", lambda lab: ExpConfig({"lr": float("nan")})),
    "config of its own with infinity": (
        ConfigError,
        "'a.b'",
        lambda lab: ExpConfig({"a": {"b": float("inf")}}),
    ),
    "config with 2^63": (ConfigError, "64 bits", lambda lab: lab.archive.start_run({"n": 2**63})),
    "config with a set of objects": (
        ConfigError,
        "object",
        lambda lab: lab.archive.start_run({"n": {object()}}),
    ),
    "config with bytes": (ConfigError, "bytes", lambda lab: lab.archive.start_run({"n": b"x"})),
    "config with an object": (ConfigError, "object", lambda lab: lab.archive.start_run({"n": object()})),
    "config with a function": (ConfigError, "from_loose", lambda lab: lab.archive.start_run({"p": len})),
    "config with a surrogate": (ConfigError, "surrogate", lambda lab: lab.archive.start_run({"n": SURROGATE})),
    "config key not text": (ConfigError, "tuple", lambda lab: lab.archive.start_run({(1, 2): 2})),
    "config keys of one text": (ConfigError, "same text", lambda lab: lab.archive.start_run({1: 2, "1": 3})),
    "config key that is missing": (ConfigKeyError, "did you mean", lambda lab: ExpConfig({"lr": 1})["lrr"]),
    "override beyond a list": (
        ConfigError,
        "1 elements",
        lambda lab: ExpConfig({"a": [1]}).with_override("a[1]", 2),
    ),
    "what becomes of errors": (
        InvalidValueError,
        "on_error",
        lambda lab: lab.archive.start_run(on_error="ignore"),
    ),
    "config key with a surrogate": (
        ConfigError,
        "surrogate",
        lambda lab: lab.archive.start_run({SURROGATE: 2}),
    ),
    "config key too long": (ConfigError, "1,001", lambda lab: lab.archive.start_run({HUGE_NAME: 2})),
    "config text too long": (
        ConfigError,
        "artifact",
        lambda lab: lab.archive.start_run({"a": "x" * (2**24 + 1)}),
    ),
    "config too deep": (ConfigError, "deeper", lambda lab: lab.archive.start_run(nested(60))),
    "config that holds itself": (ConfigError, "deeper", lambda lab: lab.archive.start_run(cyclic())),
    "tags are one text": (InvalidTypeError, "list", lambda lab: lab.archive.start_run(tags="abc")),
    "tags are a number": (InvalidTypeError, "list", lambda lab: lab.archive.start_run(tags=3)),  # type: ignore[arg-type]
    "a tag is a number": (InvalidTypeError, "int", lambda lab: lab.archive.start_run(tags=[3])),  # type: ignore[list-item]
    "an empty tag": (InvalidValueError, "empty", lambda lab: lab.archive.start_run(tags=[""])),
    "an empty name": (InvalidValueError, "empty", lambda lab: lab.archive.start_run(name="")),
    "a name with NUL": (InvalidValueError, "control", lambda lab: lab.archive.start_run(name="a\0b")),
    "a name with a line end": (InvalidValueError, "control", lambda lab: lab.archive.start_run(name="a\nb")),
    "a group of wrong type": (InvalidTypeError, "int", lambda lab: lab.archive.start_run(group=5)),  # type: ignore[arg-type]
    "an unknown parent": (RunNotFoundError, "zzz", lambda lab: lab.archive.start_run(parent="zzz")),
    "data is one text": (InvalidTypeError, "data", lambda lab: lab.archive.start_run(data="s3://x")),
    "data with a number": (InvalidTypeError, "int", lambda lab: lab.archive.start_run(data={"a": 1})),  # type: ignore[dict-item]
    # Logging
    "metric name empty": (InvalidValueError, "empty", lambda lab: lab.live.log_metric("", 1)),
    "metric name not text": (InvalidTypeError, "int", lambda lab: lab.live.log_metric(7, 1)),  # type: ignore[arg-type]
    "metric name huge": (InvalidValueError, "1,001", lambda lab: lab.live.log_metric(HUGE_NAME, 1)),
    "metric name with NUL": (InvalidValueError, "control", lambda lab: lab.live.log_metric("a\0", 1)),
    "metric name with a surrogate": (
        InvalidValueError,
        "surrogate",
        lambda lab: lab.live.log_metric(SURROGATE, 1),
    ),
    "metric value is text": (InvalidTypeError, "'x'", lambda lab: lab.live.log_metric("x", "0.5")),
    "metric value is a map": (InvalidTypeError, "dict", lambda lab: lab.live.log_metric("x", {})),
    "two ways to one metric": (
        InvalidValueError,
        "same text",
        lambda lab: lab.live.log({"a.b": 1.0, "a": {"b": 2.0}}),
    ),
    "metrics that hold themselves": (InvalidValueError, "themselves", lambda lab: lab.live.log(cyclic())),
    "metrics nested too deep": (InvalidValueError, "deeper", lambda lab: lab.live.log(nested(60))),
    "metric value is a list": (InvalidTypeError, "list", lambda lab: lab.live.log_metric("x", [1.0])),
    "metric value is complex": (InvalidTypeError, "complex", lambda lab: lab.live.log_metric("x", 1j)),
    "metric value too large": (InvalidValueError, "large", lambda lab: lab.live.log_metric("x", 10**400)),
    "step is a float": (InvalidTypeError, "whole", lambda lab: lab.live.log_metric("x", 1, 1.5)),  # type: ignore[arg-type]
    "step is a bool": (InvalidTypeError, "bool", lambda lab: lab.live.log_metric("x", 1, True)),
    "step is text": (InvalidTypeError, "str", lambda lab: lab.live.log_metric("x", 1, "3")),  # type: ignore[arg-type]
    "step is 2^63": (InvalidValueError, "64 bits", lambda lab: lab.live.log_metric("x", 1, 2**63)),
    "time is text": (InvalidTypeError, "time", lambda lab: lab.live.log_metric("x", 1, time="now")),  # type: ignore[arg-type]
    "time is NaN": (InvalidValueError, "time", lambda lab: lab.live.log_metric("x", 1, time=float("nan"))),
    "time after the year 9999": (InvalidValueError, "time", lambda lab: lab.live.log_metric("x", 1, time=1e12)),
    "metric value of 5000 digits": (InvalidValueError, "large", lambda lab: lab.live.log_metric("x", 10**5000)),
    "config of 5000 digits": (ConfigError, "64 bits", lambda lab: lab.archive.start_run({"n": 10**5000})),
    "step of 5000 digits": (InvalidValueError, "64 bits", lambda lab: lab.live.log_metric("x", 1, 10**5000)),
    "path with a surrogate": (InvalidValueError, "path", lambda lab: Archive(SURROGATE)),
    "sql parameter of 2^63": (QueryError, "parameter", lambda lab: lab.archive.sql("SELECT ?", [2**63])),
    "sql text with a surrogate": (QueryError, "text", lambda lab: lab.archive.sql(f"SELECT '{SURROGATE}'")),
    "sql rows of wrong type": (
        InvalidTypeError,
        "max_rows",
        lambda lab: lab.archive.sql("SELECT 1", max_rows="x"),
    ),  # type: ignore[arg-type]
    "sql rows below one": (QueryError, "max_rows", lambda lab: lab.archive.sql("SELECT 1", max_rows=-5)),
    "sql time without end": (
        QueryError,
        "timeout_s",
        lambda lab: lab.archive.sql("SELECT 1", timeout_s=float("nan")),
    ),
    "best in a direction of wrong type": (
        InvalidValueError,
        "direction",
        lambda lab: lab.archive.best_run("acc", []),
    ),  # type: ignore[arg-type]
    "sources of wrong type": (ConfigError, "list", lambda lab: ExpConfig({}, 3)),  # type: ignore[arg-type]
    "huge name and a surrogate": (
        InvalidValueError,
        "1,000",
        lambda lab: lab.live.artifacts.register_data("n" * 100_000, SURROGATE),
    ),
    "log of a list": (InvalidTypeError, "map", lambda lab: lab.live.log([1])),  # type: ignore[arg-type]
    "log with one bad value of two": (InvalidTypeError, "'b'", lambda lab: lab.live.log({"a": 1, "b": "x"})),
    "log to a finished run": (RunFinishedError, "completed", lambda lab: lab.done.log_metric("acc", 1)),
    "completed twice": (RunFinishedError, "completed", lambda lab: lab.done.complete()),
    "failed after completion": (RunFinishedError, "completed", lambda lab: lab.done.fail("no")),
    "flush of a finished run": (RunFinishedError, "completed", lambda lab: lab.done.flush()),
    "reason of wrong type": (InvalidTypeError, "reason", lambda lab: lab.live.fail(3)),  # type: ignore[arg-type]
    # Tags, notes, events
    "a good tag beside a bad one": (InvalidValueError, "empty", lambda lab: lab.done.add_tag("good", "")),
    "tags as a list": (InvalidTypeError, "tag", lambda lab: lab.done.add_tag(["a"])),  # type: ignore[arg-type]
    "tag empty": (InvalidValueError, "empty", lambda lab: lab.done.add_tag("")),
    "tag with a surrogate": (InvalidValueError, "surrogate", lambda lab: lab.done.add_tag(SURROGATE)),
    "note of wrong type": (InvalidTypeError, "note", lambda lab: lab.done.add_note(b"x")),  # type: ignore[arg-type]
    "note empty": (InvalidValueError, "note", lambda lab: lab.done.add_note("  ")),
    "note with a surrogate": (InvalidValueError, "surrogate", lambda lab: lab.done.add_note(SURROGATE)),
    "note too long": (InvalidValueError, "artifact", lambda lab: lab.done.add_note("x" * (2**24 + 1))),
    "event kind empty": (InvalidValueError, "empty", lambda lab: lab.archive.append_event(lab.done.run_id, "")),
    "event data of wrong type": (
        InvalidValueError,
        "bytes",
        lambda lab: lab.done.append_event("k", {"a": b"1"}),
    ),
    "event of an unknown run": (RunNotFoundError, "zzz", lambda lab: lab.archive.append_event("zzz", "k")),
    "events of an unknown run": (RunNotFoundError, "zzz", lambda lab: lab.archive.read_events("zzz")),
    # Artifacts
    "artifact of wrong type": (
        InvalidTypeError,
        "text, bytes, a binary file",
        lambda lab: lab.live.artifacts.register_data("a", 3),
    ),
    "artifact name empty": (InvalidValueError, "empty", lambda lab: lab.live.artifacts.register_data("", b"")),
    "artifact with a surrogate": (
        InvalidValueError,
        "surrogate",
        lambda lab: lab.live.artifacts.register_data("a", SURROGATE),
    ),
    "artifact metadata with an object": (
        ConfigError,
        "object",
        lambda lab: lab.live.artifacts.register_data("a", b"", {"x": object()}),
    ),
    "artifact file missing": (
        InvalidValueError,
        "none",
        lambda lab: lab.live.artifacts.register_file("a", "none"),
    ),
    "artifact file is a folder": (
        InvalidValueError,
        "register_dir",
        lambda lab: lab.live.artifacts.register_file("a", lab.folder),
    ),
    "artifact path of wrong type": (
        InvalidTypeError,
        "path",
        lambda lab: lab.live.artifacts.register_file("a", 3.5),
    ),  # type: ignore[arg-type]
    "checkpoint step of wrong type": (
        InvalidTypeError,
        "step",
        lambda lab: lab.live.artifacts.register_checkpoint("a", lab.archive.path, "1"),
    ),  # type: ignore[arg-type]
    "artifact version of wrong type": (
        InvalidTypeError,
        "str",
        lambda lab: lab.live.artifacts.get_blob("a", "1"),
    ),  # type: ignore[arg-type]
    "artifacts of an unknown run": (RunNotFoundError, "zzz", lambda lab: lab.archive.artifacts("zzz")),
    "artifact name not text": (InvalidTypeError, "int", lambda lab: lab.live.artifacts.register_data(3, b"")),  # type: ignore[arg-type]
    "artifact name with NUL": (
        InvalidValueError,
        "control",
        lambda lab: lab.live.artifacts.register_data("a\0", b""),
    ),
    "artifact of numbers": (
        InvalidTypeError,
        "bytes",
        lambda lab: lab.live.artifacts.register_data("a", [b"x", 3]),
    ),
    "artifact of a text file": (
        InvalidTypeError,
        "bytes",
        lambda lab: lab.live.artifacts.register_data("a", io.StringIO("text")),
    ),
    "artifact path with NUL": (
        InvalidValueError,
        "NUL",
        lambda lab: lab.live.artifacts.register_file("a", "x\0y"),
    ),
    "checkpoint step of 2^63": (
        InvalidValueError,
        "64 bits",
        lambda lab: lab.live.artifacts.register_checkpoint("a", lab.folder, 2**63),
    ),
    "folder that is none": (
        InvalidValueError,
        "none",
        lambda lab: lab.live.artifacts.register_dir("a", "none"),
    ),
    "artifact version of 2^63": (
        InvalidValueError,
        "64 bits",
        lambda lab: lab.done.artifacts.get_artifact("model", 2**63),
    ),
    "open of an unknown artifact": (
        ArtifactNotFoundError,
        "'none'",
        lambda lab: lab.done.artifacts.open("none"),
    ),
    "open of a removed version": (
        ArtifactNotFoundError,
        "version 1",
        lambda lab: lab.done.artifacts.open("model", 1),
    ),
    "open of a file of no folder": (
        ArtifactNotFoundError,
        "model/x",
        lambda lab: lab.done.artifacts.open("model", file="x"),
    ),
    "export of an unknown artifact": (
        ArtifactNotFoundError,
        "'none'",
        lambda lab: lab.done.artifacts.export("none", lab.folder),
    ),
    "export of a removed version": (
        ArtifactNotFoundError,
        "version 1",
        lambda lab: lab.done.artifacts.export("model", lab.folder, 1),
    ),
    "export under an unsafe name": (
        UnsafePathError,
        "..",
        lambda lab: lab.done.artifacts.export("a/..", lab.folder),
    ),
    "export over a file": (
        ExportError,
        "exists",
        lambda lab: lab.done.artifacts.export("model", __file__),
    ),
    "export over the archive": (
        OwnFileError,
        "another name",
        lambda lab: lab.done.artifacts.export("model", lab.archive.path),
    ),
    "a copy over a file": (ExportError, "exists", lambda lab: lab.archive.backup(__file__)),
    "a copy over the archive": (OwnFileError, "another name", lambda lab: lab.archive.backup(lab.archive.path)),
    "a copy to a path of wrong type": (InvalidTypeError, "path", lambda lab: lab.archive.backup(3)),
    "export to a path of wrong type": (
        InvalidTypeError,
        "path",
        lambda lab: lab.done.artifacts.export("model", 3),
    ),  # type: ignore[arg-type]
    "removal of a removed version": (
        ArtifactNotFoundError,
        "version 1",
        lambda lab: lab.done.artifacts.remove("model", 1),
    ),
    "keep of nothing": (InvalidValueError, "how many", lambda lab: lab.done.artifacts.keep("model")),
    "keep of none": (InvalidValueError, "from 1", lambda lab: lab.done.artifacts.keep("model", last=0)),
    "keep by an unknown metric": (
        InvalidValueError,
        "'loss'",
        lambda lab: lab.done.artifacts.keep("model", best=1, metric="loss", direction="minimize"),
    ),
    "keep in an unknown direction": (
        InvalidValueError,
        "minimize",
        lambda lab: lab.done.artifacts.keep("model", best=1, metric="acc", direction="up"),
    ),
    # Media
    "image of wrong type": (InvalidTypeError, "int", lambda lab: lab.live.log_image("a", 3)),
    "image that is no image": (InvalidValueError, "image", lambda lab: lab.live.log_image("a", b"words")),
    "image file missing": (InvalidValueError, "none.png", lambda lab: lab.live.log_image("a", "none.png")),
    "image name empty": (InvalidValueError, "empty", lambda lab: lab.live.log_image("", b"")),
    "image name huge": (InvalidValueError, "1,001", lambda lab: lab.live.log_image(HUGE_NAME, b"")),
    "image step of 2^63": (InvalidValueError, "64 bits", lambda lab: lab.live.log_image("a", b"", 2**63)),
    "image caption of wrong type": (
        InvalidTypeError,
        "caption",
        lambda lab: lab.live.log_image("a", b"", caption=3),
    ),  # type: ignore[arg-type]
    "text of wrong type": (InvalidTypeError, "bytes", lambda lab: lab.live.log_text("a", b"x")),  # type: ignore[arg-type]
    "text with a surrogate": (InvalidValueError, "surrogate", lambda lab: lab.live.log_text("a", SURROGATE)),
    "text name with NUL": (InvalidValueError, "control", lambda lab: lab.live.log_text("a\0", "x")),
    "text of a nonsense type": (
        InvalidValueError,
        "type/subtype",
        lambda lab: lab.live.log_text("a", "x", media_type="markdown"),
    ),
    "text with a surrogate in the caption": (
        InvalidValueError,
        "surrogate",
        lambda lab: lab.live.log_text("a", "x", caption=SURROGATE),
    ),
    "table of wrong type": (InvalidTypeError, "int", lambda lab: lab.live.log_table("a", 3)),
    "table without names": (InvalidValueError, "column", lambda lab: lab.live.log_table("a", [[1]])),
    "table of unequal columns": (
        InvalidValueError,
        "cells",
        lambda lab: lab.live.log_table("a", {"x": [1], "y": []}),
    ),
    "table with a number of 2^63": (
        InvalidValueError,
        "'x'",
        lambda lab: lab.live.log_table("a", {"x": [2**64]}),
    ),
    "table name with a surrogate": (
        InvalidValueError,
        "surrogate",
        lambda lab: lab.live.log_table(SURROGATE, {"x": [1]}),
    ),
    "table step of wrong type": (
        InvalidTypeError,
        "step",
        lambda lab: lab.live.log_table("a", {"x": [1]}, "1"),
    ),  # type: ignore[arg-type]
    "histogram of text": (InvalidTypeError, "str", lambda lab: lab.live.log_histogram("a", "12")),
    "histogram of nothing": (InvalidValueError, "counts", lambda lab: lab.live.log_histogram("a")),
    "histogram without bins": (InvalidValueError, "bins", lambda lab: lab.live.log_histogram("a", [1], bins=0)),
    "histogram of a range that goes down": (
        InvalidValueError,
        "range",
        lambda lab: lab.live.log_histogram("a", [1], range=(2, 1)),
    ),
    "histogram name empty": (InvalidValueError, "empty", lambda lab: lab.live.log_histogram("", [1])),
    "table that is none": (InvalidValueError, "not a table", lambda lab: lab.done.artifacts.get_table("model")),
    "table of an unknown artifact": (
        ArtifactNotFoundError,
        "'none'",
        lambda lab: lab.done.artifacts.get_table("none"),
    ),
    # Lineage
    "use of wrong type": (InvalidTypeError, "3", lambda lab: lab.live.use_artifact(3)),
    "use of an empty name": (InvalidValueError, "empty", lambda lab: lab.live.use_artifact("")),
    "use of a huge name": (InvalidValueError, "1,001", lambda lab: lab.live.use_artifact(HUGE_NAME)),
    "use with a surrogate": (InvalidValueError, "surrogate", lambda lab: lab.live.use_artifact(SURROGATE)),
    "use with NUL": (InvalidValueError, "control", lambda lab: lab.live.use_artifact("model\0")),
    "use of an unknown artifact": (ArtifactNotFoundError, "none", lambda lab: lab.live.use_artifact("none")),
    "use of a removed version": (
        ArtifactNotFoundError,
        "model:v1",
        lambda lab: lab.live.use_artifact("model:v1"),
    ),
    "use of a version of many digits": (
        ArtifactNotFoundError,
        "model:v9",
        lambda lab: lab.live.use_artifact("model:v" + "9" * 300),
    ),
    "use of a run's artifact that is unknown": (
        ArtifactNotFoundError,
        "'none'",
        lambda lab: lab.live.use_artifact(f"{lab.done.run_id}/none"),
    ),
    "use of an unknown run": (RunNotFoundError, "zzz", lambda lab: lab.live.use_artifact("zzz/model")),
    "use of a short hash": (InvalidValueError, "six", lambda lab: lab.live.use_artifact("sha256:12")),
    "lineage of wrong type": (InvalidTypeError, "int", lambda lab: lab.archive.lineage(3)),
    "lineage of an unknown run": (RunNotFoundError, "zzz", lambda lab: lab.archive.lineage("zzz")),
    "lineage of an unknown hash": (
        ArtifactNotFoundError,
        "sha256:000000",
        lambda lab: lab.archive.lineage("sha256:000000"),
    ),
    # Questions
    "unknown run": (RunNotFoundError, "zzz", lambda lab: lab.archive.show_run("zzz")),
    "empty run id": (InvalidValueError, "empty", lambda lab: lab.archive.show_run("")),
    "run id of wrong type": (InvalidTypeError, "int", lambda lab: lab.archive.show_run(3)),
    "ambiguous run id": (
        AmbiguousRunError,
        "more characters",
        lambda lab: lab.archive.show_run(lab.done.run_id[0]),
    ),
    "LIKE signs in a run id": (RunNotFoundError, "%", lambda lab: lab.archive.show_run("%")),
    "diff with an unknown run": (
        RunNotFoundError,
        "zzz",
        lambda lab: lab.archive.diff_runs(lab.done.run_id, "zzz"),
    ),
    "resume of an unknown run": (RunNotFoundError, "zzz", lambda lab: lab.archive.resume_run("zzz")),
    "resume of a live run": (RunBusyError, "running", lambda lab: lab.archive.resume_run(lab.live.run_id)),
    "get of an unknown run": (RunNotFoundError, "zzz", lambda lab: lab.archive.get_run("zzz")),
    "deletion of an unknown run": (
        RunNotFoundError,
        "zzz",
        lambda lab: lab.archive.delete_run(lab.done.run_id, "zzz"),
    ),
    "deletion of a live run": (RunBusyError, "running", lambda lab: lab.archive.delete_run(lab.live.run_id)),
    "best by an unknown metric": (
        MetricNotFoundError,
        "'acc'",
        lambda lab: lab.archive.best_run("ac", "maximize"),
    ),
    "best in an unknown direction": (
        InvalidValueError,
        "minimize",
        lambda lab: lab.archive.best_run("acc", "up"),
    ),
    "best by an unknown value": (
        InvalidValueError,
        "last",
        lambda lab: lab.archive.best_run("acc", "maximize", by="mean"),
    ),
    "best with a bad limit": (
        InvalidValueError,
        "limit",
        lambda lab: lab.archive.best_runs("acc", "maximize", limit=-1),
    ),
    "list with a bad limit": (InvalidValueError, "limit", lambda lab: lab.archive.list_runs(limit=-1)),
    "list with text for a filter": (InvalidTypeError, "RunFilter", lambda lab: lab.archive.list_runs("failed")),  # type: ignore[arg-type]
    "filter by an unknown status": (InvalidValueError, "completed", lambda lab: RunFilter.by_status("done")),
    "filter by an empty tag": (InvalidValueError, "empty", lambda lab: RunFilter.by_tag("")),
    "filter with a bad date": (InvalidValueError, "ISO", lambda lab: RunFilter.all(after="yesterday")),
    "filter with a number for a date": (InvalidTypeError, "datetime", lambda lab: RunFilter.all(before=3)),  # type: ignore[arg-type]
    "filters that exclude each other": (
        InvalidValueError,
        "both",
        lambda lab: RunFilter.by_group("a") & RunFilter.by_group("b"),
    ),
    "sql of wrong type": (InvalidTypeError, "int", lambda lab: lab.archive.sql(3)),  # type: ignore[arg-type]
    "sql that is wrong": (QueryError, "syntax", lambda lab: lab.archive.sql("SELEC 1")),
    "sql that is empty": (QueryError, "SELECT", lambda lab: lab.archive.sql("")),
    "sql that inserts": (
        QueryError,
        "INSERT",
        lambda lab: lab.archive.sql("INSERT INTO run_tag VALUES (1, 'x', '')"),
    ),
    "sql that deletes": (QueryError, "DELETE", lambda lab: lab.archive.sql("DELETE FROM run")),
    "sql that attaches": (QueryError, "ATTACH", lambda lab: lab.archive.sql("ATTACH 'x.db' AS x")),
    "sql that vacuums into a file": (
        QueryError,
        "ATTACH is not allowed",
        lambda lab: lab.archive.sql("VACUUM INTO 'x.db'"),
    ),
    "sql pragma": (QueryError, "PRAGMA", lambda lab: lab.archive.sql("PRAGMA journal_mode = DELETE")),
    "sql that loads code": (
        QueryError,
        "load_extension",
        lambda lab: lab.archive.sql("SELECT load_extension('x')"),
    ),
    "two statements": (QueryError, "one statement", lambda lab: lab.archive.sql("SELECT 1; DELETE FROM run")),
    "sql too long": (QueryError, "characters", lambda lab: lab.archive.sql("SELECT " + "1," * 60_000 + "1")),
    "sql without end": (
        QueryError,
        "0.2 s",
        lambda lab: lab.archive.sql(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
            timeout_s=0.2,
        ),
    ),
    "sql with a huge value": (QueryError, "too big", lambda lab: lab.archive.sql("SELECT zeroblob(900000000)")),
    "sql with a missing parameter": (QueryError, "SQL", lambda lab: lab.archive.sql("SELECT ?")),
    # Configs
    "override through a scalar": (
        ConfigError,
        "not a map",
        lambda lab: ExpConfig({"a": 1}).with_override("a.b", "2"),
    ),
    "override with an empty part": (
        ConfigError,
        "empty part",
        lambda lab: ExpConfig({}).with_override("a..b", "2"),
    ),
    "override with an unclosed list": (
        ConfigError,
        "closed",
        lambda lab: ExpConfig({}).with_override("a", "[1"),
    ),
    "override with an unclosed quote": (
        ConfigError,
        "closed",
        lambda lab: ExpConfig({}).with_override("a", '"x'),
    ),
    "override with a huge number": (
        ConfigError,
        "float",
        lambda lab: ExpConfig({}).with_override("a", "1e999"),
    ),
    "override beyond 64 bits": (
        ConfigError,
        "64 bits",
        lambda lab: ExpConfig({}).with_override("a", str(2**63)),
    ),
    "override with a doubled key": (
        ConfigError,
        "twice",
        lambda lab: ExpConfig({}).with_override("a", "{x: 1, x: 2}"),
    ),
    "override too deep": (ConfigError, "deeper", lambda lab: ExpConfig({}).with_override("a", "[" * 5000)),
    "merge with a list": (ConfigError, "list", lambda lab: exptrack.merge_configs({}, [1])),  # type: ignore[arg-type]
    "sources are one text": (ConfigError, "list", lambda lab: ExpConfig({}, "config.sdn")),
}


def dump(path: str) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_is_refused_clearly_and_changes_nothing(lab: Lab, case: str) -> None:
    kind, words, call = CASES[case]
    before = dump(lab.archive.path)
    with pytest.raises(kind) as caught:
        call(lab)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600
    assert dump(lab.archive.path) == before
    assert sorted(path.name for path in lab.folder.glob("*.db")) == ["lab.db"]


def test_a_closed_archive_says_so(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "lab.db")
    run = archive.start_run()
    run.complete()
    archive.close()
    archive.close()
    for call in (archive.list_runs, archive.start_run, archive.verify, lambda: run.tags):
        with pytest.raises(ArchiveClosedError):
            call()


def test_an_archive_opened_for_reading_refuses_to_write(tmp_path: Path) -> None:
    Archive(tmp_path / "lab.db").close()
    with Archive(tmp_path / "lab.db", mode="ro") as archive, pytest.raises(ArchiveReadOnlyError):
        archive.start_run()


def test_numbers_of_every_kind_are_taken(archive: Archive) -> None:
    from decimal import Decimal
    from fractions import Fraction

    import numpy as np

    values = [1, True, 2.5, Decimal("0.1"), Fraction(1, 4), np.float32(0.5), np.int64(3), np.array(7.0)]
    with archive.start_run() as run:
        for value in values:
            run.log_metric("x", value)
    assert [point.value for point in run.get_metric("x")] == [float(value) for value in values]
