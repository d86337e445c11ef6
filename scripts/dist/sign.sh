#!/usr/bin/env bash
# sign.sh FOLDER KEY PUBLIC     signs FOLDER/SHA256SUMS with the releaser's minisign key, and verifies the result
# sign.sh verify FOLDER PUBLIC  fails unless the signature is that of PUBLIC, every file has its checksum, and no file
#                               is there without one
#
# KEY is the releaser's and in no repository; minisign asks for its password. PUBLIC is the key that users verify with,
# release.pub at the top of the repository, made once: docs/releasing.md says how.
set -euo pipefail

command -v minisign >/dev/null || { echo "sign: minisign is missing (apt-get install minisign)" >&2; exit 1; }
refuse() { echo "sign: $*" >&2; exit 1; }

verify() {
    local folder=$1 public
    public=$(realpath -e "$2") || refuse "there is no public key $2"
    cd "$folder"
    [ -f SHA256SUMS ] || refuse "$folder has no SHA256SUMS; run make dist"
    [ -f SHA256SUMS.minisig ] || refuse "$folder is not signed: there is no SHA256SUMS.minisig"
    minisign -Vqm SHA256SUMS -p "$public" || refuse "$public did not sign this SHA256SUMS"
    sha256sum --check --quiet --strict SHA256SUMS || refuse "files in $folder differ from SHA256SUMS"
    local unlisted
    unlisted=$(find . -type f ! -name SHA256SUMS ! -name SHA256SUMS.minisig -printf '%P\n' | LC_ALL=C sort |
        LC_ALL=C comm -23 - <(sed 's/^[0-9a-f]* [ *]//' SHA256SUMS | LC_ALL=C sort))
    [ -z "$unlisted" ] || refuse "SHA256SUMS does not list:"$'\n'"$unlisted"
    echo "$folder: $(wc -l <SHA256SUMS) files, signed by $(tail -1 "$public")"
}

case ${1:-} in
verify)
    [ $# -eq 3 ] || refuse "usage: sign.sh verify FOLDER PUBLIC"
    verify "$2" "$3"
    ;;
*)
    [ $# -eq 3 ] || refuse "usage: sign.sh FOLDER KEY PUBLIC, or sign.sh verify FOLDER PUBLIC"
    [ -f "$1/SHA256SUMS" ] || refuse "$1 has no SHA256SUMS; run make dist"
    [ -f "$2" ] || refuse "there is no key $2"
    # The comment is signed too, and shown to those who verify.
    minisign -S -s "$2" -m "$1/SHA256SUMS" -t "libphc $(sed -n 's/^version: //p; s/^commit: /commit /p' "$1/BUILDINFO" | head -2 | paste -sd' ')"
    verify "$1" "$3"
    ;;
esac
