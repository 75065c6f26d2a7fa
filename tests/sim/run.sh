#!/bin/bash
# Simulate rollouts, and draw what they do.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: tests/sim/run.sh [options]

Installs what is missing, builds the release preset, and runs hf-rollout-sim:

  convergence  a good bundle in a fleet of 1,000,000 devices, with each preset of `bundle add --plan`
  harm         bad bundles in the same fleet, with Holdfast's rule, a rule like hawkBit's, and none
  pauses       1,000 runs of 10,000 devices: false pauses of a good bundle, and how soon a bad one pauses
  liars        the same with devices that report what is false

Writes one JSON file for each run or series, summary.json, and three figures (SVG).

  --out DIR      where to (default build/sim)
  --seed N       of the first run (default 1)
  --small        a tenth of the runs and devices, to see whether it works
  --sim PROGRAM  hf-rollout-sim built elsewhere; nothing is installed or built
  --help         this text

Exit code 0 when all of it ran. It takes about half an hour on two cores.
HELP
}

root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/build/sim seed=1 sim= part=1
while [ $# -gt 0 ]; do
    case $1 in
    --out | --seed | --sim)
        [ $# -ge 2 ] || { echo "run.sh: $1 wants a value, see --help" >&2; exit 2; } ;;&
    --out) out=$(realpath -m -- "$2"); shift 2 ;;
    --seed) seed=$2; shift 2 ;;
    --sim) sim=$(realpath -e -- "$2"); shift 2 ;;
    --small) part=10; shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "run.sh: unknown option '$1', see --help" >&2; exit 2 ;;
    esac
done

cd "$root"
if [ -z "$sim" ]; then
    deploy/install-deps.sh --for sim
    cmake --preset release >/dev/null
    cmake --build --preset release --target hf-rollout-sim
    sim=$root/build/release/tests/hf-rollout-sim
fi
mkdir -p "$out"
rm -f "$out"/*.json

plans='careful normal urgent'
jobs=()
# A file NAME.json, and the options that make it.
job() { jobs+=("$*"); }
for plan in $plans; do
    job "convergence-$plan" --plan $plan --devices $((1000000 / part)) --curve
    for scenario in group silencing late; do
        for rule in holdfast hawkbit none; do
            job "harm-$scenario-$plan-$rule" --plan $plan --scenario $scenario --rule $rule \
                --devices $((1000000 / part)) --curve
        done
    done
    for scenario in good group silencing; do
        job "pauses-$scenario-$plan-holdfast" --plan $plan --scenario $scenario --devices 10000 \
            --runs $((1000 / part))
    done
    job "pauses-good-$plan-hawkbit" --plan $plan --rule hawkbit --devices 10000 --runs $((1000 / part))
done
for n in 10 20 50 100 200; do
    job "liars-false-failures-$n" --scenario false-failures --liars $n --devices 10000 --runs $((100 / part))
done
for n in 100 500 1000 2000; do
    job "liars-false-confirmations-$n" --scenario false-confirmations --liars $n --devices 10000 \
        --runs $((100 / part))
done

export sim seed out
printf '%s\n' "${jobs[@]}" | xargs -P "$(nproc)" -I{} bash -c '
    set -- {}
    name=$1
    shift
    "$sim" --seed "$seed" "$@" >"$out/$name.json.part" 2>"$out/$name.log" || { cat "$out/$name.log" >&2; exit 255; }
    mv "$out/$name.json.part" "$out/$name.json"
    rm "$out/$name.log"'
/usr/bin/python3 tests/sim/draw.py "$out"
