"""The command of a trial: where the params stand in it, in which form, and what is refused before a trial."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from exptrack import (
    Archive,
    Dimension,
    InvalidTypeError,
    InvalidValueError,
    Sampler,
    SweepPlan,
    TrialState,
)
from exptrack.sweeps.command import TrialCommand

PARAMS = {"optim.lr": 0.001, "batch_size": 64, "kind": "two words", "amp": True, "clip": None}
PLAN = SweepPlan(
    "args",
    "val_loss",
    "minimize",
    {
        "lr": Dimension("choice", choices=(0.1, 0.01)),
        "batch_size": Dimension("choice", choices=(16, 64)),
        "amp": Dimension("choice", choices=(True, False)),
    },
    sampler=Sampler.grid(seed=1),
)
# As people write them: it knows nothing of sweeps, and refuses words that it does not know.
TRAINS = """
import argparse
import exptrack

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--amp", action="store_true")
parser.add_argument("data")
args = parser.parse_args()
with exptrack.start_run(args) as run:
    run.log({"val_loss": args.lr * args.batch_size + args.amp})
"""


def filled(words: str, form: str | None = None, *, dashes: bool = False, flags: bool = False) -> list[str]:
    return TrialCommand(tuple(shlex.split(words)), form, dashes, flags).fill(PARAMS)


@pytest.mark.parametrize(
    ("words", "form", "options", "found"),
    [
        (
            "x --lr {optim.lr} --out=runs/{optim.lr}-{batch_size} {kind} {amp} {clip}",
            None,
            {},
            ["x", "--lr", "0.001", "--out=runs/0.001-64", "two words", "true", "null"],
        ),
        (
            "x {kind}{amp}{clip} {overrides} y",
            None,
            {},
            ["x", "two wordstruenull", "optim.lr=0.001", "batch_size=64", "y"],
        ),
        (
            "x --clip={clip}",
            "--{key}={value}",
            {},
            ["x", "--clip=null", "--optim.lr=0.001", "--batch_size=64", "--kind=two words", "--amp=true"],
        ),
        (
            "x {overrides} y",
            "--{key} {value}",
            {"dashes": True, "flags": True},
            ["x", "--optim.lr", "0.001", "--batch-size", "64", "--kind", "two words", "--amp", "y"],
        ),
        (
            "sh -c 'x {overrides} > {kind}'",
            "-o {key}:{value}",
            {},
            ["sh", "-c", "x -o optim.lr:0.001 -o batch_size:64 -o amp:true > two words"],
        ),
        (
            "x {{kind}} --x={{other}} {} f({print}{{y}}) {overrides}",
            "{key}={value}",
            {},
            [
                *["x", "{kind}", "--x={other}", "{}", "f({print}{{y}})"],
                *["optim.lr=0.001", "batch_size=64", "kind=two words", "amp=true"],
            ],
        ),
    ],
)
def test_params_stand_where_and_as_the_command_says(
    words: str, form: str | None, options: dict[str, bool], found: list[str]
) -> None:
    assert filled(words, form, **options) == found


@pytest.mark.parametrize(
    ("word", "arrives"),
    [
        ("{kind}", "two words"),
        ("{{kind}}", "{kind}"),
        ("{{{kind}}}", "{two words}"),
        ("{{{{kind}}}}", "{{kind}}"),
        ("{{{{{kind}}}}}", "{{two words}}"),
        ("--x={{{kind}}}", "--x={two words}"),
        # What stands on one side only is text.
        ('{"a": {"kind": {kind}}}', '{"a": {"kind": two words}}'),
        ("{{kind}, {amp}}", "{two words, true}"),
        ("{{kind}}}", "{kind}}"),
        # Any name could be a place if it is the word, or the value of an option.
        ("{{user}}", "{user}"),
        ("--x={{user.name}}", "--x={user.name}"),
        ("{{{{user}}}}", "{{user}}"),
        # These could not.
        *(
            (word, word)
            for word in ("{{ user }}", "{{ kind }}", "{{a b}}", "{{user|e}}", "{{0}}", "{}", "{{}}")
        ),
        *(
            (word, word)
            for word in ("--x={{ user }}", "{{{user}}}", "hi {{user}}, {{{user}}}", "{%if a%}{{a}}")
        ),
        *((word, word) for word in ("}{", "{{kind", "kind}}", "{{{{", "{kind }")),
        # As a misspelt param is refused there, it can be written as a text.
        ("x {{batchsize}}", "x {batchsize}"),
    ],
)
def test_braces_that_could_be_no_place_arrive_as_they_are(word: str, arrives: str) -> None:
    command = TrialCommand(("x", word))
    assert command.fill(PARAMS)[1] == arrives


@pytest.mark.parametrize(
    "word", ["{user}", "--x={user}", "x {batchsize}", "{learning-rate}", "--y={{{kinds}}}"]
)
def test_what_is_refused_as_a_place_can_be_written_as_text(word: str) -> None:
    with pytest.raises(InvalidValueError, match=r"the text itself is \{\{") as refused:
        TrialCommand(("x", word)).require_places(PARAMS)
    text = re.findall(r"the text itself is (.*)\)", str(refused.value))[0]
    written = TrialCommand(("x", re.sub(r"\{+.*\}+", text, word)))
    written.require_places(PARAMS)
    assert written.fill(PARAMS)[1] == word


@settings(deadline=None)
@given(st.lists(st.sampled_from(["{", "}", "{{", "}}", "kind", "amp", " ", "--x=", "overrides"])))
def test_any_text_can_be_written_with_two_braces_for_one(parts: list[str]) -> None:
    word = "".join(parts)
    names = {"kind", "amp", "overrides"}
    assume(set(re.findall(r"\{([A-Za-z_][\w.-]*)\}", word)) <= names)  # others may be misspelt ones

    def double(found: re.Match[str]) -> str:
        pairs = min(len(found[1]), len(found[3]))
        return "{" * pairs + found[0] + "}" * pairs

    doubled = re.sub(r"(\{+)(kind|amp|overrides)(\}+)", double, word)
    command = TrialCommand(("x", doubled))
    command.require_places(["kind", "amp"])
    assert command.fill({"kind": "KIND", "amp": "AMP"})[1] == word


@pytest.mark.parametrize("words", [["x"], ["x", "{overrides}"], ["x", "{lr}", "{overrides}"]])
@pytest.mark.parametrize("options", [{}, {"args": "--{key}={value}"}])
def test_a_param_that_is_called_like_the_place_of_all_is_refused(
    words: list[str], options: dict[str, Any], archive: Archive
) -> None:
    one = Dimension("choice", choices=(0.1, 0.01))
    plan = SweepPlan("args", "val_loss", "minimize", {"overrides": one, "lr": one})
    with pytest.raises(InvalidValueError, match=r"no parameter called overrides.*rename it in the sweep file"):
        archive.run_sweep(plan, [sys.executable, *words], **options)
    assert archive.studies() == []


@pytest.mark.parametrize("keys", [("a_b", "a-b"), ("x.a_b_c", "x.a-b_c"), ("a_b", "lr", "a-b")])
def test_params_that_dashes_write_alike_are_refused(keys: tuple[str, ...], archive: Archive) -> None:
    plan = SweepPlan("args", "m", "minimize", dict.fromkeys(keys, Dimension("int", 1, 2)))
    form = "--{key}={value}"
    with pytest.raises(InvalidValueError, match="leave dashes out, or give one a place of its own") as refused:
        archive.run_sweep(plan, [sys.executable], args=form, dashes=True)
    assert f"write {keys[0]} and {keys[-1]} alike, as {keys[0].replace('_', '-')};" in str(refused.value)
    assert archive.studies() == []
    TrialCommand(("x",), form).require_places(keys)
    placed = TrialCommand(("x", f"--other={{{keys[-1]}}}"), form, True)
    placed.require_places(keys)
    assert placed.fill(dict.fromkeys(keys, 1))[1:3] == ["--other=1", f"--{keys[0].replace('_', '-')}=1"]


def test_a_flag_that_is_false_is_left_out() -> None:
    command = TrialCommand(("x",), "--{key}={value}", False, True)
    assert command.fill({"amp": False, "n": 0}) == ["x", "--n=0"]
    assert TrialCommand(("x",), "--{key}={value}").fill({"amp": False}) == ["x", "--amp=false"]


@pytest.mark.parametrize(
    ("words", "form", "problem"),
    [
        (
            "x {optim.lr}",
            None,
            r"has a place for optim.lr and none for batch_size, kind, amp, clip; add {batch_",
        ),
        ("x --rate={optim.rate}", None, "has a place {optim.rate}, and no parameter has this name"),
        ("x {learning}", None, "no parameter has this name; there are optim.lr, batch_size, kind, amp, clip"),
        ("sh -c 'x {batchsize}'", None, r"did you mean {batch_size}\?"),
        (
            "x {optim.lr} {batch_size} {kind} {amp} {clip}",
            "--{key}={value}",
            "a place of its own.*leave args out",
        ),
    ],
)
def test_a_command_without_a_place_for_a_param_is_refused(words: str, form: str | None, problem: str) -> None:
    with pytest.raises(InvalidValueError, match=problem):
        TrialCommand(tuple(shlex.split(words)), form).require_places(PARAMS)


@pytest.mark.parametrize(
    "words",
    [
        "x",
        "x {overrides}",
        "x {optim.lr} {overrides}",
        "x {optim.lr} {batch_size} {kind} {amp} {clip}",
        "awk '{print 1}' {} '{{kind}}' '{{learning}}' f'{x}'",
    ],
)
def test_a_command_with_a_place_for_each_param_is_taken(words: str) -> None:
    TrialCommand(tuple(shlex.split(words))).require_places(PARAMS)


@pytest.mark.parametrize(
    ("options", "problem", "error"),
    [
        (("--{key}",), "must hold {key} and {value}", InvalidValueError),
        (("",), "must hold {key} and {value}", InvalidValueError),
        (("--{key}={value} {lr}",), "no other braces", InvalidValueError),
        (("'--{key}={value}",), "cannot be split into words", InvalidValueError),
        ((3,), "args must be text", InvalidTypeError),
        ((None, True), "dashes says how args are written", InvalidValueError),
        ((None, False, True), "flags says how args are written", InvalidValueError),
        (("--{key}={value}", 1), "dashes must be", InvalidTypeError),
    ],
)
def test_a_form_that_writes_no_option_is_refused(
    options: tuple[Any, ...], problem: str, error: type[Exception], archive: Archive
) -> None:
    words = dict(zip(("args", "dashes", "flags"), options, strict=False))
    with pytest.raises(error, match=problem):
        archive.run_sweep(PLAN, [sys.executable], **words)
    assert archive.studies() == []


def test_a_form_needs_a_command(archive: Archive) -> None:
    archive.run_sweep(PLAN, [sys.executable], time_limit=1e-9)
    with pytest.raises(InvalidValueError, match="give the command too"):
        archive.run_sweep("args", args="--{key}={value}")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["lr", "a.b", "overrides"]), st.text() | st.integers() | st.booleans()))
def test_any_text_in_a_place_arrives_as_it_is(params: dict[str, Any]) -> None:
    """Also text that holds a place itself."""
    command = TrialCommand(tuple(f"{{{key}}}" for key in params if key != "overrides"))
    words = command.fill(params)
    for word, value in zip(words, [one for key, one in params.items() if key != "overrides"], strict=False):
        assert word == (value if isinstance(value, str) else str(value).lower())


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["data.csv"], {"args": "--{key}={value}"}),
        (
            ["--lr", "{lr}", "{overrides}", "data.csv"],
            {"args": "--{key} {value}"},
        ),
    ],
)
def test_a_script_that_reads_argparse_is_swept_as_it_is(
    words: list[str], options: dict[str, Any], archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(TRAINS)
    options |= {"dashes": True, "flags": True}
    report = archive.run_sweep(PLAN, [sys.executable, "train.py", *words], **options)
    assert (report.counts[TrialState.COMPLETE], report.best_value) == (8, 0.01 * 16)
    for trial in archive.trials("args"):
        config = archive.show_run(trial.run_id).config
        assert config == {**trial.params, "data": "data.csv"}
    # The study remembers the form too.
    assert sum(archive.run_sweep("args").counts.values()) == 0
    assert archive.study("args").settings["args"] == {
        "form": options["args"],
        "dashes": True,
        "flags": True,
    }


def test_a_form_with_a_secret_is_not_remembered(archive: Archive) -> None:
    form = "--api-key=0123456789abcdef0123456789abcdef --{key}={value}"
    archive.run_sweep(PLAN, [sys.executable], args=form, time_limit=1e-9)
    found = archive.study("args").settings
    assert (found["command"], found["args"]) == (None, None)
