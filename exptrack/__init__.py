"""exptrack: one SQLite file holds your experiments.

Runs, configs, metrics, tags, notes, events and artifacts go into one file, the archive. Every public name
is listed here and imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:  # type checkers follow these; at run time __getattr__ does
    from exptrack import sdn as sdn
    from exptrack.analysis.records import ComparedKey as ComparedKey
    from exptrack.analysis.records import ComparedMetric as ComparedMetric
    from exptrack.analysis.records import ConfigDifference as ConfigDifference
    from exptrack.analysis.records import FactDifference as FactDifference
    from exptrack.analysis.records import Group as Group
    from exptrack.analysis.records import Importance as Importance
    from exptrack.analysis.records import MetricDifference as MetricDifference
    from exptrack.analysis.records import RunChanges as RunChanges
    from exptrack.analysis.records import RunComparison as RunComparison
    from exptrack.analysis.records import RunDiff as RunDiff
    from exptrack.archive.archive import Archive as Archive
    from exptrack.archive.records import ArchiveInfo as ArchiveInfo
    from exptrack.archive.records import DeleteReport as DeleteReport
    from exptrack.archive.records import SqlResult as SqlResult
    from exptrack.archive.shortcuts import append_event as append_event
    from exptrack.archive.shortcuts import best_run as best_run
    from exptrack.archive.shortcuts import compare as compare
    from exptrack.archive.shortcuts import current_trial as current_trial
    from exptrack.archive.shortcuts import diff_runs as diff_runs
    from exptrack.archive.shortcuts import gc_artifacts as gc_artifacts
    from exptrack.archive.shortcuts import list_runs as list_runs
    from exptrack.archive.shortcuts import read_events as read_events
    from exptrack.archive.shortcuts import resume_run as resume_run
    from exptrack.archive.shortcuts import show_run as show_run
    from exptrack.archive.shortcuts import start_run as start_run
    from exptrack.archive.shortcuts import verify as verify
    from exptrack.archive.shortcuts import what_changed as what_changed
    from exptrack.artifacts.lineage import UsedArtifact as UsedArtifact
    from exptrack.artifacts.records import ArtifactFile as ArtifactFile
    from exptrack.artifacts.records import GcReport as GcReport
    from exptrack.artifacts.records import Lineage as Lineage
    from exptrack.artifacts.records import RemovalReport as RemovalReport
    from exptrack.artifacts.records import RunStorage as RunStorage
    from exptrack.artifacts.store import ArtifactStore as ArtifactStore
    from exptrack.config.composition import load_exp_config as load_exp_config
    from exptrack.config.composition import load_sdn_config as load_sdn_config
    from exptrack.config.composition import parse_cli_overrides as parse_cli_overrides
    from exptrack.config.exp_config import ExpConfig as ExpConfig
    from exptrack.config.exp_config import merge_configs as merge_configs
    from exptrack.config.tree import ConfigValue as ConfigValue
    from exptrack.errors import AmbiguousHashError as AmbiguousHashError
    from exptrack.errors import AmbiguousRunError as AmbiguousRunError
    from exptrack.errors import ArchiveClosedError as ArchiveClosedError
    from exptrack.errors import ArchiveCorruptError as ArchiveCorruptError
    from exptrack.errors import ArchiveError as ArchiveError
    from exptrack.errors import ArchiveFullError as ArchiveFullError
    from exptrack.errors import ArchiveIOError as ArchiveIOError
    from exptrack.errors import ArchiveLockedError as ArchiveLockedError
    from exptrack.errors import ArchiveMovedError as ArchiveMovedError
    from exptrack.errors import ArchiveNotFoundError as ArchiveNotFoundError
    from exptrack.errors import ArchiveReadOnlyError as ArchiveReadOnlyError
    from exptrack.errors import ArchiveTooNewError as ArchiveTooNewError
    from exptrack.errors import ArtifactNotFoundError as ArtifactNotFoundError
    from exptrack.errors import ConfigError as ConfigError
    from exptrack.errors import ConfigNotFoundError as ConfigNotFoundError
    from exptrack.errors import ConflictError as ConflictError
    from exptrack.errors import ExportError as ExportError
    from exptrack.errors import ExptrackError as ExptrackError
    from exptrack.errors import FilterError as FilterError
    from exptrack.errors import InvalidTypeError as InvalidTypeError
    from exptrack.errors import InvalidValueError as InvalidValueError
    from exptrack.errors import MetricNotFoundError as MetricNotFoundError
    from exptrack.errors import MigrationError as MigrationError
    from exptrack.errors import MissingPackageError as MissingPackageError
    from exptrack.errors import NotAnArchiveError as NotAnArchiveError
    from exptrack.errors import NotFoundError as NotFoundError
    from exptrack.errors import QueryError as QueryError
    from exptrack.errors import RunBusyError as RunBusyError
    from exptrack.errors import RunFinishedError as RunFinishedError
    from exptrack.errors import RunNotFoundError as RunNotFoundError
    from exptrack.errors import SdnError as SdnError
    from exptrack.errors import StudyExistsError as StudyExistsError
    from exptrack.errors import StudyNotFoundError as StudyNotFoundError
    from exptrack.errors import SweepDiffersError as SweepDiffersError
    from exptrack.errors import SweepFileError as SweepFileError
    from exptrack.errors import SweepPlanError as SweepPlanError
    from exptrack.errors import UnsafePathError as UnsafePathError
    from exptrack.errors import UnsupportedSqliteError as UnsupportedSqliteError
    from exptrack.metrics.alignment import Alignment as Alignment
    from exptrack.metrics.series import Buckets as Buckets
    from exptrack.metrics.series import Series as Series
    from exptrack.metrics.tail import Tail as Tail
    from exptrack.metrics.tail import Update as Update
    from exptrack.portable.verification import Problem as Problem
    from exptrack.portable.verification import VerifyReport as VerifyReport
    from exptrack.query.details import RunDetail as RunDetail
    from exptrack.query.frames import Frame as Frame
    from exptrack.query.run_filter import RunFilter as RunFilter
    from exptrack.query.run_query import Page as Page
    from exptrack.query.run_query import RunQuery as RunQuery
    from exptrack.query.views import UserView as UserView
    from exptrack.records import Artifact as Artifact
    from exptrack.records import ArtifactUse as ArtifactUse
    from exptrack.records import ConfigSource as ConfigSource
    from exptrack.records import Event as Event
    from exptrack.records import MetricPoint as MetricPoint
    from exptrack.records import MetricSummary as MetricSummary
    from exptrack.records import Note as Note
    from exptrack.records import RecordedRun as RecordedRun
    from exptrack.records import RunStatus as RunStatus
    from exptrack.records import RunSummary as RunSummary
    from exptrack.records import TrialState as TrialState
    from exptrack.runs.trial_link import TrialPruned as TrialPruned
    from exptrack.sweeps.algorithms import Pruner as Pruner
    from exptrack.sweeps.algorithms import Sampler as Sampler
    from exptrack.sweeps.plan import Dimension as Dimension
    from exptrack.sweeps.plan import SweepPlan as SweepPlan
    from exptrack.sweeps.plan_file import load_sweep as load_sweep
    from exptrack.sweeps.records import StudyInfo as StudyInfo
    from exptrack.sweeps.records import SweepReport as SweepReport
    from exptrack.sweeps.records import SweepTrial as SweepTrial
    from exptrack.sweeps.records import TrialRecord as TrialRecord
    from exptrack.sweeps.results import StudyResults as StudyResults
    from exptrack.sweeps.study import Study as Study
    from exptrack.sweeps.study_config import StudyConfig as StudyConfig
    from exptrack.sweeps.trial import Trial as Trial
    from exptrack.tracking.run import Run as Run

# Where each public name lives.
_HOME_OF = {
    "Alignment": "metrics.alignment",
    "AmbiguousHashError": "errors",
    "AmbiguousRunError": "errors",
    "Archive": "archive.archive",
    "ArchiveClosedError": "errors",
    "ArchiveCorruptError": "errors",
    "ArchiveError": "errors",
    "ArchiveFullError": "errors",
    "ArchiveIOError": "errors",
    "ArchiveInfo": "archive.records",
    "ArchiveLockedError": "errors",
    "ArchiveMovedError": "errors",
    "ArchiveNotFoundError": "errors",
    "ArchiveReadOnlyError": "errors",
    "ArchiveTooNewError": "errors",
    "Artifact": "records",
    "ArtifactFile": "artifacts.records",
    "ArtifactNotFoundError": "errors",
    "ArtifactStore": "artifacts.store",
    "ArtifactUse": "records",
    "Buckets": "metrics.series",
    "ComparedKey": "analysis.records",
    "ComparedMetric": "analysis.records",
    "ConfigDifference": "analysis.records",
    "ConfigError": "errors",
    "ConfigNotFoundError": "errors",
    "ConfigSource": "records",
    "ConfigValue": "config.tree",
    "ConflictError": "errors",
    "DeleteReport": "archive.records",
    "Dimension": "sweeps.plan",
    "Event": "records",
    "ExpConfig": "config.exp_config",
    "ExportError": "errors",
    "ExptrackError": "errors",
    "FactDifference": "analysis.records",
    "FilterError": "errors",
    "Frame": "query.frames",
    "GcReport": "artifacts.records",
    "Group": "analysis.records",
    "Importance": "analysis.records",
    "InvalidTypeError": "errors",
    "InvalidValueError": "errors",
    "Lineage": "artifacts.records",
    "MetricDifference": "analysis.records",
    "MetricNotFoundError": "errors",
    "MetricPoint": "records",
    "MetricSummary": "records",
    "MigrationError": "errors",
    "MissingPackageError": "errors",
    "NotAnArchiveError": "errors",
    "NotFoundError": "errors",
    "Note": "records",
    "Page": "query.run_query",
    "Problem": "portable.verification",
    "Pruner": "sweeps.algorithms",
    "QueryError": "errors",
    "RecordedRun": "records",
    "RemovalReport": "artifacts.records",
    "Run": "tracking.run",
    "RunBusyError": "errors",
    "RunChanges": "analysis.records",
    "RunComparison": "analysis.records",
    "RunDetail": "query.details",
    "RunDiff": "analysis.records",
    "RunFilter": "query.run_filter",
    "RunFinishedError": "errors",
    "RunNotFoundError": "errors",
    "RunQuery": "query.run_query",
    "RunStatus": "records",
    "RunStorage": "artifacts.records",
    "RunSummary": "records",
    "Sampler": "sweeps.algorithms",
    "SdnError": "errors",
    "Series": "metrics.series",
    "SqlResult": "archive.records",
    "Study": "sweeps.study",
    "StudyConfig": "sweeps.study_config",
    "StudyExistsError": "errors",
    "StudyInfo": "sweeps.records",
    "StudyNotFoundError": "errors",
    "StudyResults": "sweeps.results",
    "SweepDiffersError": "errors",
    "SweepFileError": "errors",
    "SweepPlan": "sweeps.plan",
    "SweepPlanError": "errors",
    "SweepReport": "sweeps.records",
    "SweepTrial": "sweeps.records",
    "Tail": "metrics.tail",
    "Trial": "sweeps.trial",
    "TrialPruned": "runs.trial_link",
    "TrialRecord": "sweeps.records",
    "TrialState": "records",
    "UnsafePathError": "errors",
    "UnsupportedSqliteError": "errors",
    "Update": "metrics.tail",
    "UsedArtifact": "artifacts.lineage",
    "UserView": "query.views",
    "VerifyReport": "portable.verification",
    "append_event": "archive.shortcuts",
    "best_run": "archive.shortcuts",
    "compare": "archive.shortcuts",
    "current_trial": "archive.shortcuts",
    "diff_runs": "archive.shortcuts",
    "gc_artifacts": "archive.shortcuts",
    "list_runs": "archive.shortcuts",
    "load_exp_config": "config.composition",
    "load_sdn_config": "config.composition",
    "load_sweep": "sweeps.plan_file",
    "merge_configs": "config.exp_config",
    "parse_cli_overrides": "config.composition",
    "read_events": "archive.shortcuts",
    "resume_run": "archive.shortcuts",
    "show_run": "archive.shortcuts",
    "start_run": "archive.shortcuts",
    "verify": "archive.shortcuts",
    "what_changed": "archive.shortcuts",
}

# Modules that are public as a whole.
_MODULES = ("sdn",)

__all__ = ["__version__", *_HOME_OF, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"exptrack.{name}")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"exptrack has no {name!r}")
    try:
        value = getattr(import_module(f"exptrack.{home}"), name)
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        from exptrack.errors import MissingPackageError

        raise MissingPackageError("optuna 5 or newer", f"exptrack.{name}", "sweep") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
