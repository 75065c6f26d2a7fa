#!/bin/bash
# How much of the code the unit and attack tests reach.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: tests/coverage.sh [options]

Builds with gcov's counters, runs the unit and attack tests, and prints the line and branch coverage
of every source file in a folder.

  --folder F    the folder (default common)
  --missed      also print each line with a branch that was never taken
  --at-least P  exit code 1 when fewer than P percent of the branches were taken (default 80)
  --build DIR   the build folder (default build/coverage)
  --help        this text
HELP
}

folder=common missed= at_least=80 build=build/coverage
while [ $# -gt 0 ]; do
    case $1 in
    --folder | --at-least | --build)
        [ $# -ge 2 ] || { echo "coverage.sh: $1 wants a value, see --help" >&2; exit 2; } ;;&
    --folder) folder=$2; shift 2 ;;
    --at-least) at_least=$2; shift 2 ;;
    --build) build=$2; shift 2 ;;
    --missed) missed=--missed; shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "coverage.sh: unknown option '$1', see --help" >&2; exit 2 ;;
    esac
done

cd "$(dirname "$0")/.."
deploy/install-deps.sh --for test
mkdir -p "$build"
cmake --preset coverage -B "$build" -DHOLDFAST_WERROR=OFF >"$build/configure.log" 2>&1 ||
    { cat "$build/configure.log"; exit 1; }
cmake --build "$build" >"$build/build.log" 2>&1 || { cat "$build/build.log"; exit 1; }

# Counts of an earlier run would be added to.
find "$build" -name '*.gcda' -delete
# test_foreign_state runs programs as another user, who cannot write counts.
ctest --test-dir "$build" -L "^(unit|attack)\$" -E attack/test_foreign_state -j2 \
    --output-on-failure --no-label-summary >"$build/ctest.log" 2>&1 && failed=0 || failed=1

/usr/bin/python3 tests/support/coverage_report.py "$build" "$folder" "$at_least" $missed || failed=1
sed -n '/tests FAILED:/,/^Errors/p' "$build/ctest.log"
exit $failed
