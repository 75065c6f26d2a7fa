#!/bin/sh
# make-man.sh PROGRAM SECTION VERSION: a manual page on standard output, made of what PROGRAM says of
# itself with --help, and with COMMAND --help for each of its commands.
set -eu
[ $# -eq 3 ] || { echo "make-man.sh PROGRAM SECTION VERSION" >&2; exit 2; }
program=$1 section=$2 version=$3
here=$(dirname -- "$0")
help=$("$program" --help)

commands() { # names, one a line
    printf '%s\n' "$help" | sed -n '/^Commands:/,/^$/ s/^  \([a-z][a-z -]*[a-z]\)  .*/\1/p'
}

{
    printf '%s\n' "$help"
    commands | while read -r command; do
        printf '\f%s\n' "$command"
        # shellcheck disable=SC2086 # a command may be two words
        "$program" $command --help </dev/null
    done
} | awk -v name="$(basename -- "$program")" -v section="$section" -v version="$version" \
    -f "$here/help-to-man.awk"
