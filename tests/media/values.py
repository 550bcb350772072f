"""Values that several tests encode."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)


class Tensor:
    """What exptrack asks of a torch tensor, and nothing else of it."""

    def __init__(self, array: np.ndarray[Any, Any], fault: str = "") -> None:
        self._array = array
        self._fault = fault

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> np.ndarray[Any, Any]:
        if self._fault:
            raise TypeError(self._fault)
        return self._array


EXPECTED: dict[str, list[Any]] = {"a": [1, 2], "b": [0.5, math.nan], "c": ["x", ""]}
