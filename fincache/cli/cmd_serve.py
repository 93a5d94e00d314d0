"""serve: the daemon."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from fincache.cli.config_options import configuration_options, given_on_command_line, load_configuration, report
from fincache.cli.exits import ExitCode, exit_code_of, message_of
from fincache.daemon.config_load import load
from fincache.daemon.config_rewrite import rewrite_file
from fincache.daemon.failures import ConfigurationError
from fincache.daemon.service import Invocation, Service
from fincache.daemon.structured_log import StructuredLog


@click.command("serve")
@configuration_options
@click.option("--takeover", is_flag=True, help="Take the place of the daemon that serves the segment; the port never drops.")
@click.pass_context
def serve_command(context: click.Context, config_file: Path | None, takeover: bool) -> int:
    """Serve a segment to redis-cli and every Redis client.

    Creates the segment, or adopts it with every key. SIGTERM and SIGINT drain and leave the segment; a second one ends at once;
    SIGHUP reads the configuration again; SIGUSR2 starts a new daemon that takes over. The log goes to stderr.
    """
    try:
        configuration = load_configuration(context, config_file)
    except ConfigurationError as error:
        report(error.problems)
        return exit_code_of(error) or ExitCode.FAILED
    given = given_on_command_line(context)
    settings = configuration.settings.server
    log = StructuredLog(level=settings.log_level, style=settings.log_format)
    environment = dict(os.environ)
    invocation = Invocation(
        takeover=takeover,
        reload=lambda: load(config_file, environment, given),
        rewrite=lambda parameters: rewrite_file(config_file, parameters),
        successor_command=[sys.executable, *_without_takeover(sys.orig_argv[1:]), "--takeover"],
    )
    try:
        return Service(configuration, invocation, log, environment).run()
    except ConfigurationError as error:
        for problem in error.problems:
            log.error("cannot serve", problem=problem)
        return exit_code_of(error) or ExitCode.FAILED
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        log.error("cannot serve", problem=message_of(error), exit_code=int(code))
        return code


def _without_takeover(arguments: list[str]) -> list[str]:
    return [argument for argument in arguments if argument != "--takeover"]
