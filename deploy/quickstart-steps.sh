# What the quickstarts share: how they talk, and how they end. Sourced, after `name` (of the script), `n_steps`,
# `dir` and `bin` are set and with the project's folder as the current one.

log=$dir/quickstart.log

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

pids=() # of all processes that it started
stop_all() {
    local pid
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    pids=()
}

finish() {
    local code=$?
    trap - EXIT
    stop_all
    if [ $code -ne 0 ]; then
        printf '\n%s%s: step %d (%s) failed; the log is %s%s\n' "$red" "$name" $step_number \
            "$step_title" "$log" "$plain" >&2
    fi
    exit $code
}
interrupted() { trap '' INT TERM HUP; exit "$1"; }

# Start a program in the background; its standard error goes to FILE.
start() { # FILE PROGRAM…
    local file=$1
    shift
    show "$@"
    : >"$file" # the shell may be late to make it for a program in the background
    "$@" 2>"$file" &
    pids+=($!)
}

# Wait until a log has a line with these words; `said` is that line.
wait_for() { # FILE WORDS
    local i
    for ((i = 0; i < 400; i++)); do
        if said=$(grep -m 1 -F -- "$2" "$1"); then
            say "    $said"
            return 0
        fi
        kill -0 "${pids[-1]}" 2>/dev/null || break
        sleep 0.05
    done
    cat "$1" >&2
    return 1
}

# ---- steps that both have -----------------------------------------------------------------------

marker=.made-by-quickstart
make_folder() {
    if [ -e "$dir" ] && [ ! -e "$dir/$marker" ] && [ -n "$(ls -A "$dir" 2>&1)" ]; then
        say "$name.sh: $dir is not empty and not ours; name another folder with --dir" >&2
        exit 2
    fi
    rm -rf "$dir"
    mkdir -p "$dir"
    touch "$dir/$marker" "$log"
}

# With `packages` for options of install-deps.sh.
packages=()
install_and_build() { # TARGET…
    if [ -n "$bin" ]; then
        step "Take the programs from $bin" "Nothing is installed or built."
        return
    fi
    bin=build/bin
    step "Install what is missing, and build" \
        "Debian packages, and a private Mbed TLS in a cache. The first time takes a minute or two."
    run deploy/install-deps.sh "${packages[@]}"
    quietly cmake --preset release
    quietly cmake --build --preset release --target "$@"
}

roots_table=deploy/roots/amazon.txt
roots_folder=/usr/share/ca-certificates/mozilla
der_sha256() { sed '/^-----/d' "$1" | base64 -d | sha256sum | cut -d' ' -f1; }

# Fills `certificates` with the files of the roots whose names match, if they are what they should be.
want_roots() { # pattern
    local sha256 file root found
    while read -r sha256 _ _ _ file root; do
        # shellcheck disable=SC2254  # a pattern
        case $root in $1) ;; *) continue ;; esac
        found=$(der_sha256 "$roots_folder/$file")
        if [ "$found" != "$sha256" ]; then
            say "$roots_folder/$file: expected SHA-256 $sha256, found $found" >&2
            return 1
        fi
        say "    as expected  ${sha256:0:16}…  $root"
        certificates+=("$roots_folder/$file")
    done < <(grep -v '^#' $roots_table)
    say
}

make_folder
trap finish EXIT
trap 'interrupted 130' INT
trap 'interrupted 143' TERM HUP
# From here on everything talks to this machine only.
export no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost
