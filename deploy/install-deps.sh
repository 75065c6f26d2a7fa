#!/bin/bash
# Install what Holdfast needs to build, to be tested or to be measured.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: deploy/install-deps.sh [options]

Installs the Debian packages that are missing, and builds a private static Mbed TLS into a cache.
With --for test the cache also gets what the tests compare with: python-tuf, where the system has
none, and Wycheproof's signature vectors. They come from Debian's archive and are not installed.
Works on Debian 12 and 13, as root or with sudo; needs neither when everything is there already.

  --for build|test|bench  what the packages are for (default build; each includes the one before)
  --for sim               to build, and for the figures of tests/sim/run.sh
  --prometheus            install Prometheus too, for deploy/quickstart-fleet.sh
  --variant NAME          Mbed TLS to build: release (default), asan, tsan or fuzz; may be repeated
  --tarball FILE          take the Mbed TLS source from FILE instead of Debian's source archive;
                          it must be the same file, its SHA-256 is checked
  --print-prefix          print where the libraries of --variant are, as KEY=VALUE, and do nothing;
                          exit 1 with a sentence when they are not built. HARDENING has the compiler
                          flags of release builds. PYTHON_TUF and WYCHEPROOF are empty where --for
                          test has not fetched them
  --help                  this text

Environment:
  HOLDFAST_DEPS           the cache folder (default $XDG_CACHE_HOME/holdfast or ~/.cache/holdfast);
                          remove it to fetch and build everything again; CMake reads this too
  CC                      the compiler of release, asan and tsan (default gcc); fuzz uses clang

Services that come with test packages (nginx, mosquitto, Prometheus) are neither started nor enabled.
HELP
}

mbedtls_version=3.6.7
# The upstream tarball, without Debian's patches (one of them removes 3rdparty/, which the build
# needs). The archive's signature is checked by apt; this pin also holds when the file comes from
# elsewhere, and when the archive changes its mind.
mbedtls_sha256=a7e8bcbec0e6f761b4af24f25677626b35f762f68eef79c08677a363212d11f6
mbedtls_tarball_name=mbedtls_$mbedtls_version.orig.tar.bz2
# Where the version may be found, newest first: it moves from unstable through testing to stable.
mbedtls_suites="sid testing stable stable-proposed-updates"

# `a|b` is satisfied by any of them; the first is installed.
# libc6-dev is only recommended by gcc; bzip2 and patch are for the source of Mbed TLS; SQLite's
# archive, for a program that is static throughout, asks for zlib.
build_packages=(gcc libc6-dev cmake ninja-build "pkgconf|pkg-config" bzip2 patch ca-certificates
    libsodium-dev libuv1-dev libsqlite3-dev zlib1g-dev libjansson-dev libpopt-dev
    libp11-kit-dev libssl-dev libinih-dev libcurl4-openssl-dev)
test_packages=(libcmocka-dev g++ python3-pytest python3-cryptography python3-yaml openssl jq prometheus
    "nginx-light|nginx|nginx-core|nginx-full|nginx-extras" mosquitto mosquitto-clients curl procps
    softhsm2 groff-base faketime strace systemd clang libclang-rt-dev clang-format cppcheck)
bench_packages=(wrk)
sim_packages=(python3-matplotlib)
# Packages that the tests compare with and Debian 12 lacks come from this suite, which does not change.
newer_suite=trixie
# Their packages would start them, now and at every boot.
services=(nginx mosquitto prometheus)

root=$(cd "$(dirname "$0")/.." && pwd)
overlay=$root/common/include/holdfast/mbedtls_config.h
mbedtls_patches=("$root"/deploy/mbedtls-*.patch) # one a reason, in the order of their numbers

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# ---- arguments ----------------------------------------------------------------------------------

purpose=build print_prefix=no has_prometheus=no tarball_given= variants=()
while [ $# -gt 0 ]; do
    case $1 in
    --for | --variant | --tarball)
        [ $# -ge 2 ] || die "$1 wants a value, see --help" ;;&
    --for) purpose=$2; shift 2 ;;
    --variant) variants+=("$2"); shift 2 ;;
    --tarball) tarball_given=$(realpath -e -- "$2"); shift 2 ;;
    --prometheus) has_prometheus=yes; shift ;;
    --print-prefix) print_prefix=yes; shift ;;
    --help | -h) usage; exit 0 ;;
    *) die "unknown option '$1', see --help" ;;
    esac
done
[ ${#variants[@]} -gt 0 ] || variants=(release)
for v in "${variants[@]}"; do
    case $v in
    release | asan | tsan | fuzz) ;;
    *) die "--variant is release, asan, tsan or fuzz, not \"$v\"" ;;
    esac
done
debian=$(. /etc/os-release && echo "${ID:-}${VERSION_ID:-}")
# Debian 13 has a python-tuf of its own; what the unpacked one needs on Debian 12 is python3-requests.
if [ "$debian" = debian12 ]; then test_packages+=(python3-requests); else test_packages+=(python3-tuf); fi
case $purpose in
build) packages=("${build_packages[@]}") ;;
test) packages=("${build_packages[@]}" "${test_packages[@]}") ;;
bench) packages=("${build_packages[@]}" "${test_packages[@]}" "${bench_packages[@]}") ;;
sim) packages=("${build_packages[@]}" "${sim_packages[@]}") ;;
*) die "--for is build, test, bench or sim, not \"$purpose\"" ;;
esac
[ $has_prometheus = no ] || packages+=(prometheus)
case " ${variants[*]} " in
*" fuzz "*) packages+=(clang libclang-rt-dev) ;;
esac

command -v dpkg-query >/dev/null || die "this is no Debian system: install by hand what it lists"
[ -n "${HOLDFAST_DEPS:-${XDG_CACHE_HOME:-${HOME:-}}}" ] ||
    die "there is no home folder to cache in: name a folder in HOLDFAST_DEPS"
cache=${HOLDFAST_DEPS:-${XDG_CACHE_HOME:-$HOME/.cache}/holdfast}

# ---- where things are ---------------------------------------------------------------------------

compiler_of() { if [ "$1" = fuzz ]; then echo clang; else echo "${CC:-gcc}"; fi; }

# Where pointers have 32 bits, time_t has 64 on request only; one of 32 ends on 2038-01-19.
time_flags_of() {
    if "$(compiler_of "$1")" -E -dM -x c /dev/null | grep '__SIZEOF_POINTER__ 4$' >/dev/null; then
        echo " -D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64"
    fi
}

# What release builds are hardened with, as far as the compiler has it. CMake uses this, too.
hardening() {
    local cc flags="-fstack-protector-strong" flag level=2
    cc=$(compiler_of release)
    # -fcf-protection exists on x86 only.
    for flag in -fstack-clash-protection -fcf-protection; do
        ! "$cc" -Werror "$flag" -c -x c /dev/null -o /dev/null 2>/dev/null || flags+=" $flag"
    done
    # The C library does not warn about a level that the compiler lacks: it takes a lower one.
    ! echo '#include <features.h>' | "$cc" -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -E -dM -x c - \
        2>/dev/null | grep '__USE_FORTIFY_LEVEL 3$' >/dev/null || level=3
    echo "$flags -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$level"
}

cflags_of() {
    local time
    time=$(time_flags_of "$1")
    case $1 in
    release) echo "-O2 -g $(hardening) -fPIC$time" ;;
    asan) echo "-O1 -g -fno-omit-frame-pointer -fPIC -fsanitize=address,undefined$time" ;;
    tsan) echo "-O1 -g -fno-omit-frame-pointer -fPIC -fsanitize=thread$time" ;;
    fuzz) echo "-O1 -g -fno-omit-frame-pointer -fPIC -fsanitize=address,undefined,fuzzer-no-link$time" ;;
    esac
}

# A library built from another overlay, patch, tarball, flags or compiler is in another folder, so a
# stale one is never picked up. The compiler's own name is cut off: cc and gcc are the same one.
mbedtls_prefix_of() {
    local cc version hash
    cc=$(compiler_of "$1")
    version=$("$cc" --version 2>/dev/null | head -n 1) || return 1
    hash=$({ cat "$overlay" "${mbedtls_patches[@]}"; echo "$mbedtls_sha256 $(cflags_of "$1")"
             echo "${version#* } $("$cc" -dumpmachine)"; } | sha256sum | cut -c1-12)
    echo "$cache/mbedtls-$mbedtls_version-$1-$hash"
}

# Debian 13 and later have libllhttp-dev. Debian 12 has the same C sources inside a Node package;
# unpacked, not installed, because installing it would bring Node along.
llhttp_prefix=$cache/llhttp-$debian
is_llhttp_packaged() { [ -e /usr/include/llhttp.h ]; }
is_llhttp_there() { is_llhttp_packaged || [ -e "$llhttp_prefix/include/llhttp.h" ]; }
[ "$debian" = debian12 ] || packages+=(libllhttp-dev)

python_tuf=$cache/python-tuf-$newer_suite wycheproof=$cache/wycheproof-$newer_suite

if [ $print_prefix = yes ]; then
    for v in "${variants[@]}"; do
        prefix=$(mbedtls_prefix_of "$v") && [ -d "$prefix" ] && is_llhttp_there ||
            die "the libraries for the '$v' build are missing; run: deploy/install-deps.sh --variant $v"
        say "MBEDTLS_PREFIX=$prefix"
    done
    say "MBEDTLS_SHA256=$mbedtls_sha256"
    say "HARDENING=$(hardening)"
    # Empty means: the system's own.
    if is_llhttp_packaged; then say LLHTTP_PREFIX=; else say "LLHTTP_PREFIX=$llhttp_prefix"; fi
    if [ -d "$python_tuf" ]; then say "PYTHON_TUF=$python_tuf"; else say PYTHON_TUF=; fi
    if [ -d "$wycheproof" ]; then say "WYCHEPROOF=$wycheproof"; else say WYCHEPROOF=; fi
    exit 0
fi

# ---- temporary things, always undone ------------------------------------------------------------

tmp=$(mktemp -d)
chmod 755 "$tmp" # apt drops to its own user to download
policy=/usr/sbin/policy-rc.d
policy_saved=$policy.before-holdfast
policy_mark='placed by install-deps.sh'
restore_policy=:
finish() { $restore_policy; rm -rf "$tmp"; }
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

mkdir -p "$cache"
# One run at a time: the second finds what the first made. Both apt and the cache are under it.
exec 9>"$cache/.lock"
flock -n 9 || { say "Waiting for another run of this script"; flock 9; }

# Run quietly; show what was said only when it failed.
quietly() {
    "$@" >"$tmp/log" 2>&1 9>&- && return 0
    tail -n 20 "$tmp/log" >&2
    return 1
}

# ---- packages -----------------------------------------------------------------------------------

is_installed() { # a|b|c
    local p
    for p in ${1//|/ }; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] && return 0
    done
    return 1
}

sudo=()
become_root() {
    [ "$(id -u)" -eq 0 ] && return 0
    command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; } ||
        die "these packages are missing: $*; as root, run: apt-get update && apt-get install --no-install-recommends $*"
    sudo=(sudo)
}

# Debian starts a service as soon as it is installed, unless policy-rc.d says 101. An existing one
# is kept beside it and put back; if we are killed in between, the next run puts it back, and does
# not keep our own.
forbid_service_starts() {
    restore_policy=allow_service_starts
    [ ! -e $policy ] || [ -e $policy_saved ] || grep -qs "$policy_mark" $policy ||
        "${sudo[@]}" mv $policy $policy_saved
    printf '#!/bin/sh\n# %s for the time of one apt run\nexit 101\n' "$policy_mark" >"$tmp/policy"
    "${sudo[@]}" install -m 755 "$tmp/policy" $policy
}
allow_service_starts() {
    restore_policy=:
    if [ -e $policy_saved ]; then
        "${sudo[@]}" mv -f $policy_saved $policy
    elif grep -qs "$policy_mark" $policy; then
        "${sudo[@]}" rm -f $policy
    fi
}

update_lists() {
    # A third-party source may be broken while Debian's work: the install reports what is missing.
    "${sudo[@]}" apt-get -qq update >"$tmp/log" 2>&1 9>&- || true
}

install_packages() { # names
    local fresh=() s
    for s in "${services[@]}"; do
        case " $* " in *" $s "* | *" $s-"*) fresh+=("$s.service") ;; esac
    done
    say "Installing packages: $*"
    forbid_service_starts
    quietly "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
        -o DPkg::Lock::Timeout=600 --no-install-recommends install "$@" ||
        die "apt could not install: $*"
    allow_service_starts
    if [ ${#fresh[@]} -gt 0 ] && command -v systemctl >/dev/null; then
        "${sudo[@]}" systemctl disable -q "${fresh[@]}" >/dev/null 2>&1 || true
    fi
}

want_packages() {
    local p missing=()
    for p in "${packages[@]}"; do
        is_installed "$p" || missing+=("${p%%|*}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    become_root "${missing[@]}"
    update_lists
    install_packages "${missing[@]}"
}

# ---- a private apt: the machine's sources, keys and settings, nothing written outside $tmp --------

private_apt=(-o Dir::State::lists="$tmp/lists" -o Dir::Cache="$tmp/apt-cache"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
make_private_apt() {
    mkdir -p "$tmp/lists/partial" "$tmp/apt-cache/archives/partial" "$tmp/download"
    [ "$(id -u)" -ne 0 ] || chown -R _apt "$tmp/lists" "$tmp/apt-cache" "$tmp/download" 2>/dev/null || true
}

# Addresses of the Debian archives this machine is set up with; other vendors' are left out.
debian_archives() { # apt options
    apt-get "$@" indextargets --format '$(LABEL)|$(REPO_URI)' 'Identifier: Packages' |
        sed -n 's/^Debian|//p' | sort -u
}

find_debian_archives() {
    archives=$(debian_archives)
    [ -n "$archives" ] && return 0
    # The lists were never fetched, or were thrown away to save space, as images do.
    quietly apt-get -qq "${private_apt[@]}" update || true
    archives=$(debian_archives "${private_apt[@]}")
    [ -n "$archives" ]
}

# Make `apt` the options of an apt that knows one suite of one archive, whose signature it has checked.
use_suite() { # deb|deb-src archive suite
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed_by=
    [ ! -e $keyring ] || signed_by="[signed-by=$keyring] "
    echo "$1 $signed_by$2 $3 main" >"$tmp/sources.list"
    apt=("${private_apt[@]}" -o Dir::Etc::sourcelist="$tmp/sources.list"
        -o Dir::Etc::sourceparts=/dev/null)
    rm -rf "$tmp/lists"
    make_private_apt
    quietly apt-get -qq "${apt[@]}" update
}

# Unpack packages of the newer suite into one folder under $tmp/unpacked.
unpack_newer() { # packages...
    local archive deb
    find_debian_archives || die "apt knows no Debian archive on this machine to fetch $* from"
    for archive in $archives; do
        rm -rf "$tmp/download" "$tmp/unpacked"
        use_suite deb "$archive" $newer_suite 2>>"$tmp/errors" &&
            (cd "$tmp/download" && quietly apt-get -qq "${apt[@]}" download "$@") 2>>"$tmp/errors" ||
            continue
        for deb in "$tmp"/download/*.deb; do
            dpkg-deb -x "$deb" "$tmp/unpacked"
        done
        return 0
    done
    cat "$tmp/errors" >&2
    die "no Debian archive offered $* of $newer_suite"
}

# ---- Mbed TLS -----------------------------------------------------------------------------------

is_pinned() { [ "$(sha256sum <"$1" | cut -d' ' -f1)" = $mbedtls_sha256 ]; }

fetch_from() { # archive suite
    local version
    use_suite deb-src "$1" "$2" || return 1
    version=$(apt-cache "${apt[@]}" showsrc mbedtls 2>/dev/null |
        sed -n "s/^Version: \($mbedtls_version-.*\)/\1/p" | head -n 1)
    [ -n "$version" ] || return 1
    (cd "$tmp/download" && quietly apt-get -qq "${apt[@]}" source --download-only mbedtls="$version")
}

fetch_mbedtls() {
    local archive suite
    find_debian_archives ||
        die "apt knows no Debian archive on this machine; give the source with --tarball $mbedtls_tarball_name"
    say "Fetching Mbed TLS $mbedtls_version from Debian's source archive"
    for archive in $archives; do
        for suite in $mbedtls_suites; do
            fetch_from "$archive" "$suite" 2>>"$tmp/errors" && return 0
        done
    done
    cat "$tmp/errors" >&2
    die "no Debian archive offered mbedtls $mbedtls_version; give the source with --tarball $mbedtls_tarball_name"
}

want_tarball() {
    tarball=$cache/$mbedtls_tarball_name
    [ -z "$tarball_given" ] || cp -- "$tarball_given" "$tmp/tarball"
    if [ ! -e "$tmp/tarball" ]; then
        [ ! -e "$tarball" ] || ! is_pinned "$tarball" || return 0
        make_private_apt
        fetch_mbedtls
        mv "$tmp/download/$mbedtls_tarball_name" "$tmp/tarball"
    fi
    is_pinned "$tmp/tarball" ||
        die "the Mbed TLS source is not the expected file: SHA-256 should be $mbedtls_sha256, is $(sha256sum <"$tmp/tarball" | cut -d' ' -f1)"
    cp "$tmp/tarball" "$tarball.new" && mv "$tarball.new" "$tarball"
}

want_mbedtls() { # variant
    local p prefix maps build=$cache/.building.$$
    # The same bytes wherever cache and checkout are. Of two that fit, the last one counts.
    maps="-ffile-prefix-map=$root=holdfast -ffile-prefix-map=$build=."
    prefix=$(mbedtls_prefix_of "$1") || die "the compiler '$(compiler_of "$1")' does not run"
    [ ! -d "$prefix" ] || return 0
    want_tarball
    say "Building Mbed TLS $mbedtls_version ($1), about ten seconds"
    rm -rf "$cache"/.building.* # of a run that was killed; ours holds the lock
    mkdir "$build"
    tar -xjf "$tarball" -C "$build"
    for p in "${mbedtls_patches[@]}"; do
        quietly patch -p1 -d "$build/mbedtls-$mbedtls_version" -i "$p" ||
            die "${p##*/} does not fit Mbed TLS $mbedtls_version"
    done
    # Its own tests and programs are not wanted, and its generated files come in the tarball.
    quietly cmake -G Ninja -S "$build/mbedtls-$mbedtls_version" -B "$build/build" \
        -DCMAKE_C_COMPILER="$(compiler_of "$1")" -DCMAKE_BUILD_TYPE=None \
        -DCMAKE_C_FLAGS="$(cflags_of "$1") $maps" -DMBEDTLS_USER_CONFIG_FILE="$overlay" \
        -DENABLE_TESTING=OFF -DENABLE_PROGRAMS=OFF -DGEN_FILES=OFF -DMBEDTLS_FATAL_WARNINGS=OFF \
        -DCMAKE_INSTALL_PREFIX="$build/prefix" -DCMAKE_INSTALL_LIBDIR=lib &&
        quietly cmake --build "$build/build" && quietly cmake --install "$build/build" ||
        die "Mbed TLS did not build"
    mv "$build/prefix" "$prefix"
    rm -rf "$build"
}

# ---- llhttp -------------------------------------------------------------------------------------

unpack_node_llhttp() {
    local build=$cache/.unpacking.$$
    say "Fetching llhttp from Debian's node-llhttp package"
    make_private_apt
    (cd "$tmp/download" && { quietly apt-get -qq download node-llhttp 2>/dev/null ||
        { quietly apt-get -qq "${private_apt[@]}" update &&
          quietly apt-get -qq "${private_apt[@]}" download node-llhttp; }; }) ||
        die "apt could not download node-llhttp"
    rm -rf "$cache"/.unpacking.*
    mkdir -p "$build/include" "$build/src"
    dpkg-deb -x "$tmp"/download/node-llhttp_*.deb "$tmp/llhttp"
    cp "$tmp"/llhttp/usr/share/llhttp/*.c "$build/src/"
    cp "$tmp"/llhttp/usr/share/include/llhttp/llhttp.h "$build/include/"
    cp "$tmp"/llhttp/usr/share/doc/node-llhttp/copyright "$build/"
    mv "$build" "$llhttp_prefix"
}

want_llhttp() { is_llhttp_there || unpack_node_llhttp; }

# ---- what the tests compare with ------------------------------------------------------------------

# Into the cache in one step: a killed run leaves nothing that looks complete.
put_into_cache() { # folder destination
    rm -rf "$cache"/.unpacking.*
    mv "$1" "$cache/.unpacking.$$"
    mv "$cache/.unpacking.$$" "$2"
}

want_python_tuf() {
    [ "$debian" = debian12 ] && [ ! -d "$python_tuf" ] || return 0
    say "Fetching python-tuf from Debian $newer_suite"
    # securesystemslib needs a python3-cryptography newer than Debian 12's. This one is built for any
    # Python 3 and runs with Debian 12's libraries.
    unpack_newer python3-tuf python3-securesystemslib python3-cryptography
    put_into_cache "$tmp/unpacked/usr/lib/python3/dist-packages" "$python_tuf"
}

want_wycheproof() {
    [ ! -d "$wycheproof" ] || return 0
    say "Fetching Wycheproof's signature vectors from Debian $newer_suite"
    unpack_newer librust-wycheproof-dev
    mkdir "$tmp/wycheproof"
    mv "$tmp"/unpacked/usr/share/cargo/registry/wycheproof-*/src/data "$tmp/wycheproof/testvectors_v1"
    put_into_cache "$tmp/wycheproof" "$wycheproof"
}

# ---- the work -----------------------------------------------------------------------------------

allow_service_starts 2>/dev/null || true # what a killed run may have left
want_packages
want_llhttp
if [ $purpose = test ] || [ $purpose = bench ]; then
    want_python_tuf
    want_wycheproof
fi
for v in "${variants[@]}"; do
    want_mbedtls "$v"
done
say "Dependencies are ready ($purpose; Mbed TLS $mbedtls_version ${variants[*]})"
