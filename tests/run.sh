#!/bin/bash
# Install what is missing, build, run the tests and the lint.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: tests/run.sh [options]

Installs what is missing, builds, and runs every test and the lint. C tests and attacks run with
AddressSanitizer and UBSan; the other tests drive the programs as they ship, which are several times
as fast.

  --preset P   everything with one build: release, asan (AddressSanitizer and UBSan) or tsan
  --fast       unit and attack tests only, and no cppcheck: for the minute between two edits
  --label L    only the tests with this label (unit, attack, cli, e2e, outages, crash, tsan,
               conformance, x509, wycheproof), and no lint
  --long       run the long tests whole: every power cut and damaged byte, 1000 kills, both builds of
               everything, and a minute of fuzzing for each harness; everything with the sanitizers
               (unless --preset says otherwise); this takes hours
  --strict     fail if a test is skipped that tests/skips.txt does not list
  --help       this text

Skipped tests are listed with their reasons. The last line counts what passed, failed and was
skipped. The lint counts as one test; a skipped part of a test that passed counts as one skip.
Exit code 0 only when nothing failed.
HELP
}

preset= fast=no label= long=OFF strict=no
while [ $# -gt 0 ]; do
    case $1 in
    --preset | --label)
        [ $# -ge 2 ] || { echo "run.sh: $1 wants a value, see --help" >&2; exit 2; } ;;&
    --preset) preset=$2; shift 2 ;;
    --fast) fast=yes; shift ;;
    --label) label=$2; shift 2 ;;
    --long) long=ON; shift ;;
    --strict) strict=yes; shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "run.sh: unknown option '$1', see --help" >&2; exit 2 ;;
    esac
done
[ $long = OFF ] || preset=${preset:-asan}

cd "$(dirname "$0")/.."
mkdir -p build
passed=0 failed=0 logs=(/dev/null)

# Leaks and undefined behaviour are failures, told with a stack. A test that starts a program
# passes these on to it. Deep stacks and filled memory would cost a third of the time.
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:malloc_context_size=8:max_malloc_fill_size=64${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}

# Build a preset (or only some targets of it) and run its tests with a label of LABELS.
build_and_run() { # preset labels [targets...]
    local preset=$1 labels=$2 out=build/ctest-$1.log total bad run=()
    shift 2
    deploy/install-deps.sh --for test --variant "$preset"
    # CMake's own chatter is of interest only when it fails.
    cmake --preset "$preset" -DHOLDFAST_LONG=$long >"build/configure-$preset.log" 2>&1 ||
        { cat "build/configure-$preset.log"; exit 1; }
    cmake --build --preset "$preset" ${1:+--target "$@"}

    # GCC's ThreadSanitizer cannot place its shadow memory where kernels randomise addresses widely.
    if [ "$preset" = tsan ] && setarch -R true 2>/dev/null; then run=(setarch -R); fi
    # Label summaries add nothing to the list of tests above them.
    "${run[@]}" ctest --test-dir "build/$preset" --output-on-failure -j6 --no-label-summary \
        -L "^($labels)\$" 2>&1 | tee "$out" || true
    read -r bad total < <(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\1 \2/p' "$out") ||
        { grep -q 'No tests were found' "$out" && total=0 bad=0; } ||
        { echo "run.sh: ctest did not finish" >&2; exit 1; }
    failed=$((failed + bad))
    passed=$((passed + total - bad - $(grep -c '\*\*\*Skipped' "$out" || true)))
    [ "$total" -eq 0 ] || logs+=("build/$preset/Testing/Temporary/LastTest.log")
}

inside='unit|attack|crash|outages|wycheproof|conformance' outside='cli|e2e|x509'
programs=(common/all client/all server/all deploy/man/all deploy/sbom/all test_drivers)
if [ $fast = yes ]; then
    build_and_run "${preset:-asan}" 'unit|attack'
elif [ -n "$preset" ] && [ "$label" = tsan ]; then
    build_and_run "$preset" tsan "${programs[@]}" tsan_tests
elif [ -n "$preset" ]; then
    build_and_run "$preset" "${label:-$inside|$outside}"
elif [ -z "$label" ]; then
    build_and_run asan "$inside"
    build_and_run release "$outside" "${programs[@]}"
elif [[ $label =~ ^($outside)$ ]]; then
    build_and_run release "$label" "${programs[@]}"
else
    build_and_run asan "$label"
fi

if [ -z "$label" ]; then
    lint=()
    [ $fast = no ] || lint=(--fast)
    if tests/lint/run.sh "${lint[@]}" 2>&1 | tee build/lint.log; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    logs+=(build/lint.log)
    if [ $long = ON ]; then
        if tests/fuzz/run.sh --seconds 60; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    fi
fi

tests/skips.sh "${logs[@]}" | tee build/skips
skipped=$(awk '{ n += $2 } END { print n + 0 }' build/skips)
if [ $strict = yes ] && grep -q '^skipped [0-9]*, not listed' build/skips; then
    echo "run.sh: tests/skips.txt does not list each of these skips" >&2
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
