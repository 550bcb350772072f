"""Compare an archive with what the ledgers say: what is lost, doubled, unreported."""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from exptrack import Archive
from exptrack.metrics.journal_file import list_journals
from tests.faults.deeds import Deeds, digest, digest_folder
from tests.faults.ledger import RAW, STUCK, Ledger, State, expect, read_lines
from tests.faults.searches import describe
from tests.faults.tally import Tally

NOTES = 20  # of one try
DIED = "fail its process died"  # of a trial that ran when its process died


def read_states(archive: Archive) -> dict[str, list[State]]:
    """Return what is in the archive, in the words of the ledger: for each key every state it is found in."""
    found: defaultdict[str, list[State]] = defaultdict(list)
    for run_id, name in archive.sql("SELECT run_id, name FROM runs").rows:
        summary = archive.show_run(run_id).summary
        found[f"run {name}"].append(str(summary.status))
        run = archive.get_run(run_id)
        for tag in run.tags:
            found[f"tag {name}/{tag}"].append("there")
        for note in run.notes:
            found[f"note {name}/{note.text}"].append("there")
        for event in run.read_events():
            if event.kind == "mark":
                found[f"event {name}/{event.data['number']}"].append("there")
            elif event.kind == "tag":
                found[f"tagged {name}/{event.data['tag']}"].append("there")
        for metric in summary.metrics:
            for point in run.get_metric(metric):
                found[f"point {name}/{metric}/{point.step}"].append(point.value)
        for artifact in run.artifacts.list_artifacts():
            found[f"artifact {name}/{artifact.name}"].append(_content(run.artifacts, artifact))
    for study in archive.studies():
        for trial in archive.trials(study.name):
            found[f"trial {study.name}/{trial.number}"].append(describe(trial))
            for step, value in trial.reports.items():
                found[f"report {study.name}/{trial.number}/{step}"].append(value)
    return found


def _content(store: Any, artifact: Any) -> str:
    if artifact.kind == "directory" or artifact.media_type == "application/vnd.exptrack.folder+json":
        files = {}
        for file in store.list_files(artifact.name, artifact.version):
            if file.hash is not None:
                with store.open(artifact.name, artifact.version, file=file.path) as opened:
                    files[file.path] = opened.read()
        return digest_folder(files)
    content = store.get_blob(artifact.name, artifact.version)
    return digest(content.encode() if isinstance(content, str) else content)


def compare(ledgers: Iterable[Path], found: dict[str, list[State]], tally: Tally) -> None:
    """Count everything that differs between the ledgers and the archive."""
    expected: dict[str, set[State]] = {}
    for path in ledgers:
        allowed, errors = expect(read_lines(path))
        expected.update(allowed)
        for what, about, *more in errors:
            if what in (RAW, STUCK):
                tally.blame("unreported" if what == RAW else "hung", f"{about}: {more[0]}")
    for key, allowed in expected.items():
        states = found.get(key, [])
        if len(states) > 1:
            tally.blame("doubled", f"{key} is there {len(states)} times")
        elif not states:
            if None not in allowed:
                tally.blame("lost", f"{key} is absent, expected {allowed}")
        elif states[0] not in allowed:
            if allowed == {None}:
                tally.blame("lost", f"{key} is there again, although its removal was acknowledged")
            elif key.startswith("run ") and states[0] in ("interrupted", "running") and "running" in allowed:
                continue  # a process that has ended leaves its runs interrupted
            elif key.startswith("trial ") and states[0] == DIED and "running" in allowed:
                continue  # and its trials failed
            else:
                tally.blame("unreported", f"{key} is {states[0]}, expected {allowed}")
    for key, states in found.items():
        if key not in expected and key.startswith("point "):
            tally.blame("doubled", f"{key} was never logged, and is there as {states[0]}")


def judge(archive_path: Path, ledgers: Iterable[Path], tally: Tally, *, journals: bool = False) -> None:
    """Open an archive as the next program does; verify it and compare it with the ledgers of dead processes.

    Then everything has to work. `journals` says that a process may still be logging.
    """
    ledgers = list(ledgers)
    acknowledged = any(states != {None} for path in ledgers for states in expect(read_lines(path))[0].values())
    if not archive_path.exists() and not acknowledged:
        return
    before = len(tally.notes)
    try:
        with Archive(archive_path) as archive:
            compare(ledgers, read_states(archive), tally)
            for problem in archive.verify().problems:
                tally.blame("lost", f"verify: {problem}")
            left = [] if journals else list_journals(archive_path)
            for path in left:
                tally.blame("lost", f"the journal {path.name} is left")
            own = archive_path.with_name("afterwards.ledger")
            Deeds(archive, Ledger(own), prefix="judge").afterwards()
            for what, about, *more in expect(read_lines(own))[1]:
                tally.blame("hung", f"afterwards, {what} {about}: {more[0]}")
            own.unlink()
    except Exception:
        tally.blame("unreported", traceback.format_exc(limit=-8))
    del tally.notes[before + NOTES :]
