"""Logging what people look at: images, texts, tables and histograms, each an artifact of the run.

Invariants: what is wrong is refused before anything is encoded, and what cannot be encoded before anything is
written. The metadata of such an artifact are the facts of its encoding, and under ``caption`` what was said of
it. A name logged again is a new version, so the versions of a name are a series over its steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from exptrack.database.connection import Connection
from exptrack.validation import check_name, check_step, check_text

if TYPE_CHECKING:
    from exptrack.artifacts.store import ArtifactStore
    from exptrack.media import Encoded


class _Said:
    """What is said of a thing, checked; and how it comes into the store once it is encoded."""

    def __init__(self, store: ArtifactStore, name: str, step: int | None, caption: str | None) -> None:
        self._store = store
        self._name = check_name(name, "artifact name")
        self._step = None if step is None else check_step(step)
        self._caption = None if caption is None else check_text(caption, "caption")

    def store(self, kind: str, encoded: Encoded) -> str:
        from exptrack.artifacts.store import Registration

        facts: dict[str, Any] = dict(encoded.facts)
        if self._caption is not None:
            facts["caption"] = self._caption
        said = Registration(self._name, kind, facts, encoded.is_text, encoded.media_type, self._step)
        return self._store.register(said, encoded.data)


class MediaLog:
    """The part of a run that takes images, texts, tables and histograms.

    They are artifacts: `Run.artifacts` lists them and hands them back, they are stored once however often they
    are logged, and unlike metrics they are welcome after the run's end too.
    """

    _connection: Connection
    _run: int
    run_id: str

    def _saying(self, name: str, step: int | None, caption: str | None) -> _Said:
        from exptrack.artifacts.store import ArtifactStore

        return _Said(ArtifactStore(self._connection, self._run, self.run_id), name, step, caption)

    def log_image(
        self, name: str, image: object, step: int | None = None, *, caption: str | None = None
    ) -> str:
        """Store an image; return its hash. Commits.

        `image` is the path or the bytes of an image file (PNG, JPEG, GIF, WebP, BMP, TIFF, SVG), kept as they
        are; or becomes a PNG: a PIL image; an array of shape H×W, H×W×1, H×W×3 or H×W×4 with bool, integers of
        0..255 or floats of 0..1; a tensor of the same, or of C×H×W; a matplotlib figure. Pixels need Pillow.

        Raises:
            InvalidTypeError, InvalidValueError: it is nothing of this, or has no exact form as PNG.
            MissingPackageError: pixels were given and Pillow is missing.
        """
        said = self._saying(name, step, caption)
        from exptrack.media import encode_image

        return said.store("image", encode_image(image))

    def log_text(
        self,
        name: str,
        text: str,
        step: int | None = None,
        *,
        caption: str | None = None,
        media_type: str = "text/plain",
    ) -> str:
        """Store a text, 16 million characters at most; return its hash. Commits.

        `media_type` says what it is, for example ``text/markdown`` or ``text/html``.

        Raises:
            InvalidTypeError, InvalidValueError: it is no text, has no UTF-8 form or is too long; or the type is
                not ``type/subtype`` in lower case.
        """
        said = self._saying(name, step, caption)
        from exptrack.media import encode_text

        return said.store("text", encode_text(text, media_type))

    def log_table(
        self,
        name: str,
        table: object,
        step: int | None = None,
        *,
        columns: Sequence[str] | None = None,
        caption: str | None = None,
    ) -> str:
        """Store a table as Parquet, or as CSV where pyarrow is missing; return its hash. Commits.

        `table` is a list of dicts, a dict of columns, a list of lists or a 2-D array (these two need `columns`,
        which otherwise selects and orders), a structured array, or a pandas, polars or pyarrow table.
        :meth:`ArtifactStore.get_table` gives its columns back.

        Raises:
            InvalidTypeError, InvalidValueError: it is nothing of this, or a cell does not fit its column.
        """
        said = self._saying(name, step, caption)
        from exptrack.media import encode_table

        return said.store("table", encode_table(table, columns))

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
    ) -> str:
        """Count values into equal bins and store the counts, as JSON; return the hash. Commits.

        `values` are numbers, or an array or tensor of any shape. `range` is that of the finite values unless
        given; NaN and what lies outside are counted apart. A ready histogram is taken as `counts` and `edges`
        instead, with one edge more than counts.

        Raises:
            InvalidTypeError, InvalidValueError: something is no number, or the parts do not fit together.
        """
        said = self._saying(name, step, caption)
        from exptrack.media import encode_histogram

        return said.store("histogram", encode_histogram(values, bins, range, counts=counts, edges=edges))
