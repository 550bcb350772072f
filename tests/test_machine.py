"""Compare a whole archive with plain dicts: any order of calls, with reopening and killed processes."""

from __future__ import annotations

import math
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from exptrack import Archive, Run, RunFilter, RunFinishedError, RunNotFoundError
from tests.effort import tries
from tests.strategies import CONFIGS, NAMES, exactly
from tests.warm_python import run_code

METRICS = st.sampled_from(["loss", "acc", "ä b.c"])
TAGS = st.sampled_from(["baseline", "keep", "x y"])
STEPS = st.integers(-3, 6)
LOGGED = st.one_of(
    st.floats(width=32, allow_subnormal=False), st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 1e308])
)
CONTENT = st.one_of(st.binary(max_size=50), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))

# Another process logs to a run of its own, says so, and is killed before it can end anything.
VICTIM = """
import os, signal, sys, exptrack
run = exptrack.Archive(sys.argv[1]).start_run({"victim": True}, ["killed"])
for value in range(int(sys.argv[2])):
    run.log({"loss": float(value)})
print(run.run_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
"""


@dataclass
class Model:
    """The expected state of a run."""

    config: dict[str, Any]
    tags: set[str]
    status: str = "running"
    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    artifacts: dict[str, list[str | bytes]] = field(default_factory=dict)

    def log(self, name: str, value: float, step: int | None) -> None:
        logged = self.points.setdefault(name, [])
        if step is None:
            step = max(s for s, _ in logged) + 1 if logged else 0
        logged.append((step, value))


def same(value: float) -> str:
    """Spell a value so that values SQLite holds for equal are equal texts: -0.0 is 0.0, NaN is NaN."""
    return repr(value + 0.0)


class Lab(RuleBasedStateMachine):
    runs = Bundle("runs")

    @initialize()
    def create(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "lab.db"
        self.archive = Archive(self.path)
        self.models: dict[str, Model] = {}
        self.live: dict[str, Run] = {}

    @rule(target=runs, config=CONFIGS, tags=st.sets(TAGS))
    def start(self, config: dict[str, Any], tags: set[str]) -> str:
        run = self.archive.start_run(config, sorted(tags))
        self.models[run.run_id] = Model(config, set(tags))
        self.live[run.run_id] = run
        return run.run_id

    @rule(run=runs, name=METRICS, value=LOGGED, step=st.none() | STEPS)
    def log_metric(self, run: str, name: str, value: float, step: int | None) -> None:
        self._log(run, {name: value}, step)

    @rule(run=runs, values=st.dictionaries(METRICS, LOGGED, min_size=1), step=st.none() | STEPS)
    def log(self, run: str, values: dict[str, float], step: int | None) -> None:
        self._log(run, values, step)

    def _log(self, run: str, values: dict[str, float], step: int | None) -> None:
        if run in self.live:
            self.live[run].log(values, step)
            for name, value in values.items():
                self.models[run].log(name, value, step)
            return
        handle = self.archive.get_run(run)
        try:
            handle.log(values, step)
        except RunFinishedError:
            return
        raise AssertionError("a finished run took a metric")

    @rule(run=runs, tag=TAGS)
    def tag(self, run: str, tag: str) -> None:
        self.archive.get_run(run).add_tag(tag)
        self.models[run].tags.add(tag)

    @rule(run=runs, tag=TAGS)
    def untag(self, run: str, tag: str) -> None:
        self.archive.get_run(run).remove_tag(tag)
        self.models[run].tags.discard(tag)

    @rule(run=runs, text=NAMES.filter(str.strip))
    def note(self, run: str, text: str) -> None:
        self.archive.get_run(run).add_note(text)
        self.models[run].notes.append(text)

    @rule(run=runs, name=st.sampled_from(["weights", "report"]), content=CONTENT)
    def register(self, run: str, name: str, content: str | bytes) -> None:
        self.archive.artifacts(run).register_data(name, content)
        self.models[run].artifacts.setdefault(name, []).append(content)

    @rule(run=runs, how=st.sampled_from(["completed", "failed", "interrupted"]))
    def end(self, run: str, how: str) -> None:
        handle = self.live.pop(run, None)
        if handle is None:
            return
        if how == "completed":
            handle.complete()
        elif how == "failed":
            handle.fail("as the test wished")
        else:
            handle.interrupt("as the test wished")
        self.models[run].status = how

    @rule(run=runs)
    def resume(self, run: str) -> None:
        if run in self.live:
            return
        self.live[run] = self.archive.resume_run(run)
        self.models[run].status = "running"

    @rule(run=consumes(runs))
    def delete(self, run: str) -> None:
        if run in self.live:
            self.live.pop(run).complete()
        self.archive.delete_run(run)
        del self.models[run]
        try:
            self.archive.show_run(run)
        except RunNotFoundError:
            return
        raise AssertionError("a deleted run is still there")

    @rule()
    def collect(self) -> None:
        self.archive.gc_artifacts()

    @rule(graceful=st.booleans())
    def reopen(self, graceful: bool) -> None:
        """Close and open the archive. Live runs are ended first, or resumed through the new archive."""
        for run in list(self.live):
            self.end(run, "completed" if graceful else "interrupted")
        self.archive.close()
        self.archive = Archive(self.path)

    @precondition(lambda self: sum("victim" in m.config for m in self.models.values()) < 2)
    @rule(target=runs, points=st.integers(0, 5))
    def kill(self, points: int) -> str:
        done = run_code(VICTIM, self.path, points)
        assert done.returncode == -getattr(signal, "SIGKILL", 9) or os.name == "nt", done.stderr
        run = done.stdout.strip()
        model = Model({"victim": True}, {"killed"}, "interrupted")
        for value in range(points):
            model.log("loss", float(value), None)
        self.models[run] = model
        self.archive.list_runs(limit=1)
        return run

    @invariant()
    def listings_agree(self) -> None:
        if not hasattr(self, "archive"):
            return
        found = {r.run_id: str(r.status) for r in self.archive.list_runs()}
        assert found == {run: model.status for run, model in self.models.items()}
        assert list(found) == sorted(found, reverse=True)
        for tag in ("baseline", "killed"):
            tagged = {r.run_id for r in self.archive.list_runs(RunFilter.by_tag(tag))}
            assert tagged == {run for run, model in self.models.items() if tag in model.tags}

    def teardown(self) -> None:
        if not hasattr(self, "archive"):
            return
        for run, model in self.models.items():
            self._check(run, model)
        for run in list(self.live):
            self.end(run, "completed")
        with Archive(self.path) as again:
            assert again.verify().problems == ()
        for run, model in self.models.items():
            self._check(run, model)
        self.archive.close()
        assert {file.name for file in self.folder.iterdir()} == {"lab.db"}
        shutil.rmtree(self.folder)

    def _check(self, run: str, model: Model) -> None:
        handle = self.archive.get_run(run)
        assert exactly(handle.config.values) == exactly(model.config)
        assert set(handle.tags) == model.tags
        assert [note.text for note in handle.notes] == model.notes
        summaries = {m.name: m for m in self.archive.show_run(run).metrics}
        assert summaries.keys() == model.points.keys()
        for name, logged in model.points.items():
            ordered = sorted(logged, key=lambda point: point[0])
            read = [(point.step, same(point.value)) for point in handle.get_metric(name)]
            assert read == [(step, same(value)) for step, value in ordered]
            last = handle.get_last_metric(name)
            assert last is not None
            assert (last.step, same(last.value)) == (logged[-1][0], same(logged[-1][1]))
            numbers = [value for _, value in logged if not math.isnan(value)]
            summary = summaries[name]
            assert (summary.count, summary.nan_count) == (len(logged), len(logged) - len(numbers))
            assert (summary.min, summary.max) == (min(numbers, default=None), max(numbers, default=None))
            assert summary.first_step == logged[0][0]
        for name, versions in model.artifacts.items():
            for number, content in enumerate(versions, 1):
                assert handle.artifacts.get_blob(name, number) == content


TestLab = Lab.TestCase
TestLab.settings = settings(
    max_examples=tries(25), stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
