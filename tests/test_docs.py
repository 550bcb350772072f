"""The pages: their code runs, their commands parse, their links lead somewhere, their words are ours."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tomllib
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from exptrack import load_sweep
from exptrack.query.conditions import CONFIG_ROOTS, FACTS, STATISTICS
from exptrack.query.parser import parse_filter, parse_order
from exptrack.sweeps.algorithms import PRUNERS, SAMPLERS
from exptrack.sweeps.plan import DIRECTIONS, REDUCTIONS
from exptrack.sweeps.plan_file import FIELDS, TOP
from tests.published import leave_files, run_command, split_console, without_chance
from tests.warm_python import run_code

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "exptrack"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md")))
}
README, FILTERS, SWEEPS = PAGES["README.md"], PAGES["docs/filters.md"], PAGES["docs/sweeps.md"]
SCHEMA = PAGES["docs/schema.md"]


class Block(NamedTuple):
    """A block of code: its page, the heading above it, its language and its text."""

    page: str
    heading: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.heading}"


def blocks(language: str | None = None) -> list[Block]:
    """The blocks of code of every page, or those in one language."""
    found, heading = [], ""
    for page, text in PAGES.items():
        for title, fence, body in re.findall(
            r"^#+ ([^\n]+)$|^```(\S*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
        ):
            heading = title or heading
            if not title:
                found.append(Block(page, heading, fence, body))
    return [block for block in found if language in (None, block.language)]


def script(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Code


PRINTED = {
    "README.md: Quick start": "completed",
    "docs/start.md: Record a run": "completed first\n",
    "docs/start.md: How a run ends": "[0.5, 0.4]\n",
    "docs/logging.md: Metrics": "[(0, 0.9), (1, 0.7), (2, nan)]\n0.6\n",
    "docs/logging.md: Tags, notes and events": "('baseline', 'cifar10')",
    "docs/logging.md: Name, group and attributes": (
        "baseline paper {'reviewed': True, 'score': 0.93, 'verdict': 'good'}\n"
    ),
    "docs/logging.md: The run of another tracker": "True running\n",
    "docs/logging.md: The current run": "2 1 None\n",
    "docs/logging.md: Images, texts, tables and histograms": "'said': ['dog'], 'count': [2]}\n",
    "docs/logging.md: Rows of frameworks": "3 {'phase': 'warm-up'} ['hook']\n",
    "docs/logging.md: Read metrics in bulk": "[0 1 2] True 100\n",
    "docs/logging.md: Record runs that are over": "True 1\n",
    "docs/configs.md: Configs": "0.001 20 None\n0.0003 ",
    "docs/configs.md: Read a config": (
        "0.1 0.1 0.99 10\nthe config has no key 'optim.lrr'; did you mean 'optim.lr'?\n"
    ),
    "docs/configs.md: Overrides": (
        "there is no key 'optim.l' to override, and +optim.l=0.5 would add it; did you mean 'optim.lr'?\n"
        "{'optim': {'lr': 0.1, 'beta': 0.9}, 'layers': [9, 64], 'id': '007'}\n"
    ),
    "docs/logging.md: When a call fails": "not str 'n/a'; this is said once\n{'calls': 3}\n",
    "docs/configs.md: Add to the config of a run": (
        "epochs 20 30\n{'lr': 0.2, 'model': {'depth': 18, 'width': 64}, 'epochs': 20} override lr=0.2\n"
    ),
    "docs/configs.md: A config of a framework": "math.sin dog ('act', 'clip', 'labels.0', 'labels.1')\n",
    "docs/configs.md: Compose a config": "50 0.0003 override optim.lr=3e-4\n",
    "docs/artifacts.md: Artifacts": "100000 [6, 7, 9]\n{'truth': ['cat'], 'said': ['dog'], 'count': [3]}\n",
    "docs/artifacts.md: Aliases and descriptions": "b'\\x00' ('last',)\n2\n",
    "docs/asking.md: Python": "2 0.999",
    "docs/asking.md: Tables": (
        "['step', 'lr 0.01/loss', 'lr 0.1/loss']\n[0.01, 0.1]\n['name', 'duration_s']\n"
    ),
    "docs/asking.md: Which run is meant": "lr 0.01 lr 0.1\n",
    "docs/asking.md: Change many runs": "2 2 0\n[(('small',), 0.01), ((), 1.0)]\n",
    "docs/asking.md: Compare": "['optim.lr']\n",
    "docs/asking.md: sqlite-utils": "'trials']\n['completed']\n",
    "docs/asking.md: pandas": "{'acc': 0.5, 'loss': 2.0}\n",
    "docs/asking.md: DuckDB": "[('acc', 0.5), ('loss', 2.0)]\n",
    "docs/logging.md: Runs of another process": (
        "True False\nfailed {'exit_code': 137, 'signal': 'SIGKILL'}\n"
    ),
    "docs/logging.md: Groups and the trash": "[('mnist', 0, {'owner': 'ada'})]\n0 ['mnist']\n1\n",
    "docs/page.md: From a run to its page": "None\n",
    "docs/page.md: Named views": "what failed /runs?where=status+%3D+failed ",
    "docs/serving.md: A table of runs": "3 0.001\n[{'config.lr': 0.01}, {'config.lr': 0.1}]\nconfig.lr 3 ",
    "docs/serving.md: A filter that people write": "'adam' value 38 40\n['config.optimizer']\n",
    "docs/serving.md: Artifacts of many runs": "2 [0, 50]\n1 [0, 50]\n2\n",
    "docs/serving.md: Curves": " 32 [0, 32, 64] 2504\n",
    "docs/serving.md: Live": "False 1\n0\n",
    "docs/serving.md: Several calls, one moment": "(1, 1, 64)\n",
    "docs/serving.md: Threads, memory and time": "1\n",
    "docs/report.md: From Python": "2 ('loss',) ()\n",
    "docs/clusters.md: Clusters": "1\n",
    "docs/resuming.md: Store checkpoints": ("30 50 completed\n[('exptrack:rewound/1/val_loss', 6)]\n40\n"),
    "docs/resuming.md: Start another run from a checkpoint": "b'weights' ['state']\n",
    "docs/sweeps.md: A script with argparse": "",
    "docs/sweeps.md: A script with a config": "",
    "docs/running.md: From Python": "completed 0\n",
    "docs/sweeps.md: Search from Python": "'width': 64}",
}


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_the_examples_work_when_pasted(block: Block, tmp_path: Path) -> None:
    from exptrack import Archive

    (tmp_path / "config.sdn").write_text("seed: 1\n")
    if block.heading in ("sqlite-utils", "pandas", "DuckDB"):
        with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
            run.log_many("loss", None, [1.0, 3.0, float("nan")])
            run.log({"acc": 0.5})
    done = run_code(block.text, cwd=tmp_path)
    # The first run of a folder says which file it made.
    told = done.stderr.replace(f"exptrack: made the archive {os.path.realpath(tmp_path)}/exptrack.db\n", "", 1)
    assert (done.returncode, told) == (0, "")
    assert PRINTED[str(block)] in done.stdout
    assert done.stdout or not PRINTED[str(block)]


def test_each_example_says_what_it_prints() -> None:
    assert sorted(map(str, blocks("python"))) == sorted(PRINTED)


def test_every_block_is_of_a_kind_that_a_test_knows() -> None:
    languages = {block.language for block in blocks()}
    plain = {"", "python", "console", "sdn", "sh", "sql", "yaml"}
    assert languages <= {*plain, "{eval-rst}", "{include}", "{toctree}"}
    assert sum(text.count("```") for text in PAGES.values()) == 2 * len(blocks())


@pytest.mark.parametrize("block", blocks("sql"), ids=lambda block: block.text.split("\n")[0])
def test_the_statements_of_the_pages_run(block: Block, tmp_path: Path) -> None:
    from exptrack import Archive

    Archive(tmp_path / "lab.db").close()
    connection = sqlite3.connect(tmp_path / "lab.db")
    try:
        connection.execute(block.text, dict.fromkeys(re.findall(r":(\w+)", block.text), "x")).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("block", [one for one in blocks("sdn") if one.page != "docs/sweeps.md"], ids=str)
def test_the_configs_of_the_pages_are_read(block: Block) -> None:
    from exptrack import sdn

    values = sdn.loads(block.text)
    assert sdn.loads(sdn.dumps(values)) == values


# Commands


def test_a_console_prints_what_its_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    consoles = blocks("console")
    assert {block.page for block in consoles} == {"docs/one-file.md"}
    leave_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    for block in consoles:
        for command, printed in split_console(block.text):
            assert without_chance(run_command(command)) == without_chance(printed), command


def test_what_the_readme_says_of_files_works_after_its_quick_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = [block.text for block in blocks("python") if block.page == "README.md"]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    monkeypatch.chdir(tmp_path)
    (commands,) = [block.text for block in blocks("sh") if block.heading == "Send, merge, publish"]
    printed = [without_chance(run_command(line.partition("#")[0])) for line in commands.splitlines()]
    assert printed[:2] == [
        "extracted 1 run, 200 points, 1 blob to paper.db (SIZE)\n",
        "exptrack.db: 1 new run, 200 points, 1 blob (SIZE)\npaper.db: nothing new; 1 unchanged\n",
    ]
    assert printed[2].startswith("packed into published.db: 1 run, 200 points, 1 blob (SIZE)\n")
    assert printed[3] == "intact: 1 run, 200 points, 1 blob in 1 chunk\n"


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Each command in the shell and console blocks of the pages, with its words."""
    consoles = [
        block._replace(text="\n".join(command for command, _ in split_console(block.text)))
        for block in blocks("console")
    ]
    for block in (*blocks("sh"), *consoles):
        for line in block.text.replace("\\\n", "").splitlines():
            for part in " ".join(shlex.quote(word) for word in shlex.split(line, comments=True)).split(
                " '&&' "
            ):
                if part:
                    yield f"{block.page}: {line}", shlex.split(part)


def without_db(words: list[str]) -> list[str]:
    return words[2:] if words[0] == "--db" else words


EXPTRACK_LINES = [(line, without_db(words[1:])) for line, words in command_lines() if words[0] == "exptrack"]


@pytest.mark.parametrize(("line", "words"), EXPTRACK_LINES, ids=[line for line, _ in EXPTRACK_LINES])
def test_the_commands_of_the_pages_are_commands(line: str, words: list[str]) -> None:
    import click

    from exptrack.cli import main

    main.load()
    command: click.Command = main
    rest = list(words)
    while isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
    given = command.make_context(command.name, list(rest)).params
    for where in given.get("where") or ():
        parse_filter(where)
    for order in (given.get("order"), given.get("columns")):
        if order:
            parse_order(order)


def test_every_command_is_shown_in_a_page_and_named_in_the_changelog() -> None:
    import click

    from exptrack.cli import main

    main.load()

    def leaves(group: click.Group, before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name, command in group.commands.items():
            if isinstance(command, click.Group):
                yield from leaves(command, (*before, name))
            else:
                yield (*before, name)

    shown = [tuple(words) for _, words in EXPTRACK_LINES]
    missing = [one for one in leaves(main, ()) if not any(words[: len(one)] == one for words in shown)]
    assert missing == []
    changelog = PAGES["CHANGELOG.md"]
    assert [name for name in main.commands if f"`{name}`" not in changelog] == []


def test_the_page_of_commands_is_generated_from_all_of_them() -> None:
    (block,) = [one for one in blocks("{eval-rst}") if one.page == "docs/cli.md"]
    assert block.text.split() == [*".. click:: exptrack.cli:main :prog: exptrack :nested: full".split()]


def test_the_other_commands_name_what_there_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = set(project["optional-dependencies"])
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for line, words in command_lines():
        if words[0] == "pip":
            assert set(re.findall(r"\w+", "".join(re.findall(r"\[(.*?)\]", line)))) <= extras, line
        elif words[0] == "make":
            assert set(words[1:]) <= targets, line
        elif words[:2] == ["python", "-m"] and words[2].startswith("benchmarks."):
            assert (ROOT / f"{words[2].replace('.', '/')}.py").exists(), line
    for page, name in (
        (page, name) for page, text in PAGES.items() for name in re.findall(r"-m benchmarks\.(\w+)", text)
    ):
        assert (ROOT / "benchmarks" / f"{name}.py").exists(), page
    assert set(re.findall(r"`(\w+)`", PAGES["docs/start.md"].split("| extra |")[1].split("##")[0])) >= extras


# The checks that everybody runs


def test_all_places_run_the_same_checks() -> None:
    """The Makefile, the workflow and .ci/run do not differ in what they call."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8")
    (test_command,) = re.findall(r'^pip install -e "\.\[test\]" && python (-m pytest.*)$', README, re.MULTILINE)
    recipes = dict(re.findall(r"^(\w+):\n((?:\t.*\n)+)", makefile, re.MULTILINE))
    assert set(recipes) == {"setup", "check", "test", "docs", "bench"}
    calls = [
        line.removeprefix("\t$(PYTHON) ")
        for name in ("check", "test", "docs")
        for line in recipes[name].splitlines()
    ]
    assert test_command in calls
    assert re.findall(r"- run: python (-m (?!pip).*)", workflow) == calls
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "sphinx -q -W --keep-going -b html docs build/docs" in ci
    for check in ("ruff check .", "ruff format --check .", "mypy"):
        assert f"\n{check}\n" in ci


@pytest.mark.skipif(os.name != "posix", reason="the script is for bash")
def test_the_tests_run_on_the_oldest_and_the_newest_python_that_works(tmp_path: Path) -> None:
    """A name on PATH may lead to nothing, to a version that is too old, or to one that is not released."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    choice = script[script.index("\nis_suitable=") : script.index("\n# The tools by which")]
    works = f'exec {sys.executable} "$@"'
    for name, does in {
        "python3": works,
        "python3.38": works,  # the same version by another name
        "python3.39": "echo 3.39 /somewhere/python3.39",
        "python3.40": "echo pyenv: python3.40: command not found >&2; exit 127",
        "pyenv": f"echo {tmp_path}/root",
        "root/versions/3.10.0/bin/python": "exit 0",
        "root/versions/3.37.1/bin/python": "echo 3.37 /somewhere/python3.37",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    said = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", choice],
        env={"PATH": f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    listed = [line.split(" ", 1) for line in said[1:-1]]
    minors = [int(version.split(".")[1]) for version, _ in listed]
    assert minors == sorted(set(minors))
    assert 11 <= minors[0] <= sys.version_info.minor
    assert minors[-2:] == [37, 39]
    assert said[-1] == f"the tests run on Python 3.{minors[0]} and 3.39"
    mine = dict(listed)[f"3.{sys.version_info.minor}"]
    assert Path(mine).resolve() == Path(sys.executable).resolve()


def test_the_classifiers_claim_no_version_that_the_workflow_does_not_try() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    claimed = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    workflow = (ROOT / ".github" / "workflows" / "check.yml").read_text(encoding="utf-8")
    tried = json.loads(re.search(r"python: (\[.*\])", workflow)[1])  # type: ignore[index]
    assert claimed
    assert set(claimed) <= set(tried)
    assert project["requires-python"] == f">={claimed[0]}"


# Links and words


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        place = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert place.is_file(), target
        if anchor:
            assert anchor in anchors(place.read_text(encoding="utf-8")), target


def sentences(text: str) -> Iterator[str]:
    """The sentences of a page, code and markup left out; a code word counts as one word."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`\n]+`", "code", text))
    text = re.sub(r"^\|.*$", lambda row: "\n\n".join(row[0].split("|")), text, flags=re.MULTILINE)
    for part in re.split(r"\n\s*\n|\n(?=\s*(?:[-:#*]|\d+\.) )", text):
        yield from re.split(r"(?<=[.!?])\s+", " ".join(part.split()))


@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/schema.md"])
def test_a_sentence_is_short_and_names_who_does_it(page: str) -> None:
    for sentence in sentences(PAGES[page]):
        assert len(re.findall(r"[\w’'./-]*\w[\w’'./-]*", sentence)) <= 25, sentence
        assert not re.search(r"\b(whoever|nobody|somebody|someone)\b", sentence, re.IGNORECASE), sentence
        assert not re.match(r"(What|Who) (?!.*\?)", sentence), sentence


def test_the_readme_is_three_screens() -> None:
    assert len(README.splitlines()) <= 120


def test_every_picture_of_the_page_is_drawn_and_shown() -> None:
    names = {path.name for path in DOCS.glob("page-*.png")}
    assert names == {f"page-{name}.png" for name in script("screenshots").PICTURES}
    for name in names:
        assert sum(f"{name})" in text for text in PAGES.values()) == 1, name


def test_the_glossary_is_in_order() -> None:
    words = re.findall(r"^\*\*(.+)\*\*$", PAGES["docs/glossary.md"], re.MULTILINE)
    assert words == sorted(words, key=str.lower)
    assert len(words) >= 40


def test_the_picture_shows_the_commands_of_its_script_and_asks_no_network() -> None:
    picture = (DOCS / "terminal.svg").read_text(encoding="utf-8")
    words = "".join(xml.etree.ElementTree.fromstring(picture).itertext()).replace("\u00a0", " ")
    for question in script("picture").QUESTIONS:
        assert question.split("\n")[0].split("{")[0].strip(" \\") in words
    assert "@font-face" not in picture
    assert "url(http" not in picture


def test_the_picture_of_the_view_shows_what_its_script_does_and_asks_no_network() -> None:
    picture = (DOCS / "tui.svg").read_text(encoding="utf-8")
    words = "".join(xml.etree.ElementTree.fromstring(picture).itertext()).replace("\u00a0", " ")
    drawing = script("tui_picture")
    assert drawing.ORDER in words
    assert f"{drawing.MARKED} marked" in words
    assert "@font-face" not in picture
    assert "url(http" not in picture
    assert sum("(tui.svg)" in text for text in PAGES.values()) == 1


# The API


def test_the_site_has_every_public_name_once() -> None:
    import exptrack

    pages = script("built").pages()
    text = "\n".join(page for name, page in pages.items() if name.startswith("api-"))
    documented = re.findall(r"^\.\. (?:auto\w+|py:data|py:module):: exptrack\.(\w+)$", text, re.MULTILINE)
    assert sorted(documented) == sorted(exptrack.__all__)
    for name in exptrack.sdn.__all__:
        assert re.search(rf":: exptrack\.(?:sdn\.)?{name}$", text, re.MULTILINE), name
    assert "register_checkpoint, " in text, "methods of a class are on its page"


def test_the_page_of_files_has_every_file() -> None:
    listed = script("built").pages()["files.rst"]
    for path in PACKAGE.rglob("*.py"):
        assert path.name == "__init__.py" or f"``{path.name}``" in listed, path


def test_the_page_of_durability_names_every_power_safe_call() -> None:
    import exptrack

    page = PAGES["docs/durability.md"]
    classes = [thing for name in exptrack.__all__ if inspect.isclass(thing := getattr(exptrack, name))]
    calls = {
        name
        for one in classes
        for name, call in inspect.getmembers(one)
        if "power-safe" in (inspect.getdoc(call) or "")
    }
    calls -= {"log_metric"}  # speaks of flush()
    assert len(calls) >= 8
    assert [name for name in sorted(calls) if not re.search(rf"\b{name}`", page)] == []


def tables(page: str) -> Iterator[list[list[str]]]:
    """The tables of a page: rows of cells, the head first, without the line below it."""
    for table in re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        yield [rows[0], *rows[2:]]


def test_every_row_of_the_page_of_durability_names_its_test() -> None:
    """The last column names ``file::function`` below tests/. No test can show the lack of locks elsewhere."""
    reasoned = 0
    found = list(tables(PAGES["docs/durability.md"]))
    assert len(found) >= 15
    for head, *rows in found:
        assert head[-1] == "test", head
        for row in rows:
            assert len(row) == len(head), row
            reasoned += row[-1] == "by reasoning"
            if row[-1] != "by reasoning":
                assert re.fullmatch(r"`[\w/.]+::\w+`(, `[\w/.]+::\w+`)*", row[-1]), row
                for name in re.findall(r"`(.+?)`", row[-1]):
                    require_test(name)
    assert reasoned <= 2, "a claim without a test is an exception"


def require_test(name: str) -> None:
    file, _, function = name.partition("::")
    text = (ROOT / "tests" / file).read_text(encoding="utf-8")
    assert re.search(rf"^def {function}\(" if function else "^def test_", text, re.MULTILINE), name


def test_the_prose_of_durability_names_tests_that_exist() -> None:
    names = re.findall(r"`((?:\w+/)?test_\w+\.py(?:::\w+)?)`", PAGES["docs/durability.md"])
    assert len(names) >= 100
    for name in names:
        require_test(name)


def test_the_page_of_architecture_has_every_room_and_no_file_that_is_gone() -> None:
    page = PAGES["docs/architecture.md"]
    for folder in sorted(path.parent for path in PACKAGE.glob("*/__init__.py")):
        assert f"{folder.name}/" in page, folder.name
    for room, file in re.findall(r"`(\w+)/(\w+)`", page):
        assert not (PACKAGE / room).is_dir() or (PACKAGE / room / f"{file}.py").is_file(), f"{room}/{file}"


def events_of_the_code() -> set[str]:
    """The kinds of events that the code records: texts, and constants of the file."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for literal, name in re.findall(r'record_event\(\s*[^,]+,\s*[^,]+,\s*(?:"([^"]+)"|([A-Z_]+)\b)', text):
            found.add(literal or name)
        found |= set(re.findall(r"\b(?!INSERT)[A-Z_]+_EVENT\b(?=[^\n]* = )", text))
    constants = {name for name in found if name.isupper()}
    for name in constants:
        files = [
            path for path in PACKAGE.rglob("*.py") if re.search(rf"^.*\b{name}\b.* = ", path.read_text(), re.M)
        ]
        module = importlib.import_module(".".join(files[0].relative_to(ROOT).with_suffix("").parts))
        found.add(getattr(module, name))
    return found - constants


def test_the_page_of_the_format_names_every_event_and_every_kind_of_row() -> None:
    from exptrack.runs.row_sums import OF_GROUP, OF_RUN, OF_STUDY, OF_TRIAL

    page = PAGES["docs/format.md"]
    events = page.split("**Events.**")[1].split("**Settings")[0]
    kinds = {
        kind
        for row in re.findall(r"^\| (`.*?) \|", events, re.MULTILINE)
        for kind in re.findall("`(.+?)`", row)
    }
    assert kinds == events_of_the_code()
    sums = page.split("### The sum of rows")[1].split("### Points")[0]
    for rows in (*OF_RUN, *OF_GROUP, *OF_STUDY, *OF_TRIAL):
        assert f"`{rows.kind}`" in sums
    given = '["metric_journal","0badcafe",17]'
    digest = hashlib.sha256(given.encode()).digest()
    assert f"`{given}`, and so {int.from_bytes(digest[:8], 'big', signed=True)}." in page


# The schema


SECOND = """-- Archive, format 2.

-- Where a run took place.
CREATE TABLE place (
    id INTEGER PRIMARY KEY,
    city TEXT NOT NULL              -- as people write it
) STRICT;
ALTER TABLE note ADD COLUMN mood TEXT; -- of the author
ALTER TABLE run_tag RENAME TO label;
ALTER TABLE label RENAME COLUMN tag TO word;
DROP VIEW tags;
-- One row for each label of each run.
CREATE VIEW tags AS
SELECT
    r.run_id,
    t.word AS tag,
    t.added_at                      -- when it was put there
FROM label AS t
LEFT JOIN run AS r ON r.id = t.run;
DROP VIEW lineage;
"""


def sections(page: str) -> dict[str, str]:
    """The part of each table or view in the page of the schema."""
    return dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))


def test_the_page_of_the_schema_and_current_sql_are_current() -> None:
    generate = script("generate")
    assert generate.page() == SCHEMA, "python docs/generate.py writes it"
    assert generate.current_sql() == (ROOT / "schema" / "current.sql").read_text(encoding="utf-8")


def test_the_page_of_the_schema_has_every_table_and_view_with_every_column() -> None:
    parts = sections(SCHEMA)
    current = (ROOT / "schema" / "current.sql").read_text(encoding="utf-8")
    assert set(parts) == set(re.findall(r"^CREATE (?:TABLE|VIEW) \"?(\w+)", current, re.MULTILINE))
    assert "`heartbeat_at` | text | when its process was last heard of" in parts["run"]
    assert "`duration_s` | real | of a running run" in parts["runs"]
    assert "`source_name` | text | file, relative" in parts["configs"], "a view tells what its table says"


def test_a_later_migration_has_the_last_word(tmp_path: Path) -> None:
    """Columns are those after every migration, words those of the file that defined them last."""
    for file in script("generate").migrations(ROOT / "schema"):
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"))
    (tmp_path / "9999_invent_places.sql").write_text(SECOND)
    page = script("generate").page(tmp_path)
    parts = sections(page)
    assert set(sections(SCHEMA)) ^ set(parts) == {"run_tag", "label", "place", "lineage"}
    assert "Where a run took place." in parts["place"]
    assert "| `city` | text | as people write it |" in parts["place"]
    assert "| `mood` | text | of the author |" in parts["note"]
    assert "| `word` | text |" in parts["label"]
    assert "One row for each label of each run." in parts["tags"]
    assert "| `added_at` | text | when it was put there |" in parts["tags"]
    assert list(parts).index("tags") < list(parts).index("notes"), "a view that is made anew keeps its place"
    assert "`heartbeat_at` | text | when its process was last heard of" in parts["run"]


def test_every_view_says_what_a_row_is_and_is_listed_where_people_ask() -> None:
    views = SCHEMA.split("## Views")[1].split("## Tables")[0]
    for part in views.split("### ")[1:]:
        name, _, rest = part.partition("\n\n")
        assert not rest.startswith("|"), name
        assert f"`{name}`" in PAGES["docs/asking.md"]


def test_the_ten_questions_are_printed_as_they_are() -> None:
    text = (ROOT / "schema" / "questions.sql").read_text(encoding="utf-8")
    questions = [block.partition("\n")[2].partition("\n") for block in text.split("-- name: ")[1:]]
    assert len(questions) == 10
    for words, _, sql in questions:
        assert f"{words.removeprefix('-- ')}\n\n```sql\n{sql.strip()}\n```" in PAGES["docs/asking.md"]


# Filters and sweeps


@pytest.mark.parametrize("word", [*FACTS, *CONFIG_ROOTS, *STATISTICS])
def test_the_page_of_filters_explains_every_field(word: str) -> None:
    assert re.search(rf"[`.]{word}[`.]", FILTERS)


def test_the_filters_of_the_page_are_filters() -> None:
    assert sum("--where" in line for line, _ in EXPTRACK_LINES if line.startswith("docs/filters.md")) >= 7
    parse_filter(FILTERS.split("```")[1])


@pytest.mark.parametrize(
    "word", [*TOP, *FIELDS, *DIRECTIONS, *REDUCTIONS, *SAMPLERS, *PRUNERS, "grid", "reduce"]
)
def test_the_page_of_sweeps_explains_every_word_of_the_file(word: str) -> None:
    assert f"`{word}`" in SWEEPS


def test_the_sweep_files_of_the_page_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.sdn").write_text("seed: 1\n")
    found = [block.text for block in blocks("sdn") if block.page == "docs/sweeps.md"]
    assert len(found) == 2
    for number, text in enumerate(found):
        file = tmp_path / f"{number}.sdn"
        file.write_text(text)
        assert len(load_sweep(file).space) >= 4
    (written,) = blocks("yaml")
    (tmp_path / "sweep.yaml").write_text(written.text)
    assert load_sweep(tmp_path / "sweep.yaml").name == "train"
