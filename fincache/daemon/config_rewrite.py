"""CONFIG REWRITE: puts what clients have set into the configuration file, and leaves the rest of it as it is, comments and all.

YAML's nodes carry the place of every value, so a value that is there is replaced within its line; a key that is missing goes to
the end of its section, a section that is missing to the end of the file. The new text is written beside the file, loaded as a
check, and renamed over it: at every instant there is a whole file.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from fincache.daemon.config_load import REDIS_SECTION, load
from fincache.daemon.failures import ConfigurationError
from fincache.daemon.parameters import key_of_parameter

NO_FILE = "The server is running without a config file"

_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./-]*")
_NOT_PLAIN = {"null", "true", "false", "yes", "no", "on", "off"}

Edit = tuple[int, int, str]
"""Start, end (characters of the text) and what goes there."""


def rewrite_file(file: Path | None, parameters: Mapping[str, str]) -> str:
    """Puts parameters, by their names in CONFIG SET, into the file. "" or why that did not come about, as the client gets it."""
    if file is None:
        return NO_FILE
    try:
        target = file.resolve(strict=True)  # a link stays one
        text = target.read_text(encoding="utf-8")
        changed = rewritten(text, dict(_placed(name, value) for name, value in parameters.items()))
        if changed != text:
            _replace(target, changed)
    except OSError as error:
        return f"Rewriting config file: {error.strerror}"
    except (ConfigurationError, UnicodeDecodeError, yaml.YAMLError) as error:
        return f"Rewriting config file: {' '.join(str(error).split())}"
    return ""


def _placed(name: str, value: str) -> tuple[str, str]:
    """(path, text) of a parameter: its key's, or one of the section redis."""
    found = key_of_parameter(name, value)
    return found if found is not None else (f"{REDIS_SECTION}.{name}", value)


def rewritten(text: str, values: Mapping[str, str]) -> str:
    """The text of a configuration with other values, by path. The text is one that loads."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    sections: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    if isinstance(root, yaml.MappingNode):
        sections = {str(name.value): (name, body) for name, body in root.value}
    edits: list[Edit] = []
    missing: dict[str, list[str]] = {}
    for path, value in values.items():
        section, _, name = path.partition(".")
        body = sections[section][1] if section in sections else None
        present = _value_of(body, name)
        if present is not None:
            edits.append((present.start_mark.index, present.end_mark.index, _scalar(value)))
        else:
            missing.setdefault(section, []).append(f"{name}: {_scalar(value)}")
    added = ""
    for section, pairs in missing.items():
        if section in sections:
            edits.append(_insertion(text, *sections[section], pairs))
        else:
            added += f"{section}:\n" + "".join(f"  {pair}\n" for pair in pairs)
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    if added and text and not text.endswith("\n"):
        text += "\n"
    return text + added


def _value_of(body: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(body, yaml.MappingNode):
        return None
    return next((value for name_node, value in body.value if name_node.value == name), None)


def _insertion(text: str, name: yaml.Node, body: yaml.Node, pairs: list[str]) -> Edit:
    """Where further keys of a section go: before its closing brace, or on lines of their own with the others' indentation."""
    if isinstance(body, yaml.MappingNode) and body.flow_style:
        at = body.end_mark.index - 1
        return at, at, (", " if body.value else "") + ", ".join(pairs)
    if isinstance(body, yaml.MappingNode) and body.value:
        last = body.value[-1][1]
        column, at = body.value[0][0].start_mark.column, last.end_mark.index
        if isinstance(last, yaml.CollectionNode) and not last.flow_style:
            at = body.end_mark.index  # a list over several lines ends where the next section begins
            return at, at, "".join(f"{' ' * column}{pair}\n" for pair in pairs)
    else:  # `server:` and nothing in it
        column, at = name.start_mark.column + 2, name.end_mark.index
    end = text.find("\n", at)
    at = len(text) if end < 0 else end
    return at, at, "".join(f"\n{' ' * column}{pair}" for pair in pairs)


def _scalar(value: str) -> str:
    """As YAML reads it back as the same text."""
    return value if _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN else json.dumps(value)


def _replace(target: Path, text: str) -> None:
    """Puts a whole new file in place of the old one, with its mode and owner. Raises OSError, ConfigurationError."""
    before = target.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, before.st_mode & 0o777)
            with contextlib.suppress(PermissionError):  # the owner stays ours then
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fsync(descriptor)
        load(beside, {})
        beside.rename(target)
    except BaseException:
        beside.unlink()
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
