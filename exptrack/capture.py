"""What is recorded about process, machine and code when a run starts.

Invariants: capturing never stops a training run: what cannot be found out is None, with the reason in
``CodeVersion.problem``. No secret and no path of the machine goes out: command lines and remotes lose their
credentials, environment variables come from an allow-list. Whether a process lives is decided by host, boot,
pid and start time together; about another host's processes nothing is claimed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

GIT_TIMEOUT_S = 5.0
REDACTED = "***"
VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "LOCAL_RANK",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "RANK",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_JOB_ID",
    "SLURM_NODEID",
    "SLURM_PROCID",
    "WORLD_SIZE",
)


class ProcessIdentity(NamedTuple):
    """A process that can be recognised again: host, boot, pid and when that pid began."""

    host_id: str
    boot_id: str
    pid: int
    started: str


class CodeVersion(NamedTuple):
    """The state of the code; `digest` is equal for equal code. `problem` says why something is missing."""

    commit: str | None
    dirty: bool | None
    branch: str | None
    remote: str | None
    script: str | None
    digest: str
    problem: str | None


class Environment(NamedTuple):
    """The machine and the call, without anything that belongs to a user."""

    host: str
    python: str
    platform: str
    system: dict[str, str | int]
    command: list[str]
    variables: dict[str, str]


# Processes

_current: ProcessIdentity | None = None


def current_process() -> ProcessIdentity:
    """This process."""
    global _current
    pid = os.getpid()
    if _current is None or _current.pid != pid:
        _current = ProcessIdentity(_host_id(), _boot_id(), pid, _started(pid) or "")
    return _current


def is_alive(identity: ProcessIdentity) -> bool | None:
    """Whether the process still runs; None when it is another host's, of which nothing can be known."""
    if identity.host_id != _host_id():
        return None
    if identity.boot_id != _boot_id():
        return False
    return _started(identity.pid) == identity.started


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _node() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    import platform

    return platform.node()


def _host_id() -> str:
    """A digest of node name, machine and pid namespace: pids mean the same only within all three."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except (OSError, AttributeError):
        namespace = ""
    machine = (_read("/etc/machine-id") or "").strip()
    return hashlib.sha256("\0".join((_node(), machine, namespace)).encode(errors="replace")).hexdigest()[:16]


def _boot_id() -> str:
    kernel = _read("/proc/sys/kernel/random/boot_id")
    if kernel is not None:
        return kernel.strip()
    import psutil

    return str(round(psutil.boot_time()))


def _started(pid: int) -> str | None:
    """When the process began, as text to compare; None when there is none or it is a zombie."""
    if _read("/proc/self/stat") is None:
        return _started_portably(pid)
    stat = _read(f"/proc/{pid}/stat")
    if stat is None:
        return None
    # The command name stands in parentheses and may hold anything, also parentheses.
    fields = stat[stat.rfind(")") + 1 :].split()
    return None if fields[0] in "ZX" else fields[19]


def _started_portably(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return repr(process.create_time())
    except psutil.Error:
        return None


# Secrets and paths

_SECRET_NAME = re.compile(
    r"(?:^|[-_.])(?:password|passwd|passphrase|secret|token|credentials?|auth|api[-_]?key|apikey"
    r"|access[-_]?key|private[-_]?key|secret[-_]?key)$",
    re.IGNORECASE,
)
_SECRET_SHAPE = re.compile(
    r"\b(?:gh[pousr]_\w{16,}|github_pat_\w{16,}|hf_\w{16,}|sk-[\w-]{16,}|AKIA[0-9A-Z]{12,}|xox[abprs]-[\w-]{8,}"
    r"|glpat-[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)
_URL_CREDENTIALS = re.compile(r"\b([a-z][a-z0-9+.-]*://)[^/\s@]+@", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer\s+)\S+", re.IGNORECASE)


def redact_text(text: str) -> str:
    """Free text without credentials in URLs, bearer tokens and well-known shapes of tokens."""
    text = _URL_CREDENTIALS.sub(rf"\1{REDACTED}@", text)
    text = _BEARER.sub(rf"\1{REDACTED}", text)
    return _SECRET_SHAPE.sub(REDACTED, text)


def redact_command(argv: Sequence[str]) -> list[str]:
    """A command line without secrets; the program is named relative to the working folder."""
    result: list[str] = []
    hide_next = False
    for position, word in enumerate(argv):
        name, separator, _value = word.partition("=")
        if hide_next and not word.startswith("--"):
            result.append(REDACTED)
            hide_next = False
            continue
        hide_next = False
        if separator and _SECRET_NAME.search(name):
            result.append(f"{name}={REDACTED}")
        elif position == 0:
            result.append(_relative(word))
        else:
            hide_next = word.startswith("-") and bool(_SECRET_NAME.search(word))
            result.append(redact_text(word))
    return [_storable(word) for word in result]


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _relative(path: str, folder: str | None = None) -> str:
    """`path` relative to `folder` (the working folder by default) when inside it, else its last part."""
    if not os.path.isabs(path):
        return path
    try:
        relative = os.path.relpath(os.path.realpath(path), os.path.realpath(folder or os.getcwd()))
    except (OSError, ValueError):
        return os.path.basename(path)
    return os.path.basename(path) if relative.startswith("..") else relative


def shorten_paths(text: str) -> str:
    """A traceback without this machine's folders: working folder, Python and home by short signs."""
    try:
        working = os.getcwd()
    except OSError:
        working = ""
    signs = {os.path.expanduser("~"): "~", sys.base_prefix: "<python>", sys.prefix: "<python>", working: "."}
    for folder in sorted(filter(None, signs), key=len, reverse=True):
        if folder != os.sep:
            boundary = rf"(?<![\w./\\-]){re.escape(folder)}(?=[/\\\"'\s:]|$)"
            text = re.sub(boundary, signs[folder].replace("\\", r"\\"), text)
    return text


# Environment


def capture_environment() -> Environment:
    """What machine and interpreter this is, and how it was called."""
    system = _system()
    version = ".".join(map(str, sys.version_info[:3]))
    implementation = {"cpython": "CPython", "pypy": "PyPy"}.get(
        sys.implementation.name, sys.implementation.name
    )
    return Environment(
        host=_storable(_node()),
        python=f"{implementation} {version}",
        platform=f"{system['os']}-{system['release']}-{system['machine']}",
        system=system,
        command=redact_command(sys.argv),
        variables={name: _storable(redact_text(os.environ[name])) for name in VARIABLES if name in os.environ},
    )


def _system() -> dict[str, str | int]:
    if hasattr(os, "uname"):
        name = os.uname()
        facts: dict[str, str | int] = {"os": name.sysname, "release": name.release, "machine": name.machine}
    else:
        facts = _system_portably()
    facts["cpu_count"] = os.cpu_count() or 0
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        facts["memory_bytes"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return facts


def _system_portably() -> dict[str, str | int]:
    import platform

    return {"os": platform.system(), "release": platform.release(), "machine": platform.machine()}


# Code


def capture_code(folder: Path | None = None) -> CodeVersion:
    """The version of the code in `folder`: by default that of the main script, else the working folder.

    In a git repository: commit, branch, remote, and whether tracked files differ from the commit, by the git
    program where there is one and by dulwich where not. Elsewhere the content of the main script stands
    for the code.
    """
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    script = Path(os.path.abspath(main)) if main else None
    try:
        start = folder or (script.parent if script else Path.cwd())
        root = _repository_root(start)
        if root is None:
            return CodeVersion(None, None, None, None, _script_name(script, None), _script_digest(script), None)
        state = _state_by_git(root) or _state_by_dulwich(root)
    except Exception as error:  # dulwich raises many kinds on a broken repository; the run goes on
        problem = _storable(redact_text(f"{type(error).__name__}: {error}"))
        return CodeVersion(None, None, None, None, _script_name(script, None), _script_digest(script), problem)
    return CodeVersion(
        commit=state.commit,
        dirty=bool(state.changed),
        branch=state.branch,
        remote=_remote(root),
        script=_script_name(script, root),
        digest=_tree_digest(root, state),
        problem=None,
    )


class _State(NamedTuple):
    commit: str | None
    branch: str | None
    changed: list[bytes]  # tracked paths that differ from the commit, relative to the root


def _script_name(script: Path | None, root: Path | None) -> str | None:
    return None if script is None else _storable(_relative(str(script), None if root is None else str(root)))


def _script_digest(script: Path | None) -> str:
    try:
        return "" if script is None else hashlib.sha256(script.read_bytes()).hexdigest()
    except OSError:
        return ""


def _repository_root(start: Path) -> Path | None:
    start = Path(os.path.realpath(start))
    return next((place for place in (start, *start.parents) if (place / ".git").exists()), None)


def _state_by_git(root: Path) -> _State | None:
    """The git program's answer, or None when there is no such program or it declines."""
    program = shutil.which("git")
    if program is None:
        return None
    import subprocess

    command = [program, "-c", "core.fsmonitor=false", "-C", str(root), "status"]
    command += ["--porcelain=v2", "--branch", "--untracked-files=no", "--no-renames", "-z"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        environment.pop(name, None)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    if done.returncode:
        return None
    commit = branch = None
    changed: list[bytes] = []
    for line in done.stdout.split(b"\0"):
        if line.startswith(b"# branch.oid "):
            commit = line[13:].decode()
        elif line.startswith(b"# branch.head "):
            branch = line[14:].decode(errors="replace")
        elif line[:2] == b"1 ":
            changed.append(line.split(b" ", 8)[8])
        elif line[:2] == b"u ":
            changed.append(line.split(b" ", 10)[10])
    return _State(
        None if commit == "(initial)" else commit, None if branch == "(detached)" else branch, sorted(changed)
    )


def _state_by_dulwich(root: Path) -> _State:
    from dulwich.index import get_unstaged_changes
    from dulwich.objects import Commit
    from dulwich.repo import Repo

    with Repo(str(root)) as repository:
        chain, head = repository.refs.follow(b"HEAD")  # type: ignore[arg-type]
        name = chain[-1]
        branch = (
            name[len(b"refs/heads/") :].decode(errors="replace") if name.startswith(b"refs/heads/") else None
        )
        index = repository.open_index()
        tree = None
        if head is not None:
            commit = repository[head]
            assert isinstance(commit, Commit)
            tree = commit.tree
        changed = {
            path
            for paths, *_rest in index.changes_from_tree(repository.object_store, tree)
            for path in paths
            if path is not None
        }
        normalizer = repository.get_blob_normalizer().checkin_normalize
        changed.update(get_unstaged_changes(index, str(root), normalizer))
        return _State(None if head is None else head.decode(), branch, sorted(changed))


def _tree_digest(root: Path, state: _State) -> str:
    """SHA-256 over the commit and, in order, each changed file with the hash of what it holds now."""
    digest = hashlib.sha256((state.commit or "").encode())
    for path in state.changed:
        try:
            content = hashlib.sha256((root / os.fsdecode(path)).read_bytes()).hexdigest()
        except OSError:
            content = "deleted"
        digest.update(b"\0" + path + b"\0" + content.encode())
    return digest.hexdigest()


def _remote(root: Path) -> str | None:
    """The URL of origin without credentials."""
    git = root / ".git"
    if git.is_file():
        pointer = git.read_text(encoding="utf-8", errors="replace").removeprefix("gitdir:").strip()
        git = (root / pointer).resolve()
    common = _read(str(git / "commondir"))
    if common is not None:
        git = (git / common.strip()).resolve()
    match = re.search(
        r'^\[remote "origin"\]$(?:\n(?!\[).*)*?\n\s*url\s*=\s*(\S+)',
        _read(str(git / "config")) or "",
        re.MULTILINE,
    )
    if match is None:
        return None
    url = redact_text(match[1])
    return _storable(os.path.basename(url) if os.path.isabs(url) else url)
