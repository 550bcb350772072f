"""The part of an archive that reaches artifacts: those of a run, their origins, and the space they take."""

from __future__ import annotations

from exptrack.database.connection import Connection
from exptrack.listed import listed
from exptrack.records import Artifact
from exptrack.runs import lookup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from exptrack.artifacts.records import GcReport, Lineage, RunStorage
    from exptrack.artifacts.store import ArtifactStore


class ArchiveArtifacts:
    """The calls of an archive that find artifacts and what they come from, and give their space back."""

    _connection: Connection

    def artifacts(self, run_id: object) -> ArtifactStore:
        """Return the store of a run's artifacts.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        from exptrack.artifacts.store import ArtifactStore

        row = lookup.resolve_run(self._connection, run_id)
        return ArtifactStore(self._connection, row["id"], row["run_id"])

    def find_artifact(self, reference: object) -> Artifact:
        """Return the artifact that a reference names; see :meth:`exptrack.Run.use_artifact`.

        Raises:
            ArtifactNotFoundError: no artifact fits the reference.
            AmbiguousHashError: several artifacts' hashes begin with it.
            RunNotFoundError: no run has the id in the reference.
            AmbiguousRunError: it means several runs.
        """
        from exptrack.artifacts.lineage import find_artifact

        return find_artifact(self._connection, reference)

    def lineage(self, subject: object) -> Lineage:
        """Trace a run (an id) or an artifact (its record or hash): its inputs, and the results made from it.

        `subject` may also be data that runs declared: its name, its reference with or without the digest, or
        the digest. Then `data` of the result lists the runs that used it.

        Raises:
            RunNotFoundError: no run has this id, and no run declared such data.
            AmbiguousRunError: it means several runs.
            ArtifactNotFoundError: no artifact has this hash.
            AmbiguousHashError: several artifacts' hashes begin with it.
        """
        from exptrack.artifacts.lineage import trace_lineage

        return trace_lineage(self._connection, subject)

    @listed
    def storage(self) -> list[RunStorage]:
        """List the space that the artifacts of each run take, largest first. Runs without any are left out."""
        from exptrack.artifacts.retention import list_storage

        return list_storage(self._connection)

    def gc_artifacts(self) -> GcReport:
        """Remove bytes that no artifact names and give their space back. Commits, power-safe.

        Deleting runs and artifacts already does this. A call also removes the bytes that killed processes left.

        Raises:
            ArchiveCorruptError: an artifact names bytes that are missing; nothing is deleted.
        """
        from exptrack.artifacts.retention import gc_artifacts

        return gc_artifacts(self._connection)
