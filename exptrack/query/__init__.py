"""Which runs, in which order, with which values.

Begin with `run_query`. Text becomes conditions in `parser`, conditions become SQL in `compiler`, and
`selection` chooses the index that drives the statement. `fields` and `frames` read values of many runs at once.
Only this subpackage composes SQL: from fixed fragments, with every value bound.
"""
