# Sourced by the tests of TLS, proxies and addresses, which set SINK. One event
# is sent by a program of its own, and its words are looked at.
. scripts/common.sh
work=$(mktemp -d)
children=()
trap 'kill "${children[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
ship=$PWD/target/ship
cc -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -Iinclude tests/c/one_event.c "$ship/libphc.so" "-Wl,-rpath,$ship" \
    -o "$work/one_event"
passed=0 failed=0 said=

# expect WHAT STATUS WORDS… -- [COMMAND…] HOST [KEY=VALUE]…: what it prints
# begins with the status and has all the words in it. The command runs it, as
# one that hides files does.
expect() {
    local what=$1 status=$2 words=() missing=()
    shift 2
    while [ "$1" != -- ]; do words+=("$1"); shift; done
    shift
    said=$(timeout 60 "${prefix[@]}" "$work/one_event" "$@" 2>&1) || true
    [[ $said == "$status "* ]] || missing+=("$status")
    for word in "${words[@]}"; do [[ $said == *"$word"* ]] || missing+=("$word"); done
    if [ ${#missing[@]} -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok $what: ${said%%$'\n'*}"
    else
        failed=$((failed + 1))
        printf 'FAILED %s: no "%s" in: %s\n' "$what" "${missing[*]}" "$said"
    fi
}
prefix=()

check() { # check WHAT COMMAND…
    local what=$1
    shift
    if "$@"; then passed=$((passed + 1)); echo "ok $what"; else failed=$((failed + 1)); echo "FAILED $what"; fi
}

# serve [ARGUMENT…]: the sink, anew.
serve() {
    [ -z "${SINK_PORT-}" ] || stop_sink
    local folder
    folder=$(mktemp -d -p "$work")
    start_sink "$folder" --quiet "$@"
}

# A namespace of its own in which files are hidden or put: private [COMMAND…].
private=()
for way in "unshare -m" "unshare -rm" "sudo unshare -m"; do
    # shellcheck disable=SC2086 # several words
    if $way mount -t tmpfs none /mnt 2>/dev/null; then read -ra private <<<"$way"; break; fi
done
[ ${#private[@]} -gt 0 ] || { echo "unshare -m is not allowed here, and these tests need it" >&2; exit 1; }

certificate_authority() { # certificate_authority NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$1.key" -out "$work/$1.pem" \
        -days 30 -subj "/CN=$1" -addext basicConstraints=critical,CA:TRUE 2>/dev/null
}
certificate() { # certificate NAME SUBJECT-ALTERNATIVE-NAMES FROM TO: signed by the authority "ca"
    mkdir -p "$work/issued"
    touch "$work/issued/index.txt"
    cat >"$work/issued/config" <<CONFIG
[ca]
default_ca = own
[own]
database = $work/issued/index.txt
serial = $work/issued/serial
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
CONFIG
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$1.key" -out "$work/$1.csr" \
        -subj "/CN=$1" 2>/dev/null
    printf 'subjectAltName=%s\n' "$2" >"$work/$1.ext"
    openssl ca -batch -create_serial -notext -config "$work/issued/config" -cert "$work/ca.pem" -keyfile "$work/ca.key" \
        -outdir "$work/issued" -in "$work/$1.csr" -out "$work/$1.pem" -startdate "$3" -enddate "$4" \
        -extfile "$work/$1.ext" 2>"$work/$1.log" || { cat "$work/$1.log" >&2; exit 1; }
}

finish() {
    [ -z "${SINK_PORT-}" ] || exec 9>&-
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
