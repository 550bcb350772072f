"""Every command does its work and ends by a code that is documented, whatever its standard streams are."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import click
import pytest

from exptrack import Archive
from exptrack.artifacts.code_folder import CODE_KIND, CODE_NAME, lay_out_code
from exptrack.capture.code_files import CodeFiles
from exptrack.capture.launch import Launch
from tests.cli.calls import call
from tests.cli.test_main import COMMANDS, WITHOUT_JSON
from tests.warm_python import CLOSED, FULL, LEFT, NULL, Stream, WarmPython

NO_PLACE = 21  # the code of an output that cannot be written
NAMES = [name for name, command in COMMANDS.items() if not isinstance(command, click.Group)]
# A call of every command, in a folder with lab.db and the files that `lab` makes. RUN is the id of a run.
CALLS = {
    "run": "plain.py",
    "ls": "",
    "show": "RUN",
    "best": "loss --min",
    "top": "metrics.loss",
    "tag": "RUN größer",
    "note": "RUN 'größer 日本'",
    "rename": "RUN größer",
    "set": "RUN wort=größer",
    "rm": "RUN --yes",
    "restore": "RUN",
    "trash": "",
    "history": "RUN loss",
    "watch": "--looks 1 --every 0.05",
    "compare": "--where 'name != x'",
    "diff": "RUN RUN",
    "changes": "RUN",
    "groups": "loss a",
    "importance": "loss",
    "sweep run": f"s.sdn -- {sys.executable} train.py",
    "sweep resume": f"old --trials 2 -- {sys.executable} train.py",
    "sweep stop": "old",
    "sweep rm": "old --yes",
    "sweep ls": "",
    "sweep show": "old",
    "artifacts ls": "RUN",
    "artifacts get": "RUN w -o new",
    "artifacts put": "RUN config.sdn",
    "artifacts alias": "RUN w größer",
    "artifacts rm": "RUN w --yes",
    "artifacts du": "",
    "artifacts gc": "",
    "lineage": "RUN",
    "reproduce": "code again",
    "config check": "config.sdn",
    "config show": "config.sdn --sdn",
    "config get": "config.sdn a",
    "config set": "config.sdn a=größer",
    "config fmt": "config.sdn",
    "config convert": "config.sdn --to json",
    "sql": "'SELECT name FROM runs' --csv",
    "view": "mine config.a",
    "info": "",
    "recover": "",
    "doctor": "",
    "verify": "",
    "snapshot": "new",
    "salvage": "lab.db new",
    "pack": "new",
    "unpack": "packed.db new",
    "merge": "new packed.db",
    "extract": "new RUN",
    "digest": "",
    "diff-archives": "lab.db packed.db",
    "ui": "--no-browser --port 0 --idle 0.5s",
    "tui": "",
    "report": "new",
    "demo": "demo.db",
    "completion": "bash",
}
WORKS = {
    "run": "SELECT 1 FROM artifacts WHERE name = 'output'",
    "tag": "SELECT 1 FROM tags WHERE tag = 'größer'",
    "note": "SELECT 1 FROM notes WHERE text = 'größer 日本'",
    "rename": "SELECT 1 FROM runs WHERE name = 'größer'",
    "set": "SELECT 1 FROM attributes WHERE key = 'wort' AND value = 'größer'",
    "artifacts alias": "SELECT 1 FROM artifact_aliases WHERE alias = 'größer'",
    "rm": "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM runs WHERE name = '日本')",
    "artifacts put": "SELECT 1 FROM artifacts WHERE name = 'config.sdn'",
    "artifacts rm": "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM artifacts WHERE name = 'w')",
    "sweep run": "SELECT count(*) = 2 FROM trials WHERE study = 's' AND state = 'complete'",
    "sweep resume": "SELECT count(*) = 2 FROM trials WHERE study = 'old' AND state = 'complete'",
    "sweep rm": "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM trials WHERE study = 'old')",
    "view": "SELECT 1 FROM mine LIMIT 1",
}
SWEEP = """
objective: {metric: loss, direction: minimize}
space:
    lr: {low: 0.1, high: 1.0}
budget: {max_trials: 2}
"""
TRAIN = """
import exptrack, sys
with exptrack.start_run(exptrack.current_trial().config) as run:
    for stream in (sys.stdout, sys.stderr):
        stream.buffer.write("é".encode() * 300_000 + b"\\n")
    run.log({"loss": 1.0})
"""
PLAIN = """
import sys
for stream in (sys.stdout, sys.stderr):
    stream.buffer.write("é".encode() * 300_000 + b"\\n")
"""
LOOK = """
import json, os, stat, sys
seen = [sys.argv[1:], os.getcwd(), sys.path[0], sys.flags.utf8_mode, sys.getfilesystemencoding()]
for number, name in enumerate(("stdin", "stdout", "stderr")):
    stream = getattr(sys, name)
    assert stream is getattr(sys, f"__{name}__")
    if stream is None:
        try:
            seen.append(os.fstat(number).st_mode)
        except OSError:
            seen.append(None)
    else:
        kind = stat.S_IFMT(os.fstat(number).st_mode)
        forms = [stream.encoding, stream.errors, stream.line_buffering, stream.write_through, stream.newlines]
        seen.append([repr(stream), repr(stream.buffer)[:20], *forms, stream.mode, stream.fileno(), kind])
with open("seen.json", "w", encoding="utf-8") as file:
    json.dump(seen, file)
if sys.stdout is not None and not stat.S_ISFIFO(os.fstat(1).st_mode):
    try:
        print("this fails where there is no room")
    except OSError:  # it fails at once where nothing is buffered
        sys.exit(9)
"""
COMMAND = [sys.executable, "-m", "exptrack"]
# The demo trains for long, and prints as the others do; tests/tui gives the other a terminal.
WALKED = [name for name in NAMES if name not in ("demo", "tui")]
DOCUMENTS = ("config show", "config get", "config fmt", "config convert", "sql")  # they print files
LINES = ("watch", "sweep run", "sweep resume")
FAILING: list[tuple[dict[int, Stream], int, str]] = [
    ({1: LEFT}, 0, ""),
    ({1: FULL}, NO_PLACE, "No space left on device"),
    ({1: NULL}, NO_PLACE, "Bad file descriptor"),  # it is open for reading
]
MISSING: list[dict[int, Stream]] = [
    {0: CLOSED, 1: CLOSED, 2: CLOSED},
    {1: CLOSED},
    {0: CLOSED},
    {2: CLOSED},
    {2: FULL},
    {1: LEFT, 2: LEFT},
]
ENCODINGS = [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C"}]
Lab: TypeAlias = tuple[Path, str]  # a folder, and the id of a run
posix = pytest.mark.skipif(os.name == "nt", reason="redirections of a POSIX shell")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A folder with an archive, a config and a sweep; and the id of a run."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "config.sdn").write_text("a: 日本\nb: 1\n", encoding="utf-8")
    (folder / "s.sdn").write_text(SWEEP, encoding="utf-8")
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    (folder / "plain.py").write_text(PLAIN, encoding="utf-8")
    with Archive(folder / "lab.db") as archive:
        for number in range(3):
            with archive.start_run({"b": number}) as run:
                run.log({"loss": float(number)})
        with archive.start_run(name="code", code={}) as run:
            launch = Launch(["python", "größer.py"], ".", True, False)
            code = CodeFiles(b"", {"größer.py": (0o644, b"pass\n")}, (), None)
            for path, (_mode, data) in lay_out_code(code, launch, {"numpy": "1.0"}).items():
                (folder / "code" / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / "code" / path).write_bytes(data)
            run.artifacts.register_dir(CODE_NAME, folder / "code", kind=CODE_KIND)
    with Archive(folder / "lab.db") as archive, archive.start_run({"a": "日本"}, ["ü"], name="日本") as run:
        for step in range(9):
            run.log({"loss": 1 / (step + 1), "é": 1.0}, step)
        run.artifacts.register_data("w", b"bytes")
    words = ["--db", "lab.db", "sweep", "run", "s.sdn", "--name", "old", "--trials", "1"]
    subprocess.run([*COMMAND, *words, "--", sys.executable, "train.py"], cwd=folder, check=True)
    with Archive(folder / "lab.db") as archive:
        archive.pack(folder / "packed.db")
    return folder, run.run_id


@pytest.fixture(scope="module")
def warm() -> Iterator[list[WarmPython]]:
    """One Python for each of the encodings, and one for no encoding in particular."""
    imports = ("exptrack.cli", "exptrack.terminal.runs", "exptrack.query.run_query", "exptrack.portable.digest")
    started = [WarmPython(*imports, **environment) for environment in [*ENCODINGS, {}]]
    yield started
    for python in started:
        python.close()


def ended(
    lab: Lab, folder: Path, name: str, python: WarmPython, streams: dict[int, Stream], more: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a new folder with the files of the lab, and with these standard streams."""
    shutil.copytree(lab[0], folder)
    words = f"{name} {CALLS[name]}".replace("RUN", lab[1])
    if more:  # --json, which does not go with other forms
        words = words.replace("--csv", "").replace("--sdn", "")
    head, dashes, command = words.partition(" -- ")
    call_words = shlex.split(f"--db lab.db {head} {more} {dashes}{command}")
    return python.run("exptrack", *call_words, cwd=folder, streams=streams)


def require_work(folder: Path, name: str) -> None:
    """Check that a command has changed what it is there to change."""
    if name in WORKS:
        with Archive(folder / "lab.db") as archive:
            assert archive.sql(WORKS[name]).rows == ((1,),)
    if name in ("artifacts get", "snapshot", "pack", "unpack", "merge", "extract", "report"):
        assert (folder / "new").is_file()
    if name == "config set":
        assert (folder / "config.sdn").read_text(encoding="utf-8").startswith('a: "größer"')


@posix
@pytest.mark.parametrize("number", range(len(ENCODINGS) + 1))
def test_a_forked_python_has_the_streams_of_a_started_one(
    number: int, warm: list[WarmPython], tmp_path: Path
) -> None:
    environment: dict[str, str] = [*ENCODINGS, {}][number]
    (tmp_path / "look.py").write_text(LOOK)
    seen = tmp_path / "seen.json"
    spelled = {NULL: "<", FULL: ">", LEFT: "> >(true)", CLOSED: ">&-"}
    for streams in ({}, *MISSING, *(streams for streams, _, _ in FAILING)) if not environment else MISSING[:4]:
        words = [
            f"{number}{spelled[stream]}{stream[0] if isinstance(stream, tuple) else ''}"
            for number, stream in {0: NULL, **streams}.items()
        ]
        command = f"{shlex.quote(sys.executable)} -m look {' '.join(words)}"
        started = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, env={**os.environ, **environment}
        )
        expected = json.loads(seen.read_text(encoding="utf-8"))
        seen.unlink()
        forked = warm[number].run("look", cwd=tmp_path, streams=streams)
        assert json.loads(seen.read_text(encoding="utf-8")) == expected, streams
        seen.unlink()
        assert forked.returncode == started.returncode, streams
        assert (forked.stdout, forked.stderr) == (started.stdout, started.stderr)


def test_a_call_of_each_command_is_known() -> None:
    assert sorted(CALLS) == sorted(NAMES)


@posix
@pytest.mark.parametrize("name", WALKED)
def test_a_command_works_into_an_output_that_fails(
    name: str, lab: Lab, warm: list[WarmPython], tmp_path: Path
) -> None:
    streams, code, reason = FAILING[NAMES.index(name) % len(FAILING)]
    done = ended(lab, tmp_path / "lab", name, warm[-1], streams)
    assert (done.returncode, b"Traceback" in done.stderr) == (code, False)
    assert done.stderr.decode().endswith(f"exptrack: cannot write the output: {reason}\n" if code else "")
    require_work(tmp_path / "lab", name)


@posix
@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", WALKED)
def test_a_command_works_where_some_streams_are_missing(
    name: str, lab: Lab, warm: list[WarmPython], tmp_path: Path
) -> None:
    streams = MISSING[NAMES.index(name) % len(MISSING)]
    assert ended(lab, tmp_path / "lab", name, warm[-1], streams).returncode == 0, streams
    require_work(tmp_path / "lab", name)


@posix
@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", WALKED)
def test_a_command_prints_in_any_encoding(name: str, lab: Lab, warm: list[WarmPython], tmp_path: Path) -> None:
    number = NAMES.index(name) % len(ENCODINGS)
    done = ended(lab, tmp_path / "lab", name, warm[number], {})
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    if name in DOCUMENTS:
        assert "日本" in done.stdout.decode("utf-8")
    elif not name.startswith(("sweep r", "run")):  # these pass on the bytes of their command
        done.stdout.decode(ENCODINGS[number].get("PYTHONIOENCODING", "utf-8"))
    require_work(tmp_path / "lab", name)


@posix
@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", [name for name in WALKED if name not in WITHOUT_JSON])
def test_json_is_json_in_any_encoding(name: str, lab: Lab, warm: list[WarmPython], tmp_path: Path) -> None:
    python = warm[len(ENCODINGS) - 1 - NAMES.index(name) % len(ENCODINGS)]
    done = ended(lab, tmp_path / "lab", name, python, {}, "--json")
    assert done.returncode == 0, done.stderr
    for document in done.stdout.decode("utf-8").splitlines() if name in LINES else [done.stdout]:
        json.loads(document)


@posix
def test_a_reader_that_leaves_does_not_hide_that_every_trial_failed(
    lab: Lab, warm: list[WarmPython], tmp_path: Path
) -> None:
    shutil.copytree(lab[0], tmp_path / "lab")
    (tmp_path / "lab" / "train.py").write_text("raise SystemExit(3)")
    for number, place in enumerate((LEFT, FULL)):
        done = ended((tmp_path / "lab", lab[1]), tmp_path / str(number), "sweep run", warm[-1], {1: place})
        assert done.returncode == 1


@pytest.mark.parametrize(
    "words",
    [
        "ls --where 'name = nobody'",
        "top metrics.nobody",
        "compare --where 'name = nobody'",
        "compare --all --where 'name = nobody'",
        "sql 'SELECT 1 WHERE 0'",
        "view --list",
    ],
)
def test_json_of_an_empty_answer_is_json(words: str, lab: Lab) -> None:
    done = call(lab[0] / "lab.db", *shlex.split(words), "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert not any(found.values() if isinstance(found, dict) else found)


@posix
@pytest.mark.parametrize("redirection", ["</dev/null", "<&-"])
def test_nothing_is_asked_without_a_terminal(redirection: str, lab: Lab, tmp_path: Path) -> None:
    shutil.copytree(lab[0], tmp_path / "lab")
    head = shlex.join([*COMMAND, "--db", "lab.db"])
    for words in (f"rm {lab[1]}", f"artifacts rm {lab[1]} w"):
        script = f"{head} {words} {redirection}"
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path / "lab", capture_output=True, timeout=60)
        assert (done.returncode, b"give --yes" in done.stderr) == (50, True)


@posix
def test_what_nobody_can_hand_over_is_not_stored(lab: Lab, tmp_path: Path) -> None:
    shutil.copytree(lab[0], tmp_path / "lab")
    script = f"{shlex.join([*COMMAND, '--db', 'lab.db', 'artifacts', 'put', lab[1], '-', '--name', 'x'])} <&-"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path / "lab", capture_output=True, timeout=60)
    assert (done.returncode, b"no standard input" in done.stderr) == (50, True)
