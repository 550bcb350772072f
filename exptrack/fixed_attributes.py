"""Refuse to set what is no attribute of an object that exptrack hands out.

Python takes any name in an assignment: ``run.nmae = "x"`` would stay in memory, and be lost. A call that logs a
metric sets attributes of other objects only, so this costs it nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar


class FixedAttributes:
    """Refuse assignments to public names, with a message that names the call to make instead.

    Private names are free. A method may be replaced by a function, as tests do. A class that a caller derives
    may have attributes of its own.
    """

    _NOUN: ClassVar[str] = "object"  # what a message calls it
    # The call that changes an attribute, by its name, and what to do with a value that has no place.
    _CALLS: ClassVar[Mapping[str, str]] = {}
    _OTHERWISE: ClassVar[str] = "keep it in a variable of your own"

    if not TYPE_CHECKING:  # a type checker that sees this method takes every name

        def __setattr__(self, name: str, value: object) -> None:
            if name[:1] != "_" and type(self).__module__.startswith("exptrack."):
                _check(self, name, value)
            object.__setattr__(self, name, value)

    def _set_fixed(self, **values: Any) -> None:
        """Set public attributes, from within."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


def _check(subject: FixedAttributes, name: str, value: object) -> None:
    """Raise an AttributeError unless `value` is a function in place of a method."""
    kind = type(subject)
    noun = subject._NOUN
    found = next((vars(one)[name] for one in kind.__mro__ if name in vars(one)), None)
    if callable(found):
        if not callable(value):
            raise AttributeError(f"{name} of the {noun} is a method; call {noun}.{name}()")
        return
    if found is None and name not in vars(subject):
        raise AttributeError(f"the {noun} has no attribute {name!r}; {_advise(subject, name)}")
    call = subject._CALLS.get(name)
    advice = f"call {call}" if call else "it stays as it is"
    raise AttributeError(f"the {name} of the {noun} is not set by assignment; {advice}")


def _advise(subject: FixedAttributes, name: str) -> str:
    """Say what the caller may have meant by a name, or what to do instead."""
    from exptrack.other_trackers import CALLS, find_close

    noun = subject._NOUN
    call = CALLS.get(noun, {}).get(name)
    if call is not None:
        return f"use {call}"
    close = find_close(name, (*dir(type(subject)), *vars(subject)))
    if close is None:
        return subject._OTHERWISE
    call = subject._CALLS.get(close)
    return f"did you mean {close!r}?" + (f" It changes by {call}" if call else "")
