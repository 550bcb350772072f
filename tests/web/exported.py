"""Ask the modules of an exported page about an archive, in Node.js: they answer as the server does."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.web.node import NODE, STATIC

_ASK = """
import { readFileSync } from 'node:fs'
const [address, wasm] = process.argv.slice(1)
const { startEngine, openFile, answer } = await import(address)
const { file, about, questions } = JSON.parse(readFileSync(0, 'utf8'))
await startEngine(readFileSync(wasm))
let answers
try {
  openFile(new Uint8Array(readFileSync(file)), about)
  answers = []
  for (const { url, body } of questions) {
    const { json, buffer, error } = await answer(url, body)
    answers.push({ json, error, buffer: buffer && Buffer.from(buffer).toString('base64') })
  }
} catch (error) {
  answers = { error: error.describe() }
}
process.stdout.write(JSON.stringify(answers))
"""
FORMAT = 99  # the newest that the page reads, if a test does not say so


class Asked(NamedTuple):
    """The answer to one question: JSON, bytes, or an error."""

    json: Any
    content: bytes | None
    error: dict[str, Any] | None


def ask_export(
    file: Path, questions: Sequence[str | tuple[str, dict[str, Any]]], *, newest: int = FORMAT
) -> list[Asked]:
    """Return the answers to questions; one with a body is posted."""
    asked = [{"url": one} if isinstance(one, str) else {"url": one[0], "body": one[1]} for one in questions]
    found = _run(file, asked, newest)
    assert isinstance(found, list), found
    return [_read(one) for one in found]


def refuse_file(file: Path, *, newest: int = FORMAT) -> str:
    """Return why a file is not opened."""
    found = _run(file, [], newest)
    assert isinstance(found, dict), "the file was opened"
    return str(found["error"]["message"])


def _run(file: Path, asked: list[dict[str, Any]], newest: int) -> Any:
    about = {"name": file.name, "exptrack": "0", "format": newest}
    arguments = [(STATIC / "export/worker/engine.js").as_uri(), str(STATIC / "vendor/sqlite3.wasm")]
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", _ASK, "--", *arguments],
        input=json.dumps({"file": str(file), "about": about, "questions": asked}),
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _read(answer: dict[str, Any]) -> Asked:
    content = None if answer.get("buffer") is None else base64.b64decode(answer["buffer"])
    return Asked(json.loads(answer["json"]) if "json" in answer else None, content, answer.get("error"))
