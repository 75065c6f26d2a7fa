#!/bin/bash
# Measure Holdfast against its peers: ratios, both sides in one run.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: tests/bench/run.sh [options]

Installs what is missing, builds the release preset, and measures, each pair in alternating rounds
with the median of the rounds' ratios:

  server   holdfastd (1 loop) against nginx (1 worker) serving the same timestamp.json (wrk)
  tls      server/http with TLS (1 loop) against nginx (1 worker): handshakes a CPU second of the
           server, memory of 10,000 idle connections
  reports  a signed report to holdfastd, on disk, against a request over a fresh mutual-TLS handshake
           to nginx: CPU time of the server
  update   `holdfast update` on a new device against python-tuf's client: wall and CPU time, memory;
           and the memory of swaps from and to all of Debian's roots
  core     requests, heap and signature verifications of a cold update and of an unchanged check
  heap     the memory of a whole device, given metadata that is signed to use it up
  store    the live trust store's look-up and memory against Mbed TLS's parsed chain
  swap     10,000 handshakes on 4 threads over 1,000 swaps: failures, and a reader's wait
  size     code of the agent and of libholdfast (`size`), memory of the agent
  publish  Mozilla's whole set as one more version: holdfastctl against openssl, which verifies the
           same roots and does no more; and the whole of it with sealed keys
  lists    each list, number and audit of a large fleet: CPU time, and look-ups meanwhile
  report-wait  how long a report waits until it is on disk, while operators list the fleet

  --json FILE    what was measured, as JSON (default build/bench.json)
  --seconds S    length of one wrk run (default 3)
  --rounds N     rounds of each pair (default 5)
  --devices N    devices of the parts lists and report-wait, which takes 100,000 at most
                 (default 100000)
  --only PART    server, tls, reports, update, core, heap, store, swap, size, publish, lists or
                 report-wait; may be repeated
  --bin DIR      programs built elsewhere, nothing is installed or built
  --help         this text

Exit code 0 when everything could be measured that is here; goals that are missed are shown, not
failed: a busy machine must not look like a slow program.
HELP
}

root=$(cd "$(dirname "$0")/../.." && pwd)
json=$root/build/bench.json bin= pass=()
while [ $# -gt 0 ]; do
    case $1 in
    --json | --seconds | --rounds | --devices | --only | --bin)
        [ $# -ge 2 ] || { echo "run.sh: $1 wants a value, see --help" >&2; exit 2; } ;;&
    --json) json=$(realpath -m -- "$2"); shift 2 ;;
    --bin) bin=$(realpath -e -- "$2"); shift 2 ;;
    --seconds | --rounds | --devices | --only) pass+=("$1" "$2"); shift 2 ;;
    --help | -h) usage; exit 0 ;;
    *) echo "run.sh: unknown option '$1', see --help" >&2; exit 2 ;;
    esac
done

cd "$root"
if [ -z "$bin" ]; then
    deploy/install-deps.sh --for bench
    cmake --preset release >/dev/null
    cmake --build --preset release --target holdfast holdfast_shared holdfastctl holdfastd \
        holdfast-signer holdfast-admin bench
    # The part `heap` is a test and `tls` a test's server, which need cmocka.
    cmake --build --preset release --target attack_test_heap hf-tls-serve || true
    bin=$root/build/release/bin
fi
# python-tuf, where Python does not find one by itself.
fetched=$(deploy/install-deps.sh --print-prefix | sed -n 's/^PYTHON_TUF=//p') || true
export PYTHONPATH=${PYTHONPATH:-}${fetched:+:$fetched} PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 tests/bench/bench.py --bin "$bin" --json "$json" "${pass[@]}"
