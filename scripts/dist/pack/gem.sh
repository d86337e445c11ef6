#!/usr/bin/env bash
# pack/gem.sh: the gems of a release, from target/dist. RubyGems, too, takes their times from SOURCE_DATE_EPOCH.
#
# One gem for every platform, which brings no library, and one for each target. The gem of a target also brings the
# library for the other C library of the same processor, if that is among the targets: RubyGems before 3.3.22
# (Debian 12 has 3.3.15) sees no difference between -linux-gnu and -linux-musl and takes either. The gem chooses.
#
# Fails if a library or its licences are missing, if a gem gets another name than it must have, or on a warning of
# `gem build`.
set -euo pipefail
cd "$(dirname "$0")/../../.."
. scripts/dist/pack/common.sh
command -v gem >/dev/null || { echo "gem.sh: there is no gem command; install Ruby (on Debian: apt install ruby)" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# sources FOLDER: what all gems have. Links that lead out of the package are made to lead to the repository.
sources() {
    local file
    (cd bindings/ruby && find lib -name '*.rb'; find ext -type f; echo .yardopts; echo LICENSE
        echo examples/quickstart.rb; echo posthog-ruby-phc.gemspec) | while read -r file; do
        install -D -m 644 "bindings/ruby/$file" "$1/$file"
    done
    sed "s|](\.\./\.\./|](https://github.com/PostHog/libphc/blob/v$PHC_VERSION/|g" bindings/ruby/README.md >"$1/README.md"
    chmod 644 "$1/README.md"
}

# bring TARGET PLATFORM FOLDER: the library of a target and its licences.
bring() {
    local from to=$3/lib/posthog_phc/bundled/$2
    from=$(built "$1")
    install -D -m 755 "$from/lib/libphc.so.$PHC_VERSION" "$to/libphc.so"
    install -m 644 "$from/share/doc/libphc/THIRD-PARTY.txt" "$to/THIRD-PARTY.txt"
}

# build FOLDER PLATFORM: the gem of a platform; of every platform if that is empty.
build() {
    local name=posthog-ruby-phc-$PHC_VERSION${2:+-$2}.gem
    if ! (cd "$1" && PHC_GEM_PLATFORM=$2 gem build posthog-ruby-phc.gemspec) >"$work/log" 2>&1 ||
        grep -q '^WARNING' "$work/log" || [ ! -f "$1/$name" ]; then
        cat "$work/log" >&2
        echo "gem.sh: gem build did not make $name, or it warned" >&2
        return 1
    fi
    mv "$1/$name" "$PHC_OUT/"
    packed "$PHC_OUT/$name"
}

sources "$work/all"
build "$work/all" ''
for target in $PHC_TARGETS; do
    platform=$(dist_name "$target" gem)
    if [ "$platform" = - ]; then
        echo "no gem for $target: Ruby on it loads a libphc that the user installs"
        continue
    fi
    sources "$work/$target"
    bring "$target" "$platform" "$work/$target"
    case $platform in
    *-gnu) other=${platform%-gnu}-musl ;;
    *) other=${platform%-musl}-gnu ;;
    esac
    if [[ " $PHC_TARGETS " == *" $other "* ]]; then
        bring "$other" "$other" "$work/$target"
    else
        echo "$platform: without the library for $other, which is not among the targets"
    fi
    build "$work/$target" "$platform"
done
