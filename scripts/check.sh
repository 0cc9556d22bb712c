#!/bin/sh
# What a reviewer need not look for: lint, form, types. Stops at the first that complains.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
