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

name=quickstart n_steps=8
. deploy/quickstart-steps.sh

# ---- the steps ----------------------------------------------------------------------------------

make_keys() {
    step "Make the publisher's keys and an empty repository" \
        "Three root keys, of which any two can sign: one may be lost, one may be stolen. offline/ (root," \
        "targets) belongs on a stick in a safe, online/ (snapshot, timestamp) on the publishing machine."
    (umask 077 && head -c 18 /dev/urandom | base64 >"$passphrase")
    run "$bin/holdfastctl" init --repo "$repository" --keys "$keys" \
        --root-keys 3 --root-threshold 2 --passphrase-file "$passphrase"
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
    start "$server_log" "$bin/holdfastd" --repo "$repository" --listen 127.0.0.1:0
    wait_for "$server_log" "listening on"
    url=${said#*listening on }
    url=${url%% *}
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
    wait_for "$server_log" "serving timestamp 3"
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
    stop_all
    printf '\n%sDone in %d s; every process has ended.%s\n\n' "$bold" $SECONDS "$plain"
    cat <<END
What to try next
  Serve it again, and update from another terminal:
      $bin/holdfastd --repo $repository --listen ${url#http://}
      $bin/holdfast --state $device update
  Look at what a server presents, and whether this device would trust it:
      $bin/holdfast probe --state $device YOUR-ENDPOINT-ats.iot.eu-central-1.amazonaws.com:8883
  Read what a device reads:            ls $repository/metadata $repository/targets
  Break something:                     change a byte of $repository/metadata/timestamp.json;
      holdfastd says why it serves the old file, and devices stay as they are
  Read about every option:             $bin/holdfastctl bundle add --help, $bin/holdfast init --help
  Follow one bundle through the code:  CONTRIBUTING.md
  Run every test:                      tests/run.sh
END
}

repository=$dir/repository keys=$dir/keys device=$dir/device passphrase=$dir/passphrase
server_log=$dir/holdfastd.log
install_and_build holdfast holdfastctl holdfastd
make_keys
publish_version_1
start_server
set_up_device
update_device
publish_version_2
update_device_again
say_goodbye
