"""The command ``exptrack``: a thin layer over the public API. A file holds the commands that share a subject.

Begin with `main`: the group, its errors, and the arguments that commands share. `output` prints JSON, CSV and
progress.

Invariants: a command that only reads never creates a file. A user's mistake ends in one sentence on stderr and
the exit code of the error, never in a traceback. ``--json`` prints JSON for programs; without it, people get
tables.
"""

from exptrack.cli.main import main

__all__ = ["main"]
