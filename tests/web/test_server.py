"""The command `exptrack ui`, the port it takes, how it ends, and how runs and second pages find it."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

import psutil
import pytest
from click.testing import CliRunner

from exptrack import Archive, InvalidValueError, process
from exptrack.cli import main
from exptrack.open_pages import announce_page, find_page
from exptrack.process import ProcessIdentity, current_process, pages_folder
from exptrack.web import server as server_file
from exptrack.web.security import HEADERS
from exptrack.web.server import HOST, PageServer

COMMAND = [sys.executable, "-m", "exptrack", "ui", "--no-browser"]
ends_by_signals = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
has_modes = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pages of these tests are announced in a folder of their own, and this process keeps its priority."""
    monkeypatch.setattr(os, "nice", lambda _by: 0, raising=False)
    cache = tmp_path / "cache"
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(cache))
    return cache


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    Archive(tmp_path / "lab.db").close()
    return tmp_path / "lab.db"


def run_ui(*words: str) -> Any:
    return CliRunner().invoke(main, ["ui", "--no-browser", *words])


class Ui:
    """The command, running in a process of its own until the block ends."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "--port", "0", "--json", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        text = ""
        assert self.process.stdout is not None
        while not text.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, self.process.communicate()
            text += line
        self.said: dict[str, Any] = json.loads(text)
        self.url: str = self.said["url"]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors

    def __enter__(self) -> Ui:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.__exit__(None, None, None)


def open_in_browser(url: str) -> urllib.request.OpenerDirector:
    """Open the printed address, and return a browser that was let in."""
    browser = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
    )
    assert browser.open(url).status == 200
    browser.addheaders = [("x-exptrack-token", url.partition("token=")[2])]
    return browser


# The port


def test_a_page_is_served_on_this_machine_alone(lab: Path) -> None:
    with PageServer(lab, 0) as server:
        assert server.origin == f"http://{HOST}:{server.port}"
        browser = open_in_browser(server.url)
        with browser.open(f"{server.origin}/api/archive") as answer:
            assert json.load(answer)["path"] == str(lab)
        assert server._socket.getsockname()[0] == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, server.port), timeout=5)


def test_no_part_of_an_answer_waits_until_the_browser_has_acknowledged_the_part_before_it(lab: Path) -> None:
    with (
        PageServer(lab, 0) as server,
        contextlib.closing(http.client.HTTPConnection(HOST, server.port)) as client,
    ):
        client.request("GET", "/")
        client.getresponse().read()
        (connection,) = server._server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_the_next_port_is_taken_if_one_is_in_use(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with PageServer(lab, 0) as first:
        monkeypatch.setattr(server_file, "FIRST_PORT", first.port)
        with PageServer(lab) as second:
            assert first.port < second.port
        with pytest.raises(InvalidValueError, match=f"the port {first.port} cannot be used"):
            PageServer(lab, first.port)


def test_any_port_is_taken_if_all_are_in_use(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with PageServer(lab, 0) as first:
        monkeypatch.setattr(server_file, "FIRST_PORT", first.port)
        monkeypatch.setattr(server_file, "PORTS", 1)
        with PageServer(lab) as second:
            assert second.port not in (0, first.port)


def test_two_pages_do_not_log_each_other_out(tmp_path: Path) -> None:
    for name in ("a.db", "b.db"):
        Archive(tmp_path / name).close()
    with PageServer(tmp_path / "a.db", 0) as first, PageServer(tmp_path / "b.db", 0) as second:
        browser = open_in_browser(first.url)
        assert browser.open(second.url).status == 200
        for server, name in ((first, "a.db"), (second, "b.db")):
            asked = Request(f"{server.origin}/api/archive", headers={"X-Exptrack-Token": server.token})
            with browser.open(asked) as answer:
                assert json.load(answer)["name"] == name
            with browser.open(f"{server.origin}/static/app.js") as answer:
                assert answer.status == 200


def test_a_request_that_is_too_long_is_refused(lab: Path) -> None:
    with PageServer(lab, 0) as server:
        connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
        connection.request("GET", f"/api/runs?where={'x' * 300_000}")
        assert connection.getresponse().status == 400
        connection.close()
        assert open_in_browser(server.url)


def test_an_answer_about_a_fault_of_ours_has_the_headers(
    lab: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_question: object, _archive: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("exptrack.web.question.Question.runs", fail)
    with PageServer(lab, 0) as server:
        with pytest.raises(HTTPError) as refused:
            open_in_browser(server.url).open(f"{server.origin}/api/runs")
        with refused.value as answer:
            assert (answer.code, b"a fault" in answer.read()) == (500, False)
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "RuntimeError: a fault" in caplog.text  # for the terminal of the user, and a report


def test_a_question_whose_client_has_left_stops(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Archive(lab) as archive:
        for _ in range(2):
            archive.start_run().complete()
    with PageServer(lab, 0) as server:
        began, ended = threading.Event(), threading.Event()
        count = server.page.archive.sql

        def count_for_long() -> int:
            began.set()
            try:
                # A SELECT of the documented views that would take hours.
                many = ", ".join(f"runs AS r{n}" for n in range(40))
                count(f"SELECT count(*) FROM {many}", timeout_s=600)
            finally:
                ended.set()
            return 0

        class Query:
            count = staticmethod(count_for_long)

        monkeypatch.setattr(server.page.archive, "runs", Query)
        connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
        connection.request("GET", "/api/archive", headers={"x-exptrack-token": server.token})
        assert began.wait(30)
        assert not ended.is_set()
        connection.close()
        assert ended.wait(30)


# The command


@ends_by_signals
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_in_order(lab: Path, number: int, own_cache: Path) -> None:
    with Ui(str(lab)) as ui:
        assert ui.said["path"] == str(lab)
        assert ui.said["pid"] == ui.process.pid
        browser = open_in_browser(ui.url)
        stream = browser.open(ui.url.partition("/login")[0] + "/events?watch=runs")
        assert stream.readline().startswith(b"id: ")
        began = time.monotonic()
        assert ui.end(number) == (0, "")
        assert time.monotonic() - began < 20  # uvicorn alone would wait for the stream for ever
        stream.close()
    assert sorted(lab.parent.glob("lab.db*")) == [lab]
    assert list(own_cache.rglob("*.json")) == []


def test_the_command_ends_when_nobody_asks(lab: Path) -> None:
    done = run_ui(str(lab), "--port", "0", "--idle", "0.3s")
    assert done.exit_code == 0
    assert done.output.startswith(f"The page of {lab}, until ctrl-C:\n\n  http://127.0.0.1:")


@pytest.mark.skipif(not hasattr(os, "nice"), reason="priorities of POSIX")
def test_the_page_gives_way_to_training(lab: Path) -> None:
    with Ui(str(lab)) as ui:
        assert open_in_browser(ui.url)  # it answers, so it serves
        assert psutil.Process(ui.process.pid).nice() == max(10, psutil.Process().nice())
        assert ui.end() == (0, "")


def test_a_system_without_priorities_has_pages_too(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "nice", raising=False)
    assert run_ui(str(lab), "--port", "0", "--idle", "0.2s").exit_code == 0


def test_a_page_that_is_watched_is_not_idle(lab: Path) -> None:
    with PageServer(lab, 0, idle_s=0.5) as server:
        browser = open_in_browser(server.url)
        stream = browser.open(f"{server.origin}/events?watch=runs")
        stream.readline()
        time.sleep(1.2)
        assert server._thread is not None
        assert server._thread.is_alive()
        stream.close()
        server._thread.join(30)
        assert not server._thread.is_alive()


@pytest.mark.parametrize(
    ("displays", "opens"),
    [
        ({}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"BROWSER": "x"}, True),
    ],
)
def test_the_browser_is_opened_where_there_is_one(
    lab: Path, monkeypatch: pytest.MonkeyPatch, displays: dict[str, str], opens: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in displays.items():
        monkeypatch.setenv(name, value)
    words = ["ui", str(lab), "--port", "0", "--idle", "0.2s"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0
    assert [url in done.output for url in opened] == [True] * opens
    CliRunner().invoke(main, [*words, "--no-browser"])
    assert len(opened) == opens


def test_a_second_command_finds_the_first_page(lab: Path) -> None:
    with Ui(str(lab)) as ui:
        done = run_ui(str(lab), "--json")
        assert done.exit_code == 0
        assert json.loads(done.output) == ui.said
        done = run_ui(str(lab))
        assert done.output == f"The page of {lab} is open already:\n\n  {ui.url}\n\n"
        assert open_in_browser(ui.url)


def test_the_page_of_a_killed_command_is_not_found(lab: Path, own_cache: Path) -> None:
    with Ui(str(lab)) as ui:
        ui.process.kill()
        ui.process.wait()
    assert len(list(own_cache.rglob("*.json"))) == 1
    assert find_page(str(lab)) is None
    done = run_ui(str(lab), "--port", "0", "--idle", "0.2s", "--json")
    assert (done.exit_code, json.loads(done.output)["pid"]) == (0, os.getpid())
    assert list(own_cache.rglob("*.json")) == []


def test_a_page_that_takes_no_connection_is_not_taken_for_open(lab: Path) -> None:
    with socket.create_server((HOST, 0)) as bound:
        port = bound.getsockname()[1]
    with announce_page(str(lab), f"http://{HOST}:{port}", "token"):
        assert find_page(str(lab)) is not None
        done = run_ui(str(lab), "--port", "0", "--idle", "0.2s")
    assert "open already" not in done.output


@pytest.mark.parametrize("module", ["starlette", "uvicorn"])
def test_without_the_extra_the_command_says_what_to_install(
    lab: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    done = run_ui(str(lab))
    assert done.exit_code == 24
    assert done.output == (
        f"exptrack: {module} is needed for exptrack ui; run: pip install 'exptrack-archive[ui]'\n"
    )


def test_what_is_no_archive_is_an_error(tmp_path: Path, lab: Path) -> None:
    assert run_ui(str(tmp_path / "none.db")).exit_code == 11
    (tmp_path / "text.db").write_text("hello " * 1000)
    assert run_ui(str(tmp_path / "text.db")).exit_code == 12
    whole = lab.read_bytes()
    (tmp_path / "cut.db").write_bytes(whole[: len(whole) // 2])
    assert run_ui(str(tmp_path / "cut.db")).exit_code == 17
    assert not (tmp_path / "none.db").exists()
    assert run_ui(str(lab), "--port", "70000").exit_code == 2
    assert run_ui(str(lab), "--idle", "soon").exit_code == 50


def test_a_port_in_use_is_an_error(lab: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        done = run_ui(str(lab), "--port", str(taken.getsockname()[1]))
    assert (done.exit_code, done.output.startswith("exptrack: the port ")) == (50, True)


@has_modes
def test_a_file_that_cannot_be_written_is_shown(tmp_path: Path, lab: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    shutil.copy(lab, folder)
    os.chmod(folder / "lab.db", stat.S_IREAD)
    os.chmod(folder, stat.S_IREAD | stat.S_IEXEC)
    try:
        with Ui(str(folder / "lab.db")) as ui:
            browser = open_in_browser(ui.url)
            with browser.open(ui.url.partition("/login")[0] + "/api/archive") as answer:
                assert json.load(answer)["can_edit"] is (os.getuid() == 0)
    finally:
        os.chmod(folder, stat.S_IRWXU)


def test_the_archive_of_a_spool_is_shown(tmp_path: Path) -> None:
    code = "import exptrack; exptrack.start_run().complete()"
    spool = {**os.environ, "EXPTRACK_SPOOL": str(tmp_path / "spool")}
    subprocess.run([sys.executable, "-c", code], env=spool, check=True)
    (path,) = (tmp_path / "spool").glob("*.db")
    with Ui(str(path)) as ui:
        answer = open_in_browser(ui.url).open(ui.url.partition("/login")[0] + "/api/archive")
        assert json.load(answer)["runs"] == 1


# The address of a run


@pytest.fixture
def announced(lab: Path) -> Iterator[str]:
    with announce_page(str(lab), "http://127.0.0.1:7070", "the token"):
        yield "http://127.0.0.1:7070"


def test_a_run_names_its_address_while_a_page_is_open(
    lab: Path, announced: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Archive(lab) as archive:
        run = archive.start_run()
        url = f"{announced}/run/{run.run_id}"
        assert run.url == archive.get_run(run.run_id).url == url
        run.complete()
        archive.resume_run(run.run_id).complete()
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"exptrack: watch this run at {url}\n" * 2)
    assert "token" not in said.err


def test_without_a_page_a_run_says_nothing(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], own_cache: Path
) -> None:
    with Archive(lab) as archive:
        assert archive.start_run().url is None
    assert not own_cache.exists()
    Archive(tmp_path / "other.db").close()
    with announce_page(str(tmp_path / "other.db"), "http://127.0.0.1:7070", "token"), Archive(lab) as archive:
        assert archive.start_run().url is None
    with Archive(lab) as archive:
        assert archive.start_run().url is None
    assert capsys.readouterr().err == ""


def test_a_closed_stderr_does_not_hinder_a_run(
    lab: Path, announced: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Archive(lab) as archive:
        closed = io.StringIO()
        closed.close()
        for stream in (None, closed):
            monkeypatch.setattr(sys, "stderr", stream)
            run = archive.start_run()
            assert run.url == f"{announced}/run/{run.run_id}"


def test_a_link_to_the_archive_leads_to_its_page(lab: Path, tmp_path: Path, announced: str) -> None:
    if os.name != "nt":
        (tmp_path / "link.db").symlink_to(lab)
        assert find_page(str(tmp_path / "link.db")) is not None
    page = find_page(str(lab))
    assert page is not None
    assert (page.origin, page.token, page.process) == (announced, "the token", current_process())
    assert find_page(str(tmp_path / "none.db")) is None


def announced_file() -> Path:
    (file,) = Path(pages_folder()).glob("*.json")
    return file


@has_modes
def test_only_the_user_can_read_the_token(lab: Path, announced: str) -> None:
    file = announced_file()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    os.chmod(file, 0o644)  # another user may have put it there
    assert find_page(str(lab)) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "[1, 2]", '["a", "b", ["c"]]', "null", '"abc"'])
def test_a_file_that_is_broken_says_nothing(lab: Path, announced: str, content: str) -> None:
    announced_file().write_text(content)
    assert find_page(str(lab)) is None


@pytest.mark.parametrize(
    "other",
    [
        current_process()._replace(pid=2**30),
        current_process()._replace(started="1"),
        ProcessIdentity("elsewhere", "another boot", 1, "1"),
    ],
)
def test_a_page_of_a_dead_or_unseen_process_says_nothing(
    lab: Path, announced: str, other: ProcessIdentity
) -> None:
    origin, token, _ = json.loads(announced_file().read_text())
    announced_file().write_text(json.dumps([origin, token, other]))
    assert find_page(str(lab)) is None


def test_a_page_takes_back_only_what_it_announced(lab: Path) -> None:
    with announce_page(str(lab), "http://127.0.0.1:1", "one"):
        with announce_page(str(lab), "http://127.0.0.1:2", "two"):
            pass
        assert find_page(str(lab)) is None
    with announce_page(str(lab), "http://127.0.0.1:1", "one"):
        other = announce_page(str(lab), "http://127.0.0.1:2", "two")
        other.__enter__()
    found = find_page(str(lab))
    assert found is not None
    assert found.token == "two"
    other.__exit__(None, None, None)


def test_a_cache_that_cannot_be_written_hinders_no_page(lab: Path, own_cache: Path) -> None:
    own_cache.write_text("a file")
    with announce_page(str(lab), "http://127.0.0.1:1", "token"):
        assert find_page(str(lab)) is None


def test_a_user_without_a_home_has_no_folder(monkeypatch: pytest.MonkeyPatch, lab: Path) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, "relative")
    assert pages_folder().startswith(os.path.expanduser("~"))
    monkeypatch.setattr(process.os.path, "expanduser", lambda path: path)
    assert pages_folder() == ""
    with announce_page(str(lab), "http://127.0.0.1:1", "token"):
        assert find_page(str(lab)) is None
    assert list(Path().glob("*.json")) == []
