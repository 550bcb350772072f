"""Become a script: Python is started with this file, and the script and its arguments as arguments.

Invariant: no file beside this one can be imported by its name alone, and exptrack is found where this file is.
"""

import os
import sys


def begin() -> None:
    """Import the rest, and let it become the script."""
    folder = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0]) == folder:
        del sys.path[0]
    try:
        import exptrack  # noqa: F401
    except ImportError:  # it was found in a folder of the supervisor's own sys.path
        sys.path.append(os.path.dirname(os.path.dirname(folder)))
    from exptrack.scripts.script_child import become_script

    become_script()


if __name__ == "__main__":
    begin()
