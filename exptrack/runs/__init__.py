"""A run as rows: its identity, its owner, its events, its seal.

Begin with `store` (what a run begins and ends with) and `lookup` (find a run by its id). `recorded` writes runs
that are over, in bulk. Every change of a run is one transaction together with its event.
"""
