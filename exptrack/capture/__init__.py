"""Record the machine and the code of a run, without secrets and without paths of the machine.

Begin with `code` (which reads the work tree through `git`) and `environment`; `system_metrics` samples the load
while a run lives. Every text that `code` and `environment` return has passed `redaction` and `paths`. Capturing
never stops a run and never waits for long.
"""
