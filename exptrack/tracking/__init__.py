"""Track a run while it happens: start, log, end, resume; heartbeats, images, child processes.

Begin with `run` (the handle) and `lifecycle` (how a run starts, is resumed, or is found dead). `elsewhere` and
`supervision` are for runs of another process, `recording` for many that are over. Invariant: a run is
``running`` exactly while it has a ``run_owner`` row, which names its process or has its lease.
"""
