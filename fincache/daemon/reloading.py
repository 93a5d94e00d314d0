"""SIGHUP: what differs between the configuration in effect and the one just read, and what of it can be applied."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fincache.daemon.config_keys import KEYS, Settings
from fincache.daemon.config_load import Configuration, Given


@dataclass(frozen=True)
class Changes:
    """Paths of keys whose values differ.

    Attributes:
        applied: those that can be changed while serving.
        waiting: those that wait for the next start.
    """

    applied: tuple[str, ...]
    waiting: tuple[str, ...]


def changes_of(present: Configuration, read: Configuration) -> Changes:
    """What differs, in the order of the table. Keys of parts that this version does not have are left out."""
    changed = [path for path, key in KEYS.items() if not key.row.later and present.value(path) != read.value(path)]
    return Changes(
        applied=tuple(path for path in changed if KEYS[path].row.reloadable),
        waiting=tuple(path for path in changed if not KEYS[path].row.reloadable),
    )


def changed_redis(present: Configuration, read: Configuration) -> dict[str, Given]:
    """Parameters of the section redis that were added or changed. One that was taken out keeps its value until the next start."""
    before = {name: given.text for name, given in present.redis.items()}
    return {name: given for name, given in read.redis.items() if before.get(name) != given.text}


def merged(present: Configuration, read: Configuration, paths: Sequence[str]) -> Configuration:
    """The configuration in effect, with the values of `paths` and the section redis from the one that was read."""
    sections: dict[str, dict[str, Any]] = {}
    for path in paths:
        section, _, name = path.partition(".")
        sections.setdefault(section, {})[name] = read.value(path)
    replaced = {
        section: dataclasses.replace(getattr(present.settings, section), **values) for section, values in sections.items()
    }
    settings: Settings = dataclasses.replace(present.settings, **replaced)
    origins = {**present.origins, **{path: read.origins[path] for path in paths}}
    return Configuration(settings, origins, read.redis)
