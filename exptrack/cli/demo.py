"""The command ``demo``: train real models on a real data set and record them as a user would.

Invariants: it works offline (the data come with scikit-learn), is seeded, and takes under a minute on two
cores. Models are stored as plain arrays (.npz), never pickled, each with a table of its mistakes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from exptrack import Archive, ExptrackError, Run
from exptrack.cli.main import json_option, main
from exptrack.cli.output import print_json
from exptrack.cli.shown import choose_metrics, list_differing

DEMO_FILE = "exptrack-demo.db"
METRIC = "val_accuracy"
EPOCHS = 20
QUESTION = (
    "SELECT c.value AS model, count(*) AS runs, round(avg(m.last), 4) AS mean, round(max(m.last), 4) AS best"
    " FROM metrics AS m JOIN configs AS c ON c.run_id = m.run_id"
    " WHERE m.name = 'val_accuracy' AND m.completed = 1 AND c.key = 'model.kind' GROUP BY c.value"
)


@main.command()
@click.argument("path", required=False)
@json_option
@click.pass_context
def demo(ctx: click.Context, path: str | None, as_json: bool) -> None:
    """Train 14 real models, record them, and show which is best.

    The data are scikit-learn's handwritten digits. The runs are added to PATH, else to --db, else to
    exptrack-demo.db in this folder. Needs scikit-learn: pip install 'exptrack-archive[demo]'.

    Example: exptrack demo
    """
    from exptrack.terminal.archive import print_sql_result
    from exptrack.terminal.comparison import print_diff
    from exptrack.terminal.console import format_size, open_console
    from exptrack.terminal.runs import print_ranking, print_runs

    if path is None:
        # An archive named only by the environment is the user's own; the demo does not write to it.
        said = ctx.find_root().get_parameter_source("db") is ParameterSource.COMMANDLINE
        path = ctx.obj if said else DEMO_FILE
    if as_json:
        print_json({"path": path, "runs": run_demo(path, lambda *_: None)})
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=open_console(stderr=True)) as bar:
        task = bar.add_task("training on handwritten digits", total=len(make_configs()) * EPOCHS)
        made = run_demo(path, lambda done, total, _name: bar.update(task, completed=done, total=total))
    out = open_console()
    with Archive(path) as archive:
        records = [record for record in archive.list_runs() if record.run_id in set(made)]
        ids = archive.shorten_ids(made)
        _print_title(f"$ exptrack --db {path} ls")
        names = choose_metrics(archive, records, system=False)
        print_runs(out, records, metrics=names, ids=ids)
        found = archive.best_runs(METRIC, "maximize", limit=2)
        _print_title(f"$ exptrack --db {path} best {METRIC} --max -n 2")
        first, second = (run.run_id for run, _value in found)
        short = archive.shorten_ids([first, second])
        differing = list_differing(archive, [run for run, _value in found])
        print_ranking(out, METRIC, found, differing, short)
        _print_title(f"$ exptrack --db {path} diff {short[second]} {short[first]}")
        difference = archive.diff_runs(second, first)
        print_diff(out, difference, difference.metrics, short)
        _print_title(f'$ exptrack --db {path} sql "{QUESTION}"')
        print_sql_result(out, archive.sql(QUESTION))
        size = format_size(archive.info().file_bytes)
        click.echo(f"\nEverything, the {len(records)} fitted models included, is in {archive.path} ({size}).")
        click.echo(f"Next: exptrack --db {path} show {short[first]}")
        click.echo(f"      exptrack --db {path} artifacts get {short[first]} report.txt -o -")
        click.echo(f"      exptrack --db {path} ls --tag mlp")
        click.echo(f"      sqlite3 {path} 'SELECT * FROM runs'")


def _print_title(words: str) -> None:
    click.echo()
    click.secho(words, dim=True)


class DemoUnavailableError(ExptrackError):
    """The demo needs scikit-learn, which is not installed."""

    exit_code = 60


def run_demo(path: str | os.PathLike[str], progress: Callable[[int, int, str], None]) -> list[str]:
    """Train every config and record it at `path`; return the run ids.

    `progress` is called with the number of epochs done, their total and the run's name.

    Raises:
        DemoUnavailableError: scikit-learn is not installed.
        ArchiveError: the file cannot be opened.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise DemoUnavailableError(
            "the demo needs scikit-learn: pip install 'exptrack-archive[demo]'"
        ) from None
    digits = load_digits()
    images = digits.data / 16.0
    split = train_test_split(images, digits.target, test_size=0.25, random_state=0, stratify=digits.target)
    made: list[str] = []
    todo = make_configs()
    with Archive(path) as archive:
        for position, config in enumerate(todo):
            kind = config["model"]["kind"]
            variant = config["model"].get("hidden", config["model"].get("penalty"))
            name = f"{kind}-{variant}-lr{config['optim']['lr']:g}"
            data = {"digits": "sklearn.datasets.load_digits"}
            with archive.start_run(config, ["demo", kind], name=name, group="digits", data=data) as run:
                model = _make_model(config)
                for epoch in range(EPOCHS):
                    _train(model, config, split, epoch)
                    run.log(_score(model, split), epoch)
                    progress(position * EPOCHS + epoch + 1, len(todo) * EPOCHS, name)
                run.artifacts.register_data(
                    "model.npz", _pack_weights(model), {"format": "npz", "epochs": EPOCHS}
                )
                _log_mistakes(run, model, split)
            made.append(run.run_id)
    return made


def make_configs() -> list[dict[str, Any]]:
    """Make 14 configs: networks and linear models with different learning rates, sizes and seeds."""
    found: list[dict[str, Any]] = []
    for lr in (1e-4, 1e-3, 1e-2):
        for hidden in (16, 64):
            found.append(_make_config({"kind": "mlp", "hidden": hidden}, lr, seed=0))
    found += [_make_config({"kind": "mlp", "hidden": 64}, 1e-3, seed=seed) for seed in (1, 2)]
    for lr in (1e-3, 1e-2, 1e-1):
        found.append(_make_config({"kind": "linear", "penalty": "l2"}, lr, seed=0))
    found += [_make_config({"kind": "linear", "penalty": "l1"}, lr, seed=0) for lr in (1e-3, 1e-2)]
    found.append(_make_config({"kind": "linear", "penalty": "l2"}, 1e-2, seed=1))
    return found


def _make_config(model: dict[str, Any], lr: float, seed: int) -> dict[str, Any]:
    # Networks take a step for each batch, linear models for each image.
    batch = 64 if model["kind"] == "mlp" else 1
    return {
        "model": model,
        "optim": {"lr": lr, "epochs": EPOCHS, "batch": batch},
        "data": {"name": "digits", "validation": 0.25},
        "seed": seed,
    }


def _make_model(config: dict[str, Any]) -> Any:
    from sklearn.linear_model import SGDClassifier
    from sklearn.neural_network import MLPClassifier

    lr, batch, seed = config["optim"]["lr"], config["optim"]["batch"], config["seed"]
    if config["model"]["kind"] == "mlp":
        hidden = (config["model"]["hidden"],)
        return MLPClassifier(hidden, learning_rate_init=lr, batch_size=batch, random_state=seed)
    penalty = config["model"]["penalty"]
    return SGDClassifier(loss="log_loss", penalty=penalty, learning_rate="constant", eta0=lr, random_state=seed)


def _train(model: Any, config: dict[str, Any], split: list[Any], epoch: int) -> None:
    """Pass once over the training images, in a new order."""
    import numpy as np

    images, labels = split[0], split[2]
    order = np.random.default_rng([config["seed"], epoch]).permutation(len(images))
    # One call an epoch: with a call per batch, scikit-learn spends most of a minute checking its arguments.
    model.partial_fit(images[order], labels[order], classes=np.arange(10))


def _score(model: Any, split: list[Any]) -> dict[str, float]:
    from sklearn.metrics import log_loss

    train_images, val_images, train_labels, val_labels = split
    return {
        "train_loss": log_loss(train_labels, model.predict_proba(train_images), labels=range(10)),
        "val_loss": log_loss(val_labels, model.predict_proba(val_images), labels=range(10)),
        METRIC: model.score(val_images, val_labels),
    }


def _log_mistakes(run: Run, model: Any, split: list[Any]) -> None:
    """Log which digits were taken for which: a table for programs and a report for people."""
    from sklearn.metrics import classification_report, confusion_matrix

    truth, predicted = split[3], model.predict(split[1])
    counts = confusion_matrix(truth, predicted, labels=range(10)).tolist()
    rows = [[digit, *row] for digit, row in enumerate(counts)]
    columns = ["digit", *(f"taken for {digit}" for digit in range(10))]
    run.log_table("confusion", rows, EPOCHS - 1, columns=columns, caption="validation images by digit")
    report = classification_report(truth, predicted, digits=3, zero_division=0.0)
    run.log_text("report.txt", report, EPOCHS - 1, caption="precision and recall on the validation images")


def _pack_weights(model: Any) -> bytes:
    """Return the fitted parameters as an .npz file."""
    import numpy as np

    if hasattr(model, "coefs_"):
        arrays = {f"weight{n}": w for n, w in enumerate(model.coefs_)}
        arrays |= {f"bias{n}": b for n, b in enumerate(model.intercepts_)}
    else:
        arrays = {"weight": model.coef_, "bias": model.intercept_}
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()
