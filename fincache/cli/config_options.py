"""Options of `fincache serve` and `fincache config show` that set configuration keys, made from the table of keys.

Values are passed on as text: what a key takes, and the words for what it does not, are those of the file and the environment.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from fincache.cli.target import Target, complete_segment
from fincache.daemon.config_keys import KEYS, ConfigKey
from fincache.daemon.config_load import Configuration, load

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
_GIVEN = f"{__name__}.given"
_METAVARS = {
    "integer": "N",
    "size": "SIZE",
    "duration": "TIME",
    "text": "TEXT",
    "mode": "MODE",
    "choice": "WORD",
    "list": "NAMES",
}


def configuration_options(function: FunctionT) -> FunctionT:
    """Adds -c/--config, which the command gets as `config_file`, --set and an option for every key that has one."""
    for config_key in reversed(KEYS.values()):
        if config_key.row.option:
            function = _option_of(config_key)(function)
    set_option = click.option(
        "--set",
        metavar="KEY=VALUE",
        multiple=True,
        expose_value=False,
        callback=_keep_set,
        help="Any key of the configuration, such as server.tcp_backlog=128; may be given several times.",
    )
    file_option = click.option(
        "-c",
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=True),
        help="The configuration file; `fincache config default` writes one.",
    )
    return file_option(set_option(function))


def load_configuration(context: click.Context, config_file: Path | None) -> Configuration:
    """The configuration in effect. Raises ConfigurationError."""
    return load(config_file, command_line=given_on_command_line(context))


def given_on_command_line(context: click.Context) -> list[tuple[str, str, str]]:
    """(path, text, option) of what was given, `fincache -s NAME serve` included."""
    target = context.find_object(Target)
    named = [("server.segment", target.segment, "-s")] if target is not None and target.segment is not None else []
    return [*named, *_given(context)]


def report(problems: tuple[str, ...]) -> None:
    """A line on stderr for each mistake."""
    for problem in problems:
        click.echo(f"fincache: {problem}", err=True)


def _option_of(config_key: ConfigKey) -> Callable[[FunctionT], FunctionT]:
    row = config_key.row
    default = row.kind.format(config_key.default)
    help_text = f"{row.help} [{config_key.path}; default: {default or 'empty'}]"

    def keep(context: click.Context, _parameter: click.Parameter, value: str | bool | None) -> None:
        if isinstance(value, bool):
            _given(context).append((config_key.path, str(value).lower(), row.option.split("/")[0 if value else 1]))
        elif value is not None:
            _given(context).append((config_key.path, value, row.option))

    if "/" in row.option:
        return click.option(row.option, config_key.name, default=None, expose_value=False, callback=keep, help=help_text)
    is_segment = config_key.path == "server.segment"
    return click.option(
        *(["-s"] if is_segment else []),
        row.option,
        config_key.name,
        metavar=_METAVARS[row.kind.name],
        expose_value=False,
        callback=keep,
        help=help_text,
        shell_complete=complete_segment if is_segment else None,
    )


def _keep_set(context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> None:
    for value in values:
        path, equals, text = value.partition("=")
        if not equals:
            raise click.BadParameter(f"{value!r} is not of the form KEY=VALUE", context, param_hint="--set")
        if path in KEYS and KEYS[path].row.secret:
            raise click.BadParameter(
                f"{path} is a secret, and others can read a command line; the file or {KEYS[path].row.environment} can hold it.",
                context,
                param_hint="--set",
            )
        _given(context).append((path, text, f"--set {value}"))


def _given(context: click.Context) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = context.meta.setdefault(_GIVEN, [])
    return found
