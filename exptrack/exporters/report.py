"""Write some runs of an archive as one static page, for mail and papers.

Invariants: the page holds all that it shows, and has no script. What it tells of runs is of one moment. The
file appears whole or not at all, and replaces none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from exptrack import Archive, ExportError
from exptrack.errors import InvalidTypeError, InvalidValueError, NotFoundError
from exptrack.exporters.report_contents import read_contents
from exptrack.exporters.report_media import read_media
from exptrack.exporters.report_page import make_page
from exptrack.new_files import write_new_file
from exptrack.own_files import require_foreign
from exptrack.plain import read_names, read_path, short_repr
from exptrack.shown import shown
from exptrack.validation import check_name, check_text

MOST_CHOSEN = 50  # metrics
MOST_TITLE_CHARS = 200


@shown
class Report(NamedTuple):
    """What a report shows. `runs` is how many match; `listed` and `drawn` are in the table, and have curves.

    `digest` is that of the archive, as of :meth:`exptrack.Archive.digest`. `left_out` says what is not shown,
    and why.
    """

    path: str
    size_bytes: int
    digest: str
    runs: int
    listed: int
    drawn: int
    metrics: tuple[str, ...]
    images: int
    tables: int
    histograms: int
    left_out: tuple[str, ...]


def write_report(
    archive: Archive,
    out: str | os.PathLike[str],
    *,
    where: str | Iterable[str] | None = None,
    metrics: str | Iterable[str] | None = None,
    title: str | None = None,
) -> Report:
    """Write the runs that match `where`, by default all, to `out` as one HTML page without a script.

    `where` is a filter, or several that must all match. `metrics` names those that are shown; by default these
    are the ten that tell most. The title is by default the name of the archive. The archive is only read, at
    one moment, and runs may be going on.

    >>> from exptrack import Archive
    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     for lr in (0.1, 0.2):
    ...         with archive.start_run({"lr": lr}) as run:
    ...             run.log_many("loss", range(3), [lr, lr / 2, lr / 4])
    ...     report = write_report(archive, tmp_path / "out.html", where="config.lr < 0.5")
    >>> report.runs, report.metrics
    (2, ('loss',))

    Raises:
        NotFoundError: no run matches.
        FilterError: `where` is not a filter.
        MetricNotFoundError: none of the runs has logged a metric of this name.
        ExportError: `out` exists, or cannot be written.
        OwnFileError: `out` belongs to an archive that is open here.
    """
    if not isinstance(archive, Archive):
        raise InvalidTypeError(
            f"archive must be an Archive, not {short_repr(archive)}; give exptrack.Archive('lab.db')"
        )
    path = read_path(out, "out")
    names = (
        None if metrics is None else [check_name(one, "metric name") for one in read_names(metrics, "metrics")]
    )
    if names is not None and not 0 < len(names) <= MOST_CHOSEN:
        raise InvalidValueError(f"a report has 1 to {MOST_CHOSEN} metrics, not {len(names):,}; choose others")
    heading = "" if title is None else check_text(title, "title", max_chars=MOST_TITLE_CHARS)
    given = () if where is None else read_names(where, "filters", like="['config.lr > 0.1']")
    filters = [check_text(one, "filter") for one in given]
    require_foreign(path)
    if os.path.lexists(path):
        raise _exists(path)
    contents = read_contents(archive, filters, names, heading)
    if contents is None:
        raise NotFoundError(f"no run matches, so {path} was not made; 'exptrack ls' takes the same filters")
    media = read_media(archive, contents.artifacts)
    page = make_page(contents, media, datetime.now(UTC))
    try:
        write_new_file(path, page)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}; choose another place", path=path) from None
    return Report(
        path=path,
        size_bytes=len(page),
        digest=contents.digest,
        runs=contents.total,
        listed=len(contents.runs),
        drawn=len(contents.drawn),
        metrics=tuple(one.name for one in contents.metrics),
        images=len(media.pictures),
        tables=len(media.tables),
        histograms=len(media.histograms),
        left_out=(*contents.left_out, *media.left_out),
    )


def _exists(path: str) -> ExportError:
    return ExportError(f"cannot write {path}: it exists; remove it or choose another name", path=path)
