"""Fields of runs are read with their types, in one way for values and for frames."""

from __future__ import annotations

import math

from exptrack import Archive
from exptrack.query.conditions import FACTS
from tests.strategies import exactly


def test_values_and_frames_read_the_same(archive: Archive) -> None:
    for number in range(3):
        config = {"lr": 0.1 * number, "n": 2**60 + number, "mix": [1, "a", None][number], "list": [number]}
        with archive.start_run(config, ["b", "a"] * number, name=f"run{number}") as run:
            run.log({"loss": math.nan if number == 1 else number})
            run.log({"only": 1.0} if number else {})
            run.add_note("second")
            run.add_note("first")
            run.artifacts.register_data("weights", bytes(number))
    keys = ["config.lr", "config.n", "config.mix", "config.list", "config.no_such_key"]
    metrics = [f"metrics.{name}" for name in ("loss", "loss.count", "loss.max", "only.mean", "no_such_metric")]
    names = [*FACTS, *keys, *metrics]
    query = archive.runs().order_by("-name")
    values = [found for _run, found in query.values(*names)]
    rows = query.to_dicts(names)
    assert len(values) == len(rows) == 3
    for found, row in zip(values, rows, strict=True):
        for name in names:
            value = list(found[name]) if isinstance(found[name], tuple) else found[name]
            assert value == row[name] or exactly(value) == exactly(row[name]), name
    assert rows[0]["note"] == ["first", "second"]
    assert (rows[0]["tag"], rows[2]["tag"]) == (["a", "b"], [])
