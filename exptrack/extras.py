"""Import packages that only some features need, or say which extra installs them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from exptrack.errors import MissingPackageError

OLDEST_OPTUNA = 5
# Packages that pip knows by another name than Python.
_PIP_NAMES = {"PIL": "pillow", "resvg_py": "resvg-py", "sklearn": "scikit-learn"}


def require(module: str, feature: str, extra: str) -> ModuleType:
    """Import and return a module of an optional package.

    `feature` names the feature that needs the package; `extra` names the extra of exptrack that installs it.

    Raises:
        MissingPackageError: the package is not installed.
    """
    package = module.partition(".")[0]
    try:
        import_module(package)
        return import_module(module)
    except ImportError:
        raise MissingPackageError(_PIP_NAMES.get(package, package), feature, extra) from None


def require_optuna() -> None:
    """Check that the installed Optuna has the storages and samplers that studies are built on.

    Raises:
        MissingPackageError: optuna is not installed, or is older than 5.
    """
    needed = f"optuna {OLDEST_OPTUNA} or newer"
    try:
        optuna = require("optuna", "studies", "sweep")
    except MissingPackageError:
        raise MissingPackageError(needed, "studies", "sweep") from None
    if int(optuna.__version__.partition(".")[0]) < OLDEST_OPTUNA:
        raise MissingPackageError(needed, "studies", "sweep")
