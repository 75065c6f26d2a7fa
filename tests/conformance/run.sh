#!/bin/bash
# Run the public TUF conformance suite against holdfast-conformance, and against python-tuf's client.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: tests/conformance/run.sh [options]

Runs theupdateframework/tuf-conformance against build/bin/holdfast-conformance and then, in the same
run and for comparison, against python-tuf's client, which the suite brings along.

  --suite DIR     a checkout of the suite (default: what HOLDFAST_TUF_CONFORMANCE names)
  --client FILE   the program to test (default build/bin/holdfast-conformance)
  --python FILE   a Python with what the suite needs (default /usr/bin/python3); PYTHONPATH counts,
                  and what deploy/install-deps.sh --for test has fetched
  --peer FILE     another client in python-tuf's place; FILE.xfails lists what it may fail
  --alone         our client only
  --tests WORDS   only the tests that pytest -k WORDS chooses
  --help          this text

Exit code 0 when our client passes every test, 77 when the suite or something it needs is not here.
HELP
}

root=$(cd "$(dirname "$0")/../.." && pwd)
suite=${HOLDFAST_TUF_CONFORMANCE:-} client=$root/build/bin/holdfast-conformance
python=/usr/bin/python3 peer= alone=no choose=()
while [ $# -gt 0 ]; do
    case $1 in
    --suite | --client | --python | --peer | --tests)
        [ $# -ge 2 ] || { echo "run.sh: $1 wants a value, see --help" >&2; exit 2; } ;;&
    --suite) suite=$2; shift 2 ;;
    --client) client=$(realpath -e -- "$2"); shift 2 ;;
    --python) python=$2; shift 2 ;;
    --peer) peer=$(realpath -e -- "$2"); shift 2 ;;
    --tests) choose=(-k "$2"); shift 2 ;;
    --alone) alone=yes; shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "run.sh: unknown option '$1', see --help" >&2; exit 2 ;;
    esac
done

skip() {
    echo "SKIPPED [1] tests/conformance: $*"
    exit 77
}

[ -n "$suite" ] || skip "HOLDFAST_TUF_CONFORMANCE names no checkout of theupdateframework/tuf-conformance"
[ -d "$suite/tuf_conformance" ] || skip "$suite holds no tuf_conformance folder"
[ -x "$client" ] || { echo "run.sh: $client is not built" >&2; exit 1; }
command -v faketime >/dev/null || skip "faketime is missing"

fetched=$("$root/deploy/install-deps.sh" --print-prefix | sed -n 's/^PYTHON_TUF=//p') || true
export PYTHONPATH=${PYTHONPATH:-}${fetched:+:$fetched} PYTHONDONTWRITEBYTECODE=1
tuf_version=$("$python" -c 'import pytest, tuf, tuf.api.metadata; print(tuf.__version__)' 2>/dev/null) ||
    skip "$python finds no pytest or no tuf module that loads"

# faketime preloads a library, which comes before AddressSanitizer's. And a client that refuses ends
# with 1, so one that a sanitizer stopped must not.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0:exitcode=99
export UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}exitcode=99

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Leaves the result in `summary`: "113 passed in 16.02s". True when pytest says that all is well.
run_suite() { # client
    local ok=yes
    "$python" -m pytest -q -p no:cacheprovider "${choose[@]}" "$suite/tuf_conformance" \
        --entrypoint "$1" >"$work/log" 2>&1 || ok=no
    summary=$(grep -E '^=* *[0-9]+ (passed|failed|error|xfailed|skipped|deselected)' "$work/log" |
        tail -n 1 | tr -d '=' | sed 's/^ *//; s/ *$//')
    [ $ok = yes ]
}

result=0
if ! run_suite "$client" || [[ $summary == *xfailed* ]]; then
    cat "$work/log"
    result=1
fi
echo "holdfast: ${summary:-the suite did not finish}"
[ $alone = no ] || exit $result

# Before version 6 python-tuf's client knew no `bootstrap`; None is what it always did then.
if [ -z "$peer" ]; then
    cp "$suite"/clients/python-tuf/python_tuf.py* "$work/"
    [ "${tuf_version%%.*}" -ge 6 ] || sed -i '/^ *bootstrap=None,$/d' "$work/python_tuf.py"
    sed -i "1s|.*|#!$(command -v "$python")|" "$work/python_tuf.py"
    chmod +x "$work/python_tuf.py"
    peer=$work/python_tuf.py
fi
run_suite "$peer" || true
echo "${peer##*/} (python-tuf $tuf_version): ${summary:-the suite did not finish}"
exit $result
