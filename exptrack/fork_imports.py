"""Let no import be under way at a fork.

A thread that imports a module holds the lock of that module. A forked child has a copy of the lock, but not the
thread. If the child then needs the module, it waits for ever. Many calls of exptrack import at their first use
what only they need, so one thread may do that while another forks. Therefore a fork waits for imports of
exptrack, of the standard library, and of libraries that exptrack imports late.

It does not wait for other modules: a script may fork in one thread while its import in another waits for that
thread.
"""

import os
import sys

OWN = "exptrack"
LATE_LIBRARIES = (
    "PIL cmaes dulwich numpy omegaconf optuna pandas plotille polars psutil pyarrow pydantic pyfastcdc pynvml"
    " rich sklearn sqlite_utils tabulate yaml zstandard"
)
_AWAITED = frozenset((OWN, *LATE_LIBRARIES.split())) | sys.stdlib_module_names


def _under_way() -> set[str]:
    """Return the names of the modules that some thread imports, and perhaps of others."""
    import importlib  # takes longer than this whole file

    locks = getattr(getattr(importlib, "_bootstrap", None), "_module_locks", None)
    return set(sys.modules if locks is None else locks)


def await_imports() -> None:
    """Wait until no other thread imports a module that exptrack may need."""
    import importlib

    seen: set[str] = set()
    while names := _under_way() - seen:
        seen |= names
        for name in names:
            if name.partition(".")[0] in _AWAITED:
                try:
                    importlib.import_module(name)
                except Exception:  # raised in the thread that imports it, too
                    continue


def register() -> None:
    """Wait so before each fork from now on.

    Of the hooks before a fork, the one that was registered first runs last.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=await_imports)
