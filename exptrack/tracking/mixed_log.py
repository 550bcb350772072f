"""Log a row of mixed values, as frameworks hand them over: numbers, texts, images, tables and arrays, nested.

Invariants:

- Every number of a row is logged, in one call of ``log``, before anything else of it.
- A value that cannot be logged is left out and told, whatever it is; the rest of its row is logged. An error of
  the archive, or of a run that has ended, is raised.
"""

from __future__ import annotations

import datetime
import enum
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple, Protocol

from exptrack.capture.redaction import remove_secrets_of_name
from exptrack.errors import InvalidTypeError, InvalidValueError, MissingPackageError
from exptrack.plain import attribute, is_mapping, is_text, is_whole, plain, read_items, reading, short_repr
from exptrack.runs.attributes import StoredValue, encode_attribute
from exptrack.validation import check_name, check_number, check_step

MAX_DEPTH = 20
MAX_VALUES = 100_000
LIST_VALUES = 32  # of a list or an array that becomes an attribute; more become a histogram


class Logging(Protocol):
    """What a row needs of a run."""

    def log(self, values: Mapping[str, object], step: int | None = None) -> None: ...
    def _store_attributes(self, values: Mapping[str, StoredValue]) -> None: ...
    def log_image(self, name: str, image: object, step: int | None = None) -> str: ...
    def log_table(self, name: str, table: object, step: int | None = None) -> str: ...
    def log_histogram(
        self,
        name: str,
        values: object = None,
        step: int | None = None,
        *,
        counts: object = None,
        edges: object = None,
    ) -> str: ...


def log_row(run: Logging, row: object, step: object) -> dict[str, str]:
    """Log a row, and return what was left out; see :meth:`exptrack.Run.log_mixed`."""
    checked = None if step is None else _check_step(step)
    sorter = _Sorter()
    sorter.flatten(row, "", 0)
    if sorter.numbers:
        run.log(sorter.numbers, checked)
    if sorter.attributes:
        run._store_attributes(sorter.attributes)
    for name, kind, value in sorter.media:
        try:
            if kind == "image":
                run.log_image(name, value, checked)
            elif kind == "table":
                run.log_table(name, value, checked)
            elif kind == "counted":
                run.log_histogram(name, None, checked, counts=value[0], edges=value[1])
            else:
                run.log_histogram(name, value, checked)
        except (InvalidValueError, MissingPackageError) as error:
            sorter.left[name] = str(error)
    return sorter.left


def _check_step(step: object) -> int:
    """Return a step; a whole float, or an array of one, is one too."""
    if is_whole(step) or type(step) is bool:
        return check_step(step)
    number = check_number(step, "a step")
    if not number.is_integer():
        raise InvalidValueError(
            f"a step must be a whole number, not {short_repr(step)}; log the epoch as a metric"
        )
    return check_step(int(number))


def _read_key(key: object) -> str:
    # Asked of the type: a key may raise when it is asked something.
    held = plain(attribute(key, "value") if issubclass(type(key), enum.Enum) else key)
    return held if type(held) is str else short_repr(held)


class _RowTooLargeError(InvalidValueError):
    """A row holds more values than one call takes."""


class _Media(NamedTuple):
    """A value that becomes an artifact: an image, a table, a histogram, or one that is counted already."""

    name: str
    kind: str
    value: Any


class _Sorter:
    """Sorts the values of a row by what they become."""

    def __init__(self) -> None:
        self.numbers: dict[str, float] = {}
        self.attributes: dict[str, StoredValue] = {}
        self.media: list[_Media] = []
        self.left: dict[str, str] = {}
        self._names: set[str] = set()
        self._count = 0
        self._within: set[int] = set()  # the ids of the maps around the one that is read

    def flatten(self, row: object, prefix: str, depth: int) -> None:
        """Sort the values of a map, those of maps within it by dotted names."""
        items = read_items(row, "a row")
        self._within.add(id(row))
        for key, value in items:
            if value is None:
                continue
            self._count += 1
            if self._count > MAX_VALUES:
                raise _RowTooLargeError(f"a row holds more than {MAX_VALUES:,} values; log them as a table")
            name = prefix + _read_key(key)
            try:
                if type(value) is float:  # nearly all values of nearly all rows
                    self.numbers[self._take(name)] = value
                elif not is_mapping(value):
                    with reading("the value"):
                        self._sort(self._take(name), value)
                elif id(value) in self._within or depth == MAX_DEPTH:
                    raise InvalidValueError(f"it holds itself, or is nested deeper than {MAX_DEPTH} levels")
                else:
                    self.flatten(value, f"{name}.", depth + 1)
            except _RowTooLargeError:
                raise
            except (InvalidValueError, MissingPackageError) as error:
                self.left[name] = str(error)
        self._within.discard(id(row))

    def _take(self, name: str) -> str:
        checked = remove_secrets_of_name(check_name(name, "name"))
        if checked in self._names:
            raise InvalidValueError("another value of the row has this name; rename one of them")
        self._names.add(checked)
        return checked

    def _sort(self, name: str, value: Any) -> None:
        value = plain(value)
        if isinstance(value, enum.Enum):
            value = plain(value.value)
        if isinstance(value, (bool, int, float)):
            self.numbers[name] = check_number(value, "the value")
        elif isinstance(value, str):
            self._add_attribute(name, value)
        elif isinstance(value, PurePath):
            self._add_attribute(name, value.as_posix())
        elif isinstance(value, (datetime.date, datetime.time)):
            self._add_attribute(name, value.isoformat())
        else:
            self._sort_object(name, value)

    def _sort_object(self, name: str, value: Any) -> None:
        from exptrack.media import is_array, is_frame, is_picture, is_tensor

        if is_picture(value):
            self.media.append(_Media(name, "image", value))
        elif is_frame(value):
            self.media.append(_Media(name, "table", value))
        elif is_array(value) or is_tensor(value):
            self._sort_array(name, value)
        elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
            self._sort_list(name, value)
        else:
            self.numbers[name] = check_number(value, "the value")

    def _sort_array(self, name: str, value: Any) -> None:
        count = math.prod(map(int, value.shape))
        if count == 1 and not is_text(held := value.item()):
            self.numbers[name] = check_number(held, "the value")
        elif count == 1:
            self._add_attribute(name, held)
        elif count <= LIST_VALUES:
            self._sort_list(name, value.tolist())
        else:
            self.media.append(_Media(name, "histogram", value))

    def _sort_list(self, name: str, values: Sequence[Any]) -> None:
        from exptrack.media import is_array, is_picture

        if values and all(map(is_picture, values)):
            for place, picture in enumerate(values):
                self.media.append(_Media(self._take(f"{name}/{place}"), "image", picture))
        elif values and all(map(is_mapping, values)):
            self.media.append(_Media(name, "table", values))
        elif len(values) == 2 and all(map(is_array, values)) and len(values[1]) == len(values[0]) + 1:
            self.media.append(_Media(name, "counted", tuple(values)))
        elif len(values) > LIST_VALUES:
            self.media.append(_Media(name, "histogram", values))
        else:
            self._add_attribute(name, values)

    def _add_attribute(self, name: str, value: object) -> None:
        try:
            key, stored = encode_attribute(name, value)
        except InvalidTypeError:
            raise
        except InvalidValueError:
            if not isinstance(value, Sequence) or is_text(value):
                raise
            self.media.append(_Media(name, "histogram", value))  # a list with NaN, which no attribute holds
        else:
            self.attributes[key] = stored
