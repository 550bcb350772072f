"""Compose a config from files: a base, the files it extends, the files that overrides select, the overrides.

Invariants: later wins, and the source that set each key is kept, with file and line. Sources name files
relative to the config's folder, never by an absolute path. Only a plain word selects a file, so no override
reaches outside ``configs/``. A file that does not parse is an error, never skipped.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple, TypeAlias

from exptrack import own_files, sdn
from exptrack.capture.redaction import know_secrets_of_command
from exptrack.config.exp_config import ExpConfig, make_config, merge_configs, replace_origin
from exptrack.config.reading import suggest_path
from exptrack.errors import ConfigError, ConfigNotFoundError, SdnError
from exptrack.keypath import join_path, path_of, split_index, split_path
from exptrack.known_secrets import REDACTED, mask_secrets
from exptrack.plain import read_elements, read_path, short_repr
from exptrack.records import ConfigSource
from exptrack.validation import check_flag, check_text

BASE = "config"
GROUPS = "configs"
EXTENDS = "extends"
SUFFIXES = (".sdn", ".json", ".toml", ".yaml", ".yml")
MAX_EXTENDS = 20

_WORD = re.compile(r"\w[\w.+-]*")


class _Override(NamedTuple):
    """An override ``key=text``; its sign is ``+`` if it may add the key, else empty."""

    sign: str
    key: str
    text: str


_ReadFile: TypeAlias = tuple[dict[str, Any], dict[tuple[str, ...], int]]


def load_sdn_config(path: str | os.PathLike[str]) -> ExpConfig:
    """Load the config in one file, laid over the files it ``extends``; references stay unresolved.

    A file that ends in ``.json``, ``.toml``, ``.yaml`` or ``.yml`` is read as such, every other file as SDN.

    Raises:
        ConfigNotFoundError: there is no such file.
        SdnError: an SDN file does not parse; the message names file, line and column.
        ConfigError: a file of another notation does not parse, or a config cannot hold a value.
    """
    file = _check_path(path)
    return _load(file, Path.cwd() if _is_inside(file, Path.cwd()) else file.parent, ())


def load_exp_config(
    base_dir: str | os.PathLike[str],
    cli_overrides: Iterable[str] = (),
    *,
    defaults: object = None,
    strict: bool = True,
) -> ExpConfig:
    """Compose the config of an experiment from defaults, files and overrides; later ones win.

    The order is:

    1. the `defaults`, if given: anything that :meth:`ExpConfig.from_object` takes;
    2. ``config.sdn`` in `base_dir` (or ``config.json``, ``.toml``, ``.yaml``); or `base_dir`, if it is a file;
    3. each override ``key=value`` that selects a file, because ``configs/<key>/<value>.sdn`` exists. Its
       values are placed under ``key``; if it has a section ``key`` itself, they are laid over the whole config;
    4. the remaining overrides ``a.b=value``, in order.

    Then the references ``${config:a.b}`` and ``${env:NAME}`` are resolved.

    An override of a key that neither the defaults nor a file has is refused, since it is most often misspelt.
    ``+a.b=value`` adds a key, and with `strict` false every override does. ``layers[0]=9`` sets an element of a
    list.

    Raises:
        ConfigNotFoundError: there is neither a config nor a folder ``configs``.
        SdnError: an SDN file does not parse.
        ConfigError: a file of another notation does not parse, an override cannot be applied or has an unknown
            key, or a reference leads nowhere or in a circle.
    """
    strict = check_flag(strict, "strict")
    place = _check_path(base_dir)
    is_file = os.path.lexists(place) and not os.path.isdir(place)
    root = place.parent if is_file else place
    base = place if is_file else _find_file(root, BASE)
    if base is None and not os.path.isdir(root / GROUPS):
        raise ConfigNotFoundError(
            f"there is no {BASE}.sdn in {place}; write one, or name another folder", path=str(place)
        )
    config = _load_defaults(defaults)
    if base is not None:
        config = merge_configs(config, _load(base, root, ()))
    overrides = _split_overrides(cli_overrides)
    remaining: list[_Override] = []
    for one in overrides:
        selected = _find_selected(root, one.key, one.text)
        if selected is None:
            remaining.append(one)
        else:
            config = merge_configs(config, _place_under(one.key, _load(selected, root, ())))
    for one in remaining:
        _refuse_unknown_choice(root, config, one.key, one.text)
        if strict and not one.sign:
            _refuse_unknown_key(root, config, one)
        config = config.with_override(one.key, one.text)
    # Overrides that selected a file count as used too.
    words = know_secrets_of_command([f"{one.key}={one.text}" for one in overrides])
    used = [f"{one.sign}{mask_secrets(word)}" for one, word in zip(overrides, words, strict=True)]
    return replace_origin(config, config.source_files, used, config.sources).interpolate()


def parse_cli_overrides(argv: Sequence[str]) -> list[str]:
    """Pick the words ``key=value`` out of a command line; options and other words are left out.

    The value of an option like ``--token`` is a secret and left out too, also if it contains ``=``.

    >>> parse_cli_overrides(["train.py", "--out=x", "model=resnet", "-v", "optim.lr=3e-4"])
    ['model=resnet', 'optim.lr=3e-4']

    Raises:
        InvalidTypeError: a word is not text.
    """
    words = [check_text(word, "a word of the command line") for word in read_elements(argv, "a command line")]
    hidden = know_secrets_of_command(words)
    return [
        word
        for word, shown in zip(words, hidden, strict=True)
        if "=" in word and not word.startswith(("-", "=")) and shown != REDACTED
    ]


def _check_path(path: object) -> Path:
    return Path(read_path(path))


def _split_overrides(cli_overrides: Iterable[str]) -> list[_Override]:
    found = []
    for override in read_elements(cli_overrides, "overrides", like="['optim.lr=0.1']"):
        whole, equals, text = check_text(override, "override").partition("=")
        bare = whole.strip().lstrip("+")
        if not equals or not bare.strip():
            raise ConfigError(f"{short_repr(override)} is not an override; write key=value")
        found.append(_Override("+" * (len(whole.strip()) - len(bare)), bare.strip(), text))
    return found


def _load_defaults(defaults: object) -> ExpConfig:
    config = make_config(defaults)
    sources = {path: ConfigSource("default", source.name) for path, source in config.sources.items()}
    return replace_origin(config, (), (), sources)


# Selecting files


def _find_file(folder: Path, name: str) -> Path | None:
    """Find the config file of this name, in any notation. A FIFO or broken link is found, and refused later."""
    named = [folder / f"{name}{suffix}" for suffix in SUFFIXES]
    found = [file for file in named if os.path.lexists(file) and not os.path.isdir(file)]
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise ConfigError(
            f"{folder.name} holds {names}, but only one may be there; remove or rename the others"
        )
    return found[0] if found else None


def _find_selected(root: Path, key: str, text: str) -> Path | None:
    """Find the file that ``key=text`` selects, if any."""
    if not _WORD.fullmatch(key) or not _WORD.fullmatch(text) or "." in key:
        return None
    return _find_file(root / GROUPS / key, text)


def _refuse_unknown_choice(root: Path, config: ExpConfig, key: str, text: str) -> None:
    """Refuse a word in place of a whole section for which there are files: it is a misspelt choice."""
    folder = root / GROUPS / key
    if (
        not _WORD.fullmatch(key)
        or not os.path.isdir(folder)
        or not isinstance(config.stored_values.get(key), dict)
    ):
        return
    if isinstance(sdn.parse_value(text), dict):
        return
    raise _make_choice_error(root, key, text)


def _make_choice_error(root: Path, key: str, text: str) -> ConfigError:
    from difflib import get_close_matches

    folder = root / GROUPS / key
    choices = sorted({file.stem for file in folder.iterdir() if file.suffix in SUFFIXES})
    close = get_close_matches(text, choices, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(choices) or 'no files'}"
    return ConfigError(f"there is no {GROUPS}/{key}/{text}.sdn for {key}={text}; {hint}", key=key)


def _refuse_unknown_key(root: Path, config: ExpConfig, override: _Override) -> None:
    """Refuse an override of a key that the config does not have.

    One that leads through a value which is no map is refused as it is applied, with a message of its own.
    """
    key, text = override.key, override.text
    if key in config or _leads_through_value(config, split_path(key)):
        return
    if _WORD.fullmatch(key) and os.path.isdir(root / GROUPS / key):
        raise _make_choice_error(root, key, text)
    (word,) = know_secrets_of_command([f"{key}={text}"])
    raise ConfigError(
        f"there is no key {key!r} to override, and +{mask_secrets(word)} would add it;"
        f" {suggest_path(config.values, key)}",
        key=key,
    )


def _leads_through_value(config: ExpConfig, keys: Sequence[str]) -> bool:
    """Whether a part of a path is there and no map, or is no element of a list that is there."""
    for depth, key in enumerate(keys):
        way = path_of(keys[: depth + 1])
        if way not in config:
            item = split_index(key)
            return item is not None and path_of((*keys[:depth], item[0])) in config
        if not isinstance(config[way], dict):
            return True
    return False


def _place_under(key: str, config: ExpConfig) -> ExpConfig:
    """Put the config of a selected file under its key, unless it has a section of that name itself."""
    values = config.stored_values
    if isinstance(values.get(key), dict):
        return config
    sources = {f"{join_path('', key)}.{path}": source for path, source in config.sources.items()}
    return ExpConfig({key: values}, config.source_files, sources=sources)


# Reading files


def _load(file: Path, root: Path, chain: tuple[Path, ...]) -> ExpConfig:
    """Load the config in a file, laid over the file it extends; `chain` lists the files that led here."""
    name = _relative_name(file, root)
    real = Path(os.path.realpath(file))
    if real in chain:
        circle = " → ".join(_relative_name(link, root) for link in (*chain, real))
        raise ConfigError(
            f"configs extend each other in a circle: {circle}; remove one of these {EXTENDS!r}", key=EXTENDS
        )
    if len(chain) >= MAX_EXTENDS:
        raise ConfigError(
            f"{name} is reached through more than {MAX_EXTENDS} files that extend each other; merge some",
            key=EXTENDS,
        )
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
    return merge_configs(_load(_resolve_extends(file, name, below), root, (*chain, real)), config)


def _resolve_extends(file: Path, name: str, below: object) -> Path:
    if not isinstance(below, str):
        raise ConfigError(
            f"{name}: {EXTENDS} names a file; write a name like base.sdn, not {short_repr(below)}", key=EXTENDS
        )
    target = PurePath(below)
    if target.is_absolute() or target.drive or target.suffix not in SUFFIXES:
        raise ConfigError(
            f"{name}: {EXTENDS} cannot be {short_repr(below)}; name a file relative to this one, like base.sdn",
            key=EXTENDS,
        )
    return file.parent / target


def _relative_name(file: Path, root: Path) -> str:
    """Return the name for messages and sources: relative to `root`, or the last part for a file outside."""
    try:
        relative = os.path.relpath(file, root)
    except ValueError:  # on another drive
        return file.name
    if relative.split(os.sep)[0] == os.pardir:
        return file.name
    return PurePath(relative).as_posix()


def _is_inside(file: Path, folder: Path) -> bool:
    return Path(os.path.abspath(file)).is_relative_to(os.path.abspath(folder))


def _read(file: Path, name: str) -> _ReadFile:
    """Read the values of a file, and their lines if the notation tells them."""
    try:
        with own_files.open_for_reading(file) as source:
            data = source.read(sdn.MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigNotFoundError(
            f"there is no config file {name}; check the name and the folder", path=str(file)
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read {name} ({error.strerror}); make it a readable file") from None
    suffix = file.suffix.lower()
    if suffix in (".json", ".toml", ".yaml", ".yml"):
        return read_foreign(data, suffix, name)
    try:
        return sdn.loads_with_lines(data)
    except SdnError as error:
        raise SdnError(
            error.problem, line=error.line, column=error.column, source=error.source, file=name
        ) from None


def read_foreign(data: bytes, suffix: str, name: str) -> _ReadFile:
    """Read values of JSON, TOML or YAML, by the suffix, and their lines. Messages call the file `name`.

    Raises:
        ConfigError: the data do not parse, or hold a value that no config can hold.
    """
    try:
        return _parse_foreign(data, suffix, name)
    except RecursionError:
        raise ConfigError(f"{name} is nested too deep; flatten it") from None


def _parse_foreign(data: bytes, suffix: str, name: str) -> _ReadFile:
    if len(data) > sdn.MAX_BYTES:
        raise ConfigError(
            f"{name} is larger than {sdn.MAX_BYTES:,} bytes; store large data as an artifact and name it here"
        )
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: byte {error.start} is not valid UTF-8; save the file as UTF-8") from None
    if suffix in (".yaml", ".yml"):
        from exptrack.config.safe_yaml import read_yaml

        return read_yaml(text, name)
    values = _read_json(text, name) if suffix == ".json" else _read_toml(text, name)
    # These parsers report no lines, so a source names the file alone.
    return values, dict.fromkeys(_iter_leaf_keys(values, ()), 0)


def _read_json(text: str, name: str) -> dict[str, Any]:
    def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise ConfigError(
                    f"{name}: the key {short_repr(key)} appears twice in one object; remove one", key=key
                )
            found[key] = value
        return found

    def refuse_constant(word: str) -> Any:
        raise ConfigError(f"{name}: a config cannot hold {word}; write it as text, in quotes")

    try:
        values = json.loads(text, object_pairs_hook=refuse_duplicates, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{name}, line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ConfigError:
        raise
    except ValueError:
        raise ConfigError(f"{name}: a number has too many digits; write it as text, in quotes") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{name}: a config is an object of names and values; begin it with {{")
    return values


def _read_toml(text: str, name: str) -> dict[str, Any]:
    import tomllib

    try:
        values = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    plain: dict[str, Any] = _write_dates(values)
    return plain


def _write_dates(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _write_dates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_write_dates(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _iter_leaf_keys(values: dict[str, Any], above: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _iter_leaf_keys(value, (*above, key))
        else:
            yield (*above, key)
