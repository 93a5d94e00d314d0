"""config_rewrite.py: what clients have set goes into the file; everything else in it stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from fincache.daemon.config_load import load
from fincache.daemon.config_rewrite import NO_FILE, rewrite_file, rewritten

FILE = """\
# My cache
server:
  port: 7000   # ours
  max_connections: 50  # few

  log_level: "info"
store: {max_memory: 64MB}
"""


def test_a_value_is_replaced_in_its_line(tmp_path: Path) -> None:
    """Comments, order, quoting of others and blank lines stay."""
    file = tmp_path / "c.yaml"
    file.write_text(FILE, encoding="utf-8")
    assert rewrite_file(file, {"maxclients": "90", "loglevel": "verbose"}) == ""
    assert file.read_text(encoding="utf-8") == FILE.replace("50", "90").replace('"info"', "debug")


def test_a_missing_key_goes_to_the_end_of_its_section(tmp_path: Path) -> None:
    """With the others' indentation, or between their braces; a missing section to the end of the file."""
    file = tmp_path / "c.yaml"
    file.write_text(FILE, encoding="utf-8")
    parameters = {
        "timeout": "90",
        "maxmemory-policy": "allkeys-lru",
        "slowlog-log-slower-than": "5000",
        "requirepass": "a: #b",
        "read-timeout-ms": "1500",
    }
    assert rewrite_file(file, parameters) == ""
    assert file.read_text(encoding="utf-8") == (
        FILE.replace('"info"\n', '"info"\n  idle_timeout: 1m30s\n  requirepass: "a: #b"\n  read_timeout: 1s500ms\n').replace(
            "64MB}", "64MB, eviction_policy: allkeys-lru}"
        )
        + "redis:\n  slowlog-log-slower-than: 5000\n"
    )
    configuration = load(file, {})
    assert configuration.settings.server.requirepass == "a: #b"
    assert configuration.redis["slowlog-log-slower-than"].text == "5000"
    again = file.read_text(encoding="utf-8")
    assert rewrite_file(file, parameters) == ""
    assert file.read_text(encoding="utf-8") == again


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "server:\n  threads: 2\n"),
        ("# nothing", "# nothing\nserver:\n  threads: 2\n"),
        ("server:", "server:\n  threads: 2"),
        ("server:  # ours\nstore:\n", "server:  # ours\n  threads: 2\nstore:\n"),
        ("server: {}\n", "server: {threads: 2}\n"),
        ("server:\n    port: 1", "server:\n    port: 1\n    threads: 2"),
        (
            "server:\n  disabled_commands:\n    - A\n    - B\nstore:\n",
            "server:\n  disabled_commands:\n    - A\n    - B\n  threads: 2\nstore:\n",
        ),
        (
            "server:\n  disabled_commands: [A,\n    B]  # two\nstore:\n",
            "server:\n  disabled_commands: [A,\n    B]  # two\n  threads: 2\nstore:\n",
        ),
        ("server: {port: 1, threads: 4}", "server: {port: 1, threads: 2}"),
    ],
)
def test_every_shape_of_a_section(tmp_path: Path, before: str, after: str) -> None:
    """Block or flow, empty or not, with or without an end of line: the result loads."""
    assert rewritten(before, {"server.threads": "2"}) == after
    file = tmp_path / "c.yaml"
    file.write_text(after, encoding="utf-8")
    assert load(file, {}).settings.server.threads == 2


@pytest.mark.parametrize("value", ["yes", "null", "", "a b", "#x", "'q'", '"', "\\", "é", "1e3", "0x10", "- a", "{", "a:b", "~"])
def test_a_value_reads_back_as_it_was(value: str) -> None:
    """Quoted where YAML would see something else in it."""
    import yaml

    root = yaml.compose(rewritten("", {"redis.x": value}))
    assert root.value[0][1].value[0][1].value == value


def test_mode_and_link_are_kept(tmp_path: Path) -> None:
    """The file may hold a password; and it may be a link into somebody's repository."""
    file, link = tmp_path / "c.yaml", tmp_path / "link.yaml"
    file.write_text("server:\n  port: 1\n", encoding="utf-8")
    file.chmod(0o640)
    link.symlink_to(file)
    assert rewrite_file(link, {"maxclients": "9"}) == ""
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert load(link, {}).settings.server.max_connections == 9
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_goes_wrong_is_said_and_changes_nothing(tmp_path: Path) -> None:
    """No file, a missing one, a file that is wrong by now, a value that the key does not take."""
    assert rewrite_file(None, {}) == NO_FILE
    assert rewrite_file(tmp_path / "no.yaml", {"maxclients": "9"}) == "Rewriting config file: No such file or directory"
    file = tmp_path / "c.yaml"
    for text in ("server:\n  prot: 1\n", "server: [\n", "\udcff"):
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        assert rewrite_file(file, {"maxclients": "9"}).startswith("Rewriting config file: ")
        assert file.read_bytes() == text.encode("utf-8", "surrogateescape")
    file.write_text("", encoding="utf-8")
    assert "out of range" in rewrite_file(file, {"maxclients": "4000000000"})
    assert file.read_text(encoding="utf-8") == ""
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]
