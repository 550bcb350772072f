"""Log metrics, store them, and read them back.

Read the files in the order of a value's way: `log` (returns once the point is in the journal), `journal` (the
file beside the archive), `writer` (the thread that moves points into the archive), `store` (the tables) with
`summary`. `recovery` replays the journals of killed processes. `series`, `tail` and `alignment` read in bulk.

Invariant: points and the address up to which their journal is drained commit together, so no point is stored
twice or lost.
"""
