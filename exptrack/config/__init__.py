"""The config of a run: composed from files and overrides, interpolated, hashed, stored.

Begin with `exp_config`. `tree` checks and copies plain values, `objects` reads settings of other libraries, and
`loose` those of any object. `composition` reads files (YAML through `safe_yaml`), `interpolation` resolves
references, `store` holds the SQL, and `growth` adds to the config of a run. A config is immutable; the order of
its keys does not change its hash.
"""

from exptrack.config.exp_config import ExpConfig, merge_configs
from exptrack.config.tree import ConfigValue

__all__ = ["ConfigValue", "ExpConfig", "merge_configs"]
