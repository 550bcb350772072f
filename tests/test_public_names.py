"""Names that a user meets by tab or ``help()`` are public, and say all that is needed to call them."""

from __future__ import annotations

import inspect
import re
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import exptrack
from exptrack import Archive
from exptrack.archive import shortcuts
from tests.archive.everything import make, public_classes

SHORTCUTS = [
    name
    for name, one in vars(shortcuts).items()
    if inspect.isfunction(one) and one.__module__ == shortcuts.__name__ and not name.startswith("_")
]
# Types that are returned, and given back as they are: nobody writes their names.
GIVEN_BACK = {"SelectedRun"}


def members(kind: type) -> list[tuple[str, Any]]:
    """The names that a tab offers behind an object of a class, without those that Python's own classes have."""
    own: list[type] = [one for one in kind.__mro__ if one.__module__.startswith("exptrack.")]
    names = {name for one in own for name in vars(one)}
    return [
        (name, inspect.getattr_static(kind, name)) for name in dir(kind) if name in names and name[0] != "_"
    ]


def function_of(member: Any) -> Any:
    """The function in a property, a static method or a class method."""
    return getattr(member, "fget", None) or getattr(member, "__func__", member)


def test_a_tab_behind_the_module_offers_the_public_names_alone() -> None:
    assert sorted(exptrack.__all__) == dir(exptrack)
    assert not [name for name in dir(exptrack) if name.startswith("_") and name != "__version__"]


@pytest.mark.parametrize("name", public_classes())
def test_a_tab_behind_an_object_offers_what_is_documented(name: str) -> None:
    kind = public_classes()[name]
    fields = {*getattr(kind, "_fields", ()), *getattr(kind, "__dataclass_fields__", ())}
    if issubclass(kind, Enum):
        fields |= set(kind.__members__)
    for attribute, member in members(kind):
        if attribute not in fields and kind.__module__ != "exptrack.sweeps.optuna_storage":
            assert inspect.isroutine(member) or isinstance(member, property), attribute
            assert inspect.getdoc(function_of(member)), attribute


def test_no_public_call_takes_what_only_exptrack_can_name() -> None:
    internal = {
        name
        for module in [one for key, one in sys.modules.items() if key.startswith("exptrack.")]
        for name, one in vars(module).items()
        if is_internal(one) and name not in exptrack.__all__
    }

    def names_internal(member: object, said: object) -> bool:
        """Return whether an annotation names an internal class, also one that is imported for types alone."""
        words = set(re.findall(r"\w+", str(said))) & (internal - GIVEN_BACK)
        known = getattr(inspect.unwrap(function_of(member)), "__globals__", {})
        return any(is_internal(known[word]) if word in known else True for word in words)

    found = [
        (name, attribute, parameter)
        for name, kind in public_classes().items()
        for attribute, member in members(kind)
        for parameter, said in getattr(function_of(member), "__annotations__", {}).items()
        if parameter not in ("return", "self") and names_internal(member, said)
    ]
    assert found == []


def is_internal(one: object) -> bool:
    return isinstance(one, type) and one.__module__.startswith("exptrack.")


def test_objects_have_no_public_attribute_beside_those_of_their_class(tmp_path: Path) -> None:
    fixed = {
        "Run": {"run_id", "started_at", "config"},
        "Trial": {"number", "run"},
        "StudyResults": {"info", "trials", "unseen", "infeasible"},
        "ArtifactStore": {"run_id"},
        "Sampler": {"name", "options"},
        "Pruner": {"name", "options"},
    }
    with Archive(tmp_path / "lab.db") as archive:
        for name, thing in make(archive, tmp_path).items():
            is_config = hasattr(type(thing), "_shown_tree")  # it has its keys as attributes
            if type(thing) is not public_classes().get(name) or is_config or isinstance(thing, Enum):
                continue
            fields = {*getattr(thing, "_fields", ()), *getattr(thing, "__dataclass_fields__", ())}
            own = {one for one in dir(thing) if one[0] != "_"} - set(dir(type(thing))) - fields
            assert own <= fixed.get(name, set()), name


# What help() says of the shortcuts


def errors_of(doc: str) -> set[str]:
    """The errors below ``Raises:``."""
    below = doc.partition("Raises:")[2]
    return set(re.findall(r"\b\w+Error\b(?=[:,])", below))


@pytest.mark.parametrize("name", SHORTCUTS)
def test_help_tells_all_of_a_shortcut(name: str) -> None:
    function = getattr(exptrack, name)
    doc = inspect.getdoc(function) or ""
    for parameter in inspect.signature(function).parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty
        assert f"    {parameter.name}: " in doc, parameter
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty
    assert ">>> " in doc
    method = getattr(Archive, name, None)
    if method is not None:
        assert errors_of(doc) == errors_of(inspect.getdoc(method) or "")
