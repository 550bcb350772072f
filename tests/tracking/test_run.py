"""The handle on a run: how it ends."""

from __future__ import annotations

import pytest

from exptrack import Archive, InvalidValueError


@pytest.mark.parametrize("status", ["completed", "failed", "interrupted"])
def test_finish_ends_a_run_in_words(archive: Archive, status: str) -> None:
    run = archive.start_run()
    with pytest.raises(InvalidValueError):
        run.finish("running")
    run.finish(status, "enough")
    summary = archive.show_run(run.run_id).summary
    assert (summary.status, summary.reason) == (status, "enough")
