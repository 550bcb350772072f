"""Treat the archive file as a whole: verify it, copy it.

Begin with `verification` or `snapshot`.
"""
