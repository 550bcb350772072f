"""A config with references to a secret in the environment, which the tests look for where it must not be."""

from __future__ import annotations

from pathlib import Path

from exptrack import ExpConfig, load_exp_config

CANARY = "kanarienvogel-7431-geheim"


def secret_config(folder: Path) -> ExpConfig:
    (folder / "c").mkdir(exist_ok=True)
    (folder / "c/config.sdn").write_text(
        "token: ${env:CANARY}\nurl: https://u:${env:CANARY}@host/x\n"
        'again: ${config:token}\nlist: ["${env:CANARY}", "${config:url}"]\n'
    )
    return load_exp_config(folder / "c", ["+extra=${env:CANARY}", '+deep.er={a: "${env:CANARY}"}'])
