"""Treat the archive file as a whole: verify it.

Begin with `verification`.
"""
