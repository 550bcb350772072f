"""No secret of the environment reaches a file or the terminal.

A part of the tries; ``python -m tests.faults --only canary`` makes each deed with each secret.
"""

from __future__ import annotations

import pytest

from tests.effort import IS_THOROUGH
from tests.faults import canary
from tests.faults.canary import DEEDS, SECRETS, SWEEPS, TRIES, forms_of, run, try_deed


@pytest.mark.parametrize(("number", "secret"), list(enumerate(["plain", "quotes"])))
def test_no_deed_lets_a_secret_out(number: int, secret: str) -> None:
    # In the everyday effort each deed has one of the two secrets.
    deeds = list(DEEDS) if IS_THOROUGH else list(DEEDS)[number::2]
    assert [note for deed in deeds for note in try_deed(deed, secret)] == []


@pytest.mark.parametrize("deed", ["sweep prints it", "sweep with a word", "sweep dies before its run, as JSON"])
def test_no_command_of_a_sweep_lets_its_own_secret_out(deed: str) -> None:
    assert try_deed(deed, "plain") == []


def test_a_secret_that_is_let_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search itself works: a value that nothing knows as a secret is found in every place."""
    monkeypatch.setattr("exptrack.runs.store.mask_secrets", str)
    found = "\n".join(try_deed("remarks", "plain"))
    for place in ("lab.db-wal", "show", "copy"):
        assert f"stands in {place}" in found, place
    monkeypatch.setattr(canary, "DEEDS", {**DEEDS, "print": lambda scene: print(scene.secret[:8])})
    assert "stands in terminal" in "\n".join(try_deed("print", "plain"))


def test_each_seed_stands_for_another_try() -> None:
    assert len(set(TRIES)) == len(SECRETS) * (len(DEEDS) + len(SWEEPS))
    assert run(1, 0).tries == 1
    assert all(len(form) >= 6 for secret in SECRETS.values() for form in forms_of(secret))
