"""What libraries are given and write is recorded, once and by its source; the script sees no difference."""

from __future__ import annotations

import json
import os

import pytest

from exptrack import Archive
from tests.scripts.script_lab import ScriptLab

HEAD = "import argparse, sys\nparser = argparse.ArgumentParser()\n"


def kinds(lab: ScriptLab, number: int = 0) -> dict[str, str]:
    return {key: source.kind for key, source in lab.sources(number).items()}


# argparse


def test_arguments_are_the_config_and_their_source_is_told(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        HEAD + "parser.add_argument('--lr', type=float, default='0.1')\n"
        "parser.add_argument('--layers', type=int, nargs='*', default=[1, 2])\n"
        "parser.add_argument('--amp', action='store_true')\n"
        "parser.add_argument('--none', default=None)\n"
        "parser.add_argument('--sizes', nargs='*', default=[None])\n"
        "parser.add_argument('data', type=argparse.FileType('r'))\n"
        "parser.set_defaults(call=len)\n"
        "before = argparse.Namespace()\n"
        "args = parser.parse_args(namespace=before)\nassert args is before\n"
        "print(args.lr, args.layers, args.amp, args.sizes, args.call([1]))\n",
    )
    done = lab.run("train.py", "--layers", "3", "--amp", "train.py")
    assert done.stdout == b"0.1 [3] True [None] 1\n", done.stderr
    assert lab.config() == {
        "lr": 0.1,
        "layers": [3],
        "amp": True,
        "none": None,
        "sizes": [None],
        "data": "train.py",
        "call": "len",
    }
    assert kinds(lab) == {
        "lr": "default",
        "none": "default",
        "sizes": "default",
        "call": "default",
        "layers": "override",
        "amp": "override",
        "data": "override",
    }


def test_parsers_of_other_texts_and_of_libraries_are_left_alone(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        HEAD + "parser.add_argument('--lr')\nparser.parse_args([])\nparser.parse_args(['--lr', '9'])\n"
        "import _pytest_like\n",
    )
    lab.write(
        "_pytest_like.py",
        "__name__ = 'hydra._internal'\nimport argparse\nother = argparse.ArgumentParser()\n"
        "other.add_argument('--lr')\nother.parse_args()\n",
    )
    assert lab.run("train.py", "--lr", "1").returncode == 0
    assert lab.config() == {}


def test_a_later_parse_adds_and_changes(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        HEAD + "parser.add_argument('--lr', type=float)\nargs, rest = parser.parse_known_args()\n"
        "second = argparse.ArgumentParser()\nsecond.add_argument('--depth', type=int, default=3)\n"
        "second.parse_args(rest)\n"
        "parser.add_argument('--depth', type=float)\nparser.parse_args(sys.argv[1:])\n",
    )
    assert lab.run("train.py", "--lr", "1", "--depth", "5").returncode == 0
    assert lab.config() == {"lr": 1.0, "depth": 5.0}


def test_a_subcommand_adds_its_own(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        HEAD + "commands = parser.add_subparsers(dest='command')\n"
        "one = commands.add_parser('fit')\none.add_argument('--lr', type=float, default=0.5)\n"
        "one.add_argument('--n', type=int)\nparser.parse_args()\n",
    )
    assert lab.run("train.py", "fit", "--n", "2").returncode == 0
    assert lab.config() == {"command": "fit", "lr": 0.5, "n": 2}
    assert kinds(lab) == {"lr": "default", "command": "override", "n": "override"}


def test_wrong_arguments_end_the_script_as_ever(lab: ScriptLab) -> None:
    lab.write("train.py", HEAD + "parser.add_argument('--lr', type=float)\nparser.parse_args()\n")
    plain, done = lab.plain("train.py", "--lr", "x"), lab.run("train.py", "--lr", "x")
    assert (done.returncode, plain.returncode) == (2, 2)
    assert done.stderr.endswith(plain.stderr)
    assert (lab.only().summary.status, lab.only().summary.reason) == ("failed", "exit code 2")


def test_workers_record_no_arguments(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        HEAD + "import multiprocessing\nparser.add_argument('--lr')\n"
        "def work(n):\n    parser.add_argument('--worker', default=str(n))\n    parser.parse_args()\n"
        "if __name__ == '__main__':\n    parser.parse_args()\n"
        "    method = 'fork' if hasattr(__import__('os'), 'fork') else 'spawn'\n"
        "    with multiprocessing.get_context(method).Pool(1) as pool: pool.map(work, [1])\n",
    )
    done = lab.run("train.py", "--lr", "1")
    assert done.returncode == 0, done.stderr
    assert lab.config() == {"lr": "1"}


@pytest.mark.parametrize("switch", ["argparse", "click", "tensorboard", "figures"])
def test_each_hook_has_a_switch(switch: str, lab: ScriptLab) -> None:
    lab.write(
        "train.py", f"{CLICK}\n{HEAD}parser.add_argument('--lr')\nparser.parse_args(sys.argv[1:])\n{WRITES}"
    )
    done = lab.run(f"--no-{switch}", "train.py", "--lr", "1")
    assert done.returncode == 0, done.stderr
    found = lab.only()
    recorded = {
        "argparse": kinds(lab).get("lr") is not None,
        "click": "size" in lab.config(),
        "tensorboard": "loss" in found.summary.metrics,
        "figures": "plot.png" in [one.name for one in found.artifacts],
    }
    assert recorded == {name: name != switch for name in recorded}


# click

CLICK = """
import click
@click.command()
@click.option("--size", default=4)
def sized(size): pass
sized([], standalone_mode=False)
"""


def test_params_of_click_nest_under_their_command(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import click\n@click.group()\n@click.option('--verbose/--quiet', default=True)\n"
        "def main(verbose): pass\n"
        "@main.command()\n@click.option('--lr', type=float, default=0.1)\n@click.option('--n', type=int)\n"
        "@click.option('--pin', prompt=True, hide_input=True, default='12345678')\n"
        "@click.argument('files', nargs=-1)\n"
        "def fit(lr, n, pin, files): print(lr, n, files)\nmain()\n",
    )
    done = lab.run("train.py", "fit", "--n", "3", "--pin", "987654321", "a", "b")
    assert done.stdout == b"0.1 3 ('a', 'b')\n", done.stderr
    assert lab.config() == {"verbose": True, "fit": {"lr": 0.1, "n": 3, "files": ["a", "b"]}}
    assert kinds(lab) == {
        "verbose": "default",
        "fit.lr": "default",
        "fit.n": "override",
        "fit.files": "override",
    }


def test_an_error_of_a_command_has_no_frames_of_hooks(lab: ScriptLab) -> None:
    lab.write("train.py", "import click\n@click.command()\ndef main(): 1 / 0\nmain()\n")
    plain, done = lab.plain("train.py"), lab.run("train.py")
    assert done.stderr.endswith(plain.stderr)
    assert "scripts" not in str(lab.only().traceback)


# SummaryWriter and figures

WRITES = """
from tensorboardX import SummaryWriter
import matplotlib
matplotlib.use("agg")
from matplotlib import pyplot
writer = SummaryWriter("logs")
writer.add_scalar("loss", 0.5, 1)
writer.close()
pyplot.plot([1, 2])
pyplot.savefig("plot.png")
"""


def test_a_summary_writer_logs_to_the_run_as_well(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import numpy\nfrom tensorboardX import SummaryWriter\nwriter = SummaryWriter('logs')\n"
        "for step in range(3): writer.add_scalar('loss', numpy.float32(1 / (step + 1)), step)\n"
        "writer.add_scalar('unstepped', 1.0)\nwriter.add_scalar(tag='unstepped', scalar_value=2.0)\n"
        "writer.add_scalars('acc', {'train': 0.5, 'val': 0.25}, numpy.int64(7), walltime=4e9)\n"
        "writer.add_hparams({'lr': 0.1, 'opt': 'adam'}, {'final': 3.0})\nwriter.close()\n",
    )
    done = lab.run("train.py")
    assert done.returncode == 0, done.stderr
    assert (lab.folder / "logs").is_dir()
    assert lab.config() == {"lr": 0.1, "opt": "adam"}
    with Archive(lab.db) as archive:
        run = archive.get_run(archive.list_runs()[0].run_id)
        assert [(point.step, point.value) for point in run.get_metric("loss")] == [
            (0, 1.0),
            (1, 0.5),
            (2, pytest.approx(1 / 3)),
        ]
        assert [(point.step, point.value) for point in run.get_metric("unstepped")] == [(0, 1.0), (1, 2.0)]
        (point,) = run.get_metric("acc/train")
        assert (point.step, point.value, point.time.timestamp()) == (7, 0.5, 4e9)
        assert set(run.metrics) == {"loss", "unstepped", "acc/train", "acc/val", "final"}


def test_the_writer_of_torch_is_hooked_by_its_module(lab: ScriptLab) -> None:
    lab.write("torch/__init__.py", "")
    lab.write("torch/utils/__init__.py", "")
    lab.write("torch/utils/tensorboard/__init__.py", "from .writer import SummaryWriter\n")
    lab.write(
        "torch/utils/tensorboard/writer.py",
        "class SummaryWriter:\n"
        "    def __init__(self, log_dir=None): self.calls = []\n"
        "    def add_scalar(self, tag, scalar_value, global_step=None, walltime=None, new_style=False):\n"
        "        self.calls.append(tag)\n"
        "    def add_scalars(self, main_tag, tag_scalar_dict, global_step=None, walltime=None):\n"
        "        self.calls.append(main_tag)\n"
        "    def add_hparams(self, hparam_dict, metric_dict, hparam_domain_discrete=None, run_name=None,\n"
        "                    global_step=None):\n"
        "        for name, value in metric_dict.items(): self.add_scalar(name, value, global_step)\n",
    )
    lab.write(
        "train.py",
        "from torch.utils.tensorboard import SummaryWriter\nwriter = SummaryWriter()\n"
        "writer.add_scalar('loss', 1.0, 3, new_style=True)\nwriter.add_scalars('acc', {'a': 1.0}, 3)\n"
        "writer.add_hparams({'lr': 1}, {'final': 2.0})\nprint(writer.calls)\n",
    )
    done = lab.run("train.py")
    assert done.stdout == b"['loss', 'acc', 'final']\n", done.stderr
    found = lab.only()
    assert dict(found.summary.metrics) == {"loss": 1.0, "acc/a": 1.0, "final": 2.0}
    assert [one.count for one in found.metrics] == [1, 1, 1]


def test_what_a_writer_logs_after_the_end_of_the_run_is_kept(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import exptrack\nwith exptrack.start_run(): pass\n"
        "from tensorboardX import SummaryWriter\nSummaryWriter('logs').add_scalar('late', 1.0, 4)\n",
    )
    done = lab.run("train.py")
    assert done.returncode == 0, done.stderr
    assert dict(lab.only().summary.metrics) == {"late": 1.0}


def test_saved_figures_are_artifacts(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import io, os, matplotlib\nmatplotlib.use('agg')\nfrom matplotlib import pyplot\n"
        "os.mkdir('plots')\npyplot.plot([1, 2])\n"
        "for _ in range(2): pyplot.savefig('plots/a.png')\n"
        "pyplot.savefig('b')\npyplot.savefig('c.pdf', dpi=20)\npyplot.savefig('d', format='svg')\n"
        "buffer = io.BytesIO()\nbuffer.write(b'head')\npyplot.savefig(buffer, format='png')\n"
        "assert buffer.tell() == len(buffer.getvalue())\n"
        "pyplot.plot([2, 1])\npyplot.savefig('plots/a.png')\n",
    )
    done = lab.run("train.py")
    assert done.returncode == 0, done.stderr
    found = {(one.name, one.version): one.media_type for one in lab.only().artifacts if one.kind == "image"}
    assert found == {
        ("plots/a.png", 1): "image/png",
        ("plots/a.png", 2): "image/png",
        ("b.png", 1): "image/png",
        ("c.pdf", 1): "application/pdf",
        ("d.svg" if (lab.folder / "d.svg").exists() else "d", 1): "image/svg+xml",
        ("figure", 1): "image/png",
    }
    with Archive(lab.db) as archive:
        store = archive.artifacts(archive.list_runs()[0].run_id)
        assert store.get_blob("plots/a.png") == (lab.folder / "plots" / "a.png").read_bytes()


# Hydra

HYDRA = """
import hydra, sys
from hydra.core.config_store import ConfigStore
ConfigStore.instance().store(name="main", node={"lr": 0.1, "model": {"depth": 3, "twice": "${model.depth}"}})
@hydra.main(version_base=None, config_path=None, config_name="main")
def main(config):
    if TRACKS:
        import exptrack
        with exptrack.start_run(name="own") as run: run.log({"loss": config.lr})
    if config.lr > 1: raise ValueError("lr is too large")
main()
"""


@pytest.mark.parametrize("tracks", [False, True])
def test_a_job_of_hydra_is_the_run(tracks: bool, lab: ScriptLab) -> None:
    lab.write("train.py", HYDRA.replace("TRACKS", str(tracks)))
    done = lab.run("train.py", "model.depth=5")
    assert done.returncode == 0, done.stderr
    found = lab.only()
    assert (found.summary.status, found.summary.name) == ("completed", "own" if tracks else None)
    assert lab.config() == {"lr": 0.1, "model": {"depth": 5, "twice": 5}}
    assert kinds(lab) == {"lr": "default", "model.twice": "default", "model.depth": "override"}


def test_a_job_of_hydra_that_fails_fails_the_run_with_its_error(lab: ScriptLab) -> None:
    lab.write("train.py", HYDRA.replace("TRACKS", "False"))
    plain, done = lab.plain("train.py", "lr=2"), lab.run("train.py", "lr=2")
    assert (done.returncode, plain.returncode) == (1, 1)
    assert done.stderr.endswith(plain.stderr)
    found = lab.only()
    assert (found.summary.status, found.summary.reason) == ("failed", "ValueError: lr is too large")
    assert "raise ValueError" in str(found.traceback)


@pytest.mark.parametrize("tracks", [False, True])
def test_each_job_of_a_multirun_is_a_run_in_a_group(tracks: bool, lab: ScriptLab) -> None:
    lab.write("train.py", HYDRA.replace("TRACKS", str(tracks)))
    done = lab.run("train.py", "-m", "lr=0.5,0.25,7")
    assert done.returncode == 1, done.stderr
    main, *jobs = lab.details()
    assert main.summary.status == "failed"
    assert [job.config["lr"] for job in jobs] == [0.5, 0.25, 7]
    assert [job.summary.status for job in jobs] == [
        "completed",
        "completed",
        "completed" if tracks else "failed",
    ]
    assert {job.summary.parent for job in jobs} == {main.summary.run_id}
    assert len({job.summary.group for job in jobs} - {None}) == 1
    assert {job.summary.name for job in jobs} == ({"own"} if tracks else {"train 0", "train 1", "train 2"})


# Hooks that fail


def test_a_hook_that_fails_is_told_once_and_the_script_goes_on(lab: ScriptLab) -> None:
    lab.write("tensorboardX/__init__.py", "from .writer import SummaryWriter\n")
    lab.write(
        "tensorboardX/writer.py",
        "class SummaryWriter:\n    def add_scalar(self, tag, scalar_value, global_step=None): pass\n"
        "    def add_scalars(self): pass\n    def add_hparams(self): pass\n",
    )
    lab.write(
        "train.py",
        "from tensorboardX import SummaryWriter\nwriter = SummaryWriter()\n"
        "for step in (0.5, 1.5): writer.add_scalar('loss', 1.0, step)\nwriter.add_scalar('loss', 1.0, 2.0)\n",
    )
    done = lab.run("train.py", environ={"EXPTRACK_STRICT": ""})
    assert done.returncode == 0
    assert done.stderr.count(b"the step 0.5 is not a whole number") == 1
    assert done.stderr.count(b"not recorded") == 1
    found = lab.only()
    assert dict(found.summary.metrics) == {"loss": 1.0}
    (event,) = [event for event in found.events if event.kind == "hook_failed"]
    assert json.dumps(event.data).count("0.5") == 1
    assert lab.run("train.py").returncode == 1


def test_nothing_is_imported_for_a_hook(lab: ScriptLab) -> None:
    lab.write(
        "train.py",
        "import sys\nprint(sorted({name.partition('.')[0] for name in sys.modules}))\n",
    )
    done = lab.run("train.py")
    heavy = {"click", "rich", "numpy", "matplotlib", "hydra", "omegaconf", "tensorboardX", "torch", "argparse"}
    heavy |= {"pydantic", "zstandard", "multiprocessing", "subprocess", "inspect"}
    loaded = set(json.loads(done.stdout.decode().replace("'", '"')))
    assert loaded & heavy == set(), os.linesep.join(sorted(loaded))
