#!/usr/bin/env bash
# proxy.sh SINK: through a proxy that people run (tinyproxy), and when it is in
# the way. The password of a proxy is never repeated.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
. tests/one-event.sh

proxy() { # proxy NAME [LINE…]: sets port_NAME
    local name=$1 port
    shift
    for _ in $(seq 20); do
        port=$((20000 + RANDOM % 12000))
        { printf 'Port %s\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nLogLevel Connect\n' $port; printf '%s\n' "$@"; } >"$work/$name.conf"
        tinyproxy -d -c "$work/$name.conf" >"$work/$name.log" 2>&1 &
        for _ in $(seq 400); do
            kill -0 $! 2>/dev/null || break # the port was taken
            if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
                children+=($!)
                printf -v "port_$name" %s "$port"
                return
            fi
            sleep 0.05
        done
        kill $! 2>/dev/null || true
    done
    cat "$work/$name.log" >&2
    exit 1
}
proxy open
proxy strict "ConnectPort 1"
proxy guarded "BasicAuth me secret"
open=127.0.0.1:$port_open strict=127.0.0.1:$port_strict guarded=127.0.0.1:$port_guarded
passed_through() { grep "Request.*$2" "$work/$1.log" >/dev/null; }
unsaid() { [[ $said != *"$1"* ]]; }

serve
url=http://127.0.0.1:$SINK_PORT
expect "http" ok -- "$url" "proxy=http://$open"
check "it went through the proxy" passed_through open "POST $url"
expect "http, name and password" ok -- "$url" "proxy=http://me:secret@$guarded"
expect "http, a wrong password" lost_events "HTTP 401" proxy -- "$url" "proxy=http://me:wrong@$guarded"
expect "http, no password" lost_events "HTTP 407" "the proxy wants a name and a password" -- "$url" "proxy=http://$guarded"
expect "http, no proxy there" lost_events "the proxy cannot be reached" "through the proxy http://127.0.0.1:1: " refused -- \
    "$url" "proxy=http://me:secret@127.0.0.1:1"
check "the password is not in the log" unsaid secret
expect "http, no such proxy" lost_events "the name of the proxy is not found" -- "$url" proxy=http://no-such-proxy.invalid:3128
expect "https to a server without TLS" lost_events "no TLS" -- "${url/http/https}" "proxy=http://$open"
# The sink itself is no proxy: it knows no CONNECT.
expect "https, what is there is no proxy" lost_events "the proxy refused" -- https://127.0.0.1:9 "proxy=$url"

certificate_authority ca
certificate good IP:127.0.0.1 20260101000000Z 20490101000000Z
serve --tls-cert "$work/good.pem" --tls-key "$work/good.key"
url=https://127.0.0.1:$SINK_PORT ca=ca_file=$work/ca.pem
expect "https" ok -- "$url" "proxy=http://$open" "$ca"
check "it went through the proxy, by CONNECT" passed_through open "CONNECT 127.0.0.1:$SINK_PORT"
expect "https, a proxy without a scheme" ok -- "$url" "proxy=$open" "$ca"
expect "https, an unknown CA" lost_events "unknown issuer" -- "$url" "proxy=http://$open"
expect "https, name and password" ok -- "$url" "proxy=http://me:secret@$guarded" "$ca"
expect "https, a wrong password" lost_events "the proxy refused" "no such name and password" -- "$url" "proxy=http://me:wrong@$guarded" "$ca"
expect "https, no password" lost_events "the proxy wants a name and a password" -- "$url" "proxy=http://$guarded" "$ca"
expect "https, a proxy that refuses the port" lost_events "the proxy refused" -- "$url" "proxy=http://$strict" "$ca"
expect "https, no proxy there" lost_events "the proxy cannot be reached" refused -- "$url" "proxy=http://me:secret@127.0.0.1:1" "$ca"
check "the password is not in the log" unsaid secret
expect "https, no such proxy" lost_events "the name of the proxy is not found" -- "$url" proxy=http://no-such-proxy.invalid:3128 "$ca"
finish
