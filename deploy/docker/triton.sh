#!/bin/sh
# Starts Triton with what it is given; secrets may be files, as containers are given them (AWS_SECRET_ACCESS_KEY_FILE).
# A listed variable that is set stays; a file that cannot be read stops the start.
set -eu
for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; do
    eval "file=\${${name}_FILE:-} value=\${$name:-}"
    # shellcheck disable=SC2154 # eval sets both
    [ -z "$file" ] || [ -n "$value" ] || { value=$(cat "$file"); export "$name=$value"; }
done
exec tritonserver "$@"
