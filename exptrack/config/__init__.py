"""What a run was given: composed from files and overrides, interpolated, hashed, stored.

Begin with `exp_config`. `tree` holds the values, `objects` reads settings of other libraries, `composition`
reads files, `store` keeps configs in the archive. A config is immutable; its hash does not depend on the
order of keys.
"""

from exptrack.config.exp_config import ConfigValue, ExpConfig, merge_configs

__all__ = ["ConfigValue", "ExpConfig", "merge_configs"]
