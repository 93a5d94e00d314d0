"""config check, show, default: the daemon's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from fincache.cli.config_options import configuration_options, load_configuration, report
from fincache.cli.exits import ExitCode, exit_code_of
from fincache.cli.output import Json, json_option, print_json, table
from fincache.daemon.config_load import load
from fincache.daemon.config_text import config_yaml, effective_objects, effective_table
from fincache.daemon.failures import ConfigurationError


@click.group("config")
def config_command() -> None:
    """Check, show and write the daemon's configuration."""


@config_command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--environment/--no-environment", default=False, help="Check the environment's variables, too [default: no].")
def check_command(file: Path, environment: bool) -> ExitCode:
    """Say what is wrong with a configuration file.

    A line for each mistake: where it is, what it is, and what is allowed. Parts that this version does not have yet are no
    mistakes; they are named.
    """
    try:
        configuration = load(file, None if environment else {})
    except ConfigurationError as error:
        report(error.problems)
        return exit_code_of(error) or ExitCode.FAILED
    for path in configuration.asks_for_later_parts():
        click.echo(f"{configuration.origins[path]}: {path} is set, and not used yet")
    set_count = sum(origin.source == "file" for origin in configuration.origins.values())
    click.echo(f"{file}: no mistake; {set_count} keys")
    return ExitCode.OK


@config_command.command("show")
@configuration_options
@json_option
@click.pass_context
def show_command(context: click.Context, config_file: Path | None, as_json: bool) -> ExitCode:
    """Show the values that `fincache serve` would use, and where each comes from.

    Takes the options of `fincache serve`; a secret is shown as stars.
    """
    try:
        configuration = load_configuration(context, config_file)
    except ConfigurationError as error:
        report(error.problems)
        return exit_code_of(error) or ExitCode.FAILED
    if as_json:
        print_json(cast("Json", effective_objects(configuration)))
    else:
        for line in table(("key", "value", "from"), effective_table(configuration), left={"key", "value", "from"}):
            click.echo(line)
    return ExitCode.OK


@config_command.command("default")
def default_command() -> None:
    """Write a configuration file with every key, commented out, to stdout."""
    click.echo(config_yaml(commented_out=True), nl=False)
