"""Check where and when a run happens, as its caller says it, where that is not this process.

Invariant: nothing of this process enters these facts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from exptrack.capture.code import CodeVersion
from exptrack.capture.environment import Environment
from exptrack.capture.redaction import know_secrets_of_command, redact_remote, remove_secrets_and_paths
from exptrack.errors import InvalidValueError
from exptrack.known_secrets import mask_secrets
from exptrack.plain import read_elements, read_items, short_repr
from exptrack.runs.events import check_facts
from exptrack.times import EPOCH, read_moment
from exptrack.validation import check_flag, check_name, check_text

CODE = ("commit", "dirty", "branch", "script")
ENVIRONMENT = ("host", "python", "platform")


def check_start(value: object) -> datetime:
    """Return the start of a run.

    Raises:
        InvalidTypeError: it is no time.
        InvalidValueError: it lies before 1970 or after 2999.
    """
    start = read_moment(value, "started_at")
    if start < EPOCH or start.year >= 3000:
        raise InvalidValueError(f"started_at must lie between the years 1970 and 2999, not {short_repr(value)}")
    return start


def make_code(
    commit: object, dirty: object, branch: object, script: object, remote: object = None, digest: object = ""
) -> CodeVersion:
    """Return a version of the code; None is unknown, and so is an empty digest."""
    return CodeVersion(
        commit=None if commit is None else mask_secrets(check_name(commit, "commit")),
        dirty=None if dirty is None else check_flag(dirty, "dirty"),
        branch=None if branch is None else mask_secrets(check_name(branch, "branch")),
        remote=None if remote is None else _redact_name(redact_remote(check_name(remote, "remote"))),
        script=None if script is None else _redact_name(check_name(script, "script")),
        digest=mask_secrets(check_text(digest, "code_digest")),
        problem=None,
    )


def make_environment(
    host: object,
    python: object,
    platform: object,
    system: object = None,
    command: object = (),
    variables: object = None,
) -> Environment:
    """Return a machine and a call; what is empty is unknown."""
    return Environment(
        host=mask_secrets(check_text(host, "host")),
        python=mask_secrets(check_text(python, "python")),
        platform=mask_secrets(check_text(platform, "platform")),
        system={} if system is None else check_facts(system, "system"),
        command=_check_command(command),
        variables={} if variables is None else _check_variables(variables),
    )


def _check_command(command: object) -> list[str]:
    words = [check_text(word, "a word of the command") for word in read_elements(command, "command")]
    return [remove_secrets_and_paths(word) for word in know_secrets_of_command(words)]


def _check_variables(variables: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in read_items(variables, "variables"):
        name = check_name(key, "name of a variable")
        (word,) = know_secrets_of_command([f"{name}={check_text(value, f'variable {name!r}')}"])
        found[mask_secrets(name)] = remove_secrets_and_paths(word.partition("=")[2])
    return found


def read_code(facts: object) -> CodeVersion:
    """Return the version of the code that a mapping tells of; what it lacks is unknown."""
    found = _read_facts(facts, "code", CODE)
    return make_code(*map(found.get, CODE))


def read_environment(facts: object) -> Environment:
    """Return the machine that a mapping tells of; what it lacks is unknown."""
    found = _read_facts(facts, "environment", ENVIRONMENT)
    return make_environment(*(found.get(name, "") for name in ENVIRONMENT))


def _read_facts(facts: object, what: str, known: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in read_items(facts, what):
        if key not in known:
            raise InvalidValueError(f"{what} has no {short_repr(key)}; it may have {', '.join(known)}")
        found[key] = value
    return found


@lru_cache(maxsize=256)
def _redact_name(text: str) -> str:
    return remove_secrets_and_paths(text)
