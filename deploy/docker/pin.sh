#!/bin/sh
# Writes into images.env the digest of each image; with --check only says whether all have one. Needs docker with buildx.
set -eu
list=$(dirname "$0")/images.env

if [ "${1:-}" = --check ]; then
    loose=$(grep -E '^[A-Z0-9_]+=' "$list" | grep -vE '@sha256:[0-9a-f]{64}$' || true)
    [ -z "$loose" ] || { echo "pin: without a digest: $loose" >&2; exit 1; }
    exit 0
fi

changed=$(mktemp)
trap 'rm -f "$changed"' EXIT
while IFS= read -r line; do
    case $line in
    [A-Z]*=*)
        image=${line#*=} image=${image%@*}
        digest=$(docker buildx imagetools inspect "$image" --format '{{.Manifest.Digest}}')
        echo "${line%%=*}=$image@$digest"
        ;;
    *) echo "$line" ;;
    esac
done <"$list" >"$changed"
cat "$changed" >"$list"
