"""Search over configs with Optuna: each trial is a run.

Begin with `study`, which users see, and `trial`, which their objectives see. Both stand on `study_core`, which
holds a study for the files in here.

- A study's parts: `study_config` (its options), `algorithms` (samplers, pruners), `records` (returned facts).
- A sweep is a study whose trials are commands: `plan` is its space and limits, `plan_file` reads a plan from a
  file, `runner` runs the commands.
- `store` reads the rows of studies and trials without Optuna; `results` makes tables of them.
- `optuna_storage` is the archive as Optuna's storage, over the rows of `optuna_rows`. `optuna_bridge` holds the
  other uses of Optuna's private parts.

Invariants: only this subpackage imports ``optuna``, and only its files ``optuna_*`` touch names of Optuna that
begin with an underscore. `store`, `records`, `results`, `plan` and `plan_file` load without Optuna.
"""
