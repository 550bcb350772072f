"""A query without runs says which condition no run satisfies, and which values there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from exptrack import Archive


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path / "lab.db")
    for number, model in enumerate(("resnet", "vit", "mlp")):
        config = {"model": model, "lr": 0.1 / 2**number, "sizes": [1, 2], "amp": True, "seed": number}
        with archive.start_run(config, ["baseline"], name=f"run{number}") as run:
            run.log({"acc": number})
    return archive


NO_VALUE = "no run has a value of it"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config.model = resnt", "config.model = 'resnt'; did you mean 'resnet'?"),
        ("config.model in (bert, vti)", "config.model in ('bert', 'vti'); did you mean 'vit'?"),
        ("config.model like 'q%'", "config.model like 'q%'; its values are 'mlp', 'resnet', 'vit'"),
        ("config.lr < 0.001", "config.lr < 0.001; its values go from 0.025 to 0.1"),
        ("config.lr = fast", "config.lr = 'fast'; its values go from 0.025 to 0.1"),
        ("config.amp = false", "config.amp = false"),
        ("config.sizes = [2]", "config.sizes = [2]"),
        ("config.model is null", "config.model is null"),
        ("metrics.acc.max > 10", "metrics.acc.max > 10; its values go from 0 to 2"),
        ("tag = basline", "tag = 'basline'; did you mean 'baseline'?"),
        ("tag = other", "tag = 'other'; its only value is 'baseline'"),
        ("status = failed", "status = 'failed'; its only value is 'completed'"),
        ("study = wide", f"study = 'wide'; {NO_VALUE}"),
        ("trial.state = pruned", f"trial.state = 'pruned'; {NO_VALUE}"),
        ("note = missing", f"note = 'missing'; {NO_VALUE}"),
        ("has_nan = true", "has_nan = true"),
        ("started > 2090-01-01", "started > '2090-01-01 00:00:00.000000'"),
        ("name = a or (name = b and config.lr = 1)", "name = 'a' or (name = 'b' and config.lr = 1)"),
        ("not (tag = baseline)", "not (tag = 'baseline')"),
        ("tag = baseline and name = run9", "name = 'run9'; did you mean 'run2'?"),
    ],
)
def test_the_condition_that_no_run_satisfies_is_named(archive: Archive, text: str, said: str) -> None:
    assert archive.runs().where(text).explain_empty() == f"no run satisfies {said}"


def test_conditions_that_exclude_each_other_are_told_apart(archive: Archive) -> None:
    query = archive.runs().where("config.model = vit").where("config.lr = 0.1")
    assert query.explain_empty() == "no run satisfies all conditions; each alone is satisfied by some runs"


def test_many_values_are_shown_in_part(archive: Archive) -> None:
    for number in range(7):
        archive.start_run(name=f"{number}" * 9).complete()
    why = archive.runs().where("name = zebra").explain_empty()
    assert (why or "").endswith("'444444444' and 5 more")


def test_a_query_that_has_runs_or_cannot_have_any_says_so(archive: Archive, tmp_path: Path) -> None:
    assert archive.runs().explain_empty() is None
    assert archive.runs().where("tag = baseline").limit(0).explain_empty() is None
    assert archive.runs().only().explain_empty() == "no run was chosen"
    assert Archive(tmp_path / "new.db").runs().where("status = failed").explain_empty() == "there are no runs"


def test_runs_in_the_trash_satisfy_nothing(archive: Archive) -> None:
    (run,) = archive.runs().where("name = run1")
    archive.trash_run(run.run_id)
    why = archive.runs().where("config.model = vit").explain_empty()
    assert why == "no run satisfies config.model = 'vit'; its values are 'mlp', 'resnet'"
