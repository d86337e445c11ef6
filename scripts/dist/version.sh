#!/usr/bin/env bash
# version.sh VERSION    writes the version of every package, and what is made from it: `make version VERSION=0.2.0`
# version.sh --check    fails unless all of them have the version of Cargo.toml
#
# It commits nothing. Both fail, with the lines, where the number of the version stands in a file that no table below
# names: that file belongs into one of them.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Where a version is written by hand: the file, and a pattern of the lines that have it.
written='
Cargo.toml                                  ^version =
bindings/go/config.go                       Version = "
bindings/php/ext/php_phc.h                  PHP_PHC_VERSION
bindings/php/src/PostHog.php                VERSION =
bindings/php/tests/                         posthog-php-phc/|this package \(
bindings/ruby/lib/posthog_phc/version.rb    VERSION =
.github/ISSUE_TEMPLATE/bug.yml              placeholder:
docs/install.md                             .
docs/cpp.md                                 releases/download/
bindings/ruby/README.md                     lib_version
README.md                                   apt install [.]/
'
# Where a number of a release may stay what it was: history, examples, versions of others, and what cargo or make writes.
stays='
CHANGELOG.md
Cargo.lock
*/Cargo.lock
*/go.mod
*/go.sum
conformance/templates/*
docs/spool-format.md
src/spool/tests/golden.rs
tests/release.sh
docs/abi.md
docs/settings.md
src/capi/status.rs
include/*.h
bindings/go/*.h
'

# numbers: the versions on the lines of the first table, as "FILE VERSION".
numbers() {
    local file lines
    while read -r file lines; do
        [ -n "$file" ] || continue
        git grep -hE "$lines" -- "$file" | grep -oE '(^|[^0-9.])[0-9]+\.[0-9]+\.[0-9]+([^0-9.]|$)' |
            grep -oE '[0-9.]+[0-9]' | sed "s|^|$file |" || true
    done <<<"$written"
}

# A number ends here: no digit follows, nor a dot with one, but a dot at the end of a sentence may.
ends='([^0-9.]|$|[.][^0-9]|[.]$)'

# refuse_forgotten VERSION: exits with 1, after the lines, where it stands in a place that no table names.
refuse_forgotten() {
    local left_out
    read -ra left_out <<<"$(awk 'NF { print ":!" $1 }' <<<"$stays" | tr '\n' ' ')"
    if git grep -nE "(^|[^0-9.])${1//./\\.}$ends" -- . "${left_out[@]}" | WRITTEN=$written awk '
        BEGIN {
            rows = split(ENVIRON["WRITTEN"], row, "\n")
            for (i = 1; i <= rows; i++) {
                file[i] = lines[i] = row[i]
                sub(/ .*/, "", file[i])
                sub(/^[^ ]+ +/, "", lines[i])
            }
        }
        {
            text = $0
            sub(/^[^:]*:[0-9]*:/, "", text)
            for (i = 1; i <= rows; i++) if (file[i] != "" && index($0, file[i]) == 1 && text ~ lines[i]) next
            print
            any = 1
        }
        END { exit !any }' >&2; then
        echo "version: the lines above have $1. Name their files in one of the tables of $0." >&2
        exit 1
    fi
}

current=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
if [ "${1:-}" = --check ]; then
    # docs/install.md has versions of others too.
    other=$(numbers | grep -v '^docs/install.md ' | awk -v version="$current" '$2 != version' | sort -u)
    header=$(sed -n 's/^#define PHC_VERSION "\(.*\)"/\1/p' include/phc.h)
    [ "$header" = "$current" ] || other+=$'\n'"include/phc.h $header"
    [ -z "$other" ] || { echo "version: Cargo.toml has $current, but:" >&2; echo "$other" >&2; exit 1; }
    refuse_forgotten "$current"
    echo "version: $current in every package"
    exit
fi

new=${1:-}
[[ $new =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || { echo "usage: version.sh X.Y.Z, or version.sh --check" >&2; exit 2; }
old=${current//./\\.}
while read -r file lines; do
    # A file that moved is found below, by the old number in it.
    [ -e "${file:-/none}" ] || continue
    { git grep -lE "$lines" -- "$file" || true; } | while read -r path; do
        sed -Ei "\\#$lines#s#(^|[^0-9.])$old$ends#\\1$new\\2#g" "$path"
    done
done <<<"$written"
cargo update --quiet --offline --workspace
make --no-print-directory headers docs

[ "$new" = "$current" ] || refuse_forgotten "$current"
scripts/dist/version.sh --check
