"""Let the config of a run grow after its start.

Invariants:

- New values are merged with the config in the file, inside the transaction that stores them. So calls of many
  threads and processes lose nothing of each other.
- A key that has a value already changes only if the caller allows it.
- The config's hash, its family and the run's fingerprint follow in the same transaction. So does the seal of a
  run that has ended.
"""

from __future__ import annotations

from exptrack.config.exp_config import ExpConfig
from exptrack.config.store import read_exp_config
from exptrack.database.connection import Connection, in_section
from exptrack.errors import RunFinishedError, RunNotFoundError, RunTrashedError
from exptrack.fixed_attributes import FixedAttributes
from exptrack.records import RunStatus
from exptrack.runs.events import record_event
from exptrack.runs.lease import renew_lease
from exptrack.runs.seal import save_run_checksum
from exptrack.runs.store import replace_config
from exptrack.validation import check_flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from exptrack.config.growth import Addition

STATE = "SELECT status, deleted_at FROM run WHERE id = ?"

CONFIG_EVENT = "config"


class GrowingConfig(FixedAttributes):
    """The part of a run that adds to its config."""

    _connection: Connection
    _run: int
    run_id: str
    config: ExpConfig

    def update_config(self, values: object, *, allow_change: bool = False, source: str | None = None) -> None:
        """Add values to the config of the run, also after its end. Commits.

        `values` is anything that ``start_run`` takes as a config. Maps merge; everything else replaces. A key
        with a dot is one key: give nested maps to reach into a map. A key that has the same value already is
        left as it is. Where it has another value, nothing is stored, unless `allow_change` is true.

        `source` says what set the values: ``"default"``, ``"override"`` or ``"code"``. Without it, a config or
        model tells of each value, and a plain mapping is code. Secrets are hidden as at the start.

        The config's hash, its family and the run's fingerprint follow, and so does ``run.config`` of this
        handle. An event ``config`` names the keys that are added, and those changed with the value before.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive, archive.start_run({"lr": 0.1}) as run:
        ...     run.update_config({"epochs": 20, "model": {"depth": 18}})
        ...     run.update_config({"lr": 0.2}, allow_change=True)
        ...     run.config.values
        {'lr': 0.2, 'epochs': 20, 'model': {'depth': 18}}

        Raises:
            ConfigConflictError: a key has another value; the error names it, and both values.
            ConfigError: a config cannot hold one of the values.
            InvalidValueError: there is no such source.
        """
        # Most runs never grow, and do not pay for importing how.
        from exptrack.config.growth import read_addition

        addition = read_addition(values, source)
        self._grow(addition, allow_change=check_flag(allow_change, "allow_change"))

    def _take_config(self, config: ExpConfig, before: ExpConfig) -> None:
        """Store what a search has added to a config since it was `before`. Commits.

        Only for the trial of the run. The trial records the param, so there is no event.
        """
        from exptrack.config.growth import read_suggestion

        self._grow(read_suggestion(config.interpolate(), before), allow_change=True, suggested=True)

    @in_section
    def _grow(self, addition: Addition, *, allow_change: bool, suggested: bool = False) -> None:
        from exptrack.config.growth import follow, grow

        connection, run = self._connection, self._run
        with connection.transaction():
            row = connection.one(STATE, (run,))
            if row is None:
                raise RunNotFoundError(self.run_id, connection.file)
            if row["deleted_at"] is not None:
                raise RunTrashedError(self.run_id)
            status = row["status"]
            if suggested and status != RunStatus.RUNNING:
                raise RunFinishedError(self.run_id, status)
            renew_lease(connection, run)
            growth = grow(read_exp_config(connection, run), addition, allow_change=allow_change)
            if growth.added or growth.changed:
                replace_config(connection, run, growth.config)
                if not suggested:
                    facts = {"added": growth.added, "changed": growth.changed}
                    record_event(connection, run, CONFIG_EVENT, facts | {"config_hash": growth.config.hash()})
                if status != RunStatus.RUNNING:
                    save_run_checksum(connection, run)
        if growth.config != self.config:
            self._set_fixed(config=follow(growth.config, addition, self.config))
