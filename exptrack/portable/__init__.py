"""Treat the archive file as a whole: verify it.

Begin with `verification`; `run_checks`, `study_checks` and `artifact_checks` are its parts.
"""
