"""Configs from files: one file, what it extends, the files that overrides select, the overrides.

Invariants: later wins, and what set each key is kept, with file and line. Files are named relative to the
folder the config lives in, never by a path of the machine. Only a plain word selects a file, so no override
reaches outside ``configs/``. A file that does not parse is an error, never skipped.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from exptrack import sdn
from exptrack.config.exp_config import ExpConfig, make_config, merge_configs, replace_origin
from exptrack.errors import ConfigError, ConfigNotFoundError, InvalidTypeError, SdnError
from exptrack.keypath import join_path, path_of
from exptrack.records import ConfigSource
from exptrack.validation import check_text, shown

BASE = "config"
GROUPS = "configs"
EXTENDS = "extends"
SUFFIXES = (".sdn", ".json", ".toml", ".yaml", ".yml")
MAX_EXTENDS = 20

_WORD = re.compile(r"\w[\w.+-]*")

_Tree: TypeAlias = tuple[dict[str, Any], dict[tuple[str, ...], int]]


def load_sdn_config(path: str | os.PathLike[str]) -> ExpConfig:
    """The config in one file, with what it ``extends``; references in it are not resolved.

    A file that ends in ``.json``, ``.toml``, ``.yaml`` or ``.yml`` is read as such, every other as SDN.

    Raises:
        ConfigNotFoundError: there is no such file.
        SdnError, ConfigError: it does not parse; names file, line and column.
    """
    file = _as_path(path)
    return _load(file, Path.cwd() if _inside(file, Path.cwd()) else file.parent, ())


def load_exp_config(
    base_dir: str | os.PathLike[str], cli_overrides: Iterable[str] = (), *, defaults: object = None
) -> ExpConfig:
    """Compose the config of an experiment; the later wins.

    First the `defaults`, if there are any: whatever :meth:`ExpConfig.from_object` takes. Then ``config.sdn`` in
    `base_dir` (or ``config.json``, ``.toml``, ``.yaml``; or `base_dir` itself where it is a file). Then each
    override ``key=value`` for which ``configs/<key>/<value>.sdn`` exists selects that file: it holds what
    belongs under ``key``, or, where it has a section ``key`` itself, it is laid over the whole. Then the
    remaining overrides ``a.b=value``, in order. Then references are resolved: ``${config:a.b}`` and
    ``${env:NAME}``.

    Raises:
        ConfigNotFoundError: there is neither a config nor a folder ``configs``.
        SdnError, ConfigError: a file does not parse, an override cannot be applied, or a reference leads
            nowhere or in a circle.
    """
    place = _as_path(base_dir)
    root = place.parent if place.is_file() else place
    base = place if place.is_file() else _find(root, BASE)
    if base is None and not (root / GROUPS).is_dir():
        raise ConfigNotFoundError(f"there is no {BASE}.sdn in {place}", path=str(place))
    config = _defaults(defaults)
    if base is not None:
        config = merge_configs(config, _load(base, root, ()))
    overrides = _checked_overrides(cli_overrides)
    remaining: list[tuple[str, str]] = []
    for key, text in overrides:
        selected = _selected(root, key, text)
        if selected is None:
            remaining.append((key, text))
        else:
            config = merge_configs(config, _under(key, _load(selected, root, ())))
    for key, text in remaining:
        _refuse_unknown_choice(root, config, key, text)
        config = config.with_override(key, text)
    # Those that selected a file were used too.
    used = [f"{key}={text}" for key, text in overrides]
    return replace_origin(config, config.source_files, used, config.sources).interpolate()


def parse_cli_overrides(argv: Sequence[str]) -> list[str]:
    """The words ``key=value`` of a command line; options and other words are left out.

    >>> parse_cli_overrides(["train.py", "--out=x", "model=resnet", "-v", "optim.lr=3e-4"])
    ['model=resnet', 'optim.lr=3e-4']

    Raises:
        InvalidTypeError: a word is not text.
    """
    if isinstance(argv, str) or not isinstance(argv, Iterable):
        raise InvalidTypeError(f"a command line is a list of words, not {shown(argv)}")
    words = [check_text(word, "a word of the command line") for word in argv]
    return [word for word in words if "=" in word and not word.startswith(("-", "="))]


def _as_path(path: object) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidTypeError(f"a path is text or a Path, not {type(path).__name__}")
    return Path(path)


def _checked_overrides(cli_overrides: Iterable[str]) -> list[tuple[str, str]]:
    if isinstance(cli_overrides, str) or not isinstance(cli_overrides, Iterable):
        raise ConfigError(f"overrides are a list of texts like 'optim.lr=0.1', not {shown(cli_overrides)}")
    found = []
    for override in cli_overrides:
        key, equals, text = check_text(override, "override").partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"an override is written key=value, not {shown(override)}")
        found.append((key.strip(), text))
    return found


def _defaults(defaults: object) -> ExpConfig:
    config = make_config(defaults)
    sources = {path: ConfigSource("default", source.name) for path, source in config.sources.items()}
    return replace_origin(config, (), (), sources)


# Selecting files


def _find(folder: Path, name: str) -> Path | None:
    """The config file of this name, whatever its notation."""
    found = [file for suffix in SUFFIXES if (file := folder / f"{name}{suffix}").is_file()]
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise ConfigError(f"{folder.name} holds {names}; which is meant? Remove or rename one")
    return found[0] if found else None


def _selected(root: Path, key: str, text: str) -> Path | None:
    """The file that ``key=text`` selects, if it selects one."""
    if not _WORD.fullmatch(key) or not _WORD.fullmatch(text) or "." in key:
        return None
    return _find(root / GROUPS / key, text)


def _refuse_unknown_choice(root: Path, config: ExpConfig, key: str, text: str) -> None:
    """A word for a whole section, where files stand to choose from, is a choice misspelt."""
    folder = root / GROUPS / key
    if not _WORD.fullmatch(key) or not folder.is_dir() or not isinstance(config.stored_values.get(key), dict):
        return
    if isinstance(sdn.parse_value(text), dict):
        return
    choices = sorted({file.stem for file in folder.iterdir() if file.suffix in SUFFIXES})
    close = difflib.get_close_matches(text, choices, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(choices) or 'none'}"
    raise ConfigError(f"there is no {GROUPS}/{key}/{text}.sdn for {key}={text}; {hint}", key=key)


def _under(key: str, config: ExpConfig) -> ExpConfig:
    """A selected file's config in its place."""
    values = config.stored_values
    if isinstance(values.get(key), dict):
        return config
    sources = {f"{join_path('', key)}.{path}": source for path, source in config.sources.items()}
    return ExpConfig({key: values}, config.source_files, sources=sources)


# Reading files


def _load(file: Path, root: Path, chain: tuple[Path, ...]) -> ExpConfig:
    """The config in a file, laid over what it extends; `chain` holds the files that led here."""
    name = _name(file, root)
    real = Path(os.path.realpath(file))
    if real in chain:
        circle = " → ".join(_name(link, root) for link in (*chain, real))
        raise ConfigError(f"configs extend each other in a circle: {circle}", key=EXTENDS)
    if len(chain) >= MAX_EXTENDS:
        raise ConfigError(f"{name} is extended through more than {MAX_EXTENDS} files", key=EXTENDS)
    values, lines = _read(file, name)
    below = values.pop(EXTENDS, None)
    sources = {
        path_of(keys): ConfigSource("file", name, line) for keys, line in lines.items() if keys[0] != EXTENDS
    }
    try:
        config = ExpConfig(values, [name], sources=sources)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}", key=error.key) from None
    if below is None:
        return config
    return merge_configs(_load(_extended(file, name, below), root, (*chain, real)), config)


def _extended(file: Path, name: str, below: object) -> Path:
    if not isinstance(below, str):
        raise ConfigError(f"{name}: {EXTENDS} names a file, not {shown(below)}", key=EXTENDS)
    target = PurePath(below)
    if target.is_absolute() or target.drive or target.suffix not in SUFFIXES:
        raise ConfigError(
            f"{name}: {EXTENDS} names a config file relative to this one (like base.sdn), not {shown(below)}",
            key=EXTENDS,
        )
    return file.parent / target


def _name(file: Path, root: Path) -> str:
    """A file as people know it: relative to the config's folder, or its last part outside of it."""
    try:
        relative = os.path.relpath(file, root)
    except ValueError:  # another drive
        return file.name
    if relative.split(os.sep)[0] == os.pardir:
        return file.name
    return PurePath(relative).as_posix()


def _inside(file: Path, folder: Path) -> bool:
    return Path(os.path.abspath(file)).is_relative_to(os.path.abspath(folder))


def _read(file: Path, name: str) -> _Tree:
    """What a file holds, and the lines of its values where the notation tells."""
    try:
        with open(file, "rb") as opened:
            data = opened.read(sdn.MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigNotFoundError(f"there is no config file {name}", path=str(file)) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from None
    suffix = file.suffix.lower()
    if suffix in (".json", ".toml", ".yaml", ".yml"):
        return _read_foreign(data, suffix, name)
    try:
        return sdn.loads_with_lines(data)
    except SdnError as error:
        raise SdnError(
            error.problem, line=error.line, column=error.column, source=error.source, file=name
        ) from None


def _read_foreign(data: bytes, suffix: str, name: str) -> _Tree:
    try:
        return _parsed(data, suffix, name)
    except RecursionError:
        raise ConfigError(f"{name} is nested too deep") from None


def _parsed(data: bytes, suffix: str, name: str) -> _Tree:
    if len(data) > sdn.MAX_BYTES:
        raise ConfigError(f"{name} is larger than {sdn.MAX_BYTES:,} bytes")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: byte {error.start} is not valid UTF-8") from None
    if suffix in (".yaml", ".yml"):
        from exptrack.config.safe_yaml import read_yaml

        return read_yaml(text, name)
    values = _read_json(text, name) if suffix == ".json" else _read_toml(text, name)
    # These parsers do not tell lines; the file is known all the same.
    return values, dict.fromkeys(_leaf_keys(values, ()), 0)


def _read_json(text: str, name: str) -> dict[str, Any]:
    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise ConfigError(f"{name}: the key {shown(key)} stands twice in one object", key=key)
            found[key] = value
        return found

    def refused(word: str) -> Any:
        raise ConfigError(f"{name}: {word} is no number a config can hold; write it as text")

    try:
        values = json.loads(text, object_pairs_hook=distinct, parse_constant=refused)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{name}, line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ConfigError:
        raise
    except ValueError:
        raise ConfigError(f"{name}: a number of too many digits") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{name}: a config is an object of names and values")
    return values


def _read_toml(text: str, name: str) -> dict[str, Any]:
    import tomllib

    try:
        values = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    plain: dict[str, Any] = _dates_as_text(values)
    return plain


def _dates_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _dates_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_dates_as_text(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _leaf_keys(values: dict[str, Any], above: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaf_keys(value, (*above, key))
        else:
            yield (*above, key)
