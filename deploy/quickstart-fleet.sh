#!/bin/bash
# The fleet service, for real, on this machine: a device enrols, updates over mutual TLS, rotates its certificate,
# reports, refuses a bundle that would cut it off, which ends in an alert, and is shut out. Then two bundles roll out to 20
# agents: a bad one, which stops by itself, and a good one.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: deploy/quickstart-fleet.sh [--dir DIR] [--bin DIR]

Installs what is missing, builds, and runs the fleet service once: a signer that holds the keys, a server
without any, an operator, devices, and Prometheus, which raises an alert. Then bundles roll out in stages to
20 more devices. Each step explains itself and shows its commands.

  --dir DIR  folder of the example (default build/quickstart-fleet). It is deleted and made again on each
             run, and kept afterwards. A folder that this script did not make is not touched.
  --bin DIR  take the programs from there; installs and builds nothing. Without Prometheus the step
             with the alert is left out, and says so.
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

name=quickstart-fleet n_steps=20
. deploy/quickstart-steps.sh

# ---- the steps ----------------------------------------------------------------------------------

publish_version_1() {
    step "Make keys and a first bundle, at the publisher's desk" \
        "As in deploy/quickstart.sh. The offline keys never leave the desk; the service gets the online ones."
    run "$bin/holdfastctl" init --repo "$top/repo" --keys "$top/keys" --insecure-no-passphrase \
        --rollout amazon-iot
    certificates=()
    want_roots 'Amazon Root CA 1'
    run "$bin/holdfastctl" bundle add --repo "$top/repo" --keys "$top/keys" --set amazon-iot \
        --profile full "${certificates[@]}"
}

# What a company has already: a CA for its servers, and the certificate of this one.
make_server_certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Servers" \
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
listen = 127.0.0.1:0
certificate = $top/server.pem
key = $top/server.key
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
    said=$(grep -m 1 -F "for operators on https://" "$server_log")
    operators_port=${said##*127.0.0.1:}
    operators_port=${operators_port%% *}
}

admin() { run "$bin/holdfast-admin" "$@" --config "$top/holdfast.conf"; }

# Shown without the token, which is a secret.
make_token() { # options
    show "$bin/holdfast-admin" enroll-token create --account pumps "$@" --config "$top/holdfast.conf" --json
    (umask 077 && "$bin/holdfast-admin" enroll-token create --account pumps "$@" \
        --config "$top/holdfast.conf" --json | sed -n 's/.*"token": "\(.*\)".*/\1/p' >"$top/token")
}

prepare_account() {
    step "As the operator: an account, its CA, and a token for one device" \
        "An account is a fleet that is told apart from all others, by the name that its devices ask for."
    admin account create pumps --sni localhost
    admin ca register --account pumps --signer-ca pumps-2026
    make_token
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

# Sign the next version on a copy of the repository without the online keys, and have it published.
publish_from_desk() { # PROFILE, words of `bundle add`
    local profile=$1
    shift
    rm -rf "$top/desk" "$top/desk-keys"
    cp -r "$top/repo" "$top/desk"
    mkdir -p "$top/desk-keys"
    cp -r "$top/keys/offline" "$top/desk-keys/offline"
    run "$bin/holdfastctl" bundle add --repo "$top/desk" --keys "$top/desk-keys" --set amazon-iot \
        --profile "$profile" "$@"
    admin publish "$top/desk"
}

# Run what must fail, with these words.
refused() { # WORDS PROGRAM…
    local words=$1
    shift
    show "$@"
    if "$@" >"$top/refused" 2>&1; then
        cat "$top/refused"
        say "this should have been refused" >&2
        return 1
    fi
    tee -a "$log" <"$top/refused" | sed 's/^/    /'
    grep -q -F -- "$words" "$top/refused"
}

report() {
    step "Have the device report" \
        "What it installs, refuses and rolls back, and once a day what it uses. A report is a hint: it decides" \
        "nothing about trust."
    run "$bin/holdfast" --state "$top/device" config set report service
    run "$bin/holdfast" --state "$top/device" update
}

publish_version_2() {
    step "Publish version 2: signed at the desk, published by the signer" \
        "The desk signs a copy without the online keys. The signer takes over what the offline keys signed."
    want_roots 'Amazon Root CA [234]'
    publish_from_desk full "${certificates[@]}"
    wait_for "$server_log" "serving timestamp 3"
    run "$bin/holdfast" --state "$top/device" update
    run "$bin/holdfast" --state "$top/device" update
}

refuse_version_2() {
    step "A second device, which version 2 would cut off" \
        "It left the factory with the root of the company's own servers, and must always reach this one. That" \
        "root is missing in version 2. The device asks the server before it installs, and refuses."
    run "$bin/holdfast" --state "$top/device-8" init --root "$top/repo/metadata/1.root.json" --url "$url" \
        --server-ca "$top/servers.pem" --set amazon-iot --profile full --device-id pump-8 \
        --bundle "$top/servers.pem" --endpoint "tls://localhost:$port" --report service
    make_token
    run "$bin/holdfast" --state "$top/device-8" enroll --token-file "$top/token"
    refused "is missing" "$bin/holdfast" --state "$top/device-8" update
}

# Wait until a command prints these words; `said` is what it printed.
wait_until_printed() { # WORDS PROGRAM…
    local words=$1 i
    shift
    for ((i = 0; i < 300; i++)); do
        said=$("$@" 2>&1) || true
        case $said in *"$words"*) return 0 ;; esac
        sleep 0.2
    done
    say "waited in vain for \"$words\"; the last answer was: $said" >&2
    return 1
}

find_out() {
    step "As the operator: what is wrong?" \
        "Audits run every hour, and now. A finding stays open until its reason is gone."
    admin audit run DEVICE_UPDATE_FAILED
    wait_until_printed DEVICE_UPDATE_FAILED "$bin/holdfast-admin" finding list --config "$top/holdfast.conf"
    admin finding list
    admin finding show "$("$bin/holdfast-admin" finding list --check DEVICE_UPDATE_FAILED \
        --config "$top/holdfast.conf" --json | sed -n 's/.*"id": \([0-9]*\).*/\1/p' | head -n 1)"
}

explain_device() {
    step "The devices' history, and why one is not updated" "From what it reported, and what is published."
    admin fleet show --account pumps
    admin device list --account pumps --result refused
    admin device reports --account pumps pump-7
    admin device reports --account pumps pump-8
    admin device explain --account pumps pump-8
}

raise_alert() {
    local rules=$top/prometheus/holdfast.rules.yml
    step "An alert in Prometheus" \
        "It reads /metrics with a token that may only look, and knows the rules of deploy/prometheus. Here" \
        "alerts wait a second, and not minutes, before they fire."
    if ! command -v prometheus >/dev/null; then
        say "    left out: prometheus is not installed (deploy/install-deps.sh --prometheus)"
        return 0
    fi
    mkdir "$top/prometheus"
    (umask 077 && "$bin/holdfast-admin" token create prometheus --role viewer \
        --config "$top/holdfast.conf" --json | sed -n 's/.*"token": "\(.*\)".*/\1/p' >"$top/prometheus/token")
    sed -E 's/^( *for:) [0-9]+[mh]$/\1 1s/' deploy/prometheus/holdfast.rules.yml >"$rules"
    cat >"$top/prometheus/prometheus.yml" <<END
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [holdfast.rules.yml]
scrape_configs:
  - job_name: holdfast
    scheme: https
    authorization: {credentials_file: token}
    tls_config: {ca_file: $top/servers.pem}
    static_configs: [{targets: ["localhost:$operators_port"]}]
END
    run cat "$top/prometheus/prometheus.yml"
    start "$prometheus_log" prometheus --config.file="$top/prometheus/prometheus.yml" \
        --storage.tsdb.path="$top/prometheus/data" --web.listen-address=127.0.0.1:0
    wait_for "$prometheus_log" 'msg="Listening on"'
    local url=http://127.0.0.1:${said##*:}
    local query='ALERTS{alertstate="firing", alertname="HoldfastFinding"}'
    wait_until_printed DEVICE_UPDATE_FAILED promtool query instant "$url" "$query"
    run promtool query instant "$url" "$query"
}

publish_version_3() {
    step "Publish version 3, with that root" \
        "It is in no table of known roots, so it is named by its fingerprint. The device updates, and the finding" \
        "is closed."
    publish_from_desk full --pin "$(der_sha256 "$top/servers.pem")" "${certificates[@]}" "$top/servers.pem"
    wait_for "$server_log" "serving timestamp 4"
    run "$bin/holdfast" --state "$top/device-8" update
    admin audit run DEVICE_UPDATE_FAILED
    wait_until_printed DEVICE_UPDATE_FAILED "$bin/holdfast-admin" finding list --state closed \
        --config "$top/holdfast.conf"
    admin finding list --state closed
}

revoke() {
    local credential
    step "Shut the device out" "As after a theft. Open connections end within a second, new ones are refused."
    for credential in $("$bin/holdfast-admin" credential list --account pumps --device pump-7 \
        --config "$top/holdfast.conf" --json | sed -n 's/.*"sha256": "\(.*\)".*/\1/p'); do
        admin credential revoke --account pumps "$credential"
    done
    refused revoked "$bin/holdfast" --state "$top/device" update
}

# ---- 20 agents, and bundles that roll out to them in stages --------------------------------------

n_agents=20 n_lab=4
rollout_to=legacy # their profile
agents() { # FIRST LAST, words of holdfast: all at once
    local first=$1 last=$2 program=$bin/holdfast n running=()
    shift 2
    for ((n = first; n <= last; n++)); do
        "$program" --state "$top/agents/$n" "$@" >>"$log" 2>&1 &
        running+=($!)
    done
    for n in "${running[@]}"; do wait "$n" || true; done
}

# As their timers would have it. The applications of the lab confirm what they get.
check_agents() {
    agents 1 $n_agents update
    agents 1 $n_lab confirm
}

make_agents() {
    local n options
    step "Twenty agents, as they left the factory" \
        "Four are in the lab: they must always reach this service, by the root of the company's own servers."
    mkdir "$top/agents"
    cat "$top/servers.pem" "${certificates[0]}" >"$top/factory.pem"
    for n in $(seq $n_agents); do
        options=()
        [ "$n" -gt $n_lab ] || options=(--group lab --endpoint "tls://localhost:$port")
        "$bin/holdfast" --state "$top/agents/$n" init --root "$top/repo/metadata/1.root.json" --url "$url" \
            --server-ca "$top/servers.pem" --set amazon-iot --profile $rollout_to --device-id "agent-$n" \
            --bundle "$top/factory.pem" --report service "${options[@]}" >>"$log" 2>&1
    done
    make_token --uses $n_lab --group lab
    agents 1 $n_lab enroll --token-file "$top/token"
    make_token --uses $((n_agents - n_lab))
    agents $((n_lab + 1)) $n_agents enroll --token-file "$top/token"
    admin device list --account pumps --group lab
    check_agents # there is nothing for them yet; the service knows now which set and profile they use
    sleep 1 # those that are registered in the second in which a bundle appears do not count
    cat >"$top/plan.json" <<'END'
{"stages": [{"groups": ["lab"], "share": "0%", "bake": "1s"}, {"share": "50%", "bake": "1s"}, {"share": "100%"}],
 "pause": {"failed": "20%", "silent": "20%", "min_count": 1, "silent_after": "1h"},
 "promote": {"confirmed": "90%", "min_count": 1}, "mandatory_after": "30d"}
END
}

stop_bad_bundle() {
    local i
    step "A bad bundle stops by itself" \
        "It lacks that root. The plan is signed offline with it: first the lab, then half of all, then all. The agents" \
        "of the lab refuse it, the service pauses the rollout, and no other agent is touched."
    run cat "$top/plan.json"
    publish_from_desk $rollout_to --plan "$top/plan.json" "${certificates[0]}"
    for ((i = 0; i < 30; i++)); do
        check_agents
        said=$("$bin/holdfast-admin" rollout show "amazon-iot/$rollout_to/1" --config "$top/holdfast.conf" 2>&1) || true
        case $said in *"state           paused"*) break ;; esac
    done
    check_agents
    admin rollout show "amazon-iot/$rollout_to/1"
    admin rollout abort "amazon-iot/$rollout_to/1" --reason "the root of our own servers is missing" --yes
    say "    agents with the bad bundle: $(agents_with 1) of $n_agents"
    [ "$(agents_with 1)" -eq 0 ]
}

agents_with() { # VERSION: how many have it
    local n
    for n in $(seq $n_agents); do
        "$bin/holdfast" --state "$top/agents/$n" status --json |
            sed -n '/"active": {/,/}/s/.*"version": \([0-9]*\).*/\1/p' | head -n 1
    done | grep -c -x "$1" || true
}

roll_out_good_bundle() {
    local i
    step "A good bundle reaches all, stage by stage" \
        "It has the root. A stage opens when the agents before it have confirmed that they reach their endpoints."
    publish_from_desk $rollout_to --plan "$top/plan.json" --pin "$(der_sha256 "$top/servers.pem")" \
        "${certificates[0]}" "$top/servers.pem"
    wait_until_printed "state           open" "$bin/holdfast-admin" rollout show "amazon-iot/$rollout_to/2" \
        --config "$top/holdfast.conf"
    show "$bin/holdfast-admin" rollout watch "amazon-iot/$rollout_to/2" --config "$top/holdfast.conf"
    "$bin/holdfast-admin" rollout watch "amazon-iot/$rollout_to/2" --config "$top/holdfast.conf" \
        > >(tee -a "$log" | sed 's/^/    /') 2>&1 &
    pids+=($!)
    for ((i = 0; i < 30; i++)); do
        check_agents
        kill -0 "${pids[-1]}" 2>/dev/null || break
    done
    wait "${pids[-1]}" # it ends with 0 when the rollout is complete
    unset 'pids[-1]'
    check_agents
    admin rollout list
    say "    agents with the good bundle: $(agents_with 2) of $n_agents"
    [ "$(agents_with 2)" -eq $n_agents ]
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
  Replace a root certificate:          deploy/runbooks/replace-a-root-certificate.md
  What to do when a rollout pauses:    deploy/runbooks/paused-rollout.md
END
}

top=$(realpath -- "$dir")
server_log=$top/holdfastd.log signer_log=$top/holdfast-signer.log prometheus_log=$top/prometheus.log
packages=(--prometheus)
install_and_build holdfast holdfastctl holdfastd holdfast-signer holdfast-admin
publish_version_1
configure
start_service
prepare_account
enroll_device
update_device
rotate
report
publish_version_2
refuse_version_2
find_out
explain_device
raise_alert
publish_version_3
revoke
make_agents
stop_bad_bundle
roll_out_good_bundle
verify_log
