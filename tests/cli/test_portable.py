"""The commands that copy, merge, extract and compare whole archives."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exptrack import (
    Archive,
    ExportError,
    FilterError,
    NotFoundError,
    OwnFileError,
    RunNotFoundError,
    Sampler,
    StudyNotFoundError,
)
from tests.cli.calls import asked, call, ids, oldest_first
from tests.published import leave_files


def test_snapshot_copies_the_archive_and_says_where(lab: Path, tmp_path: Path) -> None:
    place = tmp_path / "copy.db"
    told = call(lab, "snapshot", str(place))
    assert told.exit_code == 0
    assert told.stdout.startswith(f"copied to {place} (")
    with Archive(lab, mode="ro") as archive, Archive(place, mode="ro") as copy:
        assert copy.verify().ok
        assert copy.info(count_rows=True).rows == archive.info(count_rows=True).rows


def test_snapshot_prints_json(lab: Path, tmp_path: Path) -> None:
    place = tmp_path / "copy.db"
    facts = json.loads(call(lab, "snapshot", str(place), "--json").stdout)
    assert facts == {"path": str(place), "file_bytes": place.stat().st_size, "waiting": []}


def test_snapshot_replaces_nothing(lab: Path, tmp_path: Path) -> None:
    place = tmp_path / "copy.db"
    place.write_text("kept")
    assert call(lab, "snapshot", str(place)).exit_code == ExportError.exit_code
    assert place.read_text() == "kept"
    assert call(lab, "snapshot", str(lab)).exit_code == OwnFileError.exit_code
    absent = call(tmp_path / "absent.db", "snapshot", str(tmp_path / "new.db"))
    assert absent.exit_code == 11
    assert not (tmp_path / "new.db").exists()


# Merging, extracting, comparing


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of two nodes, a copy of one that went on by itself, a damaged one, and a text."""
    folder = tmp_path_factory.mktemp("files")
    leave_files(folder)
    (folder / "text.db").write_text("a text")
    return folder


@pytest.fixture
def work(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of these files, in the working folder."""
    folder = Path(shutil.copytree(files, tmp_path / "work"))
    monkeypatch.chdir(folder)
    return folder


def names() -> list[str]:
    return sorted(os.listdir())


def test_a_dry_merge_makes_nothing_and_says_what_a_merge_does(work: Path) -> None:
    before = {name: Path(name).read_bytes() for name in names()}
    dry = asked(None, "merge", "all.db", "node1.db", "node2.db", "--dry-run")
    assert {name: Path(name).read_bytes() for name in names()} == before
    assert call(None, "merge", "all.db", "node1.db", "--dry-run").stdout == (
        "node1.db: would bring 3 new runs, 601 points, 3 blobs (60.0 kB)\n"
    )
    merged = asked(None, "merge", "all.db", "node1.db", "node2.db")
    assert dry == merged | {"dry_run": True}
    assert [(one["path"], len(one["new"]), one["points"]) for one in merged["files"]] == [
        ("node1.db", 3, 601),
        ("node2.db", 2, 400),
    ]
    dry = asked(None, "merge", "all.db", "laptop.db", "--dry-run")
    assert asked(None, "merge", "all.db", "laptop.db") == dry | {"dry_run": False}


def test_a_merge_names_new_known_and_forked_runs(work: Path) -> None:
    first = call(None, "merge", "all.db", "node1.db", "./node1.db", "all.db")
    assert (first.exit_code, first.stdout) == (0, "node1.db: 3 new runs, 601 points, 3 blobs (60.0 kB)\n")
    before = Path("all.db").read_bytes()
    assert call(None, "merge", "all.db", "node1.db").stdout == "node1.db: nothing new; 3 unchanged\n"
    assert (
        call(None, "merge", "all.db", "all.db").stdout
        == "nothing to merge: there is no archive besides all.db\n"
    )
    assert Path("all.db").read_bytes() == before
    of = oldest_first(Path("node1.db"))[0]
    said = call(None, "merge", "all.db", "laptop.db").stdout
    (fork,) = {*ids(Path("all.db"))} - {*ids(Path("node1.db"))}
    assert said == (
        "laptop.db: 1 fork, 201 points; 2 unchanged\n"
        f"  {fork} is a fork of {of}: the run went on in two files\n"
    )
    with Archive("node2.db") as archive:
        run_id = archive.list_runs()[0].run_id
        archive.create_study("widths")
    call(None, "merge", "all.db", "node2.db")
    with Archive("node2.db") as archive:
        archive.get_run(run_id).add_tag("best")
    assert call(None, "merge", "all.db", "node2.db").stdout == "node2.db: 1 updated run; 1 unchanged\n"


def test_of_many_files_only_those_with_news_are_named(work: Path) -> None:
    os.mkdir("spool")
    with Archive("spool/empty.db"):
        pass
    for number in range(22):
        shutil.copy("spool/empty.db", f"spool/{number:02}.db")
    shutil.copy("node2.db", "spool/node2.db")
    Path("spool/text.db").write_text("a text")
    told = call(None, "merge", "all.db", "spool", "node1.db")
    place = work / "spool"
    assert told.stdout.splitlines() == [
        f"{place}/node2.db: 2 new runs, 400 points, 2 blobs (40.0 kB)",
        "node1.db: 3 new runs, 601 points, 3 blobs (60.0 kB)",
        "26 files in all: 5 new runs, 1,001 points",
        "1 left out:",
        f"  {place}/text.db is not an exptrack archive and was left untouched; check the path",
    ]
    assert told.exit_code == 17
    assert call(None, "merge", "all.db", "node1.db", "node2.db").exit_code == 0
    again = call(None, "merge", "all.db", "spool").stdout
    assert again.splitlines()[0] == "25 files in all: nothing new"


def test_a_folder_without_archives_and_a_removal_without_a_spool_are_told(work: Path) -> None:
    os.mkdir("spool")
    told = call(None, "merge", "all.db", "spool", "--remove")
    assert (told.exit_code, told.stdout) == (0, "nothing to merge: there is no archive besides all.db\n")
    told = call(None, "merge", "all.db", "node1.db", "--remove")
    assert (told.exit_code, told.stderr.splitlines()[-1]) == (
        2,
        "Error: --remove clears a spool; give its folder, not the files in it",
    )
    assert Path("node1.db").exists()


def test_two_studies_of_one_name_are_told(work: Path) -> None:
    for name in ("node1.db", "node2.db"):
        with Archive(name) as archive:
            archive.create_study("widths")
    said = call(None, "merge", "all.db", "node1.db", "node2.db").stdout.splitlines()
    assert re.fullmatch(
        r"  the study widths is now named widths \([-\d]+ [:\d]+.*\): an older one has its name", said[-1]
    )


def test_what_cannot_be_merged_is_told(work: Path) -> None:
    for code, path in ((11, "missing.db"), (12, "text.db")):
        for words in ((), ("--dry-run",)):
            told = call(None, "merge", "all.db", path, *words)
            assert (told.exit_code, told.stdout) == (code, "")
            assert path in told.stderr
            assert not Path("all.db").exists()  # nothing came into it
    assert call(None, "merge", "all.db", "node1.db").exit_code == 0
    assert call(None, "merge", "all.db", "missing.db").exit_code == 11
    assert Path("all.db").exists()
    assert call(None, "merge", "text.db", "node1.db").exit_code == 12
    for words in ((), ("--dry-run",)):
        told = call(None, "merge", "none/all.db", "node1.db", *words)
        assert (told.exit_code, told.stdout) == (11, "")
        assert told.stderr.endswith(f"the folder {work / 'none'} does not exist; create it first\n")
    assert call(None, "merge", "all.db").exit_code == 2
    assert Path("text.db").read_text() == "a text"


def test_a_damaged_run_is_left_out_and_the_exit_code_says_so(work: Path) -> None:
    damaged = oldest_first(Path("broken.db"))[1]
    reason = (
        "the artifact 'weights.bin' does not match its checksum; its facts, config, tags, notes, events,"
        " inputs, metrics or artifacts are not those that were stored"
    )
    for words in (("merge", "all.db", "broken.db"), ("merge", "all.db", "broken.db", "--dry-run")):
        told = call(None, *words)
        assert told.exit_code == 17
        assert told.stdout.splitlines()[1:] == ["1 left out:", f"  {damaged} of broken.db: {reason}"]
    facts = json.loads(call(None, "merge", "all.db", "broken.db", "--json").stdout)
    assert facts["files"][0]["left_out"] == [{"what": damaged, "reason": reason}]
    assert asked(Path("all.db"), "verify")["problems"] == []

    told = call(Path("broken.db"), "extract", "part.db", "--where", "config.optim.lr > 0")
    assert told.exit_code == 17
    assert told.stdout.splitlines()[1:] == ["1 left out:", f"  {damaged}: {reason}"]
    facts = json.loads(call(Path("broken.db"), "extract", "other.db", damaged, "--json").stdout)
    assert facts["left_out"] == [{"what": damaged, "reason": reason}]


def test_damaged_bytes_are_told_of_the_file_that_was_named(work: Path) -> None:
    with closing(sqlite3.connect("node1.db")) as connection, connection:
        connection.execute("UPDATE chunk_data SET data = zeroblob(length(data)) WHERE rowid = 1")
    for db, words in (
        (None, ("merge", "all.db", "node1.db")),
        (Path("node1.db"), ("extract", "a.db", "--where", "status = completed")),
    ):
        told = call(db, *words)
        assert told.exit_code == 17
        assert f" in {work / 'node1.db'} is damaged: " in told.stdout.splitlines()[-1]


def test_extract_takes_runs_a_filter_or_a_study(work: Path) -> None:
    with Archive("node1.db") as archive:
        study = archive.create_study("widths", sampler=Sampler.random(seed=1))
        study.optimize(lambda trial: trial.suggest_float("lr", 0.1, 1.0), n_trials=2)
        first, draft, paper = [run.run_id for run in reversed(archive.list_runs())][:3]
        with archive.start_run({}, ["user"]) as run:
            run.use_artifact(f"{draft}/weights.bin")
    lab = Path("node1.db")
    for place, (words, runs, said) in enumerate(
        (
            ((first, paper[:14]), {first, paper}, "2 runs, 401 points, 2 blobs"),
            (
                ("--where", "tag = paper", "--where", "config.optim.lr < 0.08"),
                {first},
                "1 run, 201 points, 1 blob",
            ),
            (("--where", "tag = user", "--with-inputs"), {run.run_id, draft}, "2 runs, 200 points, 1 blob"),
            (("--study", "widths"), None, "2 runs, 1 study, 2 points"),
        )
    ):
        told = call(lab, "extract", f"{place}.db", *words)
        assert (told.exit_code, told.stderr) == (0, "")
        size = Path(f"{place}.db").stat().st_size / 1000
        assert told.stdout == f"extracted {said} to {place}.db ({size:.1f} kB)\n"
        assert runs in (None, {*ids(Path(f"{place}.db"))})
    facts = asked(lab, "extract", "json.db", first)
    assert facts == {
        "path": str(work / "json.db"),
        "file_bytes": Path("json.db").stat().st_size,
        "runs": [first],
        "studies": [],
        "points": 201,
        "blobs": 1,
        "left_out": [],
    }
    none = call(lab, "extract", "none.db", "--where", "tag = nothing")
    assert (none.exit_code, none.stdout) == (NotFoundError.exit_code, "")
    assert (
        none.stderr
        == "exptrack: no run matches, so none.db was not made; 'exptrack ls' takes the same filters\n"
    )
    assert not Path("none.db").exists()


def test_extract_says_what_it_was_not_told_rightly(work: Path) -> None:
    lab = Path("node1.db")
    (run_id, *_), before = ids(lab), names()
    for words in ((), (run_id, "--where", "tag = paper"), ("--where", "tag = paper", "--study", "widths")):
        told = call(lab, "extract", "out.db", *words)
        assert (told.exit_code, told.stderr.splitlines()[-1]) == (
            2,
            "Error: say which runs: name them, or give --where or --study; only one of these",
        )
    for error, words in (
        (RunNotFoundError, ("out.db", "nosuchrun")),
        (StudyNotFoundError, ("out.db", "--study", "none")),
        (FilterError, ("out.db", "--where", "tag =")),
        (ExportError, ("node2.db", run_id)),
        (OwnFileError, ("node1.db", run_id)),
    ):
        assert call(lab, "extract", *words).exit_code == error.exit_code, words
    # The filter is shown as it was typed.
    assert "\n  tag =\n" in call(lab, "extract", "out.db", "--where", "tag =").stderr
    assert names() == before


def test_digest_and_diff_archives_tell_whether_two_files_say_the_same(work: Path) -> None:
    call(None, "merge", "all.db", "node1.db", "node2.db")
    call(None, "merge", "other way.db", "node2.db", "node1.db")
    digest = call(None, "digest", "all.db").stdout
    assert re.fullmatch(r"[0-9a-f]{64}\n", digest)
    assert digest == call(None, "digest", "other way.db").stdout == call(Path("all.db"), "digest").stdout
    assert asked(None, "digest", "all.db") == {"digest": digest.strip()}
    same = call(None, "diff-archives", "all.db", "other way.db")
    assert (same.exit_code, same.stdout) == (0, f"both have the same content: digest {digest}")

    with Archive("all.db") as archive:
        run_id = archive.list_runs()[0].run_id
        archive.get_run(run_id).add_tag("best")
        archive.create_study("widths")
        archive.create_group("g")
        gone = archive.list_runs()[-1].run_id
        archive.delete_run(gone)
    told = call(None, "diff-archives", "all.db", "other way.db")
    assert told.exit_code == 1  # as of diff
    assert told.stdout.splitlines() == [
        "only in all.db: 1 study",
        "  study widths",
        "only in other way.db: 1 run, 1 artifact",
        f"  run {gone}",
        f"  artifact weights.bin version 1 of {gone}",
        "",
        "In both, and different",
        "run               points in A  in B  what differs",
        f"{run_id}          200   200  tags; events",
        "group g differs",
    ]
    told = call(None, "diff-archives", "all.db", "other way.db", "--json")
    assert told.exit_code == 1
    facts = json.loads(told.stdout)
    assert (facts["runs_only_b"], facts["studies_only_a"], facts["groups_differ"]) == (
        [gone],
        ["widths"],
        ["g"],
    )
    assert facts["runs_differ"] == [
        {"run_id": run_id, "differs": ["tags", "events"], "points_a": 200, "points_b": 200}
    ]
    assert call(None, "diff-archives", "all.db", "text.db").exit_code == 12
    assert call(None, "digest", "missing.db").exit_code == 11


def test_a_journal_that_cannot_be_read_is_told(work: Path) -> None:
    journal = Path("node1.db.0badcafe-1-0badcafe.points")
    journal.write_bytes(b"damaged" * 2000)
    told = call(None, "merge", "all.db", "node1.db")
    assert told.exit_code == 17
    assert told.stdout.splitlines()[1:] == [
        "1 left out:",
        f"  journal {journal} of node1.db: it is damaged, or of another version of exptrack",
    ]
    assert len(ids(Path("all.db"))) == 3
