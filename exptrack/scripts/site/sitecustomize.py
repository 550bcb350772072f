"""Set the hooks in a Python that a command of ``exptrack run`` starts; Python imports this file as it begins.

Invariants: the ``sitecustomize`` that this file hides is executed first, under its own name. A Python that has
no exptrack, or another one, begins as if this file were not there.
"""

import os
import sys
from importlib import util
from importlib.machinery import PathFinder


def _execute_hidden() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    spec = PathFinder.find_spec("sitecustomize", [one for one in sys.path if os.path.abspath(one) != here])
    if spec is not None and spec.loader is not None:
        sys.modules["sitecustomize"] = module = util.module_from_spec(spec)
        spec.loader.exec_module(module)


_execute_hidden()
if "EXPTRACK_INSTRUCTIONS" in os.environ and "EXPTRACK_CLAIM" in os.environ:
    try:
        from exptrack.scripts.command_child import begin
    except ImportError:  # the environment of this Python is another one; the output tells what it did
        pass
    else:
        begin()
