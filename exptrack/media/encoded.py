"""What encoding gives, and how a value's origin is recognised.

Invariants: `facts` are plain values that JSON and an artifact's metadata can hold, without NaN or infinities.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, TypeAlias

from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.validation import check_text, short_repr

Fact: TypeAlias = int | float | str | list[Any] | dict[str, Any] | None

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")


class Encoded(NamedTuple):
    """Bytes, what they are, and what is worth knowing about them without decoding.

    >>> from exptrack.media import encode_text
    >>> encode_text("to be").facts
    {'characters': 5, 'lines': 1}
    """

    data: bytes
    media_type: str
    is_text: bool
    facts: dict[str, Fact]


def encode_text(text: str, media_type: str = "text/plain") -> Encoded:
    """The text in UTF-8. Facts: characters and lines (as ``str.splitlines`` counts them).

    Raises:
        InvalidTypeError: `text` or `media_type` is not text.
        InvalidValueError: the text has no UTF-8 form or is too long, or `media_type` is not ``type/subtype``
            in lower case. Parameters are refused, too: the character set is always UTF-8.
    """
    checked = check_text(text, "text")
    if not _MEDIA_TYPE.fullmatch(check_text(media_type, "media type")):
        raise InvalidValueError(
            f"a media type is written type/subtype in lower case, not {short_repr(media_type)}"
        )
    facts: dict[str, Fact] = {"characters": len(checked), "lines": len(checked.splitlines())}
    return Encoded(checked.encode("utf-8"), media_type, True, facts)


def comes_from(value: object, package: str) -> bool:
    """Whether the type of `value` is one of the package's, or derived from one."""
    return any(kind.__module__.partition(".")[0] == package for kind in type(value).__mro__)


def is_array(value: object) -> bool:
    """Whether `value` is a numpy array."""
    return comes_from(value, "numpy") and hasattr(value, "dtype") and hasattr(value, "ravel")


def is_tensor(value: object) -> bool:
    """Whether `value` can be taken off a device and seen by numpy, as torch's tensors can."""
    return all(callable(getattr(value, method, None)) for method in ("detach", "cpu", "numpy"))


def tensor_array(tensor: Any) -> Any:
    """The numpy array of a tensor.

    Raises:
        InvalidTypeError: numpy has no such type (bfloat16, for one), or numpy is missing.
    """
    try:
        return tensor.detach().cpu().numpy()
    except (TypeError, RuntimeError) as error:
        raise InvalidTypeError(f"the tensor has no numpy form ({error}); .float() may give it one") from None


def check_unmasked(array: Any) -> None:
    """Refuse an array some of whose values are masked: they would come back as whatever lies below."""
    if getattr(getattr(array, "mask", None), "any", bool)():
        raise InvalidValueError("the array has masked values; fill them first with .filled(value)")
