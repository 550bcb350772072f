"""The archive as users see it: one object with a method for every call, and shortcuts to the default one.

Begin with `archive`: opening the file, writing runs, artifacts, checks. The class takes the rest from its
parts, as `Run` does: `queries` reads runs and their metrics, `groups` keeps groups of runs, `trash` takes runs
away, `studies` searches over configs. `records` holds what calls about the whole file return.

Invariants: no method here holds logic of its own beyond checks of its arguments and small reports about the
file. A method imports the rooms it needs when it is called: `query`, `analysis`, `sweeps`, `portable`, bulk
recording, alignment. So a script that only logs a run loads none of them.
"""
