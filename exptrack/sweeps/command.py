"""Hold the command of a sweep, and write a trial's params into it.

Invariants: every param reaches the command, or the command is refused before a trial begins. What is not a
place for a param stays as it is. A command is remembered whole, or not at all if it holds a secret.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from exptrack import sdn
from exptrack.capture.redaction import know_secrets_of_command
from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.known_secrets import mask_secrets
from exptrack.plain import read_elements, short_repr
from exptrack.sweeps.plan import find_meant
from exptrack.validation import check_flag, check_text

ALL = "overrides"
OVERRIDES = f"{{{ALL}}}"
KEY, VALUE = "{key}", "{value}"

_BRACES = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_OPTION = re.compile(r"(?:-[^{}]*=)?")


@dataclass(frozen=True, slots=True)
class TrialCommand:
    """The command that a sweep runs for each trial.

    In `words`, ``{optim.lr}`` is a place for one param, and ``{overrides}`` for all that have no place of their
    own. Two braces stand for one: ``{{optim.lr}}`` is the text ``{optim.lr}``. `form` is how params without a
    place are written, like ``--{key}={value}``; without it they are overrides ``key=value``. With `dashes`, a
    key has dashes for its underscores. With `flags`, a param that is true is an option without a value, and one
    that is false is left out.
    """

    words: tuple[str, ...]
    form: str | None = None
    dashes: bool = False
    flags: bool = False

    @classmethod
    def of(
        cls, command: Sequence[str], form: object = None, dashes: object = False, flags: object = False
    ) -> Self:
        """Check the parts of a command that can be run.

        Raises:
            InvalidTypeError, InvalidValueError: it cannot; the message says why.
        """
        given = None if form is None else check_text(form, "args")
        dashes, flags = check_flag(dashes, "dashes"), check_flag(flags, "flags")
        if given is None and (dashes or flags):
            which = "dashes" if dashes else "flags"
            raise InvalidValueError(f"{which} says how args are written; give args too, like '--{KEY}={VALUE}'")
        if given is not None:
            _check_form(given)
        return cls(tuple(check_command(command)), given, dashes, flags)

    def require_places(self, params: Collection[str]) -> None:
        """Check that the command has a place for each of these params.

        Raises:
            InvalidValueError: it has places for some of them only, or one for a param that there is not. Or two
                params would be written alike.
        """
        if ALL in params:
            raise InvalidValueError(
                f"a command takes no parameter called {ALL}, since {OVERRIDES} stands for all of them; rename"
                " it in the sweep file and in what the command reads"
            )
        found = self._placed(params)
        left = [key for key in params if key not in found]
        searched = self._misspellable(params)
        for word in self.words:
            _refuse_unknown_place(word, params, searched)
        if self.form is not None and not left:
            raise InvalidValueError("each parameter has a place of its own in the command; leave args out")
        placed = found - {ALL}
        if placed and left and self.form is None and ALL not in found:
            raise InvalidValueError(
                f"the command has a place for {', '.join(sorted(placed))} and none for {', '.join(left)}; add"
                f" {{{left[0]}}}, or {OVERRIDES} for all that have none"
            )
        self._refuse_same_option(left)

    def _refuse_same_option(self, params: Sequence[str]) -> None:
        taken: dict[str, str] = {}
        for key in params:
            other = taken.setdefault(self._option_of(key), key)
            if other != key:
                raise InvalidValueError(
                    f"dashes would write {other} and {key} alike, as {self._option_of(key)}; leave dashes out,"
                    f" or give one a place of its own, like {{{key}}}"
                )

    def _option_of(self, key: str) -> str:
        """Return a key as the form of the params writes it."""
        return key.replace("_", "-") if self.dashes else key

    def _placed(self, params: Collection[str]) -> set[str]:
        """Return the params that have a place, and ``overrides`` if all the others have one."""
        return {one.name for word in self.words for one in _find_braces(word, params) if one.is_place(params)}

    def _misspellable(self, params: Collection[str]) -> list[str]:
        """Return the params that a place of a similar name may mean: those that would have none."""
        found = self._placed(params)
        return [] if self.form or ALL in found else [key for key in params if key not in found]

    def fill(self, params: Mapping[str, Any]) -> list[str]:
        """Return the words with these params in their places.

        A word that is ``{overrides}`` becomes the words of each param. Inside a word, as for ``sh -c``, these
        are quoted. A place for one param takes its value as it is. What could be no place stays as it is.

        >>> params = {"optim.lr": 0.1, "name": "3"}
        >>> TrialCommand(("python", "train.py")).fill(params)
        ['python', 'train.py', 'optim.lr=0.1', 'name="3"']
        >>> TrialCommand(("train", "--rate", "{optim.lr}"), "--{key} {value}").fill(params)
        ['train', '--rate', '0.1', '--name', '3']
        """
        found, left = self._placed(params), self._misspellable(params)
        rest = [one for key, value in params.items() if key not in found for one in self._write(key, value)]
        words: list[str] = []
        for word in self.words:
            words += rest if word == OVERRIDES else [_fill_word(word, params, left, shlex.join(rest))]
        return words if ALL in found else [*words, *rest]

    def _write(self, key: str, value: object) -> list[str]:
        if self.form is None:
            return [f"{key}={_format_override(value)}"]
        if value is None or (self.flags and value is False):
            return []
        shown = {"key": self._option_of(key), "value": format_value(value)}
        words = []
        for word in shlex.split(self.form):
            is_flag = self.flags and value is True and KEY in word
            kept = word[: word.index(KEY) + len(KEY)] if is_flag else word
            words.append(_BRACES.sub(lambda found: shown[found[1]], kept))
            if is_flag:
                break
        return words

    def remembered(self) -> dict[str, Any]:
        """Return the command as a study stores it: whole, and null if it holds a secret.

        Without the secret it would not run, and secrets are never stored. The home folder is ``~``.
        """
        known = [*self.words, *([] if self.form is None else [self.form])]
        if list(map(mask_secrets, know_secrets_of_command(known))) != known:
            return {"command": None, "args": None}
        form = None if self.form is None else {"form": self.form, "dashes": self.dashes, "flags": self.flags}
        return {"command": [_shorten_home(word) for word in self.words], "args": form}

    @classmethod
    def restore(cls, settings: Mapping[str, Any]) -> Self | None:
        """Return the command that the settings of a study hold; None if they hold none."""
        words, form = settings.get("command"), settings.get("args")
        if words is None:
            return None
        return cls(tuple(_expand_home(str(word)) for word in words), **(form or {}))


def describe_command(remembered: Mapping[str, Any]) -> str:
    """Return a stored command as a person would type it."""
    form = remembered.get("args")
    words = shlex.join(remembered["command"]).replace("\n", "\\n")  # a script may be a word of many lines
    if form is None:
        return words
    options = [f" --{name}" for name in ("dashes", "flags") if form[name]]
    return f"{words} (--args {shlex.quote(form['form'])}{''.join(options)})"


def check_command(command: Sequence[str]) -> list[str]:
    """Return the words of a command that can be run.

    Raises:
        InvalidTypeError, InvalidValueError: it cannot; the message says why.
    """
    given = read_elements(command, "a command", like="['python', 'train.py']")
    if not given:
        raise InvalidTypeError("a command must be a list of words, like ['python', 'train.py']")
    words = [check_text(word, "a word of the command") for word in given]
    if any("\0" in word for word in words):
        raise InvalidValueError("a word of the command holds NUL, which no command line takes; remove it")
    if shutil.which(words[0]) is None:
        raise InvalidValueError(_describe_missing(words[0]))
    return words


def _describe_missing(program: str) -> str:
    """Say why a program cannot be run."""
    if os.path.isdir(program):
        return f"{short_repr(program)} is a folder; give the program to run"
    if os.path.exists(program):
        return (
            f"you may not execute {short_repr(program)}; make it executable, or name what runs it, like python"
        )
    return f"there is no program {short_repr(program)} to run; give its path"


def _check_form(form: str) -> None:
    like = f"like '--{KEY}={VALUE}'"
    try:
        words = shlex.split(form)
    except ValueError as error:
        raise InvalidValueError(
            f"args {short_repr(form)} cannot be split into words ({error}); write it {like}"
        ) from None
    found = {one for word in words for one in _BRACES.findall(word)}
    if found != {"key", "value"} or "\0" in form:
        raise InvalidValueError(
            f"args must hold {KEY} and {VALUE} and no other braces, not {short_repr(form)}; write it {like}"
        )


@dataclass(frozen=True, slots=True)
class _Braces:
    """A name in braces: `count` of them on each side, of which two stand for one.

    So with an odd count the name is a place, and with an even one it is text.
    """

    begin: int
    end: int
    count: int
    name: str
    is_whole: bool  # nothing else is in the word, except for an option before it

    def is_place(self, params: Collection[str]) -> bool:
        return self.count % 2 == 1 and (self.name == ALL or self.name in params)

    def is_reserved(self, params: Collection[str], left: Sequence[str]) -> bool:
        """Whether the name in one brace would be a place, or be refused as the place of no param.

        Braces inside of a longer word may be code. They are refused if a param without a place has a similar
        name.
        """
        if self.name == ALL or self.name in params:
            return True
        is_alone = self.is_whole and (self.count == 1 or self.count % 2 == 0)
        return bool(_NAME.fullmatch(self.name)) and (is_alone or find_meant(self.name, left) is not None)


def _find_braces(word: str, params: Collection[str]) -> list[_Braces]:
    """Return the names in braces; a brace that is on one side only is text."""
    known = "|".join(map(re.escape, params)) or "(?!)"  # they may hold braces too
    found = []
    for one in re.finditer(rf"(?<!\{{)(\{{+)({known}|[^{{}}]+)(\}}+)", word):
        count = min(len(one[1]), len(one[3]))
        begin, end = one.end(1) - count, one.start(3) + count
        is_whole = end == len(word) and _OPTION.fullmatch(word, 0, begin) is not None
        found.append(_Braces(begin, end, count, one[2], is_whole))
    return found


def _refuse_unknown_place(word: str, params: Collection[str], left: Sequence[str]) -> None:
    """Refuse a place whose param there is not."""
    for one in _find_braces(word, params):
        if one.count % 2 == 0 or one.is_place(params) or not one.is_reserved(params, left):
            continue
        meant = find_meant(one.name, left)
        hint = f"did you mean {{{meant}}}?" if meant else f"there are {', '.join(params)}"
        text = "{" * 2 * one.count + one.name + "}" * 2 * one.count
        raise InvalidValueError(
            f"the command has a place {{{one.name}}}, and no parameter has this name; {hint} (the text itself"
            f" is {text})"
        )


def _fill_word(word: str, params: Mapping[str, Any], left: Sequence[str], rest: str) -> str:
    parts, at = [], 0
    for one in _find_braces(word, params):
        inside = one.name
        if one.is_place(params):
            inside = rest if one.name == ALL else format_value(params[one.name])
        elif one.count % 2 or not one.is_reserved(params, left):
            continue
        pairs = one.count // 2
        parts += [word[at : one.begin], "{" * pairs, inside, "}" * pairs]
        at = one.end
    return "".join([*parts, word[at:]])


def format_value(value: object) -> str:
    """Return a value as a script reads it: text as it is, ``0.1``, ``true``, ``null``."""
    return value if isinstance(value, str) else json.dumps(value)


def _format_override(value: object) -> str:
    """Return the text that an override reads as this value; unquoted if possible, as it may name a file."""
    if isinstance(value, str) and not value.startswith(('"', "[", "{")) and sdn.parse_override(value) == value:
        return value
    return sdn.dumps({"value": value}).partition(" ")[2].rstrip("\n")  # type: ignore[dict-item]


def _shorten_home(word: str) -> str:
    home = os.path.expanduser("~")
    return f"~{word[len(home) :]}" if word == home or word.startswith(home + os.sep) else word


def _expand_home(word: str) -> str:
    return os.path.expanduser(word) if word == "~" or word.startswith(f"~{os.sep}") else word
