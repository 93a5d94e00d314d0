"""systemd/: the units are clean and hardened, and share /dev/shm as they must. systemd itself judges, where it is installed."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fincache.cli.exits import ExitCode

SYSTEMD = Path(__file__).resolve().parent.parent / "systemd"
UNITS = [SYSTEMD / "fincache.service", SYSTEMD / "fincache.socket"]
EXPOSURE_MAX = 2.0

analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here: it is part of Debian's package systemd"
)


def service() -> dict[str, list[str]]:
    """The [Service] section: values by name, in order; a name may come twice."""
    values: dict[str, list[str]] = {}
    section = ""
    for line in UNITS[0].read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#") and section == "Service":
            name, _, value = line.partition("=")
            values.setdefault(name, []).append(value)
    return values


@analyze
def test_the_units_are_clean() -> None:
    """systemd-analyze verify has nothing to say."""
    found = subprocess.run(["systemd-analyze", "verify", *UNITS], capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


@analyze
def test_the_service_is_hardened() -> None:
    """systemd-analyze security gives an exposure of 2.0 or less."""
    command = ["systemd-analyze", "security", "--offline=true", UNITS[0]]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unrecognized option" in found.stderr:
        pytest.skip("this systemd-analyze is older than version 250: it cannot judge a unit that is not installed")
    exposure = re.search(r"Overall exposure level for fincache.service: ([0-9.]+)", found.stdout)
    assert exposure is not None, found.stdout + found.stderr
    assert float(exposure[1]) <= EXPOSURE_MAX


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not here (Debian: systemd)")
def test_the_user_is_a_system_user() -> None:
    """Whose IPC objects logind never removes."""
    command = ["systemd-sysusers", "--dry-run", SYSTEMD / "fincache-sysusers.conf"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stderr
    created = re.search(r"Creating user 'fincache' .* with UID ([0-9]+)", found.stdout + found.stderr)
    assert int(created[1]) < 1000 if created else _user_exists()


def _user_exists() -> bool:
    return subprocess.run(["getent", "passwd", "fincache"], capture_output=True, check=False).returncode == 0


def test_the_segment_is_shared_with_the_host() -> None:
    """No IPC namespace of its own, no removal at a stop, no user that comes and goes; and /proc is not hidden from it."""
    values = service()
    assert values["PrivateIPC"] == ["no"]
    assert values["RemoveIPC"] == ["no"]
    assert values["ProtectProc"] == ["default"]
    assert "DynamicUser" not in values
    assert not {"RootDirectory", "RootImage", "JoinsNamespaceOf", "InaccessiblePaths", "TemporaryFileSystem"} & values.keys()


def test_another_start_is_not_tried_where_it_would_not_mend_anything() -> None:
    """The exit codes are those of the table."""
    prevented = {int(code) for code in service()["RestartPreventExitStatus"][0].split()}
    assert prevented == {
        ExitCode.USAGE,
        ExitCode.MISSING,
        ExitCode.PERMISSION,
        ExitCode.UNUSABLE,
        ExitCode.CONFIGURATION,
        ExitCode.ADDRESS_REFUSED,
        ExitCode.PATH_TOO_LONG,
        ExitCode.SERVED,
    }


def test_the_socket_unit_names_the_default_port() -> None:
    """Who switches to socket activation finds the same port."""
    parser = configparser.ConfigParser(strict=False)
    parser.read(UNITS[1], encoding="utf-8")
    assert "ListenStream=127.0.0.1:6379" in UNITS[1].read_text(encoding="utf-8")
    assert parser["Socket"]["SocketUser"] == service()["User"][0]
