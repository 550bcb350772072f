"""Describe a run that happened elsewhere or earlier, and check such a description.

Invariants:

- The machine and the code come from the record alone, never from this process.
- Texts of the record are stored without the secrets and the paths that a run's own texts are stored without.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from exptrack.capture.redaction import (
    remove_secrets_and_paths,
    remove_secrets_of_name,
)
from exptrack.config.exp_config import make_config
from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.known_secrets import mask_secrets
from exptrack.plain import is_text, read_elements, read_items, reading, short_repr
from exptrack.records import FOLDER_TYPE, RunStatus
from exptrack.runs.attributes import StoredValue, check_attributes
from exptrack.runs.events import check_facts
from exptrack.runs.origin import check_start, make_code, make_environment
from exptrack.runs.store import NewRun, check_data, check_note, check_optional_name, check_tags
from exptrack.shown import shown
from exptrack.times import EARLIEST_S, LATEST_S, milliseconds_since, read_time, utc_text
from exptrack.validation import (
    INT64_MAX,
    INT64_MIN,
    check_name,
    check_number,
    check_status,
    check_step,
    check_text,
    iter_elements,
)

if TYPE_CHECKING:
    from exptrack.artifacts.registration import Registration

Columns: TypeAlias = tuple[list[int], list[int], list[float]]  # steps, milliseconds, values


@shown
@dataclass(frozen=True, slots=True)
class RecordedArtifact:
    """An artifact of a :class:`RecordedRun`: a name, and either `content` or the `path` of a file or folder.

    `content` is text, bytes, a binary file or an iterable of bytes. By default `kind` is ``data``, and of
    a path ``file`` or ``folder``. `time` is when it was registered, by default the end of the run. The
    others are as in :meth:`ArtifactStore.register_file`; by default `media_type` is guessed from the name
    of a file.
    """

    name: str
    content: object = None
    path: str | os.PathLike[str] | None = None
    kind: str | None = None
    step: int | None = None
    time: datetime | float | None = None
    metadata: Mapping[str, Any] | None = None
    media_type: str | None = None
    aliases: Iterable[str] = ()
    description: str | None = None


@shown
@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run that happened elsewhere or earlier, to give to :meth:`exptrack.Archive.record_runs`.

    `config` is anything that ``start_run`` takes. `started_at` is local time unless it has a time zone.
    `status` is completed, failed or interrupted. `parent` is a run of the archive, or the external id of one
    there or earlier in the same call. Leave host, Python and code empty where they are not known.

    `metrics` maps each name to ``(steps, values)`` or ``(steps, values, times)``: columns of equal length, in
    the order of logging. Times are as in :meth:`exptrack.Run.log_metric`; without them every point counts as
    logged at the start.

    `external_id` is the name of the run where it comes from, like ``mlflow:…``. The run's id is then made of
    its start and this name, so that every archive that records it gives it the same id.

    A tag or a note is a text, or a text with its time. Without a time, a tag was there at the start, and a note
    was written at the end. An event is ``(kind, data)`` or ``(kind, data, time)``. `attributes` are set at the
    end. `code_digest` names the code for the fingerprint of the run.
    """

    config: object
    started_at: datetime
    duration_s: float = 0.0
    status: RunStatus | str = RunStatus.COMPLETED
    reason: str | None = None
    traceback: str | None = None
    name: str | None = None
    group: str | None = None
    parent: object = None
    tags: Iterable[str | tuple[str, datetime | float]] = ()
    notes: Iterable[str | tuple[str, datetime | float]] = ()
    metrics: Mapping[str, tuple[Iterable[Any], ...]] = field(default_factory=dict)
    data: Mapping[str, str] | Iterable[str] | None = None
    host: str = ""
    python: str = ""
    script: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    branch: str | None = None
    external_id: str | None = None
    events: Iterable[tuple[Any, ...]] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Iterable[RecordedArtifact] = ()
    platform: str = ""
    command: Sequence[str] = ()
    variables: Mapping[str, str] | None = None
    system: Mapping[str, Any] | None = None
    remote: str | None = None
    code_digest: str = ""


class Happening(NamedTuple):
    """A tag, a note or an event of a record, and its time as the archive stores it."""

    at: str
    kind: str
    data: Any


class CheckedArtifact(NamedTuple):
    """An artifact that passed all checks; exactly one of `content` and `path` is given."""

    at: str
    said: Registration
    metadata: str
    content: object
    path: str | os.PathLike[str] | None


class CheckedRecord(NamedTuple):
    """A record that passed all checks. What happened in the run is ordered by time."""

    new: NewRun
    happened: list[Happening]
    attributes: dict[str, StoredValue]
    metrics: dict[str, Columns]
    artifacts: list[CheckedArtifact]


def check_record(record: object, find_parent: Callable[[object], str]) -> CheckedRecord:
    """Check a record. `find_parent` returns the id of the run that `parent` names."""
    with reading("a record"):
        if not isinstance(record, RecordedRun):
            raise InvalidTypeError(f"record_runs() takes RecordedRun objects, not {short_repr(record)}")
    status = check_status(record.status)
    if status is RunStatus.RUNNING:
        raise InvalidValueError("a recorded run has ended; its status must be completed, failed or interrupted")
    started = check_start(record.started_at)
    duration_s = check_number(record.duration_s, "duration_s")
    try:
        ended = started + timedelta(seconds=duration_s)
    except (OverflowError, ValueError):
        ended = None
    if ended is None or duration_s < 0:
        raise InvalidValueError(f"duration_s must be seconds, 0 or more, not {short_repr(record.duration_s)}")
    end = utc_text(ended)
    tags, timed_tags = _check_texts(record.tags, "tags", check_tags)
    notes, timed_notes = _check_texts(record.notes, "notes", lambda notes: [check_note(note) for note in notes])
    happened = [Happening(at, "tag", tag) for tag, at in timed_tags if tag not in tags]
    happened += [Happening(end, "note", note) for note in notes]
    happened += [Happening(at, "note", note) for note, at in timed_notes]
    happened += [_check_event(event, end) for event in read_elements(record.events, "events")]
    if len(happened) > 1:
        happened.sort(key=lambda one: one.at)
    new = NewRun(
        config=make_config(record.config).interpolate(),
        tags=tags,
        data=check_data(record.data),
        name=check_optional_name(record.name, "run name"),
        group=check_optional_name(record.group, "group"),
        parent=None if record.parent is None else find_parent(record.parent),
        code=make_code(
            record.commit, record.dirty, record.branch, record.script, record.remote, record.code_digest
        ),
        environment=make_environment(
            record.host, record.python, record.platform, record.system, record.command, record.variables
        ),
        started_at=started,
        ended_at=ended,
        duration_ms=round(duration_s * 1000),
        status=status,
        reason=_redact_text(record.reason, "reason"),
        traceback=_redact_text(record.traceback, "traceback"),
        external_id=check_optional_name(record.external_id, "external id"),
    )
    artifacts = [_check_artifact(one, end) for one in read_elements(record.artifacts, "artifacts")]
    return CheckedRecord(
        new, happened, check_attributes(record.attributes), _check_metrics(record, started), artifacts
    )


def _redact_text(text: object, what: str) -> str | None:
    return None if text is None else remove_secrets_and_paths(check_text(text, what))


# What happened in the run


def _check_texts(
    values: object, what: str, check: Callable[[list[Any]], list[str]]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the texts without a time, and those with one, each with it."""
    untimed: list[Any] = []
    timed: list[tuple[str, str]] = []
    for one in read_elements(values, what, like="['baseline']"):
        if is_text(one):
            untimed.append(one)
            continue
        pair = read_elements(one, f"one of the {what}", like="('text', time)", most=2)
        if len(pair) != 2:
            raise InvalidTypeError(f"one of the {what} must be a text or (text, time), not {short_repr(one)}")
        (text,) = check(pair[:1])
        timed.append((text, utc_text(read_time(pair[1], f"the time of one of the {what}"))))
    return check(untimed), timed


def _check_event(event: object, end: str) -> Happening:
    parts = read_elements(event, "an event", like="('epoch', {'n': 1}, time)", most=3)
    if len(parts) < 2:
        raise InvalidTypeError(f"an event is (kind, data) or (kind, data, time), not {short_repr(event)}")
    kind, data = mask_secrets(check_name(parts[0], "event kind")), parts[1]
    facts = {} if data is None else check_facts(data, "event data")
    at = end if len(parts) == 2 or parts[2] is None else utc_text(read_time(parts[2], "the time of an event"))
    return Happening(at, "event", (kind, facts))


def _check_artifact(artifact: object, end: str) -> CheckedArtifact:
    from exptrack.artifacts.folders import FOLDER, decode_path, guess_type
    from exptrack.artifacts.registration import Registration, check_registration

    with reading("an artifact"):
        if not isinstance(artifact, RecordedArtifact):
            raise InvalidTypeError(f"artifacts are RecordedArtifact objects, not {short_repr(artifact)}")
    content, path = artifact.content, artifact.path
    if (content is None) == (path is None):
        raise InvalidValueError(
            f"artifact {short_repr(artifact.name)} has both or neither of content and path; give one of them"
        )
    if is_text(content):
        content = check_text(content, "the content of an artifact")
    is_folder = path is not None and os.path.isdir(decode_path(path))
    kind, media_type = artifact.kind, artifact.media_type
    if kind is None:
        kind = "data" if path is None else FOLDER if is_folder else "file"
    if media_type is None and path is not None and not is_folder:
        media_type = guess_type(path)
    said = Registration(
        artifact.name,
        kind,
        artifact.metadata,
        is_text(content),
        media_type,
        artifact.step,
        artifact.aliases,
        artifact.description,
    )
    checked, metadata = check_registration(said)
    if is_folder:
        checked = checked._replace(media_type=FOLDER_TYPE)
    at = end if artifact.time is None else utc_text(read_time(artifact.time, "the time of an artifact"))
    return CheckedArtifact(at, checked, metadata, content, path)


# Points


def _check_metrics(record: RecordedRun, started: datetime) -> dict[str, Columns]:
    found: dict[str, Columns] = {}
    for name, columns in read_items(record.metrics, "metrics"):
        checked = remove_secrets_of_name(check_name(name, "metric name"))
        if checked in found:
            raise InvalidValueError(f"two metrics have the name {short_repr(checked)}; rename one of them")
        columns = read_elements(columns, f"metric {checked!r}", like="(steps, values)", most=3)
        if len(columns) < 2:
            raise InvalidTypeError(f"metric {checked!r} must be (steps, values) or (steps, values, times)")
        steps, values = _check_steps(columns[0]), _check_values(columns[1], f"metric {checked!r}")
        times = _check_times(columns[2], started) if len(columns) == 3 else [0] * len(steps)
        if not len(steps) == len(values) == len(times):
            raise InvalidValueError(f"metric {checked!r}: steps, values and times differ in length")
        if steps:
            found[checked] = (steps, times, values)
    return found


def _check_steps(column: object) -> list[int]:
    steps = list(iter_elements(column, "steps"))
    if set(map(type, steps)) == {int} and min(steps) >= INT64_MIN and max(steps) <= INT64_MAX:
        return steps
    return [check_step(step) for step in steps]


def _check_values(column: object, what: str) -> list[float]:
    values = list(iter_elements(column, "values"))
    if set(map(type, values)) == {float}:
        return values
    return [check_number(value, what) for value in values]


def _check_times(column: object, started: datetime) -> list[int]:
    times = list(iter_elements(column, "times"))
    plain = set(map(type, times)) == {float} and all(map(math.isfinite, times))
    if plain and min(times) > EARLIEST_S and max(times) < LATEST_S:
        zero = started.timestamp()
        return [round((when - zero) * 1000) for when in times]
    return [milliseconds_since(started, when) for when in times]
