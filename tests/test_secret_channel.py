"""A child tells its secrets to the sweep that started it, and to nobody else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exptrack.known_secrets import CHANNEL_VARIABLE, know_secret
from exptrack.secret_channel import SecretChannel, tell_secret


def test_told_secrets_arrive_once_and_encrypted() -> None:
    with SecretChannel() as channel:
        tell_secret(channel.variable, "kanarie-1\n", "${env:A}")
        path = Path(channel.variable.partition(":")[2])
        assert b"kanarie" not in path.read_bytes()
        assert channel.listen() == [("kanarie-1\n", "${env:A}")]
        assert channel.listen() == []
        tell_secret(channel.variable, "kanarie-2", "***")
        assert channel.listen() == [("kanarie-2", "***")]
    assert not path.parent.exists()


def test_only_this_user_may_read_the_file() -> None:
    with SecretChannel() as channel:
        folder = Path(channel.variable.partition(":")[2]).parent
        assert os.name == "nt" or folder.stat().st_mode & 0o077 == 0


def test_lines_of_others_are_left_out_and_torn_ones_wait() -> None:
    with SecretChannel() as channel, SecretChannel() as other:
        key, _colon, path = channel.variable.partition(":")
        tell_secret(f"{other.variable.partition(':')[0]}:{path}", "kanarie-1", "***")
        with Path(path).open("ab") as file:
            file.write(b"no line of ours\n")
        tell_secret(f"{key}:{path}", "kanarie-2", "***")
        whole = Path(path).read_bytes()
        Path(path).write_bytes(whole[:-5])
        assert channel.listen() == []
        Path(path).write_bytes(whole)
        assert channel.listen() == [("kanarie-2", "***")]


def test_a_sweep_that_has_ended_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with SecretChannel() as channel:
        pass
    monkeypatch.setenv(CHANNEL_VARIABLE, channel.variable)
    know_secret("kanarie-1", "***")
    assert not Path(channel.variable.partition(":")[2]).exists()


def test_each_known_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with SecretChannel() as channel:
        monkeypatch.setenv(CHANNEL_VARIABLE, channel.variable)
        know_secret("kanarie-1", "${env:A}")
        know_secret("kanarie-1", "${env:A}")
        assert channel.listen() == [("kanarie-1", "${env:A}")]
