#!/bin/bash
# The fleet service, for real, on this machine: a device enrols, updates over mutual TLS, rotates its certificate,
# and is shut out.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: deploy/quickstart-fleet.sh [--dir DIR] [--bin DIR]

Installs what is missing, builds, and runs the fleet service once: a signer that holds the keys, a server
without any, an operator, and a device. Each step explains itself and shows its commands.

  --dir DIR  folder of the example (default build/quickstart-fleet). It is deleted and made again on each
             run, and kept afterwards. A folder that this script did not make is not touched.
  --bin DIR  take the programs from there; installs and builds nothing
  --help     this text

Needs Debian 12 or 13, and root or sudo if packages are missing. All its processes are stopped when
it ends. Exit code 0 only if every step succeeded.
HELP
}

repo_root=$(cd "$(dirname "$0")/.." && pwd)
dir=$repo_root/build/quickstart-fleet
bin=''
while [ $# -gt 0 ]; do
    case $1 in
    --dir | --bin)
        [ $# -ge 2 ] || { echo "quickstart-fleet.sh: $1 wants a folder, see --help" >&2; exit 2; } ;;&
    --dir) dir=$2; shift 2 ;;
    --bin) bin=$(realpath -m -- "$2"); shift 2 ;;
    --help | -h) usage; exit 0 ;;
    *) echo "quickstart-fleet.sh: unknown option '$1', see --help" >&2; exit 2 ;;
    esac
done

# Paths are shown as they can be typed from the project's folder.
dir=$(realpath -m --relative-base="$repo_root" -- "$dir")
[ -z "$bin" ] || bin=$(realpath -m --relative-base="$repo_root" -- "$bin")
cd "$repo_root"

name=quickstart-fleet n_steps=11
. deploy/quickstart-steps.sh

# ---- the steps ----------------------------------------------------------------------------------

publish_version_1() {
    step "Make keys and a first bundle, at the publisher's desk" \
        "As in deploy/quickstart.sh. The offline keys never leave the desk; the service gets the online ones."
    run "$bin/holdfastctl" init --repo "$top/repo" --keys "$top/keys" --insecure-no-passphrase
    certificates=()
    want_roots 'Amazon Root CA 1'
    run "$bin/holdfastctl" bundle add --repo "$top/repo" --keys "$top/keys" --set amazon-iot \
        --profile full "${certificates[@]}"
}

# What a company has already: a CA for its servers, and the certificate of this one.
make_server_certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=Servers" \
        -keyout "$top/servers.key" -out "$top/servers.pem"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=localhost" \
        -keyout "$top/server.key" -out "$top/server.csr"
    openssl x509 -req -in "$top/server.csr" -CA "$top/servers.pem" -CAkey "$top/servers.key" -days 30 \
        -extfile <(printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n') \
        -out "$top/server.pem"
}

configure() {
    step "Configure the service" \
        "One file for both processes. deploy/holdfast.conf is the same with every setting explained."
    make_server_certificate >>"$log" 2>&1
    cat >"$top/holdfast.conf" <<END
[repository]
path = $top/repo
[devices]
listen = 127.0.0.1:0
certificate = $top/server.pem
key = $top/server.key
[admin]
socket = $top/admin.sock
[database]
path = $top/fleet.db
[signer]
socket = $top/signer.sock
client_user = $(id -un)
state = $top/signer
keys = $top/keys
END
    run cat "$top/holdfast.conf"
    run "$bin/holdfastd" --check-config "$top/holdfast.conf"
}

start_service() {
    step "Start the signer and the server" \
        "The signer has the keys and no network. The server has the network and no key that signs."
    run "$bin/holdfast-signer" init --config "$top/holdfast.conf"
    log_key=$(tail -n 1 "$log" | tr -d " ")
    run "$bin/holdfast-signer" ca new pumps-2026 --account pumps --config "$top/holdfast.conf"
    start "$signer_log" "$bin/holdfast-signer" run --config "$top/holdfast.conf"
    wait_for "$signer_log" "waiting for requests"
    start "$server_log" "$bin/holdfastd" --config "$top/holdfast.conf"
    wait_for "$server_log" "listening for devices"
    port=${said##*:}
    port=${port%% *}
    url=https://localhost:$port
    wait_for "$server_log" "serving timestamp"
}

admin() { run "$bin/holdfast-admin" "$@" --config "$top/holdfast.conf"; }

prepare_account() {
    step "As the operator: an account, its CA, and a token for one device" \
        "An account is a fleet that is told apart from all others, by the name that its devices ask for."
    admin account create pumps --sni localhost
    admin ca register --account pumps --signer-ca pumps-2026
    show "$bin/holdfast-admin" enroll-token create --account pumps --config "$top/holdfast.conf" --json
    (umask 077 && "$bin/holdfast-admin" enroll-token create --account pumps \
        --config "$top/holdfast.conf" --json | sed -n 's/.*"token": "\(.*\)".*/\1/p' >"$top/token")
}

enroll_device() {
    step "As the device: enrol" \
        "It makes a key that never leaves it, and gets a certificate for it."
    run "$bin/holdfast" --state "$top/device" init --root "$top/repo/metadata/1.root.json" --url "$url" \
        --server-ca "$top/servers.pem" --set amazon-iot --profile full --device-id pump-7
    run "$bin/holdfast" --state "$top/device" enroll --token-file "$top/token"
    admin credential list --account pumps
}

update_device() {
    step "Update over mutual TLS" "The certificate says who is there; what is trusted follows from signatures."
    run "$bin/holdfast" --state "$top/device" update
    run "$bin/holdfast" --state "$top/device" status
}

rotate() {
    step "Rotate the device's certificate" \
        "A new key, a request that the old key signs, a connection that proves the new one; then it counts."
    run "$bin/holdfast" --state "$top/device" rotate
    admin credential list --account pumps
}

publish_version_2() {
    step "Publish version 2: signed at the desk, published by the signer" \
        "The desk signs a copy without the online keys. The signer takes over what the offline keys signed."
    cp -r "$top/repo" "$top/desk"
    mkdir -p "$top/desk-keys"
    cp -r "$top/keys/offline" "$top/desk-keys/offline"
    want_roots 'Amazon Root CA [234]'
    run "$bin/holdfastctl" bundle add --repo "$top/desk" --keys "$top/desk-keys" --set amazon-iot \
        --profile full "${certificates[@]}"
    admin publish "$top/desk"
    wait_for "$server_log" "serving timestamp 3"
    run "$bin/holdfast" --state "$top/device" update
}

revoke() {
    local credential
    step "Shut the device out" "As after a theft. Open connections end within a second, new ones are refused."
    for credential in $("$bin/holdfast-admin" credential list --account pumps \
        --config "$top/holdfast.conf" --json | sed -n 's/.*"sha256": "\(.*\)".*/\1/p'); do
        admin credential revoke --account pumps "$credential"
    done
    show "$bin/holdfast" --state "$top/device" update
    if "$bin/holdfast" --state "$top/device" update >"$top/refused" 2>&1; then
        cat "$top/refused"
        say "the update should have been refused" >&2
        return 1
    fi
    tee -a "$log" <"$top/refused" | sed 's/^/    /'
    grep -q 'revoked' "$top/refused"
}

verify_log() {
    step "Verify the audit log" "Each entry hangs on the one before; the signer seals it every hour."
    show "$bin/holdfast-admin" log export --config "$top/holdfast.conf"
    "$bin/holdfast-admin" log export --config "$top/holdfast.conf" >"$top/log.jsonl"
    run tail -n 2 "$top/log.jsonl"
    run "$bin/holdfast-admin" log verify "$top/log.jsonl" --key "$log_key"
    stop_all
    printf '\n%sDone in %d s; every process has ended.%s\n\n' "$bold" $SECONDS "$plain"
    cat <<END
What to try next
  Run it as services:                  deploy/systemd, deploy/README.md
  See every command of the operator:   $bin/holdfast-admin --help
  Read the API that it uses:           schema/openapi.yaml
END
}

top=$(realpath -- "$dir")
server_log=$top/holdfastd.log signer_log=$top/holdfast-signer.log
install_and_build holdfast holdfastctl holdfastd holdfast-signer holdfast-admin
publish_version_1
configure
start_service
prepare_account
enroll_device
update_device
rotate
publish_version_2
revoke
verify_log
