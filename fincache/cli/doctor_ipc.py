"""RemoveIPC= of logind.conf: does systemd-logind remove segments when a user logs out?

When the last session of a user ends, logind unlinks every object in /dev/shm that belongs to him: a segment's name and its lock
file, whoever has them mapped. Processes that are attached go on, as after `fincache rm`, but nothing tells them; a process that
starts then makes another segment, and the two groups no longer see each other.

Exempt are root and system users (up to SYS_UID_MAX, which is compiled into systemd from /etc/login.defs), and users that linger,
because they never log out fully. Files are read as logind reads them: the first of the main files, then all drop-ins by name,
those of /etc before those of /run and /usr under the same name; the last assignment counts. The default is compiled in, too, and
shown in a comment of the main file.

Sources     logind.conf(5); systemd src/login/logind-user.c, src/shared/clean-ipc.c
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fincache.cli.findings import Finding, Level
from fincache.cli.host import Host
from fincache.cli.processes import user_name

FOLDERS = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")  # the first wins
SYSTEM_UID_MAX = 999
TRUE_WORDS = {"1", "yes", "y", "true", "t", "on"}
FALSE_WORDS = {"0", "no", "n", "false", "f", "off"}


def check_remove_ipc(host: Host, owners: Iterable[int], user: int) -> Iterator[Finding]:
    """`owners` are the uids of the segments that there are; `user` is who asks."""
    if not host.path("/run/systemd/system").is_dir():  # sd_booted(3)
        yield Finding("remove-ipc", Level.OK, "systemd does not run this machine")
        return
    removes, source = remove_ipc(host)
    if not removes:
        yield Finding("remove-ipc", Level.OK, f"RemoveIPC=no ({source})")
        return
    threatened = sorted({uid for uid in owners if not is_exempt(host, uid)})
    seen = f"RemoveIPC=yes ({source})"
    why = (
        "At the end of their last login session logind unlinks their segments, in use or not; new processes then make other ones."
    )
    do = (
        "RemoveIPC=no in /etc/systemd/logind.conf.d/fincache.conf under [Login], then systemctl restart systemd-logind; or run "
        "under a system user; or loginctl enable-linger USER."
    )
    if threatened:
        names = ", ".join(user_name(uid) for uid in threatened)
        yield Finding("remove-ipc", Level.WARNING, f"{seen}, and segments belong to {names}", why, do)
    elif not is_exempt(host, user):
        yield Finding("remove-ipc", Level.NOTE, f"{seen}, and you, {user_name(user)}, are not exempt", why, do)
    else:
        yield Finding("remove-ipc", Level.OK, f"{seen}; you and the owners of all segments are exempt")


def remove_ipc(host: Host) -> tuple[bool, str]:
    """Whether logind removes, and which file says so."""
    removes, source = True, "systemd's default"
    main = next((path for folder in FOLDERS if (path := f"{folder}/logind.conf") and host.path(path).is_file()), None)
    if main is not None:
        for line in (host.text(main) or "").splitlines():
            found = _parse(line.lstrip("#; "))
            if line.lstrip().startswith(("#", ";")) and found is not None:
                removes, source = found, f"the default that {main} shows"
    for path in [*([main] if main is not None else []), *_drop_ins(host)]:
        section = ""
        for raw in (host.text(path) or "").splitlines():
            line = raw.strip()
            if line.startswith("[") and line.endswith("]"):
                section = line[1:-1]
            elif section == "Login" and (found := _parse(line)) is not None:
                removes, source = found, path
    return removes, source


def _drop_ins(host: Host) -> list[str]:
    by_name: dict[str, str] = {}
    for folder in reversed(FOLDERS):
        for path in host.path(f"{folder}/logind.conf.d").glob("*.conf"):
            by_name[path.name] = f"{folder}/logind.conf.d/{path.name}"
    return [by_name[name] for name in sorted(by_name)]


def _parse(line: str) -> bool | None:
    key, equals, value = line.partition("=")
    word = value.strip().lower()
    if not equals or key.strip() != "RemoveIPC" or word not in TRUE_WORDS | FALSE_WORDS:
        return None
    return word in TRUE_WORDS


def is_exempt(host: Host, uid: int) -> bool:
    """Whether logind leaves a user's objects alone."""
    if uid <= _system_uid_max(host):
        return True
    return (host.path("/var/lib/systemd/linger") / user_name(uid)).exists()


def _system_uid_max(host: Host) -> int:
    for line in (host.text("/etc/login.defs") or "").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "SYS_UID_MAX" and words[1].isdecimal():
            return int(words[1])
    return SYSTEM_UID_MAX
