"""Which runs, in which order, with which values.

Begin with `run_query`. `parser` turns text into `conditions`, `compiler` turns conditions into SQL, and
`selection` chooses the index that drives the statement. `fields` reads values of many runs at once, and
`frames` makes tables of them. `names` looks up config keys and metrics. `details` lists and shows runs,
`ranking` finds the best, and `views` adds SQL views.

Only this subpackage turns filters into SQL: from fixed fragments, with every value bound. A view can bind no
values; `views` says what its text holds instead.
"""
