"""Merge the studies of another archive, each known by its uid.

Of a study that went on in two files, all trials are kept, each known by its uid and numbered by the rank of
that. Of two copies of a trial the one that went further is taken. If two files told different results of it,
both are kept. Of different studies with one name, the one
that was made first keeps it; the name of each other ends with the time of its making.

Invariant: everything is a function of the set of studies and trials. So the order of merging does not matter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from exptrack.database.connection import Connection, in_section
from exptrack.hashed_lists import encode_list
from exptrack.portable.merge_records import LeftOut
from exptrack.portable.study_rows import (
    DELETE_TRIAL,
    StudyRows,
    TrialRows,
    insert_study,
    insert_trial,
    read_study,
    save_study,
)
from exptrack.records import TrialState
from exptrack.runs.identity import derive_fork_id
from exptrack.runs.row_sums import changing_study
from exptrack.runs.trial_link import PROCESS_DIED

STUDIES = "SELECT id, uid, name, created_at FROM study"
RENAME_STUDY = "UPDATE study SET name = ? WHERE id = ?"
FORK_MARK = ("system", "exptrack:fork_of")  # attribute of a fork: the uid of its trial
WAITING, RUNNING, DIED, TOLD = range(4)  # how far a copy of a trial is
SECONDS_CHARS = len("2026-03-01 10:00:00")


class MergedStudies(NamedTuple):
    """The names of the studies that were taken or changed, those that got another name, and those left out."""

    taken: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@in_section
def merge_studies(
    connection: Connection, other: Connection, uids: Iterable[str], *, dry_run: bool
) -> MergedStudies:
    """Merge the studies with these uids, of which the other file says something else. Commits, power-safe."""
    found = [study for study in (read_study(other, uid) for uid in sorted(uids)) if study is not None]
    if not found:
        return MergedStudies()
    damaged = [
        LeftOut(f"study {one.name}", "its rows do not match their sum") for one in found if not one.is_sound
    ]
    sound = [one for one in found if one.is_sound]
    taken: list[str] = []
    # A trial run may be asked of an archive that cannot be written.
    with connection.snapshot() if dry_run else connection.transaction(durable=True):
        names = _name_studies(connection, sound)
        renamed = _rename(connection, names, dry_run=dry_run)
        for study in sound:
            own = read_study(connection, study.uid)
            if own is not None and not own.is_sound:
                damaged.append(
                    LeftOut(f"study {study.name}", "the copy in this archive is damaged; run 'exptrack verify'")
                )
            elif _take(connection, study, own, names[study.uid], dry_run=dry_run):
                taken.append(names[study.uid])
                if names[study.uid] != study.name:
                    renamed.append((study.name, names[study.uid]))
    return MergedStudies(tuple(taken), tuple(renamed), tuple(damaged))


def find_new_studies(connection: Connection, other: Connection, uids: Iterable[str]) -> set[str]:
    """Return those of these studies of which the other file says something newer."""
    return {uid for uid in uids if _is_new(connection, other, uid)}


def _is_new(connection: Connection, other: Connection, uid: str) -> bool:
    study, own = read_study(other, uid), read_study(connection, uid)
    if study is None:
        return False
    if own is None or not study.is_sound or not own.is_sound:
        return True
    names = _name_studies(connection, [study])
    return bool(_find_renamed(connection, names)) or _unite(own, study, own.name) != own


def _name_studies(connection: Connection, studies: Sequence[StudyRows]) -> dict[str, str]:
    """Return the name of each study that has a base name in common with one of these, by uid."""
    known = {uid: (created_at, uid, name) for _, uid, name, created_at in connection.fold(STUDIES, (), list)}
    for one in studies:
        known.setdefault(one.uid, (one.created_at, one.uid, one.name))
    by_base: dict[str, list[tuple[str, str]]] = {}
    for created_at, uid, name in known.values():
        by_base.setdefault(_strip(name, created_at, uid), []).append((created_at, uid))
    names: dict[str, str] = {}
    for base in sorted({_strip(one.name, one.created_at, one.uid) for one in studies}):
        for place, (created_at, uid) in enumerate(sorted(by_base[base])):
            ends = _suffixes(created_at, uid)
            same_second = [at[:SECONDS_CHARS] for at, _ in by_base[base]].count(created_at[:SECONDS_CHARS]) > 1
            is_taken = same_second or f"{base}{ends[0]}" in by_base
            names[uid] = base if place == 0 else f"{base}{ends[1] if is_taken else ends[0]}"
    return names


def _suffixes(created_at: str, uid: str) -> tuple[str, str]:
    seconds = created_at[:SECONDS_CHARS]
    return f" ({seconds})", f" ({seconds} {uid})"


def _strip(name: str, created_at: str, uid: str) -> str:
    """Return the name that a study was given, without the time that a merge has added."""
    for suffix in _suffixes(created_at, uid):
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return name


def _rename(connection: Connection, names: dict[str, str], *, dry_run: bool) -> list[tuple[str, str]]:
    """Give the studies in this archive their names. Call inside a transaction."""
    changed = _find_renamed(connection, names)
    for row_id, uid, _name in () if dry_run else changed:
        with changing_study(connection, row_id):
            connection.execute(RENAME_STUDY, (names[uid], row_id))
    return [(name, names[uid]) for _, uid, name in changed]


def _find_renamed(connection: Connection, names: dict[str, str]) -> list[tuple[int, str, str]]:
    """Return row id, uid and present name of the studies that get another name."""
    return [
        (row_id, uid, name)
        for row_id, uid, name, _ in connection.fold(STUDIES, (), list)
        if names.get(uid, name) != name
    ]


def _take(connection: Connection, study: StudyRows, own: StudyRows | None, name: str, *, dry_run: bool) -> bool:
    """Let the archive hold what both copies of a study hold; return whether that changes it."""
    merged = study._replace(name=name) if own is None else _unite(own, study, name)
    if own is not None and merged == own._replace(name=name):
        return False
    if dry_run:
        return True
    numbers = {trial.uid: number for number, trial in enumerate(merged.trials)}
    if own is None:
        row_id, kept = insert_study(connection, merged), set[str]()
    else:
        row_id = own.row_id
        before = {trial.uid: trial for trial in own.trials}
        kept = {
            trial.uid
            for trial in merged.trials
            if before.get(trial.uid) == trial and own.numbers[trial.uid] == numbers[trial.uid]
        }
        if any(own.numbers[uid] != numbers[uid] for uid in own.numbers):
            kept = set()  # also one whose number stays may name another one by its number
        for uid, trial in own.row_ids.items():
            if uid not in kept:
                connection.execute(DELETE_TRIAL, (trial,))
    for one in merged.trials:
        if one.uid not in kept:
            known = None if own is None else own.row_ids.get(one.uid)
            insert_trial(connection, row_id, one, numbers, known)
    save_study(connection, row_id, merged)
    return True


def _unite(own: StudyRows, other: StudyRows, name: str) -> StudyRows:
    """Return what two copies of a study hold together."""
    copies: dict[str, list[TrialRows]] = {}
    for trial in (*own.trials, *other.trials):
        copies.setdefault(_origin_of(trial), []).append(trial)
    trials = [trial for uid, found in copies.items() for trial in _resolve(uid, found)]
    # No time says which value of an attribute is newer.
    attributes = {one[:2]: one for one in own.attributes}
    for one in other.attributes:
        attributes[one[:2]] = max(one, attributes.get(one[:2], one), key=_rank_value)
    return own._replace(
        name=name,
        settings=max(own.settings, other.settings),
        attributes=tuple(attributes.values()),
        trials=tuple(sorted(trials, key=lambda trial: trial.uid)),
    )


def _origin_of(trial: TrialRows) -> str:
    """Return the uid of the trial that a trial is a fork of; its own if it is none."""
    found = (json.loads(value) for scope, name, value in trial.attributes if (scope, name) == FORK_MARK)
    return str(next(found, trial.uid))


def _resolve(uid: str, copies: Sequence[TrialRows]) -> list[TrialRows]:
    """Return the trials that a file with all these copies of one holds.

    Two files may have taken one waiting trial and told different results. Then both are kept: the one that was
    started first has the uid, and the other one a uid made of its content.
    """
    bare = {
        one._replace(uid=uid, attributes=tuple(said for said in one.attributes if said[:2] != FORK_MARK))
        for one in copies
    }
    largest = [
        one
        for one in bare
        if not any(
            _continues(other, one) and (not _continues(one, other) or _progress(other) > _progress(one))
            for other in bare
            if other != one
        )
    ]
    first, *others = sorted(largest, key=lambda one: (one.facts[2] or "", _progress(one)))
    return [first, *map(_make_fork, others)]


def _make_fork(trial: TrialRows) -> TrialRows:
    digest = hashlib.sha256(encode_list(trial)).hexdigest()
    mark = (*FORK_MARK, json.dumps(trial.uid))
    return trial._replace(uid=derive_fork_id(trial.uid, digest), attributes=(*trial.attributes, mark))


def _continues(later: TrialRows, earlier: TrialRows) -> bool:
    """Whether a copy of a trial continues another one, or is equal to it."""
    rank = _rank_state(earlier)
    if rank == WAITING:
        return True
    if rank == TOLD and (later.facts[:5], later.values) != (earlier.facts[:5], earlier.values):
        return False
    return (
        later.facts[2] == earlier.facts[2]
        and set(later.params) >= set(earlier.params)
        and set(later.reports) >= set(earlier.reports)
    )


def _rank_value(attribute: tuple[str, str, str]) -> tuple[int, str]:
    """Rank values of one attribute, in JSON: of two counts the larger is the newer one."""
    return len(attribute[2]) if attribute[2].isdigit() else 0, attribute[2]


def _rank_state(trial: TrialRows) -> int:
    state, reason = trial.facts[0], trial.facts[6]
    if state == TrialState.FAIL and str(reason).startswith(PROCESS_DIED):
        return DIED
    return {TrialState.WAITING: WAITING, TrialState.RUNNING: RUNNING}.get(state, TOLD)


def _progress(trial: TrialRows) -> tuple[Any, ...]:
    """Which of two copies that continue each other is taken: the greater."""
    heartbeat_at = trial.facts[5] or ""
    return _rank_state(trial), len(trial.reports), len(trial.params), heartbeat_at, encode_list(trial)
