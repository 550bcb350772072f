"""Every public call that reads an archive, by name, for tests that damage the file beneath."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from exptrack import Archive
from exptrack.sweeps.optuna_storage import OptunaStorage

Reading = Callable[[Archive], Any]
VIEWS = """
    runs configs tags notes events metrics points artifacts artifact_files inputs lineage run_storage studies
    trials trial_params
""".split()


def list_readings(archive: Archive) -> dict[str, Reading]:
    """Return the readings of an archive that ``full_lab`` built and that is still sound."""
    return dict(_readings(archive))


def _readings(archive: Archive) -> Iterator[tuple[str, Reading]]:
    runs = [run.run_id for run in archive.list_runs()]
    yield "list_runs", lambda a: a.list_runs()
    yield "runs where", lambda a: [run.run_id for run in a.runs().where("config.lr < 0.45 and tag = smoke")]
    yield "runs by trial", lambda a: [r.run_id for r in a.runs().where("trial.state = complete")]
    yield "runs by attribute", lambda a: a.runs().where("attr.best > 0.1 and exists attr.note").count()
    yield "attributes", lambda a: [a.get_run(run).attributes for run in runs]
    yield "names", lambda a: [(a.get_run(run).name, a.get_run(run).group) for run in runs]
    yield "runs in order", lambda a: (a.runs().order_by("-metrics.loss.min", "name").list(), a.runs().count())
    yield "values of runs", lambda a: list(a.runs().values("config.lr", "metrics.loss", "duration", "tags"))
    yield "page of runs", lambda a: a.runs().page(2)
    yield "table of runs", lambda a: a.runs().to_dicts()
    yield "points of runs", lambda a: a.runs().metrics_to_pandas().to_csv()
    yield "best_runs", lambda a: a.best_runs("loss", "minimize")
    yield "storage", lambda a: a.storage()
    yield "views", lambda a: a.list_views()
    yield "page views", lambda a: a.list_page_views()
    yield "own view", lambda a: a.sql("SELECT * FROM best").rows
    yield "compare", lambda a: a.compare(runs[:3])
    yield "diff_runs", lambda a: a.diff_runs(runs[0], runs[1])
    yield "what_changed", lambda a: a.what_changed(runs[0])
    yield "group_by", lambda a: a.group_by("lr", "loss")
    yield "importance", lambda a: a.importance("acc")
    yield "series", lambda a: [[_plain(a.series(run, name)) for name in ("loss", "acc")] for run in runs]
    yield "buckets", lambda a: [_plain(a.series(run, "loss", buckets=3)) for run in runs]
    yield "align", lambda a: _plain(a.align(runs[:3], ["loss", "acc"], by="time"))
    yield "tail", lambda a: [_plain(update.series) for update in a.tail(runs).read()]
    yield "info", lambda a: a.info().runs
    yield "studies", lambda a: a.studies()
    yield "trials", lambda a: a.trials("widths")
    yield "study", _read_study
    yield "study_results", _read_results
    yield "optuna", _read_optuna
    for view in VIEWS:
        yield f"view {view}", lambda a, v=view: a.sql(f"SELECT * FROM {v}").rows  # type: ignore[misc]
    for run_id in runs:
        yield f"show_run {run_id}", lambda a, r=run_id: a.show_run(r)  # type: ignore[misc]
        yield f"lineage {run_id}", lambda a, r=run_id: a.lineage(r)  # type: ignore[misc]
        yield f"handle {run_id}", lambda a, r=run_id: _read_handle(a, r)  # type: ignore[misc]
        yield f"export {run_id}", lambda a, r=run_id: _export(a, r)  # type: ignore[misc]
        for one in archive.show_run(run_id).artifacts:
            place = (run_id, one.name, one.version)
            yield f"artifact {place}", lambda a, p=place: _read_artifact(a, *p)  # type: ignore[misc]


def list_commands(archive: Archive) -> list[list[str]]:
    """Return the words of each command that reads."""
    runs = [run.run_id for run in archive.list_runs()]
    done = next(run.run_id for run in archive.list_runs() if run.name == "run 1")
    return [
        ["ls"], ["ls", "--json"], ["show", done], ["show", done, "--json"], ["best", "loss", "--min"],
        ["top", "metrics.loss.min"], ["history", done, "loss"], ["history", done, "loss", "--csv"],
        ["compare", *runs[:3]], ["diff", *runs[:2]], ["changes", done], ["groups", "loss", "lr"],
        ["importance", "acc"], ["sweep", "ls"], ["sweep", "show", "widths"], ["artifacts", "ls", done],
        ["artifacts", "ls", done, "--json"], ["artifacts", "du"], ["lineage", done],
        ["sql", "SELECT * FROM runs"], ["sql", "SELECT * FROM points", "--json"], ["info"], ["verify"],
        ["sweep", "ls", "--json"], ["sweep", "show", "widths", "--json"], ["lineage", done, "--json"],
    ]  # fmt: skip


def _plain(found: Any) -> Any:
    """Return columns as lists."""
    columns = found.arrays() if hasattr(found, "index") else found.lists()
    return {name: list(column) for name, column in columns.items()}


def _read_results(archive: Archive) -> Any:
    found = archive.study_results("widths")
    frames = (found.frame(), found.history(), found.slices(), found.reports(), found.space())
    return found, found.best, found.best_trials, [list(frame) for frame in frames], found.importances()


def _read_optuna(archive: Archive) -> Any:
    storage = archive.optuna_storage()
    study = storage.get_study_id_from_name("widths")
    trials = storage.get_all_trials(study)
    facts = (
        storage.get_study_user_attrs(study),
        storage.get_study_system_attrs(study),
        storage.get_study_directions(study),
        storage.get_n_trials(study),
        _read_best_trial(storage, study),
        [(one.study_name, one.user_attrs) for one in storage.get_all_studies()],
        [storage.get_trial(trial._trial_id) for trial in trials],
        [storage.get_trial_user_attrs(trial._trial_id) for trial in trials],
    )
    return facts, trials


def _read_best_trial(storage: OptunaStorage, study: int) -> Any:
    """Return the best trial, or the refusal that Optuna asks of a storage whose study has no complete trial."""
    try:
        return storage.get_best_trial(study)
    except ValueError as error:
        if str(error) != "no trial of the study is complete yet":
            raise
        return str(error)


def _read_handle(archive: Archive, run_id: str) -> Any:
    run = archive.get_run(run_id)
    metrics = {name: run.get_metric(name) for name in ("loss", "acc")}
    last = run.get_last_metric("loss")
    facts = (run.tags, run.notes, run.read_events(), run.inputs, run.status, run.config.to_sdn())
    return metrics, last, facts, run.artifacts.list_artifacts()


def _export(archive: Archive, run_id: str) -> Any:
    folder = Path(tempfile.mkdtemp())
    try:
        top = archive.artifacts(run_id).export_all(folder / "out")
        files = sorted(path for path in top.rglob("*") if path.is_file())
        return [
            (str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files
        ]
    finally:
        shutil.rmtree(folder)


def _read_artifact(archive: Archive, run_id: str, name: str, version: int) -> Any:
    store = archive.artifacts(run_id)
    content = store.get_blob(name, version)
    data = content.encode() if isinstance(content, str) else content or b""
    used = archive.find_artifact(f"{run_id}/{name}:v{version}")
    files = []
    if used.kind == "folder":
        for file in store.list_files(name, version):
            if file.hash is None:
                continue  # a folder
            with store.open(name, version, file=file.path) as stream:
                files.append((file, hashlib.sha256(stream.read()).hexdigest()))
    table = store.get_table(name, version) if name == "rows" else None
    # Description and aliases may change, so only verify tells of them. `show_run` returns them, too.
    return used._replace(description=None, aliases=()), hashlib.sha256(data).hexdigest(), files, table


def _read_study(archive: Archive) -> Any:
    study = archive.study("widths")
    return study.info, study.trials, study.best_trial, study.best_value, study.trial(0), study.unseen_trials()
