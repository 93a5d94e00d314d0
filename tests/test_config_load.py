"""config_load.py: precedence, the line of every mistake, suggestions, and values that contradict each other."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from fincache.daemon.config_keys import Settings
from fincache.daemon.config_load import Configuration, Origin, load
from fincache.daemon.config_text import effective_objects, effective_table
from fincache.daemon.failures import AddressRefused, ConfigurationError
from tests.conftest import SEED


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the test's configuration is written."""
    return tmp_path / "c.yaml"


def load_text(file: Path, text: str, environment: dict[str, str] | None = None) -> Configuration:
    """The configuration of a file's text."""
    file.write_text(text, encoding="utf-8")
    return load(file, environment or {})


def problems_of(file: Path, text: str | bytes) -> list[str]:
    """What is wrong with it, without the folder's name."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as caught:
        load(file, {})
    return [problem.replace(f"{file.parent}/", "") for problem in caught.value.problems]


# ------------------------------------------------------------------ precedence


def test_without_anything_the_defaults_hold() -> None:
    """And say that they are defaults."""
    configuration = load(None, {})
    assert configuration.settings == Settings()
    assert str(configuration.origins["server.port"]) == "default"
    assert not configuration.is_set("server.port")


def test_command_line_over_environment_over_file_over_default(file: Path) -> None:
    """Each place wins over the ones after it, and the origin says which did."""
    file.write_text("server:\n  port: 1\n  host: 127.0.0.2\n  segment: a\n", encoding="utf-8")
    environment = {"FINCACHE_PORT": "2", "FINCACHE_HOST": "127.0.0.3", "PORT": "9"}
    configuration = load(file, environment, [("server.port", "3", "--port")])
    server = configuration.settings.server
    assert (server.port, server.host, server.segment, server.threads) == (3, "127.0.0.3", "a", 0)
    assert [configuration.origins[f"server.{name}"] for name in ("port", "host", "segment", "threads")] == [
        Origin("command line", "--port"),
        Origin("environment", "FINCACHE_HOST"),
        Origin("file", f"{file}:4"),
        Origin("default"),
    ]


def test_the_last_of_several_options_wins() -> None:
    """As usual on command lines."""
    options = [("server.port", "1", "--port"), ("server.port", "2", "--set server.port=2")]
    assert load(None, {}, options).settings.server.port == 2


def test_an_empty_variable_counts_as_not_set() -> None:
    """What compose files make of a missing value."""
    assert load(None, {"FINCACHE_PORT": ""}).settings.server.port == 6379


def test_a_stronger_place_does_not_hide_a_mistake_in_a_weaker_one(file: Path) -> None:
    """The file is wrong even if the command line says better."""
    file.write_text("server:\n  port: 70000\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="70000"):
        load(file, {}, [("server.port", "3", "--port")])


# ------------------------------------------------------------------ what a file may look like


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "server:\nstore:\napi:\n", "server: {}\n"])
def test_a_file_may_be_empty(file: Path, text: str) -> None:
    """So may a section, when all its lines are commented out."""
    assert load_text(file, text).settings == Settings()


def test_yamls_own_guesses_play_no_part(file: Path) -> None:
    """Octal, sexagesimal, yes/no and quotes: the text counts."""
    text = 'server:\n  port: "7000"\n  unixsocket_mode: 0660\n  segment: on\n  protected_mode: yes\nstore: {max_memory: 1GB}\n'
    configuration = load_text(file, text)
    server = configuration.settings.server
    assert (server.port, server.unixsocket_mode, server.segment, server.protected_mode) == (7000, 0o660, "on", True)
    assert configuration.settings.store.max_memory == 1 << 30


def test_lists_are_lists_or_text_with_commas(file: Path) -> None:
    """Both ways of YAML, and the one of the environment."""
    for text in ("[FLUSHALL, DEBUG]", "FLUSHALL, DEBUG", "\n    - FLUSHALL\n    - DEBUG"):
        configuration = load_text(file, f"server:\n  disabled_commands: {text}\n")
        assert configuration.settings.server.disabled_commands == ("FLUSHALL", "DEBUG")


def test_durations_and_sizes(file: Path) -> None:
    """As the users' files write them."""
    text = "server:\n  read_timeout: 1h30m\n  write_timeout: 250ms\nstore:\n  max_memory: 1.5GB\n  snapshot_interval: 5m\n"
    configuration = load_text(file, text)
    assert configuration.settings.server.read_timeout == timedelta(minutes=90)
    assert configuration.settings.server.write_timeout == timedelta(milliseconds=250)
    assert configuration.settings.store.max_memory == 3 << 29


# ------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server:\n  port: 70000\n", "c.yaml:2: server.port is '70000': it is out of range; allowed: 0 to 65535 (0: no TCP)"),
        ("server:\n\n\n  prot: 1\n", "c.yaml:4: server.prot is no key; did you mean server.port?"),
        ("servers:\n  port: 1\n", "c.yaml:1: servers is no section; did you mean server?"),
        ("port: 1\n", "c.yaml:1: port is no section; it is a key: did you mean server.port or api.port?"),
        ("server:\n  max_memory: 1GB\n", "c.yaml:2: server.max_memory is no key; did you mean store.max_memory?"),
        ("store:\n  evictionpolicy: x\n", "c.yaml:2: store.evictionpolicy is no key; did you mean store.eviction_policy?"),
        (
            "api:\n  zzz: 1\n",
            "c.yaml:2: api.zzz is no key; keys of api: enabled, port, read_timeout, write_timeout, cors_enabled, rate_limit",
        ),
        ("xyz:\n  a: 1\n", "c.yaml:1: xyz is no section; sections: server, store, api"),
        ("server:\n  port: 1\n  port: 2\n", "c.yaml:3: server.port was given already, in line 2"),
        ("server:\n  port: 1\nserver:\n  host: x\n", "c.yaml:3: server was given already, in line 1"),
        (
            "server:\n  port:\n",
            "c.yaml:2: server.port has no value: leave the line out for the default; allowed: 0 to 65535 (0: no TCP)",
        ),
        ("server:\n  port: [1]\n", "c.yaml:2: server.port is a list; allowed: 0 to 65535 (0: no TCP)"),
        ("server:\n  port: {a: 1}\n", "c.yaml:2: server.port is a mapping; allowed: 0 to 65535 (0: no TCP)"),
        ("server: 1\n", "c.yaml:1: section server must hold keys, each followed by a colon"),
        ("- a\n- b\n", "c.yaml:1: the file must hold sections (server, store, api), each followed by a colon"),
        ("server:\n  [a]: 1\n", "c.yaml:2: a list or a mapping stands where a name should"),
        ("server:\n  port: 1\n  bad\n", "c.yaml:3: is no YAML: could not find expected ':'"),
        ("server:\n\tport: 1\n", "c.yaml:2: is no YAML: found character '\\t' that cannot start any token"),
        (b"server:\n  host: \xff\n", "c.yaml:2: is no UTF-8 text"),
        (b"server:\n  host: \x00\n", "c.yaml: is no YAML: "),
        (
            "store:\n  eviction_policy: volatile-ttl\n",
            "c.yaml:2: store.eviction_policy is 'volatile-ttl': this version does not have it yet; "
            "allowed: noeviction, allkeys-lru, allkeys-random, lru (allkeys-lru), random (allkeys-random)",
        ),
        ("store:\n  sessions_max: 5\n", "c.yaml:2: store.sessions_max is 5: it is out of range; allowed: 0, or 16 to 4080"),
        (
            "server:\n  port: 0\n  unixsocket: none\n",
            "c.yaml:2: server.port is 0 and server.unixsocket is none: there is no door left",
        ),
        (
            "server:\n  renamed_commands: [CONFIG]\n",
            "c.yaml:2: server.renamed_commands is 'CONFIG': 'CONFIG' does not fit; allowed: ",
        ),
        (
            "server:\n  disabled_commands: [[A]]\n",
            "c.yaml:2: server.disabled_commands holds something that does not fit; allowed: ",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_is_allowed(file: Path, text: str | bytes, problem: str) -> None:
    """One line for one mistake."""
    problems = problems_of(file, text)
    assert len(problems) == 1
    assert problems[0].startswith(problem) if problem.endswith(" ") else problems[0] == problem
    assert "\n" not in problems[0]


def test_all_mistakes_are_reported_together(file: Path) -> None:
    """Nobody likes to correct a file line by line."""
    problems = problems_of(file, "server:\n  port: x\n  prot: 1\nstore:\n  max_memory: 1\n  ttl_enabled: 2\n")
    assert [problem.split(":")[1] for problem in problems] == ["3", "2", "5", "6"]


def test_a_secret_is_not_repeated(file: Path) -> None:
    """Neither in a message nor in what is in effect."""
    problems = problems_of(file, f"server:\n  requirepass: {'s3cret' * 200}\n")
    assert "s3cret" not in problems[0]
    configuration = load_text(file, "server:\n  requirepass: s3cret\n")
    assert configuration.settings.server.requirepass == "s3cret"
    assert "s3cret" not in json.dumps([effective_table(configuration), effective_objects(configuration)])


def test_a_wrong_variable_is_named() -> None:
    """The environment has no lines; it has names."""
    with pytest.raises(
        ConfigurationError, match=r"^FINCACHE_MAX_MEMORY: store.max_memory is '1XB': it is no size; allowed: 1MB to"
    ):
        load(None, {"FINCACHE_MAX_MEMORY": "1XB"})


def test_an_unknown_key_on_the_command_line_is_named() -> None:
    """With the option as it was written."""
    with pytest.raises(ConfigurationError, match=r"^--set server\.prot=1: server\.prot is no key; did you mean server\.port\?$"):
        load(None, {}, [("server.prot", "1", "--set server.prot=1")])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a directory, too long."""
    with pytest.raises(ConfigurationError, match=r"no.yaml: cannot be read: No such file"):
        load(tmp_path / "no.yaml", {})
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load(tmp_path, {})
    (tmp_path / "long.yaml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(ConfigurationError, match=r"long.yaml: is longer than 1048576 bytes"):
        load(tmp_path / "long.yaml", {})


def test_a_deeply_nested_file_is_refused(file: Path) -> None:
    """Not by a traceback."""
    assert "nested too deeply" in problems_of(file, "[" * 20_000)[0]


@seed(SEED)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=200) | st.text(alphabet="server:\n -[]{}&*!|>'\"%@`#,port0", max_size=60).map(str.encode))
def test_no_file_makes_loading_fail_otherwise(file: Path, data: bytes) -> None:
    """Settings, or ConfigurationError with lines that are lines."""
    file.write_bytes(data)
    problems: tuple[str, ...] = ("settings",)
    try:
        load(file, {})
    except ConfigurationError as error:
        problems = error.problems
    assert problems
    assert not any("\n" in problem for problem in problems)


# ------------------------------------------------------------------ protected mode


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.com", "2001:db8::1"])
def test_an_address_that_others_can_reach_needs_a_password(file: Path, host: str) -> None:
    """Protected mode; each way out that the message names is one."""
    text = f'server:\n  host: "{host}"\n'
    with pytest.raises(AddressRefused, match=r"c.yaml:2: server.host is .*requirepass is empty: protected mode refuses that"):
        load_text(file, text)
    assert load_text(file, f"{text}  requirepass: x\n").settings.server.host == host
    assert load_text(file, f"{text}  protected_mode: false\n").settings.server.host == host
    assert load_text(file, f"{text}  port: 0\n").settings.server.host == host  # no TCP at all


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "::ffff:127.0.0.1"])
def test_a_loopback_address_needs_none(file: Path, host: str) -> None:
    """Only this host can reach it."""
    assert load_text(file, f'server:\n  host: "{host}"\n').settings.server.host == host


# ------------------------------------------------------------------ what is shown


def test_values_that_ask_for_later_parts_are_known(file: Path) -> None:
    """The daemon warns of these at its start; a default asks for nothing."""
    assert load(None, {}).asks_for_later_parts() == []
    configuration = load_text(file, "store:\n  snapshot_enabled: true\n  snapshot_path: dump.rdb\napi:\n  port: 9000\n")
    assert configuration.asks_for_later_parts() == ["store.snapshot_enabled", "api.port"]


def test_what_is_in_effect_is_shown_with_its_origin(file: Path) -> None:
    """As a table and as JSON."""
    configuration = load_text(file, "server:\n  port: 7000\n", {"FINCACHE_MAX_MEMORY": "2GB"})
    rows = {path: (value, origin) for path, value, origin in effective_table(configuration)}
    assert rows["server.port"] == ("7000", f"{file}:2")
    assert rows["store.max_memory"] == ("2GB", "FINCACHE_MAX_MEMORY")
    assert rows["server.read_timeout"] == ("30s", "default")
    objects = json.loads(json.dumps(effective_objects(configuration)))
    assert objects["server"]["port"] == {"value": 7000, "source": "file", "place": f"{file}:2", "used": True}
    assert objects["store"]["max_memory"]["value"] == 2 << 30
    assert objects["server"]["read_timeout"]["value"] == "30s"
    assert objects["server"]["unixsocket_mode"]["value"] == "0600"
    assert objects["api"]["enabled"] == {"value": False, "source": "default", "place": None, "used": False}
