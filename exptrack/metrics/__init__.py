"""What a run logged: the call, the journal beside the archive, the thread that stores it, the tables, series.

Read in this order: `log` (returns once the point is in the journal), `journal`, `writer` (the thread),
`store` (the tables). `recovery` replays what a killed process left in its journal. `series`, `tail` and
`alignment` read in bulk. Points and the note that they were drained commit together: none is stored twice or
lost.
"""
