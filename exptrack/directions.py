"""Guess from the name of a metric whether less or more of it is better."""

from __future__ import annotations

import re

LESS = frozenset(
    "loss err error mse mae rmse mape nll bce ce ppl perplexity wer cer fid kl regret latency".split()
)
MORE = frozenset(
    "acc accuracy f1 auc auroc score reward return precision recall iou miou dice bleu r2 map psnr".split()
)
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
BETWEEN_WORDS = re.compile(r"[^a-z0-9]+")


def guess_direction(metric: str) -> str | None:
    """Return ``"minimize"`` or ``"maximize"`` by the words in a metric's name, or None if they tell nothing.

    >>> guess_direction("val/top5_accuracy"), guess_direction("trainLoss"), guess_direction("lr")
    ('maximize', 'minimize', None)
    """
    words = BETWEEN_WORDS.split(CAMEL.sub(" ", metric).lower())
    both = {*words, *(word[:-1] for word in words if len(word) > 2 and word.endswith("s"))}
    if both & LESS:
        return "minimize"
    return "maximize" if both & MORE else None
