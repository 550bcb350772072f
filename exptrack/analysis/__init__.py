"""Compare runs, group them, and rate which config keys matter.

Begin with `comparison`: several runs side by side, two runs, a run and the run before it. `grouping` has mean
and spread of a metric for each group of runs, `importance` rates config keys. Both read metrics through
`values`. All results are in `records`.
"""
