"""The archive as a file to be handed on: its digest, other archives merged into it, itself sealed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from exptrack.database.connection import Connection
from exptrack.errors import ArchiveReadOnlyError, InvalidValueError
from exptrack.metrics.writer import drain_all
from exptrack.plain import read_elements, read_names, read_path
from exptrack.runs.lookup import resolve_run
from exptrack.tracking import recovery
from exptrack.validation import check_flag, check_function, check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from exptrack.portable.extract import ExtractReport
    from exptrack.portable.merge_records import MergeReport
    from exptrack.portable.pack import PackReport
    from exptrack.portable.reproduction import Reproduction
    from exptrack.query.run_query import RunQuery


class ArchivePortable:
    """The calls of an archive that deal with other files."""

    _connection: Connection
    _writable: bool
    _settle: Callable[[], None]
    runs: Callable[[], RunQuery]

    def digest(self) -> str:
        """Return the SHA-256 (hex) of the archive's content, whatever its row ids are.

        Two archives have the same digest exactly if they hold the same runs, groups and studies: facts,
        configs, metrics, tags, notes, events, attributes and artifacts. It is computed from the seals of the
        runs, which :meth:`verify` proves. Views that users made do not count.
        """
        from exptrack.portable.digest import digest_content

        self._settle()
        return digest_content(self._connection)

    def merge(
        self,
        *sources: str | os.PathLike[str],
        dry_run: bool = False,
        remove: bool = False,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> MergeReport:
        """Take the runs, groups and studies of other archives into this one. Commits, power-safe.

        Runs are known by their ids and studies by their uids, so a file may be merged again at any time: it
        brings what is new in it, and changes nothing if nothing is new. The order of files does not matter.

        - A run that went on in another file is brought up to date.
        - A run that went on differently in two files becomes two: the second is a *fork* with an id of its own
          and an event ``fork`` that names the run.
        - Tags, notes, names, attributes and artifacts that were added in any file come together. If two files
          have different values of an attribute, the newer one counts. What one file has removed is removed.
        - Runs that were deleted here come back from a file that has them.

        The other files are not written, may be in use, and need not be trusted: each is read from a private
        copy, and nothing is stored before its checksums are proved. What is damaged is left out and reported.
        A folder stands for the archives in it. In a spool (see :func:`exptrack.local_archive`) these are also
        the files that processes of this machine have on its local disk. A file in a folder that cannot be read
        is left out and reported. With `remove`, the files of spools are removed once everything in them is here
        and synced; first, those that dead processes of this machine left are brought to rest.

        With `dry_run`, only the report is made, for each file as if it alone were merged. `progress` is called
        with the file, how many of its runs are done, and how many there are. A merge that is killed leaves
        whole runs; merging again takes the rest.

        Raises:
            ArchiveNotFoundError: one of the files does not exist.
            NotAnArchiveError: one of them is no archive.
            ArchiveTooNewError: a newer exptrack wrote it.
            ArchiveCorruptError: it is damaged as a whole; :func:`exptrack.salvage` gets the sound rest.
            ArchiveReadOnlyError: this archive was opened for reading.
            ArchiveFullError: there is no room for what is new, or for the private copy.
            ArchiveLockedError: another process held the write lock for over 30 s.
        """
        from exptrack.portable.merge import merge_archives

        paths = [read_path(one, "source") for one in sources]
        is_dry = check_flag(dry_run, "dry_run")
        removes = check_flag(remove, "remove")
        tell = check_function(progress, "progress") or (lambda _file, _done, _total: None)
        if not is_dry and not self._writable:
            raise ArchiveReadOnlyError(
                f"{self._connection.place} was opened for reading only; open it with mode 'rw', or give"
                " dry_run=True",
                path=str(self._connection.place),
            )
        self._settle()
        return merge_archives(self._connection, paths, dry_run=is_dry, remove=removes, tell=tell)

    def extract(
        self,
        out: str | os.PathLike[str],
        runs: Iterable[object] | None = None,
        *,
        where: str | Iterable[str] | None = None,
        study: str | None = None,
        with_inputs: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> ExtractReport:
        """Copy some runs to the new archive `out`, with their artifacts and the studies whose trials they are.

        Choose them by `runs`, a list of ids; by `where`, a filter as in :meth:`RunQuery.where` or several; or
        by the name of a `study`. Runs in the trash come along only by their ids. With `with_inputs`, the runs
        that made what they used come along too. Studies come with all their trials; views of yours come if
        their fields do. Merging the file into this archive again changes nothing. `progress` is called with the
        number of runs copied and their total. The archive is only read.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     for lr in (0.1, 0.2):
        ...         with archive.start_run({"lr": lr}) as run:
        ...             run.log({"loss": lr})
        ...     report = archive.extract(tmp_path / "paper.db", where="config.lr < 0.15")
        ...     len(report.runs), report.points
        (1, 1)

        Raises:
            InvalidValueError: not exactly one of `runs`, `where` and `study` is given.
            StudyNotFoundError: no study has this name.
            FilterError: `where` is not a filter.
            RunNotFoundError: there is no run of this id.
            AmbiguousRunError: it means several runs.
            ExportError: `out` exists, or cannot be written.
            ArchiveFullError: there is no room for the file.
        """
        from exptrack.portable.extract import add_inputs, extract_runs, find_runs_of_study

        if [runs is None, where is None, study is None].count(False) != 1:
            raise InvalidValueError(
                "extract() takes exactly one of runs, where and study; give the one that chooses the runs"
            )
        adds = check_flag(with_inputs, "with_inputs")
        tell = check_function(progress, "progress") or (lambda _done, _total: None)
        self._settle()
        studies: list[str] = []
        if where is not None:
            query = self.runs()
            for one in read_names(where, "filters", like="['config.lr > 0.1']"):
                query = query.where(one)
            found = list(query.index())
        elif study is not None:
            found, uid = find_runs_of_study(self._connection, check_name(study, "study name"))
            studies.append(uid)
        else:
            found = [resolve_run(self._connection, one)["id"] for one in read_elements(runs, "runs")]
        if adds:
            found = add_inputs(self._connection, found)
        return extract_runs(self._connection, out, set(found), studies=studies, tell=tell)

    def pack(
        self,
        path: str | os.PathLike[str],
        *,
        snapshot: bool = False,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> PackReport:
        """Write the archive into one sealed file, to be published or sent. The archive is not changed.

        The file has no free space, and gets a seal that ``verify`` proves. It is verified as a whole, and never
        written again (mode 0444). Any SQLite client opens it, also on a read-only medium.
        :func:`exptrack.unpack` makes an archive of it that can be written. Deleted runs leave no trace in it;
        runs in the trash are in it.

        The file appears whole and synced, or not at all. With `snapshot`, runs may be running, and stay so in
        the file. `progress` is called with a part, how much of it is done and how much there is.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     with archive.start_run() as run:
        ...         run.log({"loss": 0.5}, step=0)
        ...     report = archive.pack(tmp_path / "paper.db")
        >>> report.runs, report.points, len(report.sha256)
        (1, 1, 64)

        Raises:
            RunBusyError: a run is running, and `snapshot` is not given.
            VerificationError: the archive is damaged; `problems` of the error lists how.
            ExportError: a file of that name exists, or one beside it that would become a part of the file; or
                the file cannot be written.
            OwnFileError: the path is that of an open archive, or of a file that belongs to one.
            ArchiveFullError: there is no room for the file.
            ArchiveCorruptError: a row of the archive cannot be read.
        """
        from exptrack.portable.pack import pack_archive

        drain_all(self._connection.file)
        if self._writable:
            recovery.settle(self._connection, opening=True)
        return pack_archive(self._connection, path, snapshot=snapshot, progress=progress)

    def reproduce(
        self, run_id: object, out: str | os.PathLike[str], *, repository: str | os.PathLike[str] | None = None
    ) -> Reproduction:
        """Write the code of a run into the new folder `out`; return its command and environment. Runs nothing.

        The recorded commit is taken from `repository`, a folder in a clone. By default it is looked for in the
        repository of the working folder, and in that of the archive. Then come the changes and the untracked
        texts that the archive keeps with the run. The repository stays as it is.

        What cannot be written is told in ``missing``, in sentences, and the rest is written. `out` may be an
        empty folder.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
            NotFoundError: nothing of the code is here, as the commit is in no repository; or there is no git.
            ExportError: `out` exists, or cannot be written.
            ArchiveCorruptError: the kept code is damaged; nothing is written.
        """
        from exptrack.portable.reproduction import reproduce

        target = read_path(out, "out")
        archive_folder = os.path.dirname(os.path.abspath(self._connection.place))
        places = [os.curdir, archive_folder] if repository is None else [read_path(repository, "repository")]
        self._settle()
        return reproduce(self._connection, run_id, target, places)
