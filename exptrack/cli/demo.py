"""The demonstration: real models, a real data set, recorded as a user would.

Invariants: offline (the data come with scikit-learn), seeded, under a minute on two cores. Models are
kept as plain arrays (.npz), never pickled, and beside each what it mistakes for what.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

from exptrack import Archive, ExptrackError, Run

METRIC = "val_accuracy"
EPOCHS = 20
QUESTION = (
    "SELECT c.value AS model, count(*) AS runs, round(avg(m.last), 4) AS mean, round(max(m.last), 4) AS best"
    " FROM metrics AS m JOIN configs AS c ON c.run_id = m.run_id"
    " WHERE m.name = 'val_accuracy' AND m.completed = 1 AND c.key = 'model.kind' GROUP BY c.value"
)


class DemoUnavailableError(ExptrackError):
    """The demonstration needs scikit-learn."""

    exit_code = 60


def configs() -> list[dict[str, Any]]:
    """Fourteen configurations: networks and linear models over learning rates, sizes and seeds."""
    found: list[dict[str, Any]] = []
    for lr in (1e-4, 1e-3, 1e-2):
        for hidden in (16, 64):
            found.append(_config({"kind": "mlp", "hidden": hidden}, lr, seed=0))
    found += [_config({"kind": "mlp", "hidden": 64}, 1e-3, seed=seed) for seed in (1, 2)]
    for lr in (1e-3, 1e-2, 1e-1):
        found.append(_config({"kind": "linear", "penalty": "l2"}, lr, seed=0))
    found += [_config({"kind": "linear", "penalty": "l1"}, lr, seed=0) for lr in (1e-3, 1e-2)]
    found.append(_config({"kind": "linear", "penalty": "l2"}, 1e-2, seed=1))
    return found


def _config(model: dict[str, Any], lr: float, seed: int) -> dict[str, Any]:
    # The networks step once a batch, the linear models once an image.
    batch = 64 if model["kind"] == "mlp" else 1
    return {
        "model": model,
        "optim": {"lr": lr, "epochs": EPOCHS, "batch": batch},
        "data": {"name": "digits", "validation": 0.25},
        "seed": seed,
    }


def run_demo(path: str | os.PathLike[str], progress: Callable[[int, int, str], None]) -> list[str]:
    """Train every configuration and record it at `path`; return the run ids.

    `progress` is called with the epochs done, the epochs in all and the run's name.

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
    todo = configs()
    with Archive(path) as archive:
        for position, config in enumerate(todo):
            kind = config["model"]["kind"]
            variant = config["model"].get("hidden", config["model"].get("penalty"))
            name = f"{kind}-{variant}-lr{config['optim']['lr']:g}"
            data = {"digits": "sklearn.datasets.load_digits"}
            with archive.start_run(config, ["demo", kind], name=name, group="digits", data=data) as run:
                model = _model(config)
                for epoch in range(EPOCHS):
                    _train(model, config, split, epoch)
                    run.log(_scores(model, split), epoch)
                    progress(position * EPOCHS + epoch + 1, len(todo) * EPOCHS, name)
                run.artifacts.register_data("model.npz", _weights(model), {"format": "npz", "epochs": EPOCHS})
                _log_mistakes(run, model, split)
            made.append(run.run_id)
    return made


def _model(config: dict[str, Any]) -> Any:
    from sklearn.linear_model import SGDClassifier
    from sklearn.neural_network import MLPClassifier

    lr, batch, seed = config["optim"]["lr"], config["optim"]["batch"], config["seed"]
    if config["model"]["kind"] == "mlp":
        hidden = (config["model"]["hidden"],)
        return MLPClassifier(hidden, learning_rate_init=lr, batch_size=batch, random_state=seed)
    penalty = config["model"]["penalty"]
    return SGDClassifier(loss="log_loss", penalty=penalty, learning_rate="constant", eta0=lr, random_state=seed)


def _train(model: Any, config: dict[str, Any], split: list[Any], epoch: int) -> None:
    """One pass over the training images in a fresh order."""
    import numpy as np

    images, labels = split[0], split[2]
    order = np.random.default_rng([config["seed"], epoch]).permutation(len(images))
    # One call an epoch: a call per batch spends most of the minute on scikit-learn's checks of its arguments.
    model.partial_fit(images[order], labels[order], classes=np.arange(10))


def _scores(model: Any, split: list[Any]) -> dict[str, float]:
    from sklearn.metrics import log_loss

    train_images, val_images, train_labels, val_labels = split
    return {
        "train_loss": log_loss(train_labels, model.predict_proba(train_images), labels=range(10)),
        "val_loss": log_loss(val_labels, model.predict_proba(val_images), labels=range(10)),
        METRIC: model.score(val_images, val_labels),
    }


def _log_mistakes(run: Run, model: Any, split: list[Any]) -> None:
    """Which digits of the validation images were taken for which, for programs; and a report for people."""
    from sklearn.metrics import classification_report, confusion_matrix

    truth, predicted = split[3], model.predict(split[1])
    counts = confusion_matrix(truth, predicted, labels=range(10)).tolist()
    rows = [[digit, *row] for digit, row in enumerate(counts)]
    columns = ["digit", *(f"taken for {digit}" for digit in range(10))]
    run.log_table("confusion", rows, EPOCHS - 1, columns=columns, caption="validation images by digit")
    report = classification_report(truth, predicted, digits=3, zero_division=0.0)
    run.log_text("report.txt", report, EPOCHS - 1, caption="precision and recall on the validation images")


def _weights(model: Any) -> bytes:
    """The fitted parameters as an .npz file."""
    import numpy as np

    if hasattr(model, "coefs_"):
        arrays = {f"weight{n}": w for n, w in enumerate(model.coefs_)}
        arrays |= {f"bias{n}": b for n, b in enumerate(model.intercepts_)}
    else:
        arrays = {"weight": model.coef_, "bias": model.intercept_}
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()
