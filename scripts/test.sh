#!/usr/bin/env bash
# Runs the style checks, the type checks and the tests. Sets up .venv first if necessary.
#   bash scripts/test.sh            everything
#   bash scripts/test.sh --quick    without the slow tests
# Other arguments are passed to pytest, such as -k memory.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
$python -m ruff check .
$python -m mypy
if [ "${1:-}" = "--quick" ]; then
    shift
    exec $python -m pytest -m "not slow" "$@"
fi
exec $python -m pytest "$@"
