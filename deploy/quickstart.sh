#!/bin/bash
# The main job, for real, on this machine: from nothing to a device with new roots of trust.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: deploy/quickstart.sh [--dir DIR] [--bin DIR]

Installs what is missing, builds, and runs the whole example once: a publisher signs the Amazon
roots, a server hands them out, a device installs them into its trust store, and then a newer version.
Each step explains itself and shows its commands.

  --dir DIR  folder of the example (default build/quickstart). It is deleted and made again on each
             run, and kept afterwards. A folder that this script did not make is not touched.
  --bin DIR  take the programs from there; installs and builds nothing
  --help     this text

Needs Debian 12 or 13, and root or sudo if packages are missing. All its processes are stopped when
it ends. Exit code 0 only if every step succeeded.
HELP
}

repo_root=$(cd "$(dirname "$0")/.." && pwd)
dir=$repo_root/build/quickstart
bin=''
while [ $# -gt 0 ]; do
    case $1 in
    --dir | --bin)
        [ $# -ge 2 ] || { echo "quickstart.sh: $1 wants a folder, see --help" >&2; exit 2; } ;;&
    --dir) dir=$2; shift 2 ;;
    --bin) bin=$(realpath -m -- "$2"); shift 2 ;;
    --help | -h) usage; exit 0 ;;
    *) echo "quickstart.sh: unknown option '$1', see --help" >&2; exit 2 ;;
    esac
done

# Paths are shown as they can be typed from the project's folder.
dir=$(realpath -m --relative-base="$repo_root" -- "$dir")
[ -z "$bin" ] || bin=$(realpath -m --relative-base="$repo_root" -- "$bin")
cd "$repo_root"

roots_table=deploy/roots/amazon.txt
roots_folder=/usr/share/ca-certificates/mozilla
log=$dir/quickstart.log
n_steps=8

# ---- how it talks -------------------------------------------------------------------------------

bold='' dim='' red='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'
fi

say() { printf '%s\n' "$*"; }

step_number=0 step_title=''
step() { # title, then lines of why
    step_number=$((step_number + 1)) step_title=$1
    printf '\n%s%d/%d  %s%s\n' "$bold" $step_number $n_steps "$1" "$plain"
    shift
    printf '     %s\n' "$@"
    say
}

# The command line as a person would type it. Where it gets long it is broken, but never between an
# option and its value.
show() {
    local line='' out='' word is_value=no
    for word in "$@"; do
        case $word in *[^A-Za-z0-9_./:=,@%+-]*) word=${word@Q} ;; esac
        if [ $is_value = no ] && [ -n "$line" ] && [ $((${#line} + ${#word})) -gt 70 ]; then
            out+="$line \\"$'\n' line="      $word"
        else
            line+=${line:+ }$word
        fi
        case $word in --*) is_value=yes ;; *) is_value=no ;; esac
    done
    printf '%s\n' "$out$line" | tee -a "$log" | sed "1s/^/  $dim\$$plain /; 2,\$s/^/  /"
}

# What a program says goes to the terminal, indented, and to the log.
run() {
    show "$@"
    "$@" 2>&1 | tee -a "$log" | sed 's/^/    /'
}

quietly() {
    show "$@"
    "$@" >>"$log" 2>&1 || { tail -n 20 "$log" >&2; return 1; }
}

# ---- what must happen however it ends -----------------------------------------------------------

server_pid=
stop_server() {
    [ -n "$server_pid" ] || return 0
    kill "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=
}

finish() {
    local code=$?
    trap - EXIT
    stop_server
    if [ $code -ne 0 ]; then
        printf '\n%squickstart: step %d (%s) failed; the log is %s%s\n' "$red" $step_number \
            "$step_title" "$log" "$plain" >&2
    fi
    exit $code
}
interrupted() { trap '' INT TERM HUP; exit "$1"; }

# ---- the steps ----------------------------------------------------------------------------------

marker=.made-by-quickstart
make_folder() {
    if [ -e "$dir" ] && [ ! -e "$dir/$marker" ] && [ -n "$(ls -A "$dir" 2>&1)" ]; then
        say "quickstart.sh: $dir is not empty and not ours; name another folder with --dir" >&2
        exit 2
    fi
    rm -rf "$dir"
    mkdir -p "$dir"
    touch "$dir/$marker" "$log"
}

install_and_build() {
    if [ -n "$bin" ]; then
        step "Take the programs from $bin" "Nothing is installed or built."
        return
    fi
    bin=build/bin
    step "Install what is missing, and build" \
        "Debian packages, and a private Mbed TLS in a cache. The first time takes a minute or two."
    run deploy/install-deps.sh
    quietly cmake --preset release
    quietly cmake --build --preset release --target holdfast holdfastctl holdfastd
}

make_keys() {
    step "Make the publisher's keys and an empty repository" \
        "Three root keys, of which any two can sign: one may be lost, one may be stolen. offline/ (root," \
        "targets) belongs on a stick in a safe, online/ (snapshot, timestamp) on the publishing machine."
    (umask 077 && head -c 18 /dev/urandom | base64 >"$passphrase")
    run "$bin/holdfastctl" init --repo "$repository" --keys "$keys" \
        --root-keys 3 --root-threshold 2 --passphrase-file "$passphrase"
}

der_sha256() { sed '/^-----/d' "$1" | base64 -d | sha256sum | cut -d' ' -f1; }

# Fills `certificates` with the files of the roots whose names match, if they are what they should be.
want_roots() { # pattern
    local sha256 file name found
    while read -r sha256 _ _ _ file name; do
        # shellcheck disable=SC2254  # a pattern
        case $name in $1) ;; *) continue ;; esac
        found=$(der_sha256 "$roots_folder/$file")
        if [ "$found" != "$sha256" ]; then
            say "$roots_folder/$file: expected SHA-256 $sha256, found $found" >&2
            return 1
        fi
        say "    as expected  ${sha256:0:16}…  $name"
        certificates+=("$roots_folder/$file")
    done < <(grep -v '^#' $roots_table)
    say
}

publish() {
    run "$bin/holdfastctl" bundle add --repo "$repository" --keys "$keys" \
        --passphrase-file "$passphrase" --set amazon-iot --profile full "${certificates[@]}"
}

publish_version_1() {
    step "Publish Amazon Root CA 1 to 4 as version 1" \
        "Debian ships them. Their fingerprints are compared with $roots_table, then the" \
        "bundle is signed: targets, snapshot and timestamp."
    certificates=()
    want_roots 'Amazon Root CA *'
    publish
    say
    run "$bin/holdfastctl" check --repo "$repository"
}

start_server() {
    step "Start the server" \
        "It serves the repository, holds no key, and sees by itself when something is published."
    show "$bin/holdfastd" --repo "$repository" --listen 127.0.0.1:0
    : >"$server_log" # the shell may be late to make it for a program in the background
    "$bin/holdfastd" --repo "$repository" --listen 127.0.0.1:0 2>"$server_log" &
    server_pid=$!
    wait_for_server "listening on"
    url=${said#*listening on }
    url=${url%% *}
}

# Wait until its log has a line with these words; `said` is that line.
wait_for_server() { # words
    local i
    for ((i = 0; i < 200; i++)); do
        if said=$(grep -m 1 -F -- "$1" "$server_log"); then
            say "    $said"
            return 0
        fi
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.05
    done
    cat "$server_log" >&2
    return 1
}

set_up_device() {
    step "Set up a device" \
        "It is given the first root metadata, which is all the trust it needs, and an address." \
        "It also keeps its roots as PEM in a file, for programs that do not use the library."
    run "$bin/holdfast" --state "$device" init --root "$repository/metadata/1.root.json" \
        --url "$url" --set amazon-iot --profile full --device-id quickstart --export "$dir/roots.pem"
}

update_device() {
    step "Update the device" \
        "Signatures, versions, hashes and certificates are checked; then the new trust store is" \
        "swapped in as one transaction."
    run "$bin/holdfast" --state "$device" update
    run "$bin/holdfast" --state "$device" status
    run grep -c 'BEGIN CERTIFICATE' "$dir/roots.pem"
}

publish_version_2() {
    step "Publish version 2, with Starfield Services G2 added" \
        "AWS advises to hold it too: Amazon's roots are cross-signed by it."
    want_roots 'Starfield Services *'
    publish
    wait_for_server "serving timestamp 3"
}

update_device_again() {
    step "Update the device again: old and new" \
        "A second update right after finds nothing to do. The exported PEM has followed by itself."
    run "$bin/holdfast" --state "$device" update
    run "$bin/holdfast" --state "$device" update
    run "$bin/holdfast" --state "$device" status
    run grep -c 'BEGIN CERTIFICATE' "$dir/roots.pem"
}

say_goodbye() {
    stop_server
    printf '\n%sDone in %d s; every process has ended.%s\n\n' "$bold" $SECONDS "$plain"
    cat <<END
What to try next
  Serve it again, and update from another terminal:
      $bin/holdfastd --repo $repository --listen ${url#http://}
      $bin/holdfast --state $device update
  Look at what a server presents, and whether this device would trust it:
      $bin/holdfast probe --state $device YOUR-ENDPOINT-ats.iot.eu-central-1.amazonaws.com:8883
  Read what a device reads:            ls $repository/metadata $repository/targets
  Break something and see it refused:  change a byte of $repository/metadata/timestamp.json, update
  Learn what else there is to say:     $bin/holdfastctl bundle add --help, $bin/holdfast init --help
  Follow one bundle through the code:  README.md
  Run every test:                      tests/run.sh
END
}

make_folder
trap finish EXIT
trap 'interrupted 130' INT
trap 'interrupted 143' TERM HUP

repository=$dir/repository keys=$dir/keys device=$dir/device passphrase=$dir/passphrase
server_log=$dir/holdfastd.log
install_and_build
# From here on everything talks to this machine only.
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
make_keys
publish_version_1
start_server
set_up_device
update_device
publish_version_2
update_device_again
say_goodbye
