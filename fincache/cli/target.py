"""Which segment and database a command is about: -s/--segment and -n/--db, before or after the command's name.

fincache -s md get AAPL:last
fincache get -s md AAPL:last
FINCACHE_SEGMENT=md fincache get AAPL:last
fincache get AAPL:last                        # when there is one segment only
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

import fincache
from fincache import _core
from fincache.cli.exits import ExitCode

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
SEGMENT_VARIABLE = "FINCACHE_SEGMENT"


@dataclass
class Target:
    """What the options said."""

    segment: str | None = None
    database: int | None = None

    def named(self) -> str | None:
        """The name that was given, if any."""
        return self.segment if self.segment is not None else os.environ.get(SEGMENT_VARIABLE) or None

    def name(self) -> str:
        """The segment's name. Raises Refused when none was given and there is none, or several."""
        named = self.named()
        if named is not None:
            return named
        names = fincache.segments()
        if not names:
            raise Refused("there is no segment on this host. Create one with: fincache create NAME", ExitCode.MISSING)
        if len(names) > 1:
            listed = ", ".join(names)
            raise Refused(
                f"there are {len(names)} segments: {listed}. Name one with -s, or in {SEGMENT_VARIABLE}.", ExitCode.USAGE
            )
        return names[0]

    def attach(self, *, readonly: bool, timeout_ms: float = 100) -> fincache.Cache:
        """Attaches. The caller closes. Commands that only read attach read-only: they take no slot and disturb nobody (P6)."""
        return fincache.attach(self.name(), readonly=readonly, db=self.database or 0, timeout_ms=timeout_ms)


class Refused(click.ClickException):
    """A command that cannot go on, with an exit code of its own."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code
        vars(self)["exit_code"] = int(code)  # click reads it from the instance; to type checkers it is a class variable

    def show(self, file: Any = None) -> None:
        """One line on stderr, as for every other error."""
        click.echo(f"fincache: {self.format_message()}", file=file, err=file is None)


def target_of(context: click.Context) -> Target:
    """The target of a command under way."""
    return context.ensure_object(Target)


def _keep_segment(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        target_of(context).segment = value


def _keep_database(context: click.Context, _parameter: click.Parameter, value: int | None) -> None:
    if value is not None:
        target_of(context).database = value


def complete_segment(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of segments, for the shell's completion."""
    return [CompletionItem(name) for name in fincache.segments() if name.startswith(incomplete)]


def segment_option(function: FunctionT) -> FunctionT:
    """Adds -s/--segment."""
    return click.option(
        "-s",
        "--segment",
        metavar="NAME",
        expose_value=False,
        is_eager=True,
        callback=_keep_segment,
        shell_complete=complete_segment,
        help=f"The segment [environment: {SEGMENT_VARIABLE}; default: the only one there is].",
    )(function)


def database_option(function: FunctionT) -> FunctionT:
    """Adds -n/--db."""
    return click.option(
        "-n",
        "--db",
        type=click.IntRange(0, _core.DATABASES_MAX - 1),
        metavar="N",
        expose_value=False,
        is_eager=True,
        callback=_keep_database,
        help="The database [default: 0].",
    )(function)


def target_options(function: FunctionT) -> FunctionT:
    """Adds both, for a command that gets the Target by `@pass_target`."""
    return segment_option(database_option(function))


pass_target = click.make_pass_decorator(Target, ensure=True)
