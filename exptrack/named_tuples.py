"""Define records as named tuples, as ``typing.NamedTuple`` does, in a tenth of the time.

Invariants:

- A class here behaves as one of ``typing.NamedTuple``: in fields, defaults, pickles, signature and help.
- Nothing is compiled before the first object is made. Every start of a run defines dozens of such classes and
  makes objects of a few; with ``typing`` they took a third of all that a start defines.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    try:
        from _collections import _tuplegetter as _field
    except ImportError:  # a Python that has it not, for which `collections` does the same
        from operator import itemgetter

        def _field(index, doc):
            return property(itemgetter(index), doc=doc)

    _UNEXPECTED = TypeError if sys.version_info >= (3, 13) else ValueError  # as `collections` has it

    class _Maker:
        """What a class has as its ``__new__`` until that is first asked for."""

        def __get__(self, instance, kind):
            home = next(one for one in kind.__mro__ if one.__dict__.get("__new__") is self)
            # As `collections.namedtuple` makes it; the names come from the text of a class.
            names = "".join(f"{name}, " for name in home._fields)
            scope = {"_new": tuple.__new__, "__builtins__": {}, "__name__": home.__module__}
            # Not from the text alone: after a ctrl-C that nobody handled, that makes the interpreter end by 1
            # rather than by the signal.
            code = compile(f"lambda _cls, {names}: _new(_cls, ({names}))", "<named tuple>", "eval")
            made = eval(code, scope)
            made.__name__, made.__qualname__ = "__new__", f"{home.__qualname__}.__new__"
            made.__doc__ = f"Create new instance of {home.__name__}({names.removesuffix(', ')})"
            made.__defaults__ = tuple(home._field_defaults.values())
            made.__annotations__ = dict(home.__annotations__)
            home.__new__ = staticmethod(made)
            return made

    def _make(cls, iterable):
        """Make a new object from a sequence or iterable."""
        made = tuple.__new__(cls, iterable)
        if len(made) != len(cls._fields):
            raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
        return made

    def _replace(self, /, **fields):
        """Return a new object with other values in the given fields."""
        made = self._make(map(fields.pop, self._fields, self))
        if fields:
            raise _UNEXPECTED(f"Got unexpected field names: {list(fields)!r}")
        return made

    def _asdict(self):
        """Return a new dict which maps field names to their values."""
        return dict(zip(self._fields, self, strict=False))

    def __repr__(self):
        parts = (f"{name}={value!r}" for name, value in zip(self._fields, self, strict=False))
        return f"{type(self).__name__}({', '.join(parts)})"

    def __getnewargs__(self):
        """Return self as a plain tuple; used by copy and pickle."""
        return tuple(self)

    _SHARED = {
        "__slots__": (),
        "_make": classmethod(_make),
        "_replace": _replace,
        "__replace__": _replace,
        "_asdict": _asdict,
        "__getnewargs__": __getnewargs__,
        "__repr__": __repr__,
    }

    class _Definition(type):
        def __new__(cls, name, bases, namespace):
            if bases == ():
                return type.__new__(cls, name, bases, namespace)
            fields = tuple(map(sys.intern, namespace.get("__annotations__", ())))
            own = {
                **_SHARED,
                "__doc__": f"{name}({', '.join(fields)})",
                "__new__": _Maker(),
                "_fields": fields,
                "_field_defaults": {field: namespace[field] for field in fields if field in namespace},
                "__match_args__": fields,
                **namespace,
            }
            for index, field in enumerate(fields):
                own[field] = _field(index, f"Alias for field number {index}")
            return type.__new__(type, name, (tuple,), own)

    class NamedTuple(metaclass=_Definition):
        """The base of a class of named tuples."""
