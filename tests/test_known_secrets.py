"""Known secrets are hidden in every form; ordinary texts stay as they are."""

from __future__ import annotations

import base64
import json
import reprlib
from collections.abc import Callable
from urllib.parse import quote

import pytest

from exptrack import InvalidValueError, RunNotFoundError
from exptrack.errors import warn
from exptrack.known_secrets import (
    REDACTED,
    count_begun,
    has_secrets,
    know_filled_in,
    know_secret,
    know_variables,
    mask_bytes,
    mask_facts,
    mask_secrets,
    mask_setting,
)
from exptrack.plain import short_repr

SECRET = 'qz\'Kanarie\n"7431"/é-geheim9'


def mask(text: str) -> str:
    know_secret(SECRET, "${env:X}")
    return mask_secrets(text)


FORMS = [str, repr, ascii, json.dumps, quote, lambda s: repr(s.encode()), lambda s: repr([s])]


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_hidden_in_each_form(form: Callable[[str], str]) -> None:
    masked = mask(f"it was {form(SECRET)}.")
    assert "${env:X}" in masked
    for part in ("Kanarie", "7431", "geheim"):
        assert part not in masked


@pytest.mark.parametrize("text", ["abcdefgh12345678", "abcdefgh1234"])
def test_the_beginning_and_the_end_of_a_long_secret_are_hidden(text: str) -> None:
    know_secret(text, "${env:X}")
    assert mask_secrets(f"no {text[:9]}… nor …{text[-9:]}") == "no ${env:X}… nor …${env:X}"
    assert mask_secrets(f"{text[:7]} {text[-7:]}") == f"{text[:7]} {text[-7:]}"
    assert text[:8] not in mask_secrets(reprlib.repr({"token": text * 9}))


def test_a_beginning_that_many_texts_share_is_kept() -> None:
    know_secret("https://host.example/abcdefgh", "${env:URL}")
    know_secret("/home/me/data/12345678", "${env:DATA}")
    assert mask_secrets("see https://docs.example and /home/me/x") == "see https://docs.example and /home/me/x"
    assert mask_secrets("at https://host.example/abcdefgh") == "at ${env:URL}"


def test_a_longer_secret_comes_before_one_inside_it() -> None:
    know_secret("abcdef", "${env:A}")
    know_secret("abcdef-123456", "${env:B}")
    assert mask_secrets("abcdef-123456 abcdef") == "${env:B} ${env:A}"


def test_short_values_and_defaults_are_no_secrets() -> None:
    know_secret("12345", "${env:N}")
    know_secret("nobody", "${env:USER,nobody}")
    assert not has_secrets()


def test_the_lines_of_a_secret_are_hidden_where_they_stand_apart() -> None:
    know_secret("first-line-1\nsecond-line-2", "${env:PEM}")
    assert mask_secrets("  | first-line-1\n  | second-line-2") == "  | ${env:PEM}\n  | ${env:PEM}"


def test_variables_that_references_name_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSET", raising=False)
    know_variables("${env:A} ${env:UNSET,x} ${oc.env:B}", {"A": "aaaaaa1", "B": "bbbbbb2"})
    assert mask_secrets("aaaaaa1 bbbbbb2") == "${env:A} ${oc.env:B}"
    monkeypatch.setenv("A", "cccccc3")
    know_variables("x${env:A}y")
    assert mask_secrets("cccccc3") == "${env:A}"


def test_errors_and_warnings_hide_a_secret_before_they_shorten_it(caplog: pytest.LogCaptureFixture) -> None:
    know_secret("kanarie-1", "${env:X}")
    assert str(InvalidValueError("no kanarie-1")) == "no ${env:X}"
    assert "kanarie" not in str(RunNotFoundError("kanarie-1", "lab.db"))
    assert "kana" not in short_repr("-" * 35 + "kanarie-1")
    warn("no kanarie-1")
    assert caplog.messages == ["no ${env:X}"]


def test_output_is_hidden_across_pieces_and_kept_otherwise() -> None:
    assert mask_bytes(b"\xff kanarie-1") == b"\xff kanarie-1"
    assert count_begun(b"kanarie") == 0
    know_secret("kanarie-1", "${env:X}")
    assert mask_bytes(b"\xff kanarie-1\n") == b"\xff ${env:X}\n"
    assert [count_begun(piece) for piece in (b"a kan", b"k", b"a kanarie-1", b"", b"ank")] == [3, 1, 0, 0, 1]


def test_a_setting_is_hidden_by_its_text_or_at_its_own_key() -> None:
    know_secret("kanarie-1", "${env:X}")
    know_filled_in("port", "8080", "${env:PORT}")
    know_filled_in("pin", "123", REDACTED)
    assert mask_setting("url", "a kanarie-1", is_from_code=False) == "a ${env:X}"
    assert mask_setting("port", 8080, is_from_code=True) == "${env:PORT}"
    assert mask_setting("port", "8080", is_from_code=True) == "${env:PORT}"
    assert mask_setting("port", 8080, is_from_code=False) is None
    assert mask_setting("size", 8080, is_from_code=True) is None
    assert mask_setting("pin", 123, is_from_code=False) == REDACTED


def test_a_short_value_inside_another_setting_is_kept() -> None:
    know_secret("resnet", "${env:MODEL}")
    assert mask_setting("name", "resnet50", is_from_code=True) is None
    assert mask_setting("name", "resnet", is_from_code=True) == "${env:MODEL}"


OTHER = "vw+/Geheim:8142?é-kanarie7"


@pytest.mark.parametrize("before", [b"", b"u", b"me", b"user:"])
def test_a_secret_is_hidden_in_base64_and_in_hexadecimal(before: bytes) -> None:
    know_secret(OTHER, "${env:TOKEN}")
    data = OTHER.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = mask(encode(before + data + b"\n").decode())
        assert "${env:TOKEN}" in shown
        assert len(shown) < len(before) * 4 / 3 + 20, shown  # nothing of the secret itself is left
    assert mask(f"0x{data.hex()}, {data.hex().upper()}") == "0x${env:TOKEN}, ${env:TOKEN}"


def test_facts_are_hidden_in_keys_and_texts_alone() -> None:
    facts = {"a": [1, 2.5, None, True, {OTHER: OTHER}], "b": ("x", f"say {OTHER}")}
    assert mask_facts(facts) is facts
    know_secret(OTHER, "${env:TOKEN}")
    hidden = {"a": [1, 2.5, None, True, {"${env:TOKEN}": "${env:TOKEN}"}], "b": ["x", "say ${env:TOKEN}"]}
    assert mask_facts(facts) == hidden


def test_the_name_before_a_secret_is_no_part_of_it() -> None:
    know_secret("password=Zk3mQ9xHq2", "password=***")
    know_secret("Zk3mQ9xHq2", "***")
    assert mask("password") == "password"
    assert mask("db.password=Zk3mQ9xHq2 and password") == "db.password=*** and password"
    assert mask("password=Zk") == "password=***"
