"""Bundles hold what the imports name, run each module once, and mean what the modules mean by themselves."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from exptrack.web.bundle import Bundler
from exptrack.web.static_files import read_files
from tests.web.node import NODE, STATIC

ALL = {
    "app.js": 'import { one } from "./folder/one.js";\nexport const start = () => one();\n',
    "folder/one.js": (
        'import two, { double, Three as Third } from "../two.js";\n'
        'import * as listed from "../vendor/listed.js";\n'
        "const made = two(1);\n"
        "export function one() {\n    return [made, double(4), new Third().name, listed.sum(1, 2)];\n}\n"
    ),
    "two.js": (
        'import {\n    count,\n    count as again,\n} from "./count.js";\n'
        "export default function two(x) {\n    return x + 1;\n}\n"
        "export const double = (x) => 2 * x + 0 * (count + again);\n"
        'export class Three {\n    name = "three";\n}\n'
    ),
    "count.js": (
        "globalThis.runs = (globalThis.runs ?? 0) + 1;\nexport const count = 0;\n"
        "export async function wait() {}\nexport function* each() {\n    yield 1;\n}\n"
    ),
    "vendor/listed.js": "function a(x,y){return x+y}var b=2;export{a as sum,b};\n",
    "vendor/value.js": "export default {\n'x': 1,\n};\n",
    "vendor/large.js": "export default [3];\n",
    "late.js": (
        'import large from "./vendor/large.js";\nimport value from "./vendor/value.js";\n'
        'import { count, each } from "./count.js";\nimport { shared } from "./shared.js";\n'
        "export default function late() {\n    return [large[0], value.x, count, [...each()], shared];\n}\n"
        "export const more = 7;\n"
    ),
    "other.js": (
        'import { shared } from "./shared.js";\nexport default function other() {\n    return shared;\n}\n'
    ),
    "shared.js": "globalThis.shared = (globalThis.shared ?? 0) + 1;\nexport const shared = [];\n",
}
PROBE = """
const [folder] = process.argv.slice(1);
const app = await import(`${folder}/app.js`);
const start = app.start ?? app.$modules["app.js"].start;
const [late, other] = [await import(`${folder}/late.js`), await import(`${folder}/other.js`)];
const isShared = late.default()[4] === other.default();
const {runs, shared} = globalThis;
console.log(JSON.stringify([start(), late.default(), late.more, isShared, runs, shared]));
"""


def run(files: Mapping[str, str], folder: Path) -> object:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "package.json").write_text('{"type": "module"}')
    command = [NODE, "--input-type=module", "-e", PROBE, "--", folder.as_uri()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def bundle(files: Mapping[str, str], base: str) -> Bundler:
    return Bundler({name: text.encode() for name, text in files.items()}, base)


def test_bundles_mean_what_their_modules_mean_and_run_each_once(tmp_path: Path) -> None:
    alone, joined = tmp_path / "alone", tmp_path / "joined"
    bundler = bundle(ALL, f"{joined.as_uri()}/")
    bundles = {name: bundler.join(name) for name in ("app.js", "late.js", "other.js")}
    kept = {"vendor/large.js": ALL["vendor/large.js"], "vendor/value.js": ALL["vendor/value.js"]}
    expected = [[2, 8, "three", 3], [3, 1, 0, [1], []], 7, True, 1, 1]
    assert run(ALL, alone) == expected
    assert run(bundles | kept, joined) == expected


def names_in(text: str) -> list[str]:
    return re.findall(r"^\$modules\[\"([^\"]+)\"\] \?\?= ", text, flags=re.M)


def imports_of(name: str) -> list[str]:
    if name.startswith("vendor/"):
        return []
    found = re.findall(r"from \"(\.[^\"]+)\";", (STATIC / name).read_text(encoding="utf-8"))
    return [((STATIC / name).parent / one).resolve().relative_to(STATIC).as_posix() for one in found]


def test_the_first_bundle_has_the_shell_and_the_runs_and_each_module_after_those_it_imports() -> None:
    names = names_in(bundle_of("app.js"))
    assert {"app.js", "views/runs.js", "vendor/ui.js"} <= set(names)
    assert len(set(names)) == len(names)
    for place, name in enumerate(names):
        assert set(imports_of(name)) <= set(names[:place]), name


def bundle_of(name: str) -> str:
    found = read_files().find_bundle(name)
    assert found is not None
    return found.decode()


@pytest.mark.parametrize("view", sorted(file.name for file in (STATIC / "views").glob("*.js")))
def test_the_bundle_of_a_view_has_what_the_first_lacks(view: str) -> None:
    first, names = names_in(bundle_of("app.js")), names_in(bundle_of(f"views/{view}"))
    assert not set(first) & set(names)
    waiting, behind = [f"views/{view}"], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in behind:
            behind.add(name)
            waiting += imports_of(name)
    assert set(names) == behind - set(first)


def test_a_later_import_leads_to_the_bundle_of_its_module() -> None:
    files = {
        "app.js": "export const load = (name) => import(`./views/${name}.js`);\n",
        "views/a.js": 'export const load = () => import("../parts/b.js");\n',
    }
    bundler = bundle(files, "/static/1/")
    assert "import(`/static/1/views/${name}.js`)" in bundler.join("app.js")
    assert 'import("/static/1/parts/b.js")' in bundler.join("views/a.js")


@pytest.mark.parametrize(
    "text",
    ['import "./b.js";\n', 'export * from "./b.js";\n', "export let a = 1;\n", "export const { a, b } = c;\n",
     'export { a } from "./b.js";\n', "import a from './b.js';\n"],
)  # fmt: skip
def test_a_form_of_import_or_export_that_no_bundle_can_have_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"^app\.js has ['\"](import|export)"):
        bundle({"app.js": text, "b.js": ""}, "/")


def test_modules_that_import_each_other_are_an_error() -> None:
    files = {
        "app.js": 'import { b } from "./b.js";\nexport const a = 1;\n',
        "b.js": 'import { a } from "./app.js";\nexport const b = 1;\n',
    }
    with pytest.raises(ValueError, match=r"^app\.js imports itself through others"):
        bundle(files, "/")
