"""Give a secret of the environment to every call that may store or print it, and look for it afterwards.

The main file, its log, the journals, copies and exports, and all that the terminal shows must not hold the
secret: neither as it is, nor escaped, nor its first or last eight characters.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import dataclasses
import functools
import io
import json
import logging
import os
import reprlib
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import optuna
from click.testing import CliRunner
from pydantic import BaseModel

from exptrack import (
    Archive,
    Dimension,
    ExpConfig,
    ExptrackError,
    RecordedArtifact,
    RecordedRun,
    SweepPlan,
    known_secrets,
    load_exp_config,
    parse_cli_overrides,
)
from exptrack.cli import main
from tests.faults.tally import Tally, sum_tries

# Of every form that is escaped in one place or another. Each begins and ends with what nothing else has.
SECRETS = {
    "plain": "CANARYqz7f3akx91zqXW",
    "quotes": "qzCANARY'k\"7\\f3'akxQZW91",
    "lines": "qzCANARY-first77\nsecond-line-88\tZWQXakx91",
    "accents": "qzCANARYé-ü-日本-ZWQXakx9",
    "query": "qzCANARY+a=b&c d%ZWQXakx9",
    "short": "qzCNRY",
}
VARIABLE = "CANARY_TOKEN"


class Scene(NamedTuple):
    """What a deed works with."""

    folder: Path
    archive: Archive
    config: ExpConfig
    secret: str


Deed = Callable[[Scene], Any]


class Model(BaseModel):
    token: str
    url: str
    lr: float


@dataclasses.dataclass
class Settings:
    token: str
    url: str
    lr: float


class Numbers(BaseModel):
    token: int


def forms_of(secret: str) -> list[bytes]:
    """Return every text by which the secret would be recognised."""
    forms = {secret, repr(secret)[1:-1], ascii(secret)[1:-1], json.dumps(secret)[1:-1]}
    if len(secret) >= 16:
        forms |= {part for form in set(forms) for part in (form[:8], form[-8:])}
        data = secret.encode()
        # Some of what other bytes before it and after it leave as it is.
        forms |= {base64.b64encode(bytes(n) + data).decode()[4:-6] for n in range(3)} | {data.hex()}
    return [form.encode() for form in forms]


# Deeds


def _errors(secret: str) -> Iterator[BaseException]:
    """Yield exceptions that tell the secret in one way or another."""
    yield KeyError(secret)
    yield ValueError(f"refused: {secret!r}")
    yield RuntimeError(f"no access with {secret[:12]}…")
    yield RuntimeError(f"key …{secret[-10:]} is invalid")
    yield RuntimeError(reprlib.repr({"token": secret * 3}))
    yield RuntimeError(json.dumps({"headers": [secret]}))
    yield RuntimeError(ascii(secret))
    data = secret.encode()
    yield RuntimeError([base64.b64encode(b"user"[:n] + data + b"!") for n in range(4)])
    yield RuntimeError(f"{data.hex()} is not {base64.urlsafe_b64encode(data)!r}")
    yield OSError(2, secret.encode())
    yield ExceptionGroup("several", [ValueError(secret), ExceptionGroup(secret, [KeyError(secret)])])
    noted = ValueError("refused")
    noted.add_note(f"the token was {secret}")
    yield noted
    chained = ValueError("refused")
    chained.__cause__ = KeyError(secret)
    yield chained


def _fail(scene: Scene, config: object, error: BaseException) -> None:
    with contextlib.suppress(type(error)), scene.archive.start_run(config):
        raise error


def _resume(scene: Scene) -> None:
    run = scene.archive.start_run(scene.config)
    run.fail("first")
    known_secrets._known.clear()  # as in another process
    resumed = scene.archive.resume_run(run.run_id)
    resumed.log_metric("x", 1.0)
    resumed.finish("failed", f"refused: {scene.secret}")


def _tell(scene: Scene) -> None:
    study = scene.archive.create_study("told", base=scene.config)
    study.tell(study.ask(), reason=f"refused: {scene.secret}")


def _optimize(scene: Scene, base: object) -> None:
    study = scene.archive.create_study("searched", base=base)

    def objective(trial: Any) -> float:
        trial.suggest_float("lr", 0.1, 1.0)
        raise RuntimeError(f"refused: {trial.config.get('token')!r}")

    study.optimize(objective, n_trials=1, on_error="continue")


def _argue(scene: Scene, *words: str) -> None:
    """Start a run with arguments of the command line, as a script and as a parser of arguments see them."""
    with mock.patch.object(sys, "argv", ["train.py", *words]):
        parser = argparse.ArgumentParser()
        parser.add_argument("--token", default="")
        parser.add_argument("rest", nargs="*")
        scene.archive.start_run(parser.parse_args(words)).complete()
        config = load_exp_config(scene.folder, parse_cli_overrides(words))
        _fail(scene, config, KeyError(config.get("token")))


def _remark(scene: Scene) -> None:
    run = scene.archive.start_run(scene.config, tags=[_name(scene)], name=_name(scene), group=_name(scene))
    run.add_note(f"with {scene.secret}")
    run.add_tag(f"tag {_name(scene)}")
    run.append_event("login", {"with": [scene.secret]})
    run.update_config({"later": {"login": scene.secret}})
    run.update_config({"token": scene.secret, "shown": _name(scene)}, source="override", allow_change=True)
    run.set_attributes({"login": scene.secret, _name(scene): [scene.secret, {scene.secret: 1}]})
    run.rename(f"after {_name(scene)}")
    run.set_group(f"after {_name(scene)}")
    run.append_event(f"with {_name(scene)}", {scene.secret: {"x": scene.secret}})
    run.interrupt(f"by {scene.secret}")


def _name_things(scene: Scene) -> None:
    """Give what the run logs and stores a name or a description with the secret in it."""
    name = _name(scene)
    run = scene.archive.start_run({"quota": {scene.secret: 1}})
    run.log({f"loss/{name}": 1.0, "other": 2.0})
    run.log_metric(f"acc/{name}", 1)
    run.log_many(f"many/{name}", [0, 1], [1.0, 2.0])
    run.log_text(f"text {name}", "nothing", caption=scene.secret)
    facts = {"token": scene.secret, scene.secret: [{"x": scene.secret}]}
    run.artifacts.register_data(f"model {name}", b"nothing", facts, kind=name, description=scene.secret)
    run.artifacts.describe(f"model {name}", f"of {scene.secret}")
    run.artifacts.set_alias(f"model {name}", "best")
    run.log_mixed({"phase": scene.secret, "deep": {f"loss {name}": 1.0, name: [scene.secret]}})
    run.complete()
    odd = ExpConfig.from_loose({"token": scene.secret, scene.secret: [object(), {1: scene.secret}]})
    scene.archive.start_run(odd).complete()
    study = scene.archive.create_study("described", base=scene.config)
    study.optuna_study.set_user_attr(name, scene.config.values)
    trial = study.ask()
    trial.optuna_trial.set_user_attr(name, [scene.secret, {scene.secret: 1}])
    study.tell(trial, 1.0)
    study.optuna_study.add_trial(optuna.trial.create_trial(value=1.0, user_attrs={name: scene.secret}))


def _record(scene: Scene) -> None:
    from datetime import UTC, datetime

    model = scene.config.as_model(Model)
    points = {f"loss {_name(scene)}": ([0], [1.0])}
    secret, name, now = scene.secret, _name(scene), datetime.now(UTC)
    kept = RecordedArtifact(
        f"model {name}",
        b"nothing",
        kind=name,
        metadata={"token": secret},
        media_type=f"text/{name}",
        aliases=["best"],
        description=f"of {secret}",
    )
    record = RecordedRun(
        model,
        now,
        1.0,
        "failed",
        secret,
        tags=[(name, now)],
        notes=[secret, (secret, now)],
        metrics=points,
        host=secret,
        platform=secret,
        external_id=f"lab:{name}",
        events=[(name, {"with": [secret], secret: 1})],
        attributes={name: secret, "list": [secret]},
        artifacts=[kept],
        command=["train.py", secret, f"--x={secret}"],
        variables={"X": secret, name: "y"},
        system={"x": {secret: secret}},
        remote=f"https://{name}@example.org/x",
        code_digest=secret,
    )
    scene.archive.record_runs([record])


def _name(scene: Scene) -> str:
    return "".join(sign for sign in scene.secret if sign.isprintable())


def _refused(scene: Scene) -> Iterator[Callable[[], Any]]:
    """Yield calls that are refused because of an argument that holds the secret."""
    a, secret = scene.archive, scene.secret
    run = a.start_run(scene.config)
    yield lambda: a.start_run({"token": [object(), secret]})
    yield lambda: a.start_run({"x": {secret: object()}})
    yield lambda: a.start_run(secret)
    yield lambda: a.start_run(tags=secret)
    yield lambda: a.start_run(data=secret)
    yield lambda: a.start_run(name=secret + "\n")
    yield lambda: a.start_run(parent=secret)
    yield lambda: a.resume_run(secret)
    yield lambda: a.show_run(secret)
    yield lambda: a.runs().where(f"config.token = {secret!r} and").list()
    yield lambda: a.sql(f"SELECT '{secret}' FROM nothing")
    yield lambda: a.study(secret)
    yield lambda: a.create_study(_name(scene))
    yield lambda: a.create_study("s1", metric=_name(scene))
    study = a.create_study("s2", base=scene.config)
    yield lambda: study.enqueue({"token": secret})
    yield lambda: study.ask().suggest_choice("token", ["none", secret])
    yield lambda: study.ask().suggest_float(_name(scene), 0.0, 1.0)
    yield lambda: run.log({secret + "\n": 1.0})
    yield lambda: run.log_metric("x", secret)  # type: ignore[arg-type]
    yield lambda: run.log_metric("x", 1.0, secret)  # type: ignore[arg-type]
    yield lambda: run.add_tag(secret + "\n")
    yield lambda: run.rename(secret + "\n")
    yield lambda: run.set_attribute("x", {secret})
    yield lambda: run.update_config({secret: {1: 2}})
    yield lambda: a.find_run(external_id=secret)
    yield lambda: run.append_event("kind", {"x": {secret}})
    yield lambda: run.finish(secret)
    yield lambda: run.use_artifact(secret)
    yield lambda: run.use_artifact(f"model:{secret}")
    yield lambda: run.artifacts.set_alias("model", f"{secret}:x")
    yield lambda: run.artifacts.register_data("model", b"x", aliases=[f"{secret}/x"])
    yield lambda: run.log_mixed({"x": {"y": 1.0}}, step=secret)  # type: ignore[arg-type]
    yield lambda: a.record_runs([RecordedRun({}, secret, events=[(secret,)])])  # type: ignore[arg-type]
    yield lambda: scene.config.as_model(Numbers)
    yield lambda: scene.config.as_model(secret)  # type: ignore[arg-type]
    yield lambda: scene.config.with_override(f"token.{'x'}", secret)
    yield lambda: load_exp_config(scene.folder, [secret])
    yield lambda: load_exp_config(scene.folder / secret)
    yield run.complete


def _try_refused(scene: Scene) -> None:
    for call in _refused(scene):
        try:
            call()
        except (ExptrackError, LookupError, OSError):
            print(traceback.format_exc(limit=0))
        print(known_secrets.mask_secrets(""), end="")


SCRIPTS = {
    "prints it": "print('using', token); print(repr(token), file=sys.stderr)",
    "shortens it": "print('using', token[:9] + '…', '…' + token[-9:])",
    "dies before its run": "raise KeyError(token)",
    "dies in its run": "with exptrack.start_run(config) as run: run.log({'loss': 1.0}); raise KeyError(token)",
    "dies of a model": "with exptrack.start_run(config.as_model(M)) as run: raise ValueError([token])",
    "ends with it": "sys.exit('refused: ' + token)",
    "logs it": "exptrack.start_run(config).fail(token)",
}
HEAD = """
import os, sys, exptrack, pydantic
os.environ["CANARY_TOKEN"] = bytes.fromhex("{hex}").decode()
config = exptrack.load_exp_config(".", exptrack.parse_cli_overrides(sys.argv))
token = config.get("token")
class M(pydantic.BaseModel):
    token: str
    lr: float
"""
SWEEP = "objective: {metric: loss, direction: minimize}\nspace:\n    lr: {low: 0.1, high: 1.0}\n"
SWEEP += "budget: {max_trials: 1}\n"


def _sweep(scene: Scene, body: str, options: Sequence[str] = ()) -> None:
    """Run a sweep whose command alone knows the secret, as if it had read it from a file of its own."""
    script = HEAD.replace("{hex}", scene.secret.encode().hex()) + body + "\n"
    (scene.folder / "train.py").write_text(script, encoding="utf-8")
    (scene.folder / "s.sdn").write_text(SWEEP, encoding="utf-8")
    command = [sys.executable, "-m", "exptrack", "--db", str(scene.folder / "lab.db"), "sweep", "run", "s.sdn"]
    command += [*options, "--", sys.executable, "train.py"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    del environment[VARIABLE]
    done = subprocess.run(command, cwd=scene.folder, env=environment, capture_output=True, timeout=100)
    print((done.stdout + done.stderr).decode("utf-8", "replace"))


def _deeds() -> Iterator[tuple[str, Deed]]:
    yield "a model", lambda s: s.archive.start_run(s.config.as_model(Model)).complete()
    yield "a dataclass", lambda s: s.archive.start_run(s.config.as_model(Settings)).complete()
    yield "the values", lambda s: s.archive.start_run(s.config.values).complete()
    yield "in a list", lambda s: s.archive.start_run({"all": [{"x": s.config.get("token")}]}).complete()
    yield "a base", lambda s: s.archive.create_study("s", base=s.config.as_model(Model))
    yield "print", lambda s: print(s.config, ExpConfig.from_object(s.config.as_model(Model)).to_sdn())
    yield "finish", lambda s: s.archive.start_run(s.config).finish("failed", f"refused: {s.secret!r}")
    yield "fail", lambda s: s.archive.start_run(s.config).fail(f"refused: {s.secret}")
    yield "resume", _resume
    yield "tell", _tell
    yield "optimize", lambda s: _optimize(s, s.config)
    yield "optimize a model", lambda s: _optimize(s, s.config.as_model(Model))
    yield "override", lambda s: _argue(s, f"token={s.secret}")
    yield "argument", lambda s: _argue(s, "--token", s.secret)
    yield "glued argument", lambda s: _argue(s, f"--token={s.secret}")
    yield "remarks", _remark
    yield "names", _name_things
    yield "record", _record
    yield "refused", _try_refused
    for number, error in enumerate(_errors(SECRETS["plain"])):

        def raise_one(scene: Scene, number: int = number) -> None:
            _fail(scene, scene.config, list(_errors(scene.secret))[number])
            _fail(scene, scene.config.as_model(Model), list(_errors(scene.secret))[number])

        yield f"{number} {type(error).__name__}", raise_one


def _argue_in_sweep(scene: Scene) -> None:
    """Give the secret to the command of a sweep in a word that does not look like one."""
    space = {"lr": Dimension("float", 0.1, 1.0)}
    plan = SweepPlan("argued", "loss", "minimize", space, max_trials=1, base=scene.config)
    scene.archive.run_sweep(plan, [sys.executable, "-c", "import sys; print(sys.argv)", scene.secret])


DEEDS = dict(_deeds())
SWEEPS: dict[str, Deed] = {"sweep with a word": _argue_in_sweep}
for _name_of_script, _body in SCRIPTS.items():
    SWEEPS[f"sweep {_name_of_script}"] = functools.partial(_sweep, body=_body)
    SWEEPS[f"sweep {_name_of_script}, as JSON"] = functools.partial(_sweep, body=_body, options=("--json",))


# Looking


def _read_back(archive: Archive, path: Path) -> Iterator[list[str]]:
    yield ["ls", "--json"]
    yield ["ls", "--columns", "config.token,config.url,name,tags"]
    for run in archive.list_runs():
        yield ["show", run.run_id]
        yield ["show", run.run_id, "--json"]
    for study in archive.studies():
        yield ["sweep", "show", study.name, "--trials", "--json"]
    yield ["snapshot", str(path.parent / "copy.db")]


def try_deed(name: str, secret_name: str) -> list[str]:
    """Return where the secret was found after a deed."""
    secret = SECRETS[secret_name]
    shown = io.StringIO()
    logged = logging.StreamHandler(shown)
    fresh = mock.patch.multiple(known_secrets, _known={}, _filled_in={})
    with tempfile.TemporaryDirectory() as place, fresh, mock.patch.dict(os.environ, {VARIABLE: secret}):
        folder = Path(place)
        words = f"token: ${{env:{VARIABLE}}}\nurl: https://user:${{env:{VARIABLE}}}@host/x\nlr: 0.1\n"
        (folder / "config.sdn").write_text(words)
        logging.getLogger("exptrack").addHandler(logged)
        try:
            with (
                contextlib.redirect_stdout(shown),
                contextlib.redirect_stderr(shown),
                Archive(folder / "lab.db") as archive,
            ):
                config = load_exp_config(folder)
                {**DEEDS, **SWEEPS}[name](Scene(folder, archive, config, secret))
                # Before the archive is closed, its log and journals are still there.
                files = {file.name: file.read_bytes() for file in folder.glob("lab.db*") if file.is_file()}
                lines = list(_read_back(archive, folder / "lab.db"))
                blobs = {
                    f"artifact {one.name}": archive.artifacts(run.run_id).get_blob(one.name)
                    for run in archive.list_runs()
                    for one in archive.artifacts(run.run_id).list_artifacts()
                }
            for line in lines:
                printed = CliRunner().invoke(main, ["--db", str(folder / "lab.db"), *line])
                files[" ".join(line)] = printed.output.encode()
            files["copy"] = (folder / "copy.db").read_bytes()
            files |= {key: one if isinstance(one, bytes) else one.encode() for key, one in blobs.items()}
        finally:
            logging.getLogger("exptrack").removeHandler(logged)
        files["terminal"] = shown.getvalue().encode("utf-8", "surrogateescape")
    return [
        f"{name}, {secret_name}: {form!r} stands in {where}"
        for where, content in files.items()
        for form in forms_of(secret)
        if form in content
    ]


TRIES = [(deed, secret) for secret in SECRETS for deed in (*DEEDS, *SWEEPS)]


def try_one(seed: int) -> Tally:
    tally = Tally(tries=1)
    for note in try_deed(*TRIES[seed % len(TRIES)]):
        tally.blame("unreported", note)
    return tally


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    return sum_tries(try_one, tries, seed)
