"""The command ``exptrack``: a thin face of the public API.

Invariants: reading commands never create a file. A user's mistake ends in one sentence on stderr and the
error's exit code, never in a traceback. ``--json`` prints one JSON document for programs; without
it, people get tables.
"""

from exptrack.cli import runs as runs  # isort: skip  (the order of the help)
from exptrack.cli import asking as asking  # isort: skip
from exptrack.cli import comparing as comparing  # isort: skip
from exptrack.cli import sweeping as sweeping  # isort: skip
from exptrack.cli import studies as studies  # isort: skip
from exptrack.cli import artifacts as artifacts
from exptrack.cli import configs as configs
from exptrack.cli import file as file
from exptrack.cli.command import main as main
