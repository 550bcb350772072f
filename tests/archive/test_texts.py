"""A text of a class of its own is stored, and asked for, as the text that it equals."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np
import pytest

from exptrack import Archive, ExpConfig, InvalidValueError, RunFilter, RunStatus, merge_configs, sdn
from tests.faults.nasty_values import LIE, EqualToAll, Liar, LoneLiar, Metric, Name

TEXTS = [Metric.LOSS, Name.LOSS, np.str_("loss"), Liar("loss"), LoneLiar("loss"), EqualToAll("loss")]


def tell(archive: Archive, text: Any) -> str:
    """Give the text wherever a run takes one; return the run's id."""
    with archive.start_run({"opt": text, text: 1}, [text], name=text, group=text, data=[text]) as run:
        run.log_metric(text, 1.0)
        run.log_metric(text, 2)
        run.log({text: 3.0}, 2)
        run.log_many(text, None, [4.0])
        run.add_note(text)
        run.add_tag(text)
        run.append_event(text, {text: text})
        run.artifacts.register_data(text, text, {text: text})
        run.log_text("said", text, caption=text)
        run.log_table("rows", [{text: text}])
        run.use_artifact(text)
    return run.run_id


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: type(text).__name__)
def test_a_text_of_any_class_is_stored_as_the_text_that_it_equals(archive: Archive, text: str) -> None:
    run_id = tell(archive, text)
    plain = tell(archive, "loss")
    found, expected = archive.show_run(run_id), archive.show_run(plain)
    assert found.summary.fingerprint == expected.summary.fingerprint
    assert (found.summary.name, found.summary.group, found.summary.tags) == ("loss", "loss", ("loss",))
    assert found.summary.metrics == {"loss": 4.0}
    assert found.config == expected.config
    assert [note.text for note in found.notes] == ["loss"]
    kinds = [event.kind for event in found.events]
    assert kinds == [event.kind for event in expected.events]
    assert [one.metadata for one in found.artifacts] == [one.metadata for one in expected.artifacts]
    assert archive.artifacts(run_id).get_blob("loss") == "loss"
    connection = sqlite3.connect(archive.path)
    dump = "\n".join(connection.iterdump())
    connection.close()
    assert LIE not in dump
    assert "Name.LOSS" not in dump


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: type(text).__name__)
def test_a_text_of_any_class_asks_for_the_text_that_it_equals(archive: Archive, text: str) -> None:
    run_id = tell(archive, "loss")
    run = archive.get_run(run_id)
    assert len(run.get_metric(text)) == len(run.series(text)) == 4
    assert run.config.get(text) == run.config[text] == 1
    assert text in run.config
    assert run.artifacts.get_blob(text) == "loss"
    assert archive.find_artifact(text).name == "loss"
    assert [one.run_id for one in archive.runs().where("name = ?", text)] == [run_id]
    assert archive.runs().where("config.opt = ?", text).count() == 1
    assert archive.runs().tagged(text).in_group(text).count() == 1
    assert len(archive.list_runs(RunFilter.by_tag(text) & RunFilter(group=text))) == 1
    assert archive.sql("SELECT name FROM runs WHERE name = ?", [text]).rows == (("loss",),)
    best = archive.best_run(text, "minimize")
    assert best is not None
    assert best.run_id == run_id
    assert [len(group.run_ids) for group in archive.group_by(text, text)] == [1]
    archive.create_view(text, ["name"])
    assert [view.name for view in archive.list_views()] == ["loss"]
    archive.drop_view(text)


def test_a_config_holds_plain_values(archive: Archive) -> None:
    config = ExpConfig({Name.LOSS: [Name.LOSS, {"a": Liar("x")}], "path": np.str_("p")})
    assert config == ExpConfig({"loss": ["loss", {"a": "x"}], "path": "p"})
    assert sdn.dumps({Name.LOSS: Liar("x")}) == "loss: x\n"
    assert sdn.set_value("a: 1\n", Liar("a"), (Name.LOSS, 2)) == "a: [loss, 2]\n"
    assert config.with_override("path", Liar("q")).get("path") == "q"
    assert merge_configs({Name.LOSS: 1}, {"loss": 2}).values == {"loss": 2}


def test_a_name_never_becomes_sql(archive: Archive) -> None:
    class Injection(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "x AS SELECT 1; DROP TABLE run; --"

        __format__ = lambda self, _form: str(self)  # noqa: E731  # type: ignore[assignment]

    archive.create_view(Injection("fine"), ["name"])
    assert [view.name for view in archive.list_views()] == ["fine"]
    with pytest.raises(InvalidValueError, match="the name of a view"):
        archive.create_view(Injection("x; DROP TABLE run"), ["name"])
    assert archive.info(count_rows=True).rows["run"] == 0


def test_two_keys_that_are_the_same_text_are_refused(archive: Archive) -> None:
    class Apart(str):
        __slots__ = ()
        __hash__ = object.__hash__  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return self is other

    with archive.start_run() as run:
        with pytest.raises(InvalidValueError, match="the same text"):
            run.log({Apart("loss"): 1.0, Apart("loss"): 2.0})
        assert run.get_metric("loss") == []


def test_states_and_words_are_taken_by_their_text(archive: Archive) -> None:
    class Word(str):
        __slots__ = ()

        def __str__(self) -> str:
            return LIE

    with archive.start_run() as run:
        run.finish(Word("failed"), Word("because"))
    assert run.status is RunStatus.FAILED
    assert archive.runs().with_status(Word("failed")).count() == 1
    assert archive.list_runs()[0].reason == "because"
