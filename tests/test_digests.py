"""Digests are those of ``hashlib``, of short and of long content, also where Python has none of its own."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from exptrack import digests

LONG = digests.LONG_BYTES
CONTENTS = [b"", b"abc", bytes(LONG - 1), bytes(LONG), bytes(3 * LONG)]


@pytest.mark.parametrize("content", CONTENTS, ids=len)
def test_a_digest_is_that_of_hashlib(content: bytes) -> None:
    wanted = hashlib.sha256(content).hexdigest()
    assert digests.sha256(content).hexdigest() == wanted
    assert digests.sha256_of(content).hexdigest() == wanted
    assert digests.sha1(content, usedforsecurity=False).hexdigest() == hashlib.sha1(content).hexdigest()


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_only_long_content_loads_openssl() -> None:
    code = (
        "import sys; from exptrack.digests import LONG_BYTES, sha256_of\n"
        "sha256_of(bytes(100)); print('hashlib' in sys.modules)\n"
        "sha256_of(bytes(LONG_BYTES)); print('hashlib' in sys.modules)"
    )
    assert run(code).split() == ["False", "True"]


def test_a_python_without_digests_of_its_own_takes_those_of_hashlib() -> None:
    code = (
        "import sys, hashlib\n"
        "sys.modules.update(_sha1=None, _sha2=None, _sha256=None)\n"
        "from exptrack import digests\n"
        "print(digests.sha256 is hashlib.sha256, digests.sha1 is hashlib.sha1)"
    )
    assert run(code).split() == ["True", "True"]
