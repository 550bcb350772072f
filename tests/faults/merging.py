"""Merge random sets of archives that descend from each other, in random orders and groupings.

Every order gives one content digest. Plain SQL finds in the merged file all that the files held, and no more.
Merging again writes nothing, and so does merging a part that was extracted.
"""

from __future__ import annotations

import random
import traceback

from tests.faults.tally import Tally, sum_tries
from tests.portable.histories import KINDS, WAITS_S, Op
from tests.portable.merging import check_merging

MOST_FILES, MOST_OPS = 6, 40
SHOWN_LINES = 6


def try_one(seed: int) -> Tally:
    chance = random.Random(seed)
    files = chance.randint(2, MOST_FILES)
    ops = [
        Op(
            chance.choice(KINDS),
            chance.randrange(files),
            chance.randrange(8),
            chance.randrange(12),
            chance.choice(WAITS_S),
        )
        for _ in range(chance.randint(2, MOST_OPS))
    ]
    tally = Tally(tries=1)
    try:
        check_merging(ops, seed)
    except AssertionError as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        tally.blame("lost", f"{where.line}: {error}")
    except Exception:
        tally.blame("unreported", traceback.format_exc(limit=-SHOWN_LINES))
    return tally


def run(tries: int, seed: int) -> Tally:
    """Make the tries that the seeds from `seed` on stand for."""
    return sum_tries(try_one, tries, seed)
