#!/usr/bin/env bash
# rehearse.sh FOLDER [REGISTRY…]: takes the packages in FOLDER (dist/VERSION) as their users would, from registries in local folders.
#
#   go         a module proxy (GOPROXY=file:…); a program is built and run
#   gem        a gem source with its index; the gem of this machine's platform is chosen, and loaded
#   composer   an artifact repository; the package is required, and loaded
#   apt        the repository that deb.sh made; libphc-dev is found in its version, and its dependencies can be met
#
# It needs the packages for this machine (TARGETS=x86_64-linux-gnu). Fails if one of them cannot be taken, and if a
# tool is missing, with its name.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(realpath -e "${1:?usage: rehearse.sh FOLDER}")
version=$(sed -n 's/^version: //p' "$folder/BUILDINFO" | head -1)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
for tool in go gem ruby composer php apt-get; do
    command -v "$tool" >/dev/null || { echo "rehearse: $tool is missing; run make tools" >&2; exit 1; }
done

# says WHAT COMMAND…: fails unless the command prints the version.
says() {
    local what=$1 said
    shift
    said=$("$@" | tail -1)
    [ "$said" = "$version" ] || { echo "rehearse: $what is ${said:-silent}, not $version" >&2; exit 1; }
    echo "$what: $said"
}

from_go() {
    local module=github.com/PostHog/libphc/bindings/go
    mkdir -p "$work/go"
    cd "$work/go"
    # Nothing but this proxy, and a cache of its own; the module has no dependencies.
    export GOPROXY=file://$folder/go GOFLAGS=-mod=mod GOSUMDB=off GOMODCACHE=$work/gocache GOTOOLCHAIN=local
    go mod init rehearsal 2>/dev/null
    go get "$module@v$version" 2>"$work/go.log" || { cat "$work/go.log" >&2; exit 1; }
    cat >main.go <<GO
package main

import (
	"fmt"

	posthog "$module"
)

func main() { fmt.Println(posthog.Version) }
GO
    CGO_ENABLED=1 go build -o program .
    says go ./program
}

from_gem() {
    mkdir -p "$work/source/gems" "$work/gems"
    if printf '3.3.22\n%s\n' "$(gem --version)" | sort --version-sort --check=quiet; then
        cp "$folder"/*.gem "$work/source/gems"
    else
        # Older ones know no C library in a platform, and expect the name without it (Debian 12 has 3.3.15).
        local platform
        platform=$(uname -m)-linux
        cp "$folder/posthog-ruby-phc-$version.gem" "$work/source/gems"
        cp "$folder/posthog-ruby-phc-$version-$platform-gnu.gem" "$work/source/gems/posthog-ruby-phc-$version-$platform.gem"
    fi
    gem generate_index --quiet --directory "$work/source" >/dev/null
    # ffi is Debian's.
    gem install posthog-ruby-phc --version "$version" --clear-sources --source "file://$work/source" \
        --install-dir "$work/gems" --ignore-dependencies --no-document --quiet >/dev/null
    compgen -G "$work/gems/gems/posthog-ruby-phc-$version-*-linux*" >/dev/null ||
        { echo "rehearse: the gem without a library was chosen: $(ls "$work/gems/gems")" >&2; exit 1; }
    says gem env GEM_PATH="$work/gems:$(gem env path)" ruby -e 'require "posthog_phc"; puts PostHogPhc::VERSION'
}

from_composer() {
    mkdir -p "$work/artifacts" "$work/php"
    cp "$folder"/posthog-php-phc-*.zip "$work/artifacts"
    cd "$work/php"
    cat >composer.json <<JSON
{"repositories": [{"type": "artifact", "url": "$work/artifacts"}, {"packagist.org": false}]}
JSON
    COMPOSER_HOME=$work/composer COMPOSER_ALLOW_SUPERUSER=1 \
        composer require --quiet --no-interaction "libphc/posthog-php-phc:$version"
    says composer php -r 'require "vendor/autoload.php"; echo PostHog\PostHog::VERSION;'
}

from_apt() {
    local state=$work/apt apt
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    echo "deb [trusted=yes] file:$folder/apt stable main" >"$state/sources.list"
    apt=(-o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$state/lists"
        -o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root -q)
    apt-get "${apt[@]}" update >/dev/null
    says apt bash -c 'apt-cache "$@" show libphc-dev | sed -n "s/^Version: \(.*\)-[0-9]*$/\1/p" | head -1' - "${apt[@]}"
    (cd "$state" && apt-get "${apt[@]}" download libphc0 libphc-dev >/dev/null)
}

shift
registries=(go gem composer apt)
[ $# -eq 0 ] || registries=("$@")
for registry in "${registries[@]}"; do
    ("from_$registry")
done
