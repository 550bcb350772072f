"""Log metrics, store them, and read them back.

A value takes this way: `log` returns once the point is in the `journal`, a file beside the archive. The thread
of `writer` moves points into the archive; `store` and `summary` write the tables. `recovery` replays the
journals of killed processes. `series`, `tail` and `alignment` read in bulk. `buckets` downsamples one series
and `curves` those of many runs: `axes` says where points lie, `cells` puts them into buckets.

Invariant: points and the address up to which their journal is drained commit together, so no point is stored
twice or lost.
"""
