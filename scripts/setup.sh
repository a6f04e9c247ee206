#!/bin/sh
# Sets Sluice up in this folder: a pinned uv, the locked Python packages, the pinned jars. Needs Python 3.11 to 3.13 and the package
# registries; nothing is written outside this folder but uv's own cache. A second run finds its stamp and is done at once.
set -eu

cd "$(dirname "$0")/.."
UV_VERSION=0.13.8
STAMP=.tools/stamp

say() { printf 'setup: %s\n' "$*" >&2; }
stop() { printf 'setup: %s\n' "$*" >&2; exit 1; }

inputs() { cat scripts/setup.sh pyproject.toml uv.lock jars.lock | cksum; }

find_python() {
    for name in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
        found=$("$name" -c 'import sys; print(sys.executable if (3, 11) <= sys.version_info < (3, 14) else "")' 2>/dev/null) || continue
        if [ -n "$found" ]; then printf '%s\n' "$found"; return 0; fi
    done
    stop "no Python 3.11, 3.12 or 3.13 found (on Debian: apt-get install python3); one elsewhere is named with PYTHON=/path/to/python3 make setup"
}

is_pinned_uv() { [ "$("$1" --version 2>/dev/null | cut -d ' ' -f 2)" = "$UV_VERSION" ]; }

find_uv() {
    for candidate in .tools/uv/bin/uv uv; do
        if is_pinned_uv "$candidate"; then printf '%s\n' "$candidate"; return 0; fi
    done
    return 1
}

# Debian splits Python: venv may lack ensurepip, pip may be absent or refuse to install beside the system's packages.
install_uv() {
    say "installing uv $UV_VERSION into .tools/uv"
    rm -rf .tools/uv
    mkdir -p .tools
    if "$1" -m venv .tools/uv >.tools/uv.log 2>&1; then
        .tools/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" >>.tools/uv.log 2>&1 && return 0
    fi
    rm -rf .tools/uv
    if "$1" -m pip --version >/dev/null 2>&1; then
        "$1" -m pip install --quiet --disable-pip-version-check --target .tools/uv "uv==$UV_VERSION" >>.tools/uv.log 2>&1 && return 0
        sed 's/^/    /' .tools/uv.log >&2
        stop "the package uv==$UV_VERSION could not be installed (above); check the network and pip's settings, then run make setup again"
    fi
    sed 's/^/    /' .tools/uv.log >&2
    stop "this Python can make no virtual environment and has no pip (above); on Debian: apt-get install python3-venv, then make setup again"
}

sync_packages() {
    begun=$(date +%s)
    say "installing the locked Python packages into .venv (the first time 1 to 5 minutes, about 2 GB)"
    if [ -t 2 ]; then quiet=; else quiet=--quiet; fi
    UV_PYTHON=$1 UV_PYTHON_DOWNLOADS=never "$2" sync --frozen $quiet ||
        stop "uv names above the package that could not be had; check the network, then run make setup again: what came is kept in uv's cache"
    say "packages installed in $(($(date +%s) - begun)) s"
}

# Compiled once here, while the jars come, instead of in each first process of each kind, or in all of them where PYTHONDONTWRITEBYTECODE is set.
# Some packages carry templates that are no Python: what cannot be compiled is left as it is.
compile_bytecode() {
    .venv/bin/python -m compileall -q -j 0 -x '/tests?/' .venv/lib/python3*/site-packages include spark_jobs sluice plugins dags config >/dev/null 2>&1 ||
        true
}

if [ -x .venv/bin/sluice ] && [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(inputs)" ]; then exit 0; fi

python=$(find_python)
say "Python is $python"
uv=$(find_uv) || { install_uv "$python"; uv=.tools/uv/bin/uv; }
sync_packages "$python" "$uv"
compile_bytecode &
compiling=$!
trap 'kill "$compiling" 2>/dev/null || true' EXIT
.venv/bin/python -m sluice.services.jars || exit $?
say "compiling the packages, so that each start is quick"
wait "$compiling"
trap - EXIT
inputs >"$STAMP"
say "done"
