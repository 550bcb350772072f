"""Track a run while it happens: start, log, end, resume; heartbeats, images, child processes.

Begin with `run` (the handle) and `lifecycle` (how a run starts, is resumed, or is found dead). Invariant: a run
is ``running`` exactly while a ``run_owner`` row names its process.
"""
