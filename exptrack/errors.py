"""Every error that exptrack raises, in one hierarchy.

Invariants: the docstring of a class is one sentence that states its condition. A class carries its facts as
typed attributes and has an exit code for the command line. A message names the file or run, says what is wrong
and then what to do. Classes that match a built-in exception (``LookupError``, ``ValueError``, ``TypeError``)
inherit from it too, so that code which does not know exptrack can catch them.

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
    │   ├── ArchiveIOError              21
    │   ├── ForkUnsafeError             25
    │   ├── JournalError                26
    │   └── VerificationError           27
    ├── UnsupportedSqliteError          22
    ├── MissingPackageError             24
    ├── NotFoundError (LookupError)     30
    │   ├── RunNotFoundError            31
    │   ├── AmbiguousRunError           32
    │   ├── ArtifactNotFoundError       33
    │   ├── MetricNotFoundError         34
    │   ├── ConfigNotFoundError         35
    │   ├── AmbiguousHashError          36
    │   ├── StudyNotFoundError          37
    │   ├── GroupNotFoundError          38
    │   └── ConfigKeyError (KeyError)   39
    ├── ConflictError                   40
    │   ├── RunFinishedError            41
    │   ├── RunBusyError                42
    │   ├── StudyExistsError            43
    │   ├── SweepDiffersError           44
    │   ├── ConfigConflictError         45
    │   ├── ExternalIdError             46
    │   ├── RunTrashedError             47
    │   └── GroupExistsError            48
    ├── InvalidValueError (ValueError)  50
    │   ├── InvalidTypeError (TypeError) 51
    │   ├── ConfigError                 52
    │   ├── SdnError                    53
    │   ├── QueryError                  54
    │   │   ├── FilterError             56
    │   │   └── QueryStoppedError       62
    │   ├── UnsafePathError             55
    │   ├── OwnFileError                59
    │   └── SweepPlanError              57
    │       └── SweepFileError          58
    └── ExportError (path)              61
"""

from __future__ import annotations

from collections.abc import Sequence

from exptrack.known_secrets import mask_secrets

SHOWN_AROUND = 60  # characters shown on each side of an error's place in a text
MOST_CANDIDATES, SHOWN_CANDIDATES = 20, 10  # runs that are sought for an ambiguous name, and listed


class ExptrackError(Exception):
    """The base of every error that exptrack raises."""

    exit_code = 1

    def __init__(self, *args: object) -> None:
        # A message quotes what the caller gave, and is printed.
        super().__init__(*(mask_secrets(one) if isinstance(one, str) else one for one in args))

    def __reduce__(self) -> tuple[object, ...]:
        # Python would call the class with the message alone. A Pool hangs on an error that it cannot unpickle.
        return _rebuild, (type(self), self.args), self.__dict__


class ArchiveError(ExptrackError):
    """The archive file cannot be used; `path` names it."""

    exit_code = 10

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class ArchiveNotFoundError(ArchiveError):
    """There is no archive at the given path."""

    exit_code = 11


class NotAnArchiveError(ArchiveError):
    """Another program wrote the file; exptrack left it untouched."""

    exit_code = 12


class ArchiveTooNewError(ArchiveError):
    """A newer exptrack wrote the file; this version can read it, but not change it."""

    exit_code = 13


class ArchiveLockedError(ArchiveError):
    """Another process held the write lock for too long, or this thread holds it in an interrupted call."""

    exit_code = 14


class ArchiveReadOnlyError(ArchiveError):
    """The file, its folder or this handle cannot be written."""

    exit_code = 15


class ArchiveFullError(ArchiveError):
    """The disk is full, or a limit on its use is reached."""

    exit_code = 16


class ArchiveCorruptError(ArchiveError):
    """The bytes in the file are not the bytes that were written."""

    exit_code = 17


class ArchiveClosedError(ArchiveError):
    """The archive was closed before this call."""

    exit_code = 18


class ArchiveMovedError(ArchiveError):
    """The file was renamed, replaced or deleted while it was open, or it is open by another name."""

    exit_code = 19


class ForkUnsafeError(ArchiveError):
    """This process was forked while its parent used SQLite, or by C code, so it cannot use SQLite."""

    exit_code = 25


class JournalError(ArchiveError):
    """The points of a journal that was named cannot be stored; `path` names the journal."""

    exit_code = 26


class VerificationError(ArchiveError):
    """An archive was not packed or unpacked, as what it holds is not what was stored or sealed."""

    exit_code = 27

    def __init__(self, path: str, problems: Sequence[str]) -> None:
        first = f"{problems[0]}{f' (and {len(problems) - 1:,} more)' * (len(problems) > 1)}"
        super().__init__(f"{path} is damaged: {first}; run 'exptrack verify' to see all of it", path=path)
        self.problems = tuple(problems)


class MigrationError(ArchiveError):
    """A migration of the schema failed; the file is unchanged."""

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
        super().__init__(f"{package} is needed for {purpose}; run: pip install 'exptrack-archive[{extra}]'")
        self.package = package
        self.extra = extra


class NotFoundError(ExptrackError, LookupError):
    """The archive does not hold what the caller asked for."""

    exit_code = 30


class RunNotFoundError(NotFoundError):
    """No run has this id or name, and no id begins or ends with it; or no run has this external id."""

    exit_code = 31

    def __init__(
        self, run_id: str, path: str, suggestions: Sequence[str] = (), *, is_external: bool = False
    ) -> None:
        words = "with the external id " if is_external else ""
        close = ", ".join(map(repr, suggestions))
        hint = f"did you mean {close}?" if suggestions else "'exptrack ls' lists the runs"
        super().__init__(f"there is no run {words}{run_id!r} in {path}; {hint}")
        self.run_id = run_id
        self.path = path
        self.suggestions = tuple(suggestions)


class AmbiguousRunError(NotFoundError):
    """Several runs have this name, or their ids begin or end with this text.

    `candidates` are the ids of up to 21 of them. The message lists ten with their start (UTC) and name.
    """

    exit_code = 32

    def __init__(
        self, prefix: str, candidates: Sequence[str], lines: Sequence[str] = (), *, is_name: bool = False
    ) -> None:
        count = len(candidates)
        number = f"more than {count - 1}" if count > MOST_CANDIDATES else str(count)
        what, way = ("run name", "give one of these ids") if is_name else ("run id", "give more characters")
        shown = [f"\n  {line}" for line in (lines or candidates)[:SHOWN_CANDIDATES]]
        left = f"\n  and {'' if count > MOST_CANDIDATES else f'{count - len(shown)} '}more"
        listed = "".join(shown) + left * (count > len(shown))
        super().__init__(f"{what} {prefix!r} is ambiguous ({number} runs); {way}:{listed}")
        self.prefix = prefix
        self.candidates = tuple(candidates)


class ArtifactNotFoundError(NotFoundError):
    """The run has no artifact of this name, or not this version of it."""

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
    """None of the runs has logged this metric."""

    exit_code = 34

    def __init__(self, name: str, where: str, suggestions: Sequence[str] = ()) -> None:
        hint = f"did you mean {', '.join(map(repr, suggestions))}?" if suggestions else "check the name"
        super().__init__(f"there is no metric {name!r} in {where}; {hint}")
        self.name = name
        self.suggestions = tuple(suggestions)


class AmbiguousHashError(NotFoundError):
    """Several hashes begin with this prefix."""

    exit_code = 36

    def __init__(self, prefix: str, candidates: Sequence[str]) -> None:
        some = ", ".join(candidates[:3]) + (", …" if len(candidates) > 3 else "")
        super().__init__(f"hash {prefix!r} is ambiguous ({some}); give more digits")
        self.prefix = prefix
        self.candidates = tuple(candidates)


class ConfigNotFoundError(NotFoundError):
    """There is no config file at the given path."""

    exit_code = 35

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class StudyNotFoundError(NotFoundError):
    """There is no study of this name."""

    exit_code = 37

    def __init__(self, name: str, path: str, suggestions: Sequence[str] = ()) -> None:
        close = ", ".join(map(repr, suggestions))
        hint = f"did you mean {close}?" if suggestions else "'exptrack sweep ls' lists the studies"
        super().__init__(f"there is no study {name!r} in {path}; {hint}")
        self.name = name
        self.path = path
        self.suggestions = tuple(suggestions)


class GroupNotFoundError(NotFoundError):
    """There is no group of this name, or it is in the trash."""

    exit_code = 38

    def __init__(self, name: str, path: str, *, in_trash: bool = False) -> None:
        problem = (
            f"group {name!r} of {path} is in the trash" if in_trash else f"there is no group {name!r} in {path}"
        )
        advice = f"restore_group({name!r}) takes it out" if in_trash else "list_groups() lists the groups"
        super().__init__(f"{problem}; {advice}")
        self.name = name
        self.path = path


class ConfigKeyError(NotFoundError, KeyError):
    """A config has no value at this path; `key` is the path."""

    exit_code = 39
    __str__ = Exception.__str__  # KeyError would show the message in quotes

    def __init__(self, message: str, *, key: str) -> None:
        super().__init__(message)
        self.key = key


class ConflictError(ExptrackError):
    """The call contradicts the state of the archive."""

    exit_code = 40


class RunFinishedError(ConflictError):
    """The run has ended, so it takes no more metrics."""

    exit_code = 41

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(
            f"run {run_id} is already {status}, so it takes no more metrics and cannot be ended again;"
            f" resume_run({run_id!r}) reopens it"
        )
        self.run_id = run_id
        self.status = status


class RunBusyError(ConflictError):
    """Another process still writes the run, or may still write it."""

    exit_code = 42

    def __init__(self, run_id: str, owner: str, advice: str = "stop that process first") -> None:
        super().__init__(f"run {run_id} is still running {owner}; {advice}")
        self.run_id = run_id
        self.owner = owner


class StudyExistsError(ConflictError):
    """A study of this name already exists."""

    exit_code = 43

    def __init__(self, name: str, path: str) -> None:
        super().__init__(
            f"study {name!r} already exists in {path}; open it with archive.study({name!r}), or choose"
            " another name"
        )
        self.name = name
        self.path = path


class SweepDiffersError(ConflictError):
    """A sweep of this name has other settings or another command; `differing` names them.

    `changes` says in lines what they were and are. With `may_continue` the sweep may go on with the new ones.
    """

    exit_code = 44

    def __init__(
        self, name: str, path: str, differing: Sequence[str], changes: Sequence[str], may_continue: bool
    ) -> None:
        words = f"sweep {name!r} in {path} has another {' and '.join(differing)}; choose another name"
        advice = ", or continue with the new one by --yes or accept_changes=True" if may_continue else ""
        super().__init__("\n  ".join([f"{words} (--name NAME) to begin a new sweep{advice}", *changes]))
        self.name, self.path, self.may_continue = name, path, may_continue
        self.differing, self.changes = tuple(differing), tuple(changes)


class ConfigConflictError(ConflictError):
    """A run's config has another value under a key; nothing was stored. `old` is stored, `new` was given."""

    exit_code = 45

    def __init__(self, message: str, *, key: str, old: object, new: object) -> None:
        super().__init__(message)
        self.key = key
        self.old = old
        self.new = new


class ExternalIdError(ConflictError):
    """Another run of the archive, `run_id`, has this external id already."""

    exit_code = 46

    def __init__(self, external_id: str, run_id: str) -> None:
        super().__init__(
            f"run {run_id} already has the external id {external_id!r}; resume that run with"
            f" resume_run({run_id!r}), or give another external id"
        )
        self.external_id = external_id
        self.run_id = run_id


class RunTrashedError(ConflictError):
    """The run is in the trash, so it takes no changes until it is restored."""

    exit_code = 47

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"run {run_id} is in the trash and takes no changes; archive.restore_run({run_id!r}) or"
            f" 'exptrack restore {run_id}' takes it out"
        )
        self.run_id = run_id


class GroupExistsError(ConflictError):
    """A group of this name already exists."""

    exit_code = 48

    def __init__(self, name: str, path: str) -> None:
        super().__init__(f"group {name!r} already exists in {path}; choose another name")
        self.name = name
        self.path = path


class InvalidValueError(ExptrackError, ValueError):
    """A value is invalid or cannot be stored exactly; nothing was stored."""

    exit_code = 50


class InvalidTypeError(InvalidValueError, TypeError):
    """A value has a type that the call does not take."""

    exit_code = 51


class ConfigError(InvalidValueError):
    """A config or an override contains a value that a config cannot hold; `key` is its path."""

    exit_code = 52

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class SdnError(InvalidValueError):
    """A text is not valid SDN; the message shows the line with a caret."""

    exit_code = 53

    def __init__(self, problem: str, *, line: int, column: int, source: str = "", file: str = "") -> None:
        super().__init__(_show_place(problem, line, column, source, file))
        self.problem = problem
        self.line = line
        self.column = column
        self.source = source
        self.file = file


class SweepPlanError(InvalidValueError):
    """The plan of a sweep is invalid; `key` names the part of the plan, or the parameter."""

    exit_code = 57

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class SweepFileError(SweepPlanError):
    """The plan in a sweep file is invalid; the message shows the line with a caret."""

    exit_code = 58

    def __init__(
        self, problem: str, *, line: int, column: int, source: str = "", file: str = "", key: str = ""
    ) -> None:
        super().__init__(_show_place(problem, line, column, source, file), key=key)
        self.problem = problem
        self.line = line
        self.column = column
        self.source = source
        self.file = file


class QueryError(InvalidValueError):
    """A filter or an SQL statement is invalid, forbidden or too slow."""

    exit_code = 54


class QueryStoppedError(QueryError):
    """A reading was stopped: its time was up, or another thread stopped it."""

    exit_code = 62


class FilterError(QueryError):
    """A filter cannot be parsed or names an unknown field; the message shows the place with a caret."""

    exit_code = 56

    def __init__(self, problem: str, text: str, position: int) -> None:
        # Only the text around the place is shown, as one line.
        begin = max(0, position - SHOWN_AROUND)
        window = "".join(c if c.isprintable() else " " for c in text[begin : position + SHOWN_AROUND])
        super().__init__(f"{problem}\n  {window}\n  {' ' * (position - begin)}^")
        self.problem = problem
        self.text = text
        self.position = position


class UnsafePathError(InvalidValueError):
    """A stored path would leave the folder it is restored to, or overwrite another path."""

    exit_code = 55

    def __init__(
        self,
        path: str,
        rule: str,
        *,
        problem: str = "cannot be restored",
        advice: str = "export it alone under another name",
    ) -> None:
        # ascii() makes lone surrogates, control characters and look-alikes visible.
        text = ascii(path)
        short = text if len(text) <= 2 * SHOWN_AROUND else text[: 2 * SHOWN_AROUND] + "…"
        super().__init__(f"the path {short} {problem}: {rule}; {advice}")
        self.path = path
        self.rule = rule


class OwnFileError(InvalidValueError):
    """A path leads to a file of an archive that this process has open; `archive` is the archive's path."""

    exit_code = 59

    def __init__(self, path: str, archive: str, *, writing: bool = False) -> None:
        advice = "make a copy with backup() or 'exptrack snapshot', and use that"
        super().__init__(
            f"{path!r} belongs to the archive {archive}, which is open here;"
            f" {'choose another name to write to' if writing else advice}"
        )
        self.path = path
        self.archive = archive


class ExportError(ExptrackError):
    """A file or folder outside the archive could not be written."""

    exit_code = 61

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


def _rebuild(kind: type[ExptrackError], args: tuple[object, ...]) -> ExptrackError:
    """Make an unpickled error, of which the pickle restores the attributes."""
    return kind.__new__(kind, *args)


def _show_place(problem: str, line: int, column: int, source: str, file: str) -> str:
    """Write a problem with its place, and the source line with a caret below the column."""
    begin = max(0, column - 1 - SHOWN_AROUND)
    window = source[begin : column - 1 + SHOWN_AROUND]
    caret = f"\n  {window}\n  {' ' * (column - 1 - begin)}^" if source else ""
    return f"{file}{', ' * bool(file)}line {line}, column {column}: {problem}{caret}"


def warn(message: str) -> None:
    """Log a warning about a failure that no caller can receive as an exception."""
    import logging

    logging.getLogger("exptrack").warning("%s", mask_secrets(message))
