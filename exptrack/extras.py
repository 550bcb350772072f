"""Ask for packages that are installed on request only."""

from __future__ import annotations

from exptrack.errors import MissingPackageError

OLDEST_OPTUNA = 5


def require_optuna() -> None:
    """Refuse to go on without an Optuna whose storages and samplers are those that studies are built on.

    Raises:
        MissingPackageError: optuna is not installed, or is older than 5.
    """
    try:
        import optuna
    except ImportError:
        found = 0
    else:
        found = int(optuna.__version__.partition(".")[0])
    if found < OLDEST_OPTUNA:
        raise MissingPackageError(f"optuna {OLDEST_OPTUNA} or newer", "studies", "sweep")
