"""Search over configs with Optuna: each trial is a run.

Begin with `study`. `optuna_storage` keeps studies and trials in the archive, for Optuna's samplers and pruners.
`plan` is what a sweep file says, `runner` runs a command for each trial, `results` tells what a study found.
Only this subpackage imports ``optuna``.
"""
