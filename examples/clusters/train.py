"""Fit a line by gradient descent, as one task of many: of a SLURM array, or of torchrun.

Each task is a process, and each process writes an archive of its own into the folder that EXPTRACK_SPOOL names.
The environment says which task this is; without SLURM and torchrun it is the only one.
"""

import os
import random

import exptrack

STEPS = 50


def number(*names: str, default: int = 0) -> int:
    """The first of these variables that is set, as a number."""
    return next((int(os.environ[name]) for name in names if name in os.environ), default)


task = number("SLURM_ARRAY_TASK_ID", default=0)
rank, world = number("RANK", "SLURM_PROCID"), number("WORLD_SIZE", "SLURM_NTASKS", default=1)
job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("TORCHELASTIC_RUN_ID") or "alone"
lr = 0.05 * (task + 1)

# Every rank has its own part of the data, and a run of its own. The group brings them together.
numbers = random.Random(1000 * task + rank)
data = [(x, 3 * x + numbers.gauss(0, 0.1)) for x in (numbers.uniform(-1, 1) for _ in range(100))]
config = {"lr": lr, "task": task, "rank": rank, "world_size": world}
with exptrack.start_run(config, name=f"task {task} rank {rank}", group=f"line {job}") as run:
    slope = 0.0
    for step in range(STEPS):
        slope -= lr * sum(2 * x * (slope * x - y) for x, y in data) / len(data)
        run.log({"loss": sum((slope * x - y) ** 2 for x, y in data) / len(data), "slope": slope}, step=step)
