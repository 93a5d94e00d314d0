"""`fincache get`, `set`, `del`, `ttl`: values, options and answers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cli_programs import Run, call, program
from click.testing import Result

import fincache
from fincache.cli.output import quote

BINARY = bytes(range(256)) + "é €".encode()


@pytest.fixture
def run(cache: fincache.Cache) -> Run:
    """Runs a command on the segment of `cache`, in this process."""

    def on_segment(*arguments: str, stdin: bytes | None = None) -> Result:
        return call("-s", cache.name, *arguments, stdin=stdin)

    return on_segment


class TestGet:
    def test_a_value_goes_to_a_pipe_byte_for_byte(self, cache: fincache.Cache) -> None:
        cache.set("k", BINARY)
        found = program("-s", cache.name, "get", "k")
        assert (found.returncode, found.stdout, found.stderr) == (0, BINARY, b"")

    def test_a_miss_is_exit_code_1_and_nothing_on_stdout(self, run: Run) -> None:
        found = run("get", "absent")
        assert (found.exit_code, found.output) == (1, "")

    def test_no_raw_quotes_as_on_a_terminal(self, cache: fincache.Cache, run: Run) -> None:
        cache.set("k", b'a"\n\x00\xff')
        assert run("get", "--no-raw", "k").stdout == '"a\\"\\n\\x00\\xff"\n'

    def test_several_keys_are_lines_of_key_and_value(self, cache: fincache.Cache, run: Run) -> None:
        cache.mset({"bid": 1, "ask": 2})
        found = run("get", "bid", "ask", "absent")
        assert found.stdout == '"bid"\t"1"\n"ask"\t"2"\n"absent"\t(nil)\n'
        assert found.exit_code == 1

    def test_json_tells_text_from_other_bytes(self, cache: fincache.Cache, run: Run) -> None:
        cache.mset({"text": "é", "bytes": b"\xff\x00"})
        assert json.loads(run("get", "--json", "text").stdout) == {"key": "text", "value": "é"}
        assert json.loads(run("get", "--json", "bytes", "none").stdout) == [
            {"key": "bytes", "value": {"base64": "/wA="}},
            {"key": "none", "value": None},
        ]

    def test_output_writes_a_large_value_to_a_file(self, cache: fincache.Cache, run: Run, tmp_path: Path) -> None:
        value = os.urandom(1_000_000)
        cache.set("k", value)
        file = tmp_path / "value"
        assert run("get", "k", "-o", str(file)).exit_code == 0
        assert file.read_bytes() == value

    def test_a_miss_leaves_the_file_alone(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "value"
        assert run("get", "absent", "-o", str(file)).exit_code == 1
        assert not file.exists()


class TestSet:
    @pytest.mark.parametrize("arguments", [["-x"], ["-i", "-"]])
    def test_a_value_comes_from_stdin_byte_for_byte(self, cache: fincache.Cache, run: Run, arguments: list[str]) -> None:
        assert run("set", "k", *arguments, stdin=BINARY).stdout == "OK\n"
        assert cache.get("k") == BINARY

    def test_a_value_comes_from_a_file(self, cache: fincache.Cache, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "value"
        file.write_bytes(BINARY)
        assert run("set", "k", "-i", str(file)).exit_code == 0
        assert cache.get("k") == BINARY

    def test_escapes_name_keys_and_values_that_a_shell_cannot(self, cache: fincache.Cache, run: Run) -> None:
        assert run("set", "-e", quote(b"k\0\n"), quote(BINARY)).exit_code == 0
        assert cache.get(b"k\0\n") == BINARY
        assert run("get", "-e", r"k\x00\n", "--no-raw").stdout == quote(BINARY) + "\n"

    def test_conditions_that_do_not_hold_are_exit_code_1(self, cache: fincache.Cache, run: Run) -> None:
        assert (run("set", "k", "1", "--xx").exit_code, cache.get("k")) == (1, None)
        assert run("set", "k", "1", "--nx").exit_code == 0
        found = run("set", "k", "2", "--nx")
        assert (found.exit_code, found.stdout, cache.get("k")) == (1, "", b"1")

    def test_get_prints_the_old_value(self, cache: fincache.Cache, run: Run) -> None:
        assert (run("set", "k", "1", "--get").exit_code, cache.get("k")) == (0, b"1")
        found = run("set", "k", "2", "--get")
        assert (found.exit_code, found.stdout, cache.get("k")) == (0, "1", b"2")
        found = run("set", "k", "3", "--get", "--nx")
        assert (found.exit_code, found.stdout, cache.get("k")) == (1, "2", b"2")
        assert run("set", "new", "3", "--get", "--xx").exit_code == 1

    def test_expiries_and_keepttl(self, cache: fincache.Cache, run: Run) -> None:
        run("set", "k", "1", "--ex", "100.5")
        assert 100_000 < cache.pttl("k") <= 100_500
        run("set", "k", "2", "--keepttl")
        assert 100_000 < cache.pttl("k") <= 100_500
        run("set", "k", "3", "--px", "5000")
        assert 4_000 < cache.pttl("k") <= 5_000
        run("set", "k", "4", "--exat", "4000000000")
        assert cache.pttl("k") > 1_000_000_000_000
        run("set", "k", "4")
        assert cache.pttl("k") == -1

    @pytest.mark.parametrize(
        "arguments",
        [
            ["k"],
            ["k", "v", "-x"],
            ["k", "v", "--ex", "1", "--px", "1"],
            ["k", "v", "--ex", "0"],
            ["k", "v", "--ex", "soon"],
            ["k", "v", "--nx", "--xx"],
            ["k" * 65_537, "v"],
            ["-e", "k\\q", "v"],
            ["-e", "k\\", "v"],
            ["k", "-i", "/nonexistent"],
        ],
    )
    def test_what_is_not_allowed_is_exit_code_2(self, run: Run, arguments: list[str]) -> None:
        found = run("set", *arguments)
        assert found.exit_code == 2
        assert found.stdout == ""
        assert found.stderr


class TestDelAndTtl:
    def test_del_prints_how_many_there_were(self, cache: fincache.Cache, run: Run) -> None:
        cache.mset({"a": 1, "b": 2})
        assert run("del", "a", "b", "c").stdout == "2\n"
        found = run("del", "a")
        assert (found.exit_code, found.stdout) == (1, "0\n")

    def test_ttl_speaks_as_redis_does(self, cache: fincache.Cache, run: Run) -> None:
        cache.set("k", 1)
        cache.set("e", 1, ex=100)
        assert run("ttl", "k").stdout == "-1\n"
        assert run("ttl", "e").stdout == "100\n"
        assert 99_000 < int(run("ttl", "--ms", "e").stdout) <= 100_000
        found = run("ttl", "absent")
        assert (found.exit_code, found.stdout) == (1, "-2\n")
        assert json.loads(run("ttl", "--json", "k").stdout) == {"key": "k", "exists": True, "ttl_ms": None}

    def test_db_chooses_the_database(self, cache: fincache.Cache, run: Run) -> None:
        run("-n", "3", "set", "k", "3")
        run("set", "-n", "4", "k", "4")
        assert (cache.get("k"), cache.db(3).get("k"), cache.db(4).get("k")) == (None, b"3", b"4")
        assert run("-n", "40", "get", "k").exit_code == 2


def test_a_value_with_a_dash_is_told_where_to_stand(cache: fincache.Cache) -> None:
    refused = call("-s", cache.name, "set", "pnl", "-5")
    assert refused.exit_code == 2
    assert 'begins with a dash goes behind "--"' in refused.output
    assert call("-s", cache.name, "set", "--", "pnl", "-5").exit_code == 0
    assert cache.get("pnl") == b"-5"
