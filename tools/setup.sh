#!/bin/bash
# setup.sh [--test | --bench] -- brings a bare Debian 12 machine to where FinCache builds; with --test, to where all its checks run;
# with --bench, to where the benches have their peers (what cannot be had of those is named, and left out of the comparison).
#
# Installs with apt-get only what is missing, makes .venv and puts the build tools into it. Idempotent, and instantaneous the
# second time. Without apt-get, or without the right to use it, it names what is missing and goes on if it can be built without.
# PYTHON chooses the interpreter (3.10 or newer).
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
level=build
case ${1:-} in --test) level=test ;; --bench) level=bench ;; esac
stamp=.venv/.setup-$level
[ -e "$stamp" ] && [ "$stamp" -nt tools/setup.sh ] && [ "$stamp" -nt pyproject.toml ] && exit 0

have() { command -v "$1" >/dev/null 2>&1; }
say() { printf 'setup: %s\n' "$*" >&2; }

# One line for each Debian package: is what we want from it here, from whatever source?
is_here() {
    case $1 in
    gcc | g++ | make | spin | clang) have "$1" ;;
    libc6-dev) [ -e /usr/include/stdio.h ] ;;
    pkg-config) have pkg-config || have pkgconf ;;
    libxxhash-dev) [ -e /usr/include/xxhash.h ] ;;
    python3) have "$python" ;;
    python3-venv) "$python" -c 'import ensurepip, venv' 2>/dev/null ;;
    python3-dev) "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' 2>/dev/null ;;
    libclang-rt-14-dev) have clang && [ -e "$(clang -print-resource-dir)/lib/linux/libclang_rt.tsan-x86_64.a" ] ;;
    redis-server | redis-tools) have redis-server ;;
    memcached) have memcached ;;
    gcc-aarch64-linux-gnu) have aarch64-linux-gnu-gcc ;;
    libc6-dev-arm64-cross) [ -e /usr/aarch64-linux-gnu/include/stdio.h ] ;;
    qemu-user) have qemu-aarch64 ;;
    procps) have ps ;;
    systemd) have systemd-analyze ;;
    *) return 1 ;;
    esac
}

missing_of() {
    for package in "$@"; do is_here "$package" || printf '%s ' "$package"; done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >>.setup.log 2>&1
}

# Debian starts and enables a server as it is installed. We want the program alone: policy-rc.d forbids the start.
apt_install() {
    local policy=/usr/sbin/policy-rc.d code=0
    if [ -e $policy ]; then
        apt install --no-install-recommends "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
    apt install --no-install-recommends "$@" || code=$?
    as_root rm -f $policy
    return $code
}

install_missing() {
    local missing
    missing=$(missing_of "$@")
    [ -z "$missing" ] && return
    if ! have apt-get || { [ "$(id -u)" != 0 ] && ! have sudo; }; then
        say "cannot install as this user: $missing"
        return
    fi
    say "installing $missing(log: .setup.log)"
    [ -n "${updated:-}" ] || apt update || say "apt-get update failed; going on with the lists that are here"
    updated=1
    # shellcheck disable=SC2086
    apt_install $missing && return
    for package in $missing; do apt_install "$package" || say "cannot be installed: $package"; done
}

needed=(gcc libc6-dev make libxxhash-dev python3 python3-venv python3-dev)
wanted=(g++ pkg-config procps spin clang libclang-rt-14-dev redis-server gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user systemd)

peers=(redis-server memcached)

had_redis=$(have redis-server && echo yes || true)
had_memcached=$(have memcached && echo yes || true)
install_missing "${needed[@]}"
[ $level = test ] && install_missing "${wanted[@]}"
[ $level = bench ] && install_missing "${peers[@]}"
# Nor at the next boot.
not_at_boot() {
    have update-rc.d || return 0
    as_root update-rc.d "$1" disable >>.setup.log 2>&1 || true
    as_root deb-systemd-helper disable "$1.service" >>.setup.log 2>&1 || true
}
if [ -z "$had_redis" ] && have redis-server; then not_at_boot redis-server; fi
if [ -z "$had_memcached" ] && have memcached; then not_at_boot memcached; fi

missing=$(missing_of "${needed[@]}")
if [ -n "$missing" ]; then
    say "FinCache cannot be built here without: $missing"
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    say "$python is $("$python" --version 2>&1); FinCache needs Python 3.10 or newer. Name one with PYTHON=..."
    exit 1
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
pip() { .venv/bin/python -m pip --quiet --quiet --disable-pip-version-check "$@"; }
pip install --upgrade 'pip>=23.1' 'meson>=1.3' 'ninja>=1.10' 'meson-python>=0.18'

# What the package needs, from pyproject.toml; and the package itself, used where it stands.
.venv/bin/python - $level >.venv/requirements.txt <<'PYTHON'
import sys, sysconfig
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10; meson-python brings it
    import tomli as tomllib

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = {"build": ["demo"], "test": ["demo", "test", "lint"], "bench": ["demo", "bench"]}[sys.argv[1]]
print(*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra]), sep="\n")
(Path(sysconfig.get_path("purelib")) / "fincache-tree.pth").write_text(f"{Path.cwd()}\n")
# The program, as an installation would make it.
program = Path(".venv/bin/fincache")
program.write_text(f"#!{Path.cwd()}/.venv/bin/python\nfrom fincache.cli import main\n\nmain()\n")
program.chmod(0o755)
PYTHON
not_installed=
if ! pip install --requirement .venv/requirements.txt; then
    [ $level = bench ] || exit 1
    # A peer without a wheel for this Python must not keep the others away.
    while read -r requirement; do
        pip install "$requirement" || { say "cannot be installed: $requirement"; not_installed=yes; }
    done <.venv/requirements.txt
fi

# What could not be installed is tried again by the next run: the network may be back.
case $level in
build) ;;
test) [ -z "$(missing_of "${wanted[@]}")" ] || exit 0 ;;
bench) [ -z "$not_installed$(missing_of "${peers[@]}")" ] || exit 0 ;;
esac
touch "$stamp"
