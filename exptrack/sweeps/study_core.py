"""One study as the files of this subpackage use it; :class:`exptrack.Study` shows users a part of it.

Invariants: a core stands for one row, not for a name. After its study was deleted it raises
StudyNotFoundError, even if another study has the name. There are never more trials than `max_trials`, however
many processes search; a trial that repeats an earlier one does not count.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from exptrack.capture.redaction import require_no_secret
from exptrack.config.encoding import decode_config
from exptrack.config.exp_config import ExpConfig, merge_configs
from exptrack.database.connection import Connection, Row, in_section
from exptrack.database.damage import telling_damage
from exptrack.errors import InvalidValueError, StudyExistsError, StudyNotFoundError
from exptrack.keypath import path_of, split_path
from exptrack.records import ConfigSource
from exptrack.runs.row_sums import (
    changing_objectives,
    changing_study,
    changing_study_attribute,
    changing_trial,
)
from exptrack.sweeps.algorithms import Pruner, Sampler, restore_pruner, restore_sampler
from exptrack.sweeps.optuna_bridge import LimitedStorage, StudyFull, find_hidden_error
from exptrack.sweeps.optuna_storage import OptunaStorage
from exptrack.sweeps.store import NOTE_FAILURE, find_study, study_info
from exptrack.sweeps.study_config import StudyConfig, default_metrics
from exptrack.sweeps.verdict import Verdict, last_report
from exptrack.validation import check_name

SAVE_SETTINGS = "UPDATE study SET settings = ? WHERE id = ?"
SAVE_METRIC = "UPDATE study_objective SET metric = ? WHERE study = ? AND position = ?"
PARAM_NAMES = "SELECT name FROM trial_param WHERE trial = ?"
SESSIONS = "exptrack:sessions"
TAKE_SESSION = """
INSERT INTO study_attribute (study, scope, name, value) VALUES (?, 'system', 'exptrack:sessions', '1')
ON CONFLICT (study, scope, name) DO UPDATE SET value = CAST(value AS INTEGER) + 1
"""
COUNT_SESSIONS = """
SELECT CAST(value AS INTEGER) FROM study_attribute
WHERE study = ? AND scope = 'system' AND name = 'exptrack:sessions'
"""


class StudyCore:
    """A study's row, settings and storage, and Optuna's study over them."""

    def __init__(self, connection: Connection, row: Row, sampler: object = None, pruner: object = None) -> None:
        info = study_info(connection, row)
        self.connection = connection
        self.row: int = row["id"]
        self.name: str = row["name"]
        self.directions = info.directions
        # Studies that Optuna made have neither names for their objectives nor settings.
        names = zip(info.metrics, default_metrics(len(info.metrics)), strict=True)
        self.metrics = tuple(name or default for name, default in names)
        self.settings = info.settings
        self._given = (sampler, pruner)
        with telling_damage(connection):
            self.storage = LimitedStorage(connection, self.settings.get("max_trials"))
            origin = self.settings.get("base_origin", {"files": [], "sources": {}})
            self._base = decode_config({"values": self.settings.get("base") or {}, **origin})
        self._optuna: optuna.Study | None = None
        self._opening = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.connection, self.name, self.row, *self._given)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    @classmethod
    def create(cls, connection: Connection, config: StudyConfig) -> Self:
        """Make a study and open it; see :meth:`exptrack.Study.create`. Commits."""
        name = check_name(config.name, "study name")
        require_no_secret(name, "the study name")
        settings, metrics = config.settings(), config.metrics
        # Built before the study is, so that options which Optuna refuses leave no study behind.
        config.chosen_sampler.build()
        config.chosen_pruner.build()
        directions = [optuna.study.StudyDirection[direction.upper()] for direction in config.directions]
        try:
            _store_study(connection, name, directions, settings, metrics)
        except optuna.exceptions.DuplicatedStudyError:
            raise StudyExistsError(name, str(connection.path)) from None
        return cls.open(connection, name, sampler=config.sampler, pruner=config.pruner)

    @classmethod
    def open(
        cls, connection: Connection, name: object, *, sampler: object = None, pruner: object = None
    ) -> Self:
        """Open a study by its name; see :meth:`exptrack.Archive.study`."""
        return cls(connection, find_study(connection, name), sampler, pruner)

    def require_present(self) -> None:
        """Check that the study was not deleted, nor replaced by another one of its name.

        Raises:
            StudyNotFoundError: the study was deleted or replaced.
        """
        if find_study(self.connection, self.name)["id"] != self.row:
            raise StudyNotFoundError(self.name, str(self.connection.path))

    @in_section
    def remember(self, /, **facts: Any) -> None:
        """Add these facts to the study's settings. Commits."""
        with self.connection.transaction():
            self.settings = {
                **study_info(self.connection, find_study(self.connection, self.name)).settings,
                **facts,
            }
            with changing_study(self.connection, self.row):
                self.connection.execute(SAVE_SETTINGS, (json.dumps(self.settings), self.row))
        self.storage.max_trials = self.settings.get("max_trials")

    @property
    def optuna_study(self) -> optuna.Study:
        """Optuna's study, opened at the first use; see :attr:`exptrack.Study.optuna_study`."""
        with self._opening:
            if self._optuna is None:
                self._optuna = optuna.load_study(
                    study_name=self.name,
                    storage=self.storage,
                    sampler=self._choose_sampler().build(self._take_session()),
                    pruner=self._choose_pruner().build(),
                )
            return self._optuna

    def require_sampler(self) -> None:
        """Open Optuna's study now: inside a section, it would wait for another thread that opens it."""
        _ = self.optuna_study

    def _choose_sampler(self) -> Sampler:
        given = self._given[0]
        return restore_sampler(self.settings.get("sampler"), self.name) if given is None else Sampler.of(given)

    def _choose_pruner(self) -> Pruner:
        given = self._given[1]
        return restore_pruner(self.settings.get("pruner"), self.name) if given is None else Pruner.of(given)

    @in_section
    def _take_session(self) -> int:
        if self.connection.mode != "rw":
            return 0
        with self.connection.transaction():
            with changing_study_attribute(self.connection, self.row, "system", SESSIONS):
                self.connection.execute(TAKE_SESSION, (self.row,))
            return int(self.connection.value(COUNT_SESSIONS, (self.row,))) - 1

    def begin_trial(self) -> optuna.Trial | None:
        """Begin a trial; return None if the study has as many as it may have. Commits."""
        try:
            with self.translate_errors():
                return self.optuna_study.ask()
        except StudyFull:
            return None

    @in_section
    def end_trial(self, trial: int, verdict: Verdict) -> None:
        """End a trial, by its row id, without telling the sampler. Commits.

        Raises:
            RuntimeError: the trial has ended.
        """
        with self.connection.transaction():
            if verdict.reason is not None:
                self.note_failure(trial, verdict.reason)
                self.storage.set_trial_state_values(trial, OptunaState.FAIL)
            elif verdict.pruned:
                reported = last_report(self.connection, trial)
                self.storage.set_trial_state_values(trial, OptunaState.PRUNED, reported or None)
            elif verdict.value is not None:
                self.storage.set_trial_state_values(trial, OptunaState.COMPLETE, [verdict.value])

    @in_section
    def note_failure(self, trial: int, reason: str) -> None:
        """Store why a trial, by its row id, fails, if it is running. Commits."""
        with self.connection.transaction(), changing_trial(self.connection, trial):
            self.connection.execute(NOTE_FAILURE, (reason, trial))

    def frozen_trials(self) -> list[FrozenTrial]:
        """Return all trials by number, as Optuna describes them. Never change them: they are shared."""
        return self.storage.get_all_trials(self.row, deepcopy=False)

    def is_unbegun(self, trial: int) -> bool:
        """Whether a trial of a sweep, by its row id, lacks params that its command would get.

        A search of every combination could not go on beside a failed trial that lacks params.
        """
        space = {drawn["param"] for drawn in self.settings.get("sweep", {}).get("space", ())}
        return not space <= {row[0] for row in self.connection.all(PARAM_NAMES, (trial,))}

    def config_for(self, params: Mapping[str, Any]) -> ExpConfig:
        """Lay params over the study's base config.

        Raises:
            InvalidValueError: the key of one param lies below that of another.
        """
        tree: dict[str, Any] = {}
        for name, value in params.items():
            level = tree
            *above, last = split_path(name)
            for part in above:
                level = level.setdefault(part, {})
                if not isinstance(level, dict):
                    raise InvalidValueError(
                        f"param {name!r} of study {self.name!r} is inside another param; rename one of them"
                    )
            if isinstance(level.get(last), dict):
                raise InvalidValueError(
                    f"param {name!r} of study {self.name!r} contains another param; rename one of them"
                )
            level[last] = value
        source = ConfigSource("trial", self.name)
        sources = {path_of(split_path(name)): source for name in params}
        return merge_configs(self._base, ExpConfig(tree, sources=sources))

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Raise exptrack's error where Optuna's hides it: an ended trial, a deleted study, a failed archive."""
        try:
            yield
        except optuna.exceptions.UpdateFinishedTrialError as error:
            raise InvalidValueError(f"study {self.name!r}: {error}") from None
        except (KeyError, UnboundLocalError, AssertionError) as error:
            cause = find_hidden_error(error)
            if cause is not None:
                raise cause from None
            if not isinstance(error, AssertionError):
                self.require_present()
            raise


def _unpickle(connection: Connection, name: str, row: int, sampler: object, pruner: object) -> StudyCore:
    core = StudyCore.open(connection, name, sampler=sampler, pruner=pruner)
    if core.row != row:
        raise StudyNotFoundError(name, str(connection.path))
    given = None if sampler is None else Sampler.of(sampler).given
    if given is not None:
        given.reseed_rng()  # otherwise its copies in several processes would all suggest the same
    return core


@in_section
def _store_study(
    connection: Connection,
    name: str,
    directions: Sequence[optuna.study.StudyDirection],
    settings: Mapping[str, Any],
    metrics: Sequence[str | None],
) -> None:
    with connection.transaction():
        row = OptunaStorage(connection).create_new_study(directions, name)
        with changing_study(connection, row):
            connection.execute(SAVE_SETTINGS, (json.dumps(settings), row))
        with changing_objectives(connection, row):
            for position, metric in enumerate(metrics):
                connection.execute(SAVE_METRIC, (metric, row, position))
