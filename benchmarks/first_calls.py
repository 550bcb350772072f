"""What does the first question to an archive take, in a process that has just opened it?

    python -m benchmarks.first_calls [--runs 1000] [--repeat 21] [--quick]

The archive is that of ``benchmarks.make_archive``: 20 config keys, 10 metrics and 2 tags a run. Each question
is asked in a fresh process that has opened the archive; so the first call pays for what it imports. A second
call follows. The baseline is bare ``sqlite3`` in a fresh process of its own, which has just connected and gives
rows. Both take turns. On a machine that others use, compare the times of the processor.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.make_archive import fill, make_records
from benchmarks.startup import environment
from benchmarks.timing import arguments, headline, print_table, quantile
from exptrack import Archive

# Each question: the bound in milliseconds of the first call, how the library is asked, and the SQL that gives
# the same by hand.
_ALL = "IN (SELECT id FROM run)"
_TWO = "IN (SELECT id FROM run ORDER BY started_at DESC LIMIT 2)"
_METRICS = "FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.run"
QUESTIONS = {
    "1,000 summaries": (
        12,
        "archive.list_runs()",
        (
            "SELECT * FROM run ORDER BY started_at DESC",
            f"SELECT run, tag FROM run_tag WHERE run {_ALL}",
            f"SELECT s.run, n.name, s.last_value {_METRICS} {_ALL}",
        ),
    ),
    "their ids, names, states and starts": (
        3,
        "archive.runs().to_dicts(['id', 'name', 'status', 'started'])",
        ("SELECT run_id, name, status, started_at FROM run ORDER BY started_at DESC",),
    ),
    "the top ten of them": (
        2,
        "archive.best_runs('val_acc', 'maximize')",
        (
            "SELECT r.* FROM metric_series AS s JOIN run AS r ON r.id = s.run"
            " WHERE s.metric = (SELECT id FROM metric_name WHERE name = 'val_acc') AND s.completed = 1"
            " AND s.last_value < 9e999 ORDER BY s.last_value DESC LIMIT 10",
        ),
    ),
    "a diff of two": (
        0.3,
        "archive.diff_runs(a, b)",
        (
            f"SELECT * FROM config_value AS v JOIN config_key AS k ON k.id = v.key WHERE v.run {_TWO}",
            f"SELECT * {_METRICS} {_TWO}",
        ),
    ),
}
OURS = """
import json, time
from exptrack import Archive
with Archive({path!r}) as archive:
    a, b = {two!r}
    times = []
    for _ in range(2):
        begin, used = time.perf_counter(), time.process_time()
        {call}
        times.append((time.perf_counter() - begin, time.process_time() - used))
print(json.dumps(times))
"""
BARE = """
import json, sqlite3, time
connection = sqlite3.connect({path!r})
times = []
for _ in range(2):
    begin, used = time.perf_counter(), time.process_time()
    for sql in {call!r}:
        connection.execute(sql).fetchall()
    times.append((time.perf_counter() - begin, time.process_time() - used))
connection.close()
print(json.dumps(times))
"""


def ask(code: str, folder: Path) -> list[float]:
    """Run a script in a fresh process; return the milliseconds of both calls, and of the processor for each."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        cwd=folder,
        env=environment(str(folder / "bytecode")),
    )
    return [1000 * seconds for call in json.loads(done.stdout) for seconds in call]


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, argv, runs=1000, repeat=21)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / "lab.db"
        with Archive(path) as archive:
            fill(archive, make_records(given.runs))
            two = tuple(run.run_id for run in archive.runs().limit(2))
        scripts = {}
        for name, (_bound, call, by_hand) in QUESTIONS.items():
            scripts[name, "ours"] = OURS.format(path=str(path), two=two, call=call)
            scripts[name, "bare"] = BARE.format(path=str(path), call=by_hand)
        for code in scripts.values():
            ask(code, folder)  # compiles bytecode
        times: dict[tuple[str, str], list[list[float]]] = {of: [] for of in scripts}
        for _ in range(given.repeat):
            for of, code in scripts.items():
                times[of].append(ask(code, folder))
    rows, used = [], []
    for name, (bound, _call, _by_hand) in QUESTIONS.items():
        ours = [statistics.median(column) for column in zip(*times[name, "ours"], strict=True)]
        bare = [statistics.median(column) for column in zip(*times[name, "bare"], strict=True)]
        firsts = [one[0] for one in times[name, "ours"]]
        rows.append((name, bound, ours[0], min(firsts), quantile(firsts, 0.9), ours[2], bare[0], bare[2]))
        used.append((name, ours[1], ours[3], bare[1], bare[3], ours[1] / bare[1], ours[3] / bare[3]))
        headline(
            f"{name}: first call {ours[0]:.2f} ms, again {ours[2]:.2f} ms (<= {bound});"
            f" bare rows {bare[0]:.2f} and {bare[2]:.2f} ms; processor, first: {ours[1] / bare[1]:.1f} x bare"
        )
    print(f"{given.runs:,} runs; {given.repeat} fresh processes each, in turn")
    print_table(("milliseconds", "bound", "first", "least", "P90", "again", "bare first", "again"), rows)
    print_table(("of the processor", "first", "again", "bare first", "again", "x", "x again"), used)


if __name__ == "__main__":
    main()
