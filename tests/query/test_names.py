"""A misspelled name is refused with the name that was meant; an unlikely one finds nothing."""

from __future__ import annotations

import pytest

from exptrack import Archive, FilterError


def test_a_misspelled_key_or_metric_is_suggested_and_an_unlikely_one_answers_nothing(archive: Archive) -> None:
    with archive.start_run({"optim": {"lr": 1}}) as run:
        run.log({"accuracy": 1.0})
    for text, meant, place in (
        ("name = a or config.optim.l = 1", "config.optim.lr", 12),
        ("metrics.acuracy > 0", "metrics.accuracy", 0),
    ):
        with pytest.raises(FilterError, match=f"did you mean {meant}") as caught:
            archive.runs().where(text)
        assert caught.value.position == place
    assert archive.runs().where("config.zzzzzz = 1").count() == 0
    assert archive.runs().where("config.optim.l is null").count() == 1
    with pytest.raises(FilterError, match=r"did you mean metrics\.accuracy"):
        archive.runs().order_by("-metrics.acuracy")
    with pytest.raises(FilterError, match=r"did you mean config\.optim\.lr"):
        archive.runs().values("config.optim.rl")


def test_a_name_among_very_many_is_suggested(archive: Archive) -> None:
    with archive.start_run({"deep": {f"option_{number}": number for number in range(3_000)}}) as run:
        run.log({f"layer{number}/norm": 1.0 for number in range(2_000)})
    for text, meant in (
        ("config.deep.optiom_1234 = 1", "config.deep.option_1234"),
        ("metrics.layr1999/norm > 1", "metrics.layer1999/norm"),
    ):
        with pytest.raises(FilterError, match=f"did you mean {meant}?"):
            archive.runs().where(text)
