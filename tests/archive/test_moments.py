"""A reading sees the archive of one moment, whatever another process deletes between its statements."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive, RunNotFoundError
from exptrack.database.statements import StatementRunner

READINGS: dict[str, Callable[[Archive, list[str]], Any]] = {
    "best_runs": lambda archive, _: archive.best_runs("loss", "minimize"),
    "list_runs": lambda archive, _: archive.list_runs(),
    "runs": lambda archive, _: archive.runs().where("metrics.loss > 0").list(),
    "count": lambda archive, _: archive.runs().where("tag = 'a'").count(),
    "show_run": lambda archive, ids: archive.show_run(ids[0]),
    "get_run": lambda archive, ids: archive.get_run(ids[0]).run_id,
    "diff_runs": lambda archive, ids: archive.diff_runs(*ids),
    "compare": lambda archive, ids: archive.compare(ids),
    "read_events": lambda archive, ids: archive.read_events(ids[0]),
    "series": lambda archive, ids: archive.series(ids[0], "loss").lists(),
    "align": lambda archive, ids: archive.align(ids, "loss").columns["/".join((ids[0], "loss"))].tolist(),
}


@pytest.mark.parametrize("name", READINGS)
def test_a_run_deleted_between_two_statements_is_read_whole_or_not_at_all(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.db"
    read = READINGS[name]
    place, seen_whole, went_on = 0, 0, True
    while went_on:
        with Archive(path) as archive, Archive(path) as another:
            ids = []
            for number in range(2):
                with archive.start_run({"lr": number}, ["a"]) as run:
                    run.log({"loss": 1.0 + number})
                ids.append(run.run_id)
            before = read(archive, ids)
            left = [place]

            def delete(
                connection: Any, *, left: list[int] = left, doomed: str = ids[0], by: Archive = another
            ) -> None:
                if connection is by._connection:
                    return
                left[0] -= 1
                if left[0] == -1:
                    by.delete_run(doomed)

            with monkeypatch.context() as watched:
                for one in ("all", "one", "fold"):
                    plain = getattr(StatementRunner, one)

                    def first_delete(self: Any, *args: Any, plain: Any = plain, delete: Any = delete) -> Any:
                        delete(self)
                        return plain(self, *args)

                    watched.setattr(StatementRunner, one, first_delete)
                try:
                    found = read(archive, ids)
                except RunNotFoundError as error:
                    found = None if ids[0] in str(error) else error
            went_on = left[0] < 0
            if found == before:
                seen_whole += 1
            else:
                with pytest.raises(RunNotFoundError):
                    archive.show_run(ids[0])
                if name in ("best_runs", "list_runs", "runs", "count"):
                    assert found == read(archive, ids)
                else:
                    assert found is None
            for one in archive.list_runs():
                archive.delete_run(one.run_id)
        place += 1
    assert seen_whole
