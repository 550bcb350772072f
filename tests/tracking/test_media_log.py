"""Images, texts, tables and histograms of a run: what is stored, what comes back, what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from exptrack import Archive, ArtifactNotFoundError, InvalidTypeError, InvalidValueError, Run, RunNotFoundError


@pytest.fixture
def run(archive: Archive) -> Run:
    return archive.start_run()


def artifact(run: Run, name: str, version: int | None = None) -> Any:
    found = run.artifacts.get_artifact(name, version)
    assert found is not None
    return found


def test_an_image_of_pixels_comes_back_as_the_same_pixels(run: Run) -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    digest = run.log_image("grid", pixels, 7, caption="an epoch's worst")
    found = artifact(run, "grid")
    assert (found.kind, found.step, found.media_type, found.hash) == ("image", 7, "image/png", digest)
    assert found.metadata == {"width": 5, "height": 4, "mode": "RGB", "caption": "an epoch's worst"}
    data = run.artifacts.get_blob("grid")
    assert isinstance(data, bytes)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)


def test_an_image_file_is_kept_byte_for_byte(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (3, 2), "red").save(tmp_path / "photo.dat", format="JPEG")
    run.log_image("photo", tmp_path / "photo.dat")
    found = artifact(run, "photo")
    assert (found.media_type, found.step) == ("image/jpeg", None)
    assert "caption" not in found.metadata
    assert run.artifacts.get_blob("photo") == (tmp_path / "photo.dat").read_bytes()


@pytest.mark.parametrize("text", ["", "to be\r\nor not\0 to be\n", "\ufeffé 漢 😀"])
def test_a_text_comes_back_as_the_same_text(run: Run, text: str) -> None:
    run.log_text("words", text, 3, caption="", media_type="text/markdown")
    found = artifact(run, "words")
    assert run.artifacts.get_blob("words") == text
    assert (found.kind, found.step, found.media_type, found.is_text) == ("text", 3, "text/markdown", True)
    assert found.metadata["characters"] == len(text)
    assert found.metadata["caption"] == "", "an empty caption is a caption"


def test_a_table_comes_back_as_columns(run: Run) -> None:
    run.log_table("scores", [{"who": "a", "n": 1}, {"who": None, "n": 2}], 0, caption="c")
    found = artifact(run, "scores")
    assert run.artifacts.get_table("scores") == {"who": ["a", None], "n": [1, 2]}
    assert (found.kind, found.metadata["rows"], found.metadata["caption"]) == ("table", 2, "c")
    run.log_table("scores", [[1, 2], [3, 4]], 1, columns=["x", "y.z"])
    assert run.artifacts.get_table("scores") == {"x": [1, 3], "y.z": [2, 4]}
    assert run.artifacts.get_table("scores", 1) == {"who": ["a", None], "n": [1, 2]}


def test_a_table_keeps_what_a_data_frame_holds(run: Run) -> None:
    import pandas as pd
    import polars as pl

    columns = {"x": [1.5, float("inf")], "s": ["a", ""]}
    run.log_table("pandas", pd.DataFrame(columns))
    run.log_table("polars", pl.DataFrame(columns))
    assert run.artifacts.get_table("pandas") == columns
    assert run.artifacts.get_table("polars") == columns


def test_column_names_of_every_kind_are_told_in_the_metadata(run: Run) -> None:
    names = ["a.b", '"', "${env:HOME}", "é", "x" * 1000]
    run.log_table("odd", [[1] * len(names)], columns=names)
    assert list(run.artifacts.get_table("odd")) == names
    assert all(name in json.dumps(artifact(run, "odd").metadata, ensure_ascii=False) for name in names[2:])


def test_a_histogram_counts_every_value(run: Run) -> None:
    run.log_histogram("w", [0.0, 0.5, 1.0, float("nan"), float("inf")], 2, bins=2, caption="layer 1")
    found = artifact(run, "w")
    stored = json.loads(str(run.artifacts.get_blob("w")))
    assert stored == {"edges": [0.0, 0.5, 1.0], "counts": [1, 2], "nan": 1, "low": 0, "high": 1}
    assert (found.kind, found.step, found.media_type) == ("histogram", 2, "application/json")
    assert (found.metadata["count"], found.metadata["caption"]) == (5, "layer 1")
    run.log_histogram("w", [1, 2, 9], range=(0, 4), bins=2)
    assert json.loads(str(run.artifacts.get_blob("w")))["high"] == 1
    run.log_histogram("w", counts=[3, 4], edges=[0, 1, 2])
    assert json.loads(str(run.artifacts.get_blob("w")))["counts"] == [3, 4]


def test_a_name_logged_again_is_a_new_version_and_equal_bytes_are_stored_once(
    run: Run, archive: Archive
) -> None:
    hashes = [
        run.log_image("grid", np.full((8, 8), value, np.uint8), step)
        for step, value in ((0, 1), (5, 2), (9, 1))
    ]
    assert hashes[0] == hashes[2] != hashes[1]
    series = [(a.version, a.step) for a in run.artifacts.list_artifacts()]
    assert series == [(1, 0), (2, 5), (3, 9)]
    assert archive.info(count_rows=True).rows["blob"] == 2


def test_a_finished_run_takes_them_as_it_takes_every_artifact(run: Run) -> None:
    run.complete()
    run.log_text("report.md", "written the day after", media_type="text/markdown")
    run.log_table("t", {"a": [1]})
    assert [a.kind for a in run.artifacts.list_artifacts()] == ["text", "table"]
    assert [e.kind for e in run.read_events()][-2:] == ["artifact", "artifact"]


def test_a_deleted_run_refuses_them(run: Run, archive: Archive) -> None:
    run.complete()
    archive.delete_run(run.run_id)
    with pytest.raises(RunNotFoundError):
        run.log_text("t", "x")


def test_a_reopened_archive_gives_them_back(run: Run, archive: Archive) -> None:
    run.log_table("t", {"a": [1, 2]})
    run.complete()
    with Archive(archive.path, mode="ro") as again:
        assert again.artifacts(run.run_id).get_table("t") == {"a": [1, 2]}


def test_what_is_no_table_is_not_read_as_one(run: Run) -> None:
    run.log_text("t", "a,b\n1,2\n", media_type="text/csv")
    with pytest.raises(InvalidValueError, match="is of kind text, not a table"):
        run.artifacts.get_table("t")
    with pytest.raises(ArtifactNotFoundError, match="'none'"):
        run.artifacts.get_table("none")
    run.log_table("t", {"a": [1]})
    with pytest.raises(ArtifactNotFoundError, match="version 3"):
        run.artifacts.get_table("t", 3)


def test_a_wrong_name_step_or_caption_is_refused_before_anything_is_encoded(run: Run) -> None:
    class Trap:
        """Whoever looks inside fails the test."""

        def __iter__(self) -> Any:
            raise AssertionError("it was encoded")

    for wrong in ({"name": ""}, {"step": 1.5}, {"caption": 3}):
        words: dict[str, Any] = {"name": "w", "values": Trap(), **wrong}
        with pytest.raises(InvalidValueError):
            run.log_histogram(**words)
    with pytest.raises(InvalidValueError, match="it was encoded") as caught:
        run.log_histogram("w", Trap())
    assert isinstance(caught.value.__cause__, AssertionError)
    with pytest.raises(InvalidTypeError):
        run.log_image("w", 3)
    assert run.artifacts.list_artifacts() == []
