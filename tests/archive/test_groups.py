"""Groups of runs: made, described, renamed, moved to the trash and back."""

from __future__ import annotations

import math
from typing import Any

import pytest

from exptrack import Archive, GroupExistsError, GroupNotFoundError, InvalidValueError, Run, RunBusyError


def listed(archive: Archive, *, trash: bool = False) -> dict[str, tuple[int, dict[str, Any]]]:
    return {group.name: (group.runs, group.attributes) for group in archive.list_groups(trash=trash)}


def ended(archive: Archive, group: str) -> Run:
    with archive.start_run(group=group) as run:
        pass
    return run


def test_a_group_has_attributes_and_may_be_empty(archive: Archive) -> None:
    run = ended(archive, "digits")
    archive.create_group("empty")
    archive.set_group_attribute("empty", "owner", "ada")
    archive.set_group_attribute("empty", "owner", 2**60)
    archive.set_group_attribute("digits", "target", math.inf)
    archive.set_group_attribute("digits", "gone", [1, {"a": None}])
    archive.delete_group_attribute("digits", "gone")
    archive.delete_group_attribute("digits", "never")
    assert listed(archive) == {"digits": (1, {"target": math.inf}), "empty": (0, {"owner": 2**60})}
    rows = archive.sql("SELECT name, runs FROM groups ORDER BY name").rows
    assert rows == (("digits", 1), ("empty", 0))
    run.set_group(None)
    assert listed(archive)["digits"][0] == 0
    (group,) = (one for one in archive.list_groups() if one.name == "digits")
    assert group.created_at == run.started_at
    assert group.deleted_at is None
    for error, call in (
        (GroupExistsError, lambda: archive.create_group("digits")),
        (GroupNotFoundError, lambda: archive.set_group_attribute("none", "a", 1)),
        (GroupNotFoundError, lambda: archive.rename_group("none", "other")),
        (GroupNotFoundError, lambda: archive.trash_group("none")),
        (GroupNotFoundError, lambda: archive.restore_group("none")),
        (GroupExistsError, lambda: archive.rename_group("digits", "empty")),
        (InvalidValueError, lambda: archive.create_group("")),
        (InvalidValueError, lambda: archive.set_group_attribute("empty", "exptrack:renamed_to", "x")),
    ):
        with pytest.raises(error):
            call()


def test_a_renamed_group_takes_its_runs_and_attributes_along(archive: Archive) -> None:
    runs = [ended(archive, "digits") for _ in range(3)]
    archive.set_group_attribute("digits", "owner", "ada")
    live = archive.start_run(group="digits")
    archive.trash_run(runs[0])
    (before,) = archive.list_groups()
    assert archive.rename_group("digits", "mnist") == 4
    assert archive.rename_group("mnist", "mnist") == 4
    (after,) = archive.list_groups()
    assert after == before._replace(name="mnist")
    for run in (*runs, live):
        event = run.read_events()[-1]
        assert (event.kind, event.data) == ("group", {"group": "mnist", "before": "digits"})
        assert archive.show_run(run).summary.group == "mnist"
    assert [run.run_id for run in archive.runs().in_group("mnist")] == [
        run.run_id for run in (live, *runs[:0:-1])
    ]
    # The old name is no group in the trash. It may be used again, for a group of its own.
    assert listed(archive, trash=True) == {}
    for call in (
        lambda: archive.set_group_attribute("digits", "owner", "eve"),
        lambda: archive.restore_group("digits"),
    ):
        with pytest.raises(GroupNotFoundError, match="there is no group"):
            call()
    ended(archive, "digits")
    assert listed(archive) == {"digits": (1, {}), "mnist": (3, {"owner": "ada"})}
    archive.trash_group("digits")
    assert listed(archive, trash=True) == {"digits": (1, {})}
    assert archive.rename_group("mnist", "digits") == 4
    assert listed(archive) == {"digits": (3, {"owner": "ada"})}
    live.complete()


def test_a_group_goes_to_the_trash_with_its_runs_and_back(archive: Archive) -> None:
    first, second, other = (ended(archive, "digits") for _ in range(3))
    archive.set_group_attribute("digits", "owner", "ada")
    archive.trash_run(first)
    live = archive.start_run(group="digits")
    with pytest.raises(RunBusyError):
        archive.trash_group("digits")
    live.set_group(None)
    live.complete()
    assert archive.trash_group("digits") == (second.run_id, other.run_id)
    assert (listed(archive), listed(archive, trash=True)) == ({}, {"digits": (3, {"owner": "ada"})})
    assert archive.sql("SELECT count(*) FROM groups").rows == ((0,),)
    with pytest.raises(GroupNotFoundError, match="restore_group"):
        archive.set_group_attribute("digits", "owner", "eve")
    # A run that was there before stays.
    assert archive.restore_group("digits") == (second.run_id, other.run_id)
    assert archive.restore_group("digits") == ()
    assert listed(archive) == {"digits": (2, {"owner": "ada"})}
    assert [one.run.run_id for one in archive.list_trash()] == [first.run_id]


def test_a_run_brings_its_group_back(archive: Archive) -> None:
    run = ended(archive, "digits")
    archive.trash_group("digits")
    archive.restore_run(run)
    assert listed(archive) == {"digits": (1, {})}
    archive.trash_group("digits")
    ended(archive, "digits")
    assert listed(archive) == {"digits": (1, {})}
    archive.set_group_attribute("digits", "owner", "ada")
    archive.trash_group("digits")
    archive.create_group("digits")
    assert listed(archive) == {"digits": (0, {})}
