"""The command ``exptrack``: a thin layer over the public API. A file holds the commands that share a subject.

Begin with `main`: the group, its errors, and the arguments that commands share. `output` prints JSON, CSV and
progress.

Invariants: a command that only reads never creates a file. A user's mistake ends in one sentence on stderr and
the exit code of the error, never in a traceback. ``--json`` prints JSON for programs; without it, people get
tables.
"""

# The help lists commands in the order of these imports.
from exptrack.cli import run as run  # isort: skip
from exptrack.cli import runs as runs  # isort: skip
from exptrack.cli import trash as trash  # isort: skip
from exptrack.cli import metrics as metrics  # isort: skip
from exptrack.cli import watch as watch  # isort: skip
from exptrack.cli import compare as compare  # isort: skip
from exptrack.cli import sweep as sweep  # isort: skip
from exptrack.cli import artifacts as artifacts  # isort: skip
from exptrack.cli import reproduce as reproduce  # isort: skip
from exptrack.cli import config as config  # isort: skip
from exptrack.cli import sql as sql  # isort: skip
from exptrack.cli import archive as archive  # isort: skip
from exptrack.cli import portable as portable  # isort: skip
from exptrack.cli import salvage as salvage  # isort: skip
from exptrack.cli import ui as ui  # isort: skip
from exptrack.cli import tui as tui  # isort: skip
from exptrack.cli import report as report  # isort: skip
from exptrack.cli import demo as demo  # isort: skip
from exptrack.cli import shells as shells  # isort: skip

# From here on `exptrack.cli.main` is the group, not the file of that name.
from exptrack.cli.main import main  # isort: skip

__all__ = ["main"]
