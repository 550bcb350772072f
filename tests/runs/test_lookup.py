"""Runs are found by the name that another tracker has for them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from exptrack import Archive, ExternalIdError, InvalidValueError, RunNotFoundError, start_run


def test_a_run_is_found_filtered_and_resumed_by_its_external_id(archive: Archive) -> None:
    with archive.start_run({"lr": 0.1}, external_id="wandb:lab/abc") as run:
        run.log({"loss": 0.5})
    archive.start_run().complete()
    found = archive.find_run(external_id="wandb:lab/abc")
    assert (found.run_id, found.external_id, found.metrics) == (run.run_id, "wandb:lab/abc", {"loss": 0.5})
    assert archive.show_run(found).summary == found
    for text in ("external_id = 'wandb:lab/abc'", "external_id like 'wandb:%'", "external_id is not null"):
        assert [one.run_id for one in archive.runs().where(text)] == [run.run_id], text
    assert archive.runs().where("external_id is null").count() == 1
    assert [row["external_id"] for row in archive.runs().order_by("started").to_dicts()] == [
        "wandb:lab/abc",
        None,
    ]
    resumed = archive.resume_run(archive.find_run(external_id="wandb:lab/abc"))
    resumed.log({"loss": 0.25})
    resumed.complete()
    assert archive.find_run(external_id="wandb:lab/abc").metrics == {"loss": 0.25}
    assert archive.sql("SELECT external_id FROM runs WHERE external_id IS NOT NULL").rows == (
        ("wandb:lab/abc",),
    )


def test_no_two_runs_have_one_external_id(archive: Archive) -> None:
    first = archive.start_run(external_id="mlflow:1")
    with pytest.raises(ExternalIdError, match=first.run_id) as caught:
        archive.start_run(external_id="mlflow:1")
    assert (caught.value.run_id, caught.value.external_id) == (first.run_id, "mlflow:1")
    assert len(archive.list_runs()) == 1
    started: list[str] = []
    refused: list[str] = []

    def begin() -> None:
        try:
            started.append(archive.start_run(external_id="mlflow:2").run_id)
        except ExternalIdError as error:
            refused.append(error.run_id)

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(started), refused) == (1, started * 5)
    first.complete()
    archive.delete_run(first)
    archive.start_run(external_id="mlflow:1").complete()


def test_an_external_id_that_no_run_has_is_told(archive: Archive) -> None:
    with pytest.raises(RunNotFoundError, match="no run with the external id 'wandb:zzz'"):
        archive.find_run(external_id="wandb:zzz")
    for bad in ("", "a\nb", 5):
        with pytest.raises(InvalidValueError):
            archive.find_run(external_id=bad)  # type: ignore[arg-type]
        with pytest.raises(InvalidValueError):
            archive.start_run(external_id=bad)  # type: ignore[arg-type]
    assert archive.list_runs() == []


def test_the_default_archive_takes_one_too(tmp_path: Path) -> None:
    start_run(external_id="x:1", at_exit="complete").complete()
    with Archive(tmp_path / "exptrack.db", mode="ro") as archive:
        assert archive.find_run(external_id="x:1").status == "completed"
