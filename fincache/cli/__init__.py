"""The command line: `fincache COMMAND`. Everything that FinCache prints, it prints in this package.

    __init__     the group of commands, and how they end          target        which segment and database a command is about
    exits        the table of exit codes                          keyarg        keys and values on the command line
    cmd_*        one module for a command or a family of them,    output        values, JSON, tables, units
                 with a function NAME_command for each            processes     who uses an object of /dev/shm, from /proc
    doctor_*     what doctor looks at; findings, host             shm_objects   what lies in /dev/shm under segments' names
    top_*        what top measures and draws                      segment_view  a segment's reports as JSON and tables

A new command is a row in COMMANDS and a module. Modules are imported when their command is asked for (or --help lists them), and
import what is large (numpy, the market-data reader) when it runs: `fincache get k` stands in shell scripts and prompts, and
starting Python is the greatest part of it.

Errors      Commands raise what the library raises, or click's exceptions, or return an ExitCode. CommandGroup.invoke turns all of
            it into one line on stderr and a code of exits.py; only a fault of this program shows a traceback.
Signals     SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that sessions are closed and temporary segments removed.
"""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

import fincache
from fincache.cli.exits import ExitCode, exit_code_of, message_of, table_text
from fincache.cli.target import Refused, target_options

# Section -> command -> module in this package, which holds it as NAME_command. In the order that --help shows.
COMMANDS: dict[str, dict[str, str]] = {
    "Segments": {"create": "cmd_segments", "ls": "cmd_segments", "stat": "cmd_stat", "rm": "cmd_segments"},
    "Values": {"get": "cmd_values", "set": "cmd_values", "del": "cmd_values", "ttl": "cmd_values", "watch": "cmd_watch"},
    "Key space": {"keys": "cmd_keyspace", "scan": "cmd_keyspace"},
    "Care": {"top": "cmd_top", "doctor": "cmd_doctor"},
    "Trying it": {"replay": "cmd_replay", "bench": "cmd_bench"},
    "Shell": {"completion": "cmd_completion"},
    "Daemon": {"serve": "cmd_serve", "config": "cmd_config"},
}
COMPLETION_VARIABLE = "_FINCACHE_COMPLETE"  # set when a shell asks for completions
_MODULES = {name: module for section in COMMANDS.values() for name, module in section.items()}


class _Ended(BaseException):
    """A signal that asks the process to end. Not an Exception: nothing that handles errors may handle it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


class CommandGroup(click.Group):
    """The commands of COMMANDS, each imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, in the table's order."""
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Imports one."""
        module_name = _MODULES.get(cmd_name)
        if module_name is None:
            return None
        module = importlib.import_module(f"fincache.cli.{module_name}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def invoke(self, ctx: click.Context) -> None:
        """Runs a command. Its exit code is what it returns (None: done), or that of what it raises."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except (BrokenPipeError, KeyboardInterrupt) as ended:
            _give_stdout_up()
            ctx.exit(exit_code_of(ended) or ExitCode.FAILED)
        except Exception as error:
            found = exit_code_of(error)
            if found is None:
                raise
            _give_stdout_up()
            raise Refused(message_of(error), found) from None
        ctx.exit(code or ExitCode.OK)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggests what may have been meant."""
        if args and args[0] not in _MODULES and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _MODULES, 1)
            meant = f" Did you mean {near[0]}?" if near else " fincache --help lists them."
            raise click.UsageError(f"there is no command {args[0]!r}.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, by section."""
        for section, names in COMMANDS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(section):
                formatter.write_dl([(name, command.get_short_help_str(200)) for name, command in commands if command])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table of exit codes."""
        formatter.write(f"\nExit codes:\n{table_text()}\n")


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(fincache.__version__, "-V", "--version", prog_name="fincache", message="%(prog)s %(version)s")
@target_options
def command_line() -> None:
    """FinCache: a shared-memory cache for the processes of one host.

    A command is about one segment: the one that -s names, else that of the environment variable FINCACHE_SEGMENT, else the only
    one there is. "fincache COMMAND --help" says what a command does.
    """


def main() -> NoReturn:
    """The program `fincache`. Never returns: it exits with a code of exits.py."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP, and that stays
            signal.signal(number, _end)
    _prepare_streams()
    if COMPLETION_VARIABLE in os.environ:
        importlib.import_module("fincache.cli.cmd_completion").answer_shell()
    try:
        command_line.main(prog_name="fincache")
    except _Ended as ended:
        _give_stdout_up()
        sys.exit(128 + ended.signal_number)
    raise AssertionError("click ends the process")


def _prepare_streams() -> None:
    """Output may be closed (>&-), or in an encoding that lacks a character of a key: neither is a fault of the command."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 -- until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _give_stdout_up() -> None:
    """Python flushes stdout once more when it ends, and would complain there of a reader who is gone or a disk that is full."""
    try:
        sys.stdout.flush()
    except OSError:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())


def _end(signal_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Ended(signal_number)
