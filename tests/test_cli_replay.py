"""`fincache replay`: what of a recording is in the segment afterwards, and how it ends."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from cli_programs import call, finish, loaded, program, start

import fincache
from fincache.cli.cmd_replay import RUN
from fincache.cli.exits import ExitCode
from fincache.demo.__main__ import DEFAULT_DATA
from fincache.demo.top_record import RECORD_DTYPE, read_recording, unseal, unseal_half

HEADER = "ev,kind,sym,recv_ns,exch_ns,prev_id,last_id,side,price,qty,price2,qty2,chk\n"
QUOTE = "{number},Q,{symbol},{recv_ns},0,0,{number},-,{bid},5,{ask},7,0\n"
TRADE = "{number},T,{symbol},{recv_ns},0,0,{number},B,{price},5,0,0,0\n"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Three quotes and a trade of AAA, one quote of BBB, a tenth of a second apart."""
    rows = [
        QUOTE.format(number=1, symbol="AAA", recv_ns=1_000_000_000, bid=100, ask=102),
        QUOTE.format(number=2, symbol="BBB", recv_ns=1_100_000_000, bid=50, ask=51),
        TRADE.format(number=3, symbol="AAA", recv_ns=1_200_000_000, price=101),
        QUOTE.format(number=4, symbol="AAA", recv_ns=1_300_000_000, bid=101, ask=103),
    ]
    file = tmp_path / "recording.csv"
    file.write_text(HEADER + "".join(rows), encoding="utf-8")
    return file


class TestReplay:
    def test_quotes_become_records_and_halves_trades_prices(self, cache: fincache.Cache, recording: Path) -> None:
        done = loaded(call("-s", cache.name, "replay", str(recording), "--speed", "0", "--json"))
        assert (done["state"], done["round"], done["quotes"], done["trades"]) == ("done", 1, 3, 1)
        top = cache.records(RECORD_DTYPE).get("top:AAA")
        assert top is not None
        assert (int(top["sequence"]), int(top["bid_price"]), int(top["ask_price"])) == (2, 101, 103)
        assert unseal(top.tobytes(), RUN) is not None
        bid, ask = (unseal_half(cache.get(key) or b"", RUN) for key in ("bid:AAA", "ask:AAA"))
        assert bid is not None
        assert ask is not None
        assert (bid.price, ask.price, bid.sequence, ask.sequence) == (101, 103, 2, 2)
        assert cache.get("last:AAA") == b"101"

    def test_symbols_select(self, cache: fincache.Cache, recording: Path) -> None:
        call("-s", cache.name, "replay", str(recording), "--speed", "0", "--symbols", "BBB,CCC")
        assert sorted(cache.scan_iter("*:???")) == [b"ask:BBB", b"bid:BBB", b"top:BBB"]

    def test_rounds_go_on_counting(self, cache: fincache.Cache, recording: Path) -> None:
        done = loaded(call("-s", cache.name, "replay", str(recording), "--speed", "0", "--rounds", "3", "--json"))
        assert (done["round"], done["quotes"]) == (3, 9)
        top = cache.records(RECORD_DTYPE).get("top:AAA")
        assert top is not None
        assert int(top["sequence"]) == 6

    def test_speed_keeps_the_distances(self, cache: fincache.Cache, recording: Path) -> None:
        slow = loaded(call("-s", cache.name, "replay", str(recording), "--speed", "2", "--json"))
        assert slow["elapsed_s"] >= 0.15

    def test_the_demo_is_all_there(self, cache: fincache.Cache) -> None:
        wanted = read_recording(DEFAULT_DATA)
        done = loaded(call("-s", cache.name, "replay", "demo", "--speed", "0", "-i", "3600", "--json"))
        assert done["quotes"] == int((wanted.symbol_indexes >= 0).sum())
        assert done["trades"] == int((wanted.symbol_indexes < 0).sum())

    def test_create_makes_the_segment(self, name: str, recording: Path) -> None:
        assert call("-s", name, "replay", str(recording), "--speed", "0", "--create", "2MB").exit_code == 0
        with fincache.attach(name) as cache:
            assert cache.info().size_bytes == 2 << 20
            assert cache.get("last:AAA") == b"101"

    def test_ctrl_c_ends_it_with_a_last_line_and_no_session_behind(self, cache: fincache.Cache) -> None:
        process = start("-s", cache.name, "replay", "demo", "--rounds", "0", "-i", "0.05", "--json")
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["state"] == "running"
        code, output, errors = finish(process, signal.SIGINT)
        assert (code, errors) == (ExitCode.INTERRUPTED, b"")
        assert json.loads(output.splitlines()[-1])["state"] == "interrupted"
        assert cache.sessions() == []

    def test_sigterm_leaves_no_session_behind(self, cache: fincache.Cache) -> None:
        process = start("-s", cache.name, "replay", "demo", "--rounds", "0", "-i", "0.05")
        assert process.stdout is not None
        process.stdout.readline()
        assert finish(process, signal.SIGTERM)[0] == ExitCode.TERMINATED
        assert cache.sessions() == []

    @pytest.mark.parametrize(
        ("text", "code", "word"),
        [
            ("nonsense\n", ExitCode.DATA, "line 1"),
            (HEADER, ExitCode.DATA, "no message"),
            (HEADER + "1,Q,AAA,1,0,0,1,-,1,1\n", ExitCode.DATA, "line 2"),
        ],
    )
    def test_a_bad_file_is_one_line(self, cache: fincache.Cache, tmp_path: Path, text: str, code: ExitCode, word: str) -> None:
        file = tmp_path / "bad.csv"
        file.write_text(text, encoding="utf-8")
        found = program("-s", cache.name, "replay", str(file))
        assert found.returncode == code
        assert found.stderr.count(b"\n") == 1
        assert word.encode() in found.stderr

    def test_what_is_not_allowed(self, cache: fincache.Cache, recording: Path) -> None:
        assert call("-s", cache.name, "replay", "/no/such/file").exit_code == ExitCode.USAGE
        assert call("-s", cache.name, "replay", str(recording), "--speed", "-1").exit_code == ExitCode.USAGE
        assert call("-s", "no-such-segment", "replay", str(recording)).exit_code == ExitCode.MISSING
        assert call("-s", cache.name, "replay", str(recording), "--symbols", "ZZZ").exit_code == ExitCode.DATA

    def test_records_of_another_kind_are_not_overwritten(self, cache: fincache.Cache, recording: Path) -> None:
        cache.records("f8").set("top:AAA", 1.5)
        found = call("-s", cache.name, "replay", str(recording), "--speed", "0")
        assert found.exit_code == ExitCode.DATA
        assert cache.records("f8").get("top:AAA") == 1.5
