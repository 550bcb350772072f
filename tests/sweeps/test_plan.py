"""Plans of sweeps: what is refused, and that they come back from JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exptrack import Dimension, Pruner, Sampler, SweepPlan, SweepPlanError
from exptrack.sweeps.plan import check_time_limit
from tests.sweeps.plans import ROOMY, TREES, facts_of, plans


def test_what_code_plans_is_checked_too() -> None:
    space = {"a": Dimension("int", 1, 2)}
    for facts in (
        {"name": ""},
        {"metric": "a\nb"},
        {"direction": "up"},
        {"direction": ["max"]},
        {"space": {}},
        {"space": {"": Dimension("int", 1, 2)}},
        {"space": {3: Dimension("int", 1, 2)}},
        {"jobs": 1.0},
        {"time_limit_s": "x"},
    ):
        good: dict[str, Any] = {"name": "n", "metric": "m", "direction": "minimize", "space": space}
        with pytest.raises(SweepPlanError):
            SweepPlan(**good | facts)
    for options in ([], {3: 1}, {"a-b": 1}):
        with pytest.raises(SweepPlanError, match="option"):
            SweepPlan("n", "m", "minimize", space, pruner=Pruner("median", options))  # type: ignore[arg-type]
    with pytest.raises(SweepPlanError, match="cannot hold the object"):
        SweepPlan("n", "m", "minimize", space, pruner=Pruner.of(optuna.pruners.NopPruner()))
    for choices in ([1], (math.nan,), ("\ud800",), ({},), ()):
        with pytest.raises(SweepPlanError):
            Dimension("choice", choices=choices)  # type: ignore[arg-type]
    with pytest.raises(SweepPlanError):
        Dimension("float", 0.0, math.inf)


def test_a_direction_may_be_short_as_elsewhere() -> None:
    space = {"a": Dimension("int", 1, 2)}
    assert SweepPlan("n", "m", "max", space) == SweepPlan("n", "m", "maximize", space)
    assert SweepPlan("n", "m", "min", space).direction == "minimize"


def test_numbers_of_numpy_become_plain_ones() -> None:
    choices = (*np.logspace(-2, 0, 3), np.int64(7), np.float32(0.5), np.bool_(False), np.str_("a"))
    found = Dimension("choice", choices=choices).choices
    assert found == (0.01, 0.1, 1.0, 7, 0.5, False, "a")
    assert [type(one) for one in found] == [float, float, float, int, float, bool, str]
    dimension = Dimension("int", np.int32(1), np.array(9), np.int8(2))
    assert (dimension.low, dimension.high, dimension.step) == (1, 9, 2)
    plan = SweepPlan("n", "m", "minimize", {"a": dimension}, max_trials=np.int64(3), jobs=np.int64(2))
    assert json.loads(json.dumps(plan.to_settings())) == plan.to_settings()
    for bad in (np.array([1, 2]), np.datetime64("2024-01-01"), np.float64("nan"), 1j):
        with pytest.raises(SweepPlanError):
            Dimension("choice", choices=(bad,))  # type: ignore[arg-type]


@pytest.mark.parametrize("sampler", [Sampler.grid(), Sampler("BruteForceSampler"), Sampler("GridSampler")])
def test_what_tries_every_combination_is_not_pruned_unless_asked(sampler: Sampler) -> None:
    space = {"a": Dimension("int", 1, 2)}
    assert SweepPlan("n", "m", "minimize", space, sampler=sampler).pruner == Pruner.none()
    asked = SweepPlan("n", "m", "minimize", space, sampler=sampler, pruner=Pruner.median())
    assert asked.pruner == Pruner.median()
    assert SweepPlan("n", "m", "minimize", space).pruner == Pruner.median()


def test_a_time_limit_is_refused_as_a_part_of_the_plan() -> None:
    assert check_time_limit("2h 30m") == 9000.0
    with pytest.raises(SweepPlanError, match="like 90s, 10min or 2h 30m") as refused:
        check_time_limit("soon")
    assert refused.value.key == "time_limit_s"


@pytest.mark.parametrize("time", [1e300, 10**18, "99999999999w", "36525d 1s"])
def test_a_time_limit_of_more_than_a_lifetime_is_refused(time: float | str) -> None:
    assert check_time_limit("36525d") == 36_525 * 86_400
    with pytest.raises(SweepPlanError, match=r"is at most 100 years, not .* leave it out"):
        check_time_limit(time)
    with pytest.raises(SweepPlanError, match="is at most 100 years"):
        SweepPlan("n", "m", "minimize", {"a": Dimension("int", 1, 2)}, time_limit_s=time)  # type: ignore[arg-type]


@ROOMY
@given(plans())
def test_a_plan_comes_back_from_json(plan: SweepPlan) -> None:
    back = SweepPlan.from_settings(json.loads(json.dumps(plan.to_settings())))
    assert facts_of(back) == facts_of(plan)
    assert back == plan
    if plan.base is not None and back.base is not None:
        assert back.base.sources == plan.base.sources


@ROOMY
@given(st.dictionaries(st.sampled_from(["name", "space", "sampler", "pruner", "base"]), TREES))
def test_settings_that_describe_no_plan_are_refused(changes: dict[str, Any]) -> None:
    plan = SweepPlan("n", "m", "maximize", {"a": Dimension("int", 1, 2)})
    settings = plan.to_settings() | changes
    try:
        found = SweepPlan.from_settings(settings)
    except SweepPlanError:
        return
    assert found.name == settings["name"]


@pytest.mark.parametrize("settings", [{}, {"space": 3}, {"name": "x", "more": 1}, [], None, 3])
def test_no_settings_are_no_plan(settings: Any) -> None:
    with pytest.raises(SweepPlanError, match="describe no sweep"):
        SweepPlan.from_settings(settings)
