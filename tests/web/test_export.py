"""The exported page is one file that holds all it needs, and nothing of the archive as markup."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exptrack import Archive, ExportError, FilterError, NotFoundError
from exptrack.web.export import write_page
from exptrack.web.export_modules import REPLACED, STATIC, read_modules, read_worker
from tests.web.node import NODE

ABSENT = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("starlette", "uvicorn"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from exptrack.__main__ import main
sys.argv = ["exptrack", *sys.argv[1:]]
main()
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """An archive with three runs, one of them in the trash."""
    path = tmp_path / "lab <b>.db"
    with Archive(path) as archive:
        for lr in (0.1, 0.01):
            with archive.start_run({"lr": lr}, ["</script><script>1</script>"]) as run:
                run.log({"loss": lr})
        with archive.start_run({"secret": "thrown-away"}) as gone:
            pass
        archive.trash_run(gone)
    return path


def export(lab: Path, name: str = "page.html", **options: Any) -> str:
    """Write the page, and return its text."""
    out = lab.parent / name
    with Archive(lab, mode="ro") as archive:
        write_page(archive, str(out), **options)
    return out.read_text(encoding="utf-8")


def part_of(page: str, name: str) -> bytes:
    """Return a part of the page, unpacked."""
    found = re.search(
        f'<script type="application/octet-stream" id="exptrack-{name}">([A-Za-z0-9+/=]+)</script>', page
    )
    assert found is not None
    return gzip.decompress(base64.b64decode(found[1]))


def test_the_archive_inside_is_packed_and_lacks_the_trash(lab: Path) -> None:
    page = export(lab)
    (lab.parent / "inside.db").write_bytes(part_of(page, "archive"))
    with Archive(lab.parent / "inside.db", mode="ro") as archive:
        assert archive.verify().ok
        assert archive.info().sealed_at is not None
        assert archive.list_trash() == []
        assert sorted(run.config["lr"] for run in map(archive.show_run, archive.runs())) == [0.01, 0.1]
    assert b"thrown-away" not in part_of(page, "archive")
    with Archive(lab, mode="ro") as archive:
        assert len(archive.list_trash()) == 1


def test_a_filter_chooses_the_runs_and_its_mistakes_are_told(lab: Path) -> None:
    page = export(lab, where="config.lr > 0.05")
    (lab.parent / "inside.db").write_bytes(part_of(page, "archive"))
    with Archive(lab.parent / "inside.db", mode="ro") as archive:
        assert [archive.show_run(run).config for run in archive.runs()] == [{"lr": 0.1}]
    with pytest.raises(NotFoundError, match="no run matches, so no page was made"):
        export(lab, "other.html", where="config.lr > 5")
    with pytest.raises(FilterError):
        export(lab, "other.html", where="config.lr >")
    assert {one.name for one in lab.parent.iterdir()} == {"lab <b>.db", "page.html", "inside.db"}


def test_what_is_there_is_never_replaced_and_no_draft_stays(lab: Path) -> None:
    (lab.parent / "page.html").write_text("mine", encoding="utf-8")
    with pytest.raises(ExportError, match="it exists"):
        export(lab)
    assert (lab.parent / "page.html").read_text(encoding="utf-8") == "mine"
    with pytest.raises(ExportError, match="cannot write"):
        export(lab, "no folder/page.html")
    assert {one.name for one in lab.parent.iterdir()} == {"lab <b>.db", "page.html"}


def test_a_larger_archive_stays_outside(lab: Path) -> None:
    page = export(lab, inside_bytes=1000)
    assert 'id="exptrack-archive"' not in page
    about = json.loads(part_of(page, "modules"))["about"]
    assert about["bytes"] > 1000
    assert about["name"] == lab.name


def test_the_page_has_no_address_and_only_scripts_with_its_nonce(lab: Path) -> None:
    page = export(lab)
    assert "<b>" not in page
    assert "lab &lt;b&gt;.db" in page
    shell = re.sub(r"(<script[^>]*>|<style[^>]*>).*?(</script>|</style>)", r"\1\2", page, flags=re.S)
    assert not re.search(r"https?:|\son\w+=|\sstyle=", shell)
    nonces = re.findall(r"<(?:script|style) nonce=\"([\w-]+)\">", page)
    assert len(nonces) == 2
    assert len(set(nonces)) == 1
    policy = re.search(r"Content-Security-Policy\" content=\"([^\"]+)\"", page)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules == {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonces[0]}' 'wasm-unsafe-eval'",
        "style-src": f"'nonce-{nonces[0]}'",
        "img-src": "data: blob:",
        "worker-src": "blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert nonces[0] not in export(lab, "again.html")


def test_each_module_imports_only_modules_that_are_there(lab: Path) -> None:
    modules = read_modules()
    for name, text in modules.items():
        if "/vendor/" not in name:
            for target in re.findall(r"^(?:import|export)\b[^;]*?from \"([^\"]+)\"", text, flags=re.M):
                assert target in modules, (name, target)
            assert not re.search(r"\bimport\([\"'`]\.", text), name
    importers = [
        text for name, text in modules.items() if not name.startswith(("page/export/", "page/vendor/"))
    ]
    for original, own in REPLACED.items():
        assert (STATIC / own).is_file()
        assert not any(f'from "page/{original}"' in text for text in importers)


def test_what_takes_the_place_of_a_module_exports_the_same_names() -> None:
    for original, own in REPLACED.items():
        theirs, ours = (set(exports_of(name)) for name in (original, own))
        assert theirs <= ours, original


def exports_of(name: str) -> list[str]:
    text = (STATIC / name).read_text(encoding="utf-8")
    names = re.findall(r"^export (?:const|function|async function|class) (\w+)", text, flags=re.M)
    for origin in re.findall(r"^export \* from \"([^\"]+)\"", text, flags=re.M):
        names += exports_of(
            ((STATIC / name).parent / origin).resolve().relative_to(STATIC.resolve()).as_posix()
        )
    for listed in re.findall(r"^export \{([^}]+)\}", text, flags=re.M):
        names += [one.strip() for one in listed.split(",") if one.strip()]
    return names


def test_the_worker_is_one_classic_script(tmp_path: Path) -> None:
    script = tmp_path / "worker.cjs"
    script.write_text(read_worker(), encoding="utf-8")
    done = subprocess.run([NODE, "--check", script], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr


def test_the_command_needs_no_server_and_tells_the_sizes(lab: Path) -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", ABSENT, "ui", *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8", cwd=lab.parent)

    done = call("--export", "a.html", lab.name)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"2 runs written to a\.html \(\d\.\d MB\)\n", done.stdout)
    told = json.loads(call("--export", "b.html", "--where", "config.lr > 0.05", "--json", lab.name).stdout)
    assert told["runs"] == 1
    assert told["inside"] is True
    assert told["file_bytes"] == (lab.parent / "b.html").stat().st_size
    told_wrong = call("--export", "c.html", "--where", "config.lr >", lab.name)
    assert told_wrong.returncode == FilterError.exit_code
    assert "\n  config.lr >\n" in told_wrong.stderr  # as it was typed
    for wrong in (["--where", "name = a"], ["--export", "c.html", "--port", "7"]):
        assert call(*wrong, lab.name).returncode == 2
