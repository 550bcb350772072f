"""A run while it happens: start, log, end, resume; heartbeats, images, child processes.

Begin with `run` (the handle) and `lifecycle` (how a run begins, goes on, or is found dead). A run is running
exactly while a ``run_owner`` row names its process.
"""
