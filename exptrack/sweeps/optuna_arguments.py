"""Check what Optuna, or a caller of the storage, gives; it comes back as plain values.

Invariant: an id that no row can have is an InvalidValueError, and one of another type an InvalidTypeError. This
file looks no id up: the storage raises Optuna's KeyError for an unknown one.
"""

from __future__ import annotations

import json
from typing import cast

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.known_secrets import has_secrets, mask_facts, mask_secrets
from exptrack.plain import plain, read_elements, reading, short_repr
from exptrack.validation import INT64_MIN, check_number, check_text, check_whole

CENTURY_S = 100 * 366 * 86_400  # as good as never, and it can be subtracted from the present time


def check_id(value: object, what: str) -> int:
    """Return the row id of a study or trial."""
    return check_whole(value, f"the id of a {what}", INT64_MIN)


def check_interval(value: object, what: str) -> int | None:
    """Return a number of seconds above 0, or None."""
    seconds = plain(value)
    if seconds is not None and (type(seconds) not in (int, float) or not 0 < seconds <= CENTURY_S):
        raise InvalidValueError(f"{what} must be seconds above 0, a century at most, not {short_repr(value)}")
    return cast(int | None, seconds)


def check_directions(directions: object) -> list[str]:
    """Return the directions of a study as the archive stores them."""
    given = read_elements(directions, "directions")
    known = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)
    if not given or not all(isinstance(one, StudyDirection) and one in known for one in given):
        raise InvalidValueError(
            f"directions must be a list of StudyDirection.MINIMIZE and MAXIMIZE, not {short_repr(given)}"
        )
    return [direction.name.lower() for direction in given]


def check_state(state: object) -> TrialState:
    """Return a state of a trial."""
    if not isinstance(state, TrialState):
        raise InvalidTypeError(f"a state must be a TrialState, not {type(state).__name__} {short_repr(state)}")
    return state


def check_template(trial: object) -> FrozenTrial:
    """Return a trial that another is made from."""
    if not isinstance(trial, FrozenTrial):
        raise InvalidTypeError(
            f"a template must be a FrozenTrial, not {type(trial).__name__} {short_repr(trial)}"
        )
    return trial


def check_values(values: object) -> list[float]:
    """Return the values of a trial as floats."""
    return [check_number(one, "a value of a trial") for one in read_elements(values, "values", like="[0.5]")]


def encode_attribute(scope: str, name: object, value: object) -> tuple[str, str]:
    """Return the name and the JSON of an attribute; those of users without known secrets.

    Raises:
        InvalidTypeError, InvalidValueError: the name is no text, or JSON does not hold the value.
    """
    name, text = check_text(name, "the name of an attribute"), encode_json(value)
    if scope != "user" or not has_secrets():
        return name, text
    return mask_secrets(name), json.dumps(mask_facts(json.loads(text)))


def encode_json(value: object) -> str:
    """Encode an attribute: any value that JSON holds.

    Raises:
        InvalidTypeError, InvalidValueError: JSON does not hold it.
    """
    with reading("the value of an attribute"):
        return json.dumps(value)
