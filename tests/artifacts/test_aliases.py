"""Aliases, kinds and descriptions of artifacts: what they name, when they move, what a removal leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from exptrack import (
    Archive,
    Artifact,
    ArtifactNotFoundError,
    ArtifactStore,
    InvalidTypeError,
    InvalidValueError,
    Run,
)
from tests.changes import altering


def named(store: ArtifactStore, name: str = "model") -> dict[str, int]:
    """The version of each alias of an artifact, as the listing says it."""
    return {alias: a.version for a in store.list_artifacts() if a.name == name for alias in a.aliases}


def history(run: Run, *kinds: str) -> list[object]:
    return [tuple(event.data.values()) for event in run.read_events() if event.kind in kinds]


def test_an_alias_names_the_newest_version_and_moves(run: Run, store: ArtifactStore) -> None:
    for version in range(3):
        store.register_data("model", f"{version}", aliases=["best", "best"] if version == 1 else ())
    assert named(store) == {"best": 2}
    store.set_alias("model", "candidate")
    store.set_alias("model", "best", version=1)
    assert named(store) == {"best": 1, "candidate": 3}
    store.register_data("model", "3", aliases="best")
    assert named(store) == {"best": 4, "candidate": 3}
    store.remove_alias("model", "best")
    assert named(store) == {"candidate": 3}
    assert history(run, "alias") == [
        ("model", "best", 2),
        ("model", "candidate", 3),
        ("model", "best", 1),
        ("model", "best", 4),
        ("model", "best", None),
    ]
    with pytest.raises(ArtifactNotFoundError, match="model:best"):
        store.remove_alias("model", "best")


def test_every_way_of_reading_takes_an_alias(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.txt").write_text("a")
    store.register_dir("data", tmp_path / "tree", aliases=["raw"], kind="corpus", description="as it came")
    for text in ("one", "two", "three"):
        store.register_data("model", text, aliases=[text], kind="model", description=f"number {text}")
    found = store.get_artifact("model:two")
    assert found is not None
    assert (found.version, found.kind, found.description, found.aliases) == (2, "model", "number two", ("two",))
    assert [store.get_blob(f"model:{label}") for label in ("two", "v1", "latest", "gone", "v9")] == [
        "two",
        "one",
        "three",
        None,
        None,
    ]
    with store.open("model:one") as file:
        assert file.read() == b"one"
    assert store.export("model:two", tmp_path).read_text() == "two"
    assert (tmp_path / "model").is_file()
    assert [file.path for file in store.list_files("data:raw")] == ["a.txt"]
    folder = store.get_artifact("data:raw")
    assert folder is not None
    assert (folder.is_folder, folder.kind, folder.description) == (True, "corpus", "as it came")
    with pytest.raises(ArtifactNotFoundError):
        store.export("model:gone", tmp_path / "gone")


def test_media_take_aliases_and_a_description(run: Run, store: ArtifactStore) -> None:
    run.log_text("sample", "to be", 3, aliases=["first"], description="a line")
    run.log_table("rows", [{"n": 1}], aliases=["t"], description="rows")
    run.log_histogram("w", [1.0, 2.0], aliases=["h"], description="weights")
    run.log_image("i", b"<svg></svg>", aliases=["i"], description="a picture")
    assert store.get_table("rows:t") == {"n": [1]}
    assert [(a.name, a.kind, a.aliases, a.description) for a in store.list_artifacts()] == [
        ("i", "image", ("i",), "a picture"),
        ("rows", "table", ("t",), "rows"),
        ("sample", "text", ("first",), "a line"),
        ("w", "histogram", ("h",), "weights"),
    ]


def test_in_an_archive_the_alias_that_was_set_last_counts(archive: Archive) -> None:
    stores = [archive.start_run().artifacts for _ in range(2)]
    for store in stores:
        store.register_data("model", store.run_id, aliases=["best"])
        store.register_data("model", f"{store.run_id} again")

    def best(reference: str = "model:best") -> tuple[str, int]:
        found: Artifact = archive.find_artifact(reference)
        assert "best" in found.aliases
        return found.run_id, found.version

    first, second = stores
    assert best() == (second.run_id, 1)
    first.set_alias("model", "best", 1)  # it named this version before, and does so last now
    assert best() == (first.run_id, 1)
    assert best(f"{second.run_id}/model:best") == (second.run_id, 1)
    second.set_alias("model", "best")
    assert best() == (second.run_id, 2)
    second.remove_alias("model", "best")
    assert best() == (first.run_id, 1)
    with archive.start_run() as user:
        used = user.use_artifact("model:best")
        assert (used.read(), used.artifact.aliases) == (first.run_id, ("best",))
    assert user.inputs[0].version == 1
    (by_hash,) = [a for a in archive.show_run(first.run_id).artifacts if a.aliases]
    assert archive.find_artifact(by_hash.hash) == by_hash == archive.find_artifact(by_hash)
    for missing in ("model:worst", f"{second.run_id}/model:best", "other:best"):
        with pytest.raises(ArtifactNotFoundError):
            archive.find_artifact(missing)


def test_a_name_that_looks_like_a_reference_is_found_as_a_name(archive: Archive, store: ArtifactStore) -> None:
    store.register_data("model", "plain", aliases=["best"])
    store.register_data("model:best", "colon")
    assert store.get_blob("model:best") == "colon"
    assert archive.find_artifact("model:best").name == "model:best"
    assert archive.find_artifact(f"{store.run_id}/model:best").name == "model:best"


def test_the_alias_of_a_removed_version_is_gone(archive: Archive, run: Run, store: ArtifactStore) -> None:
    for text in ("one", "two", "three"):
        store.register_data("model", text, aliases=[text, f"also-{text}"])
    store.remove("model", 2)
    assert named(store) == {"also-one": 1, "also-three": 3, "one": 1, "three": 3}
    assert store.get_artifact("model:two") is None
    with pytest.raises(ArtifactNotFoundError):
        archive.find_artifact("model:two")
    with pytest.raises(ArtifactNotFoundError):
        store.set_alias("model", "best", 2)
    rows = archive._connection.all(
        "SELECT alias, set_at FROM artifact_alias WHERE version IS NULL ORDER BY alias"
    )
    removed = archive._connection.value("SELECT removed_at FROM artifact WHERE version = 2")
    assert [tuple(row) for row in rows] == [("also-two", removed), ("two", removed)]
    assert history(run, "artifact-removed", "alias")[-3:] == [
        ("model", 2),
        ("model", "also-two", None),
        ("model", "two", None),
    ]
    store.keep("model", last=1)
    assert named(store) == {"also-three": 3, "three": 3}
    assert archive.verify().ok


def test_a_description_is_set_changed_and_removed(run: Run, store: ArtifactStore) -> None:
    store.register_data("model", "one", description="first")
    store.register_data("model", "two")

    def texts() -> list[str | None]:
        return [a.description for a in store.list_artifacts()]

    assert texts() == ["first", None]
    store.describe("model", "newest")
    store.describe("model", "oldest", version=1)
    assert texts() == ["oldest", "newest"]
    store.describe("model", None, 1)
    assert texts() == [None, "newest"]
    assert history(run, "describe") == [("model", 2, 6), ("model", 1, 6), ("model", 1, 0)]
    with pytest.raises(ArtifactNotFoundError):
        store.describe("model", "x", 3)
    with pytest.raises(InvalidValueError, match="empty"):
        store.describe("model", " ")


@pytest.mark.parametrize("alias", ["latest", "v1", "v01", "a:b", "a/b", "", "a\nb", "x" * 201, "\ud800"])
def test_a_word_that_is_no_alias_is_refused_before_a_write(store: ArtifactStore, alias: str) -> None:
    for call in (
        lambda: store.register_data("model", "x", aliases=[alias]),
        lambda: store.set_alias("model", alias),
        lambda: store.remove_alias("model", alias),
    ):
        with pytest.raises(InvalidValueError):
            call()
    assert store.list_artifacts() == []


def test_words_near_the_reserved_ones_are_aliases(store: ArtifactStore) -> None:
    words = ["Latest", "v", "v1.0", "V1", "best v1", "bést", "a" * 200]
    store.register_data("model", "x", aliases=words)
    assert named(store) == dict.fromkeys(words, 1)
    assert all(store.get_blob(f"model:{word}") == "x" for word in words)


def test_what_is_no_alias_at_all_is_refused(store: ArtifactStore) -> None:
    for wrong in (5, [5], {"best": 1}.items()):
        with pytest.raises(InvalidTypeError):
            store.register_data("model", "x", aliases=wrong)  # type: ignore[arg-type]
    for wrong in (5, b"x"):
        with pytest.raises(InvalidTypeError):
            store.register_data("model", "x", description=wrong)  # type: ignore[arg-type]
    for wrong in ("", 5):
        with pytest.raises((InvalidTypeError, InvalidValueError)):
            store.register_data("model", "x", kind=wrong)  # type: ignore[arg-type]
    assert store.list_artifacts() == []


def test_equal_content_is_a_new_version_that_takes_the_alias(archive: Archive, store: ArtifactStore) -> None:
    hashes = {store.register_data("model", "same", aliases=["best"]) for _ in range(2)}
    assert len(hashes) == 1
    assert named(store) == {"best": 2}
    assert archive._connection.value("SELECT count(*) FROM blob") == 1


def test_an_ended_run_takes_aliases_and_other_processes_see_them(archive: Archive, run: Run) -> None:
    run.artifacts.register_data("model", "x")
    run.complete()
    run.artifacts.set_alias("model", "best")
    run.artifacts.describe("model", "after the end")
    with Archive(archive.path, mode="ro") as other:
        found = other.find_artifact("model:best")
        assert (found.aliases, found.description) == (("best",), "after the end")
        assert other.verify().ok
    rows = archive.sql("SELECT name, alias, version FROM artifact_aliases")
    assert list(rows.rows) == [("model", "best", 1)]


def test_verification_tells_of_an_alias_without_its_version(tmp_path: Path) -> None:
    with Archive(tmp_path / "torn.db") as archive:
        with archive.start_run() as run:
            run.artifacts.register_data("model", "x", aliases=["best"])
        with altering(archive._connection):
            archive._connection.execute("UPDATE artifact_alias SET version = 7")
        (problem,) = archive.verify().problems
    assert problem.where == f"{run.run_id} model:best"
    assert "version 7" in problem.message
