"""Names, tags, notes and texts come back from the file exactly as they went in."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings

from exptrack import Archive
from tests.effort import tries
from tests.strategies import NAMES, TEXTS

one_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=tries(60)
)


@one_folder
@given(NAMES, TEXTS, TEXTS.filter(str.strip))
def test_names_tags_notes_and_texts_come_back_as_they_were(
    tmp_path: Path, name: str, content: str, note: str
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        with archive.start_run(name=name, tags=[name]) as run:
            run.add_note(note)
            run.artifacts.register_data(name, content)
        detail = archive.show_run(run.run_id)
        assert (detail.summary.name, detail.summary.tags, detail.notes[0].text) == (name, (name,), note)
        assert run.artifacts.get_blob(name) == content
        assert archive.verify().problems == ()
