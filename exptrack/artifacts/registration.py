"""Write the row of an artifact, with its event and aliases.

Invariant: every artifact's row is written by `insert_artifact`, in the transaction that makes its blob.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

from exptrack.artifacts.blobs import NewBlob
from exptrack.config.exp_config import ExpConfig
from exptrack.config.tree import encode_canonical, hide_secrets
from exptrack.database.connection import Connection, Row
from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.hashed_lists import encode_list
from exptrack.known_secrets import mask_facts, mask_secrets
from exptrack.named_tuples import NamedTuple
from exptrack.plain import short_repr
from exptrack.records import FOLDER_TYPE
from exptrack.runs.events import record_event, time_of_event
from exptrack.runs.row_sums import sum_artifact
from exptrack.validation import check_flag, check_name, check_step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# A damaged row may name the intact blob of another artifact, so the checksum of a row covers these fields.
CHECKED = "run_id name version kind hash is_text media_type step metadata created_at".split()

NEXT_VERSION = "SELECT coalesce(max(version), 0) + 1 FROM artifact WHERE run = ? AND name = ?"
INSERT_ARTIFACT = """
INSERT INTO artifact
    (run, name, version, kind, blob, hash, is_text, media_type, step, metadata, description, created_at,
     checksum)
VALUES (:run, :name, :version, :kind, :blob, :hash, :is_text, :media_type, :step, :metadata, :description,
        :created_at, :checksum)
"""


class Registration(NamedTuple):
    """The name of an artifact and all that is recorded beside its content."""

    name: str
    kind: str
    metadata: Mapping[str, Any] | None = None
    is_text: bool = False
    media_type: str | None = None
    step: int | None = None
    aliases: Iterable[str] = ()
    description: str | None = None


def check_registration(said: object) -> tuple[Registration, str]:
    """Return the registration with plain values, and the metadata as JSON."""
    from exptrack.artifacts.aliases import check_aliases, check_artifact_name, check_description

    if not isinstance(said, Registration):
        raise InvalidTypeError(
            f"register() takes a Registration, not {short_repr(said)}; call register_data or register_file"
        )
    media_type, step = said.media_type, said.step
    checked = Registration(
        check_artifact_name(said.name),
        mask_secrets(check_name(said.kind, "artifact kind")),
        None,
        check_flag(said.is_text, "is_text"),
        None if media_type is None else _check_media_type(media_type),
        None if step is None else check_step(step),
        check_aliases(said.aliases),
        check_description(said.description),
    )
    facts = ExpConfig({} if said.metadata is None else said.metadata).values
    return checked, encode_canonical(mask_facts(hide_secrets(facts)))


def _check_media_type(media_type: object) -> str:
    checked = mask_secrets(check_name(media_type, "media type"))
    if checked == FOLDER_TYPE:
        raise InvalidValueError(f"the media type {checked} is that of a folder; store one with register_dir")
    return checked


def insert_artifact(
    connection: Connection,
    run: int,
    run_id: str,
    said: Registration,
    metadata: str,
    blob: NewBlob,
    at: str | None = None,
    *,
    late: bool | None = None,
) -> int:
    """Write a checked registration as the next version, its event and its aliases. Return its row id.

    Call inside the transaction that makes the blob. `at` is the time of registering, as text of the archive;
    the default is now. `late` as in `record_event`.
    """
    version = connection.value(NEXT_VERSION, (run, said.name))
    at = time_of_event(connection, run) if at is None else at
    row = {
        "run_id": run_id,
        "name": said.name,
        "version": version,
        "kind": said.kind,
        "hash": blob.hash,
        "is_text": int(said.is_text),
        "media_type": said.media_type,
        "step": said.step,
        "metadata": metadata,
        "created_at": at,
    }
    more = {"run": run, "blob": blob.id, "description": said.description, "checksum": artifact_checksum(row)}
    artifact = connection.execute(INSERT_ARTIFACT, {**row, **more}).lastrowid
    assert artifact is not None
    data = {"name": said.name, "version": version, "hash": blob.hash}
    rows = sum_artifact(connection, run, artifact)
    record_event(connection, run, "artifact", data, at=at, rows=rows, late=late)
    for alias in said.aliases:
        from exptrack.artifacts.aliases import save_alias

        save_alias(connection, run, said.name, alias, version, at, late=late)
    return artifact


def artifact_checksum(row: Row | Mapping[str, Any]) -> int:
    """Compute the CRC-32 over the list of the fields in `CHECKED`."""
    return zlib.crc32(encode_list(row[key] for key in CHECKED))
