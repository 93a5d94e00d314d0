"""doctor: is this host fit for FinCache, and are its segments in order?

Looking is safe at any time: segments are attached read-only, files are only read. --fix does what every finding names as its
repair, each of which takes away nothing that anybody uses or could use; the rest is advice.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import click

import fincache
from fincache.cli.doctor_host import check_host
from fincache.cli.doctor_ipc import check_remove_ipc
from fincache.cli.doctor_leftovers import check_leftovers
from fincache.cli.doctor_segments import check_segment
from fincache.cli.exits import ExitCode, message_of
from fincache.cli.findings import Finding, Level
from fincache.cli.host import Host
from fincache.cli.output import Json, is_terminal, json_option, print_json
from fincache.cli.processes import read_mappings
from fincache.cli.shm_objects import list_segments
from fincache.cli.target import Target, complete_segment, pass_target

COLOURS = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "yellow", Level.PROBLEM: "red"}
WIDTH_MAX = 130
NOWHERE = "there is no such segment"  # of a name that was given


@dataclass(frozen=True)
class Repaired:
    """What --fix did about a finding."""

    finding: Finding
    result: str
    is_done: bool


def examine(host: Host, names: tuple[str, ...]) -> Iterator[Finding]:
    """Looks at the host, and at the segments of these names and what is left of them; at all without names."""
    segments = list_segments()
    mappings = read_mappings()
    largest_bytes = max((listed.info.size_bytes for listed in segments if listed.info is not None), default=0)
    yield from check_host(host, largest_bytes)
    owners = [listed.uid for listed in segments]
    yield from check_remove_ipc(host, owners, os.geteuid())
    leftovers = list(check_leftovers(segments, mappings))
    for listed in segments:
        if names and listed.name not in names:
            continue
        with suppress(fincache.SegmentMissing, fincache.SegmentRetired, FileNotFoundError):  # removed while we looked
            yield from check_segment(listed, mappings)
    yield from (finding for finding in leftovers if not names or finding.segment in names)
    known = {listed.name for listed in segments} | {finding.segment for finding in leftovers}
    for name in names:
        if name not in known:
            yield Finding("segment", Level.PROBLEM, NOWHERE, segment=name, do="fincache ls shows what there is.")


def repair(findings: list[Finding]) -> Iterator[Repaired]:
    """Does what the findings name as their repair, one after the other."""
    for finding in findings:
        if finding.repair is None:
            continue
        try:
            is_done, result = finding.repair.apply()
            yield Repaired(finding, result, is_done)
        except (fincache.FinCacheError, OSError) as error:
            yield Repaired(finding, f"could not {finding.repair.what}: {message_of(error)}", False)


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Repair what is safe to repair, saying what.")
@click.option("-q", "--quiet", is_flag=True, help="Leave out what is as it should be.")
@json_option
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_segment)
@pass_target
def doctor_command(target: Target, names: tuple[str, ...], fix: bool, quiet: bool, as_json: bool) -> ExitCode:
    """Examine this host and its segments, or only the ones named, and say what is wrong and what to do.

    Looks at /dev/shm, memory limits, huge pages, swap, kernel, clock, logind's RemoveIPC, and in every segment at damage, dead or
    stopped users, memory and rights; and for what dead processes left behind. Levels are ok, note (good to know), warning (works,
    but slower or not always) and problem. Exit code 10 if problems stay, 3 if
    a segment that was named is not there.

    Without --fix nothing is changed; what it would repair is said. It repairs by settling sessions of dead threads, and by
    removing orphaned lock files and empty or truncated objects that nobody has open.
    """
    if not names and target.segment is not None:
        names = (target.segment,)
    host = Host()
    findings = list(examine(host, names))
    was_nowhere = any(finding.seen == NOWHERE for finding in findings)  # before --fix took the last of it away
    repaired: list[Repaired] = []
    if not as_json:
        for finding in findings:
            if not quiet or finding.level > Level.OK:
                _show(finding, fix)
    if fix:
        for done in repair(findings):
            repaired.append(done)
            if not as_json:
                click.echo(f"fix      {done.result}")
        if repaired:
            findings = list(examine(host, names))
    problem_count = sum(finding.level is Level.PROBLEM for finding in findings)
    if as_json:
        print_json(_report(findings, repaired))
    else:
        _summarise(findings, problem_count, fix)
    if was_nowhere:
        return ExitCode.MISSING
    return ExitCode.UNHEALTHY if problem_count else ExitCode.OK


def _report(findings: list[Finding], repaired: list[Repaired]) -> dict[str, Json]:
    return {
        "healthy": all(finding.level is not Level.PROBLEM for finding in findings),
        "counts": {level.word: sum(finding.level is level for finding in findings) for level in Level},
        "findings": [finding.to_json() for finding in findings],
        "repairs": [
            {"check": done.finding.check, "segment": done.finding.segment or None, "done": done.is_done, "result": done.result}
            for done in repaired
        ],
    }


def _show(finding: Finding, fix: bool) -> None:
    label = f"{finding.level.word:<8}"
    styled = click.style(label, fg=COLOURS[finding.level]) if is_terminal() else label
    subject = f"{finding.check} {finding.segment}".rstrip()
    click.echo(f"{styled} {subject}: {finding.seen}")
    if finding.why:
        _indent("", finding.why)
    if finding.do:
        _indent("do: ", finding.do)
    if finding.repair is not None:
        _indent("to be done now: " if fix else "--fix would ", finding.repair.what)


def _indent(head: str, text: str) -> None:
    width = min(WIDTH_MAX, shutil.get_terminal_size((WIDTH_MAX, 24)).columns)
    margin = " " * 9
    lines = textwrap.wrap(head + text, max(40, width - len(margin)), break_long_words=False, break_on_hyphens=False)
    click.echo("\n".join(margin + line for line in lines))


def _summarise(findings: list[Finding], problem_count: int, fix: bool) -> None:
    warning_count = sum(finding.level is Level.WARNING for finding in findings)
    repairable_count = sum(finding.repair is not None for finding in findings)
    text = f"{_count(problem_count, 'problem')}, {_count(warning_count, 'warning')}"
    if repairable_count and not fix:
        text += f"; fincache doctor --fix would repair {repairable_count} of them"
    click.echo(text)


def _count(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
