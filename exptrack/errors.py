"""Every error exptrack raises, in one hierarchy.

Invariants: each class is one sentence, carries its facts as typed attributes and
has an exit code for the command line. A message names the file or run it is
about and says what to do next. Groups that match a built-in idea also inherit
the built-in (``LookupError``, ``ValueError``, ``TypeError``), so that callers who do not
know exptrack catch what they expect.

    ExptrackError                       1
    ├── ArchiveError (path)             10
    │   ├── ArchiveNotFoundError        11
    │   ├── NotAnArchiveError           12
    │   ├── ArchiveTooNewError          13
    │   ├── ArchiveLockedError          14
    │   ├── ArchiveReadOnlyError        15
    │   ├── ArchiveFullError            16
    │   ├── ArchiveCorruptError         17
    │   ├── ArchiveClosedError          18
    │   ├── ArchiveMovedError           19
    │   ├── MigrationError              20
    │   └── ArchiveIOError              21
    ├── UnsupportedSqliteError          22
    ├── MissingPackageError             24
    ├── NotFoundError (LookupError)     30
    │   ├── RunNotFoundError            31
    │   ├── AmbiguousRunError           32
    │   ├── ArtifactNotFoundError       33
    │   ├── MetricNotFoundError         34
    │   ├── ConfigNotFoundError         35
    │   ├── AmbiguousHashError          36
    │   └── StudyNotFoundError          37
    ├── ConflictError                   40
    │   ├── RunFinishedError            41
    │   ├── RunBusyError                42
    │   ├── StudyExistsError            43
    │   └── SweepDiffersError           44
    ├── InvalidValueError (ValueError)  50
    │   ├── InvalidTypeError (TypeError) 51
    │   ├── ConfigError                 52
    │   ├── SdnError                    53
    │   ├── QueryError                  54
    │   │   └── FilterError             56
    │   ├── UnsafePathError             55
    │   └── SweepPlanError              57
    │       └── SweepFileError          58
    └── ExportError (path)              61
"""

from __future__ import annotations

from collections.abc import Sequence

SHOWN_AROUND = 60


class ExptrackError(Exception):
    """Something exptrack was asked to do could not be done."""

    exit_code = 1


class ArchiveError(ExptrackError):
    """The archive file itself is the trouble."""

    exit_code = 10

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class ArchiveNotFoundError(ArchiveError):
    """There is no archive at the given path."""

    exit_code = 11


class NotAnArchiveError(ArchiveError):
    """The file exists but exptrack did not write it; it was left untouched."""

    exit_code = 12


class ArchiveTooNewError(ArchiveError):
    """The file was written by a newer exptrack and may not be changed by this one."""

    exit_code = 13


class ArchiveLockedError(ArchiveError):
    """Another process held the write lock for longer than we wait."""

    exit_code = 14


class ArchiveReadOnlyError(ArchiveError):
    """The file, its folder or this handle does not permit writing."""

    exit_code = 15


class ArchiveFullError(ArchiveError):
    """The disk (or a size limit) has no room for what should be written."""

    exit_code = 16


class ArchiveCorruptError(ArchiveError):
    """The bytes read back are not the bytes that were written."""

    exit_code = 17


class ArchiveClosedError(ArchiveError):
    """The archive was closed before this call."""

    exit_code = 18


class ArchiveMovedError(ArchiveError):
    """The file was renamed, replaced or deleted while it was open."""

    exit_code = 19


class MigrationError(ArchiveError):
    """A schema migration failed; the file is as it was before."""

    exit_code = 20


class ArchiveIOError(ArchiveError):
    """The operating system refused to read or write the file."""

    exit_code = 21


class UnsupportedSqliteError(ExptrackError):
    """Python's SQLite library is too old for STRICT tables."""

    exit_code = 22


class MissingPackageError(ExptrackError):
    """An optional package that the call needs is not installed."""

    exit_code = 24

    def __init__(self, package: str, purpose: str, extra: str) -> None:
        super().__init__(f"{package} is needed for {purpose}: pip install 'exptrack-archive[{extra}]'")
        self.package = package
        self.extra = extra


class NotFoundError(ExptrackError, LookupError):
    """What was asked for is not in the archive."""

    exit_code = 30


class RunNotFoundError(NotFoundError):
    """No run has this id or begins with it."""

    exit_code = 31

    def __init__(self, run_id: str, path: str) -> None:
        super().__init__(f"no run {run_id!r} in {path}; 'exptrack ls' lists the runs")
        self.run_id = run_id
        self.path = path


class AmbiguousRunError(NotFoundError):
    """Several runs begin with this prefix."""

    exit_code = 32

    def __init__(self, prefix: str, candidates: Sequence[str]) -> None:
        some = ", ".join(candidates[:5]) + (", …" if len(candidates) > 5 else "")
        super().__init__(f"run id {prefix!r} is ambiguous ({some}); give more characters")
        self.prefix = prefix
        self.candidates = tuple(candidates)


class ArtifactNotFoundError(NotFoundError):
    """The run has no artifact (or no such version) under this name."""

    exit_code = 33

    def __init__(self, name: str, run_id: str, version: int | None = None) -> None:
        which = "" if version is None else f" in version {version}"
        who = f"run {run_id} has" if run_id else "there is"
        super().__init__(
            f"{who} no artifact {name!r}{which}; 'exptrack artifacts ls {run_id or 'RUN'}' lists them"
        )
        self.name = name
        self.run_id = run_id
        self.version = version


class MetricNotFoundError(NotFoundError):
    """No run in question has logged this metric."""

    exit_code = 34

    def __init__(self, name: str, where: str, suggestions: Sequence[str] = ()) -> None:
        hint = f"; did you mean {', '.join(map(repr, suggestions))}?" if suggestions else ""
        super().__init__(f"no metric {name!r} in {where}{hint}")
        self.name = name
        self.suggestions = tuple(suggestions)


class AmbiguousHashError(NotFoundError):
    """Several contents begin with this hash."""

    exit_code = 36

    def __init__(self, prefix: str, candidates: Sequence[str]) -> None:
        super().__init__(f"{prefix!r} begins several hashes ({', '.join(candidates[:3])}, …); give more digits")
        self.prefix = prefix
        self.candidates = tuple(candidates)


class ConfigNotFoundError(NotFoundError):
    """There is no config file where one should be."""

    exit_code = 35

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class StudyNotFoundError(NotFoundError):
    """There is no study of this name."""

    exit_code = 37

    def __init__(self, name: str, path: str, suggestions: Sequence[str] = ()) -> None:
        hint = f"; did you mean {', '.join(map(repr, suggestions))}?" if suggestions else ""
        super().__init__(f"no study {name!r} in {path}{hint}")
        self.name = name
        self.path = path
        self.suggestions = tuple(suggestions)


class ConflictError(ExptrackError):
    """The archive's state forbids the call."""

    exit_code = 40


class RunFinishedError(ConflictError):
    """The run has ended and takes no more metrics."""

    exit_code = 41

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(
            f"run {run_id} is {status} already: it takes no more metrics and cannot end twice;"
            f" resume_run({run_id!r}) reopens it"
        )
        self.run_id = run_id
        self.status = status


class RunBusyError(ConflictError):
    """The run is (or may be) still being written by another process."""

    exit_code = 42

    def __init__(self, run_id: str, owner: str) -> None:
        super().__init__(f"run {run_id} is still running {owner}; stop that process first")
        self.run_id = run_id
        self.owner = owner


class StudyExistsError(ConflictError):
    """There is a study of this name already."""

    exit_code = 43

    def __init__(self, name: str, path: str) -> None:
        super().__init__(f"there is a study {name!r} in {path} already; go on with it, or choose another name")
        self.name = name
        self.path = path


class SweepDiffersError(ConflictError):
    """There is another sweep of this name: it searches something else, or otherwise."""

    exit_code = 44

    def __init__(self, name: str, path: str, differing: Sequence[str]) -> None:
        super().__init__(
            f"sweep {name!r} in {path} has another {' and '.join(differing)}; another name (--name NAME) begins"
            " a sweep of its own"
        )
        self.name = name
        self.path = path
        self.differing = tuple(differing)


class InvalidValueError(ExptrackError, ValueError):
    """A value handed in cannot be stored exactly, so nothing was stored."""

    exit_code = 50


class InvalidTypeError(InvalidValueError, TypeError):
    """A value handed in is of a type the call does not take."""

    exit_code = 51


class ConfigError(InvalidValueError):
    """A config holds, or an override asks for, something a config cannot hold."""

    exit_code = 52

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class SdnError(InvalidValueError):
    """A text is not SDN; the message shows the line with a caret."""

    exit_code = 53

    def __init__(self, problem: str, *, line: int, column: int, source: str = "", file: str = "") -> None:
        super().__init__(_at_its_place(problem, line, column, source, file))
        self.problem = problem
        self.line = line
        self.column = column
        self.source = source
        self.file = file


def _at_its_place(problem: str, line: int, column: int, source: str, file: str) -> str:
    # Of a long line only what surrounds the place is shown.
    begin = max(0, column - 1 - SHOWN_AROUND)
    window = source[begin : column - 1 + SHOWN_AROUND]
    shown = f"\n  {window}\n  {' ' * (column - 1 - begin)}^" if source else ""
    return f"{file}{', ' * bool(file)}line {line}, column {column}: {problem}{shown}"


class SweepPlanError(InvalidValueError):
    """A sweep is planned that no search could do; `key` is the part of the plan, or the parameter."""

    exit_code = 57

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class SweepFileError(SweepPlanError):
    """A sweep file plans what no search could do; the message shows the line with a caret."""

    exit_code = 58

    def __init__(
        self, problem: str, *, line: int, column: int, source: str = "", file: str = "", key: str = ""
    ) -> None:
        super().__init__(_at_its_place(problem, line, column, source, file), key=key)
        self.problem = problem
        self.line = line
        self.column = column
        self.source = source
        self.file = file


class QueryError(InvalidValueError):
    """A filter or an SQL statement is wrong, forbidden or takes too long."""

    exit_code = 54


class FilterError(QueryError):
    """A filter cannot be read, or names something that is not there; the message shows where with a caret."""

    exit_code = 56

    def __init__(self, problem: str, text: str, position: int) -> None:
        # Of a long filter only what surrounds the place is shown, and on one line.
        begin = max(0, position - SHOWN_AROUND)
        window = "".join(c if c.isprintable() else " " for c in text[begin : position + SHOWN_AROUND])
        super().__init__(f"{problem}\n  {window}\n  {' ' * (position - begin)}^")
        self.problem = problem
        self.text = text
        self.position = position


class UnsafePathError(InvalidValueError):
    """A stored path could write outside the folder it is restored into, or over another one."""

    exit_code = 55

    def __init__(self, path: str, rule: str) -> None:
        # ascii() shows lone surrogates, controls and look-alikes for what they are.
        shown = ascii(path)
        short = shown if len(shown) <= 2 * SHOWN_AROUND else shown[: 2 * SHOWN_AROUND] + "…"
        super().__init__(f"the path {short} is not restored: {rule}; export it alone under another name")
        self.path = path


class ExportError(ExptrackError):
    """A file or folder outside the archive could not be written."""

    exit_code = 61

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


def warn(message: str) -> None:
    """Log a warning about a failure that no caller can receive as an exception."""
    import logging

    logging.getLogger("exptrack").warning("%s", message)
