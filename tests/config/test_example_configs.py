"""The example configs compose, say what set each key, and come back from SDN and from an archive."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from exptrack import Archive, ExpConfig, load_exp_config, load_sdn_config, sdn
from exptrack.cli import main
from tests.strategies import exactly

EXAMPLES = sorted(path for path in (Path(__file__).parents[2] / "examples/configs").iterdir())


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "WAREHOUSE_PASSWORD"):
        monkeypatch.setenv(name, f"secret of {name}")


def overrides(folder: Path) -> list[str]:
    return (folder / "overrides.txt").read_text(encoding="utf-8").splitlines()


def test_there_are_at_least_eight() -> None:
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_an_example_composes_and_comes_back(folder: Path, archive: Archive) -> None:
    for words in ([], overrides(folder)):
        config = load_exp_config(folder, words)
        assert config.overrides == tuple(words)
        for path, source in config.sources.items():
            assert source.kind in ("file", "override"), path
            if source.kind == "file":
                lines = (folder / source.name).read_text(encoding="utf-8").splitlines()
                last = path.split(".")[-1].strip('"')
                assert source.line == 0 or last in lines[source.line - 1] or "<<" in lines[source.line - 1]
        assert exactly(sdn.loads(config.to_sdn())) == exactly(config.stored_values)
        assert ExpConfig(sdn.loads(config.to_sdn())).hash() == config.hash()
        with archive.start_run(config) as run:
            assert run.config.values == config.values
        read = archive.get_run(run.run_id).config
        assert (exactly(read.stored_values), read.sources) == (exactly(reordered(config)), config.sources)
        shown = CliRunner().invoke(main, ["config", "show", str(folder), *words])
        assert shown.exit_code == 0
        assert "secret of" not in shown.stdout
        assert all(str(source) in shown.stdout for source in config.sources.values())


def reordered(config: ExpConfig) -> object:
    """The values in the order of the canonical form."""
    import json

    return json.loads(config.canonical())


@pytest.mark.parametrize(
    "file", [f for e in EXAMPLES for f in sorted(e.rglob("*.sdn"))], ids=lambda f: f"{f.parent.name}-{f.name}"
)
def test_every_value_of_an_example_can_be_set_in_its_file(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    values = sdn.loads(text)
    tables = {"space", "delays"}
    for leaf in load_raw(values).leaves():
        if leaf.key.split(".")[0] in tables:
            continue
        edited = sdn.set_value(text, leaf.key, "changed")
        expected = ExpConfig(values).with_override(leaf.key, "changed")
        assert exactly(sdn.loads(edited)) == exactly(expected.values)
        assert comments(edited) == comments(text) or isinstance(ExpConfig(values)[leaf.key], list)


def load_raw(values: dict[str, sdn.Value]) -> ExpConfig:
    return ExpConfig(values)


def comments(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("#")]


def test_a_single_file_of_an_example_is_read_alone() -> None:
    assert load_sdn_config(EXAMPLES[-1] / "config.sdn").get("model.num_classes") == 1000
