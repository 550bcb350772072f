"""No argument of a public call ends in an error of another type, or leaves something half done.

A part of the arguments; ``python -m tests.faults --only nasty_arguments`` tries every value of every parameter,
and pairs of them.
"""

from __future__ import annotations

import random

import pytest

from exptrack import InvalidValueError
from tests.effort import tries
from tests.faults.nasty_arguments import (
    Try,
    describe,
    find_calls,
    find_lies,
    judge,
    lab,
    run,
    singles,
    sound_value,
    try_one,
    value_names,
)

# What was met without a guard once, one of each kind.
FOUND = [
    ("Run.log_metric", "value", "deep list"),
    ("Run.log_metric", "name", "lone liar"),
    ("Run.log", "values", "changing dict"),
    ("Run.log_many", "values", "endless numbers"),
    ("Run.append_event", "data", "deep dict"),
    ("Run.log_image", "image", "file: fifo"),
    ("Run.log_histogram", "values", "no array"),
    ("OptunaStorage.get_all_trials", "states", "endless texts"),
    ("Run.log_table", "table", "broken mapping"),
    ("Archive.list_runs", "limit", "2^63"),
    ("Archive.sql", "timeout_s", "10^400"),
    ("Archive.sql", "parameters", "list of itself"),
    ("Archive.create_view", "name", "str and Enum"),
    ("Archive.align", "every", "2^63"),
    ("Archive.start_run", "tags", "endless texts"),
    ("RunQuery.started", "after", "far time"),
    ("RunQuery.page", "after", "word"),
    ("ExpConfig", "sources", "word"),
    ("ExpConfig.as_model", "model", "root"),
    ("ArtifactStore.register_file", "path", "file: fifo"),
    ("ArtifactStore.register_file", "path", "file: zeros"),
    ("ArtifactStore.register_checkpoint", "path", "file: memory"),
    ("ArtifactStore.export", "overwrite", "bad __bool__"),
    ("Archive.empty_trash", "older_than", "acts as text"),
    ("RecordedArtifact", "content", "acts as text"),
    ("sdn.loads", "text", "acts as text"),
    ("OptunaStorage.set_trial_intermediate_value", "step", "2^63"),
    ("OptunaStorage.record_heartbeat", "trial_id", "list"),
    ("sdn.load", "path", "file: fifo"),
    ("sdn.set_value", "value", "bad str"),
    ("load_sweep", "path", "file: fifo"),
    ("load_sdn_config", "path", "file: socket"),
]
TRIES = tries(500)
CHECKED_EVERY = 25


def test_every_public_call_is_found_with_sound_arguments() -> None:
    names = {call.name for call in find_calls()}
    assert {
        "Archive",
        "Archive.start_run",
        "Run.log",
        "RunQuery.where",
        "OptunaStorage.get_trial",
        "sdn.loads",
    } <= names
    assert len(names) > 150
    refused = []
    for call in find_calls():
        try:
            for name, parameter in call.signature.parameters.items():
                if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                    sound_value(lab(), call.name, name)
        except StopIteration:
            refused.append(call.name)
    assert refused == []


def test_what_was_met_without_a_guard_is_refused_or_taken() -> None:
    calls = {call.name: call for call in find_calls()}
    # A system may lack a kind of special file.
    tries = [Try(calls[call], {name: value}) for call, name, value in FOUND if value in value_names()]
    assert len(tries) > len(FOUND) / 2
    assert all(set(one.nasty) <= set(one.call.signature.parameters) for one in tries)
    assert [note for one in tries for note in try_one(one).notes] == []


def test_no_argument_ends_in_an_error_that_is_nobodys() -> None:
    chance = random.Random(7)
    seeds = [2 * chance.randrange(len(singles()) * len(value_names())) for _ in range(TRIES)]
    notes = [
        note
        for count, seed in enumerate(seeds)
        for note in try_one(describe(seed), look=count % CHECKED_EVERY == 0).notes
    ]
    assert notes == []
    assert find_lies() == []
    assert lab().wrong() == []


def test_each_seed_stands_for_another_try() -> None:
    everything = len(singles()) * len(value_names())
    some = range(0, 2 * everything, 97 * 2)
    assert len({str(describe(seed)) for seed in some}) == len(some)
    assert len(describe(1).nasty) == 2
    assert run(1, 0).tries == 1


def test_the_judge_sees_each_failure() -> None:
    class Surrogate(ValueError):
        def __str__(self) -> str:
            return "\ud800"

    assert judge(InvalidValueError("fine")) == judge(KeyError("fine")) == judge(TypeError("fine")) == ""
    for kind in (RuntimeError, OSError, UnicodeError, AttributeError, RecursionError):
        with pytest.raises(kind) as caught:
            raise kind("x")
        assert kind.__name__ in judge(caught.value)
    assert "cannot be printed" in judge(Surrogate())
    assert "a message of" in judge(InvalidValueError("x" * 10_000))
