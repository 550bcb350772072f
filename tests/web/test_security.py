"""Only the browser of this user gets in, and every answer has the headers that keep what it holds inert."""

from __future__ import annotations

import html
import re

import pytest

from exptrack.web.security import HEADERS, hash_token
from tests.web.client import CHANGE, COOKIE, PORT, TOKEN, Client

API = "/api/archive"


def test_the_browser_with_the_token_is_let_in(client: Client) -> None:
    for name in ("127.0.0.1", "localhost", "[::1]"):
        host = f"{name}:{PORT}"
        headers = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
        assert client.get(API, headers=headers).status == 200


@pytest.mark.parametrize(
    "host",
    ["", "127.0.0.1", "localhost", "127.0.0.1:7071", "127.0.0.1:7070.evil", "evil:7070", "0.0.0.0:7070",
     "127.0.0.1:7070@evil", " 127.0.0.1:7070", "LOCALHOST:7070", "127.0.0.1:07070", "2130706433:7070",
     "[::]:7070"],
)  # fmt: skip
def test_a_foreign_host_is_refused(client: Client, host: str) -> None:
    for path in (API, "/runs", f"/login?token={TOKEN}", "/static/app.js"):
        assert client.get(path, headers={"host": host}).status == 403


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://evil", "https://127.0.0.1:7070", "http://127.0.0.1", "http://127.0.0.1:7071",
     "http://127.0.0.1:7070.evil", "http://127.0.0.1:7070/", "file://"],
)  # fmt: skip
def test_a_foreign_origin_is_refused(client: Client, origin: str) -> None:
    assert client.get(API, headers={"origin": origin}).status == 403
    assert client.get(f"/login?token={TOKEN}", headers={"origin": origin}).status == 403
    answer = client.post("/api/sql", {"query": "SELECT 1"}, {**CHANGE, "origin": origin})
    assert answer.status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "Same-Origin"])
@pytest.mark.parametrize("mode", ["navigate", "cors", "no-cors"])
def test_a_request_from_another_site_is_refused(client: Client, site: str, mode: str) -> None:
    headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": "document"}
    for path in (API, "/runs", "/static/app.js", "/events"):
        assert client.get(path, headers=headers).status == 403


def test_a_link_in_another_site_leads_to_the_login_alone(client: Client) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    path = f"/login?token={TOKEN}"
    assert client.get(path, headers=headers).status == 200
    assert client.get(path, headers={**headers, "sec-fetch-dest": "iframe"}).status == 403
    assert client.get(path, headers={**headers, "sec-fetch-mode": "no-cors"}).status == 403


def test_the_login_sets_a_cookie_that_only_this_port_reads(client: Client) -> None:
    answer = client.get(f"/login?token={TOKEN}")
    assert answer.status == 200
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"exptrack-{PORT}={hash_token(TOKEN)};")
    assert TOKEN not in cookie
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert '<script type="module" src="/static/login.js">' in answer.text
    assert '<a href="/">' in answer.text


@pytest.mark.parametrize(
    ("asked", "target"),
    [("/run/x?tab=a&b=1", "/run/x?tab=a&b=1"), ("//evil", "/"), ("http://evil", "/"), ("/\\evil", "/"),
     ("", "/"), ('/"><script>', '/"><script>'), ("/\tx", "/"), ("/\n/evil", "/")],
)  # fmt: skip
def test_the_login_goes_on_within_the_page(client: Client, asked: str, target: str) -> None:
    answer = client.get("/login", token=TOKEN, next=asked)
    (found,) = re.findall(r'<a href="(.*?)">', answer.text)
    assert html.unescape(found) == target
    assert answer.text.count("<script") == 1


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), hash_token(TOKEN), "\xff"])
def test_without_the_token_nothing_is_shown(client: Client, token: str) -> None:
    cookie = token if token != hash_token(TOKEN) else TOKEN
    bare = Client(client.app, f"exptrack-{PORT}={cookie}; exptrack-7071={TOKEN}; other={TOKEN}", token)
    for path in (API, "/runs", "/static/app.js", "/events", "/artifact/x/1/y", "/nothing"):
        assert bare.get(path).status == 403
    assert bare.get("/login", token=token).status == 403
    assert bare.get("/login").status == 403


def test_the_cookie_alone_opens_the_files_of_the_page_and_no_data(client: Client) -> None:
    thief = Client(client.app, COOKIE, "")
    for path in ("/runs", "/static/app.js", "/favicon.ico"):
        assert thief.get(path).status == 200
    for path in (API, "/api/runs", "/api/nothing", "/events", "/artifact/x/1/y", "/thumbnail/x/1/y"):
        for query in ("", "?token=", f"?token={hash_token(TOKEN)}", "?token=%ff"):
            assert thief.get(f"{path}{query}").status == 403
    assert thief.get(API).kind == "TokenMissing"
    assert thief.get(f"{API}?token={TOKEN}").status == 403
    assert thief.post("/api/sql", {"query": "SELECT 1"}).status == 403
    assert thief.send("POST", f"/events?token={TOKEN}", CHANGE).status == 403


def test_a_script_needs_the_token_alone(client: Client) -> None:
    assert Client(client.app, "").get(API).status == 200


def test_a_browser_gives_the_token_as_a_parameter_where_it_has_no_header(client: Client, main_run: str) -> None:
    browser = Client(client.app, COOKIE, "")
    address = f"/artifact/{main_run}/1/text.txt"
    assert browser.get(address, token=TOKEN).status == 200
    assert browser.get(address, token=TOKEN, file="x").status != 403
    assert browser.get("/thumbnail/none/1/x", token=TOKEN).status == 404


def test_a_change_must_say_what_no_form_says(client: Client) -> None:
    body = b'{"query": "SELECT 1"}'
    good = {"content-type": "application/json; charset=utf-8", "x-exptrack": "1"}
    assert client.send("POST", "/api/sql", good, body).status == 200
    for name, values in (
        ("content-type", ("text/plain", "application/x-www-form-urlencoded", "")),
        ("x-exptrack", ("", "2")),
    ):
        for value in values:
            assert client.send("POST", "/api/sql", {**good, name: value}, body).status == 403
    for name in good:
        left = {key: value for key, value in good.items() if key != name}
        assert client.send("POST", "/api/sql", left, body).status == 403


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    for path in (API, "/runs", "/login", "/api/edit"):
        answer = client.send(method, path)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_a_question_is_no_change_and_a_change_no_question(client: Client) -> None:
    assert client.post(API, {}).status == 405
    for path in ("/api/edit", "/api/delete", "/api/restore", "/api/stop-study", "/api/page-view", "/api/sql"):
        assert client.get(path).status == 404


PATHS = [
    API, "/", "/runs", "/static/app.js", "/static/nothing.js", "/nothing.js", "/api/nothing", "/api/run/none",
    "/api/runs?where=wrong", "/api/runs?start=x", "/api/runs/index", "/artifact/none/1/x",
    f"/login?token={TOKEN}",
    "/login?token=wrong", "/api/edit", "/none.ico", "/api/runs?where=%ff",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_every_answer_has_the_headers(client: Client, path: str, method: str) -> None:
    for headers in ({}, {"host": "evil"}, {"x-exptrack": "1", "content-type": "application/json"}):
        answer = client.send(method, path, headers)
        for name, value in HEADERS.items():
            if name == "cache-control" and answer.status == 200 and "static" in path:
                value = "no-cache"
            elif name == "cache-control" and answer.headers.get("content-type", "").startswith("text/html"):
                value = "no-cache" if "login" not in path else value
            assert answer.headers[name] == value, (name, answer.status)
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


def test_the_policy_lets_nothing_run_that_the_server_did_not_send() -> None:
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert (
        policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["worker-src"] == "'self'"
    )
    assert policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in HEADERS["content-security-policy"]
