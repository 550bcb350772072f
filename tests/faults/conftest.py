"""Leave out the tests whose tool this machine lacks; the summary names them (see ``conftest.py`` above)."""

from __future__ import annotations

from tests.faults.tools import tests_that_do_not_apply

collect_ignore = list(tests_that_do_not_apply())
