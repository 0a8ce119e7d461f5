#!/usr/bin/env bash
# Runs the style checks, the type checks and the tests. Sets up .venv first if necessary.
#   bash scripts/test.sh            everything
#   bash scripts/test.sh --quick    without the slow tests
# Other arguments are passed to pytest, such as -k memory.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
$python -m ruff check .
$python -m mypy
# One process per core, each with one thread: threads that wait for one another would take the cores from the others.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
pytest="$python -m pytest --numprocesses ${TEST_PROCESSES:-auto} --dist worksteal"
if [ "${1:-}" = "--quick" ]; then
    shift
    exec $pytest -m "not slow" "$@"
fi
exec $pytest "$@"
