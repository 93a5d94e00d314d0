"""Reads the configuration: command line > environment > file > default, and says where each mistake is and what is allowed.

The file is composed to YAML's nodes, which carry their lines, and not to objects: the text of a scalar goes to its key's kind
(config_kinds.py), so YAML's own guesses (`yes`, `0600`, `1_000`) play no part. All mistakes of a file are reported together.

An environment variable that is set to nothing counts as not set: that is what compose files make of a missing value.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fincache import _core
from fincache.daemon.config_keys import KEYS, SECTIONS, ConfigKey, Settings
from fincache.daemon.config_kinds import Names
from fincache.daemon.failures import AddressRefused, ConfigurationError, PathRefused
from fincache.daemon.net_address import is_loopback
from fincache.daemon.parameters import SET_BY_KEYS

FILE_BYTES_MAX = 1 << 20  # a configuration of a megabyte is another file
SESSIONS_MAX_LOW = 16
UNIX_PATH_BYTES_MAX = 107  # sun_path, and the zero behind it
REDIS_SECTION = "redis"
"""A section of the file with further parameters, by their names in CONFIG SET. The server checks them when it starts."""

PROTECTED_MODE = (
    "server.host is {host}, an address that other hosts can reach, and server.requirepass is empty: protected mode refuses that, "
    "for anybody who can reach the port could read and change every key. Serve on 127.0.0.1, or set a password, or, if the "
    "network itself keeps strangers out, set server.protected_mode to false"
)


@dataclass(frozen=True)
class Origin:
    """Where a value comes from."""

    source: str
    """default, file, environment, or command line."""
    place: str = ""
    """config.yaml:12, FINCACHE_PORT, --port."""

    def __str__(self) -> str:
        return self.place or self.source


DEFAULT = Origin("default")


@dataclass(frozen=True)
class Given:
    """One value as somebody wrote it."""

    path: str
    text: str
    origin: Origin


@dataclass(frozen=True)
class Configuration:
    """The settings in effect, and where each comes from."""

    settings: Settings
    origins: Mapping[str, Origin]
    """By path, for every key of the table."""
    redis: Mapping[str, Given] = field(default_factory=dict)
    """The section redis, by the parameters' names."""

    def value(self, path: str) -> Any:
        """The value of `server.port`."""
        section, name = path.split(".")
        return getattr(getattr(self.settings, section), name)

    def text(self, path: str) -> str:
        """The value as it would be written; a secret as stars."""
        config_key = KEYS[path]
        if config_key.row.secret and self.value(path):
            return "********"
        return config_key.row.kind.format(self.value(path))

    def is_set(self, path: str) -> bool:
        """Whether anybody set it."""
        return self.origins[path] != DEFAULT

    def asks_for_later_parts(self) -> list[str]:
        """Paths of values that somebody set, differing from the default, for parts that this version does not have."""
        return [path for path, config_key in KEYS.items() if config_key.row.later and self.value(path) != config_key.default]


def load(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    command_line: Iterable[tuple[str, str, str]] = (),
) -> Configuration:
    """The configuration in effect.

    Args:
        file: a YAML file; None: none.
        environment: variables; None: those of this process.
        command_line: (path, text, option) such as ("server.port", "7000", "--port"); later ones win.

    Raises:
        ConfigurationError: with a line for each mistake; AddressRefused, PathRefused.
    """
    problems: list[str] = []
    given = [
        *(_read_file(file, problems) if file is not None else ()),
        *_read_environment(os.environ if environment is None else environment),
        *_read_command_line(command_line, problems),
    ]
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    origins = dict.fromkeys(KEYS, DEFAULT)
    redis: dict[str, Given] = {}
    for item in given:  # the weakest first
        if item.path.startswith(f"{REDIS_SECTION}."):
            redis[item.path.partition(".")[2]] = item
            continue
        config_key = KEYS[item.path]
        try:
            values[config_key.section][config_key.name] = config_key.row.kind.parse(item.text)
        except ValueError as error:
            problems.append(_refused(config_key, item, str(error)))
        origins[item.path] = item.origin
    if problems:
        raise ConfigurationError(problems)
    settings = Settings(**{section: SECTIONS[section](**values[section]) for section in SECTIONS})
    configuration = Configuration(settings, origins, redis)
    _check_together(configuration)
    return configuration


def _refused(config_key: ConfigKey, item: Given, reason: str) -> str:
    shown = "its value" if config_key.row.secret else repr(item.text)
    return f"{item.origin}: {config_key.path} is {shown}: {reason}; allowed: {config_key.row.kind.allowed()}"


def _check_together(configuration: Configuration) -> None:
    """Values that are right one by one may still be wrong together. Raises ConfigurationError, AddressRefused, PathRefused."""
    server, store = configuration.settings.server, configuration.settings.store
    origins = configuration.origins
    problems = []
    if server.port == 0 and server.unixsocket == "none":
        problems.append(f"{origins['server.port']}: server.port is 0 and server.unixsocket is none: there is no door left")
    if 0 < store.sessions_max < SESSIONS_MAX_LOW:
        problems.append(
            f"{origins['store.sessions_max']}: store.sessions_max is {store.sessions_max}: it is out of range; "
            f"allowed: 0, or {SESSIONS_MAX_LOW} to {_core.SESSIONS_LIMIT}"
        )
    if problems:
        raise ConfigurationError(problems)
    if len(os.fsencode(server.unixsocket)) > UNIX_PATH_BYTES_MAX:
        where = f"{origins['server.unixsocket']}: server.unixsocket is {server.unixsocket!r}"
        raise PathRefused([f"{where}: a UNIX socket's path has {UNIX_PATH_BYTES_MAX} bytes at most"])
    if server.protected_mode and server.port and not server.requirepass and not is_loopback(server.host):
        raise AddressRefused([f"{origins['server.host']}: {PROTECTED_MODE.format(host=server.host)}"])


# ------------------------------------------------------------------ environment and command line


def _read_environment(environment: Mapping[str, str]) -> list[Given]:
    return [
        Given(path, environment[config_key.row.environment], Origin("environment", config_key.row.environment))
        for path, config_key in KEYS.items()
        if environment.get(config_key.row.environment)
    ]


def _read_command_line(items: Iterable[tuple[str, str, str]], problems: list[str]) -> list[Given]:
    given = []
    for path, text, option in items:
        if path in KEYS:
            given.append(Given(path, text, Origin("command line", option)))
        else:
            problems.append(f"{option}: {path} is no key{_suggestion(path)}")
    return given


# ------------------------------------------------------------------ the file


def _read_file(file: Path, problems: list[str]) -> list[Given]:
    root = _compose(file)
    if root is None or _is_null(root):
        return []
    given: list[Given] = []
    for section, section_node, body in _pairs(file, root, "", problems):
        if section not in SECTIONS and section != REDIS_SECTION:
            problems.append(f"{_line(file, section_node)}: {section} is no section{_suggestion_of_section(section)}")
        elif _is_null(body):
            continue  # `api:` with every line below it commented out
        else:
            for name, name_node, value in _pairs(file, body, section, problems):
                _take(file, f"{section}.{name}", name_node, value, given, problems)
    return given


def _take(file: Path, path: str, name_node: yaml.Node, value: yaml.Node, given: list[Given], problems: list[str]) -> None:
    config_key = KEYS.get(path)
    if path.startswith(f"{REDIS_SECTION}."):
        _take_redis(file, path, value, given, problems)
        return
    if config_key is None:
        problems.append(f"{_line(file, name_node)}: {path} is no key{_suggestion(path)}")
        return
    where = _line(file, value)
    allowed = config_key.row.kind.allowed()
    if isinstance(value, yaml.SequenceNode) and isinstance(config_key.row.kind, Names):
        if all(isinstance(item, yaml.ScalarNode) and "," not in item.value for item in value.value):
            given.append(Given(path, ",".join(item.value for item in value.value), Origin("file", where)))
        else:
            problems.append(f"{where}: {path} holds something that does not fit; allowed: {allowed}")
    elif not isinstance(value, yaml.ScalarNode):
        kind = "a list" if isinstance(value, yaml.SequenceNode) else "a mapping"
        problems.append(f"{where}: {path} is {kind}; allowed: {allowed}")
    elif _is_null(value):
        problems.append(f"{where}: {path} has no value: leave the line out for the default; allowed: {allowed}")
    else:
        given.append(Given(path, value.value, Origin("file", where)))


def _take_redis(file: Path, path: str, value: yaml.Node, given: list[Given], problems: list[str]) -> None:
    name = path.partition(".")[2].lower()
    where = _line(file, value)
    if name in SET_BY_KEYS:
        problems.append(f"{where}: {path} is {SET_BY_KEYS[name]} here: set that key instead")
    elif not isinstance(value, yaml.ScalarNode) or _is_null(value):
        problems.append(f"{where}: {path} needs one value, as CONFIG SET takes it")
    else:
        given.append(Given(f"{REDIS_SECTION}.{name}", value.value, Origin("file", where)))


def _compose(file: Path) -> yaml.Node | None:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError([f"{file}: cannot be read: {error.strerror}"]) from None
    if len(data) > FILE_BYTES_MAX:
        raise ConfigurationError([f"{file}: is longer than {FILE_BYTES_MAX} bytes: this is no configuration of FinCache"])
    try:
        root = yaml.compose(data.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([f"{file}:{line}: is no UTF-8 text"]) from None
    except yaml.MarkedYAMLError as error:
        # "could not find expected ':'" is noticed on the line after the one that lacks it.
        mark = error.context_mark if error.context == "while scanning a simple key" else error.problem_mark
        where = f"{file}:{mark.line + 1}" if mark is not None else str(file)
        raise ConfigurationError([f"{where}: is no YAML: {error.problem or error.context}"]) from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise ConfigurationError([f"{file}: is no YAML: {' '.join(str(error).split())}"]) from None
    except RecursionError:
        raise ConfigurationError([f"{file}: is nested too deeply: there are sections, and keys in them"]) from None
    return root


def _pairs(file: Path, node: yaml.Node, section: str, problems: list[str]) -> list[tuple[str, yaml.Node, yaml.Node]]:
    """(name, its node, the value's node); a name that comes twice is a mistake."""
    if not isinstance(node, yaml.MappingNode):
        what = f"section {section}" if section else "the file"
        below = "keys" if section else f"sections ({', '.join(SECTIONS)})"
        problems.append(f"{_line(file, node)}: {what} must hold {below}, each followed by a colon")
        return []
    found: dict[str, tuple[str, yaml.Node, yaml.Node]] = {}
    for name_node, value in node.value:
        if not isinstance(name_node, yaml.ScalarNode):
            problems.append(f"{_line(file, name_node)}: a list or a mapping stands where a name should")
            continue
        name = str(name_node.value)
        path = f"{section}.{name}" if section else name
        if name in found:
            first = found[name][1].start_mark.line + 1
            problems.append(f"{_line(file, name_node)}: {path} was given already, in line {first}")
        else:
            found[name] = (name, name_node, value)
    return list(found.values())


def _line(file: Path, node: yaml.Node) -> str:
    return f"{file}:{node.start_mark.line + 1}"


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


# ------------------------------------------------------------------ suggestions


def _suggestion(path: str) -> str:
    section, _, name = path.partition(".")
    same_name = [other for other in KEYS if other.partition(".")[2] == (name or section)]
    close = same_name or difflib.get_close_matches(path, KEYS, n=1, cutoff=0.7)
    if not close:
        # A wrong section and a misspelt name at once, or a name without its section.
        names = difflib.get_close_matches(name or section, [other.partition(".")[2] for other in KEYS], n=1, cutoff=0.75)
        close = [other for other in KEYS if names and other.partition(".")[2] == names[0]]
    return f"; did you mean {' or '.join(close)}?" if close else f"; keys of {section}: {_names_of(section)}"


def _names_of(section: str) -> str:
    names = [config_key.name for config_key in KEYS.values() if config_key.section == section]
    return ", ".join(names) if names else f"none; sections: {', '.join(SECTIONS)}"


def _suggestion_of_section(section: str) -> str:
    if any(config_key.name == section for config_key in KEYS.values()):
        return _suggestion(section).replace("did you mean", "it is a key: did you mean")
    close = difflib.get_close_matches(section, SECTIONS, n=1)
    return f"; did you mean {close[0]}?" if close else f"; sections: {', '.join(SECTIONS)}"
