#!/bin/sh
# Programs of the system that tests look for: a browser for the screenshots, ffmpeg to make odd files, poppler to read PDFs,
# PostgreSQL to start clusters of our own; Debian would make and start one of the system's besides, which nobody needs.
# Installs them where that is allowed; elsewhere says why not, and the tests that need them are skipped with that reason.
set -eu

missing=""
for pair in chromium:chromium ffmpeg:ffmpeg pdftotext:poppler-utils; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
[ -n "$(find /usr/lib/postgresql -name postgres -path '*/bin/*' 2>/dev/null)" ] || missing="$missing postgresql"
[ -n "$missing" ] || exit 0

skip() { echo "set-up: without$missing ($1); tests that need them are skipped" >&2; exit 0; }
command -v apt-get >/dev/null 2>&1 || skip "there is no apt-get"
[ "$(id -u)" = 0 ] || skip "not root; install them with: sudo apt-get install$missing"

echo "set-up: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
case $missing in *postgresql*) mkdir -p /etc/postgresql-common/createcluster.d &&
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/neurovision.conf ;; esac
# shellcheck disable=SC2086 # the names are words
{ apt-get -qq update && apt-get -qq install --yes --no-install-recommends $missing; } >/dev/null ||
    skip "apt-get could not install them"
