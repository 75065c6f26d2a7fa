#!/bin/bash
# List the tests that were skipped, and which of them tests/skips.txt does not allow.
#
#   tests/skips.sh LOG...    logs of ctest (LastTest.log) and of tests/lint/run.sh
#
# Prints a line for each: "skipped COUNT: TEST: REASON", or with ", not listed" after the count.
set -euo pipefail
list=$(dirname "$0")/skips.txt

# Print "COUNT TEST: REASON". ctest keeps to itself what its tests skip: pytest's summary has
# "SKIPPED [COUNT] FILE:LINE: REASON"; cmocka names a skipped test twice, the first time below its reason.
find_skips() {
    awk '
        /^[0-9]+\/[0-9]+ Testing: / { test = $3 }
        /^SKIPPED \[[0-9]+\] / {
            count = substr($2, 2) + 0
            sub(/^SKIPPED \[[0-9]+\] [^ ]*: /, "")
            print count, test ": " $0
        }
        /^\[  SKIPPED \] [A-Za-z_]/ && !seen[test, $4]++ {
            print 1, test ": " $4 (last ~ /^\[/ ? "" : ": " last)
        }
        /^lint: skipped: / { sub(/^lint: skipped: /, ""); print 1, "lint: " $0 }
        { last = $0 }' "$@" | sort -k2
}

# A line of tests/skips.txt is a pattern for the beginning of "TEST: REASON".
is_allowed() { # test and reason
    local line
    while IFS= read -r line; do
        case $line in '' | '#'*) continue ;; esac
        [[ $1 != $line* ]] || return 0
    done <"$list"
    return 1
}

find_skips "$@" | while read -r count what; do
    listed=
    is_allowed "$what" || listed=", not listed"
    echo "skipped $count$listed: $what"
done
