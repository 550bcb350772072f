"""The same work for each tracker, through its own API. Nothing of a tracker is imported before it is asked.

A method that a tracker has no call for is missing from its class: the table then has no figure.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from benchmarks import peers

PARAMS, TAGS, METRICS, STEPS = 10, 3, 10, 10
BEST, CURVE = "m0", "m1"  # the metric that ranks, and the one that is read
CHUNK_BYTES = 1 << 20

Question = Callable[[], int]


class Made(NamedTuple):
    """A run to be made."""

    name: str
    params: dict[str, Any]
    tags: list[str]
    curves: list[dict[str, float]]


def runs_to_make(count: int) -> Iterator[Made]:
    """Yield the runs to store; they are the same for every tracker."""
    chance = random.Random(0)
    for number in range(count):
        params = {f"p{key}": chance.random() for key in range(PARAMS)}
        curves = [{f"m{metric}": chance.random() for metric in range(METRICS)} for _ in range(STEPS)]
        yield Made(f"run{number}", params, [f"tag{chance.randrange(9)}" for _ in range(TAGS)], curves)


class Tracker:
    """What is asked of each tracker; `folder` is empty at first, and the same for all calls about one store."""

    module: ClassVar[str]
    distribution: ClassVar[str | None] = None
    log: ClassVar[Callable[[Path], AbstractContextManager[peers.Log]]]

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def runs(self) -> Iterator[Callable[[Made], object]]:
        """Yield a function that makes a whole run."""
        raise NotImplementedError
        yield

    def questions(self, count: int) -> dict[str, Question]:
        """Return what lists all runs, finds the ten best, reads a curve and compares two runs."""
        raise NotImplementedError

    @contextmanager
    def files(self) -> Iterator[Callable[[Path], object]]:
        """Yield a function that stores a file in a run."""
        raise NotImplementedError
        yield


class Exptrack(Tracker):
    module = "exptrack"
    log = peers.exptrack_archive

    @contextmanager
    def runs(self) -> Iterator[Callable[[Made], object]]:
        from exptrack import Archive

        with Archive(self.folder / "lab.db") as archive:

            def make(made: Made) -> None:
                with archive.start_run(made.params, made.tags, name=made.name) as run:
                    for step, values in enumerate(made.curves):
                        run.log(values, step)

            yield make

    def questions(self, count: int) -> dict[str, Question]:
        from exptrack import Archive

        archive = Archive(self.folder / "lab.db")
        return {
            "list": lambda: len(archive.list_runs()),
            "best": lambda: len(archive.best_runs(BEST, "maximize", limit=10)),
            "curve": lambda: len(archive.get_run("run3").get_metric(CURVE)),
            "compare": lambda: len(archive.diff_runs("run3", "run4").config),
        }

    @contextmanager
    def files(self) -> Iterator[Callable[[Path], object]]:
        from exptrack import Archive

        with Archive(self.folder / "lab.db") as archive, archive.start_run() as run:
            yield lambda path: run.artifacts.register_file("weights", path)


SCHEMA = """
CREATE TABLE run (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE param (run INTEGER, key TEXT, value, PRIMARY KEY (run, key)) WITHOUT ROWID;
CREATE TABLE tag (run INTEGER, tag TEXT, PRIMARY KEY (run, tag)) WITHOUT ROWID;
CREATE TABLE point (
    run INTEGER, name TEXT, step INTEGER, value REAL, PRIMARY KEY (run, name, step)
) WITHOUT ROWID;
CREATE TABLE last (name TEXT, value REAL, run INTEGER, PRIMARY KEY (name, value, run)) WITHOUT ROWID;
CREATE TABLE file (id INTEGER PRIMARY KEY, data BLOB)
"""
DIFFERENCES = """
SELECT a.key, a.value, b.value FROM param AS a JOIN param AS b ON b.key = a.key
WHERE a.run = 4 AND b.run = 5 AND a.value IS NOT b.value
"""


class Bare(Tracker):
    """``sqlite3`` with the least tables, one ``synchronous=FULL`` commit at each run's end."""

    module = "sqlite3"
    log = peers.bare_batches

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.folder / "bare.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            connection.executescript(SCHEMA)
        return connection

    @contextmanager
    def runs(self) -> Iterator[Callable[[Made], object]]:
        connection = self._connect()

        def make(made: Made) -> None:
            connection.execute("BEGIN IMMEDIATE")
            run = connection.execute("INSERT INTO run (name) VALUES (?)", (made.name,)).lastrowid
            connection.executemany(
                "INSERT INTO param VALUES (?, ?, ?)", [(run, *item) for item in made.params.items()]
            )
            connection.executemany("INSERT OR IGNORE INTO tag VALUES (?, ?)", [(run, tag) for tag in made.tags])
            points = [
                (run, name, step, value) for step, row in enumerate(made.curves) for name, value in row.items()
            ]
            connection.executemany("INSERT INTO point VALUES (?, ?, ?, ?)", points)
            last = [(name, value, run) for name, value in made.curves[-1].items()]
            connection.executemany("INSERT INTO last VALUES (?, ?, ?)", last)
            connection.execute("COMMIT")

        yield make
        connection.close()

    def questions(self, count: int) -> dict[str, Question]:
        connection = self._connect()

        def asked(sql: str, *values: object) -> int:
            return len(connection.execute(sql, values).fetchall())

        best = "SELECT run, value FROM last WHERE name = ? ORDER BY value DESC LIMIT 10"
        return {
            "list": lambda: asked("SELECT * FROM run"),
            "best": lambda: asked(best, BEST),
            "curve": lambda: asked("SELECT step, value FROM point WHERE run = 4 AND name = ?", CURVE),
            "compare": lambda: asked(DIFFERENCES),
        }

    @contextmanager
    def files(self) -> Iterator[Callable[[Path], object]]:
        connection = self._connect()
        connection.execute("PRAGMA synchronous = NORMAL")
        yield lambda path: connection.execute("INSERT INTO file (data) VALUES (?)", (path.read_bytes(),))
        connection.close()


class Sacred(Tracker):
    """Sacred reads nothing back, so its questions read the files of its observer, as its users do."""

    module = distribution = "sacred"
    log = peers.sacred

    @contextmanager
    def runs(self) -> Iterator[Callable[[Made], object]]:
        from sacred import SETTINGS, Experiment
        from sacred.observers import FileStorageObserver

        SETTINGS.CAPTURE_MODE = "no"
        SETTINGS.HOST_INFO.INCLUDE_GPU_INFO = False

        def make(made: Made) -> None:
            experiment = Experiment(made.name, save_git_info=False)
            experiment.observers.append(FileStorageObserver(str(self.folder / "runs")))
            experiment.add_config(made.params)

            def main(_run: Any) -> None:
                _run.info["tags"] = made.tags
                for step, values in enumerate(made.curves):
                    for name, value in values.items():
                        _run.log_scalar(name, value, step)

            experiment.main(main)
            experiment.run()

        yield make

    def questions(self, count: int) -> dict[str, Question]:
        top = self.folder / "runs"

        def read(run: str, what: str) -> Any:
            return json.loads((top / run / what).read_text())

        def best() -> int:
            runs = [run for run in os.listdir(top) if run.isdigit()]
            ranked = sorted(runs, key=lambda run: float(read(run, "metrics.json")[BEST]["values"][-1]))
            return len(ranked[-10:])

        def compare() -> int:
            one, other = read("4", "config.json"), read("5", "config.json")
            return sum(one.get(key) != other.get(key) for key in {*one, *other} - {"seed"})

        return {
            "list": lambda: sum(run.isdigit() for run in os.listdir(top)),
            "best": best,
            "curve": lambda: len(read("4", "metrics.json")[CURVE]["values"]),
            "compare": compare,
        }

    @contextmanager
    def files(self) -> Iterator[Callable[[Path], object]]:
        from sacred import SETTINGS, Experiment
        from sacred.observers import FileStorageObserver

        SETTINGS.CAPTURE_MODE = "no"
        experiment = Experiment("files", save_git_info=False)
        experiment.observers.append(FileStorageObserver(str(self.folder / "runs")))
        stored: list[Callable[[Path], object]] = []
        begun, done = peers.threading.Event(), peers.threading.Event()

        def main(_run: Any) -> None:
            versions = iter(range(10**6))
            stored.append(lambda path: _run.add_artifact(str(path), name=f"weights{next(versions)}"))
            begun.set()
            done.wait()

        experiment.main(main)
        thread = peers.threading.Thread(target=experiment.run)
        thread.start()
        begun.wait()
        yield stored[0]
        done.set()
        thread.join()


class TensorboardX(Tracker):
    """It has no call that reads."""

    module = distribution = "tensorboardX"
    log = peers.tensorboard_x

    @contextmanager
    def runs(self) -> Iterator[Callable[[Made], object]]:
        from tensorboardX import SummaryWriter

        def make(made: Made) -> None:
            with SummaryWriter(str(self.folder / made.name)) as writer:
                writer.add_text("params", json.dumps(made.params))
                writer.add_text("tags", json.dumps(made.tags))
                for step, values in enumerate(made.curves):
                    for name, value in values.items():
                        writer.add_scalar(name, value, step)

        yield make


class Trackio(Tracker):
    module = distribution = "trackio"
    log = peers.trackio

    @contextmanager
    def runs(self) -> Iterator[Callable[[Made], object]]:
        os.environ["TRACKIO_DIR"] = str(self.folder / "trackio")
        import trackio

        def make(made: Made) -> None:
            config = made.params | {"tags": made.tags}
            trackio.init(project="benchmark", name=made.name, config=config, embed=False)
            for step, values in enumerate(made.curves):
                trackio.log(values, step=step)
            trackio.finish()

        yield make

    def questions(self, count: int) -> dict[str, Question]:
        os.environ["TRACKIO_DIR"] = str(self.folder / "trackio")
        from trackio.sqlite_storage import SQLiteStorage

        def asked(sql: str) -> list[Any]:
            return list(SQLiteStorage.query_project("benchmark", sql, max_rows=10**6)["rows"])

        last = f"json_extract(m.metrics, '$.{BEST}')"
        newest = "m.step = (SELECT max(step) FROM metrics AS o WHERE o.run_id = m.run_id)"

        def compare() -> int:
            rows = asked("SELECT config FROM configs WHERE run_name IN ('run3', 'run4')")
            one, other = (json.loads(row["config"]) for row in rows)
            return sum(one.get(key) != other.get(key) for key in made_keys)

        made_keys = [f"p{key}" for key in range(PARAMS)]
        return {
            "list": lambda: len(asked("SELECT DISTINCT run_name FROM configs")),
            "best": lambda: len(
                asked(f"SELECT m.run_name, {last} FROM metrics AS m WHERE {newest} ORDER BY 2 DESC LIMIT 10")
            ),
            "curve": lambda: len(
                asked(f"SELECT step, json_extract(metrics, '$.{CURVE}') FROM metrics WHERE run_name = 'run3'")
            ),
            "compare": compare,
        }

    @contextmanager
    def files(self) -> Iterator[Callable[[Path], object]]:
        os.environ["TRACKIO_DIR"] = str(self.folder / "trackio")
        import trackio

        trackio.init(project="benchmark", embed=False)

        def store(path: Path) -> None:
            artifact = trackio.Artifact("weights", type="model")
            artifact.add_file(str(path))
            trackio.log_artifact(artifact)

        yield store
        trackio.finish()


class Aim(Tracker):
    module = distribution = "aim"
    log = peers.aim

    def _run(self) -> Any:
        from aim import Run

        return Run(repo=str(self.folder), system_tracking_interval=None, capture_terminal_logs=False)

    @contextmanager
    def runs(self) -> Iterator[Callable[[Made], object]]:
        def make(made: Made) -> None:
            run = self._run()
            run.name = made.name
            run["params"] = made.params
            for tag in set(made.tags):
                run.add_tag(tag)
            for step, values in enumerate(made.curves):
                for name, value in values.items():
                    run.track(value, name=name, step=step)
            run.close()

        yield make

    def questions(self, count: int) -> dict[str, Question]:
        from aim import Repo

        repo = Repo(str(self.folder))

        def named(name: str) -> Any:
            (found,) = [item.run for item in repo.query_runs(f"run.name == '{name}'").iter_runs()]
            return found

        def best() -> int:
            values = []
            for run in repo.iter_runs():
                for sequence in run.metrics():
                    if sequence.name == BEST:
                        values.append((float(sequence.values.sparse_list()[1][-1]), run.hash))
            return len(sorted(values)[-10:])

        def curve() -> int:
            run = named("run3")
            (found,) = [sequence for sequence in run.metrics() if sequence.name == CURVE]
            return len(found.values.sparse_list()[1])

        def compare() -> int:
            one, other = named("run3")["params"], named("run4")["params"]
            return sum(one[key] != other[key] for key in one)

        return {
            "list": lambda: len(list(repo.iter_runs())),
            "best": best,
            "curve": curve,
            "compare": compare,
        }

    @contextmanager
    def files(self) -> Iterator[Callable[[Path], object]]:
        run = self._run()
        place = self.folder / "artifacts"
        place.mkdir(exist_ok=True)
        run.set_artifacts_uri(place.as_uri())
        yield lambda path: run.log_artifact(str(path), name=f"weights{len(os.listdir(place))}")
        run.close()


class Wandb(Tracker):
    """Offline it has no call that reads."""

    module = distribution = "wandb"
    log = peers.wandb

    def _init(self, **more: Any) -> Any:
        os.environ["WANDB_SILENT"] = "true"
        import wandb

        return wandb.init(project="benchmark", dir=str(self.folder), mode="offline", **more)

    @contextmanager
    def runs(self) -> Iterator[Callable[[Made], object]]:
        def make(made: Made) -> None:
            run = self._init(name=made.name, config=made.params, tags=sorted(set(made.tags)))
            for step, values in enumerate(made.curves):
                run.log(values, step=step)
            run.finish()

        yield make

    @contextmanager
    def files(self) -> Iterator[Callable[[Path], object]]:
        os.environ["WANDB_DATA_DIR"] = os.environ["WANDB_CACHE_DIR"] = str(self.folder / "data")
        run = self._init()
        import wandb

        def store(path: Path) -> None:
            artifact = wandb.Artifact("weights", type="model")
            artifact.add_file(str(path))
            run.log_artifact(artifact)

        yield store
        run.finish()


class Mlflow(Tracker):
    module = distribution = "mlflow"
    log = peers.mlflow

    def _client(self) -> Any:
        from mlflow.tracking import MlflowClient

        return MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")

    def _experiment(self, client: Any) -> str:
        found = client.get_experiment_by_name("benchmark")
        if found is not None:
            return str(found.experiment_id)
        return str(client.create_experiment("benchmark", (self.folder / "artifacts").as_uri()))

    @contextmanager
    def runs(self) -> Iterator[Callable[[Made], object]]:
        from mlflow.entities import Metric, Param, RunTag

        client = self._client()
        experiment = self._experiment(client)

        def make(made: Made) -> None:
            run_id = client.create_run(experiment, run_name=made.name).info.run_id
            metrics = [Metric(n, v, 0, step) for step, row in enumerate(made.curves) for n, v in row.items()]
            tags = [RunTag(tag, "") for tag in set(made.tags)]
            params = [Param(key, str(value)) for key, value in made.params.items()]
            client.log_batch(run_id, metrics, params, tags)
            client.set_terminated(run_id)

        yield make

    def questions(self, count: int) -> dict[str, Question]:
        client = self._client()
        experiment = self._experiment(client)

        def found(text: str, most: int, order: list[str] | None = None) -> list[Any]:
            return list(client.search_runs([experiment], text, max_results=most, order_by=order))

        def named(name: str) -> Any:
            return found(f"attributes.run_name = '{name}'", 1)[0]

        def compare() -> int:
            one, other = named("run3").data.params, named("run4").data.params
            return sum(one[key] != other[key] for key in one)

        return {
            "list": lambda: len(found("", count)),
            "best": lambda: len(found("", 10, [f"metrics.{BEST} DESC"])),
            "curve": lambda: len(client.get_metric_history(named("run3").info.run_id, CURVE)),
            "compare": compare,
        }

    @contextmanager
    def files(self) -> Iterator[Callable[[Path], object]]:
        client = self._client()
        run_id = client.create_run(self._experiment(client)).info.run_id
        versions = iter(range(10**6))
        yield lambda path: client.log_artifact(run_id, str(path), f"version{next(versions)}")


class Dvclive(Tracker):
    """It reads nothing back; versions of files need DVC and a git repository."""

    module = distribution = "dvclive"
    log = peers.dvclive

    @contextmanager
    def runs(self) -> Iterator[Callable[[Made], object]]:
        from dvclive import Live

        def make(made: Made) -> None:
            place = str(self.folder / made.name)
            live = Live(place, save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False)
            live.log_params(made.params | {"tags": made.tags})
            for values in made.curves:
                for name, value in values.items():
                    live.log_metric(name, value)
                live.next_step()
            live.end()

        yield make


TRACKERS: dict[str, type[Tracker]] = {
    "exptrack": Exptrack,
    "sqlite3": Bare,
    "Sacred": Sacred,
    "Trackio": Trackio,
    "Aim": Aim,
    "MLflow": Mlflow,
    "tensorboardX": TensorboardX,
    "W&B offline": Wandb,
    "DVCLive": Dvclive,
}
