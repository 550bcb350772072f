"""Check the origin of a config: its files, its overrides, and the source of each value; say what it lost.

Invariant: all that comes back is plain and can be stored. Everything else is a ConfigError, also in an origin
that was read from an archive.
"""

from __future__ import annotations

from exptrack.errors import ConfigError, InvalidValueError, warn
from exptrack.plain import plain, read_elements, read_items, short_repr
from exptrack.records import ConfigSource
from exptrack.validation import INT64_MAX, check_text, check_whole

MAX_SAID = 1_000  # sets of keys that are remembered, so that each is said once
SOURCE_KINDS = ("file", "override", "default", "code", "trial")


def check_texts(items: object, what: str) -> tuple[str, ...]:
    """Return a list of texts.

    Raises:
        ConfigError: it is no list, or an element is no text.
    """
    try:
        return tuple(check_text(item, what) for item in read_elements(items, f"{what}s"))
    except InvalidValueError as error:
        raise ConfigError(str(error)) from error.__cause__


def check_sources(sources: object) -> dict[str, ConfigSource]:
    """Return the sources of values by path.

    Raises:
        ConfigError: a key is no path, or a value no source.
    """
    try:
        found = {check_text(key, "config path"): one for key, one in read_items(sources, "sources")}
        return {path: _check_source(path, one) for path, one in found.items()}
    except InvalidValueError as error:
        raise ConfigError(str(error)) from error.__cause__


def _check_source(path: str, source: object) -> ConfigSource:
    kind = plain(source.kind) if isinstance(source, ConfigSource) else None
    if not isinstance(source, ConfigSource) or type(kind) is not str or kind not in SOURCE_KINDS:
        raise ConfigError(
            f"the source of {path!r} cannot be {short_repr(source)}; give a ConfigSource of kind"
            f" {', '.join(SOURCE_KINDS)}"
        )
    name = check_text(source.name, f"the name of the source of {path!r}")
    # Most come from a file of exptrack's, and there are many.
    if type(source.name) is type(source.kind) is str and type(source.line) is int:
        if 0 <= source.line <= INT64_MAX:
            return source
    line = check_whole(source.line, f"the line of the source of {path!r}", 0)
    return ConfigSource(kind, name, line)


_said: set[tuple[str, ...]] = set()


def say_inexact(keys: tuple[str, ...]) -> None:
    """Warn of the keys whose values a config could not store exactly; once for the same keys."""
    if not keys or keys in _said or len(_said) >= MAX_SAID:
        return
    _said.add(keys)
    more = f" and {len(keys) - 5:,} more" if len(keys) > 5 else ""
    warn(
        f"a config cannot hold exactly what these keys have, and stores its nearest form:"
        f" {', '.join(map(short_repr, keys[:5]))}{more}; config.loose_keys lists them"
    )
