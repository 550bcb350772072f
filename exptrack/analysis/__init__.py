"""Compare runs: what differs, what changed, mean and spread over seeds, which config keys matter.

Begin with `comparison`.
"""
