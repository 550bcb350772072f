"""Read the name of a metric in both ways in which it is written: by itself, or as a field of a filter.

Invariant: the whole name of a metric always means that metric, also if it looks like a field.
"""

from __future__ import annotations

from exptrack.database.connection import Connection
from exptrack.errors import FilterError, InvalidValueError
from exptrack.query.name_ids import find_metric
from exptrack.validation import check_name


def read_metric_name(connection: Connection, metric: object, statistic: str) -> tuple[int, str]:
    """Return the row id of a metric, and the statistic that counts.

    `metric` is written like ``loss``, ``loss.min``, ``metrics.loss`` or ``metrics.loss.min``. If it says no
    statistic, `statistic` counts.

    Raises:
        MetricNotFoundError: no run has logged it; the error suggests similar names.
        InvalidValueError: it says another statistic than `statistic`.
    """
    name = check_name(metric, "metric")
    found = find_metric(connection, name)
    if found is not None:
        return found, statistic
    from exptrack.query.names import get_metric
    from exptrack.query.parser import parse_field

    meant = name
    for text in (name, f"metrics.{name}"):
        try:
            field = parse_field(text)
        except FilterError:
            continue
        if field.kind != "metric":
            continue
        meant = field.name if meant == name else meant
        found = find_metric(connection, field.name)
        if found is None:
            continue
        if field.statistic != "last" and statistic not in ("last", field.statistic):
            raise InvalidValueError(
                f"{name!r} means the {field.statistic} of the metric, but {statistic} was asked for; give one"
            )
        return found, statistic if field.statistic == "last" else field.statistic
    return get_metric(connection, meant), statistic
