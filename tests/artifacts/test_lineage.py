"""What was made from what: references to artifacts, uses, and the way up and down from a run or a hash."""

from __future__ import annotations

import hashlib
import itertools
import sqlite3

import pytest

from exptrack import (
    AmbiguousHashError,
    AmbiguousRunError,
    Archive,
    ArtifactNotFoundError,
    InvalidTypeError,
    InvalidValueError,
    Run,
    RunNotFoundError,
)
from tests.changes import trace


def run_with(archive: Archive, name: str, *contents: bytes) -> Run:
    """A finished run with these versions of an artifact."""
    with archive.start_run() as run:
        for content in contents:
            run.artifacts.register_data(name, content)
    return run


def user(archive: Archive, *references: object, makes: str = "") -> Run:
    """A finished run that used these and made an artifact."""
    with archive.start_run() as run:
        for reference in references:
            run.use_artifact(reference)
        if makes:
            run.artifacts.register_data(makes, makes.encode())
    return run


def found(archive: Archive, reference: object) -> tuple[str, str, int]:
    artifact = archive.find_artifact(reference)
    return artifact.run_id, artifact.name, artifact.version


def test_an_artifact_is_found_by_record_hash_name_and_run(archive: Archive) -> None:
    a = run_with(archive, "model", b"a1", b"a2")
    b = run_with(archive, "model", b"b1")
    record = a.artifacts.get_artifact("model", 1)
    assert record is not None
    for reference, run, version in (
        (record, a, 1),
        (record.hash, a, 1),
        (record.hash[:13], a, 1),
        (f"sha256:{record.hash[7:20].upper()}", a, 1),
        ("model", b, 1),
        ("model:latest", b, 1),
        ("model:v1", b, 1),
        ("model:v2", a, 2),
        (f"{a.run_id}/model", a, 2),
        (f"{a.run_id}/model:v1", a, 1),
        (f"{a.run_id}/model:latest", a, 2),
        (f"{a.run_id[:-1]}/model:v1", a, 1),
    ):
        assert found(archive, reference) == (run.run_id, "model", version), reference


@pytest.mark.parametrize(
    "name", ["a/b", "a/b/c", "model:v1", "model:latest", "model:v2/x", "x:y", "/", ":", "a//b", "v1:v2:v3"]
)
def test_a_name_with_slashes_and_colons_is_found_as_a_whole_first(archive: Archive, name: str) -> None:
    run_with(archive, "model", b"1", b"2")
    run = run_with(archive, name, b"x1", b"x2")
    assert found(archive, name) == (run.run_id, name, 2)
    assert found(archive, f"{name}:v1") == (run.run_id, name, 1)
    assert found(archive, f"{run.run_id}/{name}") == (run.run_id, name, 2)
    assert found(archive, f"{run.run_id}/{name}:v1") == (run.run_id, name, 1)
    assert found(archive, f"{run.run_id}/{name}:latest") == (run.run_id, name, 2)


def test_unknown_references_are_not_found(archive: Archive) -> None:
    run = run_with(archive, "model", b"1", b"2")
    run.artifacts.remove("model", 1)
    for reference in (
        "none",
        "model:v1",
        "model:v9",
        "model:v0",
        f"{run.run_id}/none",
        f"{run.run_id}/model:v1",
    ):
        with pytest.raises(ArtifactNotFoundError):
            archive.find_artifact(reference)
    for reference in ("/model", f"{run.run_id}/", "sha256:000000", "sha256:zzzzzz", "Model", "mod", "model:V2"):
        with pytest.raises(ArtifactNotFoundError):
            archive.find_artifact(reference)
    with pytest.raises(RunNotFoundError):
        archive.find_artifact("zzzz/model")


def test_ambiguous_references_are_refused(archive: Archive) -> None:
    contents = same_beginning()
    run = run_with(archive, "a", contents[0])
    run_with(archive, "b", contents[1])
    prefix = "sha256:" + hashlib.sha256(contents[0]).hexdigest()[:6]
    with pytest.raises(AmbiguousHashError) as caught:
        archive.find_artifact(prefix)
    assert len(caught.value.candidates) == 2
    assert "…" not in str(caught.value), "no candidate is left out"
    with pytest.raises(AmbiguousHashError):
        archive.lineage(prefix)
    with pytest.raises(AmbiguousRunError):
        archive.find_artifact(f"{run.run_id[:2]}/a")
    with pytest.raises(InvalidValueError, match="too short"):
        archive.find_artifact(prefix[:-1])


def same_beginning() -> list[bytes]:
    """Two contents whose hashes begin with the same six digits."""
    seen: dict[str, bytes] = {}
    for number in itertools.count():
        content = str(number).encode()
        digest = hashlib.sha256(content).hexdigest()[:6]
        if digest in seen:
            return [seen[digest], content]
        seen[digest] = content
    raise AssertionError("unreachable")


def test_a_hash_that_only_uses_remember_is_ambiguous_too(archive: Archive) -> None:
    contents = same_beginning()
    runs = [run_with(archive, "a", content) for content in contents]
    user(archive, *(f"{run.run_id}/a" for run in runs))
    archive.delete_run(*(run.run_id for run in runs))
    with pytest.raises(AmbiguousHashError):
        archive.lineage("sha256:" + hashlib.sha256(contents[0]).hexdigest()[:6])


def test_a_use_is_recorded_once_and_can_be_read(archive: Archive) -> None:
    origin = run_with(archive, "model", b"weights")
    with archive.start_run() as run:
        used = run.use_artifact("model")
        run.use_artifact(f"{origin.run_id}/model:v1")
        assert used.read() == b"weights"
        with used.open() as file:
            assert file.read(3) == b"wei"
        assert used.export("here.bin").read_bytes() == b"weights"
    (use,) = run.inputs
    assert (use.from_run, use.name, use.version) == (origin.run_id, "model", 1)
    assert [event.kind for event in run.read_events()].count("use") == 1
    assert archive.show_run(run.run_id).inputs == run.inputs


def test_a_reference_that_leads_nowhere_records_nothing(archive: Archive) -> None:
    run = archive.start_run()
    for wrong in ("none", "zzz/none", "sha256:00000000"):
        with pytest.raises(LookupError):
            run.use_artifact(wrong)
    with pytest.raises(InvalidTypeError):
        run.use_artifact(3)
    assert run.inputs == ()
    assert [event.kind for event in run.read_events()] == ["start"]


def test_a_run_that_another_process_deletes_meanwhile_uses_nothing(archive: Archive) -> None:
    run_with(archive, "model", b"x")
    user = archive.start_run()
    user.complete()
    with Archive(archive.path) as other:

        def delete(statement: str) -> None:
            if statement.startswith("BEGIN"):
                trace(archive._connection, None)
                other.delete_run(user)

        trace(archive._connection, delete)
        with pytest.raises(RunNotFoundError, match=user.run_id):
            user.use_artifact("model")


def test_lineage_leads_up_and_down_from_a_run_and_from_a_hash(archive: Archive) -> None:
    data = run_with(archive, "data", b"d1", b"d2")
    model = user(archive, f"{data.run_id}/data:v1", makes="model")
    left, right = user(archive, "model", makes="left"), user(archive, "model", makes="right")
    last = user(archive, "left", "right")
    up = archive.lineage(last.run_id)
    assert [(u.run_id, u.name) for u in up.upstream] == [
        (last.run_id, "left"),
        (last.run_id, "right"),
        (left.run_id, "model"),
        (right.run_id, "model"),
        (model.run_id, "data"),
    ]
    assert up.downstream == ()
    down = archive.lineage(data.run_id)
    assert down.upstream == ()
    assert {u.run_id for u in down.downstream} == {model.run_id, left.run_id, right.run_id, last.run_id}
    used, unused = (data.artifacts.get_artifact("data", version) for version in (1, 2))
    assert used is not None
    assert unused is not None
    assert len(archive.lineage(used).downstream) == 5
    assert archive.lineage(used.hash[:15]) == archive.lineage(used)
    assert archive.lineage(unused.hash).downstream == (), "of one run's versions only the used one has uses"


def test_the_same_content_of_two_runs_has_both_for_makers(archive: Archive) -> None:
    a = run_with(archive, "data", b"same")
    user(archive, "data", makes="other")
    b = run_with(archive, "copy", b"same")
    user(archive, "copy", makes="another")
    lineage = archive.lineage("sha256:" + hashlib.sha256(b"same").hexdigest())
    makers = {x.run_id for x in lineage.artifacts if x.hash == lineage.subject}
    assert makers == {a.run_id, b.run_id}
    assert {use.from_run for use in lineage.downstream} == makers


def test_runs_that_use_each_other_do_not_send_it_round_in_circles(archive: Archive) -> None:
    a, b = archive.start_run(), archive.start_run()
    a.artifacts.register_data("a", b"a")
    b.artifacts.register_data("b", b"b")
    a.use_artifact("b")
    b.use_artifact("a")
    a.use_artifact("a")
    for run in (a, b):
        lineage = archive.lineage(run.run_id)
        assert len(lineage.upstream) == len(lineage.downstream) == 3
    a.complete()
    b.complete()


def test_a_use_stays_said_when_its_origin_is_deleted(archive: Archive) -> None:
    origin = run_with(archive, "data", b"gone")
    run = user(archive, "data", makes="model")
    archive.delete_run(origin.run_id)
    (use,) = archive.lineage(run.run_id).upstream
    assert (use.from_run, use.name, use.version) == (origin.run_id, "data", 1)
    lineage = archive.lineage(use.hash)
    assert [u.run_id for u in lineage.downstream] == [run.run_id]
    assert [a.name for a in lineage.artifacts] == ["model"]
    with pytest.raises(ArtifactNotFoundError):
        run.use_artifact("data")


def test_what_was_read_of_a_removed_artifact_is_not_found(archive: Archive) -> None:
    origin = run_with(archive, "data", b"gone")
    run = archive.start_run()
    used = run.use_artifact("data")
    origin.artifacts.remove("data")
    with pytest.raises(ArtifactNotFoundError):
        used.read()
    with pytest.raises(ArtifactNotFoundError):
        used.open()
    run.complete()


def test_unknown_subjects_are_typed_errors(archive: Archive) -> None:
    with pytest.raises(RunNotFoundError):
        archive.lineage("zzz")
    with pytest.raises(ArtifactNotFoundError):
        archive.lineage("sha256:" + "0" * 64)
    with pytest.raises(InvalidTypeError):
        archive.lineage(3)


def test_a_long_chain_of_runs_is_followed_to_its_end(archive: Archive) -> None:
    run_with(archive, "link0", b"0")
    chain = [user(archive, f"link{i}", makes=f"link{i + 1}") for i in range(60)]
    assert len(archive.lineage(chain[-1].run_id).upstream) == 60
    assert len(archive.lineage(chain[0].run_id).downstream) == 59


def test_sql_answers_what_was_made_from_this(archive: Archive) -> None:
    data = run_with(archive, "data", b"d1", b"d2")
    model = user(archive, f"{data.run_id}/data:v1", makes="model")
    final = user(archive, "model", makes="final")
    digest = "sha256:" + hashlib.sha256(b"d1").hexdigest()
    connection = sqlite3.connect(archive.path)
    try:
        used = connection.execute(
            "SELECT run_id, name, version, from_run_id FROM inputs WHERE hash = ?", (digest,)
        )
        assert used.fetchall() == [(model.run_id, "data", 1, data.run_id)]
        made = connection.execute("SELECT run_id, name FROM lineage WHERE from_hash = ?", (digest,))
        assert made.fetchall() == [(model.run_id, "model")]
        whole = connection.execute(
            "WITH RECURSIVE made(hash, run_id, name) AS ("
            " SELECT hash, run_id, name FROM lineage WHERE from_hash = ?"
            " UNION SELECT l.hash, l.run_id, l.name FROM made JOIN lineage AS l ON l.from_hash = made.hash)"
            " SELECT run_id, name FROM made",
            (digest,),
        )
        assert whole.fetchall() == [(model.run_id, "model"), (final.run_id, "final")]
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT run_id FROM lineage WHERE from_hash = ?", (digest,)
        )
        assert not [row[3] for row in plan if row[3].startswith("SCAN")], "it answers from an index"
    finally:
        connection.close()
    assert archive.sql("SELECT count(*) FROM lineage").rows == ((2,),)
