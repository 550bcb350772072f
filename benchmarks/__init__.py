"""Benchmarks: a script per question, each with its command in its docstring and a baseline beside it."""
