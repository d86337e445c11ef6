#!/usr/bin/env bash
# recipes.sh: fills in the templates of packaging/ for Conan, vcpkg and Homebrew with the URL and hash of each tarball in
# PHC_OUT, so tarball.sh must have run. It writes conan/, vcpkg/libphc/ and homebrew/phc.rb there.
#
# Each has the platforms of PHC_TARGETS that its package manager can name; what is left out is said. It fails if a
# tarball is missing.
set -euo pipefail
cd "$(dirname "$0")/../../.."
. scripts/dist/pack/common.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
hash_of() { "$1sum" "$PHC_OUT/$(tarball_name "$2")" | cut -d' ' -f1; }
for target in $PHC_TARGETS; do
    if [ ! -f "$PHC_OUT/$(tarball_name "$target")" ]; then
        echo "there is no $PHC_OUT/$(tarball_name "$target"); run scripts/dist/pack/tarball.sh" >&2
        exit 1
    fi
done
# fill FILE PLACE [NAME BLOCK]…: FILE with its values; a line @NAME@ becomes the lines of the file BLOCK.
fill() {
    local from=$1 to=$2 edits=()
    shift 2
    while [ $# -gt 0 ]; do edits+=(-e "/^@$1@\$/{" -e "r $2" -e 'd' -e '}'); shift 2; done
    mkdir -p "$(dirname "$to")"
    sed "${edits[@]}" -e "s|@VERSION@|$PHC_VERSION|; s|@URL@|$PHC_RELEASE_URL|; s|@PLATFORMS@|$platforms|" "$from" >"$to"
    if grep -n '@[A-Z]\+@' "$to"; then echo "recipes.sh: $from has a value that is not filled in" >&2; return 1; fi
}
platforms=${PHC_TARGETS// /, }
rm -rf "$PHC_OUT/conan" "$PHC_OUT/vcpkg" "$PHC_OUT/homebrew"

# private TARGET: sets libs and options to the words of Libs.private in its phc.pc, as lists in YAML. What does not begin
# with -l is an option of the linker.
private() {
    local words word
    libs='' options=''
    read -ra words < <(sed -n 's/^Libs.private: *//p' "$(built "$1")/lib/pkgconfig/phc.pc")
    for word in "${words[@]}"; do
        case $word in
        -l*) libs+="${libs:+, }\"${word#-l}\"" ;;
        *) options+="${options:+, }\"$word\"" ;;
        esac
    done
}
{
    echo "sources:"
    echo "  \"$PHC_VERSION\":"
    for target in $PHC_TARGETS; do
        echo "    $target:"
        echo "      url: $PHC_RELEASE_URL/$(tarball_name "$target")"
        echo "      sha256: $(hash_of sha256 "$target")"
    done
    unproved=()
    for target in $PHC_TARGETS; do [ "$(dist_name "$target" proof)" = proved ] || unproved+=("$target"); done
    echo "unproved: [$(IFS=,; echo "${unproved[*]}")]"
    echo "system_libs:"
    for target in $PHC_TARGETS; do private "$target" && echo "  $target: [$libs]"; done
    echo "link_options:"
    for target in $PHC_TARGETS; do private "$target" && echo "  $target: [$options]"; done
} >"$work/conandata.yml"
cp -r packaging/conan "$PHC_OUT/conan"
cp "$work/conandata.yml" "$PHC_OUT/conan/conandata.yml"
fill packaging/conan/conanfile.py "$PHC_OUT/conan/conanfile.py"
echo "  conan: $platforms"

: >"$work/hashes"
for target in $PHC_TARGETS; do
    case $target in
    *-linux-gnu | *-windows)
        printf 'set(file_%s "%s")\nset(sha512_%s %s)\n' "$target" "$(tarball_name "$target")" \
            "$target" "$(hash_of sha512 "$target")" >>"$work/hashes"
        ;;
    *) echo "  vcpkg: not for $target" ;;
    esac
done
fill packaging/vcpkg/libphc/portfile.cmake "$PHC_OUT/vcpkg/libphc/portfile.cmake" HASHES "$work/hashes"
fill packaging/vcpkg/libphc/vcpkg.json "$PHC_OUT/vcpkg/libphc/vcpkg.json"
cp packaging/vcpkg/libphc/usage "$PHC_OUT/vcpkg/libphc/usage"
echo "  vcpkg: $(grep -c sha512_ "$work/hashes") platforms"

: >"$work/downloads"
for system in macos linux-gnu; do
    blocks=
    for target in $PHC_TARGETS; do
        case $target in
        x86_64-"$system") processor=intel ;;
        aarch64-"$system") processor=arm ;;
        *) continue ;;
        esac
        note=
        [ "$(dist_name "$target" proof)" = proved ] || note="      # Unproved: built and linked, and never run."$'\n'
        blocks+="    on_$processor do"$'\n'"$note      url \"$PHC_RELEASE_URL/$(tarball_name "$target")\""$'\n'
        blocks+="      sha256 \"$(hash_of sha256 "$target")\""$'\n'"    end"$'\n'
    done
    [ -z "$blocks" ] || printf '  on_%s do\n%s  end\n' "${system%-gnu}" "$blocks" >>"$work/downloads"
done
if [ -s "$work/downloads" ]; then
    fill packaging/homebrew/phc.rb.in "$PHC_OUT/homebrew/phc.rb" DOWNLOADS "$work/downloads"
    echo "  homebrew: $(grep -c 'on_intel\|on_arm' "$work/downloads") platforms"
else
    echo "  homebrew: no platform of it is among $platforms"
fi
