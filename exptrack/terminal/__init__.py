"""Print records in a terminal, or as plain text into a pipe. Each file prints one kind of record.

Begin with `console`: safe text, tables, numbers, sizes. `runs`, `artifacts`, `archive`, `comparison` and
`studies` print records; `charts` draws numbers; `ascii` replaces Unicode where the output cannot take it.

Invariant: text from an archive reaches the terminal only through `console.safe`.
"""
