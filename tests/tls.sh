#!/usr/bin/env bash
# tls.sh SINK: what is trusted, what is refused, and with which words.
set -euo pipefail
cd "$(dirname "$0")/.."
SINK=$1
. tests/one-event.sh

certificate_authority ca
certificate_authority other-ca
now=20260101000000Z later=20490101000000Z
certificate good IP:127.0.0.1,IP:::1,DNS:localhost $now $later
certificate wrong-host DNS:elsewhere.example $now $later
certificate expired IP:127.0.0.1 20200101000000Z 20210101000000Z
certificate too-early IP:127.0.0.1 20480101000000Z $later
# As people make them: with openssl's defaults, which is a CA, and as a leaf.
for kind in TRUE FALSE; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/self-$kind.key" \
        -out "$work/self-$kind.pem" -days 30 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
        -addext "basicConstraints=critical,CA:$kind" 2>/dev/null
done
with() { serve --tls-cert "$work/$1.pem" --tls-key "$work/$1.key"; url=https://127.0.0.1:$SINK_PORT; }

with good
ours=ca_file=$work/ca.pem
expect "a CA file of one's own" ok "checked against ca_file" -- "$url" "$ours"
expect "a host name" ok -- "https://localhost:$SINK_PORT" "$ours"
expect "an unknown CA" lost_events "unknown issuer" "set ca_file" -- "$url"
expect "another CA" lost_events "unknown issuer" "set ca_file" -- "$url" "ca_file=$work/other-ca.pem"
expect "plain http to a TLS port" lost_events "speaks no HTTP" "https://" -- "${url/https/http}"

with wrong-host
expect "a certificate for another host" lost_events "wrong host" elsewhere.example -- "$url" "$ours"
with expired
expect "an expired certificate" lost_events "expired: " clock -- "$url" "$ours"
with too-early
expect "a certificate that is not valid yet" lost_events "not valid yet: " clock -- "$url" "$ours"
with self-FALSE
expect "a self-signed certificate" lost_events "unknown issuer" "set ca_file" -- "$url"
expect "a self-signed certificate that is trusted" ok -- "$url" "ca_file=$work/self-FALSE.pem"
with self-TRUE
expect "a self-signed certificate of openssl's defaults" lost_events "self-signed" -- "$url" "ca_file=$work/self-TRUE.pem"

# What ca_file may hold. What cannot be read is told when the client is made.
with good
{ printf -- '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n'; cat "$work/other-ca.pem" "$work/ca.pem"; } >"$work/many.pem"
expect "an odd certificate among good ones" ok -- "$url" "ca_file=$work/many.pem"
echo garbage >"$work/garbage.pem"
expect "a CA file with no certificate" ca_file garbage.pem "no certificate" PEM -- "$url" "ca_file=$work/garbage.pem"
expect "a CA file that is not there" ca_file "No such file" -- "$url" "ca_file=$work/none.pem"
cp "$work/ca.pem" "$work/gone.pem"
expect "a CA file that is gone at the first capture" invalid_setting gone.pem "No such file" -- "$url" "ca_file=$work/gone.pem" vanish=new
cp "$work/ca.pem" "$work/gone.pem"
expect "a CA file that is gone at the first request" lost_events gone.pem "No such file" -- "$url" "ca_file=$work/gone.pem" vanish=capture

# The machine's own roots, and a machine without any.
platform=/etc/ssl/certs/ca-certificates.crt
in_private() { # in_private SETUP: the prefix of what follows
    cat >"$work/private" <<SCRIPT
set -e
for folder in /etc/ssl /etc/pki /usr/local/share/certs; do
    [ ! -d \$folder ] || mount -t tmpfs none \$folder
done
$1
exec "\$@"
SCRIPT
    prefix=("${private[@]}" sh "$work/private")
}
in_private "mkdir -p /etc/ssl/certs; cp $work/ca.pem $platform"
expect "the platform's roots" ok "checked against $platform" -- "$url"
in_private "mkdir -p /etc/ssl/certs; echo garbage >$platform"
expect "a platform file that is broken" lost_events "unknown issuer" "bundled roots" -- "$url"
in_private ""
expect "no CA files: https has the bundled roots" lost_events "unknown issuer" "checked against the bundled roots" -- "$url"
expect "no CA files: ca_file works" ok "checked against ca_file" -- "$url" "$ours"
serve
expect "no CA files: http works" ok -- "http://127.0.0.1:$SINK_PORT"
prefix=()
expect "https to a port without TLS" lost_events "no TLS" "http://" -- "https://127.0.0.1:$SINK_PORT"
finish
