#!/bin/sh
# Brings .venv up to the locks and says nothing when it is: setup.sh SET..., where SET is base, test, train, learn or services.
# A stamp in .venv holds the checksum of what a set was made from, so the next call costs milliseconds.
set -eu
cd "$(dirname "$0")/.."
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

fail() { echo "set-up: $1" >&2; exit 1; }
say() { echo "set-up: $1" >&2; }

lock_of() {
    case $1 in
    base) echo requirements.lock ;;
    test | train | learn | services) echo "requirements-$1.lock" ;;
    *) fail "unknown set '$1' (base, test, train, learn, services)" ;;
    esac
}

# The folder's name is part of it: an environment does not survive being moved.
checksum_of() { { pwd; cat pyproject.toml scripts/setup.sh "$(lock_of "$1")"; } | cksum; }
is_ready() { [ -x .venv/bin/python ] && [ "$(cat ".venv/.ready-$1" 2>/dev/null)" = "$(checksum_of "$1")" ]; }

find_python() {
    for candidate in ${PYTHON:-} python3.11 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 was not found. Install python3.11 (Debian: apt-get install python3.11-venv) or name it: make PYTHON=/path/python3.11"
}

make_venv() {
    .venv/bin/python -m pip --version >/dev/null 2>&1 && return
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments. Install its venv module (Debian: apt-get install python3.11-venv)."
    say "creating .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
}

install() {
    lock=$(lock_of "$1")
    say "installing $lock"
    case $1 in # the train lock may be resolved further: PyTorch's builds for graphics cards bring libraries of their own
    train) set -- -r "$lock" -c requirements.lock -c requirements-test.lock ;;
    *) set -- --no-deps -r "$lock" ;;
    esac
    # Byte code is written on first import: compiling all of it here costs 30 s, what is imported costs 4 s.
    .venv/bin/python -m pip install -qq --no-compile "$@" ||
        fail "pip could not install $lock; its own words are above. The next call goes on from here."
}

# Two commands in a fresh clone at once: the second waits for the first.
wait_for_others() { if command -v flock >/dev/null 2>&1; then exec 9<. && flock 9; fi; }

for set in "$@"; do lock_of "$set" >/dev/null; done
for set in "$@"; do
    is_ready "$set" && continue
    wait_for_others
    is_ready "$set" && continue
    make_venv
    install "$set"
    [ "$set" != base ] || .venv/bin/python -m pip install -qq --no-deps --no-build-isolation --editable .
    checksum_of "$set" >".venv/.ready-$set"
done
