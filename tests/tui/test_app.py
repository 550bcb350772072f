"""The view as a user has it: find, compare, read and change runs by keys alone."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import pytest

from exptrack import Archive
from tests.cli.calls import HOSTILE, MARKUP
from tests.effort import IS_THOROUGH
from tests.tui.conftest import RUNS
from tests.tui.driving import SIZES, Driver, drive

BRAILLE = {chr(one) for one in range(0x2801, 0x2900)}
ALL = "".join(str(number) for number in reversed(range(RUNS)))
sizes = pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])


def names_on(text: str) -> list[str]:
    """The numbers of the runs that the list shows, from above."""
    return [line.split("net-")[1].split()[0].strip("│▏") for line in text.splitlines() if "net-" in line[:30]]


async def see_runs(driver: Driver, numbers: str, *words: str) -> None:
    """Wait until the list shows exactly these runs, each by its digit, and the screen has these words.

    What is said of the runs may be drawn before the list is.
    """
    await driver.until(
        lambda text: names_on(text) == [*numbers] and all(one in text for one in words),
        f"the runs {numbers} and {words!r}",
    )


async def see_first(driver: Driver, numbers: str, *words: str) -> None:
    """Wait until the list begins with these runs, each by its digit, and the screen has these words."""
    await driver.until(
        lambda text: names_on(text)[: len(numbers)] == [*numbers] and all(one in text for one in words),
        f"first the runs {numbers}, and {words!r}",
    )


# Find


@sizes
def test_it_opens_on_the_newest_run_with_its_curves(lab: Path, size: tuple[int, int]) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7", "net-0", f"{RUNS + 1} runs", "live", "lab.db", "accuracy")
        await driver.press("down")
        await driver.until(lambda text: bool(BRAILLE & set(text)), "a curve")
        await see_runs(driver, ALL, "val/accuracy", "train/loss", "✓ completed")
        text = driver.text
        assert text.index("val/accuracy") < text.index("train/loss")
        lines = text.splitlines()
        assert len(lines) <= size[1]
        assert max(map(len, lines)) <= size[0] + 1

    drive(lab, steps, size=size)


@sizes
def test_a_filter_is_completed_checked_and_applied(lab: Path, size: tuple[int, int]) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("slash")
        await driver.write("config.opt")
        await driver.see("filter:", "config.optim.lr", "config.optim.name", "field")
        await driver.press("tab")
        await driver.write(" < 0.01")
        await driver.press("enter")
        await see_runs(driver, "7654", f"4 of {RUNS + 1} runs", "/ config.optim.lr < 0.01")
        await driver.press("slash")
        await driver.see("config.optim.lr < 0.01")
        await driver.press("escape")
        await driver.miss("filter:")
        await see_runs(driver, "7654")

    drive(lab, steps, size=size)


def test_a_wrong_filter_is_told_and_the_runs_stay(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("slash")
        await driver.write("config.optim.rl < 1")
        await driver.see("^")
        await driver.press("enter")
        text = await driver.see("did you mean config.optim.lr?")
        assert len(names_on(text)) >= 5
        await driver.press("escape")
        await driver.miss("did you mean")
        await see_runs(driver, ALL)
        assert driver.view.runs.total == RUNS + 1

    drive(lab, steps)


def test_runs_are_found_by_a_text_and_shown_again(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("f")
        await driver.write("note of 3")
        await driver.press("enter")
        await see_runs(driver, "3", "1 of ", "find note of 3")
        await driver.press("escape")
        await driver.see(f" {RUNS + 1} runs")
        await driver.press("f")
        await driver.write("no such")
        await driver.press("enter")
        await driver.see("no run matches", "no run is chosen")

    drive(lab, steps)


def test_runs_are_sorted_by_fields_and_turned_around(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("r")
        await see_first(driver, "01", "sorted by started")
        await driver.press("r")
        await see_first(driver, "76", "newest first")
        await driver.press("s")
        await driver.write("metrics.train/loss")
        await driver.press("enter")
        await see_first(driver, "76", "sorted by metrics.train/loss")
        await driver.press("r")
        await see_first(driver, "01", "sorted by -metrics.train/loss")

    drive(lab, steps)


def test_columns_are_chosen(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7", "accuracy")
        await driver.press("c")
        await driver.write("config.optim.lr, duration, tag")
        await driver.press("enter")
        text = await driver.see("optim.lr", "duration", "0.0125", "0.003125", "603")
        assert "tag" not in text
        await driver.press("z")
        await driver.see("optim.lr", "duration", "tag", "even", "odd")
        await driver.press("escape")
        await driver.miss("tag")

    drive(lab, steps, size=(160, 40))


def test_the_cursor_moves_by_lines_and_screens(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("end")
        assert (await driver.see("completed  net-0")) != ""
        await driver.press("up")
        await driver.see("completed  net-1")
        await driver.press("home", "j", "j")
        await driver.see("completed  net-6")
        await driver.press("pagedown", "pagedown")
        await driver.see("completed  net-0")

    drive(lab, steps)


# Compare


@sizes
def test_marked_runs_are_compared_on_every_tab(lab: Path, size: tuple[int, int]) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("down", "space", "space")
        await driver.see("2 marked", "▌net-7", "▌net-6", "net-5")
        await driver.until(lambda text: bool(BRAILLE & set(text)), "curves")
        await driver.press("up", "3")
        await driver.see("optim.lr", "0.00078", "0.0015")
        await driver.press("4")
        await driver.see("last values", "★", "train/loss")
        await driver.press("u")
        await driver.miss("marked", "★")

    drive(lab, steps, size=size)


def test_no_more_runs_are_marked_than_there_are_colours(tmp_path: Path) -> None:
    path = tmp_path / "many.db"
    with Archive(path) as archive:
        for number in range(14):
            with archive.start_run(name=f"net-{number}") as run:
                run.log({"loss": 1.0})

    async def steps(driver: Driver) -> None:
        await driver.see("net-13")
        await driver.press(*["space"] * 13)
        await driver.see("12 marked", "12 runs are marked; u takes off all marks")
        await driver.press("u", "home", "m")
        await driver.see("5 marked")

    drive(path, steps)


@sizes
def test_a_chart_is_enlarged_read_and_zoomed(lab: Path, size: tuple[int, int]) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("down", "tab", "enter")
        await driver.see("move the cross-hair", "at step 1,990")
        await driver.press(*["L"] * 6)
        await driver.until(
            lambda text: "step 995" in text and any(f"at step {step}" in text for step in (990, 995, 980)),
            "the values at the cross-hair",
        )
        await driver.press("plus")
        await driver.see("zoomed", "498", "1,49")
        await driver.press("0", "y")
        await driver.see("(log)")
        await driver.press("x")
        await driver.see("by time", "since the start", "33 min 10 s")
        await driver.press("escape")
        await driver.miss("step 995")

    drive(lab, steps, size=size)


def test_metrics_are_found_by_name_and_system_metrics_come_last(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("down", "tab")
        text = await driver.see("val/accuracy", "1–2 of 4")
        assert "system/cpu" not in text
        await driver.press("end")
        await driver.see("system/cpu", "3–4 of 4")
        await driver.press("f")
        await driver.write("loss")
        await driver.press("enter")
        await driver.see("with 'loss'", "train/loss")
        await driver.press("escape")
        await driver.see("1–2 of 4")

    drive(lab, steps)


def test_the_right_side_gets_the_whole_screen(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("down", "tab", "z")
        await driver.miss("net-0")
        await driver.see("val/accuracy", "lr", "system/cpu")
        await driver.press("escape")
        await driver.see("net-0")

    drive(lab, steps)


# Read one run


@sizes
def test_every_tab_shows_its_part_of_a_run(lab: Path, size: tuple[int, int]) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("2")
        await driver.see("failed", "too hot", "holds")
        await driver.press("tab", "end")
        await driver.see("Traceback", "ValueError")
        await driver.press("3")
        await driver.see("[red]x[/red]")
        await driver.press("4")
        await driver.see("1 NaN of 1", "peak", "inf")
        await driver.press("5")
        await driver.see("weights", "4.0 kB")
        await driver.press("6")
        await driver.see("start", "note", "fail")
        await driver.press("right_square_bracket")
        await driver.see("without 1 NaN")

    drive(lab, steps, size=size)


@sizes
@pytest.mark.parametrize("keys", [*"123456", "slash", "question_mark", "d"])
def test_hostile_words_are_shown_as_text_only(lab: Path, size: tuple[int, int], keys: str) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("tab", keys)
        await driver.pilot.pause(0.3)
        text = await driver.see(MARKUP[:12]) if keys not in ("question_mark", "slash") else driver.text
        for sign in ("\x1b", "\x07", "\u202e", "\x00"):
            assert sign not in text

    drive(lab, steps, size=size)


def test_a_pasted_control_character_does_not_reach_the_line(lab: Path) -> None:
    from textual.events import Paste

    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("slash")
        driver.view.screen.focused.post_message(Paste(HOSTILE))  # type: ignore[union-attr]
        text = await driver.see("[red]x[/red]")
        assert "\x1b" not in text
        assert "\u202e" not in text
        await driver.press("enter")
        await driver.see("expected")

    drive(lab, steps)


# Change


def test_runs_are_tagged_noted_and_renamed(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("down", "t")
        await driver.write("good 'two words' -odd")
        await driver.press("enter")
        await driver.see("+good", "-odd")
        await driver.press("n")
        await driver.write("looks fine")
        await driver.press("enter")
        await driver.see("noted on 1 run")
        await driver.press("e")
        await driver.see("net-7", "new name")
        await driver.write("-best")
        await driver.press("enter")
        await driver.see("net-7-best")
        await driver.press("2")
        await driver.see("good", "two words", "looks fine")

    drive(lab, steps)
    with Archive(lab) as archive:
        (run,) = archive.runs().where("name = 'net-7-best'")
        assert run.tags == ("good", "two words")
        assert [note.text for note in archive.read_head(run).notes] == ["looks fine", "note of 7"]


def test_marked_runs_are_moved_to_the_trash_after_a_question(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("down", "space", "space", "d")
        await driver.see("delete 2 runs?", "net-7", "net-6")
        await driver.press("escape")
        await driver.miss("delete 2 runs?")
        await driver.press("d")
        await driver.see("delete 2 runs?")
        await driver.press("t")
        await driver.see("2 runs moved to the trash", f"{RUNS - 1} runs")
        await driver.miss("marked")
        await see_runs(driver, "543210")

    drive(lab, steps)
    with Archive(lab) as archive:
        assert sorted(str(one.run.name) for one in archive.list_trash()) == ["net-6", "net-7"]


def test_a_run_is_deleted_for_good_after_a_question(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("d")
        await driver.see("delete 1 run?", "for good, with 19 B of artifacts")
        await driver.press("D")
        await driver.see("1 run deleted", f"{RUNS} runs")

    drive(lab, steps)
    with Archive(lab) as archive:
        assert archive.list_trash() == []
        assert archive.runs().count() == RUNS


def test_a_refused_change_is_told(lab: Path) -> None:
    with Archive(lab) as archive, archive.start_run(name="net-live") as run:

        async def steps(driver: Driver) -> None:
            await driver.see("net-live")
            await driver.press("d")
            await driver.see("delete 1 run?")
            await driver.press("t")
            await driver.see(run.run_id, "running")
            await driver.press("t")
            await driver.write("'open")
            await driver.press("enter")
            await driver.see("a quote is not closed")

        drive(lab, steps)
        assert run.tags == ()


def test_leaving_waits_for_a_change(lab: Path) -> None:
    with contextlib.closing(sqlite3.connect(lab, isolation_level=None)) as other:

        async def steps(driver: Driver) -> None:
            await driver.see("net-7")
            await driver.press("down", "n")
            other.execute("BEGIN IMMEDIATE")
            await driver.write("late")
            await driver.press("enter")
            await driver.see("storing the change")
            await driver.press("n")
            await driver.see("a change is still being stored")
            await driver.press("q")
            await driver.see("leaving once the change is stored")
            assert driver.view.return_value is None
            other.execute("COMMIT")
            await driver.until(lambda _text: driver.view.return_value is not None, "the end")

        assert drive(lab, steps).return_value == 0
    with Archive(lab) as archive:
        assert [run.name for run in archive.runs().where("note = late")] == ["net-7"]


def test_an_archive_that_can_only_be_read_is_not_changed(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7", "read-only")
        for key in "tned":
            await driver.press(key)
            await driver.see("this archive can only be read")
            assert driver.view.prompt.question is None

    drive(lab, steps, can_edit=False)


# Meanwhile


def test_new_runs_and_points_appear_and_the_chosen_run_stays(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("down", "down")
        await driver.see("completed  net-6")
        with Archive(lab) as archive, archive.start_run(name="net-new") as run:
            await driver.see("net-new", "1 running", f"{RUNS + 2} runs", "completed  net-6")
            await driver.press("home")
            await driver.see("running  net-new", "no metrics yet")
            run.log({"loss": 5.0}, step=0)
            run.log({"loss": 4.0}, step=10)
            run.flush()
            await driver.see("loss", "4")
            await driver.until(lambda text: bool(BRAILLE & set(text)), "a curve")
        await driver.see("completed  net-new")
        await driver.miss("1 running")

    drive(lab, steps)


def test_a_run_that_another_process_deletes_disappears(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("down", "space")
        await driver.see("1 marked")
        with Archive(lab) as archive:
            archive.delete_run("net-7")
        await driver.miss("net-7", "marked")
        await driver.see(f"{RUNS} runs")

    drive(lab, steps)


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be moved there")
def test_a_file_that_vanishes_is_told_and_read_again_once_it_is_back(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7", "val/accuracy")
        lab.rename(lab.with_name("elsewhere.db"))
        await driver.see("cannot be read")
        assert "net-7" in driver.text
        await driver.press("down", "down", "2", "1", "end")
        await driver.pilot.pause(0.5)
        lab.with_name("elsewhere.db").rename(lab)
        await driver.see("live")
        await driver.press("home", "down")
        await driver.see("completed  net-7")

    drive(lab, steps)


def test_a_damaged_file_is_told(lab: Path) -> None:
    size = lab.stat().st_size

    async def steps(driver: Driver) -> None:
        await driver.see("net-7", "val/accuracy")
        with lab.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        for key in ("end", "home", "2", "3", "1", "r"):
            await driver.press(key)
            await driver.pilot.pause(0.1)
        await driver.see("damaged")

    before = lab.read_bytes()
    drive(lab, steps)
    lab.write_bytes(before)


def test_a_terminal_that_is_too_small_says_so(lab: Path) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("50 × 12 is too small; 60 × 16 is enough")
        await driver.pilot.resize_terminal(60, 16)
        await driver.see("net-7", "accuracy")
        await driver.pilot.resize_terminal(59, 40)
        await driver.see("59 × 40 is too small")
        await driver.press("q")

    assert drive(lab, steps, size=(50, 12)).return_value == 0


@sizes
def test_the_keys_are_shown_and_the_view_ends(lab: Path, size: tuple[int, int]) -> None:
    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("question_mark")
        await driver.see("mark the run", "esc closes")
        with Archive(lab) as archive:
            archive.start_run(name="net-new").complete()
        await driver.until(lambda _text: driver.view.runs.total == RUNS + 2, "the keys, while a run appears")
        await driver.press("escape")
        await driver.miss("esc closes")
        await driver.see("net-new")
        await driver.press("question_mark", "ctrl+c")

    assert drive(lab, steps, size=size).return_value == 0


def test_no_colour_is_used_if_none_is_wanted(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(driver: Driver) -> None:
        await driver.see("net-7")
        await driver.press("down", "space", "space")
        await driver.see("2 marked", "a net-7", "b net-6")
        text = await driver.until(lambda text: "ababab" in text and "mmm" in text, "letters as curves")
        assert not BRAILLE & set(text)

    drive(lab, steps)


def test_many_runs_open_at_once_and_few_of_them_are_read(tmp_path: Path) -> None:
    from benchmarks.make_archive import make_records

    path, count = tmp_path / "many.db", 3_000 if IS_THOROUGH else 1_000
    with Archive(path) as archive:
        archive.record_runs(make_records(count))

    async def steps(driver: Driver) -> None:
        began = time.monotonic()
        await driver.see(f"{count:,} runs")
        assert time.monotonic() - began < 5
        await driver.press("end")
        runs = driver.view.runs
        await driver.until(lambda _text: runs.place == count - 1 and runs.chosen is not None, "the last run")
        read = len(driver.view.runs.first_runs(count))
        assert read < 500

    drive(path, steps)
