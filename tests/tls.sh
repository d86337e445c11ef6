#!/usr/bin/env bash
# tls.sh SINK: a CA of one's own, and what must be refused.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
. scripts/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ship=$PWD/target/ship
cc -std=c11 -O1 -Iinclude tests/c/tls.c "$ship/libphc.so" -Wl,-rpath,"$ship" -o "$work/tls"

certificate() { # certificate NAME SUBJECT-ALTERNATIVE-NAME DAYS-FROM DAYS-TO
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$1.key" -out "$work/$1.csr" \
        -subj "/CN=$1" 2>/dev/null
    printf 'subjectAltName=%s\n' "$2" >"$work/$1.ext"
    openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days "$3" \
        -extfile "$work/$1.ext" -out "$work/$1.pem" 2>/dev/null
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca.key" -out "$work/ca.pem" \
    -days 30 -subj /CN=test-ca -addext basicConstraints=critical,CA:TRUE 2>/dev/null
certificate good IP:127.0.0.1,DNS:localhost 30
certificate wrong-host DNS:elsewhere.example 30
# Valid for no time at all: it has expired when it is made.
certificate expired IP:127.0.0.1,DNS:localhost 0

failed=0
expect() { # expect CERTIFICATE CA-FILE HOST STATUS WORDS
    local folder=$work/$1-$RANDOM said
    mkdir "$folder"
    start_sink "$folder" --quiet --tls-cert "$work/$1.pem" --tls-key "$work/$1.key"
    said=$(timeout 60 "$work/tls" "https://$3:$SINK_PORT" "$2" || true)
    stop_sink
    if [[ $said == "$4"*"$5"* ]]; then
        echo "ok $1, ca_file '${2##*/}', $3: $said"
    else
        echo "FAILED $1, ca_file '${2##*/}', $3: $said (expected $4 … $5)"
        failed=1
    fi
}
expect good "$work/ca.pem" 127.0.0.1 ok ""
expect good "$work/ca.pem" localhost ok ""
expect good "" 127.0.0.1 lost_events UnknownIssuer
expect wrong-host "$work/ca.pem" 127.0.0.1 lost_events "not valid for name"
sleep 1 # the certificate of no days runs out within this second
expect expired "$work/ca.pem" 127.0.0.1 lost_events xpired
exit $failed
