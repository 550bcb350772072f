"""Start a run in this process, and become the script: as Python would have begun with it.

Invariants:

- The script finds the ``__main__``, arguments and paths of a Python that was started with it. So its classes
  can be pickled, and its workers begin as ever.
- An error of the script, or of the archive, ends this process before it has a run, or ends the run.
- No traceback that the script prints, or that is stored, has a frame of exptrack.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
from functools import partial
from importlib import util
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

from exptrack.archive.archive import Archive
from exptrack.errors import ExptrackError
from exptrack.known_secrets import mask_secrets
from exptrack.scripts.import_hooks import set_hooks
from exptrack.scripts.instructions import VARIABLE, Instructions
from exptrack.scripts.recorder import Recorder
from exptrack.tracking.activation import RUN_VARIABLE
from exptrack.tracking.adoption import offer
from exptrack.tracking.ending import tell_end
from exptrack.tracking.run import Run

_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
NO_MODULE, NO_SCRIPT = 1, 2  # the exit codes of Python
_kept: list[Any] = []  # the first ``__main__`` and the archive, which must outlive the script


def become_script() -> None:
    """Start the run and execute the script that the arguments name."""
    told = Instructions.from_environment(os.environ)
    del os.environ[VARIABLE]
    words = sys.argv[1:]
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    _kept.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    sys.argv[:] = words
    sys.orig_argv[:] = [sys.orig_argv[0], *told.options, *(["-m"] if told.is_module else []), *words]
    try:
        code = _load_module(main, words[0]) if told.is_module else _load_script(main, words[0])
    except SyntaxError as error:
        # Nothing of the script has run, so there is nothing to record.
        error.__traceback__ = None
        sys.excepthook(type(error), error, None)
        sys.exit(1)
    try:
        run = _start_run(told)
    except ExptrackError as error:
        print(f"exptrack: {mask_secrets(str(error))}; the script was not started", file=sys.stderr)
        sys.exit(error.exit_code)
    set_hooks(told.hooks, Recorder(lambda: run))
    _execute(code, main)


def _load_script(main: ModuleType, script: str) -> CodeType:
    path = os.path.abspath(script)
    if not sys.flags.safe_path:
        sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    main.__file__ = path
    main.__spec__ = None
    main.__loader__ = SourceFileLoader("__main__", path)
    main.__dict__["__cached__"] = None
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:  # it was there when the supervisor looked
        _give_up(f"can't open file {path!r}: [Errno {error.errno}] {error.strerror}", NO_SCRIPT)
    return compile(source, path, "exec", dont_inherit=True)


def _load_module(main: ModuleType, name: str) -> CodeType:
    if not sys.flags.safe_path:
        sys.path.insert(0, os.getcwd())
    spec = _find_module(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = _find_module(f"{spec.name}.__main__")
        if spec is None:
            _give_up(
                f"No module named {name}.__main__; {name!r} is a package and cannot be executed", NO_MODULE
            )
    loader: Any = None if spec is None else spec.loader
    code: CodeType | None = (
        loader.get_code(spec.name) if spec is not None and hasattr(loader, "get_code") else None
    )
    if spec is None or code is None:
        _give_up(f"No module named {name}", NO_MODULE)
    sys.argv[0] = spec.origin or name
    main.__file__ = spec.origin
    main.__spec__ = spec
    main.__loader__ = loader
    main.__package__ = spec.parent
    main.__dict__["__cached__"] = spec.cached
    return code


def _find_module(name: str) -> ModuleSpec | None:
    try:
        return util.find_spec(name)
    except ModuleNotFoundError as error:
        # Of its own package; what that imports in vain is an error of the script.
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise


def _give_up(message: str, exit_code: int) -> NoReturn:
    print(f"exptrack: {message}", file=sys.stderr)
    sys.exit(exit_code)


def _start_run(told: Instructions) -> Run:
    archive = Archive.default()
    run = archive.start_run(tags=told.tags, name=told.name, group=told.group, at_exit="complete")
    if told.note is not None:
        run.add_note(told.note)
    if not os.environ.get("EXPTRACK_SPOOL"):
        os.environ["EXPTRACK_DB"] = archive.path  # also once the script has changed its folder
    os.environ[RUN_VARIABLE] = run.run_id
    _kept.append(archive)
    offer(run)
    with open(f"{told.report}.new", "w", encoding="utf-8") as file:
        json.dump({"archive": archive.path, "run_id": run.run_id}, file)
    os.replace(f"{told.report}.new", told.report)
    return run


def _execute(code: CodeType, main: ModuleType) -> None:
    try:
        exec(code, main.__dict__)
    except SystemExit as error:
        tell_end(error)
        raise
    except BaseException as error:
        tell_end(error)
        # Python prints it by the hook that the script has set, ends with code 1, or by SIGINT after ctrl-C.
        sys.excepthook = partial(_show_without_own_frames, sys.excepthook)
        raise
    tell_end(None)


def _show_without_own_frames(
    show: Any, kind: type[BaseException], error: BaseException, _trace: TracebackType | None
) -> None:
    remove_own_frames(error)
    show(kind, error, error.__traceback__)


def remove_own_frames(error: BaseException) -> None:
    """Take the frames of this subpackage out of the traceback of an error, and of those that led to it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        frames = []
        trace = one.__traceback__
        while trace is not None:
            if not trace.tb_frame.f_code.co_filename.startswith(_FOLDER):
                frames.append(trace)
            trace = trace.tb_next
        kept: TracebackType | None = None
        for trace in reversed(frames):
            kept = TracebackType(kept, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)
        one.__traceback__ = kept
        waiting += [one.__cause__, one.__context__]
