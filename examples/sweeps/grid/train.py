"""Fit a support vector machine to handwritten digits, as the trial's config says."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

import exptrack

trial = exptrack.current_trial()
if trial is None:
    raise SystemExit("exptrack sweep run sweep.sdn -- python train.py")
config = trial.config
if config.get_text("data") == "bundled":
    images, labels = load_digits(return_X_y=True)
else:
    with np.load(config.get_text("data")) as file:
        images, labels = file["images"], file["labels"]
with exptrack.start_run(config, ["svm"]) as run:
    model = make_pipeline(PCA(config.get_int("pca.components"), random_state=0), SVC(**config["svm"]))
    run.log({"val_error": 1 - cross_val_score(model, images / 16, labels, cv=3).mean()})
