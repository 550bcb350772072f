"""Decide what a file holds of one run that several files have copies of.

The history of a run is the list of its **sessions**: the times of its events ``start`` and ``resume``. A copy
continues another one if the other's sessions begin its own, and it has all of the other's events and points. A
file holds the copies that no other copy continues, its *branches*. The first branch, by its sessions, keeps the
id of the run. Each other branch is a *fork*: a run of its own, whose id is made of the run and of the session
in which it parts. Its event ``fork`` names the run.

What a person says of a run is shared by all branches: tags, notes, name, group, attributes, and artifacts,
inputs and events that came while the run did not run.

Invariant: everything here is a function of the set of copies. So the order in which files are merged does not
matter, and neither does merging a file again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from exptrack.hashed_lists import encode_list
from exptrack.portable.run_rows import ArtifactRow, EventRow, RunRows
from exptrack.records import RunStatus
from exptrack.runs.identity import derive_fork_id
from exptrack.runs.notes import name_note
from exptrack.runs.ownership import VERDICTS

FORK_EVENT = "fork"
# The events that begin a session, and what their data hold: an event of the caller's own may have their name.
SESSION_EVENTS = {"start": "config_hash", "resume": "after"}
END_EVENTS = ("fail", "end")
# These belong to a copy of a run, also if the run did not run when they came.
OWN_EVENTS = frozenset((*SESSION_EVENTS, *END_EVENTS, "amend", "config", "inherit", "hand over", "prune"))
# These are shared by all copies, also if the run was running when they came.
SHARED_EVENTS = frozenset("tag untag note rename group trash restore alias describe artifact-removed".split())
RUNNING, DIED, TOLD = range(3)  # how a copy ends

_T = TypeVar("_T")


class ArtifactKey(NamedTuple):
    """What an artifact is in every file. `place` tells apart the same bytes registered at one time."""

    name: str
    hash: str
    created_at: str
    place: int


class Copy:
    """A run as one file holds it. `where` says which file; `of` is the id of the run that it is a copy of."""

    def __init__(self, where: str, rows: RunRows, of: str) -> None:
        self.where = where
        self.of = of
        self.rows = rows._replace(events=tuple(one for one in rows.events if fork_of(rows, one) is None))

    @cached_property
    def sessions(self) -> tuple[str, ...]:
        return tuple(one.happened_at for one in self.rows.events if begins_session(one))

    @cached_property
    def own_events(self) -> tuple[EventRow, ...]:
        """The events of this copy but its ends, which its status tells."""
        return tuple(one for one in self.rows.events if one.kind not in END_EVENTS and not is_shared_event(one))

    @cached_property
    def shared_events(self) -> Counter[EventRow]:
        return Counter(one for one in self.rows.events if is_shared_event(one))

    @cached_property
    def end(self) -> int:
        facts = self.rows.facts
        if facts.status == RunStatus.RUNNING:
            return RUNNING
        return DIED if facts.status == RunStatus.INTERRUPTED and facts.reason in VERDICTS else TOLD

    @cached_property
    def told(self) -> tuple[Any, ...]:
        """What was told at the end of the run."""
        facts = self.rows.facts
        return facts.status, facts.reason, facts.traceback, facts.ended_at, facts.duration_ms

    @cached_property
    def artifacts(self) -> dict[ArtifactKey, ArtifactRow]:
        counts: Counter[tuple[str, str, str]] = Counter()
        found = {}
        for row in self.rows.artifacts:
            key = (row.name, row.hash, row.created_at)
            found[ArtifactKey(*key, counts[key])] = row
            counts[key] += 1
        return found

    @cached_property
    def content(self) -> bytes:
        """A digest of what is its own, whatever its id. Equal sessions are told apart by it."""
        facts, lines = self.rows.facts, [encode_list((self.told, self.rows.facts.heartbeat_at))]
        lines.append(encode_list((facts.config_hash, facts.fingerprint, facts.host, self.rows.environment)))
        lines.append(encode_list(self.rows.leaves))
        lines += sorted(encode_list((one.name, one.numbers, one.checksum)) for one in self.rows.series)
        lines += [encode_list(one) for one in self.own_events]
        return hashlib.sha256(b"\n".join(lines)).digest()

    @cached_property
    def progress(self) -> tuple[Any, ...]:
        """Which of two copies that continue each other is taken: the greater."""
        return (self.end, self.rows.facts.heartbeat_at, len(self.rows.leaves), self.content)


ContainsPoints = Callable[[Copy, Copy], bool]


class Branch(NamedTuple):
    """A copy that no other continues, and the rows that a file holds of it after a merge."""

    copy: Copy
    rows: RunRows
    follows: tuple[Copy, ...]  # the copies that it continues, itself among them


def fork_of(rows: RunRows, event: EventRow) -> str | None:
    """Return the run that an event says its run is a fork of, else None.

    A fork begins with the first 9 characters of its run. So an event of that kind of the caller's own is none.
    """
    if event.kind != FORK_EVENT:
        return None
    of = read_facts(event).get("of")
    is_one = isinstance(of, str) and of != rows.facts.run_id and of[:9] == rows.facts.run_id[:9]
    return of if is_one else None


def origin_of(rows: RunRows) -> str:
    """Return the id of the run that a run is a fork of; its own if it is none."""
    found = (fork_of(rows, one) for one in rows.events)
    return next((of for of in found if of is not None), rows.facts.run_id)


def read_facts(event: EventRow) -> dict[str, Any]:
    """Return the data of an event; an event of the caller's own may hold anything."""
    facts = json.loads(event.data)
    return facts if isinstance(facts, dict) else {}


def begins_session(event: EventRow) -> bool:
    """Whether an event begins a session of its run."""
    return event.kind in SESSION_EVENTS and SESSION_EVENTS[event.kind] in read_facts(event)


def is_shared_event(event: EventRow) -> bool:
    """Whether all branches of a run share an event."""
    return event.kind in SHARED_EVENTS or (bool(event.late) and event.kind not in OWN_EVENTS)


def continues(later: Copy, earlier: Copy, contains: ContainsPoints) -> bool:
    """Whether a copy continues another one, or is equal to it.

    `contains` tells whether the first copy has all points of the second.
    """
    if later.rows.facts.started_at != earlier.rows.facts.started_at:
        return False
    if later.sessions[: len(earlier.sessions)] != earlier.sessions:
        return False
    if later.own_events[: len(earlier.own_events)] != earlier.own_events:
        return False
    same_sessions = len(later.sessions) == len(earlier.sessions)
    if same_sessions and earlier.end == TOLD and later.told != earlier.told:
        return False
    if not contains(later, earlier):
        return False
    # Of two copies with the same points, a death that was noticed is newer than a run that goes on. With other
    # points it is not: a process may live on elsewhere.
    ends_rank = same_sessions and later.end != TOLD and later.end < earlier.end
    return not (ends_rank and contains(earlier, later))


def resolve(copies: Sequence[Copy], contains: ContainsPoints) -> list[Branch]:
    """Return the branches that a file with all these copies holds, each with its rows."""
    of = copies[0].of
    after = {
        id(one): [other for other in copies if other is not one and continues(other, one, contains)]
        for one in copies
    }
    # Copies that continue each other, such as equal ones, are one: that with the greatest progress.
    largest = [
        one
        for place, one in enumerate(copies)
        if not any(
            one not in after[id(other)] or _is_taken(other, one, copies.index(other) < place)
            for other in after[id(one)]
        )
    ]
    largest.sort(key=_rank)
    names = _name_branches(of, largest)
    branches = []
    for copy, (run_id, parted_at) in zip(largest, names, strict=True):
        follows = tuple(one for one in copies if one is copy or copy in after[id(one)])
        branches.append(Branch(copy, _unite(copy, copies, run_id, parted_at), follows))
    return branches


def _rank(copy: Copy) -> tuple[Any, ...]:
    """Order branches: the first keeps the id of the run. Of those with equal sessions, it went furthest.

    It makes no difference whether a process was found dead: each opening of a file may find that.
    """
    return copy.sessions, copy.end != TOLD, -copy.rows.points, copy.own_events, copy.content


def _is_taken(other: Copy, one: Copy, is_before: bool) -> bool:
    """Whether `other` is taken of two copies that continue each other; of equal ones the first."""
    return other.progress > one.progress or (other.progress == one.progress and is_before)


def _name_branches(of: str, largest: Sequence[Copy]) -> list[tuple[str, str]]:
    """Return the run id of each branch, and the time of the session in which it parts."""
    names = []
    for place, copy in enumerate(largest):
        if place == 0:
            names.append((of, ""))
            continue
        before = largest[:place]
        session = _find_parting(copy.sessions, [one.sessions for one in before])
        event = _find_parting(copy.own_events, [one.own_events for one in before])
        if session is not None:
            word, parted_at = session, session
        else:
            word = copy.content.hex() if event is None else encode_list(event).decode()
            parted_at = copy.sessions[-1]
        names.append((derive_fork_id(of, word), parted_at))
    return names


def _find_parting(own: Sequence[_T], before: Sequence[Sequence[_T]]) -> _T | None:
    """Return the first thing of a list that ends what it has in common with each of the others."""
    lengths = range(1, len(own) + 1)
    return next((own[n - 1] for n in lengths if all(other[:n] != own[:n] for other in before)), None)


def _unite(copy: Copy, copies: Sequence[Copy], run_id: str, parted_at: str) -> RunRows:
    """Return the rows of a branch: its own, and those that all copies share."""
    rows, facts = copy.rows, copy.rows.facts
    events = _unite_events(copy, copies)
    artifacts, versions = _unite_artifacts(copy, copies)
    rows = rows._replace(
        facts=facts._replace(
            run_id=run_id,
            name=_find_newest(copies, "name", ("rename",))[1],
            group_name=_find_newest(copies, "group_name", ("group",))[1],
            parent_run_id=_greatest(one.rows.facts.parent_run_id for one in copies),
            external_id=_greatest(one.rows.facts.external_id for one in copies) if run_id == copy.of else None,
            deleted_at=_find_deletion(copy, copies),
            checksum=facts.checksum if run_id == facts.run_id else None,
        ),
        tags=_unite_tags(copies),
        notes=_unite_notes(copy, copies),
        events=events,
        inputs=_unite_inputs(copy, copies),
        artifacts=artifacts,
        attributes=_unite_attributes(copies),
        aliases=_unite_aliases(copies, artifacts, versions),
    )
    if run_id == copy.of:
        return rows
    return rows._replace(events=_insert_event(events, _make_fork_event(copy.of, parted_at)))


def _make_fork_event(of: str, at: str) -> EventRow:
    return EventRow(at, FORK_EVENT, json.dumps({"of": of}, separators=(",", ":")), 0)


def _insert_event(events: tuple[EventRow, ...], event: EventRow) -> tuple[EventRow, ...]:
    """Insert an event behind the session that happened at its time."""
    place = next(
        n for n, one in enumerate(events) if begins_session(one) and one.happened_at == event.happened_at
    )
    return (*events[: place + 1], event, *events[place + 1 :])


def _greatest(values: Iterable[str | None]) -> str | None:
    return max((value for value in values if value is not None), default=None)


def _find_newest(copies: Sequence[Copy], column: str, kinds: Container[str]) -> tuple[str, str | None]:
    """Return when a column was set last, by the events of these kinds, and to what. The start set it first."""
    found: list[tuple[str, str]] = []
    for one in copies:
        times = [event.happened_at for event in one.rows.events if event.kind in kinds]
        given: str | None = getattr(one.rows.facts, column)
        found.append((max(times, default=""), json.dumps(given)))
    at, chosen = max(found)
    return at, json.loads(chosen)


def _find_deletion(copy: Copy, copies: Sequence[Copy]) -> str | None:
    """Return when a run was moved to the trash, if it is there. A run that is resumed is taken out."""
    at, deleted_at = _find_newest(copies, "deleted_at", ("trash", "restore"))
    return deleted_at if copy.end != RUNNING and at >= copy.sessions[-1] else None


def _insert_missing(
    own: tuple[_T, ...], wanted: Counter[_T], time: Callable[[_T], str], *, behind: int = 0
) -> tuple[_T, ...]:
    """Return a list with the wanted things, those that it lacks inserted by their times.

    They come behind the first `behind` things. All others keep their order, also where a clock was set back:
    the order of sessions counts.
    """
    found = list(own)
    for one in sorted((wanted - Counter(own)).elements()):  # type: ignore[type-var]
        place = len(found)
        while place > behind and time(found[place - 1]) > time(one):
            place -= 1
        found.insert(place, one)
    return tuple(found)


def _unite_events(copy: Copy, copies: Sequence[Copy]) -> tuple[EventRow, ...]:
    shared: Counter[EventRow] = Counter()
    for one in copies:
        shared |= one.shared_events
    own = Counter(one for one in copy.rows.events if not is_shared_event(one))
    # The start stays the first.
    return _insert_missing(copy.rows.events, own + shared, lambda one: one.happened_at, behind=1)


def _unite_notes(copy: Copy, copies: Sequence[Copy]) -> tuple[tuple[str, str], ...]:
    """Return the notes of all copies without those that a copy has removed or replaced."""
    gone = {name for one in copies for event in one.shared_events for name in _list_notes_gone(event)}
    wanted: Counter[tuple[str, str]] = Counter()
    for one in copies:
        wanted |= Counter(note for note in one.rows.notes if not gone or name_note(*note) not in gone)
    own = tuple(note for note in copy.rows.notes if note in wanted)
    return _insert_missing(own, wanted, lambda note: note[0])


def _list_notes_gone(event: EventRow) -> list[str]:
    """Return the names of the notes that an event tells to be gone."""
    if event.kind != "note" or not ('"removed"' in event.data or '"replaces"' in event.data):
        return []
    said = json.loads(event.data)
    return [str(said[key]) for key in ("removed", "replaces") if isinstance(said, dict) and key in said]


def _unite_tags(copies: Sequence[Copy]) -> tuple[tuple[str, str], ...]:
    """Return the tags whose newest event adds them. A tag is removed if both have one time."""
    added: dict[str, str] = {}
    removed: dict[str, str] = {}
    for one in copies:
        for tag, at in one.rows.tags:
            added[tag] = max(at, added.get(tag, ""))
        for event in one.shared_events:
            if event.kind in ("tag", "untag"):
                times = added if event.kind == "tag" else removed
                named = read_facts(event).get("tag")
                if isinstance(named, str):
                    times[named] = max(event.happened_at, times.get(named, ""))
    return tuple(sorted((tag, at) for tag, at in added.items() if at > removed.get(tag, "")))


def _unite_attributes(copies: Sequence[Copy]) -> tuple[tuple[Any, ...], ...]:
    newest: dict[str, tuple[Any, ...]] = {}
    for one in copies:
        for row in one.rows.attributes:
            if row[0] not in newest or rank_attribute(row) > rank_attribute(newest[row[0]]):
                newest[row[0]] = row
    return tuple(newest[key] for key in sorted(newest))


def rank_attribute(row: Sequence[Any]) -> tuple[Any, ...]:
    """Return what tells which of two rows of an attribute is newer: key, type, num, text and set_at."""
    _key, kind, _num, _text, set_at = row
    return set_at, kind == "removed", encode_list(row)


def _shared_artifacts(copies: Sequence[Copy]) -> set[ArtifactKey]:
    """Return the artifacts that came while the run did not run, by their events."""
    late: Counter[tuple[Any, ...]] = Counter()
    for one in copies:
        late |= Counter(
            (*map(read_facts(event).get, ("name", "hash")), event.happened_at)
            for event in one.shared_events.elements()
            if event.kind == "artifact"
        )
    return {key for one in copies for key in one.artifacts if key.place < late[key[:3]]}


def _unite_artifacts(
    copy: Copy, copies: Sequence[Copy]
) -> tuple[tuple[ArtifactRow, ...], dict[ArtifactKey, int]]:
    """Return the artifacts of a branch, and the version of each.

    One that was removed in any copy is removed. Versions keep their numbers where these agree; else those of a
    name are numbered by the time of registering.
    """
    chosen = _shared_artifacts(copies) | copy.artifacts.keys()
    found: dict[ArtifactKey, list[tuple[Copy, ArtifactRow]]] = {}
    for one in copies:
        for key, row in one.artifacts.items():
            if key in chosen:
                found.setdefault(key, []).append((one, row))
    united = {key: _unite_artifact(held) for key, held in found.items()}
    versions: dict[ArtifactKey, int] = {}
    for name in {key.name for key in found}:
        keys = [key for key in found if key.name == name]
        given = {key: {row.version for _, row in found[key]} for key in keys}
        numbers = sorted(number for one in given.values() for number in one)
        if numbers == list(range(1, len(keys) + 1)):
            versions.update((key, min(given[key])) for key in keys)
        else:
            ranked = sorted(keys, key=lambda key: (key.created_at, key.hash, key.place))
            versions.update((key, number) for number, key in enumerate(ranked, 1))
    rows = [row._replace(version=versions[key]) for key, row in united.items()]
    return tuple(sorted(rows, key=lambda row: (row.name, row.version))), versions


def _unite_artifact(held: Sequence[tuple[Copy, ArtifactRow]]) -> ArtifactRow:
    removals = [row.removed_at for _, row in held if row.removed_at is not None]
    described = [(_described_at(one, row), row.description or "", row.description) for one, row in held]
    row = held[0][1]._replace(description=max(described, key=lambda said: said[:2])[2])
    if removals:
        return row._replace(removed_at=min(removals), entries=())
    return row


def _described_at(copy: Copy, row: ArtifactRow) -> str:
    times = [
        event.happened_at
        for event in copy.shared_events
        if event.kind == "describe"
        and tuple(map(read_facts(event).get, ("name", "version"))) == (row.name, row.version)
    ]
    return max(times, default="")


def _unite_aliases(
    copies: Sequence[Copy], artifacts: Iterable[ArtifactRow], versions: dict[ArtifactKey, int]
) -> tuple[tuple[Any, ...], ...]:
    """Return the newest state of each alias among those that name an artifact of this branch, or none."""
    kept = {(row.name, row.version) for row in artifacts if row.removed_at is None}
    newest: dict[tuple[str, str], tuple[str, bool, int]] = {}
    for one in copies:
        keys = {(row.name, row.version): key for key, row in one.artifacts.items()}
        for name, alias, version, set_at in one.rows.aliases:
            number = None
            if version is not None:
                number = versions.get(keys.get((name, version)))  # type: ignore[arg-type]
                if number is None:
                    continue
            state = (set_at, number is None, number or 0)
            newest[name, alias] = max(state, newest.get((name, alias), state))
    return tuple(
        (name, alias, number if number and (name, number) in kept else None, set_at)
        for (name, alias), (set_at, _is_removed, number) in sorted(newest.items())
    )


def _unite_inputs(copy: Copy, copies: Sequence[Copy]) -> tuple[tuple[Any, ...], ...]:
    """Return what a branch used, and what was said of the run later.

    Two copies may have used different bytes under one version. The one used later then gets the next number.
    """
    shared = {
        tuple(map(read_facts(event).get, ("hash", "from_run", "name", "version")))
        for one in copies
        for event in one.shared_events
        if event.kind == "use"
    }
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for one in copies:
        counts: Counter[tuple[Any, ...]] = Counter()
        for row in one.rows.inputs:
            used = (row[4], *row[:3])
            key = (*used, counts[used])
            counts[used] += 1
            if one is copy or row[:4] in shared:
                found[key] = min(row, found.get(key, row))
    if sorted(found.values()) == sorted(copy.rows.inputs):
        return copy.rows.inputs
    taken: set[tuple[Any, ...]] = set()
    rows = []
    for key in sorted(found):
        blob_hash, run_id, name, version, used_at = found[key]
        while (run_id, name, version) in taken:
            version += 1
        taken.add((run_id, name, version))
        rows.append((blob_hash, run_id, name, version, used_at))
    return tuple(rows)


def assign_places(
    branches: Sequence[Branch], copies: Sequence[Copy], here: str
) -> tuple[list[int | None], list[int]]:
    """Return the row ids under which the branches are written in the file `here`, and those that go.

    None stands for a new one. A branch of the other file takes the place of a copy that it continues.
    """
    free = {one.rows.row_id for one in copies if one.where == here}
    free -= {one.copy.rows.row_id for one in branches if one.copy.where == here}
    places: list[int | None] = []
    for branch in branches:
        place: int | None = branch.copy.rows.row_id
        if branch.copy.where != here:
            continued = [one.rows.row_id for one in branch.follows if one.where == here]
            place = next((row_id for row_id in continued if row_id in free), None)
            free.discard(place or 0)
        places.append(place)
    return places, sorted(free)


def is_stored(branch: Branch, own: Iterable[RunRows]) -> bool:
    """Whether the file has a branch exactly so."""
    return any(branch.rows == one for one in own if one.row_id == branch.copy.rows.row_id)
