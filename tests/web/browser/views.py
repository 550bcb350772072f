"""The views of the page: an address of each on an archive that has everything, and what it shows when ready.

``{…}`` in an address is a name of :class:`tests.web.browser.archives.Contents`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.web.browser.archives import Contents


@dataclass(frozen=True)
class View:
    path: str
    shown: str

    def address(self, contents: Contents) -> str:
        return self.path.format(**vars(contents))


RUN = "h1:has-text('everything')"
VIEWS = {
    "runs": View("/runs", "text=run-07"),
    "runs-filtered": View("/runs?where=config.optim.lr+%3D+0.1", "text=run-04"),
    "run": View("/run/{rich}", RUN),
    "run-config": View("/run/{rich}?tab=config", "#run-panel >> text=optim"),
    "run-artifacts": View("/run/{rich}?tab=artifacts", "text=model.npz"),
    "run-lineage": View("/run/{rich}?tab=lineage", "text=train.csv"),
    "run-events": View("/run/{rich}?tab=events", "text=start"),
    "run-environment": View("/run/{rich}?tab=environment", "text=python"),
    "run-output": View("/run/{failed}?tab=output", "text=diverged"),
    "charts": View("/charts", "canvas"),
    "compare": View("/compare?runs={best}&runs={rich}", "text=optim.lr"),
    "explore": View("/explore?x=config.optim.lr&y=metrics.%22train/loss%22", ".explore-view canvas"),
    "sweeps": View("/sweeps", "text=digits"),
    "sweep": View("/sweep/{study}", ".sweep-view canvas"),
    "media": View("/media", "img"),
    "sql": View("/sql#SELECT%20name%20FROM%20runs", "text=name"),
    "file": View("/file", "text=lab.db"),
}
