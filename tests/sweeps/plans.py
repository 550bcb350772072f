"""Plans of every kind, for the tests of plans and of sweep files."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from exptrack import Dimension, ExpConfig, Pruner, Sampler, SweepPlan
from tests.strategies import FLOATS, NAMES, SCALARS, exactly

ROOMY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
WHOLE = st.integers(-(2**53), 2**53)
FINITE = FLOATS.filter(lambda x: abs(x) < 1e150)
OPTIONS = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(NAMES, SCALARS, max_size=2)
WORDS = st.text("abcxyz_", min_size=1, max_size=6)
KEYS = st.lists(WORDS, min_size=1, max_size=3).map(".".join)


@st.composite
def dimensions(draw: st.DrawFn, *, exhaustive: bool) -> Dimension:
    kind = draw(st.sampled_from(["float", "int", "choice"]))
    if kind == "choice":
        plain = SCALARS.filter(lambda one: not isinstance(one, str) or "\0" not in one)
        return Dimension("choice", choices=tuple(draw(st.lists(plain, min_size=1, max_size=4, unique=True))))
    if kind == "int" or exhaustive:
        low, steps = draw(st.integers(-1000, 1000)), draw(st.integers(0, 50))
        step = draw(st.sampled_from([1, 2, 3, 5]))
        bounds = (low, low + steps * step, step)
        if kind == "float":
            return Dimension("float", *(one / 4 for one in bounds))
        if draw(st.booleans()):
            return Dimension("int", *bounds)
        ends = sorted(draw(st.tuples(WHOLE, WHOLE)))
        return Dimension("int", *ends, log=ends[0] > 0 and draw(st.booleans()))
    ends = sorted(draw(st.tuples(FINITE, FINITE)))
    return Dimension("float", *ends, log=ends[0] > 0 and draw(st.booleans()))


def separate(keys: list[str]) -> bool:
    parts = [key.split(".") for key in keys]
    return not any(a != b and b[: len(a)] == a for a in parts for b in parts)


@st.composite
def plans(draw: st.DrawFn) -> SweepPlan:
    keys = draw(st.lists(KEYS, min_size=1, max_size=4, unique=True).filter(separate))
    sampler = draw(st.sampled_from(["random", "grid", "tpe", "QMCSampler", "BruteForceSampler"]))
    exhaustive = sampler in ("grid", "BruteForceSampler")
    options = st.dictionaries(WORDS.filter(lambda word: word not in ("name", "seed")), OPTIONS, max_size=2)
    base = draw(st.none() | st.dictionaries(st.sampled_from(["m", "n", "x y"]), OPTIONS, max_size=3))
    return SweepPlan(
        draw(NAMES),
        draw(NAMES),
        draw(st.sampled_from(["minimize", "maximize"])),
        {key: draw(dimensions(exhaustive=exhaustive)) for key in keys},
        draw(st.sampled_from(["last", "min", "max"])),
        Sampler(sampler, draw(st.none() | st.integers(0, 2**32 - 1)), draw(options)),
        Pruner(draw(st.sampled_from(["none", "median", "hyperband", "NopPruner"])), draw(options)),
        draw(st.none() | st.integers(1, 10**6)),
        draw(st.none() | st.floats(1e-3, 1e9)),
        draw(st.integers(1, 64)),
        draw(st.integers(0, 9)),
        None if base is None else ExpConfig(base),
    )


def facts_of(plan: SweepPlan) -> Any:
    """All that a plan says, types told apart; without where its base comes from."""
    facts = plan.to_settings()
    if facts["base"] is not None:
        facts["base"] = facts["base"]["values"]
    return exactly(facts)


TREES = st.recursive(
    st.sampled_from([None, True, 0, 1, 2.5, "", "a", "grid", "tpe", "none", "maximize", "last", "1h", "."]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("name metric direction reduce low high step log kind choices param a a.b".split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
