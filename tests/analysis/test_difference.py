"""Two runs differ in what their configs and metrics say, by themselves."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exptrack import Archive, ExpConfig
from exptrack.config.tree import leaf_value
from tests.analysis.runs import ROOMY, finished
from tests.strategies import CONFIGS, FLOATS, exactly

LOGGED = st.dictionaries(
    st.sampled_from(["loss", "acc", "ä"]), st.lists(FLOATS, min_size=1, max_size=3), max_size=3
)


def test_two_runs_differ_in_config_and_metrics(archive: Archive) -> None:
    with archive.start_run({"lr": 0.1, "only_a": 1, "n": 1}) as a:
        a.log({"acc": 0.5})
    with archive.start_run({"lr": 0.2, "only_b": None, "n": 1.0}) as b:
        b.log({"acc": 0.7})
        b.log({"acc": 0.6})
    diff = archive.diff_runs(a.run_id, b.run_id)
    assert [(d.key, d.change, d.a, d.b) for d in diff.config] == [
        ("lr", "changed", 0.1, 0.2),
        ("n", "changed", 1, 1.0),
        ("only_a", "removed", 1, None),
        ("only_b", "added", None, None),
    ]
    (acc,) = diff.metrics
    assert (acc.last_a, acc.last_b, acc.max_b) == (0.5, 0.6, 0.7)


def test_a_difference_names_what_set_each_value(archive: Archive) -> None:
    a = finished(archive, ExpConfig({"lr": 2, "n": 1}).with_override("lr", "1"))
    b = finished(archive, {"lr": 2})
    lr, n = archive.diff_runs(a, b).config
    assert lr.source_a == archive.show_run(a).config_sources["lr"]
    assert lr.source_a is not None
    assert lr.source_a.kind == "override"
    assert lr.source_b == archive.show_run(b).config_sources.get("lr")
    assert (n.key, n.source_a, n.source_b) == ("n", archive.show_run(a).config_sources.get("n"), None)
    assert archive.diff_runs(a, a).config == ()


@ROOMY
@given(configs=st.tuples(CONFIGS, CONFIGS), logged=st.tuples(LOGGED, LOGGED))
def test_a_difference_agrees_with_the_runs_themselves(
    configs: tuple[dict[str, Any], dict[str, Any]], logged: tuple[dict[str, list[float]], ...]
) -> None:
    with tempfile.TemporaryDirectory() as folder, Archive(Path(folder) / "lab.db") as archive:
        runs = []
        for config, values in zip(configs, logged, strict=True):
            run = archive.start_run(config)
            for name, several in values.items():
                for value in several:
                    run.log_metric(name, value)
            run.complete()
            runs.append(run)
        diff, same = archive.diff_runs(*runs), archive.diff_runs(runs[0], runs[0])
        of_a, of_b = ({one.name: one for one in archive.show_run(run).metrics} for run in runs)
    flat = [{leaf.key: tuple(leaf)[1:] for leaf in ExpConfig(config).leaves()} for config in configs]
    expected = []
    for key in sorted({*flat[0], *flat[1]}):
        a, b = (of_run.get(key) for of_run in flat)
        if a != b:
            change = "removed" if b is None else "added" if a is None else "changed"
            values = tuple(None if leaf is None else leaf_value(*leaf) for leaf in (a, b))
            expected.append((key, change, *values))
    assert exactly([(d.key, d.change, d.a, d.b) for d in diff.config]) == exactly(expected)
    assert [one.name for one in diff.metrics] == sorted({*of_a, *of_b})
    for one in diff.metrics:
        for held, shown in (
            (of_a.get(one.name), (one.last_a, one.min_a, one.max_a)),
            (of_b.get(one.name), (one.last_b, one.min_b, one.max_b)),
        ):
            assert exactly(shown) == exactly((held.last, held.min, held.max) if held else (None, None, None))
    assert same.config == ()
    assert [(one.name, exactly(one.last_a)) for one in same.metrics] == [
        (name, exactly(of_a[name].last)) for name in sorted(of_a)
    ]
