"""Record the flags of absl.

Invariants: flags that absl defines for itself are left out. Values that a script sets later are its own affair.
"""

from __future__ import annotations

from functools import wraps
from types import ModuleType
from typing import Any

from exptrack.scripts.recorder import Recorder


def install(module: ModuleType, recorder: Recorder) -> None:
    """Wrap the call by which a set of flags reads the arguments."""
    values_class: Any = module.__dict__["FlagValues"]
    original = values_class.__call__

    @wraps(original)
    def read(self: Any, argv: Any, known_only: bool = False) -> Any:
        with recorder.alone("absl") as is_alone:
            rest = original(self, argv, known_only)
        if is_alone and recorder.are_own_arguments(list(argv)[1:]):
            with recorder.guarding("absl"):
                recorder.note_rest(list(rest)[1:])
                _record(recorder, self)
        return rest

    values_class.__call__ = read


def _record(recorder: Recorder, flags: Any) -> None:
    own = {
        flag.name: flag
        for module, defined in flags.flags_by_module_dict().items()
        if str(module).partition(".")[0] != "absl"
        for flag in defined
    }
    values = {name: _read(flag.value) for name, flag in own.items()}
    recorder.record_config(values, {name for name, flag in own.items() if flag.using_default_value}, "absl")


def _read(value: Any) -> Any:
    """Return the values of a config that a flag holds, as those of ml_collections do; any other as it is."""
    convert = getattr(value, "to_dict", None)
    return convert() if callable(convert) else value
