"""The hierarchy of errors: its picture has every class, below its parent, with its exit code."""

from __future__ import annotations

import inspect
import re

from exptrack import errors

LINE = re.compile(r"^    ([│├└─ ]*)(\w+Error)\b.*?(\d+)$", re.MULTILINE)


def test_the_picture_has_every_error_with_its_parent_and_exit_code() -> None:
    above: list[str] = []
    drawn = {}
    for lead, name, code in LINE.findall(errors.__doc__ or ""):
        del above[len(lead) // 4 :]
        drawn[name] = (above[-1] if above else "Exception", int(code))
        above.append(name)
    classes = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
    ours = [one for one in classes if issubclass(one, errors.ExptrackError)]
    assert drawn == {one.__name__: (one.__bases__[0].__name__, one.exit_code) for one in ours}
    assert len({code for _, code in drawn.values()}) == len(drawn)
