#!/bin/sh
# Makes .venv hold exactly what a lock says: `sh packaging/setup.sh requirements.lock`. Called by the Makefile.
# Finds a Python 3.11, brings Debian's packages when it may, installs with hashes. A lock that is already in is left alone,
# so that a set-up checkout works without a network. Runs under the plain sh of Debian and macOS.
set -eu
lock=$1
stamp=.venv/$lock

# What a bare Debian 12 lacks: venv, the libraries Qt is linked against, and a display for the tests.
packages="python3-venv libglib2.0-0 libgl1 libegl1 libxkbcommon0 libdbus-1-3 libfontconfig1 libxcb-cursor0 libxkbcommon-x11-0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 xvfb xauth xdotool"

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for candidate in ${PYTHON:-} python3.11 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

debian_packages() {
    command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 || return 0
    missing=""
    for package in $packages; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
            *" installed") ;;
            *) missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    line="apt-get install -y --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ]; then
        say "Debian packages are missing:$missing"
        if apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive $line -qq >&2; then
            return 0
        fi
        say "They could not be installed; going on with what is there."
    else
        say "Debian packages are missing; if the next steps fail, run:  sudo apt-get update && sudo $line"
    fi
}

if [ -x .venv/bin/python ] && cmp -s "$lock" "$stamp"; then
    touch "$stamp"
    exit 0
fi

debian_packages

if ! .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    python=$(find_python) || {
        say "Strikedesk needs Python 3.11; none was found on PATH."
        say "  macOS:     brew install python@3.11, or the installer of python.org"
        say "  Debian 12: apt-get install python3"
        say "  elsewhere: make run PYTHON=/path/to/python3.11"
        exit 1
    }
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        say "$python cannot make virtual environments: install python3-venv (the line above), then try again."
        exit 1
    fi
    say "Making .venv with $python"
    rm -rf .venv
    "$python" -m venv .venv
fi

say "Installing what $lock names (the first time takes a minute or two)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r "$lock"

if ! problem=$(.venv/bin/python -c 'import PySide6.QtWidgets' 2>&1); then
    say "Qt does not start here: $(printf '%s' "$problem" | tail -n 1)"
    say "On Debian: sudo apt-get install -y --no-install-recommends $packages"
    say "The engine works without a screen: .venv/bin/python main.py engine"
fi
cp "$lock" "$stamp"
