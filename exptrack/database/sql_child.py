"""Run one SELECT with long values in a process of its own; ``guarded_sql`` starts it.

Invariants: this process only reads. SQLite takes at most 512 MiB of memory here. The system ends the process
soon after the time of the statement, also if its parent is gone; Windows cannot.
"""

from __future__ import annotations

import marshal
import signal
import sqlite3
import sys
import time
from contextlib import closing
from typing import Any

from exptrack.database.failures import SQLITE_FAILURE
from exptrack.database.guarded_sql import GRACE_S, MAX_VALUE_BYTES, Limits, select
from exptrack.errors import QueryError, QueryStoppedError

HEAP_BYTES = 512 * 1024 * 1024
BUSY_WAIT_S = 5.0


def answer(order: tuple[Any, ...]) -> None:
    """Run the statement of `order`; write its rows, or why it failed, to standard output."""
    uri, sql, parameters, max_rows, timeout_s, rest_s = order
    if hasattr(signal, "setitimer"):
        # No handler is set, so the signal ends the process.
        signal.setitimer(signal.ITIMER_REAL, max(rest_s, 0) + 2 * GRACE_S)
    limits = Limits(max_rows, timeout_s, time.monotonic() + rest_s, MAX_VALUE_BYTES)
    found: Any
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_WAIT_S, isolation_level=None)) as raw:
            for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "query_only = ON"):
                raw.execute(f"PRAGMA {pragma}")
            raw.execute(f"PRAGMA hard_heap_limit = {HEAP_BYTES}")
            found = "rows", select(raw, sql, parameters, limits)
    except QueryStoppedError as error:
        found = "stopped", str(error)
    except QueryError as error:
        found = "refused", str(error)
    except SQLITE_FAILURE as error:
        found = "failed", (getattr(error, "sqlite_errorcode", 0), str(error))
    sys.stdout.buffer.write(marshal.dumps(found))
