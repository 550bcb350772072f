"""Texts that become script, markup or a request where a page takes text for HTML, an attribute or an address.

Each element that one of them would make has the attribute ``xss``; each script would set ``hit``.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from exptrack import Archive, RecordedArtifact, RecordedRun, StudyConfig
from tests.web.browser.archives import STARTED

PAYLOADS = (
    "<script xss>hit=1</script>",
    '<img xss src=x onerror="hit=1">',
    '"><svg xss onload=hit=1>',
    "'><iframe xss srcdoc='<script>parent.hit=1</script>'>",
    "</title><script xss>alert(1)</script>",
    "</textarea></style><img xss src=x onerror=alert(1)>",
    "javascript:hit=1",
    '<a xss href="javascript:hit=1">look</a>',
    '" xss onmouseover="hit=1" autofocus onfocus="hit=1',
    "' xss onpointerenter='hit=1' style='color:red",
    "{{constructor.constructor('hit=1')()}}",
    "${hit=1}`+alert(1)+`",
    "<math><mtext><table><mglyph><style><img xss src=x onerror=hit=1>",
    "<details xss open ontoggle=hit=1>",
    "<video xss><source xss onerror=hit=1>",
    "<body xss onload=hit=1>",
    '<object xss data="data:text/html,<script>parent.hit=1</script>">',
    '<embed xss src="javascript:hit=1">',
    '<form xss action="javascript:hit=1"><button xss autofocus>go',
    '<meta xss http-equiv="refresh" content="0;url=javascript:hit=1">',
    '<base xss href="//example.org/">',
    '<link xss rel=stylesheet href="//example.org/x.css">',
    "&lt;img xss src=x onerror=hit=1&gt;",
    '<style xss>@import "//example.org/y.css"</style>',
    "<template xss><slot xss></slot></template><b xss id=app>",
)
# These lead nowhere as text, and are asked for apart, as signs replace what hides or reorders text.
REVERSED = "\u202egpj.exe"


def fill_with_payloads(path: Path) -> list[str]:
    """Make an archive with every payload in every place; return the ids of its runs.

    The first one has every payload in each place of which a run has many. Of the others each has one payload.
    """
    curves = {payload: ([1, 2], [float(number), 1.0]) for number, payload in enumerate(PAYLOADS)}
    files = [
        RecordedArtifact(payload, payload, kind="text", step=1, media_type="text/plain", description=payload)
        for payload in PAYLOADS
    ]
    lines = "".join(f"{_quote(payload)},{_quote(payload)}\n" for payload in PAYLOADS)
    files.append(
        RecordedArtifact(
            "table.csv", f"one,{_quote(PAYLOADS[0])}\n{lines}", kind="table", step=1, media_type="text/csv"
        )
    )
    records = [
        RecordedRun(
            {"lr": 0.1},
            STARTED + timedelta(minutes=number),
            status="failed",
            reason=payload,
            traceback=payload,
            name=payload,
            group=payload,
            tags=[payload],
            metrics={"loss": ([1], [1.0])},
        )
        for number, payload in enumerate(PAYLOADS)
    ]
    records.append(
        RecordedRun(
            {payload: payload for payload in PAYLOADS},
            STARTED + timedelta(hours=1),
            name=f"all {REVERSED}",
            tags=PAYLOADS,
            notes=PAYLOADS,
            metrics=curves,
            attributes={payload: payload for payload in PAYLOADS},
            artifacts=files,
        )
    )
    with Archive(path) as archive:
        made = archive.record_runs(records)
        for payload in PAYLOADS:
            archive.save_page_view(payload, f"/runs?where={payload}")
        archive.save_page_view(REVERSED, f"/{PAYLOADS[0]}")
        for number, payload in enumerate(PAYLOADS):
            study = archive.create_study(StudyConfig(f"{payload} {number}", metric="loss"))
            study.optimize(lambda trial: trial.suggest_float("lr", 0.1, 1), 1, start_runs=False)
    return [made[-1], *made[:-1]]


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
