"""Run a script or a command that knows nothing of exptrack, and record it as a run.

Begin with `supervisor`: it starts the command and waits for it, reads its output and ends its run. What it
starts is a Python that becomes the script (`bootstrap`, then `script_child`), or any other command. The files
`hook_*` record what libraries are given and write; `import_hooks` calls each when its library is imported.

Invariants:

- A script runs as Python alone would run it: the same ``__main__``, arguments, paths, streams and exit code.
- No hook imports a library, changes what it returns, or raises into the script.
- The supervisor reads the output, not the script's process, which workers are forked from.
"""
