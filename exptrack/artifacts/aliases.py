"""Name versions of an artifact by aliases, which move, and describe versions.

Invariants: an alias names one version of one artifact of one run. A removed alias keeps its row, without a
version, so that a merge knows when it was removed. Each change is one transaction together with its event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from exptrack.capture.redaction import remove_secrets_of_name
from exptrack.database.connection import Connection, Row, in_section
from exptrack.errors import ArtifactNotFoundError, InvalidValueError, RunNotFoundError, RunTrashedError
from exptrack.known_secrets import mask_secrets
from exptrack.named_tuples import NamedTuple
from exptrack.plain import read_names, short_repr
from exptrack.runs.events import record_event, time_of_event
from exptrack.runs.row_sums import changing_alias, changing_artifact
from exptrack.validation import check_name, check_step, check_text

LATEST = "latest"
_VERSION = r"v[0-9]+"
# The last colon parts the name from the label: a name may contain colons, a label may not.
_LABELLED = r"(?s)(?P<name>.+):(?P<label>[^:/]+)"
MAX_VERSION_CHARS = 18
MAX_ALIAS_CHARS = 200

RUN_IS_TRASHED = "SELECT deleted_at IS NOT NULL FROM run WHERE id = ?"
VERSIONS_OF = """
SELECT id, version, step FROM artifact WHERE run = ? AND name = ? AND blob IS NOT NULL ORDER BY version
"""
VERSION_OF_ALIAS = "SELECT version FROM artifact_alias WHERE run = ? AND name = ? AND alias = ?"
ALIASES_OF_NAME = """
SELECT alias, version FROM artifact_alias WHERE run = ? AND name = ? AND version IS NOT NULL ORDER BY alias
"""
SAVE_ALIAS = """
INSERT INTO artifact_alias (run, name, alias, version, set_at) VALUES (:run, :name, :alias, :version, :at)
ON CONFLICT (run, name, alias) DO UPDATE SET version = excluded.version, set_at = excluded.set_at
"""
SAVE_DESCRIPTION = "UPDATE artifact SET description = ? WHERE id = ?"


class Label(NamedTuple):
    """What follows the last colon of a reference: a version, an alias, or neither for ``latest``."""

    name: str
    version: int | None
    alias: str | None


def read_label(reference: str) -> Label | None:
    """Split ``NAME:v2``, ``NAME:latest`` or ``NAME:ALIAS``; None if the text has no label."""
    match = re.fullmatch(_LABELLED, reference)
    if match is None:
        return None
    name, label = match["name"], match["label"]
    if label == LATEST:
        return Label(name, None, None)
    if re.fullmatch(_VERSION, label) and len(label) <= MAX_VERSION_CHARS:
        return Label(name, int(label[1:]), None)
    return Label(name, None, remove_secrets_of_name(label))


def find_version(connection: Connection, run: int, label: Label) -> tuple[bool, int | None]:
    """Return whether a label names a version of a run's artifact, and which; None is the newest."""
    if label.alias is None:
        return True, label.version
    version = connection.value(VERSION_OF_ALIAS, (run, label.name, label.alias))
    return version is not None, version


def check_artifact_name(name: object) -> str:
    """Return the name of an artifact as it is stored, without secrets."""
    return remove_secrets_of_name(check_name(name, "artifact name"))


def check_alias(alias: object) -> str:
    """Return an alias.

    Raises:
        InvalidTypeError: it is not text.
        InvalidValueError: it is no name, is longer than 200 characters, contains a colon or a slash, or is
            ``latest``, ``v1``, ``v2``, ….
    """
    checked = remove_secrets_of_name(check_name(alias, "alias"))
    if checked == LATEST or re.fullmatch(_VERSION, checked):
        raise InvalidValueError(
            f"the alias {short_repr(checked)} already names a version by its number or age; choose another word"
        )
    if len(checked) > MAX_ALIAS_CHARS:
        raise InvalidValueError(
            f"the alias {short_repr(checked)} has {len(checked):,} characters, more than {MAX_ALIAS_CHARS};"
            " shorten it"
        )
    if ":" in checked or "/" in checked:
        raise InvalidValueError(
            f"the alias {short_repr(checked)} contains a colon or a slash, which divide a reference; remove it"
        )
    return checked


def check_aliases(aliases: Iterable[str]) -> tuple[str, ...]:
    """Return aliases, each once; a single text is one alias."""
    return tuple(dict.fromkeys(check_alias(one) for one in read_names(aliases, "aliases", like="['best']")))


def check_description(text: object) -> str | None:
    """Return a description, or None for None."""
    if text is None:
        return None
    checked = check_text(text, "description")
    if not checked.strip():
        raise InvalidValueError("the description is empty; give some text, or None for no description")
    return mask_secrets(checked)


def save_alias(
    connection: Connection,
    run: int,
    name: str,
    alias: str,
    version: int | None,
    at: str | None = None,
    *,
    late: bool | None = None,
) -> None:
    """Let an alias name a version, or none, and record the event. Call inside a transaction.

    `at` and `late` are as in `record_event`.
    """
    at = time_of_event(connection, run) if at is None else at
    with changing_alias(connection, run, name, alias):
        connection.execute(SAVE_ALIAS, {"run": run, "name": name, "alias": alias, "version": version, "at": at})
    facts = {"name": name, "alias": alias, "version": version}
    record_event(connection, run, "alias", facts, at=at, late=late)


def drop_aliases(connection: Connection, run: int, name: str, versions: Iterable[int], at: str) -> None:
    """Remove the aliases of versions that go. Call inside the transaction that removes them."""
    gone = set(versions)
    for alias, version in connection.all(ALIASES_OF_NAME, (run, name)):
        if version in gone:
            save_alias(connection, run, name, alias, None, at)


class Naming:
    """The part of :class:`ArtifactStore` that names and describes versions."""

    def __init__(self, connection: Connection, run: int, run_id: str) -> None:
        self._connection = connection
        self._run = run
        self.run_id = run_id

    def _require_run(self, *, changeable: bool = False) -> None:
        is_trashed = self._connection.value(RUN_IS_TRASHED, (self._run,))
        if is_trashed is None:
            raise RunNotFoundError(self.run_id, str(self._connection.path))
        if changeable and is_trashed:
            raise RunTrashedError(self.run_id)

    def _read_versions(self, name: str) -> list[Row]:
        return self._connection.all(VERSIONS_OF, (self._run, check_name(name, "artifact name")))

    def _choose_version(self, name: str, version: int | None) -> Row:
        """Return the row of a version to change, by default the newest. Call inside a transaction."""
        self._require_run(changeable=True)
        number = None if version is None else check_step(version)
        rows = [row for row in self._read_versions(name) if number is None or row["version"] == number]
        if not rows:
            raise ArtifactNotFoundError(check_name(name, "artifact name"), self.run_id, number)
        return rows[-1]

    @in_section
    def set_alias(self, name: str, alias: str, version: int | None = None) -> None:
        """Let an alias such as ``best`` name a version, by default the newest. Commits.

        An alias of the artifact's name moves to this version. ``NAME:best`` then finds it, wherever an artifact
        is referred to.

        Raises:
            InvalidValueError: the alias is ``latest``, ``v1``, ``v2``, …, or contains a colon or a slash.
            ArtifactNotFoundError: the run has no such artifact.
        """
        name, checked = check_artifact_name(name), check_alias(alias)
        with self._connection.transaction():
            chosen = self._choose_version(name, version)
            save_alias(self._connection, self._run, name, checked, chosen["version"])

    @in_section
    def remove_alias(self, name: str, alias: str) -> None:
        """Remove an alias of an artifact. Commits. The version that it named stays.

        Raises:
            ArtifactNotFoundError: no version of the artifact has this alias.
        """
        name, checked = check_artifact_name(name), check_alias(alias)
        with self._connection.transaction():
            self._require_run(changeable=True)
            if self._connection.value(VERSION_OF_ALIAS, (self._run, name, checked)) is None:
                raise ArtifactNotFoundError(f"{name}:{checked}", self.run_id)
            save_alias(self._connection, self._run, name, checked, None)

    @in_section
    def describe(self, name: str, text: str | None, version: int | None = None) -> None:
        """Set the description of a version, by default of the newest; None removes it. Commits.

        Raises:
            InvalidValueError: the text is empty.
            ArtifactNotFoundError: the run has no such artifact.
        """
        name, checked = check_artifact_name(name), check_description(text)
        with self._connection.transaction():
            chosen = self._choose_version(name, version)
            with changing_artifact(self._connection, self._run, chosen["id"]):
                self._connection.execute(SAVE_DESCRIPTION, (checked, chosen["id"]))
            facts = {"name": name, "version": chosen["version"], "characters": len(checked or "")}
            record_event(self._connection, self._run, "describe", facts)
