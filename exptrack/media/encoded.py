"""Define the result of encoding, encode text, and recognise arrays and tensors without importing their package.

Invariant: `facts` are plain values that JSON and an artifact's metadata can hold, without NaN or infinities.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, TypeAlias

from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.plain import short_repr
from exptrack.validation import check_text

Fact: TypeAlias = int | float | str | list[Any] | dict[str, Any] | None

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")


class Encoded(NamedTuple):
    """Bytes, their media type, and facts about them that need no decoding.

    >>> from exptrack.media import encode_text
    >>> encode_text("to be").facts
    {'characters': 5, 'lines': 1}
    """

    data: bytes
    media_type: str
    is_text: bool
    facts: dict[str, Fact]


def encode_text(text: str, media_type: str = "text/plain") -> Encoded:
    """Encode a text as UTF-8. Facts: characters, and lines as ``str.splitlines`` counts them.

    Raises:
        InvalidTypeError: `text` or `media_type` is not text.
        InvalidValueError: the text has no UTF-8 form or is too long, or `media_type` is not ``type/subtype``
            in lower case. It takes no parameters, because the character set is always UTF-8.
    """
    checked = check_text(text, "text")
    if not _MEDIA_TYPE.fullmatch(check_text(media_type, "media type")):
        raise InvalidValueError(
            f"a media type is written type/subtype in lower case, not {short_repr(media_type)}"
        )
    facts: dict[str, Fact] = {"characters": len(checked), "lines": len(checked.splitlines())}
    return Encoded(checked.encode("utf-8"), media_type, True, facts)


def comes_from(value: object, package: str) -> bool:
    """Whether the type of `value`, or one of its base classes, is defined in the package."""
    return any(kind.__module__.partition(".")[0] == package for kind in type(value).__mro__)


def is_array(value: object) -> bool:
    """Whether `value` is a numpy array."""
    return comes_from(value, "numpy") and hasattr(value, "dtype") and hasattr(value, "ravel")


def is_tensor(value: object) -> bool:
    """Whether `value` can be moved to the CPU and to numpy, as torch's tensors can."""
    return all(callable(getattr(value, method, None)) for method in ("detach", "cpu", "numpy"))


def convert_tensor(tensor: Any) -> Any:
    """Convert a tensor to a numpy array.

    Raises:
        InvalidTypeError: numpy lacks the tensor's type (such as bfloat16), or numpy is not installed.
    """
    try:
        return tensor.detach().cpu().numpy()
    except (TypeError, RuntimeError) as error:
        raise InvalidTypeError(f"the tensor has no numpy form ({error}); try .float()") from None


def check_unmasked(array: Any) -> None:
    """Refuse an array with masked values: the values below the mask would be stored.

    Raises:
        InvalidValueError: a value is masked.
    """
    if getattr(getattr(array, "mask", None), "any", bool)():
        raise InvalidValueError("the array has masked values; fill them with .filled(value)")
