"""Check that a random set of archives merges to one content, in any order and grouping, and without loss."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from exptrack import Archive
from tests.portable.histories import Lab, Op, empty_archive
from tests.portable.losses import find_losses
from tests.portable.moments import controlled_time

SECONDS_LATER = 10.0
FILTERS = ("tag = 'a'", "status = 'completed'", "not tag = 'b'")


def digest(path: Path) -> str:
    """Return the digest of a file in which each run whose process is gone has been found dead."""
    copy = path.with_suffix(".copy")
    shutil.copyfile(path, copy)
    with Archive(copy) as archive:
        found = archive.digest()
    copy.unlink()
    return found


def merge_into(target: Path, *sources: Path) -> None:
    """Merge files into one; a target that is not there is made."""
    if not target.exists():
        target.write_bytes(empty_archive())
    with Archive(target) as archive:
        report = archive.merge(*sources)
    left_out = [one for file in report.files for one in file.left_out]
    assert not left_out, left_out
    Archive(target).close()  # opening it finds the runs whose processes are gone


def find_problems(path: Path) -> tuple[object, ...]:
    with Archive(path, mode="ro") as archive:
        return tuple(archive.verify().problems)


def look(path: Path) -> tuple[bytes, int]:
    """Return what a file is, and when it was written."""
    assert not Path(f"{path}-wal").exists()
    return path.read_bytes(), os.stat(path).st_mtime_ns


def merge_by_halves(folder: Path, paths: Sequence[Path], chance: random.Random) -> Path:
    """Merge files in a random order and grouping."""
    if len(paths) == 1:
        return paths[0]
    order = chance.sample(paths, len(paths))
    cut = chance.randrange(1, len(order))
    left, right = (merge_by_halves(folder, part, chance) for part in (order[:cut], order[cut:]))
    target = folder / f"{len(list(folder.iterdir()))}.db"
    if chance.random() < 0.5:  # into a copy of one of them
        shutil.copyfile(left, target)
        merge_into(target, right)
    else:
        merge_into(target, left, right)
    return target


def extract_some(path: Path, out: Path, chance: random.Random) -> Path | None:
    """Extract a random part of a file: some runs, those of a filter, or a study; None if there is none."""
    with Archive(path) as archive:
        ids = [run.run_id for run in archive.list_runs()]
        studies = [study.name for study in archive.studies()]
        with_inputs = chance.random() < 0.5
        if studies and chance.random() < 0.3:
            archive.extract(out, study=chance.choice(studies), with_inputs=with_inputs)
        elif chance.random() < 0.3:
            archive.extract(out, where=chance.choice(FILTERS), with_inputs=with_inputs)
        elif ids:
            archive.extract(out, chance.sample(ids, chance.randint(1, len(ids))), with_inputs=with_inputs)
        else:
            return None
    return out


def check_merging(ops: list[Op], seed: int) -> None:
    """Play a history, and check all that a merge of its files promises."""
    with tempfile.TemporaryDirectory() as name, controlled_time(seed) as clock:
        (work := Path(name, "work")).mkdir()
        (files := Path(name, "files")).mkdir()
        paths = Lab(files, clock).play(ops)
        if not paths:
            return
        clock.move(SECONDS_LATER)
        before = [look(path) for path in paths]
        chance = random.Random(seed)

        whole = work / "whole.db"
        merge_into(whole, *paths)
        content = digest(whole)
        assert find_problems(whole) == ()
        assert find_losses(paths, whole) == []

        # In any order and grouping
        for _ in range(2):
            other = merge_by_halves(work, paths, chance)
            if len(paths) > 1:
                assert digest(other) == content
                assert find_problems(other) == ()

        # Again, of all files, of one, and of the file itself
        seen = look(whole)
        merge_into(whole, *chance.sample(paths, len(paths)))
        merge_into(whole, whole)
        assert look(whole) == seen

        # A part of it changes nothing
        part = extract_some(whole, work / "part.db", chance)
        if part is not None:
            assert find_problems(part) == ()
            merge_into(whole, part)
            assert look(whole) == seen

        # One file alone says in a new file what it said
        one = chance.choice(paths)
        alone = work / "alone.db"
        merge_into(alone, one)
        assert digest(alone) == digest(one)
        assert find_losses([one], alone) == []
        assert [look(path) for path in paths] == before
