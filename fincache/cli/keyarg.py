"""Keys and values on the command line: as bytes, with or without escapes, and completed by the shell."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import islice
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

import fincache
from fincache.cli.output import unquote
from fincache.cli.target import target_of

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
COMPLETIONS_MAX = 200  # keys that the shell's completion offers
COMPLETION_SCAN_MAX = 100_000  # keys that it looks at for them: some 50 ms
PLAIN = re.compile(r"[\w.:/@%+=,^-]+")


def escaped_option(function: FunctionT) -> FunctionT:
    """Adds -e/--escaped, which the command gets as `escaped`."""
    return click.option(
        "-e", "--escaped", is_flag=True, help='Keys and values are written with escapes, as get prints them: "a\\x00b\\n".'
    )(function)


def argument_bytes(text: str, escaped: bool) -> bytes:
    """The bytes of an argument. Raises BadParameter for a wrong escape."""
    data = os.fsencode(text)  # exactly the bytes that the shell passed
    if not escaped:
        return data
    try:
        return unquote(data)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}") from None


def complete_key(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Keys that begin so, for the shell's completion; none where the segment cannot be read."""
    prefix = os.fsencode(incomplete)
    try:
        with target_of(context).attach(readonly=True) as cache:
            looked_at = islice(cache.scan_iter(), COMPLETION_SCAN_MAX)
            found = sorted(set(islice((key for key in looked_at if key.startswith(prefix)), COMPLETIONS_MAX)))
    except (fincache.FinCacheError, click.ClickException):
        return []
    return [CompletionItem(key.decode()) for key in found if _is_plain(key)]


def _is_plain(key: bytes) -> bool:
    """Whether a shell takes it as it is, without quotes."""
    try:
        return PLAIN.fullmatch(key.decode()) is not None
    except UnicodeDecodeError:
        return False
