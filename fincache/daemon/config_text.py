"""Writes what is made from the table of keys: config.yaml, docs/configuration.md, and the effective values for `config show`.

    python -m fincache.daemon.config_text FOLDER      writes config.yaml and docs/configuration.md there

A test compares both files with what this module makes of the table.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from fincache.daemon.config_keys import KEYS, SECTIONS, ConfigKey
from fincache.daemon.config_load import REDIS_SECTION, Configuration

_COLUMNS = 120

_YAML_HEAD = """\
# FinCache's configuration: every key with its default. Made from fincache/daemon/config_keys.py; see docs/configuration.md.
#
#   fincache serve --config config.yaml       precedence: command line > environment > this file > default
#   fincache config check config.yaml         says what is wrong, with its line, and what is allowed
#   fincache config show --config config.yaml says what is in effect, and where each value comes from
"""

_DOCUMENT_HEAD = """\
# Configuration

Every key of FinCache's daemon, made from `fincache/daemon/config_keys.py` (a test checks that it is current).

Precedence: command line > environment > file > default. The file is YAML with the sections `{sections}`; `config.yaml`
at the top of the tree holds every key with its default. Any key can be given on the command line as
`--set server.tcp_backlog=128`; those with an option of their own are named below. An environment variable that is empty
counts as not set.

    fincache config check config.yaml        exit code 0, or 20 with a line for each mistake: where, what, and what is allowed
    fincache config show --config config.yaml [--json]       the values in effect, and where each comes from
    fincache config default                  a file with every key, commented out

Durations are written as `30s`, `5m`, `1h30m`, `250ms` (units `us ms s m h d`; a bare number is refused, for it could mean
seconds or milliseconds). Sizes as `1GB`, `256MB`, `65536`: `kb mb gb` are powers of 1024, `k m g` of 1000, as in redis.conf.
Booleans: `true`, `yes`, `on`, `1` and their opposites.

A fourth section, `redis`, holds any other parameter of `CONFIG SET` by its name there, such as `slowlog-log-slower-than: 5000`;
the server checks it when it starts. `CONFIG REWRITE` writes what clients have set into the file: into the key that stands for
the parameter, or into that section.

"Reload": SIGHUP (`systemctl reload fincache`) applies a changed value; a change of any other key is logged and waits for the
next start. "Not used yet": the value is checked and nothing else; a value that asks for such a part is answered with a
warning at the start.
"""


def config_yaml(*, commented_out: bool = False) -> str:
    """The text of config.yaml: every key, its help, its default."""
    lines = [_YAML_HEAD]
    for section in SECTIONS:
        lines.append(f"{section}:")
        for config_key in _keys_of(section):
            lines += [f"  # {line}" for line in textwrap.wrap(_help(config_key), _COLUMNS - 4)]
            value = _yaml_scalar(config_key)
            lines.append(f"  #{config_key.name}: {value}" if commented_out else f"  {config_key.name}: {value}")
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def configuration_md() -> str:
    """The text of docs/configuration.md."""
    lines = [_DOCUMENT_HEAD.format(sections="`, `".join(SECTIONS))]
    for section, section_class in SECTIONS.items():
        lines += [f"## {section}", "", (section_class.__doc__ or "").partition(": ")[2].strip() or _first_line(section_class), ""]
        for config_key in _keys_of(section):
            lines += [f"### {config_key.path}", "", config_key.row.help, ""]
            lines += [f"- {line}" for line in _properties(config_key)]
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _first_line(section_class: type[object]) -> str:
    return (section_class.__doc__ or "").strip().splitlines()[0]


def _keys_of(section: str) -> Iterator[ConfigKey]:
    return (config_key for config_key in KEYS.values() if config_key.section == section)


def _help(config_key: ConfigKey) -> str:
    note = f" Not used yet: waits for {config_key.row.later}." if config_key.row.later else ""
    return config_key.row.help + note


def _yaml_scalar(config_key: ConfigKey) -> str:
    text = config_key.row.kind.format(config_key.default)
    if config_key.row.kind.name == "list":
        return f"[{text}]"
    return text if text else '""'


def _properties(config_key: ConfigKey) -> Iterator[str]:
    row = config_key.row
    default = row.kind.format(config_key.default)
    yield f"{row.kind.name}; {row.kind.allowed()}"
    yield f"default `{default}`" if default else "default: empty"
    if row.environment:
        yield f"environment `{row.environment}`"
    if row.option:
        yield f"command line `{row.option.replace('/', '`, `')}`"
    if row.later:
        yield f"not used yet: waits for {row.later}"
    else:
        yield "reload: yes" if row.reloadable else "reload: no, at the next start"


def effective_table(configuration: Configuration) -> list[tuple[str, str, str]]:
    """(path, value, where it comes from) for every key."""
    rows = [(path, configuration.text(path), str(configuration.origins[path])) for path in KEYS]
    return rows + [(given.path, given.text, str(given.origin)) for given in configuration.redis.values()]


def effective_objects(configuration: Configuration) -> dict[str, dict[str, dict[str, object]]]:
    """The same for JSON: section, key, then value, source and place."""
    objects: dict[str, dict[str, dict[str, object]]] = {section: {} for section in SECTIONS}
    for path, config_key in KEYS.items():
        value = configuration.value(path)
        origin = configuration.origins[path]
        objects[config_key.section][config_key.name] = {
            "value": value if isinstance(value, (bool, int)) and config_key.row.kind.name != "mode" else configuration.text(path),
            "source": origin.source,
            "place": origin.place or None,
            "used": not config_key.row.later,
        }
    if configuration.redis:
        objects[REDIS_SECTION] = {
            name: {"value": given.text, "source": "file", "place": given.origin.place, "used": True}
            for name, given in configuration.redis.items()
        }
    return objects


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m fincache.daemon.config_text FOLDER")
    folder = Path(sys.argv[1])
    (folder / "config.yaml").write_text(config_yaml(), encoding="utf-8")
    (folder / "docs" / "configuration.md").write_text(configuration_md(), encoding="utf-8")
