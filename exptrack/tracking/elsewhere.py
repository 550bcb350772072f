"""Read what a caller says of a run that it starts for another process, or that started earlier.

A server that clients log to, and an actor that workers send to, write runs that are not theirs. Such a run has
the facts that they give, and a lease in place of an owner. It lives while writes and beats renew the lease.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from exptrack.capture.code import CodeVersion
from exptrack.capture.environment import Environment
from exptrack.errors import InvalidValueError
from exptrack.plain import short_repr
from exptrack.runs.lease import LEASE, PROCESS
from exptrack.runs.origin import check_start, read_code, read_environment
from exptrack.validation import check_choice, check_number

# The clock of the process that a run is written for may be ahead of ours.
AHEAD = timedelta(days=1)


class Elsewhere(NamedTuple):
    """What is given of a run; None is not given."""

    started_at: datetime | None
    code: CodeVersion | None
    environment: Environment | None
    lease_s: float | None


def read_elsewhere(
    started_at: object, code: object, environment: object, owner: object, lease_s: object
) -> Elsewhere:
    """Check what is given of a run; see :meth:`exptrack.Archive.start_run`."""
    return Elsewhere(
        None if started_at is None else _check_past(started_at),
        None if code is None else read_code(code),
        None if environment is None else read_environment(environment),
        check_lease(owner, lease_s),
    )


def check_lease(owner: object, lease_s: object) -> float | None:
    """Return the length of a lease in seconds, or None if the run belongs to its process."""
    is_lease = check_choice(owner, "owner", (PROCESS, LEASE)) == LEASE
    if not is_lease and lease_s is None:
        return None
    if not is_lease or lease_s is None:
        raise InvalidValueError(
            "owner='lease' and lease_s belong together; lease_s is the number of seconds without a write or a"
            " beat() after which the run counts as dead"
        )
    seconds = check_number(lease_s, "lease_s")
    if not 0 < seconds < math.inf:
        raise InvalidValueError(f"lease_s must be a number of seconds above 0, not {short_repr(lease_s)}")
    return seconds


def _check_past(value: object) -> datetime:
    start = check_start(value)
    if start > datetime.now(UTC) + AHEAD:
        raise InvalidValueError(f"started_at must not lie in the future, as {short_repr(value)} does")
    return start
