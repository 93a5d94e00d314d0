"""docs/cli.md: its examples run, print what it shows but for numbers, and its tables are those of the program."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from cli_programs import FINCACHE, WAIT_SECONDS_MAX, call, loaded

import fincache
from fincache.cli import COMMANDS
from fincache.cli.exits import ExitCode

DOCUMENT = Path(__file__).parent.parent / "docs" / "cli.md"
NAME = "md"  # of the segment in the document
VARYING = re.compile(
    r"\b[0-9a-f]{16}\b|\bnative\b|\bcffi\b|\d[\d,.:-]*\w*|[-+]\d+|\b(?:ns|us|ms|s|[KMG]?i?B)\b|(?<=[-rwx]  )\w+:\w+|^cpu .*"
)


TEXT = DOCUMENT.read_text(encoding="utf-8")


def blocks() -> list[str]:
    """The examples that run, in order."""
    return re.findall(r"^```console\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def shape(text: str) -> list[str]:
    """Lines without what differs from run to run and host to host: numbers, units, ids, owners, widths of columns."""
    return [" ".join(VARYING.sub("#", line).split()) for line in text.splitlines()]


def test_examples_print_what_the_document_shows(name: str, tmp_path: Path) -> None:
    """One shell runs them all, as a reader would; $ fincache is this fincache."""
    (tmp_path / "fincache").write_text(f'#!/bin/sh\nexec {" ".join(FINCACHE)} "$@"\n', encoding="utf-8")
    (tmp_path / "fincache").chmod(0o755)
    commands: list[str] = []
    shown: list[str] = []
    for block in blocks():
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append(line.removeprefix("$ "))
                shown.append("")
            else:
                shown[-1] += f"{line}\n"
    mark = "---- example"
    script = "".join(f"echo '{mark}'\n{command}\n" for command in commands)
    script = re.sub(rf"\b{NAME}\b", name, script)
    environment = {key: value for key, value in os.environ.items() if key != "FINCACHE_SEGMENT"}
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        timeout=WAIT_SECONDS_MAX,
        check=True,
    )
    _, *printed = done.stdout.decode().replace(name, NAME).split(f"{mark}\n")
    assert len(printed) == len(commands)
    for command, wanted, found in zip(commands, shown, printed, strict=True):
        assert shape(found) == shape(wanted), command
    assert name not in fincache.segments()


def test_the_table_of_exit_codes_is_that_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", TEXT, re.MULTILINE)
    assert rows == [(str(code.value), code.meaning) for code in ExitCode]


def json_members(command: str) -> set[str]:
    """What the document says that a command's objects have."""
    row = re.search(rf"^\| `{command}` \| (.*) \|$", TEXT, re.MULTILINE)
    assert row is not None, command
    plain = re.sub(r"`results`.*|`findings`.*|`repairs` \(.*|\(as .*?\)|\(by .*?\)|\(the .*?\)|with `--.*", "", row[1])
    return set(re.findall(r"`([a-z_]+)`", plain))


def test_json_has_the_members_that_the_document_names(cache: fincache.Cache) -> None:
    cache.set("k", "v")
    on = ("-s", cache.name)
    got = {
        "get": loaded(call(*on, "get", "k", "--json")),
        "ttl": loaded(call(*on, "ttl", "k", "--json")),
        "keys": loaded(call(*on, "keys", "--json", "-l"))[0],
        "watch": loaded(call(*on, "watch", "k", "--json", "--count", "1")),
        "ls": next(row for row in loaded(call("ls", "--json")) if row["name"] == cache.name),
        "stat": loaded(call("stat", cache.name, "--json")),
        "top": loaded(call(*on, "top", "--json", "--once", "-i", "0.05")),
        "replay": loaded(call(*on, "replay", "demo", "--json", "--speed", "0", "--symbols", "BTCUSDT", "-i", "60")),
    }
    got["create"] = got["stat"]["segment"]
    doctor = json.loads(call("doctor", cache.name, "--json").stdout)
    bench = loaded(call("bench", "--json", "--seconds", "0.05"))
    for command, found in got.items():
        assert set(found) == json_members(command), command
    assert set(doctor) - {"findings", "repairs"} == json_members("doctor")
    assert set(doctor["findings"][0]) == {"check", "level", "segment", "seen", "why", "do", "repair"}
    assert set(bench) - {"results"} == json_members("bench")


def test_every_command_is_told_of() -> None:
    elsewhere = set(COMMANDS["Daemon"])  # docs/configuration.md and the daemon's own page
    for section in COMMANDS.values():
        for name in section.keys() - elsewhere:
            assert re.search(rf"`(?:fincache )?{name}\b|fincache {name}\b", TEXT), name


@pytest.mark.parametrize("path", ["benchmarks.md"])
def test_links_lead_somewhere(path: str) -> None:
    assert f"({path})" in TEXT
    assert (DOCUMENT.parent / path).is_file()
