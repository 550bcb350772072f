"""Compare runs, group them, and rate how much each config key matters.

Begin with `comparison`: several runs side by side, two runs, a run and the run before it. `grouping` gives the
mean and spread of a metric for each group of runs, and `importance` rates config keys. Both read metrics
through `values`. `records` holds what all of them return.
"""
