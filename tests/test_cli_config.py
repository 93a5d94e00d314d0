"""`fincache config check`, `show`, `default`: what is printed, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fincache.cli import command_line
from fincache.cli.exits import ExitCode
from fincache.daemon.config_keys import KEYS

TREE = Path(__file__).resolve().parent.parent


def run(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    """Runs a command in this process."""
    return CliRunner().invoke(command_line, list(arguments), env=environment)


def test_check_is_content_with_the_files_that_are_there(tmp_path: Path) -> None:
    """config.yaml, and what `config default` writes."""
    found = run("config", "check", str(TREE / "config.yaml"))
    assert (found.exit_code, found.output) == (0, f"{TREE / 'config.yaml'}: no mistake; {len(KEYS)} keys\n")
    template = tmp_path / "template.yaml"
    template.write_text(run("config", "default").output, encoding="utf-8")
    assert run("config", "check", str(template)).output == f"{template}: no mistake; 0 keys\n"


def test_check_names_every_mistake_on_a_line_of_its_own(tmp_path: Path) -> None:
    """On stderr, with an exit code of its own."""
    file = tmp_path / "c.yaml"
    file.write_text("server:\n  prot: 1\n  threads: 99\n", encoding="utf-8")
    found = run("config", "check", str(file))
    assert found.exit_code == ExitCode.CONFIGURATION
    assert found.stdout == ""
    assert found.stderr.splitlines() == [
        f"fincache: {file}:2: server.prot is no key; did you mean server.port?",
        f"fincache: {file}:3: server.threads is '99': it is out of range; allowed: 0 to 64 (0: one fewer than cores, 1 to 4)",
    ]


def test_check_names_what_is_not_used_yet(tmp_path: Path) -> None:
    """It is no mistake, and nothing pretends that it works."""
    file = tmp_path / "c.yaml"
    file.write_text("store:\n  snapshot_enabled: true\n", encoding="utf-8")
    found = run("config", "check", str(file))
    assert found.exit_code == 0
    assert found.stdout.splitlines()[0] == f"{file}:2: store.snapshot_enabled is set, and not used yet"


def test_check_looks_at_the_environment_when_told_to(tmp_path: Path) -> None:
    """A file is right or wrong wherever it is checked; so the environment is asked for by name."""
    file = tmp_path / "c.yaml"
    file.write_text("", encoding="utf-8")
    wrong = {"FINCACHE_PORT": "x"}
    assert run("config", "check", str(file), environment=wrong).exit_code == 0
    assert run("config", "check", "--environment", str(file), environment=wrong).exit_code == ExitCode.CONFIGURATION


def test_protected_mode_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    """The configuration as such is right."""
    file = tmp_path / "c.yaml"
    file.write_text("server:\n  host: 0.0.0.0\n", encoding="utf-8")
    assert run("config", "check", str(file)).exit_code == ExitCode.ADDRESS_REFUSED


def test_a_path_that_is_too_long_is_found_before_the_start(tmp_path: Path) -> None:
    """With the line, and the exit code that the daemon would have."""
    file = tmp_path / "c.yaml"
    file.write_text(f"server:\n  unixsocket: /{'x' * 107}\n", encoding="utf-8")
    found = run("config", "check", str(file))
    assert found.exit_code == ExitCode.PATH_TOO_LONG
    assert f"{file}:2: server.unixsocket is" in found.stderr


def test_show_says_where_each_value_comes_from(tmp_path: Path) -> None:
    """File, environment, options before and after the command's name."""
    file = tmp_path / "c.yaml"
    file.write_text("server:\n  port: 7000\n", encoding="utf-8")
    arguments = ("-s", "md", "config", "show", "-c", str(file), "--no-create", "--set", "server.tcp_backlog=5")
    found = run(*arguments, environment={"FINCACHE_MAX_MEMORY": "2GB", "FINCACHE_REQUIREPASS": "s3cret"})
    assert found.exit_code == 0
    rows = {line.split()[0]: line.split()[1:] for line in found.output.splitlines()}
    assert list(rows) == ["key", *KEYS]
    assert rows["server.port"] == ["7000", f"{file}:2"]
    assert rows["server.segment"] == ["md", "-s"]
    assert rows["server.create_segment"] == ["false", "--no-create"]
    assert rows["server.tcp_backlog"] == ["5", "--set", "server.tcp_backlog=5"]
    assert rows["store.max_memory"] == ["2GB", "FINCACHE_MAX_MEMORY"]
    assert rows["server.requirepass"] == ["********", "FINCACHE_REQUIREPASS"]
    assert rows["server.read_timeout"] == ["30s", "default"]


def test_show_as_json() -> None:
    """For scripts."""
    objects = json.loads(run("config", "show", "--json", "--port", "0").output)
    assert objects["server"]["port"] == {"value": 0, "source": "command line", "place": "--port", "used": True}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--port", "x"], ExitCode.CONFIGURATION, "--port: server.port is 'x'"),
        (["--set", "server.prot=1"], ExitCode.CONFIGURATION, "did you mean server.port?"),
        (["--set", "server.port"], ExitCode.USAGE, "not of the form KEY=VALUE"),
        (["--set", "server.requirepass=x"], ExitCode.USAGE, "is a secret"),
        (["-c", "/no/such.yaml"], ExitCode.CONFIGURATION, "/no/such.yaml: cannot be read: No such file"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], code: int, text: str) -> None:
    """With one clear line, and the exit code of its kind."""
    found = run("config", "show", *arguments)
    assert found.exit_code == code
    assert text in found.stderr
