"""What a run records of the machine and of its code, without secrets and without paths of the machine.

Begin with `code` and `environment`. Every text they return has passed `redaction` and `paths`.
Capturing never stops a run and never waits for long.
"""
