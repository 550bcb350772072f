# The five things a contributor does; CONTRIBUTING.md explains them.
PYTHON ?= python

.PHONY: setup check test docs bench

setup:
	$(PYTHON) -m pip install -e ".[docs,test]"
	if command -v pre-commit > /dev/null; then pre-commit install; fi

check:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

test:
	$(PYTHON) -m pytest -n 2

docs:
	$(PYTHON) -m sphinx -W --keep-going -b html docs build/docs

bench:
	$(PYTHON) -m benchmarks
