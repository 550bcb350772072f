"""The files of the page: vendored packages as their list says, our own code safe, colours that stay apart."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from pathlib import Path

import pytest

import exptrack

STATIC = Path(exptrack.__file__).parent.resolve() / "web" / "static"
VENDOR = STATIC / "vendor"
LISTED = json.loads((VENDOR / "vendor.json").read_text(encoding="utf-8"))
OWN = sorted(file for file in STATIC.rglob("*") if file.is_file() and VENDOR not in file.parents)
MODULES = [file for file in OWN if file.suffix == ".js"]
STYLES = [file for file in OWN if file.suffix == ".css"]
LEAST_DISTANCE = 25
LEAST_CONTRAST = 3

# Machado, Oliveira, Fernandes 2009, severity 1, in linear RGB.
SIGHTS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
Triple = tuple[float, float, float]


def name_of(file: Path) -> str:
    return file.relative_to(STATIC).as_posix()


def test_the_list_names_exactly_the_vendored_files() -> None:
    present = {file.name for file in VENDOR.iterdir() if file.is_file()} - {"vendor.json"}
    assert present == {one["file"] for one in LISTED["files"]}


@pytest.mark.parametrize("listed", LISTED["files"], ids=lambda one: one["file"])
def test_a_vendored_file_is_the_one_that_the_list_describes(listed: dict[str, object]) -> None:
    content = (VENDOR / str(listed["file"])).read_bytes()
    assert hashlib.sha256(content).hexdigest() == listed["sha256"]
    assert len(content) == listed["bytes"]


def test_every_package_has_its_version_licence_and_licence_text() -> None:
    packages = {one["name"]: one for one in LISTED["packages"]}
    assert set(packages) == {name for one in LISTED["files"] for name in one["packages"]}
    texts = set()
    for name, one in packages.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+(-build\d+)?", one["version"]), name
        assert one["source"].endswith(f"-{one['version']}.tgz"), name
        licences = set(one["licence"].strip("()").split(" AND "))
        assert licences <= {"MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "0BSD"}, name
        for text in one["licence_texts"]:
            assert len((VENDOR / text).read_text(encoding="utf-8")) > 100, text
            texts.add(text)
    assert texts == {name_of(file).removeprefix("vendor/") for file in (VENDOR / "licences").iterdir()}


def test_the_locked_versions_are_those_of_the_list() -> None:
    vendoring = Path(__file__).parents[2] / "vendoring"
    locked = json.loads((vendoring / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for one in LISTED["packages"]:
        assert locked[f"node_modules/{one['name']}"]["version"] == one["version"]
    wanted = json.loads((vendoring / "package.json").read_text(encoding="utf-8"))
    versions = [*wanted["dependencies"].values(), *wanted["devDependencies"].values()]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+(-build\d+)?", version) for version in versions)


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_a_module_says_what_it_does_and_makes_no_code_or_markup_out_of_text(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("/**"), "begin with a comment that says what the module does"
    for unsafe in (
        r"\b(inner|outer)HTML\b",
        r"dangerouslySetInnerHTML",
        r"insertAdjacentHTML",
        r"document\.write",
        r"\beval\(",
        r"\bnew Function\b",
        r"createContextualFragment",
        r"srcdoc",
        r"set(Timeout|Interval)\(\s*[\"'`]",
        r"\bimport\([^)]*https?:",
    ):
        assert not re.search(unsafe, text), unsafe


@pytest.mark.parametrize("file", [*MODULES, *STYLES], ids=name_of)
def test_a_file_of_the_page_is_short(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 600
    assert max(map(len, lines), default=0) <= 112


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_a_module_imports_files_that_are_there(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for target in re.findall(r"(?:from|import)\s*\(?\s*\"(\.[^\"]+)\"", text):
        assert (file.parent / target).is_file(), target


def test_the_shell_has_no_inline_script_or_style_and_links_what_is_there() -> None:
    shell = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", shell)
    for target in re.findall(r"(?:href|src)=\"([^\"]+)\"", shell):
        assert target.startswith("/api/runs?") or (STATIC / target.removeprefix("/static/")).is_file(), target


def test_the_one_style_sheet_of_the_page_has_each_once() -> None:
    page = (STATIC / "page.css").read_text(encoding="utf-8")
    imported = re.findall(r"^@import \"([^\"]+)\";$", page, flags=re.M)
    assert imported[0] == "css/base.css"
    assert sorted(imported) == [name_of(file) for file in STYLES if name_of(file) != "page.css"]


def palettes() -> dict[str, list[str]]:
    text = (STATIC / "colors.js").read_text(encoding="utf-8")
    found = dict(re.findall(r"export const (LIGHT|DARK) = \[([^\]]+)\]", text))
    return {name: re.findall(r"#[0-9a-f]{6}", colors) for name, colors in found.items()}


def linear_of(color: str) -> Triple:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return red, green, blue


def lab_of(color: str, sight: str) -> Triple:
    """The CIELAB coordinates (D65) of a colour as such an eye sees it."""
    linear = linear_of(color)
    red, green, blue = (
        min(max(sum(a * b for a, b in zip(row, linear, strict=True)), 0.0), 1.0) for row in SIGHTS[sight]
    )
    x = (0.4124564 * red + 0.3575761 * green + 0.1804375 * blue) / 0.95047
    y = 0.2126729 * red + 0.7151522 * green + 0.0721750 * blue
    z = (0.0193339 * red + 0.1191920 * green + 0.9503041 * blue) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def luminance_of(color: str) -> float:
    red, green, blue = linear_of(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("name", ["LIGHT", "DARK"])
def test_colours_of_curves_stay_apart(name: str, sight: str) -> None:
    colors = palettes()[name]
    assert len(colors) == 8
    for one, other in itertools.combinations(colors, 2):
        distance = sum((a - b) ** 2 for a, b in zip(lab_of(one, sight), lab_of(other, sight), strict=True))
        assert distance**0.5 >= LEAST_DISTANCE, (one, other)


@pytest.mark.parametrize(("name", "ground"), [("LIGHT", "#ffffff"), ("DARK", "#14171c")])
def test_colours_of_curves_stand_out_from_the_ground(name: str, ground: str) -> None:
    for color in palettes()[name]:
        low, high = sorted((luminance_of(color), luminance_of(ground)))
        assert (high + 0.05) / (low + 0.05) >= LEAST_CONTRAST, color
