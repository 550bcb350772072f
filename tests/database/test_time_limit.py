"""What takes too long is stopped, by its time or by another thread, with an error that says so."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from exptrack import Archive, InvalidValueError, QueryError, QueryStoppedError, TimeLimit
from exptrack.database.connection import Connection, in_reading

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@in_reading
def read_endlessly(connection: Connection) -> Any:
    connection.value("SELECT 1")
    return connection.value(ENDLESS)


# Each never ends by itself.
READINGS: dict[str, Callable[[Archive], object]] = {
    "a single statement": lambda archive: archive._connection.value(ENDLESS),
    "a reading of several": lambda archive: read_endlessly(archive._connection),
    "rows in bulk": lambda archive: archive._connection.fold(ENDLESS, (), list),
    "guarded SQL, in its own process": lambda archive: archive.sql(ENDLESS, timeout_s=600),
    "guarded SQL": lambda archive: archive.sql(
        f"SELECT count(*) FROM {', '.join(f'json_each(?) AS e{n}' for n in range(9))}",
        ["[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"] * 9,
        timeout_s=600,
    ),
}


def test_a_reading_ends_with_its_time(archive: Archive) -> None:
    for reading in READINGS.values():
        with pytest.raises(QueryStoppedError, match=r"stopped after 0\.0\d+"), TimeLimit(0.05):
            reading(archive)
        assert archive.runs().count() == 0
    with TimeLimit(0.001) as limit:
        time.sleep(0.002)
        assert limit.is_over
        for ask in (archive.runs().count, archive.list_runs, lambda: archive.curves([], "loss")):
            with pytest.raises(QueryError):
                ask()
    assert not archive.list_runs()


def test_another_thread_stops_a_reading(archive: Archive) -> None:
    for reading in READINGS.values():
        limit = TimeLimit()
        began = threading.Event()
        caught: list[BaseException] = []

        def work(
            reading: Callable[[Archive], object] = reading,
            limit: TimeLimit = limit,
            began: threading.Event = began,
            caught: list[BaseException] = caught,
        ) -> None:
            try:
                with limit:
                    began.set()
                    reading(archive)
            except QueryStoppedError as error:
                caught.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        began.wait()
        limit.stop()
        thread.join()
        assert "stopped by another thread" in str(*caught)


def test_a_task_takes_its_limit_into_a_thread(archive: Archive) -> None:
    async def ask() -> int:
        with TimeLimit() as limit:
            asyncio.get_running_loop().call_later(0.02, limit.stop)
            return await asyncio.to_thread(read_endlessly, archive._connection)

    with pytest.raises(QueryStoppedError):
        asyncio.run(ask())


def test_both_of_two_limits_hold(archive: Archive) -> None:
    with TimeLimit(0.02) as outer:
        with TimeLimit(600) as inner:
            with pytest.raises(QueryStoppedError, match=r"after 0\.02 s"):
                read_endlessly(archive._connection)
            assert inner.is_over
            assert inner.seconds_left == pytest.approx(outer.seconds_left, abs=5)
        with pytest.raises(QueryStoppedError):
            archive.runs().count()
    with TimeLimit(600), pytest.raises(QueryStoppedError), TimeLimit(0.02):
        read_endlessly(archive._connection)
    assert TimeLimit().seconds_left is None


def test_a_change_ends_whole(archive: Archive) -> None:
    connection = archive._connection
    limit = TimeLimit()

    def change() -> int:
        with connection.transaction():
            connection.execute("INSERT INTO metric_name (name) VALUES ('before')")
            limit.stop()
            connection.execute("INSERT INTO metric_name (name) VALUES ('after')")
            return int(connection.value("SELECT count(*) FROM metric_name"))

    with limit:
        assert connection.section(change) == 2
    assert connection.value("SELECT count(*) FROM metric_name") == 2


def test_a_limit_is_above_0_and_used_once() -> None:
    for wrong in (0, -1.0, float("nan")):
        with pytest.raises(InvalidValueError, match="seconds must be above 0"):
            TimeLimit(wrong)
    with TimeLimit(1) as limit:
        assert repr(limit) == "TimeLimit(1.0)"
    with pytest.raises(InvalidValueError, match="only once"), limit:
        pass
