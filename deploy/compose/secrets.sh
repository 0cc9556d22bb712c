#!/bin/sh
# Makes what is missing of the secrets that compose.yaml names: random passwords and keys, a certificate of this host alone
# (put a real one in its place), and the login of the proxy. What is there stays. secrets.sh [FOLDER] [HOST]
set -eu
folder=${1:-$(dirname "$0")/secrets} host=${2:-localhost}
umask 077
mkdir -p "$folder"

random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
# Readable by the containers' users, who are not this one; the folder is not.
keep() { [ -s "$folder/$1" ] || { cat >"$folder/$1"; chmod 644 "$folder/$1"; echo "secrets: made $1" >&2; }; }

for name in postgres_password mlflow_password s3_secret_key anonymization_salt ui_password; do random 24 | keep "$name"; done
random 10 | keep s3_access_key
keep s3.json <<JSON
{"identities": [{"name": "platform", "actions": ["Admin", "Read", "List", "Tagging", "Write"],
  "credentials": [{"accessKey": "$(cat "$folder/s3_access_key")", "secretKey": "$(cat "$folder/s3_secret_key")"}]}]}
JSON
[ -s "$folder/ui.key" ] || {
    openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj "/CN=$host" -addext "subjectAltName=DNS:$host" \
        -keyout "$folder/ui.key" -out "$folder/ui.crt" 2>/dev/null
    chmod 644 "$folder/ui.key" "$folder/ui.crt"
    echo "secrets: made a certificate for $host" >&2
}
echo "admin:$(openssl passwd -apr1 "$(cat "$folder/ui_password")")" | keep ui_users
