"""Which runs, in which order, with which values.

Begin with `run_query`. `parser` turns text into `conditions`, `compiler` turns conditions into SQL, and
`selection` chooses the index that drives the statement; `walks` are indexes in the order of a field. `fields`
reads values of many runs at once, and `frames` makes tables of them. `names` looks up config keys and metrics.
`details` lists and shows runs, `ranking` finds the best, `many_runs` changes them, and `views` adds SQL
views.

A page asks the rest: `field_summary` and `value_counts` say what fields hold, `run_watch` which runs have
changed, `run_parts` reads one run part by part, and `media` finds artifacts of many runs. `completion` helps to
write a filter, with the words that `vocabulary` looks up.

Only this subpackage turns filters into SQL: from fixed fragments, with every value bound. A view can bind no
values; `views` says what its text holds instead.
"""
