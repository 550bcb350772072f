"""Store and find runs as rows: identity, owner, events, trial, seal; groups of runs, and the trash.

Begin with `store` (the rows that a run begins and ends with) and `lookup` (find a run by its id). `references`
finds the run that a text means, and `changes` tags it. `lease` and `ownership` tell whether a run lives.
`origin` checks what a caller says of another machine. Invariant: every change of a run is one transaction
together with its event.
"""
