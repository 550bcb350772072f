"""Print artifacts: lists, files of folders, the space they take, and their lineage."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from exptrack.records import Artifact, ArtifactUse
from exptrack.terminal.console import (
    Columns,
    format_age,
    format_number,
    format_size,
    print_fitted,
    print_table,
    safe,
    shorten,
)

if TYPE_CHECKING:
    from exptrack import ArchiveInfo, ArtifactFile, CheckpointList, DeclaredData, Lineage, RunStorage

SHOWN_HASH_CHARS = len("sha256:") + 12


def print_artifacts(
    out: Console,
    records: Sequence[Artifact],
    versions: Mapping[str, int] | None = None,
    judged: CheckpointList | None = None,
) -> None:
    """Print a line for each artifact; `judged` has the value of a metric at the step of each checkpoint.

    `versions` maps names to their number of versions. With it, `records` are the newest of each name, and the
    number of versions replaces the hash.
    """
    if not records:
        out.print("no artifacts")
        return
    columns: Columns = {
        "name": ("left", [Text(safe(a.name), style="bold") for a in records]),
        "version" if versions is None else "newest": ("right", [a.version for a in records]),
    }
    if any(a.aliases for a in records):
        columns["aliases"] = ("left", [", ".join(a.aliases) for a in records])
    columns |= {
        "kind": ("left", [a.kind for a in records]),
        "step": ("right", ["" if a.step is None else a.step for a in records]),
    }
    if judged is not None and judged.metric is not None and judged.checkpoints:
        taken = {*columns, "size", "hash", "added", "description"}
        label = f"metrics.{judged.metric}" if judged.metric in taken else judged.metric
        columns[label] = ("right", _judge(records, judged))
    columns["size"] = ("right", ["folder" if a.is_folder else format_size(a.size_bytes) for a in records])
    if versions is None:
        columns["hash"] = ("left", [shorten_hash(a.hash) for a in records])
    else:
        columns["versions"] = ("right", [versions[a.name] for a in records])
    columns["added"] = ("left", [format_age(a.created_at) for a in records])
    if any(a.description for a in records):
        columns["description"] = ("left", [a.description or "" for a in records])
    print_fitted(out, columns, ("description", "added", "hash", "kind"), folded="name")


def _judge(records: Sequence[Artifact], judged: CheckpointList) -> list[object]:
    """Return the cells with the values of the metric; a star marks the best."""
    found = {(one.artifact.name, one.artifact.version): one for one in judged.checkpoints}
    cells: list[object] = []
    for record in records:
        one = found.get((record.name, record.version))
        number = "" if one is None or one.value is None else format_number(one.value)
        cells.append(Text(f"{number} *", style="bold green") if one and one.is_best else f"{number}  ".rstrip())
    return cells


def print_folder(out: Console, files: Sequence[ArtifactFile]) -> None:
    """Print the files and folders in a folder artifact."""
    if not files:
        out.print("an empty folder")
        return
    columns = [("path", "left"), ("mode", "right"), ("size", "right"), ("hash", "left")]
    print_table(
        out,
        columns,
        (
            [f.path, f"{f.mode:03o}", format_size(f.size_bytes), shorten_hash(f.hash)]
            if f.size_bytes is not None and f.hash is not None
            else [f"{f.path}/", f"{f.mode:03o}", "", ""]
            for f in files
        ),
    )


def print_storage(
    out: Console,
    records: Sequence[RunStorage],
    total: int,
    facts: ArchiveInfo,
    ids: Mapping[str, str] | None = None,
) -> None:
    """Print the space that the artifacts of runs take; `total` counts the runs that have any."""
    if not records:
        out.print("no artifacts")
        return
    columns: Columns = {
        "run": ("left", [Text(shorten(r.run_id, ids), style="bold") for r in records]),
        "name": ("left", [r.name or "" for r in records]),
        "artifacts": ("right", [r.artifacts for r in records]),
        "content": ("right", [format_size(r.size_bytes) for r in records]),
        "stored": ("right", [format_size(r.stored_bytes) for r in records]),
        "its own": ("right", [format_size(r.stored_bytes - r.shared_bytes) for r in records]),
        "shared": ("right", [format_size(r.shared_bytes) for r in records]),
    }
    print_fitted(out, columns, ("artifacts", "stored", "content"), folded="name")
    more = f"; {total - len(records):,} more runs" if total > len(records) else ""
    words = f"{format_size(facts.stored_bytes)} in all, in a file of {format_size(facts.file_bytes)}{more}"
    out.print(Text(words, style="dim"))


def print_lineage(out: Console, record: Lineage) -> None:
    """Print two trees: the inputs of a run or artifact, and the results made from it."""
    inputs: dict[str, list[ArtifactUse]] = {}
    for use in record.upstream:
        inputs.setdefault(use.run_id, []).append(use)
    uses: dict[str, list[ArtifactUse]] = {}
    for use in record.downstream:
        uses.setdefault(use.from_run, []).append(use)
    made: dict[str, list[str]] = {}
    for a in record.artifacts:
        made.setdefault(a.run_id, []).append(a.name)
    here = {(a.run_id, a.name, a.version) for a in record.artifacts}

    def origins(run_id: str) -> Iterable[tuple[str, str]]:
        for use in inputs.get(run_id, []):
            gone = "" if (use.from_run, use.name, use.version) in here else ", since removed"
            words = f"{safe(use.name)} v{use.version} {shorten_hash(use.hash)} of run {use.from_run}{gone}"
            yield words, use.from_run

    def outcomes(found: Iterable[ArtifactUse]) -> Iterable[tuple[str, str]]:
        used: dict[str, list[str]] = {}
        for use in found:
            used.setdefault(use.run_id, []).append(f"{safe(use.name)} v{use.version}")
        for run_id, names in used.items():
            results = ", ".join(safe(name) for name in dict.fromkeys(made.get(run_id, [])))
            yield f"run {run_id} used {', '.join(names)}, made {results or 'no artifact'}", run_id

    users = [one for one in record.data if _is_called(one, record.subject)]
    if users:
        below = Tree(Text(f"data {record.subject} was used by", style="bold"))
        named = [(f"run {one.run_id} as {format_data(one.name, one.reference)}", one.run_id) for one in users]
        _grow(below, named, lambda run_id: outcomes(uses.get(run_id, [])), record.subject)
        out.print(below)
        return
    is_hash = record.subject.startswith("sha256:")
    if is_hash:
        makers = dict.fromkeys(a.run_id for a in record.artifacts if a.hash == record.subject)
        subject = shorten_hash(record.subject)
        above = Tree(Text(f"{subject} was made by", style="bold"))
        _grow(above, [(f"run {maker}", maker) for maker in makers], origins, subject)
        none = "no run that is still here"
        first = [use for use in record.downstream if use.hash == record.subject]
    else:
        subject = f"run {record.subject}"
        above = Tree(Text(f"{subject} was made from", style="bold"))
        _grow(above, origins(record.subject), origins, record.subject)
        none = "no recorded input"
        first = uses.get(record.subject, [])
    below = Tree(Text(f"made from {subject}", style="bold"))
    _grow(below, outcomes(first), lambda run_id: outcomes(uses.get(run_id, [])), record.subject)
    for tree, words in ((above, none), (below, "nothing recorded")):
        if not tree.children:
            tree.add(Text(words, style="dim"))
        out.print(tree)
    if record.data:
        declared = Tree(Text("data that was declared", style="bold"))
        for one in record.data:
            of_run = "" if one.run_id == record.subject else f" by run {one.run_id}"
            declared.add(Text(f"{format_data(one.name, one.reference)}{of_run}"))
        out.print(declared)


def _is_called(one: DeclaredData, text: str) -> bool:
    """Return whether a name, a reference, one without its digest, or a digest means this data."""
    before, _sign, digest = one.reference.rpartition("@")
    return text in (one.name, one.reference, before, digest)


def format_data(name: str, reference: str) -> str:
    """Format data that a run declared: its name, if it is not the reference, and the reference."""
    shown = shorten_digest(reference)
    return shown if reference.partition("@")[0] == name or reference == name else f"{name}: {shown}"


def shorten_digest(text: str) -> str:
    """Cut the digest at the end of a reference to the characters that are enough to tell it from others."""
    return re.sub(r"(@(?:sha256|sizes):[0-9a-f]{12})[0-9a-f]+$", r"\1", text)


def _grow(
    tree: Tree,
    first: Iterable[tuple[str, str]],
    onward: Callable[[str], Iterable[tuple[str, str]]],
    start: str,
) -> None:
    """Add branches (words, run) to a tree, and below each the branches that `onward` returns for its run.

    Each run is followed once.
    """
    seen = {start}
    # Not by recursion: a chain of runs may be longer than Python's stack.
    open_branches = [(tree, iter(first))]
    while open_branches:
        branch, edges = open_branches[-1]
        edge = next(edges, None)
        if edge is None:
            open_branches.pop()
            continue
        words, run_id = edge
        more = list(onward(run_id))
        if run_id in seen and more:
            branch.add(Text(f"{words} (see above)"))
        else:
            seen.add(run_id)
            open_branches.append((branch.add(Text(words)), iter(more)))


def format_spans(numbers: Iterable[int]) -> str:
    """Format whole numbers with consecutive ones as a range: 1–3, 7."""
    parts: list[list[int]] = []
    for one in sorted(numbers):
        if parts and one == parts[-1][-1] + 1:
            parts[-1][1:] = [one]
        else:
            parts.append([one])
    return ", ".join("–".join(map(str, part)) for part in parts)


def shorten_hash(digest: str) -> str:
    """Return the first characters of a hash, enough to name it."""
    return digest[:SHOWN_HASH_CHARS]
