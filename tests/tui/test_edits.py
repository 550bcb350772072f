"""Changes that the view makes: of each run, or of none."""

from __future__ import annotations

from pathlib import Path

import pytest

from exptrack import Archive, InvalidValueError, RunNotFoundError, RunTrashedError
from exptrack.tui import edits


def ids(path: Path) -> dict[str, str]:
    with Archive(path, mode="ro") as archive:
        return {str(run.name): run.run_id for run in archive.runs()}


def test_tags_are_added_and_removed_by_words(lab: Path) -> None:
    names = ids(lab)
    chosen = [names["net-1"], names["net-2"]]
    assert edits.change_tags(str(lab), chosen, "a 'b c' -odd -even") == "2 runs: +a +b c -odd -even"
    with Archive(lab, mode="ro") as archive:
        assert [run.tags for run in archive.runs().tagged("a")] == [("a", "b c")] * 2


@pytest.mark.parametrize("text", ["", "   ", "-", "'open"])
def test_a_text_without_tags_is_refused(text: str, lab: Path) -> None:
    with pytest.raises(InvalidValueError, match=r"no tag|quote is not closed"):
        edits.change_tags(str(lab), list(ids(lab).values()), text)
    assert edits.change_tags(str(lab), [ids(lab)["net-1"]], "x") == "1 run: +x"


def test_an_error_says_how_many_runs_were_changed_before_it(lab: Path) -> None:
    names = ids(lab)
    with Archive(lab) as archive:
        archive.trash_run(names["net-2"])
    chosen = [names["net-1"], names["net-2"], names["net-3"]]
    with pytest.raises(RunTrashedError) as caught:
        edits.add_note(str(lab), chosen, "seen")
    assert caught.value.__notes__ == ["1 of 3 runs are changed"]
    with pytest.raises(RunNotFoundError) as first:
        edits.add_note(str(lab), ["none"], "seen")
    assert not hasattr(first.value, "__notes__")
    with Archive(lab, mode="ro") as archive:
        assert [run.name for run in archive.runs().where("note = seen")] == ["net-1"]


def test_runs_are_deleted_together_or_not_at_all(lab: Path) -> None:
    names = ids(lab)
    for change in (edits.trash_runs, edits.delete_runs):
        with pytest.raises(RunNotFoundError):
            change(str(lab), [names["net-1"], "none"])
        assert ids(lab) == names
    assert edits.delete_runs(str(lab), [names["net-1"], names["net-2"]]).startswith("2 runs deleted; ")
    assert edits.trash_runs(str(lab), [names["net-3"]]).startswith("1 run moved to the trash; ")
    assert edits.rename_run(str(lab), names["net-4"], "other") == f"{names['net-4']} is called other"
    assert set(ids(lab)) == set(names) - {"net-1", "net-2", "net-3", "net-4"} | {"other"}
