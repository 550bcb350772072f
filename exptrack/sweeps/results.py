"""Read the results of a study as tables: trials, history, slices, reports, and the importance of each param.

Invariants: all tables show the one moment at which the study was read. Only completed trials that met all
constraints can be the best. Params keep their types. Only some methods of importance need Optuna.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from exptrack.database.connection import Connection, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.errors import InvalidValueError, MissingPackageError
from exptrack.frames import Column, Frame, Table, infer_column
from exptrack.group_variance import describe_noise, rank_values, rate_groups, warn_of_noise
from exptrack.listed import listed
from exptrack.plain import read_elements, short_repr
from exptrack.records import TrialState
from exptrack.shown import shown
from exptrack.sweeps.algorithms import optuna_module
from exptrack.sweeps.records import StudyInfo, TrialRecord, describe_unseen
from exptrack.sweeps.store import (
    find_study,
    read_infeasible_trials,
    read_trials,
    read_unseen_trials,
    study_info,
)
from exptrack.validation import check_choice, check_name

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from exptrack.markup.elements import Child
    from exptrack.markup.notebook import View

# The last distribution of each param: with max(), SQLite takes the other columns from the row of the maximum.
SPACE_OF = """
SELECT p.name, p.distribution, max(p.trial)
FROM trial_param AS p JOIN trial AS t ON t.id = p.trial WHERE t.study = ? GROUP BY p.name
"""

GROUPS = "groups"
EVALUATORS = {
    "fanova": "FanovaImportanceEvaluator",
    "mdi": "MeanDecreaseImpurityImportanceEvaluator",
    "ped-anova": "PedAnovaImportanceEvaluator",
}
OF_TREES = frozenset({"fanova", "mdi"})  # these need scikit-learn, and draw by chance
SEED = 0
KINDS = {"FloatDistribution": "float", "IntDistribution": "int", "CategoricalDistribution": "choice"}


@shown
class StudyResults:
    """The results of a study at the moment it was read; from :meth:`exptrack.Archive.study_results`.

    Each table is a :class:`Frame`, which converts to dicts, pandas or polars. The column of the only objective
    is ``value``; with several objectives there is a column ``values.METRIC`` for each.

    >>> from exptrack import Archive, Sampler
    >>> archive = Archive(tmp_path / "lab.db")
    >>> study = archive.create_study("parabola", sampler=Sampler.grid({"x": [3, 1, 2]}, seed=1))
    >>> study.optimize(lambda trial: (trial.suggest_int("x", 1, 3) - 2) ** 2)
    >>> results = archive.study_results("parabola")
    >>> results.best.params, results.history()["best_value"][-1]
    ({'x': 2}, 0.0)
    >>> [(row["param"], row["setting"], row["value"]) for row in results.slices() if row["setting"] == 2]
    [('x', 2, 0.0)]
    """

    def __init__(self, connection: Connection, name: object) -> None:
        self._connection = connection
        self._read(name)

    @in_reading
    def _read(self, name: object) -> None:
        connection = self._connection
        with connection.snapshot():
            row = find_study(connection, name)
            self.info: StudyInfo = study_info(connection, row)
            self.trials: tuple[TrialRecord, ...] = tuple(read_trials(connection, row["id"]))
            self.unseen: tuple[int, ...] = tuple(r["number"] for r in read_unseen_trials(connection, row["id"]))
            self.infeasible: frozenset[int] = frozenset(read_infeasible_trials(connection, row["id"]))
            self._space: dict[str, dict[str, Any]] = {
                name: json.loads(distribution)
                for name, distribution, _trial in connection.all(SPACE_OF, (row["id"],))
            }

    def __repr__(self) -> str:
        return f"<StudyResults of {self.info.name!r}: {len(self.trials):,} trials>"

    def _view(self) -> View:
        from exptrack.markup.notebook import MOST_ROWS, View, draw_facts, draw_map, draw_rows, fold, read_row

        info, best, front = self.info, self.best, self.best_trials
        counts = ", ".join(f"{count:,} {state}" for state, count in info.counts.items() if count)
        towards = zip(info.directions, self.metrics, strict=True)
        facts: dict[str, Any] = {"objectives": [" ".join(one) for one in towards], "trials": counts or "none"}
        if best is not None:
            facts |= {"best value": info.best_value, "best trial": best.number}
        newest = [read_row(trial) for trial in self.trials[: -MOST_ROWS - 1 : -1]]
        parts: list[Child] = [draw_facts({**facts, "created_at": info.created_at})]
        if best is not None:
            parts.append(fold("best params", draw_map(best.params, "param")))
        elif front:
            rows = [read_row(trial) for trial in front[:MOST_ROWS]]
            parts.append(fold("Pareto front", draw_rows(rows, len(front), noun="trial")))
        parts.append(fold("trials, the newest first", draw_rows(newest, len(self.trials), noun="trial")))
        return View(f"Study {self.name}", parts)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.info.name

    def describe_unseen(self) -> str:
        """Say which running trials may be dead, if their process cannot be seen from here; "" without any."""
        return describe_unseen(self.name, self.unseen) if self.unseen else ""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The name of each objective."""
        if len(self.info.metrics) == 1:
            return (self.info.metrics[0] or "objective",)
        return tuple(name or f"objective_{place}" for place, name in enumerate(self.info.metrics))

    @property
    def params(self) -> list[str]:
        """The names of all params, in the order in which trials first used them."""
        return list(dict.fromkeys(name for trial in self.trials for name in trial.params))

    @property
    def best(self) -> TrialRecord | None:
        """The best trial; None if there is none yet, or several objectives (see `best_trials`)."""
        return next((trial for trial in self.trials if trial.number == self.info.best_number), None)

    @property
    @listed
    @decoding_rows
    def best_trials(self) -> list[TrialRecord]:
        """The best trial; with several objectives, the Pareto front.

        A trial is on the front if no other trial is as good in all objectives and better in one.
        """
        if len(self.info.directions) == 1:
            return [] if self.best is None else [self.best]
        signs = [1 if direction == "minimize" else -1 for direction in self.info.directions]
        scored = sorted(
            (tuple(sign * value for sign, value in zip(signs, trial.values, strict=True)), trial.number)
            for trial in self._feasible()
        )
        # No later trial in this order beats an earlier one, so each is compared to the front so far only.
        front: dict[int, tuple[float, ...]] = {}
        for values, number in scored:
            if not any(_beats(other, values) for other in front.values()):
                front[number] = values
        return [trial for trial in self.trials if trial.number in front]

    def check_param(self, name: str) -> str:
        """Return `name` if it is the name of a param.

        Raises:
            InvalidValueError: no trial has such a param.
        """
        name = check_name(name, "param name")
        if name not in self.params:
            known = ", ".join(self.params) or "none"
            raise InvalidValueError(f"study {self.name!r} has no param {short_repr(name)}; it has {known}")
        return name

    def _feasible(self) -> Iterator[TrialRecord]:
        return (
            trial
            for trial in self.trials
            if trial.state == TrialState.COMPLETE and trial.number not in self.infeasible
        )

    # Tables

    @decoding_rows
    def frame(self) -> Frame:
        """Return a row for each trial: its facts, its values and a column ``params.NAME`` for each param.

        These are the parallel coordinates. `last_step` is the last step that was reported; `is_best` marks the
        best trial or the Pareto front. A param that a trial did not use is missing.
        """
        best = {trial.number for trial in self.best_trials}
        table = self._fact_columns()
        table |= self._value_columns(self.trials)
        table["is_best"] = Column("bool", [trial.number in best for trial in self.trials])
        table |= self._time_columns()
        table["duration_s"] = Column("float", [trial.duration_s for trial in self.trials])
        table["last_step"] = Column("int", [max(trial.reports, default=None) for trial in self.trials])
        table["run_id"] = Column("text", [trial.run_id for trial in self.trials])
        table["reason"] = Column("text", [trial.reason for trial in self.trials])
        for name in self.params:
            table[f"params.{name}"] = infer_column([trial.params.get(name) for trial in self.trials])
        return Frame(table)

    @decoding_rows
    def history(self) -> Frame:
        """Return a row for each trial, by number: how the search went.

        With one objective, `best_value` is the best value of the completed trials so far that met all
        constraints; it is missing before the first of them. `feasible` is false for a trial that broke one.
        """
        table = self._fact_columns()
        table |= self._value_columns(self.trials)
        if len(self.info.directions) == 1:
            better = min if self.info.directions[0] == "minimize" else max
            counted = {trial.number: trial.values[0] for trial in self._feasible()}
            best: float | None = None
            so_far = []
            for trial in self.trials:
                value = counted.get(trial.number)
                if value is not None:
                    best = value if best is None else better(best, value)
                so_far.append(best)
            table["best_value"] = Column("float", so_far)
        table["feasible"] = Column("bool", [trial.number not in self.infeasible for trial in self.trials])
        return Frame(table | self._time_columns())

    def slices(self, params: Iterable[str] | None = None) -> Frame:
        """Return a row for each param of each trial, or for each of these params.

        `setting` is the param's value as the objective saw it.

        Raises:
            InvalidValueError: no trial has such a param.
        """
        chosen = self.params
        if params is not None:
            chosen = [self.check_param(name) for name in read_elements(params, "params", like="['lr']")]
        pairs = [(trial, name) for trial in self.trials for name in trial.params if name in chosen]
        trials = [trial for trial, _name in pairs]
        table = {
            "number": Column("int", [trial.number for trial in trials]),
            "state": Column("text", [str(trial.state) for trial in trials]),
            "param": Column("text", [name for _trial, name in pairs]),
            "setting": infer_column([trial.params[name] for trial, name in pairs]),
        }
        return Frame(table | self._value_columns(trials))

    @decoding_rows
    def reports(self) -> Frame:
        """Return a row for each reported value (number, state, step, value): all learning curves."""
        points = [(trial, step) for trial in self.trials for step in trial.reports]
        return Frame(
            {
                "number": Column("int", [trial.number for trial, _step in points]),
                "state": Column("text", [str(trial.state) for trial, _step in points]),
                "step": Column("int", [step for _trial, step in points]),
                "value": Column("float", [trial.reports[step] for trial, step in points]),
            }
        )

    @decoding_rows
    def space(self) -> Frame:
        """Return a row for each param: the range or choices that its values were last drawn from.

        `kind` is float, int or choice; a choice has only `choices`.
        """
        distributions = [self._space[name] for name in self.params]
        facts = [distribution["attributes"] for distribution in distributions]
        return Frame(
            {
                "param": Column("text", self.params),
                "kind": Column("text", [KINDS[distribution["name"]] for distribution in distributions]),
                "low": Column("float", [fact.get("low") for fact in facts]),
                "high": Column("float", [fact.get("high") for fact in facts]),
                "step": Column("float", [fact.get("step") for fact in facts]),
                "log": Column("bool", [bool(fact.get("log")) for fact in facts]),
                "choices": Column("list", [fact.get("choices") for fact in facts]),
            }
        )

    def _fact_columns(self) -> Table:
        return {
            "number": Column("int", [trial.number for trial in self.trials]),
            "state": Column("text", [str(trial.state) for trial in self.trials]),
        }

    def _value_columns(self, trials: Sequence[TrialRecord]) -> Table:
        if len(self.metrics) == 1:
            return {"value": Column("float", [trial.value for trial in trials])}
        return {
            f"values.{metric}": Column(
                "float", [trial.values[place] if place < len(trial.values) else None for trial in trials]
            )
            for place, metric in enumerate(self.metrics)
        }

    def _time_columns(self) -> Table:
        return {
            "started_at": Column("time", [trial.started_at for trial in self.trials]),
            "ended_at": Column("time", [trial.ended_at for trial in self.trials]),
        }

    # Importance of the params

    def importances(self, method: str | None = None, *, metric: str | None = None) -> Frame:
        """Compute how much each param matters for the objective, the largest first; column `method` names how.

        The completed trials with finite values count. The usual method is ``"groups"``, as in
        :meth:`Archive.importance`: the share, 0 to 1, of the variance of the objective's ranks that lies
        between groups of values of the param. A param of chance scores about 0, and nothing needs Optuna.

        Optuna evaluates the trials by three other methods, as shares that add up to 1:

        - ``"ped-anova"``: how the best tenth of the trials differs from the rest. It is fast, and accepts
          params that only some trials have.
        - ``"fanova"``: the share of the variance that a random forest assigns to the param. It takes four times
          as long for twice the trials; 400 trials take some 20 seconds.
        - ``"mdi"``: the mean decrease in impurity of a random forest.

        The forests have a fixed seed. With several objectives `metric` names one of them. Without it ped-anova
        is the usual method, and tells which params lead to the Pareto front. `trials` counts the evaluated
        trials that had the param, and `values` its different values among them. A warning is logged where
        fewer than 20 trials count, or more were pruned or failed than count.

        Raises:
            InvalidValueError: there are fewer than two of these trials, all have the same value, no param
                varies, or the method or metric is unknown.
            MissingPackageError: Optuna is not installed, or scikit-learn, which fanova and mdi need.
        """
        metric = None if metric is None else check_name(metric, "metric")
        if method is None:
            method = GROUPS if metric is not None or len(self.metrics) == 1 else "ped-anova"
        method = check_choice(method, "method", (GROUPS, *EVALUATORS))
        place = self._choose_objective(metric, method)
        of_trial: Callable[[Any], Sequence[float]] = (
            (lambda trial: trial.values) if place is None else (lambda trial: (trial.values[place],))
        )
        counted = [
            trial
            for trial in self.trials
            if trial.state == TrialState.COMPLETE and all(map(math.isfinite, of_trial(trial)))
        ]
        if len(counted) < 2:
            raise InvalidValueError(
                f"importances need two completed trials with finite values, and study {self.name!r}"
                f" has {len(counted)}; run more trials"
            )
        if len({tuple(of_trial(trial)) for trial in counted}) == 1:
            raise InvalidValueError(
                f"all completed trials of study {self.name!r} have the same value, so no param matters for it"
            )
        settings = {name: [t.params[name] for t in counted if name in t.params] for name in self.params}
        different = {name: len(set(map(repr, used))) for name, used in settings.items()}
        if max(different.values(), default=0) < 2:
            raise InvalidValueError(f"no param varies over the completed trials of study {self.name!r}")
        over = [t for t in self.trials if t.state in (TrialState.PRUNED, TrialState.FAIL)]
        warn_of_noise(
            f"importance of the params of study {self.name!r}",
            describe_noise(len(counted), len(over), "trials"),
        )
        if method == GROUPS:
            shares = self._rate_groups(counted, [float(of_trial(trial)[0]) for trial in counted])
        else:
            shares = self._evaluate(method, place)
        if not shares:
            raise InvalidValueError(
                f"{method} needs params that all trials have, and study {self.name!r} has none; use ped-anova"
            )
        return Frame(
            {
                "param": Column("text", list(shares)),
                "importance": Column("float", [float(share) for share in shares.values()]),
                "method": Column("text", [method] * len(shares)),
                "trials": Column("int", [len(settings[name]) for name in shares]),
                "values": Column("int", [different[name] for name in shares]),
            }
        )

    def _choose_objective(self, metric: str | None, method: str) -> int | None:
        """Return the position of the objective that is meant; None for all of them together."""
        if metric is None:
            if len(self.metrics) == 1:
                return 0
            if method == "ped-anova":
                return None
        if metric not in self.metrics:
            problem = "has several objectives" if metric is None else f"has no objective {short_repr(metric)}"
            raise InvalidValueError(
                f"study {self.name!r} {problem}; metric is one of {', '.join(self.metrics)}"
            )
        return self.metrics.index(metric)

    def _rate_groups(self, counted: Sequence[TrialRecord], values: Sequence[float]) -> dict[str, float]:
        """Rate each param by groups of its values, the largest share first."""
        ranks = dict(enumerate(rank_values(values)))
        shares: dict[str, float] = {}
        for name in self.params:
            used = [trial.params.get(name) for trial in counted]
            are_numbers = {type(one) for one in used} - {type(None)} <= {int, float}
            held = dict(enumerate(used if are_numbers else map(repr, used)))
            shares[name] = rate_groups(ranks, held, are_numbers=are_numbers) or 0.0
        return dict(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0])))

    def _evaluate(self, method: str, place: int | None) -> dict[str, float]:
        """Let Optuna evaluate one objective, or all together; return the shares, the largest first."""
        importance, optuna = optuna_module("optuna.importance"), optuna_module("optuna")
        from exptrack.sweeps.optuna_storage import OptunaStorage

        target: Callable[[FrozenTrial], float] | None = None
        if place is not None and len(self.metrics) > 1:
            # ped-anova takes small targets as good, so values to maximize are negated.
            sign = -1.0 if method == "ped-anova" and self.info.directions[place] == "maximize" else 1.0

            def target(trial: FrozenTrial) -> float:
                return sign * float(trial.values[place])

        with warnings.catch_warnings():
            # Optuna warns that it takes small targets as good; `target` has negated where that is wrong.
            warnings.simplefilter("ignore", UserWarning)
            study = optuna.load_study(study_name=self.name, storage=OptunaStorage(self._connection))
            try:
                evaluator = getattr(importance, EVALUATORS[method])(
                    **({"seed": SEED} if method in OF_TREES else {})
                )
            except ImportError:
                raise MissingPackageError(
                    "scikit-learn", f"importances by {method} (ped-anova needs none)", "importance"
                ) from None
            found: dict[str, float] = importance.get_param_importances(
                study, evaluator=evaluator, target=target
            )
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def _beats(values: tuple[float, ...], others: tuple[float, ...]) -> bool:
    """Return whether values are nowhere worse and somewhere better than others; smaller is better."""
    return values != others and all(a <= b for a, b in zip(values, others, strict=True))
