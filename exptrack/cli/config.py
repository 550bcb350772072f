"""Commands for config files: check, show, get, set, format, convert."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from exptrack import (
    ConfigError,
    ConfigNotFoundError,
    ExpConfig,
    SdnError,
    load_exp_config,
    load_sdn_config,
    own_files,
    sdn,
)
from exptrack.cli.main import FILE, json_option, main
from exptrack.cli.output import print_document, print_json, print_json_or_text
from exptrack.new_files import write_new_file

DIFFERS_EXIT = 1

file_argument = click.argument("file", type=FILE)
overrides_argument = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")


@main.group()
def config() -> None:
    """Check, show and change config files.

    FILE is a config (SDN, JSON, TOML or YAML), or a folder with a config.sdn. KEY=VALUE overrides one value, or
    selects the file VALUE in the folder configs/KEY/ beside the config.
    """


@config.command()
@file_argument
@overrides_argument
@json_option
def check(file: str, overrides: Sequence[str], as_json: bool) -> None:
    """Check that a config can be composed.

    Files, overrides and references must all fit together.

    Example: exptrack config check config.sdn model=resnet optim.lr=3e-4
    """
    found = load_exp_config(file, overrides)
    facts = {"values": len(found.leaves()), "files": found.source_files, "hash": found.hash()}
    files = ", ".join(found.source_files) or "no file"
    print_json_or_text(
        as_json, facts, f"valid: {len(found.leaves())} values from {files}; hash {found.hash()[:16]}"
    )


@config.command()
@file_argument
@overrides_argument
@click.option("--sdn", "as_sdn", is_flag=True, help="Print the composed config as SDN.")
@json_option
def show(file: str, overrides: Sequence[str], as_sdn: bool, as_json: bool) -> None:
    """Show the composed config, and what set each value.

    A value is set by a line of a file, an override or the program. References to the environment, ${env:NAME},
    are shown as they are, without their values.

    Example: exptrack config show config.sdn model=resnet
    """
    found = load_exp_config(file, overrides)
    if as_json:
        facts = {"values": found.stored_values, "sources": found.sources, "hash": found.hash()}
        print_json(facts)
    elif as_sdn:
        print_document(found.to_sdn())
    else:
        from exptrack.terminal.console import open_console
        from exptrack.terminal.runs import print_config

        print_config(open_console(), found.stored_values, found.sources)


@config.command()
@file_argument
@click.argument("key")
@overrides_argument
@json_option
def get(file: str, key: str, overrides: Sequence[str], as_json: bool) -> None:
    """Print one value of the composed config.

    It is the value that the program would see. Text is printed as it is, a map as SDN, other values as JSON.

    Example: exptrack config get config.sdn optim.lr model=resnet
    """
    found = load_exp_config(file, overrides)
    if key not in found:
        raise ConfigError(
            f"there is no key {key!r} in {file}; 'exptrack config show {file}' lists the keys", key=key
        )
    value = found[key]
    if as_json:
        print_json(value)
    elif isinstance(value, dict):
        print_document(sdn.dumps(value))
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        print_document(f"{text}\n")


@config.command(name="set")
@file_argument
@click.argument("assignments", nargs=-1, required=True, metavar="KEY=VALUE...")
@json_option
def set_(file: str, assignments: Sequence[str], as_json: bool) -> None:
    """Change values in an SDN file.

    Comments, order and layout stay as they are.

    Example: exptrack config set config.sdn optim.lr=3e-4 "tags=[fast, small]"
    """
    path = _sdn_path(file)
    text = before = _read_sdn(path)
    changed: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise ConfigError(f"an assignment is written KEY=VALUE, not {assignment!r}")
        # Parse and check the value like an override, then write it at its place.
        changed[key] = ExpConfig.empty().with_override(key, value)[key]
        text = sdn.set_value(text, key, changed[key])
    if text != before:
        _replace(path, text)
    words = "; ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in changed.items())
    print_json_or_text(as_json, {"set": changed, "changed": text != before}, words)


@config.command()
@file_argument
@click.option("--write", is_flag=True, help="Write the normal form to FILE.")
@click.option("--check", "only_check", is_flag=True, help="Print nothing; exit with 1 if FILE differs.")
@json_option
def fmt(file: str, write: bool, only_check: bool, as_json: bool) -> None:
    """Print an SDN file in its normal form.

    The normal form uses blocks, four spaces a level, and quotes only where they are needed. It has no comments,
    so --write refuses a file that has comments.

    Example: exptrack config fmt --check config.sdn
    """
    path = _sdn_path(file)
    text = _read_sdn(path)
    normal = sdn.dumps(sdn.loads(text))
    written = write and normal != text
    if written:
        if sdn.has_comments(text):
            raise ConfigError(
                f"{path.name} has comments, which the normal form would lose; remove them, or format it by hand"
            )
        _replace(path, normal)
    if as_json:
        print_json({"normal": normal == text, "written": written})
    elif not (write or only_check):
        print_document(normal)
    if only_check and normal != text:
        sys.exit(DIFFERS_EXIT)


@config.command()
@file_argument
@click.option("--to", "target", type=click.Choice(["sdn", "json"]), required=True, help="The format to write.")
@click.option("-o", "--output", type=FILE, help="Write to this new file (default: print).")
@json_option
def convert(file: str, target: str, output: str | None, as_json: bool) -> None:
    """Convert one config to SDN or JSON.

    FILE may be SDN, JSON, TOML or YAML.

    Example: exptrack config convert config.yaml --to sdn -o config.sdn
    """
    found = load_sdn_config(file)
    text = found.to_sdn()
    if target == "json":
        text = json.dumps(found.stored_values, indent=2, ensure_ascii=False) + "\n"
    if output is not None:
        try:
            write_new_file(output, text.encode("utf-8"))
        except FileExistsError:
            raise ConfigError(f"{output} exists already; choose another name or remove it first") from None
        except OSError as error:
            raise ConfigError(f"cannot write {output}: {error.strerror}") from None
    if as_json:
        print_json({"format": target, "text": text, "output": output})
    elif output is None:
        print_document(text)


def _sdn_path(file: str) -> Path:
    path = Path(file)
    if path.is_dir():
        path = path / "config.sdn"
    if path.suffix != ".sdn":
        raise ConfigError(
            f"{path.name} is not SDN; convert it first: 'exptrack config convert {path} --to sdn'"
        )
    return path


def _read_sdn(path: Path) -> str:
    """Return the text of an SDN file, checked for syntax."""
    try:
        with own_files.open_for_reading(path) as opened:
            data = opened.read(sdn.MAX_BYTES + 1)
        sdn.loads(data)
    except FileNotFoundError:
        raise ConfigNotFoundError(f"there is no config file {path}", path=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except SdnError as error:
        place = {"line": error.line, "column": error.column}
        raise SdnError(error.problem, **place, source=error.source, file=str(path)) from None
    return data.decode("utf-8")


def _replace(path: Path, text: str) -> None:
    """Replace the text of a file, whole or not at all."""
    real = os.path.realpath(path)
    try:
        mode = os.stat(real).st_mode & 0o777
        write_new_file(real, text.encode("utf-8"), overwrite=True, mode=mode)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
