"""Guess from the name of a metric whether less or more of it is better."""

from __future__ import annotations

import re

LESS = frozenset(
    "loss err error mse mae rmse mape nll bce ce ppl perplexity wer cer fid kl regret latency".split()
)
MORE = frozenset(
    "acc accuracy f1 auc auroc score reward return precision recall iou miou dice bleu r2 map psnr".split()
)


def split_words(name: str) -> list[str]:
    """Return the words of a name in small letters, without a plural s.

    >>> split_words("val/top5Accuracy"), split_words("errors")
    (['val', 'top5', 'accuracy'], ['error'])
    """
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).lower()
    return [re.sub(r"(?<=..)s$", "", word) for word in re.split(r"[^a-z0-9]+", spaced)]


def guess_direction(metric: str) -> str | None:
    """Return ``"minimize"`` or ``"maximize"`` by the words in a metric's name, or None if they tell nothing.

    >>> guess_direction("val/top5_accuracy"), guess_direction("trainLoss"), guess_direction("lr")
    ('maximize', 'minimize', None)
    """
    words = split_words(metric)
    if any(word in LESS or f"{word}s" in LESS for word in words):
        return "minimize"
    return "maximize" if any(word in MORE for word in words) else None
