"""Declared data are found by name, by reference and by digest, and a changed file is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive, ArtifactNotFoundError, DeclaredData, FilterError, RunNotFoundError
from tests.cli.calls import call

HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # of the bytes b"test"


@pytest.fixture
def used(archive: Archive, tmp_path: Path) -> Archive:
    """Runs a and b used the same file, c a changed one; d used a bucket, e nothing."""
    (tmp_path / "train.csv").write_bytes(b"test")
    for name, data in (
        ("a", {"train": "train.csv"}),
        ("b", [Path("train.csv")]),
        ("c", {"train": Path("train.csv"), "test": "s3://b/t_1"}),
        ("d", ["s3://b/t_1", "s3://b/tx1"]),
        ("e", None),
    ):
        if name == "c":
            (tmp_path / "train.csv").write_bytes(b"changed")
        archive.start_run(name=name, group="lab", data=data).complete()  # type: ignore[arg-type]
    return archive


def names(archive: Archive, where: str, *values: Any) -> str:
    return "".join(sorted(run.name or "" for run in archive.runs().where(where, *values)))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("data = train", "ac"),
        ("data = train.csv", "abc"),
        ("data = 'train.csv'", "abc"),
        (f"data = 'sha256:{HASH}'", "ab"),
        (f"data = 'train.csv@sha256:{HASH}'", "ab"),
        ("data in (test, train)", "ac"),
        ("data != train", "bde"),
        ("data like 's3://%'", "cd"),
        ("data is null", "e"),
        ("exists data", "abcd"),
        ("data.train = train.csv", "ac"),
        (f"data.train = 'train.csv@sha256:{HASH}'", "a"),
        ("data.train != train.csv", "bde"),
        ("data.train in (x, train.csv)", "ac"),
        ("data.train not in (x, train.csv)", "bde"),
        ("data.test like 's3://%'", "c"),
        (r"data.test like '%t\_1'", "c"),
        ("data.test not like 's3://%'", "abde"),
        ("data.train is null", "bde"),
        ("data.train is not null", "ac"),
        ("exists data.train", "ac"),
        ("exists(data.test)", "c"),
        ('data."train.csv" = train.csv', "b"),
        ("DATA.train = train.csv and not data.test is null", "c"),
    ],
)
def test_filters_find_the_runs_that_used_data(used: Archive, where: str, expected: str) -> None:
    assert names(used, where) == expected
    assert used.runs().where(where).count() == len(expected)
    assert "".join(sorted(names(used, f"not ({where})") + expected)) == "abcde"


def test_a_list_for_data_is_spread(used: Archive) -> None:
    assert names(used, "data in (?)", ["test", "nothing"]) == "c"
    assert names(used, "data.train in (?)", ["train.csv"]) == "ac"
    assert names(used, "data.train in (?)", []) == ""
    assert names(used, "data.train not in (?)", []) == "abcde"


@pytest.mark.parametrize("where", ["data < a", "data.train < a", "data.", "data.train", "data. = 1"])
def test_what_is_wrong_with_data_is_refused(used: Archive, where: str) -> None:
    with pytest.raises(FilterError):
        used.runs().where(where)


def test_a_column_has_the_names(used: Archive) -> None:
    rows = used.runs().order_by("name").to_dicts(["name", "data"])
    assert [row["data"] for row in rows] == [
        ["train"], ["train.csv"], ["test", "train"], ["s3://b/t_1", "s3://b/tx1"], []
    ]  # fmt: skip
    with pytest.raises(FilterError, match="can only be compared"):
        used.runs().order_by("data.train")
    summary = used.runs().summarize("data")
    assert (summary.missing, dict(summary.top)["train"]) == (1, 2)


def test_a_changed_file_is_told_and_makes_another_experiment(used: Archive) -> None:
    a, c = (used.runs().where(f"name = {name}").list()[0] for name in "ac")
    assert a.fingerprint != c.fingerprint
    with used.start_run(name="again", group="lab", data={"train": "train.csv"}) as run:
        pass
    changed = used.what_changed(run)
    assert changed is not None
    (path,) = (one for one in used.what_changed(c.run_id).data if one.name == "train.csv")  # type: ignore[union-attr]
    assert path.change == "removed"
    shown = call(Path(used.path), "changes", c.run_id).stdout
    assert f"train.csv@sha256:{HASH[:12]}" in shown
    assert HASH not in shown


def test_a_run_of_elsewhere_and_an_imported_one_keep_the_reference(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b"test")
    run = archive.start_run(data=["train.csv"], environment={"host": "there"})
    run.complete()
    assert archive.show_run(run).environment["data_references"] == {"train.csv": "train.csv"}


def test_lineage_lists_the_runs_that_used_data(used: Archive) -> None:
    ids = {run.name: run.run_id for run in used.list_runs()}
    for subject in ("train.csv", f"sha256:{HASH}", "train"):
        expected = {"train.csv": "abc", "train": "ac"}.get(subject, "ab")
        found = used.lineage(subject)
        assert found.subject == subject
        assert [one.run_id for one in found.data] == [ids[name] for name in expected]
    of_run = used.lineage(ids["d"])
    assert of_run.data == tuple(DeclaredData(ids["d"], name, name) for name in ("s3://b/t_1", "s3://b/tx1"))
    with pytest.raises(RunNotFoundError):
        used.lineage("nothing")
    with pytest.raises(ArtifactNotFoundError):
        used.lineage("sha256:" + "0" * 64)


def test_lineage_follows_what_the_users_of_data_made(used: Archive) -> None:
    (a,) = used.runs().where("name = a").list()
    used.artifacts(a).register_data("model", b"weights")
    with used.start_run(name="f") as run:
        run.use_artifact("model")
    found = used.lineage("train")
    assert [use.run_id for use in found.downstream] == [run.run_id]
    assert [one.name for one in found.artifacts] == ["model"]
    assert [one.run_id for one in used.lineage(run).data] == [a.run_id], "of the run before it"


def test_commands_show_data(used: Archive) -> None:
    path = Path(used.path)
    (a,) = used.runs().where("name = a").list()
    shown = call(path, "show", a.run_id).stdout
    assert f"train.csv@sha256:{HASH[:12]}" in shown
    assert json.loads(call(path, "show", a.run_id, "--json").stdout)["environment"]["data_references"] == {
        "train": f"train.csv@sha256:{HASH}"
    }
    tree = call(path, "lineage", "train.csv").stdout
    assert tree.splitlines()[0] == "data train.csv was used by"
    assert f"run {a.run_id} as train: train.csv@sha256:{HASH[:12]}" in tree
    assert "data that was declared" in call(path, "lineage", a.run_id).stdout
