"""Notebooks show what is handed out: escaped, bounded, and as a sentence where it cannot be read."""

from __future__ import annotations

import html.parser
import math
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import exptrack
from exptrack import Archive, ExpConfig, RecordList, RunQuery, Sampler, Trial
from exptrack.markup import notebook
from exptrack.records import MetricPoint
from tests.archive.everything import make, public_classes

# What notebooks show as text: they hold nothing of an archive, or only follow one.
AS_TEXT = {"TimeLimit", "RunWatch", "Tail", "RunStatus", "TrialState", "OptunaStorage"}
TAGS = set(
    "div style details summary table thead tbody tr th td bdi p br small span figure figcaption img"
    " svg g path text title desc".split()
)
HOSTILE = "<img src=x onerror=alert(1)>\"'&</style><script>alert(2)</script>"


class Reader(html.parser.HTMLParser):
    """Reads a block: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def read(thing: Any) -> Reader:
    """What a notebook shows of an object, after what holds for all of them was checked."""
    text = thing._repr_html_()
    assert len(text) < 100_000
    found = Reader(text)
    assert found.open == []
    assert {tag for tag, _ in found.tags} <= TAGS
    for tag, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("href", "srcset")]
        assert tag == "img" or "src" not in attributes
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
    assert found.tags[0] == ("div", {"class": notebook.CLASS})
    return found


def test_every_rule_of_the_style_acts_on_the_block_alone() -> None:
    style = notebook._read_style()
    rules = [one for one in style.split("}") if "{" in one]
    for rule in rules:
        selectors = rule.partition("{")[0].rpartition("*/")[2]
        assert all(f".{notebook.CLASS}" in one for one in selectors.split(",")), rule
    assert "url(" not in style
    assert "@import" not in style


def test_a_notebook_shows_one_object_of_each_public_class(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        made = make(archive, tmp_path)
        classes = public_classes()
        shown = {name for name, thing in made.items() if type(thing) is classes.get(name)} - AS_TEXT
        for name in shown:
            assert read(made[name]).text, name
        assert set(classes) - shown == AS_TEXT & set(classes) | {"Study"}  # that one is Optuna's
        for name, thing in made.items():
            assert len(repr(thing)) < 4_000, name


# Hostile texts


def name_everything(archive: Archive, words: str) -> list[Any]:
    """Put a text wherever an archive takes one, and return what shows it."""
    with archive.start_run({words: words, "lr": 0.1}, [words], name=words, group=words) as run:
        for step in range(3):
            run.log({words: step / 2}, step)
        run.add_note(words)
        run.set_attribute("said", words)
        run.append_event("told", {words: words})
        run.artifacts.register_data(words, words, {words: words}, description=words)
        run.log_image(words + " image", Image.new("RGB", (4, 4)), caption=words)
        run.log_table("rows", [{words: words}])
    with archive.start_run({words: words + "!", "lr": 0.2}, name="other") as other:
        other.log({words: 0.3}, 0)
    study = archive.create_study(words, sampler=Sampler.random(seed=1))

    def objective(trial: Trial) -> float:
        trial.suggest_choice(words, [words])
        return 0.5

    study.optimize(objective, n_trials=2)
    return [
        *(run, archive.show_run(run), archive.list_runs(), archive.runs(), archive.compare([run, other])),
        *(archive.diff_runs(run, other), archive.best_runs(words, "min"), run.notes, run.inputs, run.artifacts),
        *(archive.read_events(run), archive.series(run, words), archive.curves([run, other], words)),
        *(archive.align([run, other], words, label="name"), archive.fields(), study, study.results()),
        *(
            study.frame(),
            archive.studies(),
            archive.trials(words),
            run.config,
            ExpConfig({"deep": {words: words}}),
        ),
        archive.sql("SELECT name FROM run"),
        *(
            run.artifacts.get_artifact(words),
            archive.list_groups(),
            run.use_artifact(f"{run.run_id}/{words} image"),
        ),
    ]


def test_hostile_texts_are_shown_as_texts(archive: Archive) -> None:
    shown = [(type(one).__name__, read(one)) for one in name_everything(archive, HOSTILE)]
    whole = [name for name, found in shown if HOSTILE in found.text]
    assert {"Run", "RunDetail", "RecordList", "RunQuery", "RunComparison", "SqlResult", "ExpConfig"} <= set(
        whole
    )


def test_signs_that_turn_or_hide_text_are_spelled_out(archive: Archive) -> None:
    run = archive.start_run()
    run.add_note("a\u202eb\x1bc")
    run.complete()
    assert "a⟨U+202E⟩b␛c" in read(run).text


# Bounds


def test_much_is_cut_and_the_rest_is_counted() -> None:
    point = MetricPoint(0, 0.5, datetime(2026, 1, 1, tzinfo=UTC))
    found = read(RecordList([point] * 10_000))
    assert sum(tag == "tr" for tag, _ in found.tags) == 1 + notebook.MOST_ROWS
    assert "… and 9,980 rows more" in found.text
    config = ExpConfig({f"key{number}": "x" * 100_000 if number < 30 else number for number in range(5_000)})
    found = read(config)
    assert "… and 4,980 keys more" in found.text
    assert "(100,000 characters)" in found.text
    names = tuple(f"c{number}" for number in range(100))
    rows = exptrack.SqlResult(names, (tuple(range(100)),) * 10_000, True)
    assert "88 columns more: c12, c13" in read(rows).text
    assert repr(rows) == "SqlResult(columns=<tuple of 100>, rows=<tuple of 10,000>, truncated=True)"
    assert repr(RecordList([0.5] * 10)) == "[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, … 2 more]"


def hold_themselves() -> list[Any]:
    """Lists that hold themselves: at once, in a list, a map, a record and a tuple; and a very deep one."""
    at_once: RecordList[Any] = RecordList()
    at_once.append(at_once)
    inner: list[Any] = []
    inner.append(inner)
    held: dict[str, Any] = {"a": 1}
    held |= {"b": [held]}
    deep: list[Any] = []
    for _level in range(100_000):
        deep = [deep]
    point = MetricPoint(0, 0.5, datetime.now(UTC))._replace(value=inner)  # type: ignore[arg-type]
    return [at_once, *(RecordList([one]) for one in (inner, held, point, ([inner],), deep))]


@pytest.mark.parametrize("place", range(6))
def test_a_list_that_holds_itself_is_shown(place: int) -> None:
    assert "holds itself, or too many others in each other" in read(hold_themselves()[place]).text


@pytest.mark.parametrize("place", range(6))
def test_the_repr_of_a_list_that_holds_itself_has_a_bound(place: int) -> None:
    assert len(repr(hold_themselves()[place])) < 500


def test_a_long_series_is_drawn_in_few_points(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log_many("loss", None, [math.nan, *(1 / (step + 1) for step in range(30_000)), math.inf])
    found = read(run.series("loss"))
    assert ("svg", "chart") in [(tag, attributes.get("class")) for tag, attributes in found.tags]
    assert "30,002 points" in found.text
    assert "no finite value" in read(run.series("unheard")).text


def test_what_every_row_lacks_has_no_column(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log({"loss": 0.5, "system/cpu_percent": 3.0})
    text = read(archive.list_runs()).text
    assert "metrics.loss" in text
    assert "group" not in text
    assert "system/" not in text


def test_runs_are_compared_by_their_names(archive: Archive) -> None:
    runs = []
    for name, loss in (("a", 0.5), ("b", 0.25)):
        with archive.start_run({"lr": 0.1}, name=name) as run:
            run.log({"loss": loss})
        runs.append(run)
    text = read(archive.compare(runs)).text
    assert "No config key differs." in text
    assert "metric a b loss 0.5 0.25" in " ".join(text.split())


# Pictures


def test_images_are_shown_as_small_pictures(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with archive.start_run() as run:
        run.log_image("big", Image.new("RGB", (900, 600)), step=7)
        (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot one")
        run.artifacts.register_file("broken", tmp_path / "broken.png")
    for thing in (run, run.artifacts):
        found = read(thing)
        (picture,) = [attributes for tag, attributes in found.tags if tag == "img"]
        assert (picture["width"], picture["height"], picture["alt"]) == ("128", "85", "big at step 7")
        assert "broken is not shown: artifact 'broken' begins like image/png, but is damaged" in found.text
    assert "img" in [tag for tag, _ in read(run.use_artifact(f"{run.run_id}/big")).tags]
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "big is not shown: " in read(run.artifacts).text


# What cannot be read


def live(archive: Archive) -> Iterator[Any]:
    """What reads the archive when it is shown."""
    run = archive.start_run()
    run.complete()
    yield from (archive, run, archive.runs(), run.artifacts, archive.create_study("s"))


def test_what_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        things = list(live(archive))
        texts = [repr(thing) for thing in things]
    for thing, text in zip(things, texts, strict=True):
        assert repr(thing) == text
        found = read(thing)
        assert text in found.text
        assert "This cannot be read now: " in found.text


def test_damage_is_a_sentence(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        things = list(live(archive))
    with sqlite3.connect(tmp_path / "lab.db") as raw:
        raw.execute("PRAGMA ignore_check_constraints = ON")
        raw.execute("UPDATE run SET started_at = 'never', status = 'odd'")
    raw.close()
    with Archive(tmp_path / "lab.db", mode="ro") as archive:
        queries: list[RunQuery | Archive] = [archive, archive.runs()]
        for thing in queries:
            assert "This cannot be read now: " in read(thing).text
    assert things


def test_a_run_that_was_deleted_is_a_sentence(archive: Archive) -> None:
    run = archive.start_run()
    run.complete()
    archive.delete_run(run)
    assert f"This cannot be read now: there is no run '{run.run_id}'" in read(run).text


# In a notebook

CELLS = [
    f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\nimport exptrack",
    "archive = exptrack.Archive('lab.db')\n"
    "with archive.start_run({'lr': 0.1}, name='<b>first</b>') as run:\n"
    "    run.log({'loss': 0.5})\n"
    "run",
    "archive.runs()",
    "archive.list_runs()",
    "archive.close()\nrun",
]
PLAY = """
import sys, json, nbformat
from nbclient import NotebookClient
cells = [nbformat.v4.new_code_cell(text) for text in json.load(sys.stdin)]
book = nbformat.v4.new_notebook(cells=cells)
NotebookClient(book, timeout=120, kernel_name="python3").execute()
print(json.dumps([[one["data"] for one in cell["outputs"] if "data" in one] for cell in book.cells]))
"""


def test_a_real_notebook_shows_them(tmp_path: Path) -> None:
    import json

    done = subprocess.run(
        [sys.executable, "-c", PLAY], input=json.dumps(CELLS), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    _imports, (run,), (query,), (runs,), (closed,) = json.loads(done.stdout.splitlines()[-1])
    assert run["text/plain"].startswith("<Run ")
    for shown in (run, query, runs):
        assert "<b>first</b>" in Reader(shown["text/html"]).text
    assert query["text/plain"] == "<RunQuery of all runs in lab.db>"
    assert "cannot be read now" in Reader(closed["text/html"]).text
