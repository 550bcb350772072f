"""Record the scalars and the hyperparameters that a SummaryWriter logs, of PyTorch or of tensorboardX.

Invariants: the writer is always called, and first. The time that it is given is that of the point. A method
that calls another one is recorded once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from exptrack.scripts.recorder import Recorder

ADD_SCALAR = ("tag", "scalar_value", "global_step", "walltime")
ADD_SCALARS = ("main_tag", "tag_scalar_dict", "global_step", "walltime")
ADD_HPARAMS = ("hparam_dict", "metric_dict", "hparam_domain_discrete", "run_name", "global_step")
ADD_HPARAMS_OF_X = ("hparam_dict", "metric_dict", "name", "global_step")


def install(module: ModuleType, recorder: Recorder) -> None:
    """Wrap the methods of the writer."""
    writer: Any = module.__dict__["SummaryWriter"]
    of_x = module.__name__.startswith("tensorboardX")

    def add_scalar(tag: Any, scalar_value: Any, global_step: Any = None, walltime: Any = None) -> None:
        recorder.record_point(str(tag), scalar_value, global_step, walltime)

    def add_scalars(main_tag: Any, tag_scalar_dict: Any, global_step: Any = None, walltime: Any = None) -> None:
        for tag, value in tag_scalar_dict.items():
            recorder.record_point(f"{main_tag}/{tag}", value, global_step, walltime)

    def add_hparams(hparam_dict: Any, metric_dict: Any, global_step: Any = None, **_others: Any) -> None:
        recorder.record_config(hparam_dict, (), "add_hparams")
        for tag, value in metric_dict.items():
            recorder.record_point(str(tag), value, global_step, None)

    _wrap(writer, "add_scalar", ADD_SCALAR, add_scalar, recorder)
    _wrap(writer, "add_scalars", ADD_SCALARS, add_scalars, recorder)
    _wrap(writer, "add_hparams", ADD_HPARAMS_OF_X if of_x else ADD_HPARAMS, add_hparams, recorder)


def _wrap(
    writer: Any, name: str, names: tuple[str, ...], record: Callable[..., None], recorder: Recorder
) -> None:
    original = getattr(writer, name)

    @wraps(original)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        with recorder.alone("tensorboard") as is_alone:
            result = original(self, *args, **kwargs)
        if is_alone:
            with recorder.guarding(f"tensorboard {name}"):
                given = dict(zip(names, args, strict=False)) | kwargs
                record(**{key: value for key, value in given.items() if key in names})
        return result

    setattr(writer, name, wrapped)
