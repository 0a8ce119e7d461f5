#!/usr/bin/env bash
# Runs the style checks, the type checks and the tests. Sets up .venv first if necessary.
#   bash scripts/test.sh            everything
#   bash scripts/test.sh --quick    without the slow tests
# Other arguments are passed to pytest, such as -k memory.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
$python -m ruff check .
biome=$(command -v biome || command -v node_modules/.bin/biome || true)     # npm install -g @biomejs/biome
if [ -n "$biome" ]; then
    "$biome" lint --error-on-warnings scripts/annotation/page
else
    echo "biome is not installed: the JavaScript of scripts/annotation/page is not linted"
fi

# The files of the tests lie in memory if there is room, since commands flush what they write to the disk.
room=$(( $(df --output=avail /dev/shm 2> /dev/null | tail -n 1) + 0 ))
memory=$(( $(awk '/MemAvailable/ {print $2}' /proc/meminfo 2> /dev/null) + 0 ))
files=
if [ "$room" -gt 6000000 ] && [ "$memory" -gt 8000000 ]; then
    files=$(mktemp -d /dev/shm/tests.XXXXXX)
    export PYTEST_DEBUG_TEMPROOT=$files
fi

types=$(mktemp)
$python -m mypy > "$types" 2>&1 &       # beside the tests, since it uses one core; its result comes last
types_process=$!
trap 'kill $types_process 2> /dev/null || true; rm -rf "$types" $files' EXIT

# Compiled files are kept, even if the environment says otherwise: each process would compile all tests again.
export PYTHONDONTWRITEBYTECODE=

# One process per core, each with one thread, or fewer processes if OMP_NUM_THREADS gives each more threads: threads that
# wait for one another would take the cores from the others.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
processes=$(( $($python -c 'import os; print(os.cpu_count() or 1)') / OMP_NUM_THREADS ))
if [ "${1:-}" = "--quick" ]; then
    shift
    set -- -m "not slow" "$@"
fi
status=0
$python -m pytest --numprocesses "${TEST_PROCESSES:-$(( processes > 0 ? processes : 1 ))}" --dist worksteal "$@" || status=$?
if [ $status != 0 ] && [ -n "$files" ]; then
    echo "files of failed tests: $files (in memory: remove them when they are no longer needed)"
    files=
fi
wait $types_process || status=1
cat "$types"
exit $status
