#!/usr/bin/env bash
# pack/composer.sh: the Composer package of a release, from target/dist. Run by dist.sh, which sets PHC_VERSION,
# PHC_TARGETS and PHC_OUT.
#
# One zip, posthog-php-phc-VERSION.zip, with the library of each target and its licences; the package chooses the one
# that fits. The same file is in composer/, which is a repository of Composer's type "artifact". What is in the zip is
# also what the tag of a release must hold: Packagist takes the files from there.
#
# Fails if a library or its licences are missing, or if no target has a library for PHP.
set -euo pipefail
cd "$(dirname "$0")/../../.."
. scripts/dist/targets.sh

: "${PHC_VERSION:?run by scripts/dist/dist.sh}" "${PHC_TARGETS:?}" "${PHC_OUT:?}"
dist=${PHC_DIST:-target/dist}
command -v python3 >/dev/null || { echo "composer.sh: python3 makes the zip; install it" >&2; exit 1; }
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd bindings/php && find src -name '*.php'; echo autoload.php; echo preload.php; echo LICENSE) | while read -r file; do
    install -D -m 644 "bindings/php/$file" "$work/$file"
done
# Links that lead out of the package are made to lead to the repository.
sed "s|](\.\./\.\./|](https://github.com/PostHog/libphc/blob/v$PHC_VERSION/|g" bindings/php/README.md >"$work/README.md"
# A repository of type "artifact" needs the version, which Packagist takes from the tag.
sed "s|^    \"type\": \"library\",|    \"version\": \"$PHC_VERSION\",\n&|" bindings/php/composer.json >"$work/composer.json"
grep -q "\"version\": \"$PHC_VERSION\"" "$work/composer.json" ||
    { echo "composer.sh: composer.json has no line '    \"type\": \"library\",' to put the version before" >&2; exit 1; }

brought='' left_out=''
while read -r target; do
    [ -n "$target" ] || continue
    folder=$(dist_name "$target" php)
    [ "$folder" != - ] || continue
    if [[ " $PHC_TARGETS " != *" $target "* ]]; then
        left_out+=" $folder"
        continue
    fi
    install -D -m 644 "$dist/$target/lib/libphc.so.$PHC_VERSION" "$work/lib/$folder/libphc.so"
    install -m 644 "$dist/$target/share/doc/libphc/THIRD-PARTY.txt" "$work/lib/$folder/THIRD-PARTY.txt"
    brought+=" $folder"
done < <(awk '{ print $1 }' <<<"$dist_table")
[ -n "$brought" ] || { echo "composer.sh: none of $PHC_TARGETS has a library for PHP" >&2; exit 1; }

name=posthog-php-phc-$PHC_VERSION.zip
python3 - "$work" "$PHC_OUT/$name" <<'PYTHON'
# The same files make the same bytes: in order, with one time, without owners.
import os, pathlib, sys, time, zipfile
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
moment = max(int(os.environ["SOURCE_DATE_EPOCH"]), 315532800)  # a zip knows no time before 1980
with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        entry = zipfile.ZipInfo(str(file.relative_to(folder)), time.gmtime(moment)[:6])
        entry.external_attr, entry.create_system = 0o100644 << 16, 3
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, file.read_bytes())
PYTHON
mkdir -p "$PHC_OUT/composer"
ln -f "$PHC_OUT/$name" "$PHC_OUT/composer/$name"
echo "$name  $(stat -c %s "$PHC_OUT/$name") bytes, with$brought"
[ -z "$left_out" ] || echo "left out, as they are not among the targets:$left_out"
