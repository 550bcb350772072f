"""What is built and installed carries the schema and the types, and works where nothing else is."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return out


def test_wheel_and_sdist_carry_the_schema_and_the_mark_of_types(built: Path) -> None:
    schema = {path.name for path in (ROOT / "schema").glob("*.sql")}
    (wheel,) = built.glob("*.whl")
    (sdist,) = built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        assert schema <= {Path(n).name for n in archive.namelist() if n.startswith("exptrack/schema/")}
        assert "exptrack/py.typed" in archive.namelist()
    with tarfile.open(sdist) as archive:
        names = {n.partition("/")[2] for n in archive.getnames()}
        assert {f"schema/{name}" for name in schema} <= names
        assert {"exptrack/py.typed", "docs/conf.py", "docs/terminal.svg", "CONTRIBUTING.md"} <= names
        assert [name for name in names if name.startswith("docs/built/")] == []


def test_the_wheel_has_the_page_and_every_licence(built: Path) -> None:
    static = ROOT / "exptrack" / "web" / "static"
    files = {f"exptrack/web/static/{path.relative_to(static).as_posix()}" for path in static.rglob("*.*")}
    licences = {path.name for path in (static / "vendor" / "licences").iterdir()}
    assert len(licences) > 10
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        stated = archive.read(metadata).decode()
    assert files <= names
    folder = metadata.replace("METADATA", "licenses/")
    assert licences | {"LICENSE"} == {Path(name).name for name in names if name.startswith(folder)}
    assert stated.count("\nLicense-File: ") == len(licences) + 1
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert files | {"vendoring/package-lock.json", "vendoring/build.mjs"} <= inside


def test_the_wheel_works_in_an_empty_environment(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It brings its schema and its dependencies along, and the command runs."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    venv.create(tmp_path / "venv")
    python = next(p for p in (tmp_path / "venv/bin/python", tmp_path / "venv/Scripts/python.exe") if p.exists())
    (wheel,) = built.glob("*.whl")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile", wheel]
    subprocess.run(install, check=True, cwd=tmp_path)
    code = "import exptrack\nwith exptrack.start_run({'a': 1}) as r: r.log({'x': 1})\nprint(exptrack.__file__)"
    done = subprocess.run([python, "-c", code], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert str(tmp_path) in done.stdout
    exptrack = python.with_name("exptrack" + python.suffix)
    listed = subprocess.run([exptrack, "ls"], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert "completed" in listed.stdout


def test_every_table_is_explained() -> None:
    schema = (ROOT / "schema" / "0001_create_archive.sql").read_text(encoding="utf-8")
    assert all(
        "-- " in table
        for table in re.findall(r"CREATE TABLE \w+ \((.*?)\) STRICT", schema, re.DOTALL)
        if "run_tag" not in table and len(table.splitlines()) > 5
    )
