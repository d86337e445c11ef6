#!/usr/bin/env bash
# release.sh [--tag] [--from STEP] VERSION KEY: makes a release and tries it, without sending anything anywhere.
#
#   check      the version is that of every package and of CHANGELOG.md, all is committed, and no such tag is there
#   dist       dist.sh: every package, for PHC_RELEASE_TARGETS, by default those that are proved
#   test       test.sh: each package of these platforms in clean systems; one that cannot run is a failure here
#   sign       sign.sh, with the minisign key KEY
#   rehearse   rehearse.sh and `tags.sh --dry-run`: the packages from local registries and from tags in a clone
#   tag        tags.sh: the tags, in this repository; only with --tag
#
# Each step needs those before it; --from resumes with one of them. `rehearse` and `tag` refuse a release that is not
# signed by release.pub. What a human must do is printed at the end; docs/releasing.md describes it all.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/dist/targets.sh
. scripts/dist/suites.sh
steps=(check dist test sign rehearse tag)

usage() { echo "usage: release.sh [--tag] [--from $(IFS='|'; echo "${steps[*]}")] VERSION KEY" >&2; exit 2; }
refuse() { echo "release: $*" >&2; exit 1; }

tag=no from=check
while [ $# -gt 0 ]; do
    case $1 in
    --tag) tag=yes ;;
    --from) from=${2:?} && shift ;;
    -*) usage ;;
    *) break ;;
    esac
    shift
done
[[ " ${steps[*]} " == *" $from "* ]] || usage
version=${1:-} key=${2:-} public=release.pub
[ -n "$version" ] || usage
[ -n "$key" ] || refuse "a release is signed: name the file of the minisign key, KEY=… (docs/releasing.md, \"The key\")"
[ -f "$key" ] || refuse "there is no key $key"
[ -f "$public" ] || refuse "there is no $public, the key that users verify with (docs/releasing.md, \"The key\")"
out=dist/$version

check() {
    scripts/dist/version.sh --check
    grep -qx "version = \"$version\"" Cargo.toml ||
        refuse "Cargo.toml has another version than $version; run make version VERSION=$version and commit"
    grep -qE "^## $version, [0-9]{4}-[0-9]{2}-[0-9]{2}\$" CHANGELOG.md ||
        refuse "CHANGELOG.md has no line \"## $version, YEAR-MONTH-DAY\""
    [ -z "$(git status --porcelain)" ] || refuse "there are changes that are not committed"$'\n'"$(git status --short)"
    local taken
    taken=$(git tag --list "v$version" "bindings/*/v$version")
    [ -z "$taken" ] || refuse "these tags are there already: ${taken//$'\n'/ }. A release is not replaced; take the next version"
}
dist() {
    local targets=()
    read -ra targets <<<"${PHC_RELEASE_TARGETS:-}"
    env -u PHC_QUICK_PROGRAMS scripts/dist/dist.sh "${targets[@]}"
}
test_() {
    local suites
    read -ra suites <<<"$(dist_suites_of "${PHC_RELEASE_TARGETS:-$dist_default}")"
    [ ${#suites[@]} -gt 0 ] || refuse "the packages for $PHC_RELEASE_TARGETS are tried nowhere (scripts/dist/suites.sh)"
    scripts/dist/test.sh "${suites[@]}" || refuse "a package failed, or could not be tried (exit $?)"
}
sign() { scripts/dist/sign.sh "$out" "$key" "$public"; }
rehearse() {
    scripts/dist/sign.sh verify "$out" "$public"
    scripts/dist/rehearse.sh "$out"
    PHC_OUT=$out scripts/dist/tags.sh --dry-run
}
tag_() {
    scripts/dist/sign.sh verify "$out" "$public"
    # One line is of the packages, and one of the libraries of each platform.
    if ! grep -q '^commit: ' "$out/BUILDINFO" ||
        grep '^commit: ' "$out/BUILDINFO" | grep -qvx "commit: $(git rev-parse HEAD)"; then
        refuse "$out was built from another commit, or with changes that are not committed:"$'\n'"$(
            grep -E '^(\[|commit: )' "$out/BUILDINFO")"
    fi
    ! grep -q '^programs: not optimised' "$out/BUILDINFO" ||
        refuse "the programs in $out are not optimised; run this without --from"
    if [ "$tag" = no ]; then
        echo "release: that was the dry run; everything went well. For the tags: add --tag (make release … TAG=1)"
        return
    fi
    PHC_OUT=$out scripts/dist/tags.sh
    echo "release: $version is tagged here, and nothing was sent. Next: docs/releasing.md, \"Publish\""
}

for step in "${steps[@]}"; do
    [ "$step" = "$from" ] && from=
    [ -z "$from" ] || continue
    echo "== $step"
    case $step in test | tag) "${step}_" ;; *) "$step" ;; esac
done
