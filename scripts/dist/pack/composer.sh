#!/usr/bin/env bash
# pack/composer.sh: the Composer package of a release, from target/dist.
#
# One zip, posthog-php-phc-VERSION.zip, with the library of each target and its licences; the package chooses the one
# that fits. The same file is in composer/, which is a repository of Composer's type "artifact". What is in the zip is
# also what the tag of a release must hold: Packagist takes the files from there.
#
# Fails if a library or its licences are missing. It makes nothing if no target has a library for PHP.
set -euo pipefail
cd "$(dirname "$0")/../../.."
. scripts/dist/pack/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd bindings/php && find src config ext -name '*.php' -o -path 'ext/*' -type f; echo autoload.php; echo preload.php; echo LICENSE) | while read -r file; do
    install -D -m 644 "bindings/php/$file" "$work/$file"
done
# Links that lead out of the package are made to lead to the repository.
sed "s|](\.\./\.\./|](https://github.com/PostHog/libphc/blob/v$PHC_VERSION/|g" bindings/php/README.md >"$work/README.md"
# A repository of type "artifact" needs the version, which Packagist takes from the tag.
sed "s|^    \"type\": \"library\",|    \"version\": \"$PHC_VERSION\",\n&|" bindings/php/composer.json >"$work/composer.json"
grep -q "\"version\": \"$PHC_VERSION\"" "$work/composer.json" ||
    { echo "composer.sh: composer.json has no line '    \"type\": \"library\",' to put the version before" >&2; exit 1; }

brought='' left_out=''
for target in $dist_targets; do
    folder=$(dist_name "$target" php)
    [ "$folder" != - ] || continue
    if [[ " $PHC_TARGETS " != *" $target "* ]]; then
        left_out+=" $folder"
        continue
    fi
    from=$(built "$target")
    install -D -m 644 "$from/lib/libphc.so.$PHC_VERSION" "$work/lib/$folder/libphc.so"
    install -m 644 "$from/share/doc/libphc/THIRD-PARTY.txt" "$work/lib/$folder/THIRD-PARTY.txt"
    brought+=" $folder"
done
[ -n "$brought" ] || { echo "no package for Composer for $PHC_TARGETS"; exit 0; }

name=posthog-php-phc-$PHC_VERSION.zip
zip_up "$PHC_OUT/$name" "$work"
mkdir -p "$PHC_OUT/composer"
ln -f "$PHC_OUT/$name" "$PHC_OUT/composer/$name"
echo "  with$brought"
[ -z "$left_out" ] || echo "  left out, as they are not among the targets:$left_out"
