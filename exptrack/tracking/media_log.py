"""Log images, texts, tables and histograms, each as an artifact of the run, and rows of mixed values.

Invariants:

- A wrong name, step or caption is refused before anything is encoded. A value that cannot be encoded is refused
  before anything is written.
- The metadata of the artifact are the facts of its encoding, and the caption under ``caption``.
- Logging a name again makes a new version, so the versions of a name are a series over its steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from exptrack.database.connection import Connection
from exptrack.plain import reading
from exptrack.validation import check_name, check_step, check_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from exptrack.artifacts.store import ArtifactStore
    from exptrack.media import Encoded
    from exptrack.tracking.mixed_log import Logging


class _MediaDetails:
    """Name, step and caption of a media artifact, validated; stores it once encoded."""

    def __init__(
        self,
        store: ArtifactStore,
        name: str,
        step: int | None,
        caption: str | None,
        aliases: Iterable[str],
        description: str | None,
    ) -> None:
        from exptrack.artifacts.aliases import check_aliases, check_description

        self._store = store
        self._aliases = check_aliases(aliases)
        self._description = check_description(description)
        self._name = check_name(name, "artifact name")
        self._step = None if step is None else check_step(step)
        self._caption = None if caption is None else check_text(caption, "caption")

    def store(self, kind: str, encoded: Encoded) -> str:
        from exptrack.artifacts.registration import Registration
        from exptrack.artifacts.store import register_content

        facts: dict[str, Any] = dict(encoded.facts)
        if self._caption is not None:
            facts["caption"] = self._caption
        said = Registration(self._name, kind, facts, encoded.is_text, encoded.media_type, self._step)
        named = said._replace(aliases=self._aliases, description=self._description)
        return register_content(self._store, named, encoded.data)


class MediaLog:
    """The part of a run that logs images, texts, tables and histograms, and rows that hold them.

    They are artifacts: `Run.artifacts` lists and returns them. Equal bytes are stored once, however often they
    are logged. Unlike metrics, they can be logged after the run's end too.
    """

    _connection: Connection
    _run: int
    run_id: str

    def _check_details(
        self,
        name: str,
        step: int | None,
        caption: str | None,
        aliases: Iterable[str],
        description: str | None,
    ) -> _MediaDetails:
        from exptrack.artifacts.store import ArtifactStore

        store = ArtifactStore(self._connection, self._run, self.run_id)
        return _MediaDetails(store, name, step, caption, aliases, description)

    def log_image(
        self,
        name: str,
        image: object,
        step: int | None = None,
        *,
        caption: str | None = None,
        aliases: Iterable[str] = (),
        description: str | None = None,
    ) -> str:
        """Store an image and return its hash. Commits.

        This and the methods below take `aliases` and a `description`, as
        :meth:`ArtifactStore.register_data` does.

        `image` is one of these:

        - the path or the bytes of an image file (PNG, JPEG, GIF, WebP, BMP, TIFF, SVG), stored unchanged;
        - pixels, stored as PNG (needs Pillow): a PIL image, a matplotlib figure, or an array or tensor. An
          array is H×W, H×W×1, H×W×3 or H×W×4 with bool, integers of 0..255 or floats of 0..1. A tensor may
          also be C×H×W.

        Raises:
            InvalidTypeError, InvalidValueError: `image` is none of these, or PNG cannot hold it exactly.
            MissingPackageError: pixels were given and Pillow is not installed.
        """
        details = self._check_details(name, step, caption, aliases, description)
        from exptrack.media import encode_image

        with reading("the image"):
            encoded = encode_image(image)
        return details.store("image", encoded)

    def log_text(
        self,
        name: str,
        text: str,
        step: int | None = None,
        *,
        caption: str | None = None,
        aliases: Iterable[str] = (),
        description: str | None = None,
        media_type: str = "text/plain",
    ) -> str:
        """Store a text of at most 16 million characters and return its hash. Commits.

        `media_type` names its format, for example ``text/markdown`` or ``text/html``.

        Raises:
            InvalidTypeError, InvalidValueError: `text` is not text, has no UTF-8 form or is too long; or the
                media type is not ``type/subtype`` in lower case.
        """
        details = self._check_details(name, step, caption, aliases, description)
        from exptrack.media import encode_text

        return details.store("text", encode_text(text, media_type))

    def log_table(
        self,
        name: str,
        table: object,
        step: int | None = None,
        *,
        columns: Sequence[str] | None = None,
        caption: str | None = None,
        aliases: Iterable[str] = (),
        description: str | None = None,
    ) -> str:
        """Store a table and return its hash: as Parquet, or as CSV if pyarrow is not installed. Commits.

        `table` is a list of dicts, a dict of columns, a structured array, or a pandas, polars or pyarrow table.
        It may also be a list of lists or a 2-D array; these two need `columns`, the names of the columns. For
        the other kinds `columns` selects and orders. :meth:`ArtifactStore.get_table` returns the columns.

        Raises:
            InvalidTypeError, InvalidValueError: `table` is none of these, or a cell does not fit its column.
        """
        details = self._check_details(name, step, caption, aliases, description)
        from exptrack.media import encode_table

        with reading("the table"):
            encoded = encode_table(table, columns)
        return details.store("table", encoded)

    def log_histogram(
        self,
        name: str,
        values: object = None,
        step: int | None = None,
        *,
        bins: int = 64,
        range: tuple[float, float] | None = None,  # noqa: A002
        counts: object = None,
        edges: object = None,
        caption: str | None = None,
        aliases: Iterable[str] = (),
        description: str | None = None,
    ) -> str:
        """Count values into equal bins, store the counts as JSON and return their hash. Commits.

        `values` are numbers, or an array or tensor of any shape. The bins cover `range`, by default that of the
        finite values. NaN and values outside the range are counted separately. To store a finished histogram,
        pass `counts` and `edges` instead, with one edge more than counts.

        Raises:
            InvalidTypeError, InvalidValueError: an element is not a number, or counts and edges do not fit.
        """
        details = self._check_details(name, step, caption, aliases, description)
        from exptrack.media import encode_histogram

        with reading("the histogram"):
            encoded = encode_histogram(values, bins, range, counts=counts, edges=edges)
        return details.store("histogram", encoded)

    def log_mixed(self: Logging, row: Mapping[str, Any], step: float | None = None) -> dict[str, str]:
        """Log a row of a framework, each value as what it is; return what was left out, by name. Commits.

        Maps within the row flatten: ``{"train": {"loss": 0.5}}`` logs ``train.loss``. A value becomes:

        - a metric, if it is a number, a bool, or an array or tensor of one element;
        - an attribute, if it is text, a path, a time, or a list or array of at most 32 values;
        - an image, if it is a PIL image or a matplotlib figure; a list of them becomes ``NAME/0``, ``NAME/1``;
        - a table, if it is a data frame or a list of dicts;
        - a histogram, if it is any other list, array or tensor of numbers, or the pair of ``numpy.histogram``.

        None is passed over. Any other value is left out: the result maps its name to the reason. All numbers
        are logged by one call of :meth:`log`; a row of numbers alone does not wait for the archive. `step` may
        be a whole float.

        Raises:
            InvalidTypeError, InvalidValueError: `row` is no mapping, or `step` is no whole number.
            RunFinishedError: the row has numbers, and the run has ended.
        """
        from exptrack.tracking.mixed_log import log_row

        return log_row(self, row, step)
