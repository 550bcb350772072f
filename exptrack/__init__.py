"""exptrack: one SQLite file holds your experiments.

Runs, configs, metrics, tags, notes, events and artifacts go into one file, the archive. Every public name
is listed here, and its file is imported when the name is first used.
"""

import atexit
import sys

import exptrack.fork_imports as _fork_imports

TYPE_CHECKING = False

_fork_imports.register()  # before any other hook of exptrack

__version__ = "0.2.0"

# Each file of the library, and the public names in it.
_NAMES_IN = {
    # The archive: one file. Each function calls the method of the same name on the default archive.
    "archive.archive": "Archive",
    "archive.local": "local_archive",
    "archive.shortcuts": """
        start_run resume_run list_runs find_run show_run best_run diff_runs compare what_changed append_event
        read_events gc_artifacts verify current_trial
    """,
    "archive.records": "ArchiveInfo DeleteReport RecoveryReport SqlResult",
    "portable.snapshot": "BackupReport",
    "portable.pack": "PackReport",
    "portable.unpack": "UnpackReport unpack",
    "portable.archive_diff": "diff_archives ArchiveDiff DifferingRun ArtifactRef",
    "portable.extract": "ExtractReport",
    "portable.merge_records": "MergeReport MergedFile Fork LeftOut",
    "portable.reproduction": "Reproduction",
    "portable.salvage": "salvage",
    "portable.salvage_report": "SalvageReport SalvagedRun",
    "portable.verification": "VerifyReport Problem",
    # A run
    "archive.diagnosis": "diagnose Diagnosis InstalledPackage",
    "database.folder_checks": "FolderCheck",
    "scripts.supervisor": "run_command CommandReport",
    "tracking.run": "Run",
    "tracking.current": "current_run",
    "runs.trial_link": "TrialPruned",
    "tracking.recorded_run": "RecordedRun RecordedArtifact",
    "runs.trash": "TrashedRun",
    "runs.groups": "RunGroup",
    # Its config
    "config.exp_config": "ExpConfig merge_configs",
    "config.reading": "ConfigSection",
    "config.tree": "ConfigValue",
    "config.composition": "load_exp_config load_sdn_config parse_cli_overrides",
    # Its metrics
    "metrics.series": "Series",
    "metrics.buckets": "Buckets",
    "metrics.curves": "Curves",
    "metrics.tail": "Tail Update",
    "metrics.alignment": "Alignment",
    # Its artifacts
    "artifacts.store": "ArtifactStore",
    "artifacts.checkpoints": "Checkpoint CheckpointList",
    "artifacts.lineage": "UsedArtifact",
    "runs.data": "DeclaredData",
    "artifacts.records": "ArtifactFile Lineage RemovalReport RunStorage GcReport",
    "media.thumbnails": "Thumbnail",
    # Querying runs
    "query.run_query": "RunQuery Page Rows",
    "query.many_runs": "ChangeReport",
    "query.completion": "FilterHelp Completion",
    "query.field_summary": "FieldInfo FieldSummary",
    "query.media": "ArtifactGrid ArtifactName",
    "query.run_parts": "RunHead RunConfig MetricPage RunEnvironment",
    "query.run_watch": "RunWatch ChangedRuns",
    "query.run_filter": "RunFilter",
    "query.details": "RunDetail",
    "frames": "Frame",
    "record_lists": "RecordList RecordTuple",
    "query.views": "UserView",
    "query.page_views": "PageView",
    "database.time_limit": "TimeLimit",
    # Comparing runs
    "analysis.run_diff": "RunDiff ConfigDifference MetricDifference",
    "analysis.records": """
        RunComparison RunChanges FactDifference ComparedKey ComparedMetric Group Importance RunsLeftOut
    """,
    # Studies and sweeps: searching over configs
    "sweeps.study": "Study",
    "sweeps.study_config": "StudyConfig",
    "sweeps.trial": "Trial",
    "sweeps.algorithms": "Sampler Pruner",
    "sweeps.results": "StudyResults",
    "sweeps.plan": "SweepPlan Dimension",
    "sweeps.plan_file": "load_sweep",
    "sweeps.records": "StudyInfo TrialRecord SweepTrial SweepReport",
    # Pages for people without exptrack
    "exporters.report": "write_report Report",
    # Records that several of these return or take
    "records": """
        RunSummary RunStatus MetricPoint MetricSummary Note Event Artifact ArtifactUse
        ConfigSource JournalReport TrialState Waiting
    """,
    # Errors
    "errors": """
        ExptrackError
        ArchiveError ArchiveNotFoundError NotAnArchiveError ArchiveTooNewError ArchiveLockedError
        ArchiveReadOnlyError ArchiveFullError ArchiveCorruptError ArchiveClosedError ArchiveMovedError
        ForkUnsafeError
        ArchiveIOError JournalError VerificationError MigrationError UnsupportedSqliteError MissingPackageError
        NotFoundError RunNotFoundError AmbiguousRunError ArtifactNotFoundError AmbiguousHashError
        MetricNotFoundError ConfigNotFoundError StudyNotFoundError GroupNotFoundError
        ConfigKeyError
        ConflictError RunFinishedError RunBusyError RunTrashedError StudyExistsError SweepDiffersError
        ConfigConflictError ExternalIdError GroupExistsError
        InvalidValueError InvalidTypeError ConfigError SdnError QueryError FilterError QueryStoppedError
        UnsafePathError SweepPlanError SweepFileError OwnFileError
        ExportError
    """,
}
_HOME_OF = {name: home for home, names in _NAMES_IN.items() for name in names.split()}

# Subpackages that are public as a whole.
_SUBPACKAGES = ("sdn",)

__all__ = ["__version__", *_HOME_OF, *_SUBPACKAGES]


# ``from exptrack import errors`` inside the library comes here, and pays for a suggestion before Python imports
# the file. So files that a plain run imports say ``import exptrack.errors as errors``.
def __getattr__(name: str) -> "Any":
    if name in _SUBPACKAGES:
        return _load(name)
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(_refuse(name))
    try:
        value = getattr(_load(home), name)
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        from exptrack.errors import MissingPackageError

        raise MissingPackageError("optuna 5 or newer", f"exptrack.{name}", "sweep") from None
    globals()[name] = value
    return value


def _load(module: str) -> object:
    # As importlib.import_module does. Importing `importlib` takes longer than this whole file.
    name = f"exptrack.{module}"
    __import__(name)
    return sys.modules[name]


def _refuse(name: str) -> str:
    """Say that there is no such name, and which one may be meant."""
    if name[:1] == "_":  # asked for by inspect, copy and import
        return f"exptrack has no {name!r}"
    from exptrack.other_trackers import CALLS, find_close

    call = CALLS["exptrack"].get(name)
    close = find_close(name, __all__)
    advice = f"; use {call}" if call else f"; did you mean {close!r}?" if close else ""
    return f"exptrack has no {name!r}{advice}"


def __dir__() -> list[str]:
    return __all__


def _end_in_order() -> None:
    """End the runs that are open, then close the files, where the script has used any.

    Exit hooks run in the order opposite to their registration. So every hook that is registered after
    ``import exptrack`` may still log to the open runs.
    """
    tracking, ending, database, rest = map(
        sys.modules.get,
        (
            "exptrack.tracking.heartbeat",
            "exptrack.tracking.ending",
            "exptrack.database.opened_file",
            "exptrack.database.rest",
        ),
    )
    try:
        if tracking is not None:
            tracking.end_open_runs()
    finally:
        if database is not None:
            database.close_all()
        if rest is not None:
            rest.leave_all()
        if ending is not None:
            ending.repeat_interrupt()


atexit.register(_end_in_order)


# Type checkers follow these imports; at run time __getattr__ does the same.
if TYPE_CHECKING:
    from typing import Any

    from exptrack import sdn as sdn
    from exptrack.analysis.records import ComparedKey as ComparedKey
    from exptrack.analysis.records import ComparedMetric as ComparedMetric
    from exptrack.analysis.records import FactDifference as FactDifference
    from exptrack.analysis.records import Group as Group
    from exptrack.analysis.records import Importance as Importance
    from exptrack.analysis.records import RunChanges as RunChanges
    from exptrack.analysis.records import RunComparison as RunComparison
    from exptrack.analysis.records import RunsLeftOut as RunsLeftOut
    from exptrack.analysis.run_diff import ConfigDifference as ConfigDifference
    from exptrack.analysis.run_diff import MetricDifference as MetricDifference
    from exptrack.analysis.run_diff import RunDiff as RunDiff
    from exptrack.archive.archive import Archive as Archive
    from exptrack.archive.diagnosis import Diagnosis as Diagnosis
    from exptrack.archive.diagnosis import InstalledPackage as InstalledPackage
    from exptrack.archive.diagnosis import diagnose as diagnose
    from exptrack.archive.local import local_archive as local_archive
    from exptrack.archive.records import ArchiveInfo as ArchiveInfo
    from exptrack.archive.records import DeleteReport as DeleteReport
    from exptrack.archive.records import RecoveryReport as RecoveryReport
    from exptrack.archive.records import SqlResult as SqlResult
    from exptrack.archive.shortcuts import append_event as append_event
    from exptrack.archive.shortcuts import best_run as best_run
    from exptrack.archive.shortcuts import compare as compare
    from exptrack.archive.shortcuts import current_trial as current_trial
    from exptrack.archive.shortcuts import diff_runs as diff_runs
    from exptrack.archive.shortcuts import find_run as find_run
    from exptrack.archive.shortcuts import gc_artifacts as gc_artifacts
    from exptrack.archive.shortcuts import list_runs as list_runs
    from exptrack.archive.shortcuts import read_events as read_events
    from exptrack.archive.shortcuts import resume_run as resume_run
    from exptrack.archive.shortcuts import show_run as show_run
    from exptrack.archive.shortcuts import start_run as start_run
    from exptrack.archive.shortcuts import verify as verify
    from exptrack.archive.shortcuts import what_changed as what_changed
    from exptrack.artifacts.checkpoints import Checkpoint as Checkpoint
    from exptrack.artifacts.checkpoints import CheckpointList as CheckpointList
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
    from exptrack.config.reading import ConfigSection as ConfigSection
    from exptrack.config.tree import ConfigValue as ConfigValue
    from exptrack.database.folder_checks import FolderCheck as FolderCheck
    from exptrack.database.time_limit import TimeLimit as TimeLimit
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
    from exptrack.errors import ConfigConflictError as ConfigConflictError
    from exptrack.errors import ConfigError as ConfigError
    from exptrack.errors import ConfigKeyError as ConfigKeyError
    from exptrack.errors import ConfigNotFoundError as ConfigNotFoundError
    from exptrack.errors import ConflictError as ConflictError
    from exptrack.errors import ExportError as ExportError
    from exptrack.errors import ExptrackError as ExptrackError
    from exptrack.errors import ExternalIdError as ExternalIdError
    from exptrack.errors import FilterError as FilterError
    from exptrack.errors import ForkUnsafeError as ForkUnsafeError
    from exptrack.errors import GroupExistsError as GroupExistsError
    from exptrack.errors import GroupNotFoundError as GroupNotFoundError
    from exptrack.errors import InvalidTypeError as InvalidTypeError
    from exptrack.errors import InvalidValueError as InvalidValueError
    from exptrack.errors import JournalError as JournalError
    from exptrack.errors import MetricNotFoundError as MetricNotFoundError
    from exptrack.errors import MigrationError as MigrationError
    from exptrack.errors import MissingPackageError as MissingPackageError
    from exptrack.errors import NotAnArchiveError as NotAnArchiveError
    from exptrack.errors import NotFoundError as NotFoundError
    from exptrack.errors import OwnFileError as OwnFileError
    from exptrack.errors import QueryError as QueryError
    from exptrack.errors import QueryStoppedError as QueryStoppedError
    from exptrack.errors import RunBusyError as RunBusyError
    from exptrack.errors import RunFinishedError as RunFinishedError
    from exptrack.errors import RunNotFoundError as RunNotFoundError
    from exptrack.errors import RunTrashedError as RunTrashedError
    from exptrack.errors import SdnError as SdnError
    from exptrack.errors import StudyExistsError as StudyExistsError
    from exptrack.errors import StudyNotFoundError as StudyNotFoundError
    from exptrack.errors import SweepDiffersError as SweepDiffersError
    from exptrack.errors import SweepFileError as SweepFileError
    from exptrack.errors import SweepPlanError as SweepPlanError
    from exptrack.errors import UnsafePathError as UnsafePathError
    from exptrack.errors import UnsupportedSqliteError as UnsupportedSqliteError
    from exptrack.errors import VerificationError as VerificationError
    from exptrack.exporters.report import Report as Report
    from exptrack.exporters.report import write_report as write_report
    from exptrack.frames import Frame as Frame
    from exptrack.media.thumbnails import Thumbnail as Thumbnail
    from exptrack.metrics.alignment import Alignment as Alignment
    from exptrack.metrics.buckets import Buckets as Buckets
    from exptrack.metrics.curves import Curves as Curves
    from exptrack.metrics.series import Series as Series
    from exptrack.metrics.tail import Tail as Tail
    from exptrack.metrics.tail import Update as Update
    from exptrack.portable.archive_diff import ArchiveDiff as ArchiveDiff
    from exptrack.portable.archive_diff import ArtifactRef as ArtifactRef
    from exptrack.portable.archive_diff import DifferingRun as DifferingRun
    from exptrack.portable.archive_diff import diff_archives as diff_archives
    from exptrack.portable.extract import ExtractReport as ExtractReport
    from exptrack.portable.merge_records import Fork as Fork
    from exptrack.portable.merge_records import LeftOut as LeftOut
    from exptrack.portable.merge_records import MergedFile as MergedFile
    from exptrack.portable.merge_records import MergeReport as MergeReport
    from exptrack.portable.pack import PackReport as PackReport
    from exptrack.portable.reproduction import Reproduction as Reproduction
    from exptrack.portable.salvage import salvage as salvage
    from exptrack.portable.salvage_report import SalvagedRun as SalvagedRun
    from exptrack.portable.salvage_report import SalvageReport as SalvageReport
    from exptrack.portable.snapshot import BackupReport as BackupReport
    from exptrack.portable.unpack import UnpackReport as UnpackReport
    from exptrack.portable.unpack import unpack as unpack
    from exptrack.portable.verification import Problem as Problem
    from exptrack.portable.verification import VerifyReport as VerifyReport
    from exptrack.query.completion import Completion as Completion
    from exptrack.query.completion import FilterHelp as FilterHelp
    from exptrack.query.details import RunDetail as RunDetail
    from exptrack.query.field_summary import FieldInfo as FieldInfo
    from exptrack.query.field_summary import FieldSummary as FieldSummary
    from exptrack.query.many_runs import ChangeReport as ChangeReport
    from exptrack.query.media import ArtifactGrid as ArtifactGrid
    from exptrack.query.media import ArtifactName as ArtifactName
    from exptrack.query.page_views import PageView as PageView
    from exptrack.query.run_filter import RunFilter as RunFilter
    from exptrack.query.run_parts import MetricPage as MetricPage
    from exptrack.query.run_parts import RunConfig as RunConfig
    from exptrack.query.run_parts import RunEnvironment as RunEnvironment
    from exptrack.query.run_parts import RunHead as RunHead
    from exptrack.query.run_query import Page as Page
    from exptrack.query.run_query import Rows as Rows
    from exptrack.query.run_query import RunQuery as RunQuery
    from exptrack.query.run_watch import ChangedRuns as ChangedRuns
    from exptrack.query.run_watch import RunWatch as RunWatch
    from exptrack.query.views import UserView as UserView
    from exptrack.record_lists import RecordList as RecordList
    from exptrack.record_lists import RecordTuple as RecordTuple
    from exptrack.records import Artifact as Artifact
    from exptrack.records import ArtifactUse as ArtifactUse
    from exptrack.records import ConfigSource as ConfigSource
    from exptrack.records import Event as Event
    from exptrack.records import JournalReport as JournalReport
    from exptrack.records import MetricPoint as MetricPoint
    from exptrack.records import MetricSummary as MetricSummary
    from exptrack.records import Note as Note
    from exptrack.records import RunStatus as RunStatus
    from exptrack.records import RunSummary as RunSummary
    from exptrack.records import TrialState as TrialState
    from exptrack.records import Waiting as Waiting
    from exptrack.runs.data import DeclaredData as DeclaredData
    from exptrack.runs.groups import RunGroup as RunGroup
    from exptrack.runs.trash import TrashedRun as TrashedRun
    from exptrack.runs.trial_link import TrialPruned as TrialPruned
    from exptrack.scripts.supervisor import CommandReport as CommandReport
    from exptrack.scripts.supervisor import run_command as run_command
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
    from exptrack.tracking.current import current_run as current_run
    from exptrack.tracking.recorded_run import RecordedArtifact as RecordedArtifact
    from exptrack.tracking.recorded_run import RecordedRun as RecordedRun
    from exptrack.tracking.run import Run as Run
