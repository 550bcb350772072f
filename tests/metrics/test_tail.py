"""Following: each read of a tail returns every new point once, in any interleaving."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import (
    Archive,
    InvalidValueError,
    RunNotFoundError,
    Series,
)
from exptrack.metrics import tail
from tests.effort import tries
from tests.metrics.points import VALUES, logged, same


def plain(found: Series) -> list[tuple[int, float, float]]:
    return list(zip(*found.lists().values(), strict=True))


def test_a_tail_returns_each_point_once(archive: Archive) -> None:
    with archive.start_run() as run:
        tail = archive.tail(run, "loss")
        assert tail.read() == []
        seen: list[int] = []
        for step in range(6):
            run.log({"loss": step / 2, "other": 0.0}, step)
            if step % 2:
                (update,) = tail.read()
                assert (update.series.name, update.replaces) == ("loss", False)
                seen += update.series.steps.tolist()
        assert seen == list(range(6))
        assert tail.read() == []


def test_a_tail_follows_metrics_and_runs_that_come_later(archive: Archive) -> None:
    with archive.start_run() as first, archive.start_run() as second:
        tail = archive.tail([first, second.run_id])
        first.log({"a": 1.0})
        assert [(u.series.run_id, u.series.name) for u in tail.read()] == [(first.run_id, "a")]
        first.log({"b": 1.0})
        second.log({"a": 1.0})
        found = {(u.series.run_id, u.series.name) for u in tail.read()}
        assert found == {(first.run_id, "b"), (second.run_id, "a")}


def test_a_tail_misses_no_step_that_repeats_or_goes_back(archive: Archive) -> None:
    with logged(archive, [(0, 0.0), (5, 1.0)]) as run:
        tail = archive.tail(run)
        tail.read()
        run.log({"loss": 2.0}, 5)
        (update,) = tail.read()
        assert (update.replaces, update.series.lists()["value"]) == (False, [2.0])
        run.log({"loss": 3.0}, 2)
        run.log({"loss": 4.0}, 6)
        (update,) = tail.read()
        assert (update.replaces, update.series.lists()["value"]) == (True, [0.0, 3.0, 1.0, 2.0, 4.0])
        assert tail.read() == []


def test_a_tail_from_now_leaves_out_what_was_logged(archive: Archive) -> None:
    with logged(archive, [(0, 0.0), (5, 1.0)]) as run:
        tail = archive.tail(run, from_now=True)
        assert tail.read() == []
        run.log({"loss": 2.0, "late": 0.5}, 6)
        found = {update.series.name: plain(update.series)[0][:2] for update in tail.read()}
        assert found == {"loss": (6, 2.0), "late": (6, 0.5)}
        run.log({"loss": 3.0}, 7)
        tail.skip()
        assert tail.read() == []
        # What changes the past is told whole.
        run.log({"loss": 4.0}, 1)
        (update,) = tail.read()
        assert (update.replaces, len(update.series)) == (True, 5)


def test_a_tail_goes_on_from_a_cursor(archive: Archive) -> None:
    with logged(archive, [(0, 0.0)], 'na"me ☃') as run, logged(archive, [(0, 1.0)]) as other:
        tail = archive.tail([run, other])
        assert archive.tail(run, cursor=tail.cursor).read()[0].replaces is False
        tail.read()
        cursor = tail.cursor
        assert cursor.isascii()
        assert cursor.isprintable()
        assert archive.tail([run, other], cursor=cursor).read() == []
        run.log({'na"me ☃': 2.0}, 1)
        again = archive.tail([other, run], cursor=cursor)
        assert [(u.series.lists()["step"], u.replaces) for u in again.read()] == [([1], False)]
        assert again.cursor != cursor
        # Of a file that an older copy has replaced, say.
        early = cursor.replace(",1,0,0]", ",9,8,0]")
        assert early != cursor
        assert {update.replaces for update in archive.tail([run, other], cursor=early).read()} == {True}


def test_what_is_no_cursor_is_refused(archive: Archive) -> None:
    with archive.start_run() as run:
        for wrong in ("", "x", "{}x", "5", "[1]", '[["a"]]', '[["a","b",1,2,3.5]]', '[["a","b",true,2,3]]'):
            with pytest.raises(InvalidValueError, match="not the cursor of a tail"):
                archive.tail(run, cursor=wrong)
        for wrong in ('[["a",[],1,2,3]]', '[["a","b",1,2,9223372036854775808]]', "[" * 100_000, '["abcde"]'):
            with pytest.raises(InvalidValueError, match="not the cursor of a tail"):
                archive.tail(run, cursor=wrong)
        with pytest.raises(InvalidValueError, match="leave out from_now"):
            archive.tail(run, cursor="[]", from_now=True)


def test_a_tail_of_a_deleted_run_says_so(archive: Archive) -> None:
    with logged(archive, [(0, 0.0)]) as run:
        tail = archive.tail(run)
    archive.delete_run(run)
    with pytest.raises(RunNotFoundError):
        tail.read()


@settings(max_examples=tries(100), deadline=None)
@given(moves=st.lists(st.one_of(st.none(), st.tuples(st.sampled_from("ab"), st.integers(-2, 12), VALUES))))
def test_what_a_tail_read_is_everything_in_any_interleaving(
    lab: Archive,
    moves: list[tuple[str, int, float] | None],
) -> None:
    with lab.start_run() as run, Archive(lab.path, mode="ro") as reader:
        tail = reader.tail(run.run_id)
        have: dict[str, list[tuple[int, float, float]]] = defaultdict(list)

        def take() -> None:
            for update in tail.read():
                assert len(update.series)
                if update.replaces:
                    have[update.series.name].clear()
                have[update.series.name] += plain(update.series)

        for move in [*moves, None]:
            if move is None:
                take()
                take()
                continue
            name, step, value = move
            run.log({name: value}, step)
        for name, points in have.items():
            everything = plain(run.series(name))
            points.sort(key=lambda point: point[0])
            assert [p[0::2] for p in points] == [p[0::2] for p in everything]
            assert same([p[1] for p in points], [p[1] for p in everything])
        assert set(have) == {move[0] for move in moves if move is not None}


def test_a_tail_follows_a_run_of_another_process(archive: Archive) -> None:
    code = f"""
        import sys
        from exptrack import Archive
        with Archive({archive.path!r}) as archive, archive.start_run() as run:
            print(run.run_id, flush=True)
            for step in range(300):
                run.log({{"loss": step / 3}}, step)
                if step % 100 == 99:
                    run.flush()
                    print(step, flush=True)
                    sys.stdin.readline()
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    seen: list[int] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        tail = archive.tail(writer.stdout.readline().strip())
        for last in (99, 199, 299):
            assert int(writer.stdout.readline()) == last
            for update in tail.read():
                assert not update.replaces
                seen += update.series.lists()["step"]
            assert seen == list(range(last + 1))
            writer.stdin.write("\n")
            writer.stdin.flush()
    assert writer.returncode == 0


def test_looking_for_news_reads_indexes_only(archive: Archive) -> None:
    plan = [row[3] for row in archive._connection.all(f"EXPLAIN QUERY PLAN {tail.HEADS}", {"runs": "[]"})]
    assert {step for step in plan if step.startswith("SCAN")} <= {"SCAN json_each VIRTUAL TABLE INDEX 1:"}
    assert any(step.startswith("SEARCH s USING INDEX") for step in plan)
