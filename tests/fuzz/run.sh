#!/bin/bash
# Build the fuzzers and let each run for a while.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: tests/fuzz/run.sh [options]

Builds the harnesses (clang, libFuzzer, AddressSanitizer and UBSan), replays every input that ever
was a finding, and lets each harness search for new ones. Prints a table of runs, edges reached and
findings.

  --seconds N      for each harness (default 10; 0: replay only)
  --harness NAME   only this one ("json" for fuzz_json.c); may be repeated
  --jobs N         harnesses at the same time (default 2)
  --build DIR      the build folder (default build/fuzz)
  --help           this text

What is learned stays in DIR/corpus, so that the next run goes on from there. An input that fails is
kept in DIR/findings, and the program says how to see it fail again; once it is understood it becomes
a file under tests/fuzz/regressions/HARNESS/. Exit code 1 when there is a finding.
HELP
}

seconds=10 jobs=2 build=build/fuzz chosen=()
while [ $# -gt 0 ]; do
    case $1 in
    --seconds | --harness | --jobs | --build)
        [ $# -ge 2 ] || { echo "run.sh: $1 wants a value, see --help" >&2; exit 2; } ;;&
    --seconds) seconds=$2; shift 2 ;;
    --harness) chosen+=("$2"); shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    --build) build=$2; shift 2 ;;
    --help | -h) usage; exit 0 ;;
    *) echo "run.sh: unknown option '$1', see --help" >&2; exit 2 ;;
    esac
done

cd "$(dirname "$0")/../.."
here=tests/fuzz

harnesses() { for f in "$here"/fuzz_*.c; do f=${f##*/fuzz_}; echo "${f%.c}"; done; }
[ ${#chosen[@]} -gt 0 ] || mapfile -t chosen < <(harnesses)
for name in "${chosen[@]}"; do
    [ -e "$here/fuzz_$name.c" ] || { echo "run.sh: there is no harness '$name'; there are:" $(harnesses) >&2; exit 2; }
done

# ---- build --------------------------------------------------------------------------------------

deploy/install-deps.sh --for test --variant fuzz
mkdir -p "$build/findings" "$build/logs" "$build/corpus" "$build/seeds"
# Warnings are the business of the other builds: clang has others than gcc, and more each year.
cmake --preset fuzz -B "$build" -DHOLDFAST_WERROR=OFF >"$build/logs/configure" 2>&1 || { cat "$build/logs/configure"; exit 1; }
cmake --build "$build" --target fuzzers >"$build/logs/build" 2>&1 || { cat "$build/logs/build"; exit 1; }
"$build/fuzzers/hf-fuzz-seeds" "$build/seeds"
# Chains of public suites, where their cases are there.
tests/conformance/x509/suites.py --fuzz-inputs "$build/seeds/chain" 2>/dev/null || true

# ---- run ----------------------------------------------------------------------------------------

# Short stacks and a small quarantine: half as many runs again in the same time.
export ASAN_OPTIONS=detect_leaks=1:malloc_context_size=8:quarantine_size_mb=32
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

dictionary() {
    case $1 in
    url | proxy | http_* | route | config | report_signature) echo "-dict=$here/http.dict" ;;
    endpoint | endpoints) echo "-dict=$here/$1.dict" ;;
    signer | signer_service | report | rollout | rollout_plan | api_request | json | root | timestamp | snapshot | targets | key | description | bundle | key_file | expiry | \
        bundle_file | draft | trusted_set | client | stored | find_target) echo "-dict=$here/json.dict" ;;
    esac
}

# A service logs what it refuses: a line for most inputs. libFuzzer and the sanitizers keep their own output.
quiet() { [ "$1" != signer_service ] || echo "-close_fd_mask=2"; }

# Exit code 0 when nothing was found. Files are named one by one, so that libFuzzer replays them.
run_one() {
    local name=$1 log=$build/logs/$1 program=$build/fuzzers/fuzz-$1 known=() inputs=()
    mapfile -t known < <(find "$here/regressions/$name" -type f 2>/dev/null | sort)
    : >"$log"
    if [ ${#known[@]} -gt 0 ]; then
        "$program" -artifact_prefix="$build/findings/$name-" "${known[@]}" >>"$log" 2>&1 || return 1
    fi
    mkdir -p "$build/corpus/$name"
    for dir in "$here/seeds/$name" "$build/seeds/$name" "$here/regressions/$name"; do
        [ ! -d "$dir" ] || inputs+=("$dir")
    done
    local limit=(-max_total_time="$seconds")
    [ "$seconds" -gt 0 ] || limit=(-runs=0)
    "$program" -artifact_prefix="$build/findings/$name-" -print_final_stats=1 -timeout=10 \
        -rss_limit_mb=2048 -max_len=65536 -len_control=50 $(dictionary "$name") $(quiet "$name") "${limit[@]}" \
        "$build/corpus/$name" "${inputs[@]}" >>"$log" 2>&1
}

for name in "${chosen[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
    { if run_one "$name"; then echo 0; else echo 1; fi >"$build/logs/$name.result"; } &
done
wait

# ---- the table ----------------------------------------------------------------------------------

stat_of() { sed -n "s/^stat::$2: *//p" "$build/logs/$1" | tail -n 1; }
edges_of() { sed -n 's/^#.* cov: \([0-9]*\).*/\1/p' "$build/logs/$1" | tail -n 1; }
found=0
printf '%-14s %10s %8s %8s  %s\n' harness runs runs/s edges findings
for name in "${chosen[@]}"; do
    result=none
    if [ "$(cat "$build/logs/$name.result")" != 0 ]; then
        found=$((found + 1))
        result=$(sed -n 's/.*Test unit written to //p' "$build/logs/$name" | tail -n 1)
        result=${result:-"see $build/logs/$name"}
    fi
    runs=$(stat_of "$name" number_of_executed_units)
    speed=$(stat_of "$name" average_exec_per_sec)
    printf '%-14s %10s %8s %8s  %s\n' "$name" "${runs:--}" "${speed:--}" "$(edges_of "$name")" "$result"
done
for name in "${chosen[@]}"; do
    [ "$(cat "$build/logs/$name.result")" = 0 ] && continue
    echo
    echo "---- $name ($build/logs/$name; again: $build/fuzzers/fuzz-$name FILE)"
    grep -aE 'this does not hold|ERROR:|runtime error|SUMMARY|^[^ ]*:[0-9]+: ' "$build/logs/$name" | tail -n 5
done
echo
echo "$found of ${#chosen[@]} harnesses with a finding"
[ $found -eq 0 ]
