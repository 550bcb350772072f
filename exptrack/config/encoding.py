"""Encode a config with the source of each key for JSON, as studies and sweeps store it, and decode it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exptrack.config.exp_config import IN_CODE, ExpConfig
from exptrack.records import ConfigSource


def encode_config(config: ExpConfig) -> dict[str, Any]:
    """Encode a config, with the source of each key, for JSON; environment references stay unresolved."""
    sources = {path: [one.kind, one.name, one.line] for path, one in config.sources.items() if one != IN_CODE}
    config = config.hide_secrets()
    return {"values": config.stored_values, "files": list(config.source_files), "sources": sources}


def decode_config(facts: Mapping[str, Any]) -> ExpConfig:
    """Decode the output of :func:`encode_config`. The environment is read when a value is first asked for."""
    sources = {path: ConfigSource(*source) for path, source in facts["sources"].items()}
    return ExpConfig(facts["values"], facts["files"], sources=sources).interpolate(lazily=True)
