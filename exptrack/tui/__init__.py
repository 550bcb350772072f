"""The full-screen view of an archive in a terminal: runs on the left, one of them or several on the right.

Begin with `app`: it owns the screen, the keys and the threads. `reading` asks the archive and `edits` changes
it; neither knows of the screen. `run_list`, `charts`, `page_view` and `prompt` are its parts. `plot` draws
curves, and `pages` writes text. Needs the extra ``tui``.

Invariants: the archive is read in other threads than the one that draws, by a handle that cannot write. A
change opens the file for itself alone. Text from an archive is never read as markup, and its control characters
are escaped. Every key works without a mouse, and every colour has a sign beside it.
"""
