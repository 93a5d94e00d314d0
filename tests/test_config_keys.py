"""config_keys.py and what is made from it: the table is complete, and config.yaml and the documentation are current."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fincache.daemon.config_keys import KEYS, SECTIONS, ConfigKey, Settings
from fincache.daemon.config_load import load
from fincache.daemon.config_text import config_yaml, configuration_md

TREE = Path(__file__).resolve().parent.parent

# Names that configuration files and start scripts of users hold already. They never change.
FIXED_KEYS = {
    "server": "host port read_timeout write_timeout max_connections enable_metrics enable_health",
    "store": "max_memory eviction_policy ttl_enabled snapshot_enabled snapshot_path snapshot_interval",
    "api": "enabled port read_timeout write_timeout cors_enabled rate_limit",
}
FIXED_ENVIRONMENT = {
    "FINCACHE_SEGMENT": "server.segment",
    "FINCACHE_HOST": "server.host",
    "FINCACHE_PORT": "server.port",
    "FINCACHE_API_PORT": "api.port",
    "FINCACHE_MAX_MEMORY": "store.max_memory",
    "FINCACHE_EVICTION_POLICY": "store.eviction_policy",
    "FINCACHE_TTL_ENABLED": "store.ttl_enabled",
    "FINCACHE_ENABLE_METRICS": "server.enable_metrics",
    "FINCACHE_ENABLE_HEALTH": "server.enable_health",
    "FINCACHE_CORS_ENABLED": "api.cors_enabled",
    "FINCACHE_RATE_LIMIT": "api.rate_limit",
}


def test_names_that_users_have_stay() -> None:
    """Sections, keys and environment variables of existing files."""
    assert [f"{section}.{name}" for section, names in FIXED_KEYS.items() for name in names.split()] == [
        path for path in KEYS if path.partition(".")[2] in FIXED_KEYS[path.partition(".")[0]].split()
    ]
    assert {row.row.environment: path for path, row in KEYS.items()}.items() >= FIXED_ENVIRONMENT.items()


@pytest.mark.parametrize("config_key", KEYS.values(), ids=lambda config_key: config_key.path)
def test_every_row_is_whole(config_key: ConfigKey) -> None:
    """Help is a sentence, the default is allowed, and a part that is missing cannot be reloaded."""
    row = config_key.row
    assert row.help.endswith(".")
    assert row.help[0].isupper() or row.help.split(":")[0] in ("text", "auto")
    assert row.kind.parse(row.kind.format(config_key.default)) == config_key.default
    assert not (row.later and row.reloadable)
    assert not row.environment or row.environment.startswith("FINCACHE_")


@pytest.mark.parametrize("column", ["environment", "option"])
def test_names_in_a_column_are_unique(column: str) -> None:
    """One variable and one option lead to one key."""
    names = [getattr(config_key.row, column) for config_key in KEYS.values() if getattr(config_key.row, column)]
    assert len(names) == len(set(names))


def test_config_yaml_is_current() -> None:
    """python -m fincache.daemon.config_text . writes it."""
    assert (TREE / "config.yaml").read_text(encoding="utf-8") == config_yaml()


def test_the_documentation_is_current() -> None:
    """python -m fincache.daemon.config_text . writes it; every key is in it."""
    document = (TREE / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert document == configuration_md()
    assert [path for path in KEYS if f"### {path}\n" not in document] == []


def test_config_yaml_holds_every_key_with_its_default() -> None:
    """And so loads to what is in effect without a file."""
    parsed = yaml.safe_load(config_yaml())
    assert {section: list(parsed[section]) for section in parsed} == {
        section: [config_key.name for config_key in KEYS.values() if config_key.section == section] for section in SECTIONS
    }
    assert load(TREE / "config.yaml", {}).settings == Settings()


def test_the_template_sets_nothing(tmp_path: Path) -> None:
    """`fincache config default`: every key is there, commented out."""
    template = tmp_path / "template.yaml"
    template.write_text(config_yaml(commented_out=True), encoding="utf-8")
    assert load(template, {}).settings == Settings()
    assert not any(load(template, {}).is_set(path) for path in KEYS)
    for config_key in KEYS.values():
        assert f"  #{config_key.name}: " in template.read_text(encoding="utf-8")
