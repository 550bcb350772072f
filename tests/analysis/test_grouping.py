"""Groups of runs have the counts, means and spreads that a naive computation finds."""

from __future__ import annotations

import math
import statistics
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exptrack import (
    Archive,
)
from tests.analysis.runs import ROOMY, finished
from tests.strategies import exactly

NUMBERS = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, 0.1, 1.7976931348623157e308]),
    st.floats(-1e6, 1e6),
)


MEMBERS = st.lists(
    st.tuples(
        st.dictionaries(
            st.sampled_from(["lr", "opt"]), st.sampled_from([1, 1.0, "1", True, None, "a", [1], {}])
        ),
        st.lists(NUMBERS, max_size=2),
        st.booleans(),
    ),
    max_size=8,
)


@ROOMY
@given(members=MEMBERS, statistic=st.sampled_from(["last", "max"]))
def test_groups_equal_a_naive_computation(members: list[Any], statistic: str) -> None:
    naive: dict[str, tuple[dict[str, Any], list[str], list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder, Archive(Path(folder) / "lab.db") as archive:
        finished(archive, {"lr": 0, "opt": 0}, loss=0.0)
        for config, values, fails in members:
            run = archive.start_run({**config, "seed": len(naive)}, tags=["drawn"])
            for value in values:
                run.log({"loss": value})
            if fails:
                run.fail("it did")
                continue
            run.complete()
            if values:
                numbers = [value for value in values if not math.isnan(value)]
                number = values[-1] if statistic == "last" else max(numbers, default=math.nan)
                entry = naive.setdefault(repr(sorted(config.items())), (config, [], []))
                entry[1].append(run.run_id)
                entry[2].append(number)
        found = archive.group_by(["lr", "opt"], "loss", where="tag = drawn", statistic=statistic)
        assert len(found) == len(naive)
        for group in found:
            config, run_ids, numbers = naive[repr(sorted(group.config.items()))]
            finite = [number for number in numbers if math.isfinite(number)]
            assert exactly(group.config) == exactly(config)
            assert sorted(group.run_ids) == sorted(run_ids)
            assert (group.count, group.finite) == (len(numbers), len(finite))
            assert group.nan_count == sum(map(math.isnan, numbers))
            assert group.infinite_count == sum(map(math.isinf, numbers))
            assert group.mean == (statistics.mean(finite) if finite else None)
            assert group.std == (statistics.stdev(finite) if len(finite) > 1 else None)
            assert (group.min, group.max) == ((min(finite), max(finite)) if finite else (None, None))


def test_groups_come_in_the_order_of_their_values(archive: Archive) -> None:
    for value in ("b", 10, 2, None, "a", True, 2.5, [1]):
        finished(archive, {"k": value}, loss=1.0)
    finished(archive, {}, loss=1.0)
    found = [group.config.get("k", "missing") for group in archive.group_by("k", "loss")]
    assert found == [2, 2.5, 10, True, "a", "b", None, [1], "missing"]


def test_the_spread_of_numbers_at_both_ends_of_floats_is_infinite(archive: Archive) -> None:
    for value in (-1.7e308, 1.7e308):
        finished(archive, {"k": 1}, loss=value)
    (group,) = archive.group_by("k", "loss")
    assert (group.mean, group.std) == (0.0, math.inf)
