"""Train a network that reads handwritten digits, epoch by epoch; a sweep may give it up."""

import sys

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import exptrack

config = exptrack.load_exp_config(sys.path[0], exptrack.parse_cli_overrides(sys.argv))
trial = exptrack.current_trial()  # None when nobody sweeps

digits = load_digits()
train_images, val_images, train_labels, val_labels = train_test_split(
    digits.data / 16, digits.target, test_size=0.25, random_state=0, stratify=digits.target
)
model = MLPClassifier(
    (config.get_int("model.hidden"),),
    activation=config.get_text("model.activation"),
    learning_rate_init=config.get_float("optim.lr"),
    alpha=config.get_float("optim.alpha"),
    batch_size=config.get_int("optim.batch"),
    random_state=config.get_int("seed"),
)
with exptrack.start_run(config, ["digits"]) as run:
    for epoch in range(config.get_int("epochs")):
        model.partial_fit(train_images, train_labels, classes=np.arange(10))
        run.log({"val_accuracy": model.score(val_images, val_labels), "train_loss": model.loss_}, epoch)
        if trial is not None and trial.should_prune():
            trial.prune()
