"""Tell which process of a distributed training this is. Only the first of them records."""

from __future__ import annotations

import os
from collections.abc import Mapping

RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")


def find_rank(environ: Mapping[str, str] = os.environ) -> int:
    """Return the rank that a launcher gave to this process; 0 if none did."""
    for name in RANKS:
        if environ.get(name, "").isdecimal():
            return int(environ[name])
    return 0
