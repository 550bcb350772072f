"""Treat the archive file as a whole: verify it, copy it.

Begin with `snapshot`, or with `verification`; `run_checks`, `study_checks` and `artifact_checks` are its parts.
"""
